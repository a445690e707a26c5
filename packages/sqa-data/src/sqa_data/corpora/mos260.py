"""MOS260: Russian text-to-speech, rated by a crowd for quality and intelligibility."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpus import MIT, Corpus, HubDataset, Sample, Split
from sqa_data.errors import DataError
from sqa_data.sources.parquet import PLAIN, audio_path, parts, read_columns, suffix_of
from sqa_data.tables import number

PARTS = ("train", "mos260")  # what its one file may be called
LABELS = {"quality": "mos", "intelligibility": "mos_intelligibility"}
PAGE = "https://huggingface.co/datasets/lab260/mos260"


def parse(root: Path) -> Iterator[Sample]:
    """One clip a row, with the means of its votes."""
    for part in PARTS:
        for path in parts(root, part):
            names, rows = read_columns(path, ["id", "system_id", *LABELS])
            for line, values in enumerate(rows, start=1):
                row = dict(zip(names, values, strict=True))
                if row.get("id") is None:
                    raise DataError(f"{path}: row {line}: no id")
                name, system_id = str(row["id"]), row.get("system_id")
                yield Sample(
                    split="train",
                    audio=audio_path(part, str(system_id or ""), name, suffix_of(PLAIN)),
                    sample_id=name,
                    system_id=None if system_id is None else str(system_id),
                    metrics={label: number(str(row.get(c)), c, path, line) for c, label in LABELS.items()},
                )


CORPUS = Corpus(
    name="mos260",
    title="MOS260 (Russian text-to-speech)",
    splits={"train": Split(None, note="between 1,000 and 10,000 rows")},
    sample_rates=(),
    languages=("ru",),
    licence=MIT,
    archives=(),
    hub=HubDataset("lab260/mos260", {"train": PARTS}, id="id"),
    links=(PAGE,),
    citation="Lab260, mos260, Hugging Face (its paper: ?)",
    label_files=("*.parquet",),
    parse=parse,
    layout="its page (form, size, language); the columns could not be seen and are a guess",
    assumed=True,
    columns=dict.fromkeys(PARTS, ("id", "audio", *LABELS, "system_id?")),
)
