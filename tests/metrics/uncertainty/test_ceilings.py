"""What listeners' noise allows: against simulated listeners."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from simulated import simulate, without_systems
from sqa_metrics import FIGURES, Paired, ceiling, evaluate, listening_test, pair, ratings_of
from sqa_metrics.ratings.votes import Votes
from sqa_metrics.uncertainty.ceilings import Listeners, _noise


def listened(n_systems: int, n_utterances: int, votes: int, seed: int) -> Paired:
    """A test of so many votes a clip, and the predictor that knows every true mean."""
    rng = np.random.default_rng(seed)
    n = n_systems * n_utterances
    truth = np.repeat(rng.normal(3, 0.6, n_systems), n_utterances) + rng.normal(0, 0.3, n)
    ratings = truth[:, None] + rng.normal(0, 0.8, (n, votes))
    return replace(
        simulate(n_systems, n_utterances, [0.1], 0),
        ref=ratings.mean(1),
        preds=[truth],
        noise=ratings.var(1, ddof=1) / votes,
        votes=np.full(n, float(votes)),
    )


def test_ceiling_is_reached_by_the_true_mean() -> None:
    paired = listened(200, 20, 6, 7)
    top, figures = ceiling(paired), evaluate(paired)
    assert top is not None
    for level in ("utterance", "system"):
        for metric, value in figures.level(level).items():
            expected = pytest.approx(value, rel=0.2 if metric == "mse" else 0, abs=0.015)
            assert top[level].values[metric] == expected, (level, metric)
    assert ceiling(replace(paired, noise=None)) is None


def test_ceilings_of_small_tests_are_right_on_the_average() -> None:
    """Within .02 of what the perfect predictor has, 12 systems of 10 clips and 5 votes."""
    found: dict[tuple[str, str], list[float]] = {}
    for seed in range(60):
        paired = listened(12, 10, 5, seed)
        top, figures = ceiling(paired), evaluate(paired)
        assert top is not None
        for level in ("utterance", "system"):
            for metric, value in figures.level(level).items():
                found.setdefault((level, metric), []).append(top[level].values[metric] - value)
    assert {key: np.mean(values) for key, values in found.items()} == pytest.approx(
        dict.fromkeys(found, 0), abs=0.02
    )


def test_the_intervals_of_ceilings_by_hand() -> None:
    """The floor of the MSE is a mean of noise, and its interval that of the recipe."""
    paired = without_systems(listened(9, 1, 5, 3))
    top = ceiling(paired)
    assert top is not None
    interval = top["utterance"].intervals["mse"]
    noise = np.asarray(paired.noise)
    left = np.log((noise.sum() - noise) / 8)
    half = stats.t.ppf(0.975, 8) * math.sqrt(8 / 9 * np.sum((left - left.mean()) ** 2))
    assert (interval.low, interval.high) == pytest.approx(
        (noise.mean() * math.exp(-half), noise.mean() * math.exp(half))
    )
    for metric in FIGURES:
        i = top["utterance"].intervals[metric]
        assert i.low < top["utterance"].values[metric] < i.high
    assert ceiling(paired) == top
    again = ceiling(paired, level=0.5)
    assert again is not None
    assert again["utterance"].intervals["srcc"].low > top["utterance"].intervals["srcc"].low


@pytest.mark.slow
def test_intervals_of_ceilings_cover() -> None:
    """95 % of simulated tests, of what an endless test allows; more at the system level, where theory has a part."""
    endless = ceiling(listened(4000, 10, 5, 99), level=None)
    assert endless is not None
    covered = dict.fromkeys([(level, metric) for level in endless for metric in FIGURES], 0)
    for seed in range(200):
        top = ceiling(listened(12, 10, 5, 1000 + seed))
        assert top is not None
        for level, metric in covered:
            interval = top[level].intervals[metric]
            covered[level, metric] += interval.low <= endless[level].values[metric] <= interval.high
    print(covered)
    assert all(count >= 0.89 * 200 for count in covered.values())
    assert all(covered[level, metric] < 200 for level in endless for metric in ("mse", "lcc"))


def test_one_vote_takes_the_pooled_variance_by_hand() -> None:
    """Variances 1 of three votes and 4 of two: pooled (2 + 4) / 3; without votes, the mean error of the others."""
    paired = simulate(4, 1, [0.1], 0)
    noise, votes = np.array([1 / 3, 2, np.nan, np.nan]), np.array([3, 2, 1, np.nan])
    found = _noise(replace(paired, noise=noise, votes=votes))
    assert found is not None
    assert found.tolist() == pytest.approx([1 / 3, 2, 2, (1 / 3 + 2 + 2) / 3])


def test_no_spread_at_all_is_no_ceiling() -> None:
    paired = simulate(4, 1, [0.1], 0)
    assert _noise(replace(paired, noise=np.full(4, np.nan), votes=np.ones(4))) is None


def test_ceiling_says_why_it_is_undefined() -> None:
    top = ceiling(replace(simulate(8, 5, [0.3], 1), noise=np.full(40, 100.0)))
    assert top is not None
    assert "LCC, SRCC, KTAU undefined" in top["utterance"].text()
    assert top["utterance"].as_dict()["max_srcc"] is None
    assert not math.isnan(top["utterance"].values["mse"])


def test_ceilings_are_plain_json_types() -> None:
    top = ceiling(listened(12, 4, 5, 1))
    assert top is not None
    value = top["system"].as_dict()
    assert set(value) == {"mse_floor", "max_lcc", "max_srcc", "max_ktau", "intervals"}
    assert "if listeners erred independently" in top["system"].text()
    assert top["system"].text().count("[") == 4


# --- listeners who are known -------------------------------------------------------------------------------------


def rated(pool: int, seed: int, votes: int = 5) -> tuple[dict[str, list], dict[str, list]]:
    """Single ratings of 12 systems of 10 clips by so many listeners, with a bias each; and the true means."""
    rng = np.random.default_rng(seed)
    system = np.repeat(np.arange(12), 10)
    truth = rng.normal(3, 0.8, 12)[system] + rng.normal(0, 0.35, 120)
    bias = rng.normal(0, 0.5, pool)
    who = np.array([rng.choice(pool, votes, replace=False) for _ in truth])
    score = truth[:, None] + bias[who] + rng.normal(0, 0.8, who.shape)
    names = [f"u{k:03}" for k in range(120)]
    frame = {
        "sample_id": np.repeat(names, votes).tolist(),
        "system_id": [f"s{k:02}" for k in np.repeat(system, votes)],
        "listener_id": [f"r{k}" for k in who.ravel()],
        "mos": score.ravel().tolist(),
    }
    return frame, {"sample_id": names, "mos": truth.tolist()}


@pytest.mark.parametrize("pool", [20, 8])
def test_listeners_who_are_shared_do_not_average_out(pool: int) -> None:
    """What the perfect predictor has: its MSE over systems is .027 and .036 where independent errors leave .0165."""
    rows: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for seed in range(60):
        ratings, truth = rated(pool, seed)
        paired = pair(ratings, {"truth": truth}, scale=(-20, 20))
        top, figures = ceiling(paired), evaluate(paired)
        assert top is not None
        for level in ("utterance", "system"):
            for metric, value in figures.level(level).items():
                rows.setdefault((level, metric), []).append((top[level].values[metric], value))
    for (level, metric), values in rows.items():
        found, best = np.nanmean(values, axis=0)
        assert found == (
            pytest.approx(best, rel=0.2) if metric == "mse" else pytest.approx(best, abs=0.025)
        ), (
            level,
            metric,
        )


def test_one_ceiling_for_score_and_for_the_listening_test() -> None:
    ratings, truth = rated(8, 1)
    top = ceiling(pair(ratings, {"truth": truth}, scale=(-20, 20)))
    sample, system, listener, score = ratings.values()
    heard = ratings_of(
        [*sample, "never"],
        [*listener, "r1"],
        [*score, math.nan],
        system=[*system, "none"],
        scale=(-20, 20),
    )
    theirs = listening_test(heard).ceiling
    assert top is not None
    assert set(theirs) == set(top) == {"utterance", "system"}
    for level, one in theirs.items():
        assert one.values == pytest.approx(top[level].values)
        assert "and of listeners" in one.text()
        intervals = one.intervals
        for metric, found in intervals.items():
            assert [found.low, found.high] == pytest.approx(
                [top[level].intervals[metric].low, top[level].intervals[metric].high], nan_ok=True
            )
        assert math.isnan(intervals["mse"].low)
        assert 0 < intervals["srcc"].low < one.values["srcc"] < intervals["srcc"].high


def test_listeners_of_one_clip_each_leave_the_ceiling_of_independent_errors() -> None:
    ratings, truth = rated(8, 2)
    ratings["listener_id"] = [f"r{k}" for k in range(600)]
    sample, system, listener, score = ratings.values()
    theirs = listening_test(ratings_of(sample, listener, score, system=system, scale=(-20, 20))).ceiling
    top = ceiling(pair(ratings, {"truth": truth}, scale=(-20, 20)))
    assert top is not None
    for level, one in top.items():
        assert theirs[level].values == pytest.approx(one.values)
        assert "if listeners erred independently" in theirs[level].text()


@pytest.mark.slow
@pytest.mark.parametrize("pool", [20, 8])
def test_intervals_of_a_listening_test_s_ceilings_cover(pool: int) -> None:
    """Of correlations, what the perfect predictor has on the average of 100 tests; an error's is not known."""
    found, best = [], []
    for seed in range(100):
        ratings, truth = rated(pool, 500 + seed)
        sample, system, listener, score = ratings.values()
        heard = ratings_of(sample, listener, score, system=system, scale=(-20, 20))
        found.append(listening_test(heard, weighted=False).ceiling)
        best.append(evaluate(pair(ratings, {"truth": truth}, scale=(-20, 20))))
    for level in ("utterance", "system"):
        for metric in ("lcc", "srcc", "ktau"):
            top = math.tanh(np.mean([math.atanh(min(b.level(level)[metric], 0.9999)) for b in best]))
            intervals = [one[level].intervals[metric] for one in found]
            share = np.mean([i.low <= top <= i.high for i in intervals])
            assert share >= 0.85, (level, metric, share)
            assert all(i.low > -1 and i.low < i.high for i in intervals)


def test_part_of_listeners_by_hand() -> None:
    """Two systems of two clips; listener 0 in all, 1 and 2 in one system each: shares 1/2 of each system's votes."""
    votes = Votes(np.repeat(np.arange(4), 2), np.array([0, 1, 0, 1, 0, 2, 0, 2]), np.zeros(8), 4, 3)
    more, between = Listeners(votes, 0.5).part(np.array([0, 0, 1, 1]), np.array([2, 2]))
    # each of four votes weighs 1/4; a listener's two in a system 1/2
    assert more.tolist() == pytest.approx([0.5 * (2 / 4 - 4 / 16)] * 2)
    assert between == pytest.approx(0.5 * (1 / 2) * (1 / 2))
    more, between = Listeners(votes, 0.5).part(np.arange(4), np.ones(4, int))
    assert more.tolist() == [0.0] * 4
    # of twelve ordered pairs of clips four share both listeners, eight one: each adds 1/2 * 1/2
    assert between == pytest.approx(0.5 * (4 * 2 + 8) / 4 / 12)


def test_listeners_who_cannot_be_told_from_chance_are_taken_as_independent() -> None:
    nested = [{f"{k}a": 1.0 + k, f"{k}b": 2.0 + k} for k in range(4)]
    top = ceiling(
        replace(simulate(4, 1, [0.1], 0), by_rater=nested, noise=np.full(4, 0.25), votes=np.full(4, 2.0))
    )
    assert top is not None
    assert "if listeners erred independently" in top["utterance"].text()


def test_listeners_of_two_corpora_are_two_people_whatever_their_ids() -> None:
    rng = np.random.default_rng(4)
    quality, bias = rng.normal(3, 0.5, (2, 12)), rng.normal(0, 0.6, (2, 8))
    given = quality[:, :, None] + bias[:, None] + rng.normal(0, 0.3, (2, 12, 8))

    def top(name: str) -> object:
        rows = [
            {
                "corpus": "xy"[c],
                "sample_id": f"{c}{u}",
                "listener_id": name.format(c, r),
                "mos": given[c, u, r],
            }
            for c, u, r in np.ndindex(given.shape)
        ]
        truth = [
            {"corpus": "xy"[c], "sample_id": f"{c}{u}", "mos": quality[c, u]} for c, u in np.ndindex(2, 12)
        ]
        found = ceiling(pair(rows, {"truth": truth}, scale=(0, 7)), level=None)
        assert found is not None
        assert found["utterance"].shared
        return found["utterance"].values

    assert top("{1}") == top("{0}-{1}")
