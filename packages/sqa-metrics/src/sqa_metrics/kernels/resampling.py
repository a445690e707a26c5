# mypy: disable-error-code="arg-type, assignment, call-arg, no-any-return, return-value"
"""Bootstrap resamples, compiled: which items each one draws, and the four figures of every one without sorting."""

from typing import Any

import numpy as np

from sqa_metrics.kernels import bootstrap
from sqa_metrics.kernels.bootstrap import GOLDEN
from sqa_metrics.kernels.compiled import compiled, compiled_sum
from sqa_metrics.kernels.inversions import inversions
from sqa_metrics.kernels.sums import cosine

U = np.uint64


@compiled_sum
def reweighted(
    counts: np.ndarray,  # (r, n) how often each resample holds each item
    item: np.ndarray,  # (n,) items in order of (x, y)
    x: np.ndarray,  # (n,) in that order, near 1: squares stay in range
    y: np.ndarray,
    squared_error: np.ndarray,  # (n,) of the unscaled values
    level_x: np.ndarray,  # (n,) dense rank of x, in that order
    level_y: np.ndarray,
    out: np.ndarray,  # (r, 4)
) -> None:
    """The four metrics of every resample of one pair, without sorting: the order of its items never changes.

    Counts per level of x and y give ties and mid-ranks; walking the items in order of (x, y), each sends
    its copies to the next places of its y level: a permutation, whose inversions are the discordant pairs.
    """
    n = item.size
    weight, size_x, size_y = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    place, perm, spare = np.empty(n, np.int64), np.empty(n, np.uint32), np.empty(n, np.uint32)
    for r in range(counts.shape[0]):
        count = counts[r]
        size_x[:] = 0
        size_y[:] = 0
        total = 0
        for p in range(n):
            w = np.int64(count[item[p]])
            weight[p] = w
            total += w
            size_x[level_x[p]] += w
            size_y[level_y[p]] += w
        if total + 4 > perm.size:
            perm, spare = np.empty(total + 4, np.uint32), np.empty(total + 4, np.uint32)

        # From here size_x, size_y become doubled centred mid-ranks.
        tied_x, xx = level_ranks(size_x, total, place)
        tied_y, yy = level_ranks(size_y, total, place)
        tied_both, same, xy, filled, last_x, last_y = 0, 0, 0, 0, -1, -1
        for p in range(n):
            w, a, b = weight[p], level_x[p], level_y[p]
            same = same + w if (a == last_x) & (b == last_y) else w
            tied_both += w * (same - w) + w * (w - 1) // 2
            last_x, last_y = a, b
            xy += w * size_x[a] * size_y[b]
            q = place[b]
            place[b] = q + w
            for c in range(4):  # four copies at once, more only where needed: no branch to mispredict
                perm[filled + c] = q + c
            for c in range(4, w):
                perm[filled + c] = q + c
            filled += w
        pairs = total * (total - 1) // 2
        discordant = inversions(perm[:total], spare[:total])
        concordance = pairs - tied_x - tied_y + tied_both - 2 * discordant
        out[r, 2] = cosine(xy, xx, yy)
        out[r, 3] = cosine(concordance, pairs - tied_x, pairs - tied_y)

        sum_x, sum_y, error = 0.0, 0.0, 0.0
        for p in range(n):
            sum_x += weight[p] * x[p]
            sum_y += weight[p] * y[p]
            error += weight[p] * squared_error[p] if weight[p] else 0.0  # it may be infinite
        mean_x, mean_y = sum_x / total, sum_y / total
        sxx, syy, sxy = 0.0, 0.0, 0.0
        for p in range(n):
            dx, dy = x[p] - mean_x, y[p] - mean_y
            sxx += weight[p] * dx * dx
            syy += weight[p] * dy * dy
            sxy += weight[p] * dx * dy
        out[r, 0] = error / total
        out[r, 1] = cosine(sxy, sxx, syy) if xx and yy else np.nan


@compiled
def level_ranks(sizes: np.ndarray, total: int, place: np.ndarray) -> tuple[int, int]:
    """Turn level sizes into doubled centred mid-ranks, place into starts; -> tied pairs, sum of squares."""
    before, tied, squares = 0, 0, 0
    for level in range(sizes.size):
        size = sizes[level]
        rank = 2 * before + size - total
        place[level] = before
        sizes[level] = rank
        tied += size * (size - 1) // 2
        squares += size * rank * rank
        before += size
    return tied, squares


mix = compiled(bootstrap.mix)


@compiled
def _below(state: Any, k: int) -> int:
    """A number below k from a state of SplitMix64: the high half of 32 random bits times k."""
    return np.int64(((mix(state) >> U(32)) * U(k)) >> U(32))


@compiled
def draw(starts: np.ndarray, seed: Any, first: int, counts: np.ndarray) -> None:
    """Draw resamples first..first + r: systems with replacement, then utterances inside each drawn one.

    starts (s + 1,) bounds the systems; counts (r, n), zero, receives how often each utterance was drawn. Resample t
    has two SplitMix64 streams, started at mix(mix(seed) + t) for the systems and at that mixed once more for the
    utterances: the same draws in any order and on any number of threads, the same systems whatever their sizes.
    """
    systems = starts.size - 1
    for r in range(counts.shape[0]):
        state = mix(mix(U(seed)) + U(first + r))
        inside = mix(state)
        for _ in range(systems):
            state += GOLDEN
            c = _below(state, systems)
            begin, size = starts[c], starts[c + 1] - starts[c]
            for _ in range(size):
                inside += GOLDEN
                counts[r, begin + _below(inside, size)] += 1
