"""The label log: one JSON line a result, known by what was heard and by what measured it.

    {"audio": SHA-256, "reference": SHA-256 or "", "version": "lsd:sqa-data-0.1.0.1", "values": {"lsd": 2.5}}

or "error" in place of "values". A line is written by one call, so that a killed run tears at most the last one. Each
share of the work has a log of its own beside the whole one.
"""

import errno
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from sqa_data.atomic import is_locked, lock
from sqa_data.errors import DataError
from sqa_data.shares import Share

Key = tuple[str, str, str]  # hash of the audio, hash of the reference or "", version of the adapter


@dataclass(frozen=True)
class Result:
    """What one adapter said of one clip: values by label, or the error that it met."""

    values: Mapping[str, float]
    error: str | None = None


class LabelLog:
    """A log that is open for appending."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self.path, self.file = path, file

    def write(self, key: Key, result: Result) -> None:
        row: dict[str, Any] = dict(zip(("audio", "reference", "version"), key, strict=True))
        row |= {"values": dict(result.values)} if result.error is None else {"error": result.error}
        line = to_line(row)
        if self.file.write(line) != len(line):  # what follows must not be glued to half a line
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))


def to_line(row: Mapping[str, Any]) -> bytes:
    """One line of JSON; file names that are not UTF-8 stand in it as escapes (\\udcff)."""
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        return json.dumps(row).encode() + b"\n"


@contextmanager
def appending(path: Path) -> Iterator[LabelLog]:
    """The log at `path`, for this process alone; `DataError` where another writes to it."""
    # `all_finished` of another process holds the lock for a moment
    with lock(path, "another annotate is writing here; wait for it, or split with --shard"):
        _drop_torn_end(path)
        with path.open("ab", buffering=0) as file:
            yield LabelLog(path, file)


def all_finished(log: Path, share: Share) -> bool:
    """Whether every share of the work has begun and none is at it."""
    parts = [each.path(log) for each in share.together()]
    return all(part.exists() and not is_locked(part) for part in parts)


def read_logs(log: Path) -> dict[Key, Result]:
    """Every result of the log and of its shares' logs; of two for one key the later one, values before errors."""
    known: dict[Key, Result] = {}
    for path in [log, *sorted(log.parent.glob(f"{log.name}.*-of-*"))]:
        if not path.exists() or path.suffix == ".lock":
            continue
        for key, result in _read(path):
            if result.error is None or key not in known:
                known[key] = result
    return known


def _read(path: Path) -> Iterator[tuple[Key, Result]]:
    if not path.is_file():
        raise DataError(f"{path}: not a regular file; expected a label log")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                return  # torn by a kill; written again
            try:
                yield _parsed(line)
            except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
                raise DataError(
                    f"{path}:{number}: not a line of a label log; move the file away and run again"
                ) from error


def _parsed(line: bytes) -> tuple[Key, Result]:
    """The key and the result of one line; any of the usual errors where it holds none."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        row = json.loads(line)  # an error about a file whose name is not UTF-8
    audio, reference, version = row["audio"], row["reference"], row["version"]
    error = row.get("error")
    values = {str(label): float(value) for label, value in row.get("values", {}).items()}
    texts = (audio, reference, version, *(() if error is None else (error,)))
    if not all(isinstance(text, str) for text in texts) or not all(map(math.isfinite, values.values())):
        raise ValueError(line)
    return (audio, reference, version), Result(values, error)


def _drop_torn_end(path: Path) -> None:
    """Cut a last line that has no end (a run was killed while writing it)."""
    if path.is_file():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(path, whole)
