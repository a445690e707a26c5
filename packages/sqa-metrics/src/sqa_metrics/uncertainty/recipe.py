"""One recipe for the uncertainty of every figure: leave out one system at a time, transformed, with Student's quantile.

Variance: (S - 1) / S times the squared deviations of the figures without each of S systems (the cluster jackknife,
CR3 of MacKinnon, Nielsen & Webb 2023), in each stratum. At the system level few systems do not show the tails of their
errors, so it is drawn to what theory says with a weight of 6 systems. Degrees of freedom: S - 1, or with systems of
unequal size that of the equal ones that would be as uncertain (Kish 1965). What is drawn to a known variance is surer
by that weight (Smyth 2004, "Linear models and empirical Bayes methods"): it counts for LCC, but not for the MSE,
whose theory knows no long tails, nor for rank figures, which take few values. benchmarks/study_intervals.py shows what
share of intervals and tests is right.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from sqa_metrics.distributions import t_quantile, upper_share
from sqa_metrics.figures import FIGURES, Figure
from sqa_metrics.report import MIN_CLUSTERS
from sqa_metrics.uncertainty.left_out import LeftOut, strata

WEIGHT = 6  # systems that the theory's variance counts as
GRID = 8.0, 160  # of normal scores: from -4 to 4, in steps of .05
LARGEST_CHAIN = 12  # systems up to which the perfect order's probability is computed


class Estimate(NamedTuple):
    """A figure on its scale, with its variance and degrees of freedom."""

    value: float
    variance: float
    freedom: float

    def bounds(self, level: float) -> tuple[float, float]:
        """The interval on that scale."""
        half = t_quantile(upper_share(level), max(self.freedom, 1.0)) * math.sqrt(self.variance)
        return self.value - half, self.value + half


def transformed(figure: Figure, values: np.ndarray, items: np.ndarray | None = None) -> np.ndarray:
    """Values of a figure of so many items on its scale; a rank correlation of 1 is moved inside first."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if figure.cap and items is not None:
            cap = np.asarray(figure.cap(items.astype(float)))  # type: ignore[arg-type]
            values = np.clip(values, -cap, cap)
        if figure.scale == "log":
            values = np.log(values)
        return np.arctanh(values) if figure.scale == "atanh" else values


def undone(figure: Figure, value: float) -> float:
    """From its scale back to the figure."""
    if figure.scale == "raw":
        return value
    with np.errstate(over="ignore"):
        return float(np.exp(value) if figure.scale == "log" else np.tanh(value))


def variance(without: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """Of a statistic without each cluster (c, ...): the jackknife's variance, summed over the strata (...)."""
    total = np.zeros(without.shape[1:])
    with np.errstate(invalid="ignore"):
        for rows in strata(stratum):
            part = without[rows]
            total += (len(rows) - 1) / len(rows) * ((part - part.mean(axis=0)) ** 2).sum(axis=0)
    return total


def estimate(name: str, found: LeftOut, predictor: int) -> Estimate:
    """A figure on its scale with its variance: NaN or infinite where the data cannot tell it."""
    figure, n = FIGURES[name], found.n_clusters
    value = found.whole[name][predictor]
    spread = float(
        variance(transformed(figure, found.without[name][:, predictor], found.items[:-1]), found.stratum)
    )
    freedom = found.freedom
    if found.of_systems and figure.theory and n >= MIN_CLUSTERS:
        spread = (freedom * spread + WEIGHT * figure.theory(value, n)) / (freedom + WEIGHT)
        freedom += WEIGHT * figure.theory_is_sure
    return Estimate(float(transformed(figure, value, found.items[-1])), spread, freedom)


def bounds(name: str, found: LeftOut, predictor: int, level: float) -> tuple[float, float]:
    """The interval of a figure; NaN where the data cannot tell it."""
    figure, value = FIGURES[name], float(found.whole[name][predictor])
    tail = round(1 - upper_share(level), 9)
    if found.n_clusters < MIN_CLUSTERS or math.isnan(value):
        return math.nan, math.nan
    if figure.of_normal and abs(value) == 1:
        least = figure.of_normal(least_correlation(found.n_clusters, tail))
        return (least, 1.0) if value > 0 else (-1.0, -least)
    guess = estimate(name, found, predictor)
    if not math.isfinite(guess.value) or not math.isfinite(guess.variance):
        return math.nan, math.nan
    low, high = guess.bounds(level)
    return undone(figure, low), undone(figure, high)


# --- perfect orders ----------------------------------------------------------------------------------------------


@lru_cache
def least_correlation(n: int, tail: float) -> float:
    """The correlation of normal scores at which n of them fall in one order in both with a probability of `tail`."""
    if n > LARGEST_CHAIN:
        # The discordant pairs that are then to be expected hardly depend on n: 3.9 to 4 where the tail is .025.
        some = least_correlation(LARGEST_CHAIN, tail)
        share = (math.pi / 2 - math.asin(some)) * LARGEST_CHAIN * (LARGEST_CHAIN - 1) / (n * (n - 1))
        return math.sin(math.pi / 2 - share)
    low, high = -1.0, 1.0
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (middle, high) if _same_order(n, middle) < tail else (low, middle)
    return (low + high) / 2


def _same_order(n: int, rho: float) -> float:
    """Probability that n pairs of normal scores of correlation `rho` have one order in both.

    The pairs from the least on: each integral over all that lie below in both is a running sum over a grid.
    """
    width, steps = GRID
    z = (np.arange(steps) + 0.5) * width / steps - width / 2
    density = np.exp(-(z[:, None] ** 2 - 2 * rho * z[:, None] * z + z**2) / (2 * max(1 - rho * rho, 1e-6)))
    density /= density.sum()
    below = np.ones_like(density)
    for _ in range(n - 1):
        here = below * density
        # a cell counts half for itself in each direction
        rows = np.cumsum(here, axis=0) - here / 2
        below = np.cumsum(rows, axis=1) - rows / 2
    return math.factorial(n) * float((below * density).sum())
