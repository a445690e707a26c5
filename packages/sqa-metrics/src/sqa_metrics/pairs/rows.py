"""Rows of one table of pairs: two clips and how much better the first is, in whichever way people write it.

- JSON Lines: `{"a": "u1", "b": "u2", "metrics": {"cmos": 1.5}, "votes": 8}`, where above 0 the first is better, or
  `{"a", "b", "preference": "a" | "b" | "tie"}`; `a` and `b` are ids, or rows of their own with `sample_id` and
  `system_id`; UrgentMOS's `{"audio_paths": [a, b], "metrics": {"mos_overall": x}}`;
- CSV with a header, data frames: the same names, `audio_a`, `audio_b`, `system_a`, `system_b`;
- answers of VoiceMOS 2026: `sample_id,pred_score` (CSV, list or scp), where a pair has an id of its own. These are read
  as scores are (`rows.read`), and `join` finds out whether the ids are pairs or clips.

A column that names the listener makes each row one vote; votes on (a, b) and on (b, a) are votes on one pair.
"""

import math
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from sqa_metrics.errors import MetricsError
from sqa_metrics.rows.ids import clip_id, listed_id, without_suffix
from sqa_metrics.rows.names import NAMES, choose
from sqa_metrics.rows.read import scores_of, table_of
from sqa_metrics.rows.records import Scores, Source
from sqa_metrics.rows.table import Table, of_rows
from sqa_metrics.rows.votes import average

EXAMPLE = '{"a": "u1", "b": "u2", "metrics": {"cmos": 1.5}}'
# what the column of a clip is called
SIDES = ("{}", "audio_{}", "wav_{}", "path_{}", "clip_{}", "sample_id_{}")
PATHS = ("audio_", "wav_", "path_")
SYSTEMS = ("system_{}", "system_id_{}")
CMOS = (("cmos",), ("mos_overall",), ("pred_score", "answer", "prediction"), ("score", "rating", "mos"))
DEVIATION = (("cmos_std",), ("mos_std", "std"))
PREFERENCES = {"a": 1.0, "tie": 0.0, "b": -1.0}

Key: TypeAlias = tuple[object, ...]


class Clip(NamedTuple):
    """One side of a pair; "" for what is not told."""

    system_id: str
    sample_id: str


class PairRow(NamedTuple):
    """One pair, or one listener's vote on it."""

    place: str  # file and line, for messages
    corpus: str
    a: Clip
    b: Clip
    value: float  # above 0: a is better; NaN: none
    pair_id: str = ""
    votes: float = math.nan
    std: float = math.nan  # sample standard deviation of the votes
    listener: str = ""

    def turned(self) -> "PairRow":
        """The same comparison, the other clip first."""
        return self._replace(a=self.b, b=self.a, value=-self.value)

    def key(self) -> Key:
        """What two rows about one pair share, in whichever order they name the clips."""
        if self.pair_id:
            return self.corpus, self.pair_id
        return (self.corpus, self.a, self.b) if self.a <= self.b else (self.corpus, self.b, self.a)

    def __str__(self) -> str:
        clips = " and ".join(repr("/".join(filter(None, clip))) for clip in (self.a, self.b))
        return repr(self.pair_id) if self.pair_id else clips


@dataclass(frozen=True)
class Pairs:
    """One table of pairs."""

    path: str
    rows: list[PairRow]  # one a pair
    ballots: list[PairRow]  # one a vote; where there are no listeners, `rows`
    preferences: bool  # words and not numbers: `value` is +1, 0 or -1, or the mean of those
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)


def read_pairs(source: Source, metric: str | None = None) -> "Pairs | Scores":
    """Read a table of pairs; `Scores` if its rows have one id each, of a pair or of a clip.

    Raises MetricsError naming file and line.

    >>> import io
    >>> read_pairs(io.BytesIO(b"a,b,cmos\\nu1,u2,-1.5\\n")).rows[0].value
    -1.5
    """
    table = table_of(source, "pairs")
    if not {"audio_paths", *(form.format(side) for form in SIDES for side in "ab")} & set(table.names):
        metric = metric or ("cmos" if "cmos" in table.metric_names else "mos")
        return scores_of(table, metric, "pred", None, {})
    (a, b), (value, words) = _clips(table), _values(table, metric)
    place = [table.place(row) for row in range(len(table))]
    corpus, listener = _texts(table, "corpus"), _texts(table, "listener_id")
    pair_id = table.texts("sample_id") if "sample_id" in table.names else [""] * len(table)
    votes = _amounts(table, "votes", NAMES["votes"])
    std = _amounts(table, "cmos_std", DEVIATION)
    columns = (place, corpus, a, b, value, pair_id, votes, std, listener)
    rows = list(map(PairRow, *columns))
    if own := next((row for row in rows if row.a == row.b), None):
        raise MetricsError(f"{own.place}: clip {own.a.sample_id!r} is paired with itself; expected two clips")
    ballots, notes = rows, tuple[str, ...]()
    if any(listener):
        if "" in listener:
            raise MetricsError(f"{place[listener.index('')]}: no rater; expected who gave each score")
        ballots = [row for row in rows if math.isfinite(row.value)]
        rows, notes = _averaged(rows)
    _require_once(rows)
    return Pairs(table.path, rows, ballots, words, notes)


# --- columns -----------------------------------------------------------------------------------------------------


def _texts(table: Table, what: str) -> list[str]:
    name = choose(what, NAMES[what], table.path, table.names, table.column)
    return table.texts(name) if name else [""] * len(table)


def _amounts(table: Table, what: str, tiers: tuple[tuple[str, ...], ...]) -> list[float]:
    name = choose(what, tiers, table.path, table.names, table.column)
    return table.amounts(name) if name else [math.nan] * len(table)


def _clips(table: Table) -> tuple[list[Clip], list[Clip]]:
    """The two clips of each row; paths are their names only where there are no ids."""
    if "audio_paths" in table.names and not {"a", "b"} <= set(table.names):
        both = [
            paths.tolist() if hasattr(paths, "tolist") else paths for paths in table.column("audio_paths")
        ]
        for row, paths in enumerate(both):
            if (
                not isinstance(paths, list | tuple)
                or len(paths) != 2
                or not all(isinstance(p, str) for p in paths)
            ):
                raise MetricsError(
                    f"{table.place(row)}: audio_paths is {paths!r}; expected the paths of two clips"
                )
        given, is_path = [[paths[side] for paths in both] for side in (0, 1)], True
        systems = [_systems(table, side) for side in "ab"]
    else:
        names = [next((n for form in SIDES if (n := form.format(side)) in table.names), "") for side in "ab"]
        if not all(names):
            raise MetricsError(
                f"{table.path}: clip {'ab'[names.index('')]} is missing; found {', '.join(table.names)}, "
                f"expected two clips a row, such as {EXAMPLE}"
            )
        is_path = all(name.startswith(PATHS) for name in names)
        sides = [_side(table, name, side) for name, side in zip(names, "ab", strict=True)]
        given, systems = [ids for ids, _ in sides], [system for _, system in sides]
    for side, ids in zip("ab", given, strict=True):
        if not all(ids):
            row = ids.index("")
            raise MetricsError(
                f"{table.place(row)}: clip {side} is missing; expected two clips, such as {EXAMPLE}"
            )
    ids = _ids(given) if is_path else [list(map(listed_id, side)) for side in given]
    a, b = (list(map(Clip, *columns)) for columns in zip(systems, ids, strict=True))
    return a, b


def _side(table: Table, name: str, side: str) -> tuple[list[str], list[str]]:
    """The ids and the systems of one clip of each row, which may be a row of its own."""
    values = table.column(name)
    if not any(isinstance(value, Mapping) for value in values):
        return table.texts(name), _systems(table, side)
    own = [value if isinstance(value, Mapping) else {"sample_id": value} for value in values]
    part = of_rows(table.path, own, table.lines, in_memory=table.in_memory)
    return part.texts("sample_id"), part.texts("system_id")


def _systems(table: Table, side: str) -> list[str]:
    name = next((n for form in SYSTEMS if (n := form.format(side)) in table.names), None)
    return table.texts(name) if name else [""] * len(table)


def _ids(paths: Sequence[Sequence[str]]) -> list[list[str]]:
    """Ids of paths; where clips of one name lie in several folders, the paths below the common folder."""
    told = [[path.replace("\\", "/") for path in side] for side in paths]
    each = set(told[0]) | set(told[1])
    ids = {path: clip_id(path) for path in each}
    if len(set(ids.values())) < len(each) and len({path[:1] == "/" for path in each}) == 1:
        common = posixpath.commonpath([posixpath.dirname(path) for path in each]) or "."
        ids = {path: without_suffix(posixpath.relpath(path, common)) for path in each}
    return [[ids[path] for path in side] for side in told]


def _values(table: Table, metric: str | None) -> tuple[list[float], bool]:
    """How much better the first clip of each row is; and whether rows say so in words."""
    name = choose("cmos", ((metric,),) if metric else CMOS, table.path, table.metric_names, table.metric)
    words = table.column("preference") if "preference" in table.names else [None] * len(table)
    if name is not None:
        value = table.numbers(name, table.metric(name))
        for row, word in enumerate(words):
            if word is not None and math.isnan(value[row]):
                raise MetricsError(
                    f"{table.place(row)}: a preference among rows with {name}; judge them apart"
                )
        return value, False
    if metric or "preference" not in table.names:
        raise MetricsError(
            f"{table.path}: no {metric or 'cmos'}; found {', '.join(table.metric_names)}, expected {EXAMPLE}, "
            "or a preference: a, b or tie"
        )
    for row, word in enumerate(words):
        if word is not None and (not isinstance(word, str) or word.casefold() not in PREFERENCES):
            raise MetricsError(f"{table.place(row)}: preference is {word!r}; expected a, b or tie")
    return [math.nan if word is None else PREFERENCES[word.casefold()] for word in words], True


# --- votes -------------------------------------------------------------------------------------------------------


def _averaged(rows: list[PairRow]) -> tuple[list[PairRow], tuple[str, ...]]:
    """One row a pair, in the order of its first vote; and notes about votes that are missing or repeated."""
    votes: dict[Key, dict[str, list[float]]] = {}
    first: dict[Key, PairRow] = {}
    missing, again = list[PairRow](), list[PairRow]()
    for row in rows:
        lead = first.setdefault(row.key(), row)
        turned = row if (row.a, row.b) == (lead.a, lead.b) else row.turned()
        if (turned.a, turned.b) != (lead.a, lead.b):
            raise MetricsError(f"{row.place}: pair {row} is of other clips than at {lead.place}")
        own = votes.setdefault(row.key(), {}).setdefault(row.listener, [])
        if not math.isfinite(row.value):
            missing.append(row)
            continue
        if own:
            again.append(row)
        own.append(turned.value)
    result = []
    for key, lead in first.items():
        mean, n, spread = average([math.fsum(own) / len(own) for own in votes[key].values() if own])
        result.append(lead._replace(value=mean, votes=n, std=spread, listener=""))
    told = (
        (missing, "no score; the other votes on this pair count"),
        (again, "judged again by the same listener, whose votes on this pair count as one, their mean"),
    )
    return result, tuple(
        f"{some[0].place}: {text}" + (f" ({len(some) - 1} more such rows)" if len(some) > 1 else "")
        for some, text in told
        if some
    )


def _require_once(rows: list[PairRow]) -> None:
    seen: dict[Key, PairRow] = {}
    for row in rows:
        first = seen.setdefault(row.key(), row)
        if first is not row:
            value = row.value if row.a == first.a else -row.value
            same = value == first.value or (math.isnan(value) and math.isnan(first.value))
            other = "" if same else f" with another answer ({first.value:g}, then {value:g})"
            raise MetricsError(
                f"{row.place}: pair {row} of {first.place} is there again{other}; expected each pair once. Single "
                f"votes need a column that names the listener: one of {', '.join(NAMES['listener_id'][1])}"
            )
