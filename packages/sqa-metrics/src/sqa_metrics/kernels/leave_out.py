"""The figures without each cluster of items at a time, from sums over all items less those that the cluster is part of.

Every rank statistic is a sum over pairs of items, so what a cluster takes with it can be summed once for each of its
items: n log n work for SRCC's and KTAU's integers instead of a ranking anew for each cluster. One term alone, the ranks
that a cluster's items lend to all others in both orders, takes a walk over all items for each cluster of several.
Figures that are not of the challenge's four are computed from what is left, one cluster after the other.
"""

import itertools
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import NamedTuple

import numpy as np

from sqa_metrics.kernels import arrays, choose
from sqa_metrics.kernels.threads import in_threads

SUMMED = ("mse", "lcc", "srcc", "ktau")  # what is computed from sums
EXACT = 2_000_000  # items up to which sums of products of ranks fit 64 bits; floats beyond

# Seconds of processor time in NumPy: an item and a level of the sort, an item of a walk.
SORT, WALK = 40e-9, 6e-9

Figures = Mapping[str, Callable[[np.ndarray, np.ndarray], float]]


def leave_out(ref: np.ndarray, preds: np.ndarray, starts: np.ndarray, figures: Figures) -> np.ndarray:
    """The figures without each cluster: (clusters, m, figures), NaN where they are undefined.

    ref (n,) and preds (m, n), finite, with the items of a cluster side by side: cluster c is [starts[c], starts[c+1]).
    """
    sizes = np.diff(starts)
    if starts[0] != 0 or starts[-1] != ref.size or (sizes < 1).any():
        raise ValueError("starts must rise from 0 to the number of items")
    m, n = preds.shape
    several = int(np.count_nonzero(sizes > 1))
    kernels = _loops(m * n * (SORT * n.bit_length() + WALK * several))
    side = _Side.of(ref, sizes)

    def of_one(pred: np.ndarray) -> np.ndarray:
        summed = _four(side, _Side.of(pred, sizes), sizes, kernels)
        columns = [
            summed[name] if name in SUMMED else _one_by_one(function, ref, pred, starts)
            for name, function in figures.items()
        ]
        return np.stack(columns, axis=1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is left may be constant
        return np.stack(in_threads(of_one, list(preds), n * several), axis=1)


def _loops(seconds: float) -> ModuleType | None:
    """The compiled loops where so much work repays their load, or None."""
    if choose.repaid(seconds) is None:
        return None
    from sqa_metrics.kernels import leave_out_loops

    return leave_out_loops


def _one_by_one(
    function: Callable[[np.ndarray, np.ndarray], float], ref: np.ndarray, pred: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    found = []
    for begin, end in itertools.pairwise(starts.tolist()):
        left = np.ones(ref.size, bool)
        left[begin:end] = False
        found.append(function(ref[left], pred[left]))
    return np.array(found, float)


class _Side(NamedTuple):
    """One array of scores: its levels, and what each cluster holds of them."""

    values: np.ndarray  # (n,)
    code: np.ndarray  # (n,) dense rank
    rank: np.ndarray  # (n,) twice the mid-rank less its mean, an integer
    cell: np.ndarray  # (n,) dense rank in the order of clusters first
    inner: np.ndarray  # (n,) as `rank`, among the items of the own cluster
    untied: np.ndarray  # (clusters,) pairs of unequal values that are left without it
    squares: np.ndarray  # (clusters,) sum of squared ranks of what is left, ranked anew

    @staticmethod
    def of(values: np.ndarray, sizes: np.ndarray) -> "_Side":
        levels, n = arrays.levels(values), values.size
        cluster = np.repeat(np.arange(sizes.size), sizes)
        cells = arrays.levels(cluster * n + levels.code)
        begin, count = np.cumsum(cells.size) - cells.size, cells.size
        first = cells.order[begin]
        home = cluster[first]
        inner = (2 * (begin - (np.cumsum(sizes) - sizes)[home]) + count - sizes[home])[cells.code]
        kind = np.int64 if n < EXACT else np.float64
        full = levels.size[levels.code[first]].astype(kind)
        rest, left = full - count, (n - sizes).astype(kind)
        tied = _at(home, full * (full - 1) // 2 - rest * (rest - 1) // 2, sizes.size)
        cubes = _at(home, full**3 - rest**3, sizes.size)
        whole = levels.size.astype(kind)
        untied = left * (left - 1) // 2 - ((whole * (whole - 1) // 2).sum() - tied)
        squares = (left**3 - ((whole**3).sum() - cubes)) // 3
        rank = levels.rank[levels.code].astype(kind)
        return _Side(values, levels.code, rank, cells.code, inner, untied, squares)


def _at(place: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Sums of `values` by their place, (n,), of their own kind: integers stay exact."""
    total = np.zeros(n, values.dtype)
    np.add.at(total, place, values)
    return total


def _four(x: _Side, y: _Side, sizes: np.ndarray, kernels: ModuleType | None) -> dict[str, np.ndarray]:
    """The challenge's four without each cluster, (clusters,) each."""
    starts = np.cumsum(sizes) - sizes
    left = x.values.size - sizes
    each = _concordance(x.code, y.code, kernels)
    # In the order of clusters first every pair of two clusters is concordant: what is left is inside.
    inside = _concordance(x.cell, y.cell, kernels) - np.repeat(left, sizes)
    concordance = each.sum() // 2 - np.add.reduceat(each, starts) + np.add.reduceat(inside, starts) // 2
    products = _rank_products(x, y, sizes, each, kernels)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        mse = _others(np.add.reduceat(arrays.squared_error(x.values, y.values), starts)) / left
        lcc = np.where((x.squares == 0) | (y.squares == 0), np.nan, _lcc(x.values, y.values, starts, left))
        return {
            "mse": mse,
            "lcc": lcc,
            "srcc": _cosines(products, x.squares, y.squares),
            "ktau": _cosines(concordance, x.untied, y.untied),
        }


def _others(sums: np.ndarray) -> np.ndarray:
    """Of sums by cluster (clusters,): the sum of all others. By sums from both ends: nothing cancels."""
    ahead, behind = np.zeros(sums.size), np.zeros(sums.size)
    ahead[1:] = np.cumsum(sums[:-1])
    behind[:-1] = np.cumsum(sums[:0:-1])[::-1]
    return ahead + behind


def _lcc(x: np.ndarray, y: np.ndarray, starts: np.ndarray, left: np.ndarray) -> np.ndarray:
    x, y = (arrays.near_one(v) for v in (x, y))
    x, y = x - x.mean(), y - y.mean()
    sx, sy, xy, xx, yy = (_others(np.add.reduceat(v, starts)) for v in (x, y, x * y, x * x, y * y))
    return _cosines(xy - sx * sy / left, xx - sx * sx / left, yy - sy * sy / left)


def _rank_products(
    x: _Side, y: _Side, sizes: np.ndarray, each: np.ndarray, kernels: ModuleType | None
) -> np.ndarray:
    """Sum of the products of the ranks of what is left without each cluster, (clusters,).

    Without cluster k the rank of item i is r - s in x and q - t in y, where s and t are what the items of k lent it.
    So the sum over all items is that of r q, less r t and s q, which are sums over the items of k, plus s t.
    """
    starts = np.cumsum(sizes) - sizes
    lent = _lent(x.code, y.rank) + _lent(y.code, x.rank)
    crossed = np.add.reduceat(each, starts)  # right for a cluster of one item
    several = np.flatnonzero(sizes > 1)
    if several.size:
        walk = kernels.walk if kernels else _walk
        crossed[several] = walk(x.code, y.code, starts[several], sizes[several])
    own = (x.rank - x.inner) * (y.rank - y.inner)
    products: np.ndarray = (
        (x.rank * y.rank).sum() - np.add.reduceat(lent, starts) + crossed - np.add.reduceat(own, starts)
    )
    return products


def _lent(code: np.ndarray, rank: np.ndarray) -> np.ndarray:
    """For each item: the ranks of all items above it, less those of all below; (n,)."""
    by_level = _at(code, rank, int(code.max(initial=-1)) + 1)
    lent: np.ndarray = (by_level - 2 * np.cumsum(by_level))[code]
    return lent


def _walk(x: np.ndarray, y: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Sum over all items of (items of the cluster below less above) in x times the same in y, for each cluster."""
    found = []
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        lent = []
        for code in (x, y):
            count = np.bincount(code[start : start + size], minlength=int(code.max()) + 1)
            lent.append((2 * np.cumsum(count) - count - size)[code])
        found.append(int(np.dot(*lent)))
    return np.array(found)


def _concordance(x: np.ndarray, y: np.ndarray, kernels: ModuleType | None) -> np.ndarray:
    """For each item: the items that it is concordant with, less those that it is discordant with; (n,), integers.

    x and y are dense ranks, (n,).
    """
    n, size_x, size_y = x.size, np.bincount(x), np.bincount(y)
    joint = arrays.levels(x * size_y.size + y)
    # Equal values take their places in the order of the other, so that a tie never looks inverted.
    place = np.empty(n, np.int64)
    place[np.argsort(y[joint.order] * n + np.arange(n))] = np.arange(n)
    inverted = (kernels.inversions_of_each if kernels else inversions_of_each)(place)
    found: np.ndarray = n - size_x[x] - size_y[y] + joint.size[joint.code]
    found[joint.order] -= 2 * inverted
    return found


def inversions_of_each(permutation: np.ndarray) -> np.ndarray:
    """For each item of a permutation of 0..n-1: the pairs out of order that it is in, (n,).

    A radix sort from the top bit as in `arrays.inversions`: in each group of values with the same upper bits, a zero
    is out of order with the ones before it, a one with the zeros after it.
    """
    n = permutation.size
    bits = max(1, (n - 1).bit_length())
    values = np.arange(1 << bits)
    values[:n] = permutation
    count = np.zeros(values.size, np.int64)  # by value
    for bit in reversed(range(bits)):
        half = 1 << bit
        groups = values.reshape(-1, 2 * half)
        ones = (groups & half).astype(bool)
        before = np.cumsum(ones, axis=1)
        zeros_ahead = half - (np.arange(2 * half) + 1 - before)
        count[groups] += np.where(ones, zeros_ahead, before)
        values = np.concatenate(
            [groups[~ones].reshape(-1, half), groups[ones].reshape(-1, half)], axis=1
        ).ravel()
    counted: np.ndarray = count[permutation]
    return counted


def _cosines(xy: np.ndarray, xx: np.ndarray, yy: np.ndarray) -> np.ndarray:
    """As `plain.cosine`, of arrays: NaN if either square is zero, exactly 1 where the three are equal."""
    xy, xx, yy = (np.asarray(v, float) for v in (xy, xx, yy))
    cosine = np.clip(xy / np.sqrt(xx * yy), -1, 1)
    cosine[(np.abs(xy) == xx) & (xx == yy) & (xx > 0)] = 1
    cosine[(xx <= 0) | (yy <= 0)] = np.nan
    signed: np.ndarray = np.copysign(cosine, xy)
    return signed


def warmup() -> None:
    """Compile and cache the loops."""
    from sqa_metrics.kernels import leave_out_loops

    code = np.arange(4)
    leave_out_loops.walk(code, code, code[:1], code[2:3])
    leave_out_loops.inversions_of_each(code)
