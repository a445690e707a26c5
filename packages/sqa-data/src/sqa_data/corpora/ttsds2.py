"""TTSDS2: 20 recent text-to-speech systems in four domains."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from sqa_data.corpora._licences import MIRROR, MIT
from sqa_data.corpus import Archive, Corpus, Rating, Split
from sqa_data.tables import below, number, read_rows

COLUMNS = ["audio", "dataset", "system", "rating_type", "value", "annotator"]


def parse(root: Path) -> Iterator[Rating]:
    path = root / "subjective_results.csv"
    for line, (audio, dataset, system, kind, value, annotator) in read_rows(path, COLUMNS):
        if kind != "mos":  # the others: comparative and similarity ratings
            continue
        audio = below(audio, path, line)
        system_id = f"{dataset}-{system}"
        sample_id = f"{system_id}-{PurePosixPath(audio).name.removesuffix('.wav')}"
        yield Rating("train", audio, sample_id, system_id, annotator, number(value, "value", path, line))


CORPUS = Corpus(
    name="ttsds2",
    title="TTSDS2 listening test",
    splits={"train": Split(460, 80, 0.96)},
    sample_rates=(22050,),
    licence=MIT,
    archives=(Archive("ttsds2.zip", (f"{MIRROR}ttsds2.zip",)),),
    links=("https://huggingface.co/datasets/ttsds/listening_test",),
    citation="C. Minixhofer, O. Klejch, P. Bell, TTSDS2: Resources and benchmark for evaluating "
    "human-quality "
    "text to speech systems, 2025",
    label_files=("subjective_results.csv",),
    parse=parse,
)
