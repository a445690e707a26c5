"""How far the figures can be trusted: bootstrap intervals, paired tests, and what listeners' own noise allows.

A listening test samples systems, and utterances within systems. For the utterance level the bootstrap does the same:
systems are drawn as clusters with replacement, then utterances within each drawn system; an utterance without a system
is a cluster of its own. For the system level systems are drawn whole: their means already hold the noise of few
utterances, and drawing utterances too would add it a second time (Davison & Hinkley 1997, section 3.8; in
benchmarks/study_intervals.py such intervals of nominal 95 % covered 50 to 80 %). All predictors see the same draws,
hence differences between two of them are paired. Draws depend on the seed alone.
"""

import math
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from sqa_metrics.errors import MetricsError
from sqa_metrics.report import METRIC_NAMES, MIN_SYSTEMS, Report, evaluate, system_means
from sqa_metrics.scores import Paired

Method = Literal["bca", "percentile"]
JACKKNIFE_GROUPS = 100  # at most so many leave-one-group-out figures go into BCa's acceleration


@dataclass(frozen=True)
class Interval:
    """A confidence interval [low, high]; NaN where the figure is undefined."""

    low: float
    high: float

    def text(self, digits: int = 3) -> str:
        return f"{self.low:.{digits}f}, {self.high:.{digits}f}"

    def as_list(self) -> list[float | None]:
        return [None if math.isnan(v) else v for v in (self.low, self.high)]


@dataclass(frozen=True)
class Difference:
    """Figure of predictor `a` minus that of `b` on the same items. `p_holm` is corrected over all pairs."""

    a: str
    b: str
    level: str
    metric: str
    difference: float
    interval: Interval
    p: float
    p_holm: float

    def as_dict(self) -> dict[str, Any]:
        values = {k: getattr(self, k) for k in ("difference", "p", "p_holm")}
        return {
            "a": self.a,
            "b": self.b,
            "level": self.level,
            "metric": self.metric,
            "interval": self.interval.as_list(),
        } | {k: None if math.isnan(v) else v for k, v in values.items()}


@dataclass(frozen=True)
class Ceiling:
    """What a predictor of each item's true mean would reach, the reference being a mean of few ratings."""

    mse_floor: float
    max_lcc: float  # NaN if the ratings' spread leaves no true variance

    def text(self) -> str:
        return f"MSE {self.mse_floor:.3f}, LCC {self.max_lcc:.3f} (limited by the number of votes)"

    def as_dict(self) -> dict[str, float | None]:
        return {"mse_floor": self.mse_floor, "max_lcc": None if math.isnan(self.max_lcc) else self.max_lcc}


def replicates(paired: Paired, n_resamples: int, seed: int) -> dict[str, np.ndarray]:
    """Bootstrap figures of every predictor: level -> (n_resamples, n_predictors, 4), in METRIC_NAMES order."""
    if n_resamples < 2:
        raise MetricsError(f"{n_resamples} resamples requested; expected at least 2 (1000 is usual)")
    from sqa_metrics import _kernels

    ref, preds = _arrays(paired)
    cluster = _clusters(paired)
    order = np.argsort(cluster, kind="stable")  # the utterances of a cluster side by side
    starts = np.append(np.flatnonzero(np.diff(cluster[order], prepend=-1)), len(order))
    result = {"utterance": _kernels.bootstrap(ref[order], preds[:, order], starts, n_resamples, seed)}
    if len(paired.systems) >= MIN_SYSTEMS:
        ref, preds = _system_level(paired)
        whole = np.arange(len(ref) + 1)
        result["system"] = _kernels.bootstrap(ref, preds, whole, n_resamples, seed)
    return result


def intervals(
    paired: Paired, *, n_resamples: int = 1000, seed: int = 0, level: float = 0.95, method: Method = "bca"
) -> list[dict[str, dict[str, Interval]]]:
    """Confidence intervals of every figure: one {level: {metric: Interval}} a predictor.

    `bca` corrects bias and skew (Efron 1987, "Better bootstrap confidence intervals"), with a jackknife over
    clusters; `percentile` takes the quantiles of the resampled figures as they are.

    >>> import io
    >>> from sqa_metrics import pair
    >>> rows = ["sample_id,system_id,mos"] + [f"u{k},s{k // 4},{1 + k % 9 / 3}" for k in range(24)]
    >>> ref = "\\n".join(rows).encode()
    >>> paired = pair(io.BytesIO(ref), {"same": io.BytesIO(ref), "off": io.BytesIO(ref.replace(b",3.", b",2."))})
    >>> same, off = intervals(paired, n_resamples=100)
    >>> same["utterance"]["mse"], off["utterance"]["mse"].low < off["utterance"]["mse"].high
    (Interval(low=0.0, high=0.0), True)
    """
    draws = replicates(paired, n_resamples, seed)
    acceleration = _jackknife(paired, seed) if method == "bca" else None
    result: list[dict[str, dict[str, Interval]]] = []
    for k in range(len(paired.preds)):
        figures = evaluate(paired, k)
        by_level: dict[str, dict[str, Interval]] = {}
        for lvl, samples in draws.items():
            values = getattr(figures, lvl)
            by_level[lvl] = {
                m: _interval(
                    samples[:, k, j], values[m], level, acceleration[lvl][:, k, j] if acceleration else None
                )
                for j, m in enumerate(METRIC_NAMES)
            }
        result.append(by_level)
    return result


def with_uncertainty(
    paired: Paired, *, n_resamples: int = 1000, seed: int = 0, level: float = 0.95, method: Method = "bca"
) -> list[Report]:
    """The report of every predictor, with intervals (for the whole; parts of corpora carry none) and ceiling.

    >>> import io
    >>> from sqa_metrics import pair
    >>> scp = b"u1 1\\nu2 2\\nu3 4"
    >>> (found,) = with_uncertainty(pair(io.BytesIO(scp), {"ours": io.BytesIO(scp)}), n_resamples=50)
    >>> found.intervals["utterance"]["mse"].as_list()
    [0.0, 0.0]
    """
    found = intervals(paired, n_resamples=n_resamples, seed=seed, level=level, method=method)
    top = ceiling(paired)
    return [replace(evaluate(paired, k), intervals=i, ceiling=top) for k, i in enumerate(found)]


def compare(
    paired: Paired, *, n_resamples: int = 1000, seed: int = 0, level: float = 0.95, method: Method = "bca"
) -> list[Difference]:
    """Difference of every figure for every two predictors on the same items, with interval and two-sided p-value.

    The p-value is the bootstrap's achieved significance: twice the smaller share of resampled differences on either
    side of zero, counted so that it is never below 2 / (n_resamples + 1) (Efron & Tibshirani 1993, ch. 16;
    Davison & Hinkley 1997, ch. 4). Holm (1979) corrects it over the pairs, for each figure.

    >>> import io
    >>> from sqa_metrics import pair
    >>> rows = ["sample_id,system_id,mos"] + [f"u{k},s{k // 4},{1 + k % 9 / 3}" for k in range(24)]
    >>> ref = "\\n".join(rows).encode()
    >>> paired = pair(io.BytesIO(ref), {"same": io.BytesIO(ref), "off": io.BytesIO(ref.replace(b",3.", b",2."))})
    >>> first = compare(paired, n_resamples=100)[0]
    >>> first.a, first.b, first.level, first.metric, first.difference < 0, first.p < 0.05
    ('same', 'off', 'utterance', 'mse', True, True)
    """
    reports = [evaluate(paired, k) for k in range(len(paired.preds))]
    left_out = _jackknife(paired, seed) if method == "bca" else None
    return _compare(reports, replicates(paired, n_resamples, seed), left_out, level)


def compare_unpaired(
    parts: list[Paired],
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    method: Method = "bca",
) -> tuple[list[Report], list[Difference]]:
    """`compare` for predictors that scored different utterances of the same systems, one Paired each.

    Every predictor is measured on its own utterances of the systems that all of them have; the resamples draw the same
    systems for all and utterances for each. Less sharp than `compare`: only the systems are paired.

    >>> import io
    >>> from sqa_metrics import pair
    >>> def table(first):
    ...     rows = [f"u{k},s{k % 5},{k % 7}" for k in range(first, 40, 2)]
    ...     return "\\n".join(["sample_id,system_id,mos", *rows]).encode()
    >>> parts = [pair(io.BytesIO(table(k)), {f"p{k}": io.BytesIO(table(k))}) for k in (0, 1)]
    >>> reports, differences = compare_unpaired(parts, n_resamples=50)
    >>> len(differences), {d.difference for d in differences}
    (8, {0.0})
    """
    parts = _on_common_systems(parts)
    reports = [evaluate(part) for part in parts]
    draws = _side_by_side([replicates(part, n_resamples, seed) for part in parts])
    left_out = _side_by_side([_jackknife(part, seed) for part in parts]) if method == "bca" else None
    return reports, _compare(reports, draws, left_out, level)


def _compare(
    reports: list[Report],
    draws: dict[str, np.ndarray],
    left_out: dict[str, np.ndarray] | None,
    level: float,
) -> list[Difference]:
    if len(reports) < 2:
        raise MetricsError(f"{len(reports)} predictor given; expected at least two to compare")
    result = []
    for lvl, samples in draws.items():
        for j, metric in enumerate(METRIC_NAMES):
            family = []
            for a, b in combinations(range(len(reports)), 2):
                drawn = samples[:, a, j] - samples[:, b, j]
                observed = float(getattr(reports[a], lvl)[metric] - getattr(reports[b], lvl)[metric])
                without = left_out[lvl][:, a, j] - left_out[lvl][:, b, j] if left_out else None
                interval, p = _interval(drawn, observed, level, without), _p_value(drawn)
                family.append(
                    Difference(reports[a].name, reports[b].name, lvl, metric, observed, interval, p, p)
                )
            adjusted = holm([d.p for d in family])
            result += [replace(d, p_holm=p) for d, p in zip(family, adjusted, strict=True)]
    return result


def _side_by_side(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {level: np.concatenate([part[level] for part in parts], axis=1) for level in parts[0]}


def _on_common_systems(parts: list[Paired]) -> list[Paired]:
    """Each part on the systems that all parts have, numbered alike, its utterances in order of system."""
    common = sorted(set.intersection(*(set(part.systems) for part in parts)))
    if len(common) < MIN_SYSTEMS:
        names = ", ".join(part.names[0] for part in parts)
        raise MetricsError(f"{names} have {len(common)} systems in common; expected at least {MIN_SYSTEMS}")
    result = []
    for part in parts:
        number = np.full(len(part.systems) + 1, -1)  # the last entry is for utterances without a system
        number[[part.systems.index(s) for s in common]] = np.arange(len(common))
        system = number[np.asarray(part.system)]
        rows = np.flatnonzero(system >= 0)
        result.append(
            replace(
                part,
                ref=np.asarray(part.ref, float)[rows],
                preds=[np.asarray(pred, float)[rows] for pred in part.preds],
                system=system[rows],
                systems=common,
                corpus=np.asarray(part.corpus)[rows],
                noise=None if part.noise is None else np.asarray(part.noise, float)[rows],
            )
        )
    return result


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down adjustment of a family of p-values (Holm 1979); NaN stays NaN and does not count.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted((p, k) for k, p in enumerate(p_values) if p == p)
    adjusted, worst = list(p_values), 0.0
    for rank, (p, k) in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * p))
        adjusted[k] = worst
    return adjusted


def ceiling(paired: Paired) -> dict[str, Ceiling] | None:
    """Best figures that the reference's own noise allows, per level; None if its votes and spread are unknown.

    An observed MOS is the true mean plus an error of variance s^2 / votes. A perfect predictor still has the mean
    of these variances as its MSE; its LCC is sqrt(1 - error variance / variance of the observed MOS), the index of
    reliability of classical test theory (Lord & Novick 1968, section 3.6). Rating errors count as independent.

    >>> import io
    >>> from sqa_metrics import pair
    >>> rows = ["sample_id,mos,votes,mos_std", "u1,1,4,1.0", "u2,3,4,1.0", "u3,5,4,1.0"]
    >>> ref = "\\n".join(rows).encode()
    >>> print(ceiling(pair(io.BytesIO(ref), {"ours": io.BytesIO(ref)}))["utterance"].text())
    MSE 0.250, LCC 0.968 (limited by the number of votes)
    """
    if paired.noise is None:
        return None
    noise, ref = np.asarray(paired.noise, float), np.asarray(paired.ref, float)
    result = {"utterance": _ceiling(noise, ref)}
    n_systems = len(paired.systems)
    if n_systems >= MIN_SYSTEMS:
        system = np.asarray(paired.system)
        size = np.bincount(system[system >= 0], minlength=n_systems)
        # variance of a mean of k independent errors: mean variance / k
        result["system"] = _ceiling(
            system_means(noise, system, n_systems) / size, system_means(ref, system, n_systems)
        )
    return result


def _ceiling(noise: np.ndarray, observed: np.ndarray) -> Ceiling:
    floor = float(noise.mean())
    variance = float(observed.var(ddof=1)) if observed.size > 1 else 0.0
    reliability = 1 - floor / variance if variance > 0 else -1.0
    return Ceiling(floor, math.sqrt(reliability) if reliability >= 0 else math.nan)


def _arrays(paired: Paired) -> tuple[np.ndarray, np.ndarray]:
    """Reference (n,) and predictions (m, n) as float64."""
    return np.asarray(paired.ref, float), np.stack([np.asarray(p, float) for p in paired.preds])


def _system_level(paired: Paired) -> tuple[np.ndarray, np.ndarray]:
    """Means of the systems: reference (s,) and predictions (m, s)."""
    ref, preds = _arrays(paired)
    system, n_systems = np.asarray(paired.system), len(paired.systems)
    return system_means(ref, system, n_systems), np.stack([system_means(p, system, n_systems) for p in preds])


def _clusters(paired: Paired) -> np.ndarray:
    """Cluster number of each utterance, without gaps: its system, or itself where it has none."""
    system = np.asarray(paired.system)
    cluster = np.where(system >= 0, system, len(paired.systems) + np.arange(len(system)))
    return np.unique(cluster, return_inverse=True)[1]


def _jackknife(paired: Paired, seed: int) -> dict[str, np.ndarray]:
    """Figures without one group of clusters at a time: level -> (groups, n_predictors, 4)."""
    result = {"utterance": _leave_out(*_arrays(paired), _clusters(paired), seed)}
    if (n_systems := len(paired.systems)) >= MIN_SYSTEMS:
        result["system"] = _leave_out(*_system_level(paired), np.arange(n_systems), seed)
    return result


def _leave_out(ref: np.ndarray, preds: np.ndarray, cluster: np.ndarray, seed: int) -> np.ndarray:
    from sqa_metrics import _kernels

    n_clusters = int(cluster.max()) + 1
    group = np.arange(n_clusters)
    if n_clusters > JACKKNIFE_GROUPS:
        group = np.random.default_rng(seed).permutation(n_clusters) % JACKKNIFE_GROUPS
    figures = []
    for g in range(int(group.max()) + 1):
        keep = np.flatnonzero(group[cluster] != g)
        figures.append(_kernels.resampled(ref, preds, keep[None])[0])
    return np.stack(figures)


def _interval(draws: np.ndarray, observed: float, level: float, left_out: np.ndarray | None) -> Interval:
    """Percentile interval, or BCa where the leave-one-out figures are given; draws without a figure are dropped."""
    draws = draws[~np.isnan(draws)]
    if draws.size < 2 or math.isnan(observed):
        return Interval(math.nan, math.nan)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if left_out is not None:
        normal = NormalDist()
        # Bias: where the observed figure stands among the draws, ties counted half. Kept off 0 and 1.
        below = (np.sum(draws < observed) + 0.5 * np.sum(draws == observed)) / draws.size
        z0 = normal.inv_cdf(min(max(below, 0.5 / draws.size), 1 - 0.5 / draws.size))
        deviation = np.nanmean(left_out) - left_out[~np.isnan(left_out)]
        scale = np.sum(deviation**2) ** 1.5
        a = np.sum(deviation**3) / (6 * scale) if scale > 0 else 0.0
        z = np.array([z0 + normal.inv_cdf(t) for t in tails])
        tails = np.array([normal.cdf(z0 + v / max(1 - a * v, 1e-12)) for v in z])
    low, high = np.quantile(draws, tails)
    return Interval(float(low), float(high))


def _p_value(draws: np.ndarray) -> float:
    draws = draws[~np.isnan(draws)]
    if not draws.size:
        return math.nan
    tail = min(np.sum(draws <= 0), np.sum(draws >= 0))
    return float(min(1.0, 2 * (tail + 1) / (draws.size + 1)))
