"""The manifest: one utterance a line of JSON, the contract between corpora, training and scoring.

    {"audio_path": "/data/a.wav", "corpus": "nisqa", "split": "train", "system_id": "NISQA_TRAIN_SIM-1",
     "sample_id": "a", "duration": 8.25, "sample_rate": 48000, "metrics": {"mos": 3.4}, "votes": 5}

It is the format of the URGENT 2026 baseline (`audio_path, system_id, sample_id, duration, metrics`) with more
keys, so that its files are read here and ours are read there. A label that is null or NaN means "not
labelled" and is left out of `metrics`; unknown keys are kept in `extra` and written back.
"""

# ruff: noqa: PTH100, PTH117, PTH118  (strings: a Path object for each of a million lines costs more than the rest)

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import orjson

from sqa_data.atomic import atomic_write
from sqa_data.errors import DataError


@dataclass(frozen=True, slots=True)
class Utterance:
    """One rated utterance: where it is, who made it, what listeners and metrics say of it."""

    audio_path: str  # absolute, or relative to the working directory
    sample_id: str  # unique within its corpus
    duration: float  # seconds
    metrics: Mapping[str, float]  # label -> finite value, see sqa_data.labels
    system_id: str | None = None  # None: the corpus has no systems
    corpus: str | None = None  # None: the file does not say (the baseline's files do not)
    split: str | None = None
    sample_rate: int | None = None  # Hz
    votes: int | None = None  # ratings behind metrics["mos"]
    mos_std: float | None = None  # standard deviation of these ratings (n - 1 in the denominator)
    extra: Mapping[str, Any] = field(default_factory=dict)  # further keys of the line, kept as they are


def read_manifest(path: str | Path) -> list[Utterance]:
    """All utterances of a manifest, in file order; relative audio paths are taken from the manifest's folder.

    Raises `DataError`, naming file and line, for anything that is not an utterance.
    """
    return list(iter_manifest(path))


def iter_manifest(path: str | Path, audio_root: str | Path | None = None) -> Iterator[Utterance]:
    """`read_manifest` one utterance at a time: memory does not grow with the file.

    audio_root: where relative audio paths start, if not at the manifest's folder.
    """
    path = Path(path)
    base = os.path.abspath(path.parent if audio_root is None else audio_root)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if not line.isspace():
                    yield parse_line(line, base, path, number)
    except OSError as error:
        raise DataError(f"{path}: cannot read the manifest: {error.strerror}") from error


def write_manifest(path: str | Path, utterances: Iterable[Utterance], *, relative: bool = False) -> int:
    """Write a manifest, whole or not at all; returns the number of lines.

    Audio paths are written absolute (what the baseline's tools need), or, with `relative`, relative to the
    manifest's folder, so that folder and audio can travel together.
    """
    path = Path(path)
    base = os.path.abspath(path.parent) if relative else None
    count = 0
    with atomic_write(path) as file:
        for utterance in utterances:
            file.write(to_line(utterance, base))
            count += 1
    return count


def to_line(utterance: Utterance, base: str | None = None) -> bytes:
    """One line of a manifest, newline included; `base`: the folder that audio paths shall be relative to.

    >>> to_line(Utterance("/a.wav", "a", 1.5, {"mos": 4.0}))
    b'{"audio_path":"/a.wav","system_id":null,"sample_id":"a","duration":1.5,"metrics":{"mos":4.0}}\\n'
    """
    audio_path = os.path.abspath(utterance.audio_path)
    row: dict[str, Any] = {"audio_path": audio_path if base is None else os.path.relpath(audio_path, base)}
    if utterance.corpus is not None:
        row["corpus"] = utterance.corpus
    if utterance.split is not None:
        row["split"] = utterance.split
    # null rather than absent: the baseline's tools look the key up
    row["system_id"] = utterance.system_id
    row["sample_id"] = utterance.sample_id
    row["duration"] = utterance.duration
    if utterance.sample_rate is not None:
        row["sample_rate"] = utterance.sample_rate
    row["metrics"] = dict(utterance.metrics)
    if utterance.votes is not None:
        row["votes"] = utterance.votes
    if utterance.mos_std is not None:
        row["mos_std"] = utterance.mos_std
    row.update(utterance.extra)
    for label, value in utterance.metrics.items():
        if not math.isfinite(value):
            raise DataError(
                f"sample {utterance.sample_id!r}: {label} is {value}; leave out what is not known"
            )
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)


_KNOWN = frozenset(f.name for f in fields(Utterance)) - {"extra"}
_NO_EXTRA: Mapping[str, Any] = {}


def parse_line(line: bytes, base: str, path: Path, number: int) -> Utterance:
    """The utterance of line `number` of `path`, whose relative audio paths start at `base`; DataError otherwise."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            row = json.loads(line)  # the baseline writes NaN, which is not JSON but which Python reads
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise DataError(
                f"{path}:{number}: not JSON ({error}); expected one JSON object a line"
            ) from error
    try:
        return _utterance(row, base)
    except _Wrong as error:
        raise DataError(f"{path}:{number}: {error}") from None


class _Wrong(Exception):
    """What was found and what was expected, without the place."""


def _utterance(row: Any, base: str) -> Utterance:
    if not isinstance(row, dict):
        raise _Wrong(f"found {type(row).__name__}; expected a JSON object")
    get = row.get
    audio_path, sample_id, duration = get("audio_path"), get("sample_id"), get("duration")
    if audio_path is None or sample_id is None or duration is None:
        missing = next(key for key in ("audio_path", "sample_id", "duration") if get(key) is None)
        raise _Wrong(f"no {missing!r}; expected audio_path, system_id, sample_id, duration, metrics")
    if not isinstance(audio_path, str) or not audio_path:
        raise _Wrong(f"audio_path is {audio_path!r}; expected a path")
    if not os.path.isabs(audio_path):
        audio_path = os.path.normpath(os.path.join(base, audio_path))

    metrics = get("metrics")
    if metrics is None:
        metrics = {}
    elif not isinstance(metrics, dict):
        raise _Wrong(f'metrics is {metrics!r}; expected an object such as {{"mos": 3.5}}')
    labels: dict[str, float] = {}
    for label, value in metrics.items():
        if type(value) is float and -math.inf < value < math.inf:
            labels[label] = value
        elif value is not None and value == value:  # null and NaN: not labelled
            labels[label] = _number(f"metrics.{label}", value, -sys.float_info.max)

    sample_rate, votes, mos_std = get("sample_rate"), get("votes"), get("mos_std")
    return Utterance(
        audio_path,
        _text("sample_id", sample_id) or "",
        _number("duration", duration, 0),
        labels,
        _text("system_id", get("system_id")),
        _text("corpus", get("corpus")),
        _text("split", get("split")),
        None if sample_rate is None else int(_number("sample_rate", sample_rate, 1)),
        None if votes is None else int(_number("votes", votes, 0)),
        None if mos_std is None or mos_std != mos_std else _number("mos_std", mos_std, 0),
        _NO_EXTRA if row.keys() <= _KNOWN else {k: v for k, v in row.items() if k not in _KNOWN},
    )


def _text(key: str, value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise _Wrong(f"{key} is {value!r}; expected a string")
    return str(value)


def _number(key: str, value: Any, low: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Wrong(f"{key} is {value!r}; expected a number")
    if not low <= value < math.inf:
        raise _Wrong(f"{key} is {value}; expected a finite number" + (f" >= {low:g}" if low >= 0 else ""))
    return float(value)
