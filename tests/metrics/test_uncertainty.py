"""Intervals, paired tests and the listener ceiling: against simulation, hand computation and invariances."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from sqa_metrics import (
    MetricsError,
    Paired,
    ceiling,
    compare,
    compare_unpaired,
    evaluate,
    holm,
    intervals,
    with_uncertainty,
)
from sqa_metrics.rows.records import Coverage
from sqa_metrics.uncertainty import JACKKNIFE_GROUPS, _Bca, _jackknife, replicates


def simulate(n_systems: int, n_utterances: int, errors: list[float], seed: int, bias: float = 0.0) -> Paired:
    """Predictors that see the true quality through noise of the given standard deviations."""
    rng = np.random.default_rng(seed)
    n = n_systems * n_utterances
    truth = np.repeat(rng.normal(3, 0.8, n_systems), n_utterances) + rng.normal(0, 0.3, n)
    preds = [truth + rng.normal(bias, s, n) for s in errors]
    return Paired(
        names=[f"p{k}" for k in range(len(errors))],
        ref=truth + rng.normal(0, 0.25, n),
        preds=preds,
        system=np.repeat(np.arange(n_systems), n_utterances),
        systems=[("", f"s{k}") for k in range(n_systems)],
        corpus=np.zeros(n, int),
        corpora=[""],
        coverage=[Coverage(n, n, 0, 0, 0)] * len(errors),
        ref_utterances=[n],
        ref_systems=[n_systems],
    )


def without_systems(paired: Paired) -> Paired:
    return replace(paired, system=np.full(len(paired), -1), systems=[])


def test_the_seed_decides_and_the_order_of_rows_does_not_bias() -> None:
    paired = simulate(8, 5, [0.3], 1)
    first, again = intervals(paired, n_resamples=100), intervals(paired, n_resamples=100)
    assert first == again
    assert first != intervals(paired, n_resamples=100, seed=1)
    for level, figures in first[0].items():
        values = getattr(evaluate(paired), level)
        for metric, interval in figures.items():
            assert interval.low <= values[metric] <= interval.high, (level, metric)


def test_systems_are_drawn_whole() -> None:
    """Ten systems of identical utterances: drawing utterances alone would give far too narrow intervals."""
    paired = simulate(10, 1, [0.4], 3)
    copies = replace(
        paired,
        ref=np.repeat(paired.ref, 50),
        preds=[np.repeat(paired.preds[0], 50)],
        system=np.repeat(paired.system, 50),
        corpus=np.zeros(500, int),
    )
    one, many = replicates(paired, 400, 0)["utterance"], replicates(copies, 400, 0)["utterance"]
    spread = np.nanstd(many[:, 0, 0]) / np.nanstd(one[:, 0, 0])
    assert 0.8 < spread < 1.25
    alone = replicates(without_systems(copies), 400, 0)["utterance"]
    assert np.nanstd(alone[:, 0, 0]) < 0.3 * np.nanstd(many[:, 0, 0])


def test_system_level_draws_are_the_bootstrap_of_system_means() -> None:
    paired = simulate(30, 4, [0.5], 5)
    draws = replicates(paired, 2000, 0)["system"][:, 0, 0]
    means = [np.asarray(v).reshape(30, 4).mean(1) for v in (paired.ref, paired.preds[0])]
    errors = (means[0] - means[1]) ** 2
    assert draws.mean() == pytest.approx(errors.mean(), rel=0.03)
    assert draws.std() == pytest.approx(errors.std() / math.sqrt(30), rel=0.08)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_intervals_cover_the_truth(method: str) -> None:
    """Nominal 95 % intervals over 40 systems cover the large-sample figure (errors, being skewed, a little less)."""
    truth = evaluate(simulate(20_000, 5, [0.4], 0))
    hits = {(lvl, m): 0 for lvl in ("utterance", "system") for m in ("mse", "lcc", "srcc")}
    for seed in range(1, 101):
        (found,) = intervals(simulate(40, 5, [0.4], seed), n_resamples=300, method=method)  # type: ignore[arg-type]
        for level, metric in hits:
            interval = found[level][metric]
            hits[level, metric] += interval.low <= getattr(truth, level)[metric] <= interval.high
    assert all(count >= (80 if metric == "mse" else 88) for (_, metric), count in hits.items()), hits


def test_a_better_predictor_is_significantly_better_and_a_twin_is_not() -> None:
    paired = simulate(25, 8, [0.1, 3.0], 2)
    better = {(d.level, d.metric): d for d in compare(paired, n_resamples=400)}
    assert all(d.p < 0.05 and d.difference * (-1 if d.metric == "mse" else 1) > 0 for d in better.values())
    assert all(not d.interval.low <= 0 <= d.interval.high for d in better.values())
    twin = replace(paired, preds=[paired.preds[0]] * 2)
    assert all(d.difference == 0 and d.p == 1 for d in compare(twin, n_resamples=100))


def test_equal_predictors_are_rarely_called_different() -> None:
    rejected = [
        d.p < 0.05
        for seed in range(60)
        for d in compare(simulate(20, 6, [0.5, 0.5], seed), n_resamples=200, method="percentile")
        if d.metric in ("mse", "lcc")
    ]
    assert sum(rejected) / len(rejected) < 0.12


def test_compare_is_antisymmetric() -> None:
    paired = simulate(10, 6, [0.3, 0.5], 4)
    swapped = replace(paired, preds=paired.preds[::-1])
    for one, other in zip(
        compare(paired, n_resamples=200, method="percentile"),
        compare(swapped, n_resamples=200, method="percentile"),
        strict=True,
    ):
        assert one.difference == pytest.approx(-other.difference)
        assert one.interval.low == pytest.approx(-other.interval.high)
        assert one.p == pytest.approx(other.p)


def test_holm() -> None:
    assert holm([0.01, 0.02, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert holm([0.5, math.nan, 0.6])[0] == 1.0
    assert math.isnan(holm([0.5, math.nan])[1])


def test_holm_runs_over_the_pairs_of_each_figure() -> None:
    differences = compare(simulate(12, 5, [0.3, 0.5, 0.9], 6), n_resamples=200)
    assert len(differences) == 3 * 8
    for level, metric in {(d.level, d.metric) for d in differences}:
        family = [d for d in differences if (d.level, d.metric) == (level, metric)]
        assert [d.p_holm for d in family] == holm([d.p for d in family])


def test_ceiling_is_reached_by_the_true_mean() -> None:
    rng = np.random.default_rng(7)
    n, votes = 4000, 6
    truth = np.repeat(rng.normal(3, 0.6, 200), 20) + rng.normal(0, 0.3, n)
    ratings = truth[:, None] + rng.normal(0, 0.9, (n, votes))
    paired = replace(
        simulate(200, 20, [0.1], 0),
        ref=ratings.mean(1),
        preds=[truth],
        noise=ratings.std(1, ddof=1) ** 2 / votes,
    )
    top, figures = ceiling(paired), evaluate(paired)
    assert top is not None
    assert figures.system is not None
    assert top["utterance"].values["mse"] == pytest.approx(figures.utterance["mse"], rel=0.05)
    assert top["utterance"].values["lcc"] == pytest.approx(figures.utterance["lcc"], abs=0.01)
    assert top["system"].values["mse"] == pytest.approx(figures.system["mse"], rel=0.3)
    assert top["system"].values["lcc"] == pytest.approx(figures.system["lcc"], abs=0.01)
    assert ceiling(replace(paired, noise=None)) is None


def test_report_with_uncertainty_is_plain_json_types() -> None:
    import json

    (report,) = with_uncertainty(simulate(6, 4, [0.3], 1), n_resamples=50)
    value = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert set(value["intervals"]) == {"utterance", "system"}
    assert all(len(pair) == 2 for pair in value["intervals"]["system"].values())
    assert "[" in report.table()


def test_constant_predictions_have_no_interval() -> None:
    paired = simulate(5, 4, [0.3], 1)
    (found,) = intervals(replace(paired, preds=[np.ones(20)]), n_resamples=20)
    assert math.isnan(found["utterance"]["lcc"].low)
    assert not math.isnan(found["utterance"]["mse"].low)


def test_bad_requests() -> None:
    paired = simulate(4, 3, [0.3], 1)
    with pytest.raises(MetricsError, match="at least two to compare"):
        compare(paired)
    with pytest.raises(MetricsError, match="1 resamples requested"):
        intervals(paired, n_resamples=1)


def test_unpaired_comparison_draws_the_same_systems() -> None:
    """Two predictors on the two halves of each system's utterances: only the systems are paired."""
    paired = simulate(25, 10, [0.1, 3.0], 2)
    halves = []
    for k, first in ((0, True), (1, False)):
        rows = np.flatnonzero((np.arange(250) % 10 < 5) == first)
        halves.append(
            replace(
                paired,
                names=[f"p{k}"],
                ref=paired.ref[rows],
                preds=[paired.preds[k][rows]],
                system=paired.system[rows],
                corpus=paired.corpus[rows],
                coverage=paired.coverage[:1],
            )
        )
    reports, differences = compare_unpaired(halves, n_resamples=200)
    assert [r.n_utterances for r in reports] == [125, 125]
    assert all(d.p < 0.05 and d.difference * (-1 if d.metric == "mse" else 1) > 0 for d in differences)
    # The same predictor against itself on the same items: no resample differs, so the draws were the same.
    _, twins = compare_unpaired([halves[0], replace(halves[0], names=["twin"])], n_resamples=50)
    assert all(d.difference == 0 and d.interval.low == d.interval.high == 0 and d.p == 1 for d in twins)


def test_unpaired_comparison_keeps_to_common_systems() -> None:
    one, two = simulate(6, 5, [0.3], 1), simulate(9, 4, [0.3], 2)
    reports, _ = compare_unpaired([one, two], n_resamples=20)
    assert [(r.n_systems, r.n_utterances) for r in reports] == [(6, 30), (6, 24)]
    with pytest.raises(MetricsError, match="0 systems in common"):
        compare_unpaired([one, replace(two, systems=[("other", s) for _, s in two.systems])])


def test_too_few_systems_have_no_interval() -> None:
    """Two systems always correlate perfectly, and so do all their resamples."""
    paired = simulate(2, 30, [0.3, 0.6], 1)
    reports = with_uncertainty(paired, n_resamples=50)
    assert all(math.isnan(i.low) for level in reports[0].intervals.values() for i in level.values())  # type: ignore[union-attr]
    assert any("at least 5 systems" in note for note in reports[0].notes())
    assert all(math.isnan(d.p) and math.isnan(d.p_holm) for d in compare(paired, n_resamples=50))


def test_order_of_rows_does_not_matter() -> None:
    paired = simulate(12, 6, [0.4, 0.5], 3)
    order = np.random.default_rng(0).permutation(len(paired))
    shuffled = replace(
        paired,
        ref=paired.ref[order],
        preds=[p[order] for p in paired.preds],
        system=paired.system[order],
        corpus=paired.corpus[order],
    )
    assert intervals(paired, n_resamples=100) == intervals(shuffled, n_resamples=100)
    alone = replace(without_systems(paired), ref=paired.ref), without_systems(shuffled)
    assert intervals(alone[0], n_resamples=100) == intervals(alone[1], n_resamples=100)


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_p_value_and_interval_agree_about_zero(method: str) -> None:
    for seed in range(12):
        for d in compare(simulate(15, 6, [0.5, 0.6], seed), n_resamples=400, method=method):  # type: ignore[arg-type]
            outside = not d.interval.low <= 0 <= d.interval.high
            assert outside == (d.p < 0.05) or 0.03 < d.p < 0.07, d


def test_interval_equals_scipy() -> None:
    """Plain bootstrap of the MSE without systems: SciPy's BCa and percentile on the same kind of draws."""
    paired = without_systems(simulate(40, 1, [0.5], 5))
    errors = (paired.ref - paired.preds[0]) ** 2
    for method, name in (("bca", "BCa"), ("percentile", "percentile")):
        found = intervals(paired, n_resamples=20_000, method=method)[0]["utterance"]["mse"]  # type: ignore[arg-type]
        expected = stats.bootstrap(
            (errors,), np.mean, n_resamples=20_000, method=name, vectorized=True, rng=np.random.default_rng(1)
        ).confidence_interval
        width = expected.high - expected.low
        assert found.low == pytest.approx(expected.low, abs=0.05 * width)
        assert found.high == pytest.approx(expected.high, abs=0.05 * width)


def test_ceiling_says_why_it_is_undefined() -> None:
    paired = replace(simulate(8, 5, [0.3], 1), noise=np.full(40, 100.0))
    top = ceiling(paired)
    assert top is not None
    assert "undefined" in top["utterance"].text()
    assert ceiling(replace(paired, noise=np.append(np.ones(39), np.nan))) is None


def test_the_jackknife_leaves_out_each_cluster_or_one_of_a_hundred_groups() -> None:
    assert JACKKNIFE_GROUPS == 100
    paired = simulate(100, 1, [0.5], 0)
    errors = np.sort((paired.ref - paired.preds[0]) ** 2)[::-1]
    single = _jackknife(paired, 0)["system"][:, 0, 0]
    assert np.sort(single) == pytest.approx((errors.sum() - errors) / 99)
    groups = _jackknife(simulate(250, 1, [0.5], 0), 0)["system"]
    assert groups.shape == (100, 1, 4)


def test_ties_count_half_in_the_bias_of_bca() -> None:
    for draws in ([1.0] * 4, [0.0, 1.0, 1.0, 2.0], [0.0, 0.0, 2.0, 2.0]):
        assert _Bca.of(np.array(draws), 1.0, np.ones(3)).z0 == 0
    assert _Bca.of(np.array([0.0, 0.0, 1.0, 1.0]), 1.0, np.ones(3)).z0 == pytest.approx(stats.norm.ppf(0.75))


@pytest.mark.parametrize("method", ["bca", "percentile"])
def test_no_p_is_below_what_so_many_resamples_can_tell(method: str) -> None:
    found = compare(simulate(25, 8, [0.1, 3.0], 2), n_resamples=99, method=method)  # type: ignore[arg-type]
    assert min(d.p for d in found) == pytest.approx(2 / 100)
