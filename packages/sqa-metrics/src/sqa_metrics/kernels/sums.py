# mypy: disable-error-code="arg-type, assignment, call-arg, no-any-return, return-value"
"""The sums over one pair of arrays, compiled: ties, rank products and moments. Each loop says how it works.

A rank statistic is a sum over pairs, hence an integer. Sums that may leave 64 bits (cubes, products of ranks) are kept
as halves: high + low = sum of (v >> 24), and of (v & 0xFFFFFF).
"""

from typing import Any

import numpy as np

from sqa_metrics.kernels.compiled import compiled, compiled_sum
from sqa_metrics.kernels.plain import cosine as plain_cosine

U = np.uint64
TIED = np.uint32(1 << 31)  # mark on a rank that several items share
cosine = compiled(plain_cosine)


@compiled
def groups(
    first: np.ndarray, x: np.ndarray, lossy: bool, bits: int, rank: Any, begin: Any
) -> tuple[int, int, int]:
    """Groups of equal x along the sorted positions [b, e): rank[p] = b + e, marked TIED where e - b > 1.

    begin[(b + e) // 2] = b: a slot that no other group has. Returns `_ties` of the groups.
    """
    n, mask = first.size, (U(1) << U(bits)) - U(1)
    start, tied, cube_high, cube_low = 0, 0, 0, 0
    for stop in range(1, n + 1):
        if (
            stop < n
            and (first[stop] >> U(bits)) == (first[start] >> U(bits))
            and (not lossy or x[first[stop] & mask] == x[first[start] & mask])
        ):
            continue
        t = stop - start
        tied += t * (t - 1) // 2
        cube_high += t * ((t * t) >> 24)
        cube_low += t * ((t * t) & 0xFFFFFF)
        begin[(start + stop) >> 1] = start
        value = np.uint32(start + stop) | (TIED if t > 1 else np.uint32(0))
        for p in range(start, stop):
            rank[p] = value
        start = stop
    return tied, cube_high, cube_low


@compiled
def distinct_sums(second: np.ndarray, bits: int, perm: np.ndarray) -> tuple[int, int]:
    """Without ties: unpack the permutation, and sum the rank products as (high, low) halves."""
    n, mask = second.size, (U(1) << U(bits)) - U(1)
    high, low = 0, 0
    for i in range(n):
        p = np.int64(second[i] & mask)
        perm[i] = p
        product = (2 * i + 1 - n) * (2 * p + 1 - n)
        high += product >> 24
        low += product & 0xFFFFFF
    return high, low


@compiled
def tied_sums(
    second: Any, first: Any, y: Any, lossy: bool, bits: int, rank: Any, begin: Any, perm: Any
) -> Any:
    """Walk the items in order of (y, x): tied pairs, rank products, and what is left to count inversions of.

    The payload of `second` indexes `rank` (`groups`; empty: x has no ties). A tied group's items take its
    places in turn (`begin`, overwritten), so that ties never look inverted; without `begin` perm is the
    payload. A run of equal keys is a tie in y. Returns pairs tied in y, in both, then (high, low) halves of
    the cubed tie sizes and of the rank products.
    """
    n, mask = second.size, (U(1) << U(bits)) - U(1)
    tied_y, tied_both, cube_high, cube_low, high, low = 0, 0, 0, 0, 0, 0
    start, run_key, run_rank, previous, equal = 0, second[0] >> U(bits), 0, np.int64(-1), 0
    for j in range(n + 1):
        same = j < n and (second[j] >> U(bits)) == run_key
        if same and lossy:
            same = y[first[second[j] & mask] & mask] == y[first[second[start] & mask] & mask]
        if not same:  # the run [start, j) ends: run_rank is the sum of its ranks of x
            t, rank_y = j - start, start + j - n
            part = rank_y * (run_rank & 0xFFFFFF)
            high += rank_y * (run_rank >> 24) + (part >> 24)
            low += part & 0xFFFFFF
            tied_y += t * (t - 1) // 2
            cube_high += t * ((t * t) >> 24)
            cube_low += t * ((t * t) & 0xFFFFFF)
            if j == n:
                break
            start, run_key, run_rank, previous, equal = j, second[j] >> U(bits), 0, np.int64(-1), 0
        p = np.int64(second[j] & mask)
        r = 2 * p + 1
        if rank.size:
            r = np.int64(rank[p])
            if r & TIED:
                r ^= TIED
                if begin.size:
                    p = np.int64(begin[r >> 1])
                    begin[r >> 1] = p + 1
        perm[j] = p
        equal = equal + 1 if r == previous else 0
        tied_both += equal
        previous = r
        run_rank += r - n
    return tied_y, tied_both, cube_high, cube_low, high, low


@compiled
def code_ranks(sizes: np.ndarray, rank: np.ndarray, place: np.ndarray) -> tuple[int, int, int]:
    """As `groups`, for codes that occur sizes[c] times: rank[c], and place[c], where they begin."""
    start, tied, cube_high, cube_low = 0, 0, 0, 0
    for c in range(sizes.size):
        t = sizes[c]
        rank[c], place[c] = start + start + t, start
        tied += t * (t - 1) // 2
        cube_high += t * ((t * t) >> 24)
        cube_low += t * ((t * t) & 0xFFFFFF)
        start += t
    return tied, cube_high, cube_low


@compiled
def coded_sums(second: np.ndarray, bits: int, rank: np.ndarray, perm: np.ndarray) -> tuple[int, int]:
    """As `distinct_sums`, for codes as payload: unpack them, and sum the rank products."""
    n, mask = second.size, (U(1) << U(bits)) - U(1)
    high, low = 0, 0
    for i in range(n):
        code = second[i] & mask
        perm[i] = code
        product = (2 * i + 1 - n) * (np.int64(rank[code]) - n)
        high += product >> 24
        low += product & 0xFFFFFF
    return high, low


@compiled
def all_pairs(x: np.ndarray, y: np.ndarray, rank_x: np.ndarray, rank_y: np.ndarray) -> Any:
    """Compare every two items: the six numbers of `Counts`; untied_x is -1 if a value is not finite.

    With a, b = sign of the differences in x and y, sums of a b, a a, b b over the pairs are the first three;
    over the pairs of one item, a sums to its doubled centred mid-rank. The inner loop is vectorised.
    """
    n = x.size
    concordance, untied_x, untied_y, finite = 0, 0, 0, True
    for i in range(n):
        xi, yi = x[i], y[i]
        finite &= (abs(xi) < np.inf) & (abs(yi) < np.inf)
        before_x, before_y, ranks_x, ranks_y = x[:i], y[:i], rank_x[:i], rank_y[:i]
        sum_a, sum_b = 0, 0
        for j in range(before_x.size):
            a = np.int64(before_x[j] < xi) - np.int64(before_x[j] > xi)
            b = np.int64(before_y[j] < yi) - np.int64(before_y[j] > yi)
            concordance += a * b
            untied_x += a * a
            untied_y += b * b
            sum_a += a
            sum_b += b
            ranks_x[j] -= a
            ranks_y[j] -= b
        rank_x[i], rank_y[i] = sum_a, sum_b
    xy, xx, yy = 0, 0, 0
    for i in range(n):
        xy += rank_x[i] * rank_y[i]
        xx += rank_x[i] * rank_x[i]
        yy += rank_y[i] * rank_y[i]
    return concordance, untied_x if finite else -1, untied_y, xy, xx, yy


@compiled
def small_tau(x: np.ndarray, y: np.ndarray) -> float:
    """Tau-b by comparing every two items, ranks left out; 2 if a value is not finite, NaN if undefined."""
    untied_x, untied_y, untied, opposed, finite = 0, 0, 0, 0, True
    for i in range(x.size):
        xi, yi = x[i], y[i]
        finite &= (abs(xi) < np.inf) & (abs(yi) < np.inf)
        before_x, before_y = x[:i], y[:i]
        for j in range(before_x.size):
            a, b = np.int64(before_x[j] != xi), np.int64(before_y[j] != yi)
            untied_x += a
            untied_y += b
            untied += a & b
            opposed += a & b & (np.int64(before_x[j] < xi) ^ np.int64(before_y[j] < yi))
    return cosine(untied - 2 * opposed, untied_x, untied_y) if finite else 2.0


@compiled_sum
def moments(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, float]:
    """Sum of (x - y)^2, and the centred sums xx, yy, xy (zero for a constant), in blocks of 1,024 items.

    Inside a block the additions are vectorised; the blocks' sums are then added, so that rounding errors
    grow with n / 1024 and not with n. First the means, then the deviations.
    """
    n = x.size
    sum_x, sum_y, error = 0.0, 0.0, 0.0
    same_x, same_y = True, True
    for s in range(0, n, 1024):
        bx, by = x[s : s + 1024], y[s : s + 1024]
        sx, sy, se = 0.0, 0.0, 0.0
        for i in range(bx.size):
            sx += bx[i]
            sy += by[i]
            se += (bx[i] - by[i]) * (bx[i] - by[i])
            same_x &= bx[i] == x[0]
            same_y &= by[i] == y[0]
        sum_x += sx
        sum_y += sy
        error += se
    mean_x, mean_y = sum_x / n, sum_y / n
    xx, yy, xy = 0.0, 0.0, 0.0
    for s in range(0, n, 1024):
        bx, by = x[s : s + 1024], y[s : s + 1024]
        sxx, syy, sxy = 0.0, 0.0, 0.0
        for i in range(bx.size):
            dx, dy = bx[i] - mean_x, by[i] - mean_y
            sxx += dx * dx
            syy += dy * dy
            sxy += dx * dy
        xx += sxx
        yy += syy
        xy += sxy
    return error, 0.0 if same_x else xx, 0.0 if same_y else yy, xy
