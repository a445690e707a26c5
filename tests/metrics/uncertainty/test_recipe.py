"""The recipe against worked numbers, a loop over what is left, and simulated perfect orders."""

import math

import numpy as np
import pytest
from scipy import stats
from simulated import ONE, REF, each_a_system, simulate, two_corpora, without_systems
from sqa_metrics import FIGURES, four
from sqa_metrics.uncertainty.left_out import left_out
from sqa_metrics.uncertainty.recipe import bounds, estimate, least_correlation, undone, variance


def test_worked_example() -> None:
    found = left_out(each_a_system(REF, ONE))
    assert [found["system"].whole[m][0] for m in FIGURES] == pytest.approx(
        [0.075, 0.976133, 0.976190, 0.928571], abs=1e-6
    )
    errors = [math.sqrt(estimate(m, found["utterance"], 0).variance) for m in FIGURES]
    assert errors == pytest.approx([0.294849, 0.350957, 0.402234, 0.411194], abs=1e-6)
    intervals = [bounds(m, found["system"], 0, 0.95) for m in FIGURES]
    # that of LCC with 7 + 6 degrees of freedom
    expected = [(0.028938, 0.194379), (0.873521, 0.995688), (0.797517, 0.997426), (0.640213, 0.987571)]
    assert np.array(intervals) == pytest.approx(np.array(expected), abs=1e-6)


@pytest.mark.parametrize(
    ("n", "ktau", "srcc"),
    [(5, 0.225, 0.333), (6, 0.467, 0.652), (8, 0.713, 0.891), (10, 0.825, 0.959), (12, 0.881, 0.981)],
)
def test_least_correlation_of_a_perfect_order(n: int, ktau: float, srcc: float) -> None:
    rho = least_correlation(n, 0.025)
    found = [FIGURES[m].of_normal(rho) for m in ("ktau", "srcc")]  # type: ignore[misc]
    assert found == pytest.approx([ktau, srcc], abs=0.01)


@pytest.mark.parametrize(("n", "tail"), [(5, 0.05), (7, 0.25), (20, 0.05), (40, 0.1)])
def test_perfect_orders_are_as_rare_as_that(n: int, tail: float) -> None:
    """By drawing: so many normal pairs of the least correlation have one order, also beyond what is integrated."""
    rho, rng = least_correlation(n, tail), np.random.default_rng(n)
    x = rng.normal(size=(20_000, n))
    y = rho * x + math.sqrt(1 - rho * rho) * rng.normal(size=x.shape)
    share = np.mean((np.argsort(x, axis=1) == np.argsort(y, axis=1)).all(axis=1))
    assert share == pytest.approx(tail, abs=0.012)


@pytest.mark.parametrize("ordered", [1, -1])
def test_a_perfect_order_has_an_interval(ordered: int) -> None:
    found = left_out(each_a_system(REF, [ordered * math.exp(x) for x in REF]))["system"]
    for metric, least in (("srcc", 0.891), ("ktau", 0.713)):
        expected = (least, 1.0) if ordered > 0 else (-1.0, -least)
        assert bounds(metric, found, 0, 0.95) == pytest.approx(expected, abs=0.01)
    assert bounds("lcc", found, 0, 0.95)[0] < ordered * 0.9


def test_no_error_at_all_has_no_interval() -> None:
    found = left_out(each_a_system(REF, REF))["system"]
    for metric in ("mse", "lcc"):
        assert all(map(math.isnan, bounds(metric, found, 0, 0.95)))


def test_clusters_of_unequal_size_count_as_fewer() -> None:
    """Kish by hand: sizes 1, 1, 2, 4 are as good as 64 / 22 equal ones."""
    rows = [0, 1, 2, 2, 3, 3, 3, 3]
    paired = simulate(8, 1, [0.3], 0)
    object.__setattr__(paired, "system", np.array(rows))
    object.__setattr__(paired, "systems", paired.systems[:4])
    assert left_out(paired)["utterance"].freedom == pytest.approx(64 / 22 - 1)
    assert left_out(paired)["system"].freedom == pytest.approx(3)


@pytest.mark.parametrize("metric", ["mse", "lcc"])
def test_utterance_level_by_a_loop(metric: str) -> None:
    """Leave out systems whole, by hand; without systems each utterance."""
    function = {"mse": math.log, "lcc": math.atanh}[metric]
    paired = simulate(9, 4, [0.4], 3)
    for part, groups in ((paired, paired.system), (without_systems(paired), np.arange(36))):
        left = [
            function(four(part.ref[groups != g], part.preds[0][groups != g])[metric])
            for g in np.unique(groups)
        ]
        n = len(left)
        error = math.sqrt((n - 1) / n * np.sum((np.array(left) - np.mean(left)) ** 2))
        middle = function(four(part.ref, part.preds[0])[metric])
        half = stats.t.ppf(0.95, n - 1) * error
        expected = [undone(FIGURES[metric], middle + sign * half) for sign in (-1, 1)]
        assert bounds(metric, left_out(part)["utterance"], 0, 0.9) == pytest.approx(expected, rel=1e-9)


def test_corpora_are_strata() -> None:
    """A level shift between two corpora does not widen the pooled interval of the MSE, and each varies inside."""
    one, two = simulate(12, 5, [0.3], 1), simulate(9, 5, [0.3], 2, bias=1.5)
    pooled = left_out(two_corpora(one, two))["system"]
    assert pooled.freedom == 11 + 8
    without = np.log(pooled.without["mse"][:, 0])
    by_hand = sum(
        (n - 1) / n * np.sum((w - w.mean()) ** 2) for n, w in ((12, without[:12]), (9, without[12:]))
    )
    assert variance(without, pooled.stratum) == pytest.approx(by_hand)
    assert by_hand < 0.3 * variance(without, np.zeros(21, int))


def test_a_lonely_system_joins_the_largest_corpus() -> None:
    paired = two_corpora(simulate(8, 5, [0.3], 1), simulate(1, 5, [0.3], 2))
    found = left_out(paired)["system"]
    assert (found.stratum == 0).all()
    assert found.freedom == 8


@pytest.mark.slow
@pytest.mark.parametrize("errors", ["normal", "laplace", "clustered"])
@pytest.mark.parametrize("n", [5, 6, 8])
def test_lcc_of_few_systems_covers_neither_too_little_nor_always(n: int, errors: str) -> None:
    """On other scores than the study's: the six systems of theory count as degrees of freedom."""

    def test_of(size: int) -> tuple[np.ndarray, np.ndarray]:
        quality = rng.normal(3, 0.8, size)
        if errors == "clustered":
            quality = np.where(rng.random(size) < 0.7, rng.normal(4, 0.3, size), rng.normal(2, 0.4, size))
        noise = rng.laplace(0, 0.3, size) if errors == "laplace" else rng.normal(0, 0.3, size)
        return quality, quality + noise

    rng = np.random.default_rng(5)
    truth = float(np.corrcoef(test_of(1_000_000))[0, 1])
    covered = 0
    for _ in range(1000):
        low, high = bounds("lcc", left_out(each_a_system(*map(list, test_of(n))))["system"], 0, 0.95)
        covered += low <= truth <= high
    assert 930 <= covered <= 990
