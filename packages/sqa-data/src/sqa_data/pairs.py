"""Pairs: what listeners said of two clips, one heard after the other, a line of JSON each, beside the clips' manifest.

    {"corpus": "urgent2026-sqa", "a": "s1_u7", "b": "s2_u7", "metrics": {"cmos": 1.5}, "votes": 8}
    {"corpus": "speechjudge", "a": "0a", "b": "0b", "preference": "tie", "votes": 2}

`a` and `b` are sample_ids of the manifest, cmos is the comparison mean opinion score of ITU-T P.800, Annex E: -3 to 3,
above 0 where a is better.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqa_data.atomic import atomic_write
from sqa_data.errors import DataError
from sqa_data.lines import Wrong, id_text, json_line, open_lines, parse_object

CMOS = (-3.0, 3.0)
PREFERENCES = ("a", "b", "tie")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two clips and which is better: by a mean of comparisons, by a preference, or both."""

    a: str
    b: str
    cmos: float | None = None
    preference: Literal["a", "b", "tie"] | None = None
    votes: int | None = None
    corpus: str | None = None
    split: str | None = None  # where it comes from; a file of pairs lies in the folder of its split


def iter_pairs(path: str | Path) -> Iterator[tuple[int, Pair]]:
    """The pairs of a file with the number of each line; DataError naming file and line for what is none."""
    for number, line in open_lines(path):
        try:
            yield number, _pair(line)
        except Wrong as error:
            raise DataError(f"{path}:{number}: {error}") from None


def write_pairs(path: str | Path, pairs: Iterable[Pair]) -> int:
    """Write a file of pairs, whole or not at all; returns how many."""
    count = 0
    with atomic_write(Path(path)) as file:
        for pair in pairs:
            file.write(to_line(pair))
            count += 1
    return count


def to_line(pair: Pair) -> bytes:
    """One line of a file of pairs, newline included.

    >>> to_line(Pair("x", "y", cmos=0.5, votes=4))
    b'{"a":"x","b":"y","metrics":{"cmos":0.5},"votes":4}\\n'
    """
    row = {
        "corpus": pair.corpus,
        "a": pair.a,
        "b": pair.b,
        "metrics": None if pair.cmos is None else {"cmos": pair.cmos},
        "preference": pair.preference,
        "votes": pair.votes,
    }
    return json_line({key: value for key, value in row.items() if value is not None})


def _pair(line: bytes) -> Pair:
    row = parse_object(line)
    a, b = (id_text(side, row.get(side)) for side in ("a", "b"))
    if not a or not b or a == b:
        raise Wrong(f"a is {a!r} and b is {b!r}; expected the sample_ids of two clips")
    metrics, preference, votes = row.get("metrics") or {}, row.get("preference"), row.get("votes")
    if not isinstance(metrics, dict):
        raise Wrong(f'metrics is {metrics!r}; expected an object such as {{"cmos": 1.5}}')
    cmos = metrics.get("cmos")
    if cmos is not None and (type(cmos) not in (int, float) or not CMOS[0] <= cmos <= CMOS[1]):
        raise Wrong(f"cmos is {cmos!r}; expected a number in {CMOS[0]:g}..{CMOS[1]:g}")
    if preference not in (None, *PREFERENCES):
        raise Wrong(f"preference is {preference!r}; expected one of {', '.join(PREFERENCES)}")
    if votes is not None and (type(votes) is not int or votes < 1):
        raise Wrong(f"votes is {votes!r}; expected a whole number of at least 1")
    if cmos is None and preference is None:
        raise Wrong(
            'neither metrics.cmos nor preference; expected {"a": …, "b": …, "metrics": {"cmos": 1.5}}'
        )
    return Pair(a, b, cmos, preference, votes, id_text("corpus", row.get("corpus")))
