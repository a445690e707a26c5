"""Compiled agreement kernels (a first, slow and correct form: the interface to build on)."""

from __future__ import annotations

import numpy as np

from sqa_metrics import _plain


def tau_b(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b of two arrays (n,); NaN where undefined."""
    return _plain.ktau(np.asarray(x).tolist(), np.asarray(y).tolist())


def tau_many(ref: np.ndarray, preds: np.ndarray) -> np.ndarray:
    """Tau-b of each row of preds (m, n) against ref (n,) -> (m,)."""
    return np.array([tau_b(ref, p) for p in np.asarray(preds)])


def tau_matrix(preds: np.ndarray) -> np.ndarray:
    """Tau-b between all rows of preds (m, n) -> (m, m), symmetric."""
    return np.stack([tau_many(p, preds) for p in np.asarray(preds)])


def ranks(x: np.ndarray) -> np.ndarray:
    """Mid-ranks, 1 to n, of x (n,)."""
    x = np.asarray(x, dtype=np.float64)
    _, inverse, count = np.unique(x, return_inverse=True, return_counts=True)
    end = np.cumsum(count)
    return ((end - count + end + 1) / 2)[inverse]


def resampled(ref: np.ndarray, preds: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The four metrics of every resample for every predictor.

    ref (n,), preds (m, n), index (r, k) of positions 0..n-1, -1 where a resample is shorter than k
    -> (r, m, 4) in the order mse, lcc, srcc, ktau; NaN where undefined.
    """
    ref, preds, index = np.asarray(ref), np.asarray(preds), np.asarray(index)
    rows = [row[row >= 0] for row in index]
    return np.stack([rowwise(ref[i][None], preds[:, i][None])[0] for i in rows])


def rowwise(refs: np.ndarray, preds: np.ndarray) -> np.ndarray:
    """The four metrics of values already resampled: refs (r, k), preds (r, m, k) -> (r, m, 4)."""
    out = [
        [list(_plain.four(x.tolist(), y.tolist()).values()) for y in ys]
        for x, ys in zip(refs, preds, strict=True)
    ]
    return np.array(out, dtype=np.float64)


def bootstrap(
    ref: np.ndarray,
    preds: np.ndarray,
    starts: np.ndarray,
    resamples: int,
    seed: int,
    within: bool = True,
    threads: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Resample systems as clusters, and utterances within them: the four metrics at both levels.

    ref (n,) and preds (m, n) with the utterances of one system side by side; starts (s + 1,) bounds them:
    system c is [starts[c], starts[c+1]). Each resample draws s systems with replacement; from each draw
    of a system, as many of its utterances with replacement (within) or all of them (not within). All
    predictors see the same draws; resample t depends on (seed, t) alone, not on the number of threads.
    Without systems pass starts = arange(n + 1): then the utterance level is the plain bootstrap.
    -> utterance level (r, m, 4), system level (r, m, 4): metrics of the drawn systems' means.
    """
    ref, preds, starts = np.asarray(ref, float), np.asarray(preds, float), np.asarray(starts)
    s = len(starts) - 1
    utterance, system = [], []
    for t in range(resamples):
        rng = np.random.default_rng([seed, t])
        parts = []
        for c in rng.integers(0, s, s):
            size = starts[c + 1] - starts[c]
            parts.append(starts[c] + (rng.integers(0, size, size) if within else np.arange(size)))
        index = np.concatenate(parts)
        utterance.append(rowwise(ref[index][None], preds[:, index][None])[0])
        ref_means = np.array([ref[i].mean() for i in parts])
        pred_means = np.array([preds[:, i].mean(axis=1) for i in parts]).T
        system.append(rowwise(ref_means[None], pred_means[None])[0])
    return np.array(utterance), np.array(system)


def warmup() -> None:
    """Compile and cache every kernel."""
