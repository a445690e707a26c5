"""Single ratings: what one listener said of one clip, a line of JSON each, beside the manifest of the clips.

    {"sample_id": "a", "system_id": "s1", "listener_id": "L07", "label": "mos", "rating": 4}

`sample_id` is one of the manifest; `label` is what was asked, mos where it is not said. A `listener_id` of null is a
listener whom nobody knows, a `rating` of null none at all. `corpus` may tell apart clips of one name.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqa_data.errors import DataError
from sqa_data.lines import Wrong, id_text, json_line, open_lines, parse_object, sample_id_of


@dataclass(frozen=True, slots=True)
class SingleRating:
    """What one listener said of one clip."""

    sample_id: str
    value: float  # NaN: nothing
    label: str = "mos"
    listener_id: str | None = None  # None: not known
    system_id: str | None = None
    corpus: str | None = None  # None: the one of the manifest beside the file


def iter_ratings(path: str | Path) -> Iterator[tuple[int, SingleRating]]:
    """The ratings of a file with the number of each line; DataError naming file and line for what is none."""
    for number, line in open_lines(path):
        try:
            yield number, _rating(line)
        except Wrong as error:
            raise DataError(f"{path}:{number}: {error}") from None


def to_line(rating: SingleRating) -> bytes:
    """One line of a file of ratings, newline included.

    >>> to_line(SingleRating("a", 4.0, listener_id="L07"))
    b'{"sample_id":"a","system_id":null,"listener_id":"L07","label":"mos","rating":4.0}\\n'
    """
    row: dict[str, object] = {
        "sample_id": rating.sample_id,
        "system_id": rating.system_id,
        "listener_id": rating.listener_id,
        "label": rating.label,
        "rating": rating.value,
    }
    return json_line(row if rating.corpus is None else {"corpus": rating.corpus} | row)


def _rating(line: bytes) -> SingleRating:
    row = parse_object(line)
    sample_id, value = sample_id_of(row), row.get("rating")
    if sample_id is None or "rating" not in row:
        missing = "sample_id" if sample_id is None else "rating"
        raise Wrong(f"no {missing!r}; expected sample_id, listener_id, label, rating")
    if value is None or value != value:
        value = math.nan
    elif isinstance(value, bool) or not isinstance(value, int | float) or math.isinf(value):
        raise Wrong(f"rating is {value!r}; expected a number")
    names = (id_text(key, row.get(key)) for key in ("label", "listener_id", "system_id", "corpus"))
    label, *others = names
    return SingleRating(sample_id, float(value), label or "mos", *others)
