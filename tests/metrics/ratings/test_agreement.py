"""Alpha against krippendorff, ICC against pingouin, and the examples of the papers."""

import math

import krippendorff
import numpy as np
import pandas as pd
import pingouin
import pytest
from sqa_metrics.ratings.agreement import Retest, alpha, icc, sos
from sqa_metrics.ratings.votes import Votes

NAN = math.nan
# Krippendorff 2011, example C: four coders, twelve units, values missing
EXAMPLE_C = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NAN, NAN, NAN],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NAN, 3],
    [NAN, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NAN],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NAN],
]


def random_table(seed: int, missing: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    clips = rng.normal(3, 1, 15)
    table = np.clip(np.round(clips + rng.normal(0, 0.3, (7, 1)) + rng.normal(0, 0.8, (7, 15))), 1, 5)
    table[rng.random(table.shape) < missing] = np.nan
    return table


def test_example_of_krippendorff() -> None:
    assert alpha(Votes.of_matrix(EXAMPLE_C)) == pytest.approx(0.849, abs=5e-4)
    assert alpha(Votes.of_matrix(EXAMPLE_C), "ordinal") == pytest.approx(0.815, abs=5e-4)


@pytest.mark.parametrize("missing", [0.0, 0.5])
@pytest.mark.parametrize("metric", ["interval", "ordinal"])
def test_alpha_equals_krippendorff(missing: float, metric: str) -> None:
    for seed in range(10):
        table = random_table(seed, missing)
        expected = krippendorff.alpha(reliability_data=table, level_of_measurement=metric)
        assert alpha(Votes.of_matrix(table), metric) == pytest.approx(expected, abs=1e-12)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore")  # of pingouin's own use of pandas
def test_icc_equals_pingouin() -> None:
    for seed in range(5):
        table = random_table(seed, 0.0)
        long = pd.DataFrame(
            [(c, r, table[r, c]) for r in range(7) for c in range(15)], columns=["clip", "rater", "score"]
        )
        expected = pingouin.intraclass_corr(long, targets="clip", raters="rater", ratings="score")[
            "ICC"
        ].tolist()
        found = icc(Votes.of_matrix(table))
        assert [found[k] for k in ("1,1", "A,1", "C,1", "1,k", "A,k", "C,k")] == pytest.approx(
            expected, abs=1e-9
        )


def test_one_way_icc_of_unequal_votes_is_the_anova() -> None:
    table = random_table(3, 0.5)
    groups = [column[~np.isnan(column)] for column in table.T if not np.isnan(column).all()]
    n, k = sum(map(len, groups)), len(groups)
    grand = sum(g.sum() for g in groups) / n
    between = sum(len(g) * (g.mean() - grand) ** 2 for g in groups) / (k - 1)
    within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (n - k)
    size = (n - sum(len(g) ** 2 for g in groups) / n) / (k - 1)
    found = icc(Votes.of_matrix(table))
    one = (between - within) / (between + (size - 1) * within)
    assert found["1,1"] == pytest.approx(one)
    harmonic = k / sum(1 / len(g) for g in groups)
    assert found["1,k"] == pytest.approx(harmonic * one / (1 + (harmonic - 1) * one))
    assert math.isnan(found["A,1"])


def test_negative_values_stand() -> None:
    votes = Votes.of_matrix([[1, 5], [5, 1]])
    assert alpha(votes) < 0
    assert icc(votes)["1,1"] == pytest.approx(-1)


def test_undefined() -> None:
    for rows in ([[3.3, 3.3], [3.3, 3.3], [3.3, 3.3]], [[1, 2, 3]], [[1, NAN], [NAN, 2]]):
        votes = Votes.of_matrix(rows)
        assert math.isnan(alpha(votes))
        assert math.isnan(alpha(votes, "ordinal"))
        assert all(map(math.isnan, icc(votes).values()))


def test_sos_is_least_squares_on_any_scale() -> None:
    rng = np.random.default_rng(0)
    mos, variance = rng.uniform(1, 5, 20), rng.uniform(0, 2, 20)
    variance[3] = np.nan
    known = ~np.isnan(variance)
    room = -(mos**2) + 6 * mos - 5
    expected = np.linalg.lstsq(room[known, None], variance[known], rcond=None)[0][0]
    assert sos(mos, variance) == pytest.approx(expected)
    # 1..5 as 0..100
    assert sos((mos - 1) * 25, variance * 625, (0, 100)) == pytest.approx(expected)


def test_sos_undefined() -> None:
    assert math.isnan(sos(np.array([1.0, 5.0]), np.array([0.0, 0.0])))
    assert math.isnan(sos(np.array([3.0]), np.array([np.nan])))
    assert sos(np.array([3.0]), np.array([4.0])) == 1


def test_retest() -> None:
    again = np.array([[1.0, 2.0], [2.0, 2.0], [4.0, 5.0], [5.0, 5.0]])
    found = Retest.of(again, 0.25)
    assert (found.n, found.same, found.shift, found.std) == (4, 0.5, 0.5, 0.5)
    assert found.correlation == pytest.approx(np.corrcoef(again.T)[0, 1])
    assert math.isnan(Retest.of(again[:2], 0.25).correlation)
    assert Retest.of(np.zeros((0, 2)), math.nan).n == 0
