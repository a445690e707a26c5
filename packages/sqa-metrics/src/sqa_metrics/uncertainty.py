"""How far the figures can be trusted: bootstrap intervals, paired tests, and what listeners' own noise allows.

A listening test samples systems, and utterances within systems. For the utterance level the bootstrap does the same:
systems are drawn as clusters with replacement, then utterances within each drawn system; an utterance without a system
is a cluster of its own. For the system level systems are drawn whole: their means already hold the noise of few
utterances, and drawing utterances too would add it a second time (Davison & Hinkley 1997, section 3.8; in
benchmarks/study_intervals.py such intervals of nominal 95 % covered 47 to 84 %). At the utterance level the same effect
makes intervals somewhat wide, and tests careful, where systems have few utterances. All predictors see the same draws,
hence differences between two of them are paired. Draws depend on the seed alone, not on the order of the rows.
"""

import math
from dataclasses import dataclass, replace
from itertools import combinations
from statistics import NormalDist
from typing import Any, Literal

import numpy as np

from sqa_metrics.errors import MetricsError
from sqa_metrics.figures import FIGURES
from sqa_metrics.kernels import bootstrap
from sqa_metrics.report import MIN_SYSTEMS, Report, evaluate, system_means
from sqa_metrics.rows.records import Paired
from sqa_metrics.tables import Style, figure, render

Method = Literal["bca", "percentile"]
NORMAL = NormalDist()
JACKKNIFE_GROUPS = 100  # at most so many leave-one-group-out figures go into BCa's acceleration
# Resamples of fewer are the same few over and over: two systems would always correlate perfectly.
MIN_CLUSTERS = 5


@dataclass(frozen=True)
class Interval:
    """A confidence interval [low, high]; NaN where the figure is undefined."""

    low: float
    high: float

    def text(self) -> str:
        return f"{figure(self.low)}, {figure(self.high)}"

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

    values: dict[str, float]  # figure -> its best value; NaN if the ratings' spread leaves no true variance

    def text(self) -> str:
        known = ", ".join(f"{m.upper()} {v:.3f}" for m, v in self.values.items() if not math.isnan(v))
        lost = ", ".join(m.upper() for m, v in self.values.items() if math.isnan(v))
        if lost:
            return f"{known}, {lost} undefined (the MOS vary no more than votes do by chance)"
        return f"{known} (limited by the number of votes)"

    def as_dict(self) -> dict[str, float | None]:
        """By names that say which way the figure is limited: `mse_floor`, `max_lcc`."""
        return {
            (f"max_{m}" if FIGURES[m].better == "higher" else f"{m}_floor"): None if math.isnan(v) else v
            for m, v in self.values.items()
        }


def table(
    differences: list[Difference], level: float, style: Style = "text", width: int | None = None
) -> str:
    """The differences as a table, one row each; `width` as for `tables.render`."""
    header = ["difference", "level", "metric", "value", f"{level:.0%} interval", "p", "p (Holm)"]
    rows = [
        [
            *(f"{d.a} - {d.b}", d.level, d.metric.upper(), figure(d.difference, sign=True)),
            *(f"[{d.interval.text()}]", _p_text(d.p), _p_text(d.p_holm)),
        ]
        for d in differences
    ]
    return render(header, rows, style, width)


def _p_text(value: float) -> str:
    return "<0.001" if value < 0.001 else figure(value)


def replicates(paired: Paired, n_resamples: int, seed: int) -> dict[str, np.ndarray]:
    """Bootstrap figures of every predictor: level -> (n_resamples, n_predictors, figures), in the order of FIGURES.

    NaN at a level of fewer than MIN_CLUSTERS clusters.
    """
    if n_resamples < 2:
        raise MetricsError(f"{n_resamples} resamples requested; expected at least 2 (1000 is usual)")
    result = {}
    for level, (ref, preds, starts) in _levels(paired).items():
        if len(starts) - 1 < MIN_CLUSTERS:
            result[level] = np.full((n_resamples, len(preds), len(FIGURES)), np.nan)
        else:
            result[level] = bootstrap.bootstrap(ref, preds, starts, n_resamples, seed, _functions())
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
            values = figures.level(lvl)
            by_level[lvl] = {
                m: _interval(
                    samples[:, k, j], values[m], level, acceleration[lvl][:, k, j] if acceleration else None
                )
                for j, m in enumerate(FIGURES)
            }
        result.append(by_level)
    return result


def with_uncertainty(
    paired: Paired, *, n_resamples: int = 1000, seed: int = 0, level: float = 0.95, method: Method = "bca"
) -> list[Report]:
    """The report of every predictor, with intervals (for the whole; parts of corpora carry none) and ceiling.

    >>> import io
    >>> from sqa_metrics import pair
    >>> scp = b"u1 1\\nu2 2\\nu3 4\\nu4 3\\nu5 2"
    >>> (found,) = with_uncertainty(pair(io.BytesIO(scp), {"ours": io.BytesIO(scp)}), n_resamples=50)
    >>> found.intervals["utterance"]["mse"].as_list()
    [0.0, 0.0]
    """
    found = intervals(paired, n_resamples=n_resamples, seed=seed, level=level, method=method)
    top = ceiling(paired)
    recipe = f"{method}-n{n_resamples}-s{seed}-{100 * level:g}"
    return [
        replace(evaluate(paired, k), intervals=i, ceiling=top, recipe=recipe) for k, i in enumerate(found)
    ]


def compare(
    paired: Paired,
    *,
    n_resamples: int = 1000,
    seed: int = 0,
    level: float = 0.95,
    method: Method = "percentile",
) -> list[Difference]:
    """Difference of every figure for every two predictors on the same items, with interval and two-sided p-value.

    The p-value belongs to the interval: it is the level at which an interval of the same method just touches zero
    (Efron & Tibshirani 1993, ch. 15.4), and never below 2 / (n_resamples + 1). Holm (1979) corrects it over the pairs,
    for each figure. Percentile intervals are the default here: between equal predictors they exclude zero
    less often by chance than BCa's do (benchmarks/RESULTS.md).

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
    method: Method = "percentile",
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
        for j, metric in enumerate(FIGURES):
            family = []
            for a, b in combinations(range(len(reports)), 2):
                drawn = samples[:, a, j] - samples[:, b, j]
                observed = reports[a].level(lvl)[metric] - reports[b].level(lvl)[metric]
                without = left_out[lvl][:, a, j] - left_out[lvl][:, b, j] if left_out else None
                interval, p = _interval(drawn, observed, level, without), _p_value(drawn, observed, without)
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
                votes=None if part.votes is None else np.asarray(part.votes, float)[rows],
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
    """Best figures that the reference's own noise allows, per level; None unless all its votes and spreads are known.

    An observed MOS is the true mean plus an error of variance s^2 / votes. What a predictor of the true means reaches
    is then a property of each figure (`figures.Figure.perfect`). Rating errors count as independent.

    >>> import io
    >>> from sqa_metrics import pair
    >>> rows = ["sample_id,mos,votes,mos_std", "u1,1,4,1.0", "u2,3,4,1.0", "u3,5,4,1.0"]
    >>> ref = "\\n".join(rows).encode()
    >>> print(ceiling(pair(io.BytesIO(ref), {"ours": io.BytesIO(ref)}))["utterance"].text())
    MSE 0.250, LCC 0.968 (limited by the number of votes)
    """
    if paired.noise is None or not np.isfinite(paired.noise).all():
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
    return Ceiling({m: f.perfect(noise, observed) for m, f in FIGURES.items() if f.perfect is not None})


def _levels(paired: Paired) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """What is resampled at each level: reference (n,), predictions (m, n), and where each cluster starts (c + 1,).

    Utterances are put in order of system and score, so that equal inputs give equal draws in whatever order they came.
    """
    ref, preds = np.asarray(paired.ref, float), np.stack([np.asarray(p, float) for p in paired.preds])
    system, n_systems = np.asarray(paired.system), len(paired.systems)
    order = np.lexsort((*preds[::-1], ref, np.where(system < 0, n_systems, system)))
    ordered = system[order]
    # An utterance without a system is a cluster of its own.
    first = np.append(True, ordered[1:] != ordered[:-1]) | (ordered < 0)
    levels = {"utterance": (ref[order], preds[:, order], np.append(np.flatnonzero(first), len(order)))}
    if n_systems >= MIN_SYSTEMS:
        means = [system_means(p, system, n_systems) for p in (ref, *preds)]
        levels["system"] = (means[0], np.stack(means[1:]), np.arange(n_systems + 1))
    return levels


def _jackknife(paired: Paired, seed: int) -> dict[str, np.ndarray]:
    """Figures without one group of clusters at a time: level -> (groups, n_predictors, figures)."""
    result = {}
    for level, (ref, preds, starts) in _levels(paired).items():
        n_clusters = len(starts) - 1
        group = np.arange(n_clusters)
        if n_clusters > JACKKNIFE_GROUPS:
            group = np.random.default_rng(seed).permutation(n_clusters) % JACKKNIFE_GROUPS
        of_utterance = np.repeat(group, np.diff(starts))
        without = np.arange(int(group.max()) + 1)[:, None] != of_utterance
        result[level] = bootstrap.of_counts(ref, preds, without, _functions())
    return result


def _functions() -> bootstrap.Figures:
    return {name: figure.function for name, figure in FIGURES.items()}


@dataclass(frozen=True)
class _Bca:
    """Efron's map between tail areas of the draws and of the confidence distribution: bias z0, acceleration a."""

    z0: float
    a: float

    @staticmethod
    def of(draws: np.ndarray, observed: float, left_out: np.ndarray) -> "_Bca":
        # Bias: where the observed figure stands among the draws, ties counted half. Kept off 0 and 1.
        below = (np.sum(draws < observed) + 0.5 * np.sum(draws == observed)) / draws.size
        z0 = NORMAL.inv_cdf(min(max(float(below), 0.5 / draws.size), 1 - 0.5 / draws.size))
        left_out = left_out[~np.isnan(left_out)]
        deviation = left_out.mean() - left_out if left_out.size else np.zeros(1)
        scale = float(np.sum(deviation**2) ** 1.5)
        return _Bca(z0, float(np.sum(deviation**3)) / (6 * scale) if scale > 0 else 0.0)

    def tail(self, area: float) -> float:
        """The quantile of the draws that bounds a confidence area."""
        z = self.z0 + NORMAL.inv_cdf(area)
        return NORMAL.cdf(self.z0 + z / max(1 - self.a * z, 1e-12))

    def area(self, tail: float) -> float:
        """The confidence area that a quantile of the draws bounds: `tail` undone."""
        z = NORMAL.inv_cdf(tail) - self.z0
        return NORMAL.cdf(z / max(1 + self.a * z, 1e-12) - self.z0)


def _interval(draws: np.ndarray, observed: float, level: float, left_out: np.ndarray | None) -> Interval:
    """Percentile interval, or BCa where the leave-one-out figures are given; draws without a figure are dropped."""
    draws = draws[~np.isnan(draws)]
    if draws.size < 2 or math.isnan(observed):
        return Interval(math.nan, math.nan)
    tails = [(1 - level) / 2, (1 + level) / 2]
    if left_out is not None:
        bca = _Bca.of(draws, observed, left_out)
        tails = [bca.tail(t) for t in tails]
    low, high = np.quantile(draws, tails)
    return Interval(float(low), float(high))


def _p_value(draws: np.ndarray, observed: float, left_out: np.ndarray | None) -> float:
    """Two-sided, of no difference: the level at which the interval of the same kind just touches zero."""
    draws = draws[~np.isnan(draws)]
    if draws.size < 2 or math.isnan(observed):
        return math.nan
    least = 1 / (draws.size + 1)  # so many resamples cannot tell less
    below = float(np.mean(draws < 0) + 0.5 * np.mean(draws == 0))
    area = min(max(below, least), 1 - least)
    if left_out is not None:
        area = _Bca.of(draws, observed, left_out).area(area)
    return min(1.0, 2 * max(min(area, 1 - area), least))
