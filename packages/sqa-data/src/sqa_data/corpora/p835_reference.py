"""Microsoft's reference conditions of ITU-T P.835: speech with noise and MNRU, in full and wide band."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpus import Archive, Corpus, Licence, Sample, Split
from sqa_data.tables import Row, read_sheet

SOURCE = (
    "https://raw.githubusercontent.com/microsoft/P.808/5b8c00a0654d836dbbd86cafab570fbab350f1ad/"
    "p835_reference_conditions/"
)
WORKBOOK = "CSP835_Ref_Conditions.xlsx"
# split -> sheet of the workbook, folder of the audio
TESTS = {
    "fullband": ("Fullband-results per file", "degraded_fullband_48KHz"),
    "wideband": ("16KHzWB-results per file", "degraded_WB_16KHz"),
}
COLUMNS = ("short_file_name", "condition_num", "n votes", "MOS_OVRL", "std_ovrl", "MOS_SIG", "MOS_BAK")
CLIPS = [
    f"c{condition}_{talker}.wav" for condition in range(13) for talker in ("f1", "f2", "f3", "m1", "m2", "m3")
]


def parse(root: Path) -> Iterator[Sample]:
    path = root / WORKBOOK
    for split, (sheet, folder) in TESTS.items():
        header, body = read_sheet(path, sheet, *COLUMNS)
        for line, cells in body:
            row = Row(path, line, {name: str(cell) for name, cell in zip(header, cells, strict=False)})
            clip = row.inside("short_file_name")
            yield Sample(
                split=split,
                audio=f"{folder}/{clip}",
                # the two tests have clips and conditions of the same names
                sample_id=f"{split}_{clip.removesuffix('.wav')}",
                system_id=f"{split}_c{row.number('condition_num', 0, 12):g}",
                metrics={
                    "mos": row.number("MOS_OVRL"),
                    "mos_sig": row.number("MOS_SIG"),
                    "mos_bak": row.number("MOS_BAK"),
                },
                votes=int(row.number("n votes", 1, 1000)),
                mos_std=row.number("std_ovrl", 0, 4),
            )


CORPUS = Corpus(
    name="p835-reference",
    title="Reference conditions of ITU-T P.835, crowdsourced",
    splits={
        "fullband": Split(78, 13),
        "wideband": Split(78, 13, note="six clips of condition c0 are at 48 kHz"),
    },
    sample_rates=(16000, 48000),
    languages=("en",),
    method="P.835",
    licence=Licence(
        "MIT; audio by ITU-T P.501",
        "https://github.com/microsoft/P.808",
        ask=True,
        note="the speech is ITU-T P.501's, with terms of its own",
    ),
    archives=(
        Archive(WORKBOOK, (SOURCE,)),
        *(Archive(f"{folder}/{clip}", (SOURCE,)) for _, folder in TESTS.values() for clip in CLIPS),
    ),
    links=("https://github.com/microsoft/P.808/tree/master/p835_reference_conditions",),
    citation="B. Naderi, R. Cutler, Subjective evaluation of noise suppression algorithms in crowdsourcing, "
    "Interspeech 2021",
    label_files=(WORKBOOK,),
    parse=parse,
    layout="its files",
    use=("evaluation",),
)
