"""Pairs made of single clips: the difference of their labels stands for what a comparison of them would say.

So UrgentMOS trains its comparative head. Inside a group (the clips of one corpus and split, of one reference clip
among these, or all) clips are sorted by label. The partners of a clip whose labels are higher by at least `low` and
less than `high` are then a run of those behind it, which bisection finds. So pairs are numbered without being made,
and a draw of numbers is a draw of pairs: each as likely, none twice, in memory of the clips and the drawn pairs alone.
Labels are compared in whole millionths: 3.3 and 3.1 are .2 apart.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from sqa_data.choose import merged
from sqa_data.errors import DataError
from sqa_data.groups import reference_of
from sqa_data.ids import short_hash
from sqa_data.labels import MOS, RANGES, is_opinion
from sqa_data.manifest import Utterance
from sqa_data.pairs import CMOS, Pair

Within = Literal["corpus", "reference", "any"]
Balance = Literal["outcome", "corpus"]

UNITS = 1_000_000  # of one point of a label
GROUP = 10 * UNITS  # more than two labels of one group can differ by
TIE = 0.5  # UrgentMOS calls a smaller difference a tie
USUAL = 100_000  # pairs, where nobody says how many


@dataclass(frozen=True)
class Drawn:
    """Pairs, and what they were drawn from."""

    pairs: Iterator[Pair]  # in random order, made as they are asked for
    count: int
    possible: int  # pairs that the wish allows
    clips: int  # that have the label
    unlabelled: int
    outcomes: dict[str, int]  # "a", "b" (is better) and "tie" -> pairs
    clamped: int  # pairs whose difference is beyond the scale of CMOS, and is moved to its end


class _Row(NamedTuple):
    """One clip, as it is read."""

    group: tuple[str, ...]  # what clips that are paired share; the corpus comes first
    value: int  # the label in UNITS
    mixed: int  # makes the order of equal labels one of the clips, not of the files
    sample_id: str
    corpus: str | None


@dataclass(frozen=True)
class _Clips:
    """Clips with a label, by group and label."""

    sample_ids: list[str]
    corpora: list[str | None]
    values: np.ndarray  # (clips,) int64: the label in UNITS
    keys: np.ndarray  # (clips,) int64, ascending: group * GROUP + value
    unlabelled: int


@dataclass(frozen=True)
class _Span:
    """All pairs of a group whose labels are from `low` to below `high` apart, numbered from 0."""

    first: np.ndarray  # (clips,) the first partner of each clip, behind it
    ends: np.ndarray  # (clips,) int64: how many pairs there are up to and with those of each clip

    def pairs(self, numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The lower and the higher clip of these pairs."""
        low = np.searchsorted(self.ends, numbers, side="right")
        before = np.where(low > 0, self.ends[low - 1], 0)
        return low, self.first[low] + numbers - before


@dataclass(frozen=True)
class _Cell:
    """Some pairs of a span, those with numbers from `start` on, of which a part is drawn."""

    span: _Span
    start: int
    count: int
    weight: int


def draw_pairs(
    manifests: Iterable[str | Path],
    *,
    label: str = "mos",
    within: Within = "corpus",
    margin: float = 0.0,
    n: int | None = None,
    share: float | None = None,
    balance: Collection[Balance] = (),
    tie: float = TIE,
    seed: int = 0,
) -> Drawn:
    """Draw pairs of the clips of manifests.

    Args:
        label: what the clips were rated for, on a scale of 1 to 5.
        within: which clips are paired: those of one corpus and split, of one reference clip among these, or any two.
        margin: how far their labels are apart at least; 0 keeps ties.
        n, share: how many pairs, or which part of all that there are; 100,000 if neither is said.
        balance: "corpus": as many pairs of each corpus; "outcome": as many that a wins, that b wins, and ties. Where
            there are too few of one, the others make up for them. Else each pair is as likely as any other.
        tie: below this difference a pair counts as a tie.
        seed: the same pairs for the same seed, whatever the order of the clips.

    Every second pair has the better clip first, as far as that can be. Raises DataError for clips that cannot be
    compared, and where no pair is to be had.
    """
    if "corpus" in balance and within == "any":
        raise DataError("pairs of any two clips belong to no corpus; balance them by outcome alone")
    clips = _read(manifests, label, within)
    # equal labels are a tie, whatever else is
    closest, decided = _units(margin), max(1, _units(tie))
    spans = [(_span(clips, closest, GROUP), 1)]
    if "outcome" in balance:
        middle = max(closest, decided)
        # decided pairs have two outcomes
        spans = [(_span(clips, closest, middle), 1), (_span(clips, middle, GROUP), 2)]
    possible = sum(int(span.ends[-1]) for span, _ in spans if len(span.ends))
    if not possible:
        raise DataError(_no_pair(clips, within, margin, label))
    if n is None:
        n = USUAL if share is None else max(1, round(share * possible))
    a, b = _draw(_plan(clips, spans, n, balance), np.random.default_rng(seed))
    cmos = clips.values[a] - clips.values[b]
    outcomes = {"a": cmos >= decided, "b": cmos <= -decided, "tie": abs(cmos) < decided}
    return Drawn(
        pairs=_made(clips, a, b, cmos),
        count=len(a),
        possible=possible,
        clips=len(clips.sample_ids),
        unlabelled=clips.unlabelled,
        outcomes={outcome: int(having.sum()) for outcome, having in outcomes.items()},
        clamped=int((abs(cmos) > CMOS[1] * UNITS).sum()),
    )


# --- clips -------------------------------------------------------------------------------------------------------


def _read(manifests: Iterable[str | Path], label: str, within: Within) -> _Clips:
    """The clips that have the label."""
    found: list[_Row] = []
    unlabelled = 0
    for utterance in merged(manifests):
        if label not in utterance.metrics:
            unlabelled += 1
            continue
        sample_id, corpus = utterance.sample_id, utterance.corpus
        mixed = short_hash(corpus, sample_id)
        found.append(_Row(_group(utterance, within), _value(utterance, label), mixed, sample_id, corpus))
    if within == "any":
        _require_own_names(found)
    found.sort(key=lambda row: row[:3])
    codes = {group: code for code, group in enumerate(dict.fromkeys(row.group for row in found))}
    values = np.array([row.value for row in found], dtype=np.int64)
    groups = np.array([codes[row.group] for row in found], dtype=np.int64)
    sample_ids, corpora = [row.sample_id for row in found], [row.corpus for row in found]
    return _Clips(sample_ids, corpora, values, groups * GROUP + values, unlabelled)


def _group(utterance: Utterance, within: Within) -> tuple[str, ...]:
    if within == "any":
        return ()
    group = utterance.corpus or "", utterance.split or ""
    if within == "corpus":
        return group
    reference = reference_of(utterance)
    if reference is None:
        raise DataError(
            f"sample {utterance.sample_id!r} of {utterance.corpus or 'no corpus'}: its reference is not known; "
            "expected the key reference_id in its row, or --within corpus"
        )
    return *group, reference


def _value(utterance: Utterance, label: str) -> int:
    """The label in UNITS; DataError for what no CMOS is a difference of."""
    usual = MOS if is_opinion(label) else (-1.0, -1.0)
    low, high = utterance.scales.get(label) or RANGES.get(label) or usual
    value, where = utterance.metrics[label], f"sample {utterance.sample_id!r}: {label}"
    if (low, high) != MOS:
        remedy = f"; `sqa-cli data merge --rescale {label}` maps it" if label in utterance.scales else ""
        raise DataError(f"{where} has another scale than 1 to 5, whose differences are a CMOS{remedy}")
    if not 0 <= value <= 6:
        raise DataError(f"{where} is {value:g}; expected 1 to 5")
    return round(value * UNITS)


def _require_own_names(found: Iterable[_Row]) -> None:
    """DataError where two corpora have a clip of one name, which a pair without a corpus could not tell apart."""
    corpora: dict[str, str | None] = {}
    for row in found:
        if (other := corpora.setdefault(row.sample_id, row.corpus)) != row.corpus:
            raise DataError(
                f"sample_id {row.sample_id!r} is in {other} and in {row.corpus}; a pair of clips of two corpora names "
                "them by it alone"
            )


# --- drawing -----------------------------------------------------------------------------------------------------


def _units(points: float) -> int:
    return round(points * UNITS)


def _span(clips: _Clips, low: int, high: int) -> _Span:
    keys = clips.keys
    ends_of_group = (keys // GROUP + 1) * GROUP
    own = np.arange(1, len(keys) + 1)
    first = np.maximum(np.searchsorted(keys, keys + low), own)
    last = np.maximum(np.searchsorted(keys, np.minimum(keys + high, ends_of_group)), first)
    return _Span(first, np.cumsum(last - first))


def _plan(
    clips: _Clips, spans: Sequence[tuple[_Span, int]], n: int, balance: Collection[Balance]
) -> Iterator[tuple[_Cell, int]]:
    """How many pairs are drawn of which part of all."""
    edges = [0, len(clips.corpora)]
    if "corpus" in balance:
        # clips are sorted by corpus first
        edges[1:1] = [i for i in range(1, len(clips.corpora)) if clips.corpora[i] != clips.corpora[i - 1]]
    corpora: list[list[_Cell]] = []
    for start, end in pairwise(edges):
        cells = []
        for span, weight in spans:
            before = int(span.ends[start - 1]) if start else 0
            cells.append(_Cell(span, before, int(span.ends[end - 1]) - before, weight))
        corpora.append(cells)
    of_corpus = dealt(n, [sum(cell.count for cell in cells) for cells in corpora], [1] * len(corpora))
    for cells, share in zip(corpora, of_corpus, strict=True):
        counts = dealt(share, [cell.count for cell in cells], [cell.weight for cell in cells])
        yield from zip(cells, counts, strict=True)


def dealt(n: int, most: Sequence[int], weights: Sequence[int]) -> list[int]:
    """`n` dealt out by weight to those who take at most so many; what one cannot take goes to the others.

    >>> dealt(10, [100, 100], [1, 1]), dealt(10, [2, 100], [1, 2]), dealt(10, [3, 4], [1, 1])
    ([5, 5], [2, 8], [3, 4])
    """
    given = [0] * len(most)
    while (left := n - sum(given)) > 0:
        room = [i for i in range(len(most)) if given[i] < most[i]]
        if not room:
            break
        weight = sum(weights[i] for i in room)
        # the last few go one by one
        parts = [left * weights[i] // weight for i in room]
        if not any(parts):
            parts = [int(k < left) for k in range(len(room))]
        for i, part in zip(room, parts, strict=True):
            given[i] += min(part, most[i] - given[i])
    return given


def _draw(plan: Iterable[tuple[_Cell, int]], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The first and the second clip of each pair, (pairs,) int64, in random order."""
    firsts, seconds = [], []
    for cell, n in plan:
        lower, higher = cell.span.pairs(cell.start + distinct(cell.count, n, rng))
        # they come in random order, so this is half of them at random
        turned = (np.arange(n) + rng.integers(2)) % 2 == 1
        firsts.append(np.where(turned, higher, lower))
        seconds.append(np.where(turned, lower, higher))
    a, b = np.concatenate(firsts), np.concatenate(seconds)
    order = rng.permutation(len(a))
    return a[order], b[order]


def distinct(count: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """`n` different numbers below `count`, each set as likely, in random order and in memory of some `n`."""
    if count <= 4 * n:
        return rng.permutation(count)[:n]
    found = np.empty(0, dtype=np.int64)
    while len(found) < n:
        more = np.concatenate([found, rng.integers(count, size=n - len(found))])
        _, first = np.unique(more, return_index=True)
        found = more[np.sort(first)]
    return found


def _made(clips: _Clips, a: np.ndarray, b: np.ndarray, cmos: np.ndarray) -> Iterator[Pair]:
    low, high = CMOS
    for one, other, difference in zip(a, b, cmos, strict=True):
        corpus = clips.corpora[one] if clips.corpora[one] == clips.corpora[other] else None
        value = min(max(int(difference) / UNITS, low), high)
        yield Pair(clips.sample_ids[one], clips.sample_ids[other], value, corpus=corpus)


def _no_pair(clips: _Clips, within: Within, margin: float, label: str) -> str:
    """Why there is none."""
    if len(clips.sample_ids) < 2:
        return f"{len(clips.sample_ids)} clips have the label {label}; expected at least two"
    groups = len(set((clips.keys // GROUP).tolist()))
    what = {"corpus": "one corpus and split", "reference": "one reference clip", "any": "any kind"}[within]
    apart = f" whose {label} differs by {margin:g} or more" if margin else ""
    return f"{len(clips.sample_ids):,} clips in {groups:,} groups hold no two of {what}{apart}"
