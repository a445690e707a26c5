"""The four agreement metrics in plain Python: their definition, and the fast path of a cold start.

Lists of finite floats in, one float out; no NumPy, whose import alone costs more than scoring a thousand
rows here. The kernels are tested against this file. Constant or too short input is NaN, silently: warnings
belong to `agreement`.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable


def mse(ref: list[float], pred: list[float]) -> float:
    """Mean squared error, `fsum`-exact before the division."""
    if not ref:
        return math.nan
    try:
        return math.fsum([(r - p) * (r - p) for r, p in zip(ref, pred, strict=True)]) / len(ref)
    except OverflowError:  # the sum leaves the range of a float
        return math.inf


def lcc(ref: list[float], pred: list[float]) -> float:
    """Pearson's linear correlation: the cosine between the centred scores."""
    if is_constant(ref) or is_constant(pred):
        return math.nan
    dr, dp = _centred(ref), _centred(pred)
    return cosine(
        math.fsum([a * b for a, b in zip(dr, dp, strict=True)]),
        math.fsum([a * a for a in dr]),
        math.fsum([b * b for b in dp]),
    )


def srcc(ref: list[float], pred: list[float]) -> float:
    """Spearman's rank correlation: Pearson's, of the mid-ranks. In integers, so a perfect ranking is 1.0."""
    rr, rp = _centred_ranks(ref), _centred_ranks(pred)
    return cosine(
        sum([a * b for a, b in zip(rr, rp, strict=True)]), sum([a * a for a in rr]), sum([b * b for b in rp])
    )


def ktau(ref: list[float], pred: list[float]) -> float:
    """Kendall's tau-b: concordant less discordant pairs, over the geometric mean of those untied in each."""
    n = len(ref)
    pairs = n * (n - 1) // 2
    tied_ref, tied_pred = _tied_pairs(ref), _tied_pairs(pred)
    joint = list(zip(ref, pred, strict=True))
    tied_both = _tied_pairs(joint)

    # In order of (ref, pred), a pair is discordant when an earlier pred is larger. `seen` is kept sorted:
    # a bisection and a memory move in C per item, quicker than any tree in Python up to some 10^5 items.
    discordant, seen = 0, list[float]()
    for i, (_, p) in enumerate(sorted(joint)):
        not_larger = bisect_right(seen, p)
        discordant += i - not_larger
        seen.insert(not_larger, p)

    concordant = pairs - tied_ref - tied_pred + tied_both - discordant
    return cosine(concordant - discordant, pairs - tied_ref, pairs - tied_pred)


def four(ref: list[float], pred: list[float]) -> dict[str, float]:
    """All four, by name."""
    return {"mse": mse(ref, pred), "lcc": lcc(ref, pred), "srcc": srcc(ref, pred), "ktau": ktau(ref, pred)}


def is_constant(values: list[float]) -> bool:
    """True when all values are equal (also for none and one): nothing to correlate with."""
    return not values or values.count(values[0]) == len(values)


def _centred(values: list[float]) -> list[float]:
    """Deviations from the mean, after an exact scaling by a power of two where squares would leave range."""
    largest = max(max(values), -min(values))
    if not 1e-50 < largest < 1e50:
        scale = -math.frexp(largest)[1]
        values = [math.ldexp(v, scale) for v in values]
    mean = math.fsum(values) / len(values)
    return [v - mean for v in values]


def _centred_ranks(values: list[float]) -> list[int]:
    """Twice the mid-rank less its mean: i + j - n for equal values at sorted positions [i, j). Integers."""
    n, end = len(values), 0
    count = Counter(values)
    rank = {}
    for value in sorted(count):
        start, end = end, end + count[value]
        rank[value] = start + end - n
    return [rank[v] for v in values]


def _tied_pairs(values: Iterable[object]) -> int:
    return sum([c * (c - 1) // 2 for c in Counter(values).values()])


def cosine(xy: float, xx: float, yy: float) -> float:
    """xy / sqrt(xx yy), exactly 1 when the three are equal; NaN when one side does not vary."""
    if not (xx and yy):
        return math.nan
    if abs(xy) == xx == yy:
        return 1.0 if xy > 0 else -1.0
    return max(-1.0, min(1.0, xy / math.sqrt(xx * yy)))
