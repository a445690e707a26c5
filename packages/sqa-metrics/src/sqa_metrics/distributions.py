"""Areas and quantiles of the normal, t, chi-squared and F distributions, in plain Python.

Importing SciPy takes longer than a whole `score`. The regularised incomplete beta is Lentz's continued fraction, the
incomplete gamma its series or continued fraction (Press et al. 2007, Numerical Recipes, sections 6.2 and 6.4), both
with the saddle-point form of their leading factor, which keeps its digits for large degrees of freedom (Loader 2000,
"Fast and accurate computation of binomial probabilities"). This factor is also what an area loses per log x, with which
Newton's method finds the quantiles; those of t near the normal distribution, where areas lose their digits, are a
series about its own (Abramowitz & Stegun 1964, 26.7.5). Equal to SciPy's to a relative 1e-10 for 1 to 10^6 degrees of
freedom, quantiles of t for any number (tests/metrics/test_distributions.py).
"""

import math
from collections.abc import Callable
from functools import lru_cache
from numbers import Real

from sqa_metrics.errors import MetricsError

TINY = 1e-300  # in place of zero in a continued fraction
EXACT = 3e-16  # relative change of a term that no longer counts: the next floats beside 1
CLOSE = 1e-9  # a step of Newton's method in log x after which the next would be lost in rounding
LONGEST = 99.0  # such step, for the range of a float
# So many degrees of freedom, and that over z squared, leave a series of t about z to 1e-12.
MANY, FAR = 300, 50


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
    both = _both_tails(p)
    return math.copysign(math.sqrt(_chi2_at(1 - both, both, 1)), p - 0.5)


def t_two_sided(t: float, df: float) -> float:
    """Area of Student's t beyond |t| on both sides, `df` > 0, may be infinite: the p-value of a two-sided test.

    >>> round(t_two_sided(2.228138851964939, 10), 9)
    0.05
    """
    return math.erfc(abs(t) / math.sqrt(2)) if math.isinf(df) else f_sf(t * t, 1, df)


@lru_cache
def t_quantile(p: float, df: float) -> float:
    """The t with the area p below it, 0 < p < 1, `df` > 0, may be infinite.

    >>> round(t_quantile(0.975, 10), 9)
    2.228138852
    """
    if df >= MANY:
        z = normal_quantile(p)
        if math.isinf(z) or z * z <= df / FAR:
            return z if math.isinf(z) else _t_near_normal(z, df)
    both = _both_tails(p)
    return math.copysign(math.sqrt(_f_at(1 - both, both, 1, df)), p - 0.5)


def _t_near_normal(z: float, df: float) -> float:
    """The t as far out as `z` is in a normal distribution, by Cornish and Fisher's series."""
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term * (1 / df) ** k for k, term in enumerate(terms, 1))


def chi2_sf(x: float, df: float) -> float:
    """Area of chi-squared above x >= 0, `df` > 0.

    >>> round(chi2_sf(3.841458820694124, 1), 9)
    0.05
    """
    return _gamma(df / 2, x / 2)[1]


@lru_cache
def chi2_quantile(p: float, df: float) -> float:
    """The x with the area p below it, 0 < p < 1, `df` > 0.

    >>> round(chi2_quantile(0.95, 1), 9)
    3.841458821
    """
    _both_tails(p)
    return _chi2_at(p, 1 - p, df)


def f_sf(f: float, df1: float, df2: float) -> float:
    """Area of F above f >= 0, degrees of freedom > 0.

    >>> round(f_sf(4.964602743730711, 1, 10), 9)
    0.05
    """
    return _f_tail(f, df1, df2)[0]


@lru_cache
def f_quantile(p: float, df1: float, df2: float) -> float:
    """The f with the area p below it, 0 < p < 1, degrees of freedom > 0.

    >>> round(f_quantile(0.95, 1, 10), 9)
    4.964602744
    """
    _both_tails(p)
    return _f_at(p, 1 - p, df1, df2)


# --- areas -------------------------------------------------------------------------------------------------------


def _f_tail(f: float, df1: float, df2: float) -> tuple[float, float]:
    """Area of F above f, and what it loses per log f."""
    if math.isinf(f):
        return 0.0, 0.0
    whole = df1 * f + df2
    return _beta(df2 / 2, df1 / 2, df2 / whole, df1 * f / whole)


def _beta(a: float, b: float, x: float, rest: float) -> tuple[float, float]:
    """Regularised incomplete beta I_x(a, b) and its leading factor; `rest` is 1 - x, given apart for its digits."""
    if x <= 0 or rest <= 0:
        return (0.0 if x <= 0 else 1.0), 0.0
    n = a + b
    lead = _saddle(n) - _saddle(a) - _saddle(b) - _deviance(a, n * x) - _deviance(b, n * rest)
    lead = math.exp(lead) * math.sqrt(a * b / (2 * math.pi * n))
    if x < (a + 1) / (n + 2):
        return lead * _beta_fraction(a, b, x) / a, lead
    return 1 - lead * _beta_fraction(b, a, rest) / b, lead


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


def _gamma(a: float, x: float) -> tuple[float, float, float]:
    """Regularised incomplete gamma, below and above x, and its leading factor."""
    if x <= 0:
        return 0.0, 1.0, 0.0
    lead = math.exp(-_saddle(a) - _deviance(a, x)) * math.sqrt(a / (2 * math.pi))
    if x < a + 1:
        term = total = 1 / a
        k = a
        while term > EXACT * total:
            k += 1
            term *= x / k
            total += term
        return lead * total, 1 - lead * total, lead
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
    return 1 - lead * value, lead * value, lead


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


def upper_share(level: float) -> float:
    """The share below the upper end of a two-sided interval; MetricsError unless 0 < level < 1.

    >>> upper_share(0.5)
    0.75
    """
    if not isinstance(level, Real) or not 0 < level < 1:
        raise MetricsError(f"level is {level!r}; expected a confidence between 0 and 1, such as 0.95")
    return (1 + level) / 2


def _both_tails(p: float) -> float:
    """The area beyond the quantile of p and its mirror image."""
    if not 0 <= p <= 1:
        raise MetricsError(f"found a share of {p:g}; expected levels and shares from 0 to 1, such as 0.95")
    return 2 * min(p, 1 - p)


def _chi2_at(below: float, above: float, df: float) -> float:
    """Where chi-squared has these areas."""

    def tail(x: float) -> tuple[float, float]:
        areas = _gamma(df / 2, x / 2)
        return (areas[0], -areas[2]) if below < above else areas[1:]

    return _where(tail, min(below, above), df * _guess(below, above, df, math.inf))


def _f_at(below: float, above: float, df1: float, df2: float) -> float:
    """Where F has these areas."""
    if below < above:
        return 1 / _f_at(above, below, df2, df1)
    return _where(lambda f: _f_tail(f, df1, df2), above, _guess(below, above, df1, df2))


def _guess(below: float, above: float, df1: float, df2: float) -> float:
    """Nearly where F has these areas: Paulson (1942), of `df2` = inf Wilson & Hilferty (1931)."""
    # Tukey's lambda for the normal quantile
    z: float = (below**0.135 - above**0.135) / 0.1975
    a, b = 2 / (9 * df1), 2 / (9 * df2)
    rest = (1 - b) ** 2 - b * z * z
    if rest <= 0:
        return 1.0
    return max(((1 - a) * (1 - b) + z * math.sqrt(a * rest + b * (1 - a) ** 2)) / rest, 0.1) ** 3


def _where(tail: Callable[[float], tuple[float, float]], area: float, x: float) -> float:
    """Where a tail (x -> its area, and what it loses per log x) has the area, from a guess x on.

    The logs of chi-squared and of F have log-concave densities, so the log of a tail is a concave function of log x:
    wherever Newton's method starts, from its first step on it comes nearer from one side.
    """
    if not area:
        return math.inf if tail(x)[1] > 0 else 0.0
    step = 1.0
    for _ in range(100):
        found, loss = tail(x)
        # half of the way back from where the area is too small for a float
        step = found * math.log(found / area) / loss if found else math.copysign(step / 2, -loss)
        x *= math.exp(max(-LONGEST, min(LONGEST, step)))
        if abs(step) < CLOSE:
            break
    return x
