"""The two URGENT corpora: parquet files that carry labels and encoded audio, one row a clip.

`sqa_data.parquet` writes the audio out as files (it is the unpacking of these corpora); here only labels are
read.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ..corpus import Sample
from ..errors import DataError
from ..labels import RANGES
from ..parquet import audio_path, iter_columns, parts, suffix_of

PLAIN = ("sample_id", "system_id", "mos", "raw_ratings", "audio.path")


def parser(splits: dict[str, tuple[str, ...]]) -> Callable[[Path], Iterator[Sample]]:
    """The `parse` of a corpus whose `splits` are made of these parts of the repository."""

    def parse(root: Path) -> Iterator[Sample]:
        for split, names in splits.items():
            for name in names:
                for path in parts(root, name):
                    yield from _read(path, split, name)

    return parse


def _read(path: Path, split: str, part: str) -> Iterator[Sample]:
    labels = [label for label in RANGES if label != "mos"]
    for line, row in enumerate(iter_columns(path, [*PLAIN, *labels]), start=1):
        sample_id, system_id = row.get("sample_id"), row.get("system_id")
        if not sample_id:
            raise DataError(f"{path}: row {line}: no sample_id")
        metrics = {}
        for label in ("mos", *labels):
            value = row.get(label)
            if value is not None and not math.isnan(value):  # not computed for this clip
                metrics[label] = float(value)
        ratings = tuple(_ratings(row.get("raw_ratings"), path, line))
        yield Sample(
            split=split,
            audio=audio_path(part, str(system_id or ""), str(sample_id), suffix_of(row.get("audio"))),
            sample_id=str(sample_id),
            system_id=None if system_id is None else str(system_id),
            metrics=metrics,
            ratings=ratings,
        )


def _ratings(value: Any, path: Path, line: int) -> Iterator[float]:
    for rating in value or ():
        if isinstance(rating, bool) or not isinstance(rating, int | float) or not 1 <= rating <= 5:
            raise DataError(f"{path}: row {line}: raw_ratings holds {rating!r}; expected numbers in 1..5")
        yield float(rating)
