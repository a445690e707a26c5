"""PSTN: real telephone calls of the ConferencingSpeech 2022 challenge."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpus import Archive, Corpus, Licence, Sample, Split
from sqa_data.tables import below, number, read_rows


def parse(root: Path) -> Iterator[Sample]:
    path = root / "pstn_train.csv"
    for line, (clip, mos, std, votes) in read_rows(path, ["filename", "MOS", "std?", "votes?"]):
        clip = below(clip, path, line)
        yield Sample(
            split="train",
            audio=clip,
            sample_id=clip.rsplit(".", 1)[0].split("_")[0],
            system_id=None,  # calls were not grouped by system
            metrics={"mos": number(mos, "MOS", path, line)},
            votes=int(number(votes, "votes", path, line, 1, 1e6)) if votes else None,
            mos_std=number(std, "std", path, line, 0, 4) if std else None,
        )


CORPUS = Corpus(
    name="pstn",
    title="PSTN (ConferencingSpeech 2022)",
    splits={"train": Split(58709, None, 163.08)},
    sample_rates=(8000,),
    licence=Licence(
        "unknown",
        "https://github.com/ConferencingSpeech/ConferencingSpeech2022",
        ask=True,
        note="published for the challenge without a licence for the audio",
    ),
    archives=(Archive("train.zip", ("https://challenge.blob.core.windows.net/pstn/train.zip",)),),
    links=("https://github.com/ConferencingSpeech/ConferencingSpeech2022",),
    citation="G. Yi et al., ConferencingSpeech 2022 challenge: Non-intrusive objective speech quality "
    "assessment "
    "challenge for online conferencing applications, Interspeech 2022",
    label_files=("pstn_train.csv",),
    parse=parse,
)
