"""The manifest: one utterance a line of JSON, the contract between corpora, training and scoring.

    {"audio_path": "/data/a.wav", "corpus": "nisqa", "split": "train", "system_id": "NISQA_TRAIN_SIM-1",
     "sample_id": "a", "duration": 8.25, "sample_rate": 48000, "metrics": {"mos": 3.4}, "votes": 5, "language": "en"}

It is the format of the URGENT 2026 baseline (`audio_path, system_id, sample_id, duration, metrics`) with more
keys, so that its files are read here and ours are read there. `scales` gives the bounds of a label whose listeners had
other ones than usual, as {"mos": [0, 100]}. A label that is null or NaN means "not
labelled" and is left out of `metrics`; unknown keys are kept in `extra` and written back. Of the format's successor,
UrgentMOS, a `uid` is read as the sample_id. A row of two `audio_paths` is a pair: it is read as its two clips, each
once a file and without labels, since what listeners said is about the pair.
"""

# ruff: noqa: PTH100  (strings: a Path object for each of a million lines costs more than the rest)

import math
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any

from sqa_data.atomic import atomic_write
from sqa_data.errors import DataError
from sqa_data.lines import (
    JsonObject,
    Wrong,
    below,
    id_text,
    json_line,
    open_lines,
    parse_object,
    paths_of,
    sample_id_of,
)
from sqa_data.pairs import path_ids


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
    language: str | None = None  # ISO 639-1, as "en"
    scales: Mapping[str, tuple[float, float]] = field(
        default_factory=dict
    )  # label -> bounds, if not its usual ones
    extra: Mapping[str, Any] = field(default_factory=dict)  # further keys of the line, kept as they are


def read_manifest(path: str | Path) -> list[Utterance]:
    """All utterances of a manifest, in file order; relative audio paths are taken from the manifest's folder.

    Raises `DataError`, naming file and line, for anything that is not an utterance, and for a file without any.
    """
    return list(iter_manifest(path))


def iter_manifest(path: str | Path, audio_root: str | Path | None = None) -> Iterator[Utterance]:
    """`read_manifest` one utterance at a time: memory does not grow with the file.

    audio_root: where relative audio paths start, if not at the manifest's folder.
    """
    for _, utterance in numbered(path, audio_root):
        yield utterance


def numbered(
    path: str | Path,
    audio_root: str | Path | None = None,
    report: Callable[[str, str, str], object] | None = None,
) -> Iterator[tuple[int, Utterance]]:
    """`iter_manifest` with the number of each line.

    report: is called with ("schema", file:line, what is wrong) instead of raising `DataError` for a line that is no
    utterance, with ("nan", file:line, what is odd) for one that is not quite JSON, and with ("none", file, what is
    missing) for a file without an utterance.
    """
    base = os.path.abspath(Path(path).parent if audio_root is None else audio_root)
    pairs: dict[str, str] | None = None
    is_empty = True
    for number, line in open_lines(path):
        try:
            row = parse_object(line, None if report is None else partial(report, "nan", f"{path}:{number}"))
            if "audio_paths" not in row or "audio_path" in row:
                found = [utterance_of(row, base)]
            else:
                pairs = path_ids(path, base) if pairs is None else pairs
                found = _pair(row, base, pairs)
        except Wrong as error:
            if report is None:
                raise DataError(f"{path}:{number}: {error}") from None
            report("schema", f"{path}:{number}", str(error))
            continue
        for utterance in found:
            is_empty = False
            yield number, utterance
    if is_empty:
        text = "no utterance; expected one a line: the file was cut, or is another one"
        if report is None:
            raise DataError(f"{path}: {text}")
        report("none", str(path), text)


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
    row: dict[str, Any] = {
        "audio_path": audio_path if base is None else os.path.relpath(audio_path, base),
        "corpus": utterance.corpus,
        "split": utterance.split,
        "system_id": utterance.system_id,
        "sample_id": utterance.sample_id,
        "duration": utterance.duration,
        "sample_rate": utterance.sample_rate,
        "metrics": dict(utterance.metrics),
        "votes": utterance.votes,
        "mos_std": utterance.mos_std,
        "language": utterance.language,
        "scales": {label: list(bounds) for label, bounds in utterance.scales.items()} or None,
    }
    # a null system_id is written: the baseline's tools look the key up
    row = {key: value for key, value in row.items() if value is not None or key == "system_id"}
    row.update(utterance.extra)
    for label, value in utterance.metrics.items():
        if not math.isfinite(value):
            raise DataError(
                f"sample {utterance.sample_id!r}: {label} is {value}; leave out what is not known"
            )
    return json_line(row)


_KNOWN = frozenset(f.name for f in fields(Utterance)) - {"extra"}
_NONE: Mapping[str, Any] = {}


def utterance_of(row: JsonObject, base: str) -> Utterance:
    """The utterance of a row; `Wrong` for anything else. Relative audio paths start at `base`."""
    get = row.get
    audio_path, sample_id, duration = get("audio_path"), get("sample_id"), get("duration")
    if not isinstance(audio_path, str) or not audio_path or "\0" in audio_path:
        audio_path = paths_of(row)[0]  # says what is wrong with it
    if not isinstance(sample_id, str) or not sample_id:
        sample_id = sample_id_of(row)
    if sample_id is None or duration is None:
        missing = "sample_id" if sample_id is None else "duration"
        raise Wrong(f"no {missing!r}; expected audio_path, system_id, sample_id, duration, metrics")

    metrics = get("metrics")
    if metrics is None:
        metrics = {}
    elif not isinstance(metrics, dict):
        raise Wrong(f'metrics is {metrics!r}; expected an object such as {{"mos": 3.5}}')
    labels: dict[str, float] = {}
    for label, value in metrics.items():
        if type(value) is float and -math.inf < value < math.inf:
            labels[label] = value
        elif value is not None and value == value:  # null and NaN: not labelled
            labels[label] = _number(f"metrics.{label}", value, -sys.float_info.max)

    sample_rate, votes, mos_std = get("sample_rate"), get("votes"), get("mos_std")
    return Utterance(
        below(base, audio_path),
        sample_id,
        _number("duration", duration, 0),
        labels,
        id_text("system_id", get("system_id")),
        id_text("corpus", get("corpus")),
        id_text("split", get("split")),
        None if sample_rate is None else int(_number("sample_rate", sample_rate, 1)),
        None if votes is None else int(_number("votes", votes, 0)),
        None if mos_std is None or mos_std != mos_std else _number("mos_std", mos_std, 0),
        id_text("language", get("language")),
        _scales(row["scales"]) if "scales" in row else _NONE,
        _NONE if row.keys() <= _KNOWN else {k: v for k, v in row.items() if k not in _KNOWN},
    )


def _scales(value: Any) -> Mapping[str, tuple[float, float]]:
    """The bounds of each label whose listeners had another scale than usual."""
    if value is None:
        return _NONE
    given = value.items() if isinstance(value, dict) else [("", value)]
    scales: dict[str, tuple[float, float]] = {}
    for label, bounds in given:
        if not (isinstance(bounds, list) and len(bounds) == 2 and label):
            raise Wrong(f'scales is {value!r}; expected an object such as {{"mos": [1, 5]}}')
        low, high = (_number(f"scales.{label}", bound, -sys.float_info.max) for bound in bounds)
        if not 0 < high - low < math.inf:
            raise Wrong(
                f"scales.{label} is {bounds}; expected the lower bound first, and a width that is finite"
            )
        scales[label] = low, high
    return scales


def _pair(row: JsonObject, base: str, to_come: dict[str, str]) -> list[Utterance]:
    """The clips of a pair that have not been met before; what is met is taken from `to_come`."""
    paths, durations = paths_of(row), row.get("durations")
    if not isinstance(durations, list) or len(durations) != 2:
        raise Wrong(f"durations is {durations!r}; expected the lengths of both audio_paths")
    corpus, split = id_text("corpus", row.get("corpus")), id_text("split", row.get("split"))
    clips = []
    for audio_path, duration in zip((below(base, path) for path in paths), durations, strict=True):
        seconds = _number("durations", duration, 0)
        if (sample_id := to_come.pop(audio_path, None)) is not None:
            clips.append(Utterance(audio_path, sample_id, seconds, {}, corpus=corpus, split=split))
    return clips


def _number(key: str, value: Any, low: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong(f"{key} is {value!r}; expected a number")
    if not low <= value <= sys.float_info.max:
        raise Wrong(f"{key} is {value}; expected a finite number" + (f" >= {low:g}" if low >= 0 else ""))
    return float(value)
