"""Exact rank statistics at any size, many predictors at once, and the bootstrap: the fast form of `_plain`.

Import only when the work repays it: Numba's import costs 0.3 s, and the first call of a kernel some tens of
milliseconds from the cache or seconds without (`warmup` fills it). Every rank statistic comes from integers
(`Counts`), so these agree with `_plain` to the last bit. The loops are in `_jit`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from sqa_metrics import _jit as jit
from sqa_metrics._plain import cosine

SMALL = 160  # up to here comparing all pairs is quicker than sorting (benchmarks/bench_agreement.py)
MANY = 800  # from here on it pays to try whether one side is discrete
CHUNK = 1 << 17  # counts that one thread works on at a time
NONE = np.empty(0, np.uint32)


class NonFiniteError(ValueError):
    """NaN or infinity met; the caller, who knows the argument's name, says where."""


class Counts(NamedTuple):
    """Exact sums over the pairs of n items; `untied_x` counts pairs with different x, `rank_*` are sums of
    products of doubled, centred mid-ranks."""

    concordance: int  # concordant less discordant pairs
    untied_x: int
    untied_y: int
    rank_xy: int
    rank_xx: int
    rank_yy: int

    def mirrored(self) -> Counts:
        """The same with x and y exchanged."""
        return self._replace(
            untied_x=self.untied_y, untied_y=self.untied_x, rank_xx=self.rank_yy, rank_yy=self.rank_xx
        )

    @property
    def srcc(self) -> float:
        return cosine(self.rank_xy, self.rank_xx, self.rank_yy)

    @property
    def tau(self) -> float:
        return cosine(self.concordance, self.untied_x, self.untied_y)


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
    status = jit.pack(x, bits, first)
    if status == 2:
        raise NonFiniteError
    first.sort()
    repeats = jit.repeats(first, bits)
    if repeats and status == 1:
        repeats = jit.repair(first, x, first[:0], bits)
        if repeats == 2:
            return _order(_dense(x))
    if not repeats:
        return _Order(first, bits, NONE, NONE, 0, (n**3 - n) // 3)
    rank, begin = np.empty(n, np.uint32), np.empty(n, np.uint32)
    tied, cube_high, cube_low = jit.groups(first, x, status == 1, bits, rank, begin)
    return _Order(first, bits, rank, begin, tied, (n**3 - (cube_high << 24) - cube_low) // 3)


def _dense(values: np.ndarray) -> np.ndarray:
    """Replace values by their dense ranks: same order, and they pack exactly."""
    return np.unique(values, return_inverse=True)[1].astype(np.float64)


def _against(x: _Order, y: np.ndarray, tau: bool = True) -> Counts:
    """The sums of the ordered x with y: gather y in the order of x, sort it back, see what moved."""
    n = y.size
    second = np.empty(n, np.uint64)
    status = jit.gather(x.first, y, x.bits, second)
    if status == 2:
        raise NonFiniteError
    second.sort()
    repeats = jit.repeats(second, x.bits)
    if repeats and status == 1:
        repeats = jit.repair(second, y, x.first, x.bits)
        if repeats == 2:
            return _against(x, _dense(y), tau)
    perm = np.empty(n, np.uint32)
    if repeats or x.tied:
        sums = jit.tied_sums(second, x.first, y, status == 1, x.bits, x.rank, x.begin.copy(), perm)
    else:
        sums = (0, 0, 0, n, *jit.distinct_sums(second, x.bits, perm))
    discordant = jit.inversions(perm, second.view(np.uint32)[:n]) if tau else 0
    return _counts(n, x, sums, discordant)


def _counts(n: int, x: _Order, sums: tuple[int, ...], discordant: int) -> Counts:
    tied_y, both, cube_high, cube_low, high, low = sums
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
    codes, code_rank, levels = np.empty(n, np.uint16), np.empty(jit.LEVELS, np.uint16), np.empty(jit.LEVELS)
    count = jit.levels(x, codes, levels, code_rank)
    if count < 0:
        return None
    if not np.isfinite(levels[:count]).all():
        raise NonFiniteError
    bits = max(1, (count - 1).bit_length())
    second, sizes = np.empty(n, np.uint64), np.zeros(count, np.int64)
    status = jit.pack_codes(y, codes, code_rank, bits, second, sizes)
    if status == 2:
        raise NonFiniteError
    second.sort()
    repeats = jit.repeats(second, bits)
    if repeats and status == 1:
        return None  # ties or shortened keys? rare: the general way can tell

    perm, spare = np.empty(n, np.uint32), second.view(np.uint32)[:n]
    rank, place, begin = np.empty(count, np.uint32), np.empty(count, np.int64), NONE
    tied, cube_high, cube_low = jit.code_ranks(sizes, rank, place)
    order = _Order(second[:0], bits, rank, begin, tied, (n**3 - (cube_high << 24) - cube_low) // 3)
    few = count <= 64
    if few and not repeats:
        sums = (0, 0, 0, n, *jit.coded_sums(second, bits, rank, perm))
    else:
        if not few:
            begin = np.empty(n, np.uint32)
            begin[rank >> 1] = place
            rank |= jit.TIED
        sums = jit.tied_sums(second, second[:0], y, False, bits, rank, begin, perm)
    discordant = 0
    if tau:
        discordant = jit.code_inversions(perm, spare, place) if few else jit.inversions(perm, spare)
    return _counts(n, order, sums, discordant)


def pair_counts(x: np.ndarray, y: np.ndarray, tau: bool = True) -> Counts:
    """The exact sums of one pair of arrays (n,); raises NonFiniteError."""
    if x.size <= SMALL:
        ranks_x, ranks_y = np.zeros(x.size, np.int64), np.zeros(x.size, np.int64)
        counts = Counts(*jit.all_pairs(x, y, ranks_x, ranks_y))
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
    tau: float = jit.small_tau(x, y)
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
    error, xx, yy, xy = jit.moments(x, y)
    if not (1e-140 < xx < 1e140 and 1e-140 < yy < 1e140):  # constant, not finite, or squares out of range
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise NonFiniteError
        _, xx, yy, xy = jit.moments(_near_one(x), _near_one(y))
    return error / x.size, cosine(xy, xx, yy)


def _near_one(x: np.ndarray) -> np.ndarray:
    """x times the power of two that brings its largest value near 1."""
    return np.ldexp(x, -np.frexp(np.abs(x).max())[1])


# ---------------------------------------------------------------- many predictors


def ranks(x: np.ndarray) -> np.ndarray:
    """Mid-ranks, 1 to n, of x (n,)."""
    order = _order(np.asarray(x, np.float64))
    doubled = (order.rank & ~jit.TIED) if order.tied else 2 * np.arange(x.size) + 1
    out = np.empty(x.size)
    out[order.first & np.uint64((1 << order.bits) - 1)] = (doubled + 1) / 2
    return out


def tau_many(ref: np.ndarray, preds: np.ndarray) -> np.ndarray:
    """Tau-b of each row of preds (m, n) against ref (n,) -> (m,). The reference is sorted once."""
    ref, preds = _arrays(ref, preds)
    if ref.size <= SMALL:
        return np.array([ktau(ref, pred) for pred in preds])
    order = _order(ref)
    return np.array(_in_threads(lambda pred: _against(order, pred).tau, list(preds), ref.size))


def tau_matrix(preds: np.ndarray) -> np.ndarray:
    """Tau-b between all rows of preds (m, n) -> (m, m), symmetric; each row is sorted once."""
    _, preds = _arrays(np.empty(np.shape(preds)[-1]), preds)
    out = np.empty((len(preds), len(preds)))
    for i in range(len(preds)):
        out[i, i:] = out[i:, i] = tau_many(preds[i], preds[i:])
    return out


def _arrays(ref: Any, preds: Any) -> tuple[np.ndarray, np.ndarray]:
    """Contiguous, writeable float64 (the one type that the kernels are compiled for)."""
    ref, preds = np.require(ref, np.float64, ["C", "W"]), np.require(preds, np.float64, ["C", "W"])
    if ref.ndim != 1 or preds.ndim != 2 or preds.shape[1] != ref.size:
        raise ValueError(f"ref has shape {ref.shape} and preds {preds.shape}; expected (n,) and (m, n)")
    return ref, preds


def _in_threads(work: Callable[[Any], Any], items: list[Any], size: int) -> list[Any]:
    """Map in threads where it pays: the kernels and np.sort let go of the interpreter lock."""
    if len(items) * size < 100_000 or (os.cpu_count() or 1) == 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, items))


# ---------------------------------------------------------------- resampling


def _resample(ref: np.ndarray, preds: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Sort each predictor once; the returned function maps counts (r, n) to metrics (r, m, 4)."""
    level_ref = np.unique(ref, return_inverse=True)[1]
    prepared = []
    for pred in preds:
        level = np.unique(pred, return_inverse=True)[1]
        item = np.lexsort((level, level_ref))
        with np.errstate(over="ignore"):
            squared_error = (ref[item] - pred[item]) ** 2
        near = (_near_one(values)[item] for values in (ref, pred))
        prepared.append((item, *near, squared_error, level_ref[item], level[item]))

    def metrics(counts: np.ndarray) -> np.ndarray:
        out = np.empty((len(prepared), len(counts), 4))
        for arrays, rows in zip(prepared, out, strict=True):
            jit.reweighted(counts, *arrays, rows)
        return out.transpose(1, 0, 2)

    return metrics


def resampled(ref: np.ndarray, preds: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The four metrics of every resample for every predictor.

    ref (n,), preds (m, n), index (r, k) of positions 0..n-1, -1 where a resample is shorter than k
    -> (r, m, 4) in the order mse, lcc, srcc, ktau; NaN where undefined.
    """
    ref, preds = _arrays(ref, preds)
    index = np.require(index, np.int64, ["C", "W"])
    metrics = _resample(ref, preds)

    def chunk(part: np.ndarray) -> np.ndarray:
        counts = np.zeros((len(part), ref.size), np.int32)
        if not jit.count(part, counts):
            raise IndexError(f"index {part.max()} is out of range for {ref.size} items")
        return metrics(counts)

    return np.concatenate(_in_threads(chunk, _chunks(index, ref.size), preds.size * CHUNK))


def _chunks(rows: Any, n: int) -> list[Any]:
    """Cut rows into pieces of some CHUNK numbers: small enough for the cache, large enough for a thread."""
    step = max(1, CHUNK // max(1, n))
    return [rows[s : s + step] for s in range(0, max(1, len(rows)), step)]


def bootstrap(
    ref: np.ndarray, preds: np.ndarray, starts: np.ndarray, resamples: int, seed: int
) -> np.ndarray:
    """Resample systems as clusters, and utterances within them: the four metrics of each resample.

    ref (n,) and preds (m, n) with the utterances of one system side by side; starts (s + 1,) bounds them:
    system c is [starts[c], starts[c+1]). Each resample draws s systems with replacement, and from each drawn
    system as many of its utterances with replacement. All predictors see the same draws; resample t depends on
    (seed, t) alone, not on the number of threads, and the systems it draws not on their sizes. starts =
    arange(n + 1) is the plain bootstrap. -> (r, m, 4)
    """
    ref, preds = _arrays(ref, preds)
    starts = np.require(starts, np.int64, ["C", "W"])
    if starts[0] != 0 or starts[-1] != ref.size or (np.diff(starts) < 1).any():
        raise ValueError("starts must rise from 0 to the number of utterances")
    metrics = _resample(ref, preds)

    def chunk(part: range) -> np.ndarray:
        counts = np.zeros((len(part), ref.size), np.int32)
        jit.draw(starts, np.uint64(seed), part.start, counts)
        return metrics(counts)

    return np.concatenate(_in_threads(chunk, _chunks(range(resamples), ref.size), preds.size * CHUNK))


def warmup() -> None:
    """Compile and cache every kernel (all are reached from here)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=2 * MANY)
    y = x.astype(np.float32).astype(np.float64)
    y[0] = y[1]
    for a, b in ((x, y), (y, x), (x, x), (x.round(), y), (x[:9], y[:9])):
        four(a, b)
        ktau(a, b)
    bootstrap(x, x[None], np.arange(0, x.size + 1, 100), 1, 0)
    resampled(x, x[None], np.zeros((1, 2), np.int64))
    ranks(x)
