"""Pairs: what listeners said of two clips, one heard after the other, a line of JSON each, beside the clips' manifest.

    {"corpus": "urgent2026-sqa", "a": "s1_u7", "b": "s2_u7", "metrics": {"cmos": 1.5}, "votes": 8}
    {"corpus": "speechjudge", "a": "0a", "b": "0b", "preference": "tie", "votes": 2}

`a` and `b` are sample_ids of the manifest, cmos is the comparison mean opinion score of ITU-T P.800, Annex E: -3 to 3,
above 0 where a is better. Two other forms are read, whose rows say where the clips are: `a` and `b` as rows of their
own ({"sample_id", "audio_path", "duration"}), and UrgentMOS's

    {"audio_paths": ["x/0a.wav", "x/0b.wav"], "durations": [1.5, 2.25], "metrics": {"mos_overall": -1.0}}

whose clips get their ids from all paths of the file together. Its mos_overall is a preference (-1, 0, 1) or the
difference of two MOS, so that it may reach 4.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqa_data.atomic import atomic_write
from sqa_data.errors import DataError
from sqa_data.ids import clip_ids
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

CMOS = (-3.0, 3.0)
DIFFERENCE = (-4.0, 4.0)  # of two MOS
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
    audio_paths: tuple[str, str] | None = None  # as its row says; None: a manifest knows its clips


def iter_pairs(path: str | Path, *, unlabelled: bool = False) -> Iterator[tuple[int, Pair]]:
    """The pairs of a file with the number of each line; DataError naming file and line for what is none.

    unlabelled: a pair of which nobody said anything is one, too, as in a test whose answers are kept back.
    """
    ids: dict[str, str] | None = None
    base = os.path.abspath(Path(path).parent)  # noqa: PTH100  as manifests have it
    for number, line in open_lines(path):
        try:
            row = parse_object(line)
            if has_paths_alone(row):
                ids = path_ids(path, base) if ids is None else ids
                pair = _of_paths(row, base, ids)
            else:
                pair = _of_ids(row)
            if not unlabelled and pair.cmos is None and pair.preference is None:
                raise Wrong(
                    'neither metrics.cmos nor preference; expected {"a": …, "b": …, "metrics": {"cmos": 1.5}}'
                )
        except Wrong as error:
            raise DataError(f"{path}:{number}: {error}") from None
        yield number, pair


def has_paths_alone(row: JsonObject) -> bool:
    """Whether a row says where its clips are and does not name them, as UrgentMOS's do."""
    return "audio_paths" in row and not ("a" in row and "b" in row)


def pair_id(pair: Pair) -> str:
    """The name of a pair: ID if its clips are ID_a and ID_b, which rows of parquet files become; else both names.

    >>> pair_id(Pair("ccr_7_a", "ccr_7_b")), pair_id(Pair("x_a", "y_b"))
    ('ccr_7', 'x_a|y_b')
    """
    name = pair.a.removesuffix("_a")
    return name if name and (pair.a, pair.b) == (f"{name}_a", f"{name}_b") else f"{pair.a}|{pair.b}"


def path_ids(path: str | Path, base: str) -> dict[str, str]:
    """Audio -> id, of all pairs in a file whose rows name no clip: ids come from the paths together.

    base: where relative paths start.
    """
    found: dict[str, None] = {}
    for _, line in open_lines(path):
        with suppress(Wrong):  # reported when its turn comes
            row = parse_object(line)
            if "audio_paths" in row and "audio_path" not in row:
                found.update((below(base, audio_path), None) for audio_path in paths_of(row))
    return dict(zip(found, clip_ids(list(found)), strict=True))


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


def _of_ids(row: JsonObject) -> Pair:
    """The pair of a row that names its clips, or has a row of its own for each."""
    sides = [row.get(side) for side in "ab"]
    own = [side for side in sides if isinstance(side, dict)]
    a, b = (
        sample_id_of(s) if isinstance(s, dict) else id_text(n, s) for n, s in zip("ab", sides, strict=True)
    )
    if not a or not b or a == b:
        raise Wrong(f"a is {a!r} and b is {b!r}; expected the sample_ids of two clips")
    paths = [path for side in own if "audio_path" in side for path in paths_of(side)]
    return _said(row, a, b, "cmos", CMOS, (paths[0], paths[1]) if len(paths) == 2 else None)


def _of_paths(row: JsonObject, base: str, ids: dict[str, str]) -> Pair:
    """The pair of a row of UrgentMOS."""
    paths = paths_of({"audio_paths": row["audio_paths"]})
    a, b = (ids[below(base, path)] for path in paths)
    if a == b:
        raise Wrong(f"audio_paths are both {paths[0]!r}; expected two clips")
    metrics = row.get("metrics") or {}
    is_theirs = isinstance(metrics, dict) and metrics.get("cmos") is None
    name, bounds = ("mos_overall", DIFFERENCE) if is_theirs else ("cmos", CMOS)
    return _said(row, a, b, name, bounds, (paths[0], paths[1]))


def _said(
    row: JsonObject, a: str, b: str, name: str, bounds: tuple[float, float], paths: tuple[str, str] | None
) -> Pair:
    """The pair of two clips with what a row says of them."""
    metrics, preference, votes = row.get("metrics") or {}, row.get("preference"), row.get("votes")
    if not isinstance(metrics, dict):
        raise Wrong(f'metrics is {metrics!r}; expected an object such as {{"cmos": 1.5}}')
    cmos = metrics.get(name)
    if cmos is not None and (type(cmos) not in (int, float) or not bounds[0] <= cmos <= bounds[1]):
        raise Wrong(f"{name} is {cmos!r}; expected a number in {bounds[0]:g}..{bounds[1]:g}")
    if preference not in (None, *PREFERENCES):
        raise Wrong(f"preference is {preference!r}; expected one of {', '.join(PREFERENCES)}")
    if votes is not None and (type(votes) is not int or votes < 1):
        raise Wrong(f"votes is {votes!r}; expected a whole number of at least 1")
    corpus = id_text("corpus", row.get("corpus"))
    return Pair(a, b, cmos, preference, votes, corpus, audio_paths=paths)
