"""The figures of ITU-T P.1401 (01/2020) for one predictor: rmse, rmse*, outlier ratio, Pearson, residuals.

Each of them unmapped and after the mapping, which is fitted to the same data and so flatters: the unmapped ones are
always there. `d` is what the mapping takes from the degrees of freedom: by default its coefficients (4 for the third
order as in the recommendation, 2 for the first, 0 without; other programs take 1 for the last two).
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from sqa_metrics import distributions
from sqa_metrics.errors import MetricsError
from sqa_metrics.interval import plain
from sqa_metrics.kernels.plain import lcc
from sqa_metrics.numbers import as_scores
from sqa_metrics.p1401.mapping import COEFFICIENTS, FLAT, SCALE, Mapping, MappingName, fit_mapping, span_of

if TYPE_CHECKING:
    from sqa_metrics.numbers import Scores

EDITION = "ITU-T P.1401 (01/2020)"
Z95 = 1.96  # the recommendation's own rounding of the normal quantile
MANY_VOTES = 30  # from so many on it is used for Student's
SPARE = 2  # degrees of freedom that a mapping has to leave
ROUNDING = 1e-9  # an error that is beyond an interval by less lies on its edge
QUANTILES = (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)


class Estimate(NamedTuple):
    """A figure and its 95 % interval; NaN where undefined."""

    value: float
    low: float = math.nan
    high: float = math.nan


class Agreement(NamedTuple):
    """The figures of one predictor under one mapping. Errors are listeners' score less mapped prediction."""

    n: int
    d: int
    mapping: Mapping
    rmse: Estimate
    rmse_star: float | None  # None: the ratings' intervals are not known
    outlier_ratio: Estimate | None
    pearson: Estimate
    residuals: dict[str, float]  # mean, sd (n - 1), skewness, quantiles "q0" to "q100"

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types: an estimate is [value, low, high], what is undefined is None."""
        names = ("d", "rmse", "rmse_star", "outlier_ratio", "pearson", "residuals")
        mapping = {name: getattr(self.mapping, name) for name in ("name", "coefficients", "binds")}
        return plain({"mapping": mapping} | {name: getattr(self, name) for name in names})


def p1401_figures(
    ref: "Scores",
    pred: "Scores",
    ci95: "Scores | None" = None,
    mapping: MappingName = "none",
    d: int | None = None,
    scale: tuple[float, float] = SCALE,
) -> Agreement:
    """The P.1401 figures of predictions (n,) against listeners' scores (n,), in the units of the scores.

    The mapping rises over `scale`, or over the range of the predictions if that leaves it.

    - rmse (clause 7.5.1): sqrt(sum of squared errors / (n - d)), interval by chi-squared of n - d;
    - rmse* (7.7): the same of max(0, |error| - ci95), with `ci95` (n,) the half-widths of the scores' 95 % intervals;
    - outlier ratio (7.5.2.2): the share of |error| > ci95, with Wilson's interval (1927), which holds near 0 and 1
      too, where the recommendation's +- 1.96 sqrt(share (1 - share) / n) does not;
    - Pearson (7.5.3): interval by Fisher's z, +- 1.96 / sqrt(n - 3), from 4 items on.

    MetricsError for unequal lengths, too few items for the mapping, and a negative `d` or one that leaves nothing.

    >>> found = p1401_figures([1.2, 1.8, 2.4, 2.9, 3.3, 3.8], [1.6, 1.7, 2.6, 2.7, 3.6, 3.5], [0.2] * 6)
    >>> round(found.rmse.value, 4), round(found.rmse_star, 4), round(found.outlier_ratio.value, 4)
    (0.2677, 0.1, 0.5)
    """
    x, y = list(map(float, as_scores("ref", ref))), list(map(float, as_scores("pred", pred)))
    widths = None if ci95 is None else list(map(float, as_scores("ci95", ci95)))
    n = len(x)
    if {n} != {len(y), n if widths is None else len(widths)}:
        raise MetricsError(
            f"ref has {n} values, pred {len(y)}, ci95 {len(widths or x)}; expected equally many"
        )
    d = COEFFICIENTS.get(mapping, 0) if d is None else d
    if mapping != "none" and n < COEFFICIENTS.get(mapping, 0) + SPARE:
        raise MetricsError(
            f"{n} items are too few for a {mapping} mapping; expected at least {COEFFICIENTS[mapping] + SPARE}, "
            "or a mapping of lower order"
        )
    if not 0 <= d < n:
        raise MetricsError(f"d = {d} of {n} items leaves no degree of freedom; expected 0 <= d < {n}")
    fitted = fit_mapping(x, y, mapping, span_of(y, scale))
    mapped = fitted(y)
    least = FLAT * max(map(abs, x))
    errors = [a - b if abs(a - b) > least else 0.0 for a, b in zip(x, mapped, strict=True)]
    star = ratio = None
    if widths is not None:
        beyond = [max(0.0, abs(e) - w) for e, w in zip(errors, widths, strict=True)]
        star = _root_mean(beyond, n - d)
        ratio = wilson(sum(b > ROUNDING for b in beyond), n)
    return Agreement(
        n, d, fitted, _rmse(errors, n - d), star, ratio, _pearson(x, mapped), _distribution(errors)
    )


def half_width(variance: float, votes: float) -> float:
    """Half of the 95 % interval of a mean of `votes` >= 2 ratings with this variance of the mean (Appendix III).

    Student's quantile, and 1.96 from 30 votes on.

    >>> round(half_width(1.0 / 8, 8), 4)
    0.836
    """
    return (Z95 if votes >= MANY_VOTES else distributions.t_quantile(0.975, votes - 1)) * math.sqrt(variance)


def wilson(k: int, n: int) -> Estimate:
    """The share k / n with Wilson's 95 % interval.

    >>> [round(v, 6) for v in wilson(8, 10)]
    [0.8, 0.490162, 0.943318]
    """
    z = distributions.normal_quantile(0.975)
    share, weight = k / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / weight
    width = z / weight * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return Estimate(share, middle - width if k else 0.0, middle + width if k < n else 1.0)


def _root_mean(errors: Sequence[float], freedom: int) -> float:
    return math.sqrt(math.fsum(e * e for e in errors) / freedom)


def _rmse(errors: Sequence[float], freedom: int) -> Estimate:
    value = _root_mean(errors, freedom)
    low, high = (value * math.sqrt(freedom / distributions.chi2_quantile(p, freedom)) for p in (0.975, 0.025))
    return Estimate(value, low, high)


def _pearson(x: list[float], y: list[float]) -> Estimate:
    r = lcc(x, y) if len(x) > 1 else math.nan
    if math.isnan(r) or len(x) < 4 or abs(r) >= 1:
        return Estimate(r)
    width = Z95 / math.sqrt(len(x) - 3)
    return Estimate(r, math.tanh(math.atanh(r) - width), math.tanh(math.atanh(r) + width))


def _distribution(errors: list[float]) -> dict[str, float]:
    """Clause 7.5.2.1: mean, sample standard deviation, skewness m3 / m2^1.5, and quantiles (linear between items)."""
    n, ordered = len(errors), sorted(errors)
    mean = math.fsum(errors) / n
    square, cube = (math.fsum((e - mean) ** k for e in errors) for k in (2, 3))
    result = {
        "mean": mean,
        "sd": math.sqrt(square / (n - 1)) if n > 1 else math.nan,
        "skewness": cube / n / (square / n) ** 1.5 if square > 0 else math.nan,
    }
    for q in QUANTILES:
        below, part = divmod(q * (n - 1), 1)
        low, high = ordered[int(below)], ordered[min(int(below) + 1, n - 1)]
        result[f"q{100 * q:g}"] = low + part * (high - low)
    return result
