"""Intervals in reports: of both levels, of each corpus, and of the mean over corpora."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from simulated import simulate, two_corpora, without_systems
from sqa_metrics import FIGURES, evaluate, intervals, with_uncertainty
from sqa_metrics.report import select
from sqa_metrics.uncertainty.left_out import left_out
from sqa_metrics.uncertainty.recipe import estimate


def test_intervals_hold_their_figure() -> None:
    paired = simulate(8, 5, [0.3], 1)
    for level, figures in intervals(paired)[0].items():
        values = evaluate(paired).level(level)
        for metric, interval in figures.items():
            assert interval.low < values[metric] < interval.high, (level, metric)


def test_systems_are_left_out_whole() -> None:
    """Ten systems of identical utterances say no more than ten utterances."""
    paired = simulate(10, 1, [0.4], 3)
    copies = paired.take(np.repeat(np.arange(10), 50))
    one, many, alone = (
        intervals(p)[0]["utterance"]["mse"] for p in (paired, copies, without_systems(copies))
    )
    assert (many.low, many.high) == pytest.approx((one.low, one.high))
    assert alone.high - alone.low < 0.3 * (many.high - many.low)


def test_a_corpus_has_the_interval_that_it_has_alone() -> None:
    paired = two_corpora(simulate(12, 5, [0.3], 1), simulate(9, 5, [0.5], 2), shift=1.0)
    (report,) = with_uncertainty(paired)
    for code, name in enumerate("xy"):
        assert report.corpora[name].intervals == intervals(select(paired, code))[0]
    table = report.table().splitlines()
    assert [line.split()[0] for line in table[1:]] == [
        "x",
        "x",
        "y",
        "y",
        "macro",
        "macro",
        "pooled",
        "pooled",
    ]


def test_the_mean_over_corpora_by_hand() -> None:
    paired = two_corpora(simulate(12, 5, [0.3], 1), simulate(9, 5, [0.5], 2), shift=1.0)
    (report,) = with_uncertainty(paired)
    macro = report.macro
    assert macro is not None
    assert macro.intervals is not None
    values = [part.level("system") for part in report.corpora.values()]
    assert macro.figures["system"]["mse"] == pytest.approx(np.mean([v["mse"] for v in values]))
    middle = np.mean([math.atanh(v["lcc"]) for v in values])
    assert macro.figures["system"]["lcc"] == pytest.approx(math.tanh(middle))
    parts = [estimate("lcc", left_out(select(paired, code))["system"], 0) for code in range(2)]
    total = sum(p.variance for p in parts) / 4
    freedom = total**2 / sum((p.variance / 4) ** 2 / p.freedom for p in parts)
    low = math.tanh(middle - stats.t.ppf(0.975, freedom) * math.sqrt(total))
    assert macro.intervals["system"]["lcc"].low == pytest.approx(low)
    parts = [estimate("mse", left_out(select(paired, code))["system"], 0) for code in range(2)]
    mean = macro.figures["system"]["mse"]
    error = math.sqrt(sum(v["mse"] ** 2 * p.variance for v, p in zip(values, parts, strict=True))) / 2
    bound = macro.intervals["system"]["mse"]
    assert math.log(bound.high / bound.low) / 2 > stats.norm.ppf(0.975) * error / mean
    assert math.sqrt(bound.high * bound.low) == pytest.approx(mean)
    assert report.as_dict()["macro"]["n_corpora"] == {"utterance": 2, "system": 2}


def test_a_perfect_order_in_one_corpus_leaves_the_mean_finite() -> None:
    one = simulate(12, 5, [0.3], 1)
    perfect = replace(one, preds=[1 + one.ref * 0.5])
    (report,) = with_uncertainty(two_corpora(one, perfect))
    assert report.macro is not None
    assert report.corpora["y"].level("system")["srcc"] == 1
    assert 0.9 < report.macro.figures["system"]["srcc"] < 1


def test_report_with_uncertainty_is_plain_json_types() -> None:
    (report,) = with_uncertainty(simulate(6, 4, [0.3], 1))
    value = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert set(value["intervals"]) == {"utterance", "system"}
    assert all(len(pair) == 2 for pair in value["intervals"]["system"].values())
    assert "[" in report.table()


def test_few_systems_are_pointed_out() -> None:
    (few,), (many,) = (with_uncertainty(simulate(n, 4, [0.3], 1)) for n in (9, 10))
    assert "9, few" in few.table()
    assert any("few systems at the system level: 9" in note for note in few.notes())
    assert not any("few" in note for note in many.notes())


def test_too_few_systems_have_no_interval() -> None:
    (report,) = with_uncertainty(simulate(4, 30, [0.3], 1))
    assert report.intervals is not None
    assert all(math.isnan(i.low) for level in report.intervals.values() for i in level.values())
    assert any("no interval at the system level: 4 systems" in note for note in report.notes())


def test_constant_predictions_have_no_interval() -> None:
    paired = simulate(5, 4, [0.3], 1)
    (found,) = intervals(replace(paired, preds=[np.ones(20)]))
    assert math.isnan(found["utterance"]["lcc"].low)
    assert not math.isnan(found["utterance"]["mse"].low)


def test_a_figure_at_its_bound_says_so() -> None:
    paired = simulate(12, 4, [0.3], 1)
    (report,) = with_uncertainty(replace(paired, preds=[paired.ref]))
    assert any(
        "no interval of MSE, LCC at the system level: too few errors to tell" in n for n in report.notes()
    )
    assert report.as_dict()["intervals"]["system"]["mse"] == [None, None]
    assert set(report.intervals["system"]) == set(FIGURES)  # type: ignore[index]
