"""TTSDS2: 20 recent text-to-speech systems in four domains."""

from collections.abc import Iterator
from pathlib import PurePosixPath

from sqa_data.baseline import BaselineIds
from sqa_data.corpus import MIRROR, MIT, Archive, Corpus, Rating, Split
from sqa_data.tables import Row, each_row

COLUMNS = ("audio", "dataset", "system", "rating_type", "value", "annotator")


@each_row({"subjective_results.csv": "train"}, *COLUMNS)
def parse(row: Row, split: str) -> Iterator[Rating]:
    if row["rating_type"] == "mos":  # the others: comparative and similarity ratings
        audio, system_id = row.inside("audio"), f"{row['dataset']}-{row['system']}"
        sample_id = f"{system_id}-{PurePosixPath(audio).name.removesuffix('.wav')}"
        yield Rating(split, audio, sample_id, system_id, row["annotator"], row.number("value"))


def reference(sample_id: str, system_id: str | None) -> str:
    """The dataset and the name of the file: noisy-0001 of noisy-xtts-0001."""
    system = system_id or ""
    return f"{system.partition('-')[0]}-{sample_id.removeprefix(f'{system}-')}"


CORPUS = Corpus(
    name="ttsds2",
    title="TTSDS2 listening test",
    splits={
        "train": Split(460, 80, 0.96, "MOS ratings (4,731 in MOS-Bench); the test has CMOS and SMOS too")
    },
    sample_rates=(22050,),
    licence=MIT,
    archives=(Archive("ttsds2.zip", (MIRROR,)),),
    links=("https://huggingface.co/datasets/ttsds/listening_test",),
    citation="C. Minixhofer, O. Klejch, P. Bell, TTSDS2: Resources and benchmark for evaluating human-quality "
    "text to speech systems, 2025",
    parse=parse,
    reference=reference,
    baseline_ids=BaselineIds(("noisy-xtts-0001", "noisy-xtts")),
)
