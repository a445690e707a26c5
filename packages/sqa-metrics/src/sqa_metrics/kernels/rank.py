"""Exact rank statistics at any size, and many predictors at once: the fast form of `plain`.

Import only when the work repays it (`choose`): Numba's import costs 0.3 s, and the first call of a kernel some tens of
milliseconds from the cache or seconds without (`warmup` fills it). Every rank statistic comes from integers
(`Counts`), so these agree with `plain` to the last bit. The loops are in `packing`, `sums` and `inversions`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sqa_metrics.kernels import inversions, leave_out, packing, sums
from sqa_metrics.kernels.arrays import Counts, near_one
from sqa_metrics.kernels.plain import cosine
from sqa_metrics.kernels.threads import in_threads
from sqa_metrics.numbers import NonFiniteError

SMALL = 160  # up to here comparing all pairs is quicker than sorting (benchmarks/bench_agreement.py)
MANY = 800  # from here on it pays to try whether one side is discrete
NONE = np.empty(0, np.uint32)


# ---------------------------------------------------------------- one pair


class _Order(NamedTuple):
    """One array in ascending order, with its ties: what every comparison against it needs."""

    first: np.ndarray  # (n,) sorted (key, index), packed
    bits: int  # of the index
    rank: np.ndarray  # (n,) and
    begin: np.ndarray  # (n,) as `groups` gives them; empty without ties
    tied: int  # pairs of equal values
    rank_square: int  # sum of squared doubled centred mid-ranks


def _order(x: np.ndarray) -> _Order:
    n = x.size
    bits = max(1, (n - 1).bit_length())
    first = np.empty(n, np.uint64)
    status = packing.pack(x, bits, first)
    if status == 2:
        raise NonFiniteError
    first.sort()
    repeats: int = packing.repeats(first, bits)
    if repeats and status == 1:
        repeats = packing.repair(first, x, first[:0], bits)
        if repeats == 2:
            return _order(_dense(x))
    if not repeats:
        return _Order(first, bits, NONE, NONE, 0, (n**3 - n) // 3)
    rank, begin = np.empty(n, np.uint32), np.empty(n, np.uint32)
    tied, cube_high, cube_low = sums.groups(first, x, status == 1, bits, rank, begin)
    return _Order(first, bits, rank, begin, tied, (n**3 - (cube_high << 24) - cube_low) // 3)


def _dense(values: np.ndarray) -> np.ndarray:
    """Replace values by their dense ranks: same order, and they pack exactly."""
    return np.unique(values, return_inverse=True)[1].astype(np.float64)


def _against(x: _Order, y: np.ndarray, tau: bool = True) -> Counts:
    """The sums of the ordered x with y: gather y in the order of x, sort it back, see what moved."""
    n = y.size
    second = np.empty(n, np.uint64)
    status = packing.gather(x.first, y, x.bits, second)
    if status == 2:
        raise NonFiniteError
    second.sort()
    repeats: int = packing.repeats(second, x.bits)
    if repeats and status == 1:
        repeats = packing.repair(second, y, x.first, x.bits)
        if repeats == 2:
            return _against(x, _dense(y), tau)
    perm = np.empty(n, np.uint32)
    if repeats or x.tied:
        found = sums.tied_sums(second, x.first, y, status == 1, x.bits, x.rank, x.begin.copy(), perm)
    else:
        found = (0, 0, 0, n, *sums.distinct_sums(second, x.bits, perm))
    discordant = inversions.inversions(perm, second.view(np.uint32)[:n]) if tau else 0
    return _counts(n, x, found, discordant)


def _counts(n: int, x: _Order, found: tuple[int, ...], discordant: int) -> Counts:
    tied_y, both, cube_high, cube_low, high, low = found
    pairs = n * (n - 1) // 2
    return Counts(
        concordance=pairs - x.tied - tied_y + both - 2 * discordant,
        untied_x=pairs - x.tied,
        untied_y=pairs - tied_y,
        rank_xy=(high << 24) + low,
        rank_xx=x.rank_square,
        rank_yy=(n**3 - (cube_high << 24) - cube_low) // 3,
    )


def _discrete(x: np.ndarray, y: np.ndarray, tau: bool) -> Counts | None:
    """The sums when x has few levels: one sort of (y, level of x), and no gather. None if it has not."""
    n = x.size
    codes, code_rank, levels = (
        np.empty(n, np.uint16),
        np.empty(packing.LEVELS, np.uint16),
        np.empty(packing.LEVELS),
    )
    count = packing.levels(x, codes, levels, code_rank)
    if count < 0:
        return None
    if not np.isfinite(levels[:count]).all():
        raise NonFiniteError
    bits = max(1, (count - 1).bit_length())
    second, sizes = np.empty(n, np.uint64), np.zeros(count, np.int64)
    status = packing.pack_codes(y, codes, code_rank, bits, second, sizes)
    if status == 2:
        raise NonFiniteError
    second.sort()
    repeats = packing.repeats(second, bits)
    if repeats and status == 1:
        return None  # ties or shortened keys? rare: the general way can tell

    perm, spare = np.empty(n, np.uint32), second.view(np.uint32)[:n]
    rank, place, begin = np.empty(count, np.uint32), np.empty(count, np.int64), NONE
    tied, cube_high, cube_low = sums.code_ranks(sizes, rank, place)
    order = _Order(second[:0], bits, rank, begin, tied, (n**3 - (cube_high << 24) - cube_low) // 3)
    few = count <= 64
    if few and not repeats:
        found = (0, 0, 0, n, *sums.coded_sums(second, bits, rank, perm))
    else:
        if not few:
            begin = np.empty(n, np.uint32)
            begin[rank >> 1] = place
            rank |= sums.TIED
        found = sums.tied_sums(second, second[:0], y, False, bits, rank, begin, perm)
    discordant = 0
    if tau:
        discordant = (
            inversions.code_inversions(perm, spare, place) if few else inversions.inversions(perm, spare)
        )
    return _counts(n, order, found, discordant)


def pair_counts(x: np.ndarray, y: np.ndarray, tau: bool = True) -> Counts:
    """The exact sums of one pair of arrays (n,); raises NonFiniteError."""
    if x.size <= SMALL:
        ranks_x, ranks_y = np.zeros(x.size, np.int64), np.zeros(x.size, np.int64)
        counts = Counts(*sums.all_pairs(x, y, ranks_x, ranks_y))
        if counts.untied_x < 0:
            raise NonFiniteError
        return counts
    if x.size >= MANY:
        if straight := _discrete(x, y, tau):
            return straight
        if mirrored := _discrete(y, x, tau):
            return mirrored.mirrored()
    return _against(_order(x), y, tau)


def mse(x: np.ndarray, y: np.ndarray) -> float:
    """Mean squared error; NaN without items. Here and below: float64 (n,), finite or NonFiniteError."""
    return _scores(x, y)[0]


def lcc(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's linear correlation; NaN where undefined, as for all that follow."""
    return _scores(x, y)[1]


def srcc(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation."""
    return pair_counts(x, y, tau=False).srcc


def ktau(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b."""
    if x.size > SMALL:
        return pair_counts(x, y).tau
    tau: float = sums.small_tau(x, y)
    if tau > 1:
        raise NonFiniteError
    return tau


def four(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """All four, by name."""
    counts = pair_counts(x, y)
    mse, lcc = _scores(x, y)
    return {"mse": mse, "lcc": lcc, "srcc": counts.srcc, "ktau": counts.tau}


def _scores(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    if x.size == 0:
        return math.nan, math.nan
    error, xx, yy, xy = sums.moments(x, y)
    if not (1e-140 < xx < 1e140 and 1e-140 < yy < 1e140):  # constant, not finite, or squares out of range
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise NonFiniteError
        _, xx, yy, xy = sums.moments(near_one(x), near_one(y))
    return error / x.size, cosine(xy, xx, yy)


# ---------------------------------------------------------------- many predictors


def tau_many(ref: np.ndarray, preds: np.ndarray) -> np.ndarray:
    """Tau-b of each row of preds (m, n) against ref (n,) -> (m,). The reference is sorted once."""
    if ref.size <= SMALL:
        return np.array([ktau(ref, pred) for pred in preds])
    order = _order(ref)
    return np.array(in_threads(lambda pred: _against(order, pred).tau, list(preds), ref.size))


def warmup() -> None:
    """Compile and cache every kernel (all are reached from here)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=2 * MANY)
    y = x.astype(np.float32).astype(np.float64)
    y[0] = y[1]
    for a, b in ((x, y), (y, x), (x, x), (x.round(), y), (x[:9], y[:9])):
        four(a, b)
        ktau(a, b)
    leave_out.warmup()
