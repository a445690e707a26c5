"""The figures without each cluster of items at a time, from sums over all items less those that the cluster is part of.

Every rank statistic is a sum over pairs of items, so what a cluster takes with it can be summed once for each of its
items: n log n work for SRCC's and KTAU's integers instead of a ranking anew for each cluster. One term alone, the ranks
that a cluster's items lend to all others in both orders, takes a walk over all items for each cluster of several.
Each side is sorted once; every other order that is needed is one of these, sorted stably by integers.
Figures that are not of the challenge's four are computed from what is left, one cluster after the other.
"""

import itertools
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import NamedTuple

import numpy as np

from sqa_metrics.kernels import arrays, choose, leave_out_arrays
from sqa_metrics.kernels.arrays import Levels
from sqa_metrics.kernels.leave_out_arrays import Kind, Path
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
    several = np.flatnonzero(sizes > 1)
    way = _way(m * n * (SORT * n.bit_length() + WALK * several.size))
    owner = np.full(sizes.size, -1, np.int32)
    owner[several] = np.arange(several.size)
    owner = np.repeat(owner, sizes)
    x = _Side.of(ref, sizes, way)

    def of_one(pred: np.ndarray) -> tuple[_Sums, Path, dict[str, np.ndarray]]:
        y = _Side.of(pred, sizes, way)
        own = {k: _one_by_one(f, ref, pred, starts) for k, f in figures.items() if k not in SUMMED}
        return _Sums.of(x, y, sizes, way), x.path(y.levels, owner), own

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is left may be constant
        found = in_threads(of_one, list(preds), n * (1 + several.size))
        paths = [path for _, path, _ in found]
        lent = way.walks(x.path(x.levels, owner), paths, sizes[several], _kind(n))
        result = np.empty((sizes.size, m, len(figures)))
        for k, (sums, _, own) in enumerate(found):
            sums.products[several] += lent[k]
            columns = sums.figures() | own
            result[:, k] = np.stack([columns[name] for name in figures], axis=1)
    return result


def _way(seconds: float) -> ModuleType:
    """Where the loops are: compiled where so much work repays their load, else in NumPy."""
    if choose.repaid(seconds) is None:
        return leave_out_arrays
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
    levels: Levels
    cells: Levels  # of (cluster, value)
    rank: np.ndarray  # (n,) twice the mid-rank less its mean, an integer
    inner: np.ndarray  # (n,) as `rank`, among the items of the own cluster
    untied: np.ndarray  # (clusters,) pairs of unequal values that are left without it
    squares: np.ndarray  # (clusters,) sum of squared ranks of what is left, ranked anew

    @staticmethod
    def of(values: np.ndarray, sizes: np.ndarray, way: ModuleType) -> "_Side":
        levels, n = arrays.levels(values), values.size
        cluster = np.repeat(np.arange(sizes.size), sizes)
        cells = _nested(cluster, sizes, levels, way)
        begin, count = np.cumsum(cells.size) - cells.size, cells.size
        first = cells.order[begin]
        home = cluster[first]
        inner = (2 * (begin - (np.cumsum(sizes) - sizes)[home]) + count - sizes[home])[cells.code]
        kind = _kind(n)
        full = levels.size[levels.code[first]].astype(kind)
        rest, left = full - count, (n - sizes).astype(kind)
        tied = _at(home, full * (full - 1) // 2 - rest * (rest - 1) // 2, sizes.size)
        cubes = _at(home, full**3 - rest**3, sizes.size)
        whole = levels.size.astype(kind)
        untied = left * (left - 1) // 2 - ((whole * (whole - 1) // 2).sum() - tied)
        squares = (left**3 - ((whole**3).sum() - cubes)) // 3
        rank = levels.rank[levels.code].astype(kind)
        return _Side(values, levels, cells, rank, inner, untied, squares)

    def path(self, other: Levels, owner: np.ndarray) -> Path:
        """The items in the order of `other`, with the cluster of several that each belongs to."""
        order = other.order
        x, y = (levels.code[order].astype(np.int32) for levels in (self.levels, other))
        return Path(x, y, owner[order])


def _kind(n: int) -> Kind:
    """What holds the sums of n items exactly, or as nearly as can be."""
    return np.int64 if n < EXACT else np.float64


def _nested(outer: np.ndarray, sizes: np.ndarray, inner: Levels, way: ModuleType) -> Levels:
    """The levels of (outer, inner), where `outer` (n,) has codes of these sizes."""
    order = way.reordered(inner.order, outer, sizes)
    begins = np.ones(order.size, bool)
    begins[1:] = np.diff(outer[order]).astype(bool) | np.diff(inner.code[order]).astype(bool)
    return arrays.in_order(order, begins)


def _at(place: np.ndarray, values: np.ndarray, n: int) -> np.ndarray:
    """Sums of `values` by their place, (n,), of their own kind: integers stay exact."""
    total = np.zeros(n, values.dtype)
    np.add.at(total, place, values)
    return total


class _Sums(NamedTuple):
    """What the challenge's four are made of without each cluster, (clusters,) each."""

    mse: np.ndarray
    lcc: np.ndarray
    # of the ranks of both sides; without what clusters of several lent to other items in both orders
    products: np.ndarray
    squares: tuple[np.ndarray, np.ndarray]
    ktau: np.ndarray

    @staticmethod
    def of(x: _Side, y: _Side, sizes: np.ndarray, way: ModuleType) -> "_Sums":
        starts = np.cumsum(sizes) - sizes
        left = x.values.size - sizes
        each = np.add.reduceat(_concordance(x.levels, y.levels, way), starts)
        # In the order of clusters first every pair of two clusters is concordant: what is left is inside.
        inside = np.add.reduceat(_concordance(x.cells, y.cells, way), starts) - left * sizes
        concordance = each.sum() // 2 - each + inside // 2
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            mse = _others(np.add.reduceat(arrays.squared_error(x.values, y.values), starts)) / left
            lcc = _lcc(x.values, y.values, starts, left)
            lcc = np.where((x.squares == 0) | (y.squares == 0), np.nan, lcc)
            ktau = _cosines(concordance, x.untied, y.untied)
        products = _rank_products(x, y, starts)
        products[sizes == 1] += each[sizes == 1]
        return _Sums(mse, lcc, products, (x.squares, y.squares), ktau)

    def figures(self) -> dict[str, np.ndarray]:
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            srcc = _cosines(self.products, *self.squares)
        return {"mse": self.mse, "lcc": self.lcc, "srcc": srcc, "ktau": self.ktau}


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


def _rank_products(x: _Side, y: _Side, starts: np.ndarray) -> np.ndarray:
    """Sum of the products of the ranks of what is left without each cluster, (clusters,), but for one term.

    Without cluster k the rank of item i is r - s in x and q - t in y, where s and t are what the items of k lent it.
    So the sum over all items is that of r q, less r t and s q, which are sums over the items of k, plus s t. The last,
    over the other items, is what `walks` adds; for a cluster of one it is the concordance of its item.
    """
    lent = _lent(x.levels, y.rank) + _lent(y.levels, x.rank)
    own = (x.rank - x.inner) * (y.rank - y.inner)
    products: np.ndarray = (x.rank * y.rank).sum() - np.add.reduceat(lent + own, starts)
    return products


def _lent(levels: Levels, rank: np.ndarray) -> np.ndarray:
    """For each item: the ranks of all items above it, less those of all below; (n,)."""
    by_level = _at(levels.code, rank, levels.size.size)
    lent: np.ndarray = (by_level - 2 * np.cumsum(by_level))[levels.code]
    return lent


def _concordance(x: Levels, y: Levels, way: ModuleType) -> np.ndarray:
    """For each item: the items that it is concordant with, less those that it is discordant with; (n,), integers."""
    n = x.code.size
    joint = _nested(x.code, x.size, y, way)
    # Equal values take their places in the order of the other, so that a tie never looks inverted.
    place = np.empty(n, np.int64)
    place[way.reordered(joint.order, y.code, y.size)] = np.arange(n)
    found: np.ndarray = n - x.size[x.code] - y.size[y.code] + joint.size[joint.code]
    found[joint.order] -= 2 * way.inversions_of_each(place[joint.order])
    return found


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

    leave_out_loops.warmup()
