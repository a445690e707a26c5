"""The two URGENT corpora: parquet files that carry labels and encoded audio, one row a clip.

`sqa_data.sources.parquet` writes the audio out as files (it is the unpacking of these corpora); here only labels are
read.
"""

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqa_data.corpus import Sample
from sqa_data.errors import DataError
from sqa_data.labels import RANGES
from sqa_data.sources.parquet import audio_path, parts, read_columns, suffix_of

PLAIN = ("sample_id", "system_id", "audio.path", "raw_ratings", "language", "mos")


def parser(splits: dict[str, tuple[str, ...]]) -> Callable[[Path], Iterator[Sample]]:
    """The `parse` of a corpus whose `splits` are made of these parts of the repository."""

    def parse(root: Path) -> Iterator[Sample]:
        for split, names in splits.items():
            for name in names:
                for path in parts(root, name):
                    yield from _read(path, split, name)

    return parse


def _read(path: Path, split: str, part: str) -> Iterator[Sample]:
    names, rows = read_columns(path, [*PLAIN, *(label for label in RANGES if label != "mos")])
    at = {name: index for index, name in enumerate(names)}
    labels = [(name, index) for name, index in at.items() if name in RANGES]
    for line, row in enumerate(rows, start=1):
        sample_id, system_id, clip, given, language = (
            row[at[name]] if name in at else None for name in PLAIN[:5]
        )
        if not sample_id:
            raise DataError(f"{path}: row {line}: no sample_id")
        yield Sample(
            split=split,
            audio=audio_path(part, str(system_id or ""), str(sample_id), suffix_of(clip)),
            sample_id=str(sample_id),
            system_id=None if system_id is None else str(system_id),
            # null and NaN: not computed for this clip
            metrics={name: float(v) for name, index in labels if (v := row[index]) is not None and v == v},
            ratings=tuple(_ratings(given, path, line)) if given else (),
            language=str(language) if language else None,
        )


def _ratings(value: Any, path: Path, line: int) -> Iterator[float]:
    """Numbers in 1..5, given as a list of numbers or as the text of one."""
    try:
        given = [float(rating) for rating in (json.loads(value) if isinstance(value, str) else value)]
    except (TypeError, ValueError):
        given = [math.nan]
    for rating in given:
        if not 1 <= rating <= 5:
            raise DataError(f"{path}: row {line}: raw_ratings is {value!r}; expected numbers in 1..5")
        yield rating
