"""The figures of bootstrap resamples, given by how often each resample holds each item.

Two ways to the same draws and figures: NumPy for small jobs, compiled loops (`resampling`) once they repay their load.
The challenge's four are computed for all resamples at once; any other figure from the items repeated, one by one.
"""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np

from sqa_metrics.kernels import arrays, choose
from sqa_metrics.kernels.threads import in_threads

FUSED = ("mse", "lcc", "srcc", "ktau")  # what the fast ways compute, in this order
CHUNK = 1 << 17  # counts that one thread works on at a time
SIGNS = 4000  # items up to which NumPy compares every two, as a matrix
COLUMNS = 512  # of that matrix in memory at a time

# Seconds of processor time in NumPy: an item of a resample, and a pair of items (two products).
ITEM, PAIR = 80e-9, 7e-11

Figures = Mapping[str, Callable[[np.ndarray, np.ndarray], float]]
Measure = Callable[[np.ndarray], np.ndarray]  # counts (r, n) -> figures (r, m, len(figures))


def bootstrap(
    ref: np.ndarray, preds: np.ndarray, starts: np.ndarray, resamples: int, seed: int, figures: Figures
) -> np.ndarray:
    """Resample systems as clusters, and utterances within them: the figures of each resample, (r, m, figures).

    ref (n,) and preds (m, n) with the utterances of one system side by side; starts (s + 1,) bounds them: system c is
    [starts[c], starts[c+1]). Each resample draws s systems with replacement, and from each drawn system as many of its
    utterances with replacement. All predictors see the same draws; resample t depends on (seed, t) alone, not on the
    number of threads, and the systems it draws not on their sizes. starts = arange(n + 1) is the plain bootstrap.
    """
    starts = np.require(starts, np.int64, ["C", "W"])
    if starts[0] != 0 or starts[-1] != ref.size or (np.diff(starts) < 1).any():
        raise ValueError("starts must rise from 0 to the number of utterances")
    kernels = _kernels(resamples, preds)
    measure = _measure(ref, preds, figures, kernels)

    def chunk(part: range) -> np.ndarray:
        if kernels is None:
            return measure(_draw(starts, seed, part))
        counts = np.zeros((len(part), ref.size), np.int32)
        kernels.draw(starts, np.uint64(seed), part.start, counts)
        return measure(counts)

    step = max(1, CHUNK // max(1, ref.size))
    parts = [range(s, min(s + step, resamples)) for s in range(0, resamples, step)]
    return np.concatenate(in_threads(chunk, parts, preds.size * CHUNK))


def of_counts(ref: np.ndarray, preds: np.ndarray, counts: np.ndarray, figures: Figures) -> np.ndarray:
    """The figures of every resample: ref (n,), preds (m, n), counts (r, n) -> (r, m, figures); NaN: undefined."""
    measure = _measure(ref, preds, figures, _kernels(len(counts), preds))
    return measure(np.require(counts, np.int32, ["C", "W"]))


def warmup() -> None:
    """Compile and cache the loops."""
    from sqa_metrics.kernels import resampling

    ref, counts = np.arange(9.0), np.zeros((1, 9), np.int32)
    resampling.draw(np.arange(10), np.uint64(0), 0, counts)
    _in_loops(ref, ref, resampling)(counts)


def _kernels(resamples: int, preds: np.ndarray) -> ModuleType | None:
    m, n = preds.shape
    if choose.repaid(resamples * m * n * (ITEM + PAIR * min(n, SIGNS))) is None:
        return None
    from sqa_metrics.kernels import resampling

    return resampling


def _measure(ref: np.ndarray, preds: np.ndarray, figures: Figures, kernels: ModuleType | None) -> Measure:
    """A function from counts (r, n) to figures (r, m, figures), for which each predictor is sorted only once."""
    fused = [(_in_loops(ref, pred, kernels) if kernels else _in_arrays(ref, pred)) for pred in preds]

    def measure(counts: np.ndarray) -> np.ndarray:
        out = np.empty((len(counts), len(preds), len(figures)))
        for k, (pred, of_fused) in enumerate(zip(preds, fused, strict=True)):
            four = of_fused(counts)
            for j, (name, function) in enumerate(figures.items()):
                if name in FUSED:
                    out[:, k, j] = four[:, FUSED.index(name)]
                else:
                    out[:, k, j] = [function(np.repeat(ref, c), np.repeat(pred, c)) for c in counts]
        return out

    return measure


def _in_loops(ref: np.ndarray, pred: np.ndarray, kernels: ModuleType) -> Measure:
    level_ref, level = (np.unique(values, return_inverse=True)[1] for values in (ref, pred))
    item = np.lexsort((level, level_ref))
    near = [arrays.near_one(values)[item] for values in (ref, pred)]
    squared_error = arrays.squared_error(ref, pred)[item]

    def measure(counts: np.ndarray) -> np.ndarray:
        out = np.empty((len(counts), len(FUSED)))
        kernels.reweighted(counts, item, *near, squared_error, level_ref[item], level[item], out)
        return out

    return measure


def _in_arrays(ref: np.ndarray, pred: np.ndarray) -> Measure:
    if ref.size > SIGNS:
        return lambda counts: np.array(
            [list(arrays.four(np.repeat(ref, c), np.repeat(pred, c)).values()) for c in counts]
        )
    levels = arrays.levels(ref), arrays.levels(pred)
    near = arrays.near_one(ref), arrays.near_one(pred)
    squared_error = arrays.squared_error(ref, pred)

    def measure(counts: np.ndarray) -> np.ndarray:
        total = counts.sum(axis=1)
        pairs = total * (total - 1) // 2
        (tied_x, xx, rank_x), (tied_y, yy, rank_y) = (_ranks(counts, side, total) for side in levels)
        xy = (counts * rank_x * rank_y).sum(axis=1)
        concordance = _concordance(ref, pred, counts)
        with np.errstate(invalid="ignore", divide="ignore"):
            mse = np.where(counts > 0, counts * squared_error, 0).sum(axis=1) / total
            # Sums along rows, not products of matrices, which round as their shapes go.
            dx, dy = (side - ((counts * side).sum(axis=1) / total)[:, None] for side in near)
            lcc = _cosines(*((counts * a * b).sum(axis=1) for a, b in ((dx, dy), (dx, dx), (dy, dy))))
            lcc[(xx == 0) | (yy == 0)] = np.nan
            srcc = _cosines(xy, xx, yy)
            ktau = _cosines(concordance, pairs - tied_x, pairs - tied_y)
        return np.stack([mse, lcc, srcc, ktau], axis=1)

    return measure


def _ranks(
    counts: np.ndarray, side: arrays.Levels, total: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of one side in each resample: tied pairs (r,), sum of squared ranks (r,), rank of each item (r, n)."""
    first = np.append(0, np.cumsum(side.size)[:-1])
    size = np.add.reduceat(counts[:, side.order], first, axis=1, dtype=np.int64)
    rank = arrays.mid_ranks(size, np.cumsum(size, axis=1) - size, total[:, None])
    return (size * (size - 1) // 2).sum(axis=1), (size * rank**2).sum(axis=1), rank[:, side.code]


def _concordance(ref: np.ndarray, pred: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Concordant less discordant pairs of each resample, (r,): a quadratic form over the signs of all pairs.

    Exact, also in single precision: every entry of the product is an integer below the number of items drawn.
    """
    doubled = np.zeros(len(counts))
    weights = counts.astype(np.float32)
    for s in range(0, ref.size, COLUMNS):
        block = slice(s, s + COLUMNS)
        signs = np.sign(ref[:, None] - ref[None, block]) * np.sign(pred[:, None] - pred[None, block])
        doubled += (weights @ signs.astype(np.float32) * counts[:, block]).sum(axis=1, dtype=np.float64)
    return doubled / 2


def _cosines(xy: np.ndarray, xx: np.ndarray, yy: np.ndarray) -> np.ndarray:
    """As `plain.cosine`, of arrays: NaN if either square is zero, exactly 1 where the three are equal."""
    xy, xx, yy = (np.asarray(v, float) for v in (xy, xx, yy))
    cosine = np.clip(xy / np.sqrt(xx * yy), -1, 1)
    cosine[(np.abs(xy) == xx) & (xx == yy) & (xx > 0)] = 1
    cosine[(xx == 0) | (yy == 0)] = np.nan
    signed: np.ndarray = np.copysign(cosine, xy)
    return signed


GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # the step of SplitMix64 (Steele, Lea & Flood 2014)


def _draw(starts: np.ndarray, seed: int, part: range) -> np.ndarray:
    """How often each of the resamples in `part` holds each item, (r, n); `resampling.draw` in NumPy."""
    r, sizes = len(part), np.diff(starts)
    state = mix(mix(np.array([seed], np.uint64)) + np.arange(part.start, part.stop, dtype=np.uint64))
    steps = np.arange(1, len(sizes) + 1, dtype=np.uint64)
    system = _below(state[:, None] + steps * GOLDEN, len(sizes))  # (r, systems)
    drawn = sizes[system]
    per_resample = drawn.sum(axis=1)
    resample = np.repeat(np.arange(r), per_resample)
    before = np.cumsum(per_resample) - per_resample
    step = (np.arange(len(resample)) - before[resample] + 1).astype(np.uint64)
    inside = np.repeat(system.ravel(), drawn.ravel())
    item = starts[inside] + _below(mix(state)[resample] + step * GOLDEN, sizes[inside])
    n = int(starts[-1])
    return np.bincount(resample * n + item, minlength=r * n).reshape(r, n).astype(np.int32)


def mix(state: Any) -> Any:
    """SplitMix64's output function of a state or an array of them, in NumPy and compiled."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _below(state: np.ndarray, k: np.ndarray | int) -> np.ndarray:
    """Numbers below k from states of SplitMix64: the high half of 32 random bits times k."""
    number: np.ndarray = ((mix(state) >> np.uint64(32)) * np.asarray(k, np.uint64)) >> np.uint64(32)
    return number.astype(np.int64)
