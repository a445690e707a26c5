"""The constrained mapping: against SciPy's optimisers, at each place where the constraint can bind."""

import numpy as np
import pytest
from scipy.optimize import least_squares
from sqa_metrics import MetricsError
from sqa_metrics.p1401.mapping import Mapping, fit_mapping

X = [1.2, 1.8, 2.4, 2.9, 3.3, 3.8, 4.1, 4.6]
Y = [1.6, 1.7, 2.6, 2.7, 3.6, 3.5, 4.0, 4.2]


def rising_fit(x: np.ndarray, y: np.ndarray, low: float, high: float) -> tuple[np.ndarray, float]:
    """SciPy's constrained optimum, its constraint met by construction: mapped values, and their squared error.

    A quadratic is nowhere negative on -1..1 just if it is (a + b u)^2 + c^2 + d^2 (1 - u^2).
    """
    u = (y - (low + high) / 2) / ((high - low) / 2)

    def values(p: np.ndarray) -> np.ndarray:
        level, a, b, c, d = p
        slope = np.array([a * a + c * c + d * d, 2 * a * b, b * b - d * d])
        return level + slope[0] * u + slope[1] * u**2 / 2 + slope[2] * u**3 / 3

    best = None
    for a, b, c, d in [(1, 1, 0.1, 0.1), (1, -1, 0.1, 0.1), (0.1, 0.1, 0.1, 1), (0.1, 2, 0.1, 0)]:
        start = [x.mean(), a, b, c, d]
        found = least_squares(
            lambda p: values(p) - x, start, xtol=1e-15, ftol=1e-15, gtol=1e-15, max_nfev=500
        )
        if best is None or found.cost < best.cost:
            best = found
    assert best is not None
    return values(best.x), 2 * best.cost


def example(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
    """Listeners and predictions whose free cubic falls somewhere."""
    rng = np.random.default_rng(seed)
    y = np.sort(rng.uniform(1, 5, 24)) if seed % 2 else np.sort(rng.normal(60, 15, 24))
    u = (y - y.mean()) / y.std()
    shape = {
        "free": u + 0.1 * u**3,
        "inside": u**3 - 0.6 * u,
        "low end": u + 0.8 * u**2,
        "high end": u - 0.8 * u**2,
        "both ends": 2 * u - 0.8 * u**3,
        "falling": -u,
    }[kind]
    return 3 + shape + rng.normal(0, 0.2, 24), y, (1, 5) if seed % 2 else (y.min(), y.max())


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["free", "inside", "low end", "high end", "both ends", "falling"])
def test_the_cubic_is_the_constrained_optimum(kind: str, seed: int) -> None:
    x, y, span = example(kind, seed)
    mapping = fit_mapping(x, y)
    assert (mapping.low, mapping.high) == pytest.approx(span)
    ours, (theirs, cost) = np.array(mapping(y.tolist())), rising_fit(x, y, *span)
    assert ((ours - x) ** 2).sum() == pytest.approx(cost, rel=1e-8)
    assert ((ours - x) ** 2).sum() <= cost * (1 + 1e-10)
    if kind != "falling":  # there the parametrisation above is flat, and its optimiser stops early
        assert ours == pytest.approx(theirs, abs=1e-5)
    steps = np.diff(mapping(np.linspace(*span, 2001).tolist()))
    assert steps.min() > -1e-12


def test_where_the_constraint_binds_is_told() -> None:
    binds = {
        kind: fit_mapping(*example(kind, 1)[:2]).binds for kind in ("free", "inside", "both ends", "falling")
    }
    assert binds["free"] == ()
    assert len(binds["inside"]) == 1
    assert 1 < binds["inside"][0] < 5
    assert binds["both ends"] == pytest.approx((1, 5))
    assert binds["falling"] == pytest.approx((1, 5))
    assert "slope held at 0 at y = 1 and 5" in fit_mapping(*example("both ends", 1)[:2]).text()


def test_free_fits_are_numpys() -> None:
    for name, order in (("linear", 1), ("cubic", 3)):
        found = fit_mapping(X, Y, name)
        assert found.coefficients == pytest.approx(np.polynomial.polynomial.polyfit(Y, X, order), abs=1e-10)
    assert found.coefficients == pytest.approx((-4.884029, 6.519344, -2.001482, 0.234316), abs=1e-6)
    assert fit_mapping(X, Y, "linear").coefficients == pytest.approx((-0.406008, 1.144271), abs=1e-6)


def test_a_mapping_that_would_fall_is_constant() -> None:
    found = fit_mapping(X, Y[::-1], "linear")
    assert found(Y) == pytest.approx([np.mean(X)] * 8)
    assert found.binds == (1.0, 5.0)
    assert found.text() == "3.012, a constant: nothing that rises fits better"


def test_predictions_beyond_the_fit_take_the_value_of_its_end() -> None:
    found = fit_mapping(X, Y, "linear", span=(2.0, 4.0))
    assert found([0.0, 2.0, 4.0, 9.0]) == [found([2.0])[0]] * 2 + [found([4.0])[0]] * 2
    assert fit_mapping(X, Y, "none")([9.0]) == [9.0]


def test_a_far_away_narrow_range_keeps_its_digits() -> None:
    far = [1000 + y / 100 for y in Y]
    expected = fit_mapping(X, Y, "cubic", span=(min(Y), max(Y)))(Y)
    assert fit_mapping(X, far, "cubic")(far) == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize(("name", "pred"), [("cubic", [1.0, 2.0, 3.0, 3.0]), ("linear", [2.0] * 4)])
def test_too_few_different_predictions(name: str, pred: list[float]) -> None:
    with pytest.raises(
        MetricsError, match=rf"a {name} mapping has . coefficients, but there are only . different"
    ):
        fit_mapping([1.0, 2.0, 3.0, 4.0], pred, name)  # type: ignore[arg-type]


def test_an_unknown_mapping() -> None:
    with pytest.raises(MetricsError, match="mapping 'square': expected one of none, linear, cubic"):
        fit_mapping(X, Y, "square")  # type: ignore[arg-type]
    assert isinstance(fit_mapping(np.array(X), np.array(Y)), Mapping)


def test_rounding_is_no_coefficient_and_no_constraint() -> None:
    y = [1 + k / 7 for k in range(9)]
    assert fit_mapping([0.3 + 0.9 * v for v in y], y, "cubic").text() == "0.3 + 0.9 y + 0 y^2 + 0 y^3"
    assert fit_mapping([3.7] * 9, y, "cubic").text().startswith("3.7, a constant")
