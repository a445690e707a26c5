"""What came, from where and with which SHA-256: RAW/NAME/downloads.json."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock

from sqa_data.atomic import atomic_write
from sqa_data.errors import DataError
from sqa_data.sources.http import FileRecord


def read_records(folder: Path) -> dict[str, FileRecord]:
    """File name -> what was recorded of it; empty where nothing came yet."""
    file = folder / "downloads.json"
    try:
        return {name: FileRecord(**facts) for name, facts in (read_json(file) or {}).items()}
    except (TypeError, AttributeError) as error:
        raise DataError(
            f"{file}: not a record of downloads ({error}); move it away and download again"
        ) from error


def remember(folder: Path, name: str, record: FileRecord) -> None:
    """Add one file to downloads.json."""
    with FileLock(folder / ".downloads.lock"):
        records = read_records(folder) | {name: record}
        with atomic_write(folder / "downloads.json") as file:
            facts = {name: asdict(record) for name, record in records.items()}
            file.write(json.dumps(facts, indent=1, sort_keys=True).encode() + b"\n")


def read_json(file: Path) -> Any:
    """What a small JSON file of ours holds; None if it is not there."""
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: cannot be read as JSON ({error}); move it away and run again") from error
