"""Tests between predictors: against worked numbers, all swaps by hand, and simulated equals."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from simulated import ONE, REF, TWO, each_a_system, simulate, two_corpora
from sqa_metrics import FIGURES, Difference, MetricsError, Paired, compare, compare_unpaired, four, holm
from sqa_metrics.uncertainty.differences import family, notes, swap_test
from sqa_metrics.uncertainty.intervals import with_uncertainty
from sqa_metrics.uncertainty.left_out import left_out, levels


def by_figure(found: list[Difference]) -> dict[tuple[str, str], Difference]:
    return {(d.level, d.metric): d for d in found}


def test_worked_example() -> None:
    found = by_figure(compare(each_a_system(REF, ONE, TWO)))
    assert found["system", "mse"].difference == pytest.approx(-0.29875, abs=1e-9)
    expected = {"mse": 0.001622, "lcc": 0.011991, "srcc": 0.045504, "ktau": 0.082140}
    assert {m: found["system", m].p for m in FIGURES} == pytest.approx(expected, abs=1e-6)
    half = 2.364624252 * 0.060132
    interval = found["system", "mse"].interval
    assert (interval.low, interval.high) == pytest.approx((-0.29875 - half, -0.29875 + half), abs=2e-6)


def test_interval_and_p_agree_about_zero() -> None:
    for seed in range(12):
        for d in compare(simulate(15, 6, [0.5, 0.7], seed)):
            assert (not d.interval.low <= 0 <= d.interval.high) == (d.p < 0.05), d
            assert d.interval.low <= d.difference <= d.interval.high


def test_a_better_predictor_is_significantly_better_and_a_twin_is_not() -> None:
    paired = simulate(25, 8, [0.1, 3.0], 2)
    for d in compare(paired):
        assert d.p < 0.05
        assert d.difference * (-1 if d.metric == "mse" else 1) > 0
    twin = replace(paired, preds=[paired.preds[0]] * 2)
    assert all(d.difference == 0 and d.p == 1 for d in compare(twin))


def test_what_is_left_out_is_computed_once_for_intervals_and_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    paired = simulate(12, 4, [0.3, 0.5], 1)
    alone, intervals = compare(paired), [report.intervals for report in with_uncertainty(paired)]
    without = left_out(paired)
    for module in ("differences", "intervals"):
        monkeypatch.setattr(f"sqa_metrics.uncertainty.{module}.left_out", None)
    assert compare(paired, without=without) == alone
    assert [report.intervals for report in with_uncertainty(paired, without=without)] == intervals


def test_rounding_noise_is_no_difference() -> None:
    paired = simulate(25, 8, [0.5], 2)
    louder = replace(paired, names=["a", "b"], preds=[paired.preds[0], paired.preds[0] + 0.4])
    assert all(d.p == 1 for d in compare(louder) if d.metric != "mse")


def test_compare_is_antisymmetric() -> None:
    paired = simulate(10, 6, [0.3, 0.5], 4)
    swapped = replace(paired, preds=paired.preds[::-1])
    for one, other in zip(compare(paired), compare(swapped), strict=True):
        assert one.difference == pytest.approx(-other.difference)
        assert one.interval.low == pytest.approx(-other.interval.high)
        assert one.p == pytest.approx(other.p)


def test_holm_by_hand_and_by_its_definition() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, math.nan, 0.6])[0] == 1.0
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert math.isnan(holm([0.5, math.nan])[1])
    p = np.random.default_rng(0).uniform(size=30) ** 3
    for level in (0.01, 0.2, 0.7):
        rejected, left = set(), 30
        for k in np.argsort(p):  # until the first that is not small enough for all that are left
            if p[k] * left > level:
                break
            rejected.add(int(k))
            left -= 1
        assert rejected == {k for k, adjusted in enumerate(holm(p.tolist())) if adjusted <= level}


def test_the_family_is_all_that_is_shown() -> None:
    found = compare(simulate(12, 5, [0.3, 0.5, 0.9], 6))
    assert len(found) == 3 * 8
    assert [d.p_holm for d in found] == holm([d.p for d in found])
    assert family(found) == "3 comparisons × 8 figures"
    assert notes(found) == [f"p (Holm) is corrected over {family(found)}"]


@pytest.mark.parametrize(("figure", "level"), [("srcc", "system"), ("utterance_srcc", "utterance")])
def test_a_primary_figure_and_a_baseline_make_the_family_small(figure: str, level: str) -> None:
    paired = simulate(12, 5, [0.3, 0.5, 0.9], 6)
    found = compare(paired, baseline="p1", figure=figure)
    assert {(d.a, d.b) for d in found} == {("p0", "p1"), ("p1", "p2")}
    primary = [d for d in found if not math.isnan(d.p_holm)]
    assert {(d.level, d.metric) for d in primary} == {(level, "srcc")}
    assert [d.p_holm for d in primary] == holm([d.p for d in primary])
    assert family(found) == f"2 comparisons with p1 in SRCC at the {level} level"


def test_a_predictor_on_another_scale_has_no_differences_of_errors() -> None:
    found = compare(replace(simulate(8, 6, [0.3, 0.4, 0.5], 1), apart=("p2",)))
    errors = [(d.a, d.b, d.level) for d in found if d.metric == "mse"]
    assert errors == [("p0", "p1", "utterance"), ("p0", "p1", "system")]
    assert family(found) == "3 comparisons × 8 figures, 20 in all, of errors those on the reference's scale"
    with pytest.raises(MetricsError, match="p1: on another scale than the reference"):
        compare(replace(simulate(8, 6, [0.3, 0.4], 1), apart=("p1",)), figure="mse")


def test_bad_requests() -> None:
    paired = simulate(6, 3, [0.3, 0.4], 1)
    with pytest.raises(MetricsError, match="at least two to compare"):
        compare(simulate(6, 3, [0.3], 1))
    with pytest.raises(MetricsError, match="no predictor is called 'x'; expected one of p0, p1"):
        compare(paired, baseline="x")
    with pytest.raises(MetricsError, match="no figure is called 'pesq'; expected one of mse, lcc"):
        compare(paired, figure="pesq")
    assert compare(paired, figure="SRCC") == compare(paired, figure="system_srcc")
    with pytest.raises(MetricsError, match="there is no system level"):
        compare(replace(paired, system=np.full(18, -1), systems=[]), figure="system_srcc")


def test_too_few_systems_have_no_test() -> None:
    assert all(math.isnan(d.p) and math.isnan(d.p_holm) for d in compare(simulate(4, 30, [0.3, 0.6], 1)))


# --- swaps -------------------------------------------------------------------------------------------------------


def all_swaps(ref: np.ndarray, a: np.ndarray, b: np.ndarray, metric: str) -> float:
    """By hand: every way to exchange systems of one item each."""
    found = []
    for way in itertools.product([False, True], repeat=len(ref)):
        one, other = np.where(way, b, a), np.where(way, a, b)
        found.append(abs(four(ref, one)[metric] - four(ref, other)[metric]))
    return float(np.mean(np.array(found) >= found[0] - 1e-9))


@pytest.mark.parametrize("metric", FIGURES)
def test_swaps_against_all_ways_by_hand(metric: str) -> None:
    paired = each_a_system(REF, ONE, TWO)
    one, two = (replace(levels(paired)["system"], preds=np.array([p])) for p in paired.preds)
    a, b = (np.array(p) for p in (ONE, TWO))
    if metric != "mse":
        a, b = ((v - v.mean()) / v.std() for v in (a, b))
    assert swap_test(one, two, FIGURES[metric]) == all_swaps(np.array(REF), a, b, metric)


@pytest.mark.parametrize("n", [6, 30])
def test_a_perfect_order_is_tested_by_swaps(n: int) -> None:
    paired = simulate(n, 4, [0.5], 1)
    rng = np.random.default_rng(1)
    paired = replace(paired, names=["a", "b"], preds=[np.exp(paired.ref), rng.normal(size=4 * n)])
    again = compare(paired)
    for d, same in zip(compare(paired), again, strict=True):
        if (d.level, d.metric) in (("utterance", "srcc"), ("utterance", "ktau")):
            assert 2 / 2**n <= d.p < 0.07
            assert math.isnan(d.interval.low)
            assert d.as_dict()["interval"] == [None, None]
        assert d.p == pytest.approx(same.p)
    assert any("where one order is perfect" in line for line in notes(again))


# --- not the same utterances -------------------------------------------------------------------------------------


def halves(paired: Paired, n_utterances: int) -> list[Paired]:
    """Each predictor on its half of every system's utterances."""
    parts = []
    for k, first in ((0, True), (1, False)):
        rows = np.flatnonzero((np.arange(len(paired)) % n_utterances < n_utterances // 2) == first)
        part = paired.take(rows)
        parts.append(replace(part, names=[f"p{k}"], preds=[part.preds[k]], coverage=paired.coverage[:1]))
    return parts


def test_unpaired_comparison_leaves_out_the_same_systems() -> None:
    parts = halves(simulate(25, 10, [0.1, 3.0], 2), 10)
    reports, found = compare_unpaired(parts)
    assert [r.n_utterances for r in reports] == [125, 125]
    assert all(d.p < 0.05 and d.difference * (-1 if d.metric == "mse" else 1) > 0 for d in found)
    _, twins = compare_unpaired([parts[0], replace(parts[0], names=["twin"])])
    assert all(d.difference == 0 and d.interval.low == d.interval.high == 0 and d.p == 1 for d in twins)


def test_unpaired_on_the_same_items_is_paired() -> None:
    paired = simulate(12, 6, [0.4, 0.5], 3)
    parts = [replace(paired, names=[f"p{k}"], preds=[paired.preds[k]]) for k in range(2)]
    for one, other in zip(compare_unpaired(parts)[1], compare(paired), strict=True):
        assert one.p == pytest.approx(other.p)


def test_unpaired_comparison_keeps_to_common_systems() -> None:
    one, two = simulate(6, 5, [0.3], 1), simulate(9, 4, [0.3], 2)
    reports, _ = compare_unpaired([one, two])
    assert [(r.n_systems, r.n_utterances) for r in reports] == [(6, 30), (6, 24)]
    with pytest.raises(MetricsError, match="0 systems in common"):
        compare_unpaired([one, replace(two, systems=[("other", s) for _, s in two.systems])])


def test_unpaired_predictors_on_another_scale_have_no_differences_of_errors() -> None:
    parts = halves(simulate(8, 6, [0.3, 0.3], 1), 6)
    _, found = compare_unpaired([parts[0], replace(parts[1], apart=("p1",))])
    assert {d.metric for d in found} == set(FIGURES) - {"mse"}
    assert family(found) == "1 comparison × 6 figures"


def test_strata_of_unpaired_predictors() -> None:
    parts = halves(two_corpora(simulate(8, 6, [0.3, 0.3], 1), simulate(7, 6, [0.3, 0.3], 2), shift=1.0), 6)
    _, found = compare_unpaired(parts)
    assert all(0 < d.p <= 1 for d in found)
