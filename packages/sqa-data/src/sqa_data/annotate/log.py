"""The label log: one JSON line a result, known by what was heard and by what measured it.

    {"audio": SHA-256, "reference": SHA-256 or "", "version": "lsd:sqa-data-0.1.0.2", "values": {"lsd": 2.5}}

or "error" in place of "values"; "warnings" beside them where something about the signals may mislead. A line is
written by one call, so that a killed run tears at most the last one. Each share of the work has a log of its own
beside the whole one.
"""

import errno
import glob
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqa_data.atomic import is_locked, lock
from sqa_data.errors import DataError
from sqa_data.lines import Wrong, drop_torn_end, json_line, open_lines, parse_object
from sqa_data.shares import Share

Key = tuple[str, str, str]  # hash of the audio, hash of the reference or "", version of the adapter


@dataclass(frozen=True)
class Result:
    """What one adapter said of one clip: values by label, or the error that it met; what about the clip may mislead."""

    values: Mapping[str, float]
    error: str | None = None
    warnings: tuple[str, ...] = ()


@contextmanager
def appending(path: Path) -> Iterator[BinaryIO]:
    """The log at `path`, for this process alone; `DataError` where another writes to it."""
    # `all_finished` of another process holds the lock for a moment
    with lock(path, "another annotate is writing here; wait for it, or split with --shard"):
        drop_torn_end(path)
        with path.open("ab", buffering=0) as file:
            yield file


def append(log: BinaryIO, key: Key, result: Result) -> None:
    """Write a result to a log that is open for `appending`."""
    row: dict[str, object] = dict(zip(("audio", "reference", "version"), key, strict=True))
    row |= {"values": dict(result.values)} if result.error is None else {"error": result.error}
    row |= {"warnings": list(result.warnings)} if result.warnings else {}
    line = json_line(row)
    if log.write(line) != len(line):  # what follows must not be glued to half a line
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), log.name)


def all_finished(log: Path, share: Share) -> bool:
    """Whether every share of the work has begun and none is at it."""
    parts = [each.path(log) for each in share.together()]
    return all(part.exists() and not is_locked(part) for part in parts)


def read_logs(log: Path) -> dict[Key, Result]:
    """Every result of the log and of its shares' logs; of two for one key the later one, values before errors."""
    known: dict[Key, Result] = {}
    for path in [log, *sorted(log.parent.glob(f"{glob.escape(log.name)}.*-of-*"))]:
        if not path.exists() or path.suffix == ".lock":
            continue
        for number, line in open_lines(path):
            if not line.endswith(b"\n"):
                break  # torn by a kill; written again
            try:
                key, result = _parsed(line)
            except (Wrong, ValueError, LookupError, TypeError, AttributeError) as error:
                raise DataError(
                    f"{path}:{number}: not a line of a label log; move the file away and run again"
                ) from error
            if result.error is None or key not in known:
                known[key] = result
    return known


def _parsed(line: bytes) -> tuple[Key, Result]:
    """The key and the result of one line; any of the usual errors where it holds none."""
    row = parse_object(line)
    key, error = (row["audio"], row["reference"], row["version"]), row.get("error")
    values = {label: float(value) for label, value in row.get("values", {}).items()}
    warnings = tuple(row.get("warnings", ()))
    texts = (*key, *warnings) if error is None else (*key, error, *warnings)
    if not all(isinstance(text, str) for text in texts) or not all(map(math.isfinite, values.values())):
        raise ValueError(line)
    return key, Result(values, error, warnings)
