"""P.1401's tests over predictors and corpora, and the aggregated distance."""

import io
import json
import math

import numpy as np
import pytest
from scipy import stats
from sqa_metrics import evaluate, pair
from sqa_metrics.p1401.compare import compare_p1401, significance, statistical_distance
from sqa_metrics.p1401.figures import p1401_figures


def tables(corpora: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    rng = np.random.default_rng(3)
    head, ref, preds = "corpus,system_id,sample_id,mos,votes,mos_std\n", "", {"a": "", "b": "", "c": ""}
    for corpus in corpora:
        for k in range(40):
            mos, ids = rng.uniform(1, 5), f"{corpus},s{k % 10},u{k}"
            ref += f"{ids},{mos},8,0.6\n"
            for name, sd in (("a", 0.3), ("b", 0.9), ("c", 0.35)):
                preds[name] += f"{ids},{mos + rng.normal(0, sd)},,\n"
    return head + ref, {name: head + text for name, text in preds.items()}


def compared(corpora: tuple[str, ...], **options: object) -> tuple:
    ref, preds = tables(corpora)
    paired = pair(io.BytesIO(ref.encode()), {n: io.BytesIO(t.encode()) for n, t in preds.items()})
    return compare_p1401(paired, [evaluate(paired, k) for k in range(3)], **options)


def test_every_pair_level_mapping_and_figure() -> None:
    reports, found = compared(("",))
    assert len(found.tests) == 3 * 2 * 2 * 4
    assert {(t.a, t.b) for t in found.tests} == {("a", "b"), ("a", "c"), ("b", "c")}
    test = next(t.test for t in found.tests if (t.b, t.level, t.mapping) == ("b", "utterance", "cubic"))
    errors = [r.p1401.levels["utterance"].mapped.rmse.value for r in reports]
    assert test.statistic == pytest.approx((errors[1] / errors[0]) ** 2, rel=1e-12)
    assert test.critical == pytest.approx(stats.f.ppf(0.95, 36, 36), abs=1e-10)
    assert test.significant
    assert found.distances == {}
    json.dumps(found.as_dict(), allow_nan=False)
    assert "<0.001*" in found.table()


def test_the_distance_over_corpora_is_the_mean_of_each() -> None:
    reports, found = compared(("x", "y"), mapping="linear")
    assert {t.corpus for t in found.tests} == {"x", "y"}
    distance = found.distances["utterance"]
    assert distance["figure"] == "mapped rmse*"
    critical, expected = stats.f.ppf(0.95, 38, 38), []
    for name in ("x", "y"):
        errors = [r.corpora[name].p1401.levels["utterance"].mapped.rmse_star for r in reports]
        expected.append([max(0, (e / min(errors)) ** 2 - critical) for e in errors])
    assert list(distance["distance"].values()) == pytest.approx(np.mean(expected, axis=0), rel=1e-10)
    assert distance["distance"]["b"] > 1
    assert "behind the best, utterance" in found.table()


# --- the tests, against a worked example and SciPy ---

X = [1.2, 1.8, 2.4, 2.9, 3.3, 3.8, 4.1, 4.6]
A = [1.6, 1.7, 2.6, 2.7, 3.6, 3.5, 4.0, 4.2]
B = [2.1, 1.3, 2.9, 2.4, 3.9, 3.1, 4.4, 3.9]
CI95 = [0.2, 0.25, 0.3, 0.3, 0.3, 0.25, 0.2, 0.15]


def test_the_worked_example() -> None:
    a, b = p1401_figures(X, A, CI95, d=1), p1401_figures(X, B, CI95, d=1)
    found = {test.figure: test for test in significance(a, b)}
    assert list(found) == ["rmse", "rmse*", "Pearson", "outlier ratio"]
    rmse, pearson = found["rmse"], found["Pearson"]
    assert (rmse.b, pearson.b) == pytest.approx((0.653562, 0.831346), abs=1e-6)
    assert (rmse.statistic, rmse.critical) == pytest.approx((4.983333, 3.787044), abs=1e-6)
    assert rmse.p == pytest.approx(stats.f.sf(rmse.statistic, 7, 7), abs=1e-12)
    assert pearson.statistic == pytest.approx(1.605981, abs=1e-6)
    assert pearson.p == pytest.approx(2 * stats.norm.sf(1.6059813), abs=1e-7)
    assert (rmse.significant, pearson.significant) == (True, False)


def test_outlier_ratios_are_two_proportions() -> None:
    a, b = p1401_figures(X, A, CI95), p1401_figures(X + X[:4], B + B[:4], CI95 + CI95[:4])
    counts = [round(found.n * found.outlier_ratio.value) for found in (a, b) if found.outlier_ratio]
    square, p, *_ = stats.chi2_contingency([counts, [8 - counts[0], 12 - counts[1]]], correction=False)
    test = significance(a, b)[-1]
    assert (test.statistic**2, test.p) == pytest.approx((square, p), abs=1e-12)
    assert test.statistic < 0


def test_samples_of_unequal_size() -> None:
    a, b = p1401_figures(X, A), p1401_figures(X[:6], B[:6])
    found = {test.figure: test for test in significance(a, b)}
    assert found["rmse"].critical == pytest.approx(stats.f.ppf(0.95, 6, 8), abs=1e-10)
    expected = (math.atanh(a.pearson.value) - math.atanh(b.pearson.value)) / math.sqrt(1 / 5 + 1 / 3)
    assert found["Pearson"].statistic == pytest.approx(expected, abs=1e-12)


def test_equal_and_perfect_predictors() -> None:
    a = p1401_figures(X, A, CI95)
    assert {(t.p == 1, t.significant) for t in significance(a, a) if t.name == "z"} == {(True, False)}
    perfect = p1401_figures(X, X, CI95)
    assert [t.figure for t in significance(perfect, perfect)] == ["rmse", "rmse*", "outlier ratio"]
    assert not any(t.significant for t in significance(perfect, perfect))
    test = significance(perfect, a)[0]
    assert (test.statistic, test.p, test.significant, test.as_dict()["statistic"]) == (
        math.inf,
        0,
        True,
        None,
    )


def test_the_distance_is_from_the_best() -> None:
    critical = stats.f.ppf(0.95, 20, 20)
    expected = [4 - critical, 0, 0]
    assert statistical_distance([0.4, 0.2, 0.21], 20) == pytest.approx(expected, abs=1e-10)
    assert statistical_distance([0.0, 0.0, 0.1], 20) == [0, 0, math.inf]


@pytest.mark.parametrize("swap", [False, True])
def test_a_correlation_that_is_undefined_is_not_tested(swap: bool) -> None:
    # one prediction for all has no correlation
    one, other = p1401_figures(X, A), p1401_figures(X, [3.0] * 8)
    found = significance(other, one) if swap else significance(one, other)
    assert [test.figure for test in found] == ["rmse"]


def test_two_exact_predictors_do_not_differ_by_rounding() -> None:
    exact = [p1401_figures(X, [k * x + 1 / 3 for x in X], mapping="linear") for k in (0.1, 0.7)]
    assert [found.rmse.value for found in exact] == [0, 0]
    assert not any(test.significant for test in significance(*exact))
