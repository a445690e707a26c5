"""The figures of a level of pairs, whole and with one cluster left out at a time, and their intervals.

Pairs that share a clip or a system depend on each other. So a system is left out with all pairs that it is in; without
systems it is a clip, without clips a pair. The recipe is that of `uncertainty`; shares (accuracy, AUC) are on the scale
of their log odds, half an item inside of 0 and 1.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sqa_metrics.distributions import upper_share
from sqa_metrics.figures import FIGURES, all_figures
from sqa_metrics.interval import UNKNOWN, Interval
from sqa_metrics.pairs import figures
from sqa_metrics.pairs.join import PairedPairs
from sqa_metrics.report import MIN_CLUSTERS, system_means
from sqa_metrics.uncertainty.left_out import LeftOut, effective
from sqa_metrics.uncertainty.recipe import Estimate, bounds, variance

GROUPS = 100  # many clips are left out in so many groups


@dataclass(frozen=True)
class Level:
    """Pairs of clips, or of systems, and the clusters that both sides belong to."""

    ref: np.ndarray  # (n,)
    pred: np.ndarray  # (n,)
    groups: np.ndarray  # (n, 2) int: what to leave out, the same code twice where that is the pair itself
    apart: np.ndarray | None = None  # (n,): see `figures.told_apart`
    both_orders: bool = False  # for the correlations

    def values(self, epsilon: float, ref_epsilon: float) -> dict[str, float]:
        """Every figure; NaN where undefined."""
        ref, pred = self.ref, self.pred
        if self.both_orders:
            ref, pred = np.append(ref, -ref), np.append(pred, -pred)
        found = all_figures(ref, pred) if len(ref) else dict.fromkeys(FIGURES, math.nan)
        found["accuracy"] = figures.accuracy(self.ref, self.pred, ref_epsilon=ref_epsilon)
        found["accuracy_ties"] = figures.accuracy_with_ties(
            self.ref, self.pred, epsilon=epsilon, ref_epsilon=ref_epsilon
        )
        if self.apart is not None:
            told = self.apart == 1
            found["accuracy_apart"] = figures.accuracy(self.ref[told], self.pred[told])
            found["auc"] = figures.auc_apart(self.pred, self.apart)
        return found

    def left_out(self) -> "Iterator[Level]":
        """The level without each cluster."""
        for code in np.unique(self.groups):
            keep = (self.groups != code).all(axis=1)
            apart = None if self.apart is None else self.apart[keep]
            yield Level(self.ref[keep], self.pred[keep], self.groups[keep], apart, self.both_orders)

    def freedom(self) -> float:
        """Degrees of freedom: one less than the clusters of equal size that would be as uncertain."""
        sides = [self.groups[:, 0], self.groups[self.groups[:, 0] != self.groups[:, 1], 1]]
        return effective(np.unique(np.concatenate(sides), return_counts=True)[1]) - 1


def intervals(
    one: Level, values: dict[str, float], epsilon: float, ref_epsilon: float, level: float
) -> dict[str, Interval]:
    """The interval of each of `values`; none with fewer than 5 clusters, NaN where the data cannot tell it."""
    if len(np.unique(one.groups)) < MIN_CLUSTERS:
        return {}
    found = without_each([one], epsilon, ref_epsilon)
    result = {}
    for name, value in values.items():
        if name in FIGURES:
            result[name] = Interval(*bounds(name, found, 0, level))
        else:
            result[name] = _of_share(value, found.without[name][:, 0], found.items, found.freedom, level)
    return result


def without_each(predictors: Sequence[Level], epsilon: float = 0.0, ref_epsilon: float = 0.0) -> LeftOut:
    """The figures of m predictors of the same pairs, whole and without each cluster; NaN with fewer than 5."""
    first = predictors[0]
    sizes = [len(part.ref) for part in first.left_out()]
    whole = [one.values(epsilon, ref_epsilon) for one in predictors]
    unknown = dict.fromkeys(whole[0], math.nan)
    without = [
        [part.values(epsilon, ref_epsilon) for part in one.left_out()]
        if len(sizes) >= MIN_CLUSTERS
        else [unknown] * len(sizes)
        for one in predictors
    ]
    return LeftOut(
        whole={name: np.array([values[name] for values in whole]) for name in unknown},
        without={name: np.array([[w[name] for w in each] for each in without]).T for name in unknown},
        items=np.array([*sizes, len(first.ref)]),
        stratum=np.zeros(len(sizes), int),
        freedom=first.freedom(),
        of_systems=False,
    )


def _of_share(value: float, without: np.ndarray, items: np.ndarray, freedom: float, level: float) -> Interval:
    if math.isnan(value) or np.isnan(without).any():
        return UNKNOWN
    if value in (0.0, 1.0):
        # So high a share in each of as many independent clusters would show no other with a chance of (1 - level) / 2.
        least = (1 - upper_share(level)) ** (1 / (freedom + 1))
        return Interval(least, 1.0) if value else Interval(0.0, 1 - least)
    # atanh(2 p - 1) is half the log odds of p
    most = 1 - 1 / items
    moved = np.arctanh(np.clip(2 * np.append(without, value) - 1, -most, most))
    spread = float(variance(moved[:-1], np.zeros(len(without), int)))
    low, high = Estimate(float(moved[-1]), spread, freedom).bounds(level)
    return Interval((1 + math.tanh(low)) / 2, (1 + math.tanh(high)) / 2)


def of_pairs(paired: PairedPairs) -> tuple[Level, str]:
    """The level of pairs, and what is left out for its intervals, such as "12 systems"."""
    apart = figures.told_apart(paired.ref, paired.std, paired.votes)
    if (paired.system >= 0).all():
        groups, noun = paired.system, "systems"
    elif (paired.clips >= 0).all():
        groups, noun = paired.clips, "clips"
    else:
        groups, noun = np.repeat(np.arange(len(paired))[:, None], 2, axis=1), "pairs"
    n = len(np.unique(groups))
    told = f"{n} {noun}"
    if n > GROUPS and noun != "systems":
        groups, told = groups % GROUPS, f"{GROUPS} groups of {n} {noun}"
    known = apart if np.isfinite(apart).any() else None
    return Level(paired.ref, paired.pred, groups, known), told


def of_system_pairs(paired: PairedPairs) -> Level | None:
    """The level of system pairs: the mean over the pairs of two systems; None where there is none."""
    low, high = paired.system.min(axis=1), paired.system.max(axis=1)
    rows = np.flatnonzero((low >= 0) & (low < high))
    if not rows.size:
        return None
    systems, code = np.unique(np.stack([low[rows], high[rows]], axis=1), axis=0, return_inverse=True)
    sign = np.where(paired.system[rows, 0] == low[rows], 1.0, -1.0)
    means = [
        np.array(system_means((values[rows] * sign).tolist(), code.ravel().tolist(), len(systems)))
        for values in (paired.ref, paired.pred)
    ]
    return Level(means[0], means[1], systems, both_orders=True)
