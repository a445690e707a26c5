"""Figures of pairs against SciPy's tests and against their definitions."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from sqa_metrics.pairs import figures


def test_the_worked_example_of_accuracy_with_ties() -> None:
    x, y = [1, 2, 2, 3], [1, 1, 2, 4]
    ref, pred = (np.array([a - b for a, b in itertools.combinations(v, 2)], float) for v in (x, y))
    assert [figures.accuracy_with_ties(ref, pred, epsilon=e) for e in (0, 1)] == [4 / 6, 4 / 6]
    assert figures.accuracy(ref, pred) == 4 / 5


def test_accuracies_are_shares_of_agreeing_classes() -> None:
    rng = np.random.default_rng(0)
    ref, pred = rng.integers(-6, 7, size=(2, 500)) / 4

    def classes(values: np.ndarray, tie: float) -> list[str]:
        return ["tie" if abs(v) <= tie else "a" if v > 0 else "b" for v in values]

    for epsilon, ref_epsilon in ((0, 0), (0.5, 0.25), (0.25, 1)):
        right = [a == b for a, b in zip(classes(ref, ref_epsilon), classes(pred, epsilon), strict=True)]
        found = figures.accuracy_with_ties(ref, pred, epsilon=epsilon, ref_epsilon=ref_epsilon)
        assert found == pytest.approx(np.mean(right))
        decided = [
            a == b for a, b in zip(classes(ref, ref_epsilon), classes(pred, 0), strict=True) if a != "tie"
        ]
        assert figures.accuracy(ref, pred, ref_epsilon=ref_epsilon) == pytest.approx(np.mean(decided))
    assert math.isnan(figures.accuracy(np.zeros(3), np.ones(3)))


def test_told_apart_is_students_test_or_the_sign_test() -> None:
    rng = np.random.default_rng(1)
    votes = [rng.integers(-3, 4, size=n).astype(float) for n in rng.integers(2, 12, size=300)]
    votes += [np.full(n, v) for n in (2, 5, 6, 9) for v in (-1.0, 0.0)]
    ref, std = np.array([v.mean() for v in votes]), np.array([v.std(ddof=1) for v in votes])
    found = figures.told_apart(ref, std, np.array([len(v) for v in votes], float))
    for v, apart in zip(votes, found, strict=True):
        sign_test = stats.binomtest(len(v), len(v)).pvalue if v[0] else 1.0
        p = stats.ttest_1samp(v, 0).pvalue if v.std() > 0 else sign_test
        assert apart == (p < 0.05)
    assert np.isnan(figures.told_apart(np.ones(2), np.array([1, np.nan]), np.array([1.0, 5.0]))).all()


def test_auc_is_the_share_of_ordered_couples() -> None:
    rng = np.random.default_rng(2)
    pred = rng.integers(-8, 9, size=200) / 4
    apart = (rng.random(200) < 0.4).astype(float)
    apart[:10] = np.nan
    far, near = abs(pred[apart == 1]), abs(pred[apart == 0])
    expected = stats.mannwhitneyu(far, near).statistic / (far.size * near.size)
    assert figures.auc_apart(pred, apart) == pytest.approx(expected)
    assert math.isnan(figures.auc_apart(pred, np.ones(200)))
