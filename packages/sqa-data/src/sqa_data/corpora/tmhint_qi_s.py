"""TMHINT-QI(S): noisy and enhanced Mandarin, track 3 of the VoiceMOS Challenge 2023."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpora._by_hand import SHEET, steps
from sqa_data.corpus import Archive, Corpus, Licence, Sample, Split
from sqa_data.errors import DataError
from sqa_data.tables import below, number, read_rows

ARCHIVE, LABELS = "VoiceMOS_2023_track3.zip", "answer.csv"
UNOFFICIAL = "TMHINT"  # clips without a condition in their name, which the challenge left out


def parse(root: Path) -> Iterator[Sample]:
    """Rows such as `VoiceMOS2023Track3-CMGAN_snr-2_babble_TMHINT_b2_21_02,1.14`, without a header."""
    path = root / LABELS
    for line, row in read_rows(path):
        # only the first "-" parts the track from the condition: an SNR can be -2 dB
        track, _, clip = row[0].partition("-")
        parts = clip.split("_")
        if len(row) != 2 or not track or len(parts) < 4:
            raise DataError(f"{path}:{line}: {','.join(row)!r}; expected TRACK-CONDITION_LIST_SET_NUMBER,mos")
        system_id = "_".join(parts[:-3])
        yield Sample(
            split="unofficial" if system_id == UNOFFICIAL else "test",
            audio=f"VoiceMOS_2023_track3/{below(row[0], path, line)}.wav",
            sample_id=row[0],
            system_id=system_id,
            metrics={"mos": number(row[1], "the MOS", path, line)},
        )


CORPUS = Corpus(
    name="tmhint-qi-s",
    title="TMHINT-QI(S) (VoiceMOS Challenge 2023, track 3)",
    splits={
        "test": Split(1960, 97),
        "unofficial": Split(255, 1, note="clips that the challenge left out", optional=True),
    },
    sample_rates=(16000,),
    languages=("zh",),
    licence=Licence("?", "https://github.com/unilight/sheet", ask=True, note="none is stated for the audio"),
    archives=(Archive(ARCHIVE, ()), Archive(LABELS, (SHEET + "tmhint-qi-s/answers/answer.csv",))),
    links=("https://drive.google.com/uc?id=10_1JbEsxKPYZJLDXMeMkcjLHkbDQt84w",),
    citation="E. Cooper et al., The VoiceMOS Challenge 2023: Zero-shot subjective speech quality prediction for "
    "multiple domains, ASRU 2023",
    label_files=(LABELS,),
    parse=parse,
    layout="its label file, counted; the folder of the audio in SHEET's script",
    use=("evaluation",),
    manual=steps("https://drive.google.com/uc?id=10_1JbEsxKPYZJLDXMeMkcjLHkbDQt84w", ARCHIVE),
)
