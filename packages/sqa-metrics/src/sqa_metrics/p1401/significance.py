"""The significance tests of ITU-T P.1401 (01/2020) between two predictors, clauses 7.6 to 7.8.

All of them take the two for independent samples with normal errors. Two predictors that met the same clips are not
independent, and clips of one system are not either: `compare` has the paired test over systems, which should be
preferred. These are what telecommunication reports quote.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqa_metrics import distributions
from sqa_metrics.p1401.figures import Z95, Agreement
from sqa_metrics.tables import figure

P = 0.05


@dataclass(frozen=True)
class Significance:
    """One test of two predictors on one figure; `statistic` is beyond `critical` where they differ."""

    figure: str  # rmse, rmse*, Pearson, outlier ratio
    name: str  # of the statistic: F or z
    a: float
    b: float
    statistic: float
    critical: float
    p: float

    @property
    def significant(self) -> bool:
        return abs(self.statistic) > self.critical

    def cells(self) -> list[str]:
        """Figure, its two values, statistic, limit and p, for a table; an asterisk at what is significant."""
        p = ("<0.001" if self.p < 0.001 else figure(self.p)) + ("*" if self.significant else " ")
        values = [figure(v) for v in (self.a, self.b)]
        return [self.figure, *values, f"{self.name} {figure(self.statistic)}", figure(self.critical), p]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types; what is infinite or undefined is None."""
        numbers = {k: getattr(self, k) for k in ("a", "b", "statistic", "critical", "p")}
        return (
            {"figure": self.figure, "test": self.name}
            | {k: v if math.isfinite(v) else None for k, v in numbers.items()}
            | {"significant": self.significant}
        )


def significance(a: Agreement, b: Agreement) -> list[Significance]:
    """The tests of two predictors; without those whose figures are undefined.

    - rmse (7.6.4) and rmse* (7.7): F = larger^2 / smaller^2 against F(.95; n - d, n - d); p is the area above F, as the
      recommendation has it (for "they differ", without saying which before, twice as much);
    - Pearson (7.6.1): z of atanh(r), two-sided, against 1.96;
    - outlier ratio (7.6.2): z of two proportions with their common variance, two-sided, against 1.96.
    """
    found = [_f_test("rmse", a.rmse.value, b.rmse.value, a.n - a.d, b.n - b.d)]
    if a.rmse_star is not None and b.rmse_star is not None:
        found.append(_f_test("rmse*", a.rmse_star, b.rmse_star, a.n - a.d, b.n - b.d))
    if min(a.n, b.n) > 3 and all(abs(one.pearson.value) < 1 for one in (a, b)):
        difference = math.atanh(a.pearson.value) - math.atanh(b.pearson.value)
        sigma = math.sqrt(1 / (a.n - 3) + 1 / (b.n - 3))
        found.append(_z_test("Pearson", a.pearson.value, b.pearson.value, difference, sigma))
    if a.outlier_ratio and b.outlier_ratio:
        one, other = a.outlier_ratio.value, b.outlier_ratio.value
        common = (a.n * one + b.n * other) / (a.n + b.n)
        sigma = math.sqrt(common * (1 - common) * (1 / a.n + 1 / b.n))
        found.append(_z_test("outlier ratio", one, other, one - other, sigma))
    return found


def statistical_distance(figures: Sequence[float], freedom: float) -> list[float]:
    """How far each predictor is significantly behind the best: max(0, F - F(.95)), clause 7.8.2.

    `figures` are the rmse (or rmse*) of the predictors on one database with n - d = `freedom`. Infinite where the best
    is 0. The weighted sum over databases is the recommendation's aggregated measure, 0 at best.

    >>> [round(v, 4) for v in statistical_distance([0.2, 0.21, 0.4], 30)]
    [0.0, 0.0, 2.1591]
    """
    best = min(figures)
    critical = distributions.f_quantile(1 - P, freedom, freedom)
    return [max(0.0, _ratio(value, best) - critical) for value in figures]


def _ratio(larger: float, smaller: float) -> float:
    return 1.0 if larger == smaller else math.inf if smaller == 0 else (larger / smaller) ** 2


def _f_test(figure: str, a: float, b: float, freedom_a: int, freedom_b: int) -> Significance:
    above, below = (freedom_a, freedom_b) if a >= b else (freedom_b, freedom_a)
    f = _ratio(max(a, b), min(a, b))
    critical = distributions.f_quantile(1 - P, above, below)
    return Significance(figure, "F", a, b, f, critical, distributions.f_sf(f, above, below))


def _z_test(figure: str, a: float, b: float, difference: float, sigma: float) -> Significance:
    z = difference / sigma if sigma else 0.0
    return Significance(figure, "z", a, b, z, Z95, 2 * distributions.normal_cdf(-abs(z)))
