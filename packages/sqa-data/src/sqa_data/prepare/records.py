"""OUT/NAME/prepared.json: what a `prepare` made of what, so that the next one knows edits and changed sources."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from sqa_data.atomic import sweep
from sqa_data.corpus import Corpus
from sqa_data.errors import DataError
from sqa_data.sources.records import read_json, write_json

RECORD, NEXT = "prepared.json", ".prepared.next.json"
OF_SPLIT = ("data.jsonl", "ratings.jsonl", "pairs.jsonl")

# corpus, partial, source: file -> fingerprint, problems, splits: split -> counts, sha256
Record = dict[str, Any]


def fingerprint(path: Path) -> dict[str, int | str]:
    """Size and SHA-256; of parquet files, which are large, only of the end, which indexes the rest."""
    size = path.stat().st_size
    if path.suffix == ".parquet":
        with path.open("rb") as file:
            file.seek(max(0, size - (1 << 16)))
            return {"size": size, "sha256_of_footer": hashlib.sha256(file.read()).hexdigest()}
    return {"size": size, "sha256": _sha256(path)}


def begin(target: Path) -> list[Record]:
    """The record of the last run that ended, and that of one that was killed while it named its manifests.

    What such a one has left half written is removed.
    """
    sweep(target, "problems.jsonl", RECORD, NEXT)
    for split in target.glob("*/"):
        sweep(split, *OF_SPLIT)
    found = [read_json(target / name) for name in (RECORD, NEXT)]
    return [record for record in found if record is not None]


def write_next(target: Path, record: Record) -> None:
    """Keep a record before its manifests get their names: after a kill in between they still count as ours."""
    write_json(target / NEXT, record)


def finish(target: Path, before: list[Record], record: Record, written: Collection[tuple[str, str]]) -> None:
    """Remove files of `before` that are no longer made of this source, and make `record` the last one.

    written: split and name of the files of this time.
    """
    for split in {split for old in before for split in old["splits"]}:
        for name in OF_SPLIT:
            if (split, name) not in written:
                (target / split / name).unlink(missing_ok=True)
    (target / NEXT).replace(target / RECORD)


def require_unedited(target: Path, records: list[Record]) -> None:
    """DataError if a manifest is not as one of `records` says it was written."""
    for split in {split for record in records for split in record["splits"]}:
        path = target / split / "data.jsonl"
        written = {record["splits"].get(split, {}).get("sha256") for record in records}
        if path.is_file() and _sha256(path) not in written:
            raise DataError(
                f"{path}: changed since it was prepared; use --force to overwrite it, or another --out"
            )


def source_notes(corpus: Corpus, before: list[Record], source: Mapping[str, object]) -> list[str]:
    """Which label files are not those of last time."""
    old = before[0]["source"] if before else source
    changed = sorted(name for name in old.keys() | source.keys() if old.get(name) != source.get(name))
    return [f"{corpus.name}: changed at the source since last time: {', '.join(changed)}"] if changed else []


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
