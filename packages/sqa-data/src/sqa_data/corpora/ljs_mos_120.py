"""LJS-MOS-120: 120 sentences of LJ Speech, recorded, vocoded and synthesized in two ways; every vote."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpus import MIT, Corpus, HubDataset, Rating, Split, Unusable
from sqa_data.errors import DataError
from sqa_data.tables import read_header, rows

LABELS = {"naturalness": "mos", "intelligibility": "mos_intelligibility"}
COLUMNS = ("audio", "file", "condition", "score_dimension", "score", "worker_id", "state?")
UNREAD = ("gender?", "age_group?", "used_headphone?", "assignment_id?", "hit_id?")


def parse(root: Path) -> Iterator[Rating | Unusable]:
    """One vote on one question a row."""
    table = _table(root)
    for row in rows(table, *COLUMNS):
        label = LABELS.get(row["score_dimension"])
        if label is None:
            raise DataError(
                f"{table}:{row.line}: score_dimension is {row['score_dimension']!r}; expected one of "
                f"{', '.join(LABELS)}"
            )
        if row["state"].lower().startswith("reject"):
            yield Unusable(f"{table}:{row.line}", "which its authors rejected")
            continue
        audio, name = row.inside("audio"), f"{row['condition']}_{row['file']}"
        # paths may be meant from the table, as the Hub's viewer takes them
        if not (root / audio).is_file() and (table.parent / audio).is_file():
            audio = (table.parent / audio).relative_to(root).as_posix()
        yield Rating("test", audio, name, row["condition"], row["worker_id"], row.number("score"), label)


def _table(root: Path) -> Path:
    """The one table with the columns that the card describes; it does not say what it is called."""
    needed = {column for column in COLUMNS if not column.endswith("?")}
    found = [path for path in sorted(root.rglob("*.csv")) if needed <= set(read_header(path))]
    if len(found) != 1:
        raise DataError(
            f"{root}: {len(found)} tables with the columns {', '.join(sorted(needed))}; expected one"
        )
    return found[0]


CORPUS = Corpus(
    name="ljs-mos-120",
    title="LJS-MOS-120 (text-to-speech of LJ Speech)",
    splits={"test": Split(480, 4)},
    sample_rates=(22050,),
    languages=("en",),
    licence=MIT,
    archives=(),
    hub=HubDataset("stefantaubert/ljs-mos-120", files=("*.csv", "*.wav")),
    links=("https://huggingface.co/datasets/stefantaubert/ljs-mos-120",),
    citation="S. Taubert, LJS-MOS-120: Human MOS ratings for 120 samples of the LJ Speech dataset, 2025, "
    "doi:10.57967/hf/5368",
    label_files=("**/*.csv",),
    parse=parse,
    layout="its card, which describes the columns",
    assumed=True,
    columns={"**/*.csv": (*COLUMNS, *UNREAD)},
    use=("evaluation",),
)
