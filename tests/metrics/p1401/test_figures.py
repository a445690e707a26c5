"""The P.1401 figures against a worked example, NumPy, SciPy and statsmodels; and what is too little."""

import math

import numpy as np
import pytest
from scipy import stats
from sqa_metrics import MetricsError
from sqa_metrics.p1401.figures import half_width, p1401_figures, wilson

X = [1.2, 1.8, 2.4, 2.9, 3.3, 3.8, 4.1, 4.6]
Y = [1.6, 1.7, 2.6, 2.7, 3.6, 3.5, 4.0, 4.2]
CI95 = [0.2, 0.25, 0.3, 0.3, 0.3, 0.25, 0.2, 0.15]


def close(*expected: float) -> object:
    return pytest.approx(expected, abs=1e-6)


def test_the_worked_example() -> None:
    """Error 3.3 - 3.6 lies on the edge of its interval of 0.3, so it is no outlier, whatever its last bit says."""
    free, one = p1401_figures(X, Y, CI95), p1401_figures(X, Y, CI95, d=1)
    assert (free.rmse.value, one.rmse.value) == close(0.273861, 0.292770)
    assert p1401_figures(X, Y, d=4).rmse.value == pytest.approx(0.387298, abs=1e-6)
    assert (free.rmse_star, one.rmse_star) == close(0.114564, 0.122474)
    assert (one.rmse.low, one.rmse.high) == close(0.193572, 0.595867)
    assert (free.pearson.low, free.pearson.high) == close(0.869653, 0.995824)
    assert free.outlier_ratio is not None
    assert free.outlier_ratio.value == 3 / 8
    assert p1401_figures(X, Y, mapping="linear").rmse.value == pytest.approx(0.273973, abs=1e-6)
    assert p1401_figures(X, Y, mapping="cubic").rmse.value == pytest.approx(0.307266, abs=1e-6)


def test_residuals_are_numpys_and_scipys() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.gamma(2, 1, 50), rng.gamma(2, 1, 50)
    found, errors = p1401_figures(x, y).residuals, x - y
    assert found["mean"] == pytest.approx(errors.mean(), abs=1e-12)
    assert found["sd"] == pytest.approx(errors.std(ddof=1), abs=1e-12)
    assert found["skewness"] == pytest.approx(stats.skew(errors), abs=1e-12)
    quantiles = [found[f"q{q}"] for q in (0, 5, 25, 50, 75, 95, 100)]
    assert quantiles == pytest.approx(np.percentile(errors, [0, 5, 25, 50, 75, 95, 100]), abs=1e-12)


@pytest.mark.parametrize(("k", "n"), [(8, 10), (0, 7), (7, 7), (1, 640)])
def test_wilson_is_scipys(k: int, n: int) -> None:
    low, high = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert wilson(k, n) == pytest.approx((k / n, low, high), abs=1e-10)


def test_the_interval_of_a_score() -> None:
    votes = [1.0, 2.0, 2.0, 4.0, 5.0]
    low, high = stats.t.interval(0.95, 4, np.mean(votes), stats.sem(votes))
    assert half_width(stats.sem(votes) ** 2, 5) == pytest.approx((high - low) / 2, abs=1e-10)
    assert half_width(0.01, 30) == pytest.approx(0.196, abs=1e-12)


def test_undefined_figures_are_null() -> None:
    constant = p1401_figures([1.0, 2.0, 3.0, 4.0], [3.0] * 4)
    assert constant.as_dict()["pearson"] == [None, None, None]
    perfect = p1401_figures(X, X, CI95)
    assert (perfect.rmse, perfect.rmse_star, perfect.outlier_ratio[0]) == ((0, 0, 0), 0, 0)
    assert perfect.as_dict()["pearson"] == [1, None, None]
    assert perfect.as_dict()["residuals"]["skewness"] is None
    assert p1401_figures([1.0], [2.0]).as_dict()["residuals"]["sd"] is None
    assert p1401_figures(X, Y).as_dict()["rmse_star"] is None
    assert math.isnan(p1401_figures(X[:3], Y[:3]).pearson.low)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pred": Y[:3]}, "ref has 8 values, pred 3, ci95 8; expected equally many"),
        ({"ci95": CI95[:3]}, "ref has 8 values, pred 8, ci95 3"),
        (
            {"ref": X[:5], "pred": Y[:5], "mapping": "cubic"},
            "5 items are too few for a cubic mapping; .* at least 6",
        ),
        (
            {"ref": X[:3], "pred": Y[:3], "mapping": "linear"},
            "3 items are too few for a linear mapping; .* at least 4",
        ),
        ({"d": 8}, "d = 8 of 8 items leaves no degree of freedom"),
        ({"d": -1}, "d = -1"),
        ({"ref": [], "pred": []}, "d = 0 of 0 items"),
        ({"mapping": "square"}, "mapping 'square': expected one of none, linear, cubic"),
    ],
)
def test_what_is_too_little_or_odd(arguments: dict, message: str) -> None:
    with pytest.raises(MetricsError, match=message):
        p1401_figures(**{"ref": X, "pred": Y} | arguments)
