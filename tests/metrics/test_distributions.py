"""Areas and quantiles against SciPy, which the package itself does not import."""

import math
import re
from typing import Any

import numpy as np
import pytest
import scipy.stats
from sqa_metrics import MetricsError, compare, distributions, intervals, pair, rank
from sqa_metrics.distributions import upper_share

FREEDOM = (1, 2, 3, 4.5, 7, 11, 22, 31, 94, 639, 1e4, 1e6)
AREAS = (1e-6, 0.001, 0.025, 0.05, 0.3, 0.6, 0.7, 0.9, 0.95, 0.975, 0.995, 0.9999)
POINTS = (0.01, 0.5, 1, 2, 3, 5, 10, 40)


def close(found: float, expected: float) -> bool:
    return math.isclose(found, float(expected), rel_tol=1e-10, abs_tol=1e-300)


@pytest.mark.parametrize("df", FREEDOM)
def test_quantiles_are_scipys(df: float) -> None:
    for p in AREAS:
        assert close(distributions.normal_quantile(p), scipy.stats.norm.ppf(p))
        assert close(distributions.t_quantile(p, df), scipy.stats.t.ppf(p, df))
        assert close(distributions.chi2_quantile(p, df), scipy.stats.chi2.ppf(p, df))
        for other in FREEDOM:
            assert close(distributions.f_quantile(p, df, other), scipy.stats.f.ppf(p, df, other))


@pytest.mark.parametrize("df", FREEDOM)
def test_areas_are_scipys(df: float) -> None:
    for x in POINTS:
        assert close(distributions.normal_cdf(-x), scipy.stats.norm.cdf(-x))
        assert close(distributions.t_two_sided(-x, df), 2 * scipy.stats.t.sf(x, df))
        assert close(distributions.chi2_sf(x * df / 2, df), scipy.stats.chi2.sf(x * df / 2, df))
        for other in FREEDOM:
            assert close(distributions.f_sf(x, df, other), scipy.stats.f.sf(x, df, other))


@pytest.mark.parametrize("df", [299, 300, 301, 5000, 69_000, 1e8, 1e12, 1e16, 1e300, math.inf])
@pytest.mark.parametrize("p", [*AREAS, 1e-16, 1e-40])
def test_quantiles_of_t_near_the_normal_distribution_are_scipys(p: float, df: float) -> None:
    assert close(distributions.t_quantile(p, df), scipy.stats.t.ppf(p, df))


def test_infinite_degrees_of_freedom_are_the_normal_distribution() -> None:
    assert distributions.t_quantile(0.975, math.inf) == distributions.normal_quantile(0.975)
    assert distributions.t_quantile(0, math.inf) == -math.inf
    assert close(distributions.t_two_sided(-1.96, math.inf), 2 * scipy.stats.norm.sf(1.96))


def test_the_ends() -> None:
    assert distributions.t_two_sided(math.inf, 3) == distributions.f_sf(math.inf, 1, 3) == 0
    assert distributions.t_two_sided(0, 3) == distributions.f_sf(0, 1, 3) == distributions.chi2_sf(0, 3) == 1
    assert distributions.t_quantile(0.5, 3) == distributions.normal_quantile(0.5) == 0
    assert distributions.chi2_sf(1e6, 3) == 0
    assert distributions.normal_quantile(1) == -distributions.t_quantile(0, 3) == math.inf
    assert distributions.chi2_quantile(1, 3) == distributions.f_quantile(1, 3, 4) == math.inf
    assert distributions.chi2_quantile(0, 3) == distributions.f_quantile(0, 3, 4) == 0


@pytest.mark.parametrize("p", [1e-9, 1e-16, 1e-40, 1e-300])
def test_far_tails_are_scipys(p: float) -> None:
    assert close(distributions.normal_quantile(p), scipy.stats.norm.ppf(p))
    for df in (1, 7, 639):
        assert close(distributions.chi2_quantile(p, df), scipy.stats.chi2.ppf(p, df))
        # SciPy itself loses those of 1e-300
        if p > 1e-300:
            assert close(distributions.t_quantile(p, df), scipy.stats.t.ppf(p, df))
            assert close(distributions.f_quantile(p, df, 5), scipy.stats.f.ppf(p, df, 5))


@pytest.mark.parametrize("p", [1.5, -0.5, math.nan])
def test_a_share_that_is_none_is_an_error_and_no_endless_search(p: float) -> None:
    quantiles = (
        lambda: distributions.normal_quantile(p),
        lambda: distributions.t_quantile(p, 5),
        lambda: distributions.chi2_quantile(p, 5),
        lambda: distributions.f_quantile(p, 5, 5),
    )
    for quantile in quantiles:
        with pytest.raises(MetricsError, match=r"expected levels and shares from 0 to 1"):
            quantile()


@pytest.mark.parametrize("level", [-0.5, 0, 1, 1.5, 95, math.nan, math.inf, "0.95", None])
def test_no_interval_has_a_level_outside_of_0_to_1(level: Any) -> None:
    x, y = [1, 2, 3, 4, 5, 5.5], {"p": [1, 2, 3, 4, 5, 5], "q": [2, 1, 3, 4, 5, 6]}
    for judge in (intervals, compare, rank):
        with pytest.raises(MetricsError, match=rf"level is {re.escape(repr(level))}; expected a confidence"):
            judge(pair(x, y), level=level)


def test_a_level_of_any_kind_of_float() -> None:
    assert upper_share(np.float32(0.5)) == 0.75
