"""Areas and quantiles of the normal, t, chi-squared and F distributions, in plain Python.

Importing SciPy takes longer than a whole `score`. The regularised incomplete beta is Lentz's continued fraction, the
incomplete gamma its series or continued fraction (Press et al. 2007, Numerical Recipes, sections 6.2 and 6.4), both
with the saddle-point form of their leading factor, which keeps its digits for large degrees of freedom (Loader 2000,
"Fast and accurate computation of binomial probabilities"). Equal to SciPy's to a relative 1e-10 for 1 to 10^6 degrees
of freedom (tests/metrics/test_distributions.py).
"""

import math
from collections.abc import Callable
from functools import lru_cache

from sqa_metrics.errors import MetricsError

TINY = 1e-300  # in place of zero in a continued fraction
EXACT = 1e-16  # relative change of a term that no longer counts
DIGITS = 1e-13  # relative width at which a quantile is found

Area = Callable[[float], float]


def normal_cdf(z: float) -> float:
    """Area below z.

    >>> round(normal_cdf(1.959963984540054), 9)
    0.975
    """
    return 0.5 * math.erfc(-z / math.sqrt(2))


@lru_cache
def normal_quantile(p: float) -> float:
    """The z with the area p below it, 0 < p < 1.

    >>> round(normal_quantile(0.975), 9)
    1.959963985
    """
    return (
        -normal_quantile(1 - p)
        if p < 0.5
        else _upper_quantile(1 - p, lambda z: 0.5 * math.erfc(z / math.sqrt(2)))
    )


def t_two_sided(t: float, df: float) -> float:
    """Area of Student's t beyond |t| on both sides, `df` > 0: the p-value of a two-sided test.

    >>> round(t_two_sided(2.228138851964939, 10), 9)
    0.05
    """
    if math.isinf(t):
        return 0.0
    square = t * t
    return _beta(df / 2, 0.5, df / (df + square), square / (df + square))


@lru_cache
def t_quantile(p: float, df: float) -> float:
    """The t with the area p below it, 0 < p < 1, `df` > 0.

    >>> round(t_quantile(0.975, 10), 9)
    2.228138852
    """
    return -t_quantile(1 - p, df) if p < 0.5 else _upper_quantile(1 - p, lambda t: t_two_sided(t, df) / 2)


def chi2_sf(x: float, df: float) -> float:
    """Area of chi-squared above x >= 0, `df` > 0.

    >>> round(chi2_sf(3.841458820694124, 1), 9)
    0.05
    """
    return _gamma_areas(df / 2, x / 2)[1]


@lru_cache
def chi2_quantile(p: float, df: float) -> float:
    """The x with the area p below it, 0 < p < 1, `df` > 0.

    >>> round(chi2_quantile(0.95, 1), 9)
    3.841458821
    """
    if p < 0.5:
        return _lower_quantile(p, lambda x: _gamma_areas(df / 2, x / 2)[0], df)
    return _upper_quantile(1 - p, lambda x: chi2_sf(x, df), df)


def f_sf(f: float, df1: float, df2: float) -> float:
    """Area of F above f >= 0, degrees of freedom > 0.

    >>> round(f_sf(4.964602743730711, 1, 10), 9)
    0.05
    """
    if math.isinf(f):
        return 0.0
    whole = df1 * f + df2
    return _beta(df2 / 2, df1 / 2, df2 / whole, df1 * f / whole)


@lru_cache
def f_quantile(p: float, df1: float, df2: float) -> float:
    """The f with the area p below it, 0 < p < 1, degrees of freedom > 0.

    >>> round(f_quantile(0.95, 1, 10), 9)
    4.964602744
    """
    if p < 0.5:
        return 1 / f_quantile(1 - p, df2, df1)
    return _upper_quantile(1 - p, lambda f: f_sf(f, df1, df2), 1.0)


# --- areas -------------------------------------------------------------------------------------------------------


def _beta(a: float, b: float, x: float, rest: float) -> float:
    """Regularised incomplete beta I_x(a, b); `rest` is 1 - x, given apart for its digits."""
    if x <= 0 or rest <= 0:
        return 0.0 if x <= 0 else 1.0
    n = a + b
    lead = _saddle(n) - _saddle(a) - _saddle(b) - _deviance(a, n * x) - _deviance(b, n * rest)
    lead = math.exp(lead) * math.sqrt(a * b / (2 * math.pi * n))
    if x < (a + 1) / (n + 2):
        return lead * _beta_fraction(a, b, x) / a
    return 1 - lead * _beta_fraction(b, a, rest) / b


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of I_x(a, b), by Lentz's method."""

    def terms(m: int) -> tuple[float, float]:
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        return even, -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))

    c, d = 1.0, 1 / _apart(1 - (a + b) * x / (a + 1))
    value, m, change = d, 0, 0.0
    while abs(change - 1) > EXACT and m < 100_000:
        m += 1
        for term in terms(m):
            d = 1 / _apart(1 + term * d)
            c = _apart(1 + term / c)
            change = c * d
            value *= change
    return value


def _gamma_areas(a: float, x: float) -> tuple[float, float]:
    """Regularised incomplete gamma, below and above x."""
    if x <= 0:
        return 0.0, 1.0
    lead = math.exp(-_saddle(a) - _deviance(a, x)) * math.sqrt(a / (2 * math.pi))
    if x < a + 1:
        term = total = 1 / a
        k = a
        while term > EXACT * total:
            k += 1
            term *= x / k
            total += term
        return lead * total, 1 - lead * total
    b = x + 1 - a
    c, d = 1 / TINY, 1 / b
    value, m, change = d, 0, 0.0
    while abs(change - 1) > EXACT and m < 100_000:
        m += 1
        b += 2
        term = -m * (m - a)
        d = 1 / _apart(term * d + b)
        c = _apart(b + term / c)
        change = c * d
        value *= change
    return 1 - lead * value, lead * value


def _apart(value: float) -> float:
    return value if abs(value) > TINY else TINY


def _saddle(n: float) -> float:
    """log Gamma(n + 1) less Stirling's formula for it."""
    if n < 15:
        return math.lgamma(n + 1) - (n + 0.5) * math.log(n) + n - 0.5 * math.log(2 * math.pi)
    square = n * n
    series = (1 / 1260 - (1 / 1680 - (1 / 1188 - 691 / 360360 / square) / square) / square) / square
    return (1 / 12 - (1 / 360 - series) / square) / n


def _deviance(x: float, mean: float) -> float:
    """x log(x / mean) + mean - x, with its digits where the two are close."""
    if abs(x - mean) >= 0.1 * (x + mean):
        return x * math.log(x / mean) + mean - x
    v = (x - mean) / (x + mean)
    total, term, k = (x - mean) * v, 2 * x * v, 1
    while True:
        term *= v * v
        k += 2
        more = total + term / k
        if more == total:
            return total
        total = more


# --- quantiles ---------------------------------------------------------------------------------------------------


def _upper_quantile(area: float, above: Area, start: float = 1.0) -> float:
    """Where a falling `above` has come down to `area`, from 0 on."""
    _require_share(area)
    if area >= above(0.0):
        return 0.0
    high = start
    while above(high) > area:
        high *= 2
    return _between(0.0, high, lambda x: area - above(x))


def _lower_quantile(area: float, below: Area, start: float) -> float:
    """Where a rising `below` has come up to `area`, at most at `start`-like sizes."""
    _require_share(area)
    low = high = start
    while below(high) < area:
        high *= 2
    while below(low) > area:
        low /= 2
    return _between(low, high, lambda x: below(x) - area)


def _require_share(area: float) -> None:
    if not 0 <= area <= 1:
        raise MetricsError(
            f"a tail of {area:g} was asked for; expected levels and shares from 0 to 1, such as 0.95"
        )


def _between(low: float, high: float, rising: Area) -> float:
    """The zero of a rising function between two points, by false position with the Illinois rule, or halving."""
    at_low, at_high = rising(low), rising(high)
    for step in range(200):
        if high - low <= DIGITS * high:
            break
        middle = (low + high) / 2 if step % 3 == 2 else high - at_high * (high - low) / (at_high - at_low)
        middle = min(max(middle, low), high)
        value = rising(middle)
        if value == 0:
            return middle
        if value < 0:
            low, at_low, at_high = middle, value, at_high / 2
        else:
            high, at_high, at_low = middle, value, at_low / 2
    return (low + high) / 2
