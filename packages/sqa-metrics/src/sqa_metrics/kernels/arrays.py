"""The figures in NumPy alone: for inputs that do not repay Numba's import, and where Numba is missing.

At 20,000 items tau takes what SciPy's takes, at 640 half of it (benchmarks/bench_agreement.py). Every function takes
float64 arrays (n,), raises NonFiniteError for NaN and infinity, and gives NaN where a figure is undefined.
"""

import math
from typing import NamedTuple

import numpy as np

from sqa_metrics.kernels.plain import cosine
from sqa_metrics.numbers import NonFiniteError

BLOCK = 32  # values that `inversions` compares pair by pair at the end


class Counts(NamedTuple):
    """Exact sums over the pairs of n items, as Python integers.

    `untied_x` counts pairs with different x; `rank_*` are sums of products of doubled, centred mid-ranks.
    """

    concordance: int  # concordant less discordant pairs
    untied_x: int
    untied_y: int
    rank_xy: int
    rank_xx: int
    rank_yy: int

    def mirrored(self) -> "Counts":
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


def mse(x: np.ndarray, y: np.ndarray) -> float:
    """Mean squared error; infinite where a square leaves the range of a float."""
    _require_finite(x, y)
    return _mse(x, y)


def lcc(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's linear correlation."""
    _require_finite(x, y)
    return _lcc(x, y)


def srcc(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's rank correlation."""
    return pair_counts(x, y, tau=False).srcc


def ktau(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b."""
    return pair_counts(x, y, ranks=False).tau


def four(x: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """All four, by name."""
    counts = pair_counts(x, y)
    return {"mse": _mse(x, y), "lcc": _lcc(x, y), "srcc": counts.srcc, "ktau": counts.tau}


def squared_error(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """(x - y)^2 of each item; infinite where it leaves the range of a float."""
    with np.errstate(over="ignore"):
        squares: np.ndarray = (x - y) ** 2
    return squares


def near_one(x: np.ndarray) -> np.ndarray:
    """`x` times the power of two that brings its largest value near 1, so that squares stay in range."""
    scaled: np.ndarray = np.ldexp(x, -np.frexp(np.abs(x).max())[1])
    return scaled


def tau_many(ref: np.ndarray, preds: np.ndarray) -> np.ndarray:
    """Tau-b of each row of preds (m, n) against ref (n,) -> (m,)."""
    return np.array([ktau(ref, pred) for pred in preds])


def pair_counts(x: np.ndarray, y: np.ndarray, tau: bool = True, ranks: bool = True) -> Counts:
    """The exact sums of one pair of arrays; the concordance is left 0 without `tau`, those of ranks without `ranks`."""
    _require_finite(x, y)
    levels_x, levels_y = levels(x), levels(y)
    n, bits = x.size, max(1, (x.size - 1).bit_length())
    pairs = n * (n - 1) // 2
    tied_x, tied_y = pairs_within(levels_x.size), pairs_within(levels_y.size)
    concordance = 0
    if tau:
        if not tied_x:
            tied_both, in_order = 0, levels_y.code[levels_x.order]
        else:
            joint = np.sort((levels_x.code << bits) | levels_y.code)
            tied_both = pairs_within(np.diff(np.flatnonzero(_begins(joint)), append=n))
            in_order = joint & ((1 << bits) - 1)
        if tied_y:
            # Equal values take places in the order they come, so that a tie never looks inverted.
            places = np.sort((in_order << bits) | np.arange(n))
            in_order = places & ((1 << bits) - 1)
        discordant = inversions(in_order)
        concordance = pairs - tied_x - tied_y + tied_both - 2 * discordant
    xy, xx, yy = _rank_sums(levels_x, levels_y, n) if ranks else (0, 0, 0)
    return Counts(concordance, pairs - tied_x, pairs - tied_y, xy, xx, yy)


def _rank_sums(x: "Levels", y: "Levels", n: int) -> tuple[int, int, int]:
    """Sums of products of doubled centred mid-ranks: x y, x x, y y."""
    xy = exact_dot(x.rank[x.code], y.rank[y.code], largest=n**2)
    xx, yy = (exact_dot(s.size * s.rank, s.rank, largest=int(s.size.max(initial=1)) * n**2) for s in (x, y))
    return xy, xx, yy


class Levels(NamedTuple):
    """The distinct values of one array, in ascending order."""

    order: np.ndarray  # (n,) positions of the items in ascending order
    code: np.ndarray  # (n,) which level each item has, int64
    size: np.ndarray  # (levels,) items of each level
    rank: np.ndarray  # (levels,) twice the mid-rank less its mean


def levels(x: np.ndarray) -> Levels:
    """The levels of finite values."""
    order = np.argsort(x)
    return in_order(order, _begins(x[order]))


def in_order(order: np.ndarray, begins: np.ndarray) -> Levels:
    """The levels of items in this order, (n,), where a level begins at each True."""
    code = np.empty(order.size, np.int64)
    code[order] = np.cumsum(begins) - 1
    start = np.flatnonzero(begins)
    size = np.diff(start, append=order.size)
    return Levels(order, code, size, mid_ranks(size, start, order.size))


def mid_ranks(size: np.ndarray, start: np.ndarray, n: np.ndarray | int) -> np.ndarray:
    """Twice the mid-rank less its mean, of levels of `size` items that begin at `start` among n: integers."""
    ranks: np.ndarray = 2 * start + size - n
    return ranks


def _begins(ordered: np.ndarray) -> np.ndarray:
    """(n,) bool: where a new value begins in a sorted array."""
    begins = np.ones(ordered.size, bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    return begins


def pairs_within(size: np.ndarray) -> int:
    """Pairs of items inside the same group, for groups of these sizes."""
    # No group holds more than all items, so the sum stays inside 64 bits up to 3e9 items.
    return int(np.dot(size, size - 1)) // 2


def exact_dot(a: np.ndarray, b: np.ndarray, largest: int) -> int:
    """Sum of a * b of integers, none beyond `largest`, as a Python integer: in parts that stay inside 64 bits."""
    step = max(1, 2**62 // max(1, largest))
    if step >= a.size:
        return int(np.dot(a, b))
    if largest >= 2**62:
        return sum(int(p) * int(q) for p, q in zip(a, b, strict=True))
    return sum(int(np.dot(a[s : s + step], b[s : s + step])) for s in range(0, a.size, step))


def inversions(permutation: np.ndarray) -> int:
    """Pairs out of order in a permutation of 0..n-1, by a radix sort from the top bit that counts what it moves.

    Padded to a power of two with items that are in order already, every group of values with the same upper bits has
    exactly as many ones as zeros in the next bit. So the ones that stand before a zero, summed over the zeros, are the
    zeros' places less what those would be in order. Groups of 32 values are compared pair by pair.
    """
    n = permutation.size
    bits = max(BLOCK.bit_length() - 1, (n - 1).bit_length())
    size = 1 << bits
    values: np.ndarray = np.arange(size, dtype=np.uint32 if bits > 16 else np.uint16)
    values[:n] = permutation
    count, half = 0, size // 2
    while half >= BLOCK:
        groups = size // (2 * half)
        ones = (values & half).astype(bool)
        places = np.flatnonzero(~ones)
        in_order = groups * (half * (half - 1) // 2) + 2 * half * half * (groups * (groups - 1) // 2)
        count += int(places.sum()) - in_order
        parted = np.empty((groups, 2, half), values.dtype)
        parted[:, 0] = values[places].reshape(groups, half)
        parted[:, 1] = values[ones].reshape(groups, half)
        values, half = parted.reshape(size), half // 2
    # (place in the group, group): each comparison is one sweep over contiguous memory
    blocks = np.ascontiguousarray(values.reshape(-1, BLOCK).T)
    for distance in range(1, BLOCK):
        count += int(np.count_nonzero(blocks[:-distance] > blocks[distance:]))
    return count


def _require_finite(x: np.ndarray, y: np.ndarray) -> None:
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise NonFiniteError


def _mse(x: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(squared_error(x, y))) if x.size else math.nan


def _lcc(x: np.ndarray, y: np.ndarray) -> float:
    if x.size < 2 or (x == x[0]).all() or (y == y[0]).all():
        return math.nan
    x, y = near_one(x), near_one(y)
    x, y = x - x.mean(), y - y.mean()
    return cosine(float(np.dot(x, y)), float(np.dot(x, x)), float(np.dot(y, y)))
