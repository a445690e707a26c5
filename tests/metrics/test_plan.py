"""Plans: worked numbers, and simulated tests of the planned size that reach what was wanted."""

import math

import numpy as np
import pytest
from scipy import stats
from sqa_metrics import MetricsError
from sqa_metrics.plan import (
    CLIPS,
    Spread,
    systems_for_predictors,
    votes_for_difference,
    votes_for_interval,
)
from sqa_metrics.ratings import ratings_of
from sqa_metrics.ratings.means import Means
from sqa_metrics.ratings.votes import Votes

RUNS = 1500


def test_worked_numbers() -> None:
    one = Spread.of_sd(1.0)
    # 96.04 by the normal quantile, 99 by Student's
    assert votes_for_interval(one, 0.2) == 99
    # 174.4 and 122.1 by the normal quantile
    assert votes_for_difference(one, 0.3, fresh_raters=True) == 176
    assert votes_for_difference(one, 0.3) == 177
    assert votes_for_difference(Spread.of_sd(1.0, rater_share=0.3), 0.3) == 125
    assert systems_for_predictors(0.90, 0.85, 0.85) == 166
    assert Spread.of_sos(0.25) == Spread.of_sd(1.0)
    assert Spread.of_sos(0.25, 50, (0, 100)).rest == pytest.approx(625)


@pytest.mark.parametrize(("sd", "half_width"), [(1.0, 0.2), (0.7, 0.35), (1.2, 0.9)])
def test_votes_of_one_clip_are_the_fewest(sd: float, half_width: float) -> None:
    votes = votes_for_interval(Spread.of_sd(sd), half_width)
    assert votes is not None
    half = [stats.t.ppf(0.975, n - 1) * sd / math.sqrt(n) for n in (votes - 1, votes)]
    assert half[1] <= half_width < half[0]


def simulate(spread: Spread, clips: int, votes: int, fresh: bool, rng: np.random.Generator) -> np.ndarray:
    """Votes of two equal systems, (2, votes, clips), heard by the same raters unless they are `fresh`."""
    shape = (2, votes, clips) if fresh else (1, votes, 1)
    raters = rng.normal(0, math.sqrt(spread.rater), shape)
    own = rng.normal(0, math.sqrt(spread.clip), (2, 1, clips)) if clips > 1 else 0
    return own + raters + rng.normal(0, math.sqrt(spread.rest), (2, votes, clips))


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("clips", [1, 8, 24])
def test_planned_intervals_are_as_narrow_as_wanted(clips: int, fresh: bool) -> None:
    spread = Spread.of_sd(0.9, rater_share=0.2, clip_sd=0.3)
    votes = votes_for_interval(spread, 0.3, clips=clips, fresh_raters=fresh)
    assert votes is not None
    rng = np.random.default_rng(clips)
    means = np.array([simulate(spread, clips, votes, fresh, rng)[0].mean() for _ in range(RUNS)])
    assert np.mean(np.abs(means) <= 0.3) >= 0.94
    widths = []
    for _ in range(100):
        test = Votes.of_matrix(simulate(spread, clips, votes, False, rng)[0])
        found = Means.of_systems(test, np.zeros(clips, int), 1)
        assert found.half_clustered is not None
        widths.append(found.half_clustered[0] if clips > 1 else Means.of_clips(test).half[0])
    if not fresh:
        assert np.mean(widths) == pytest.approx(0.3, rel=0.12)


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize("clips", [1, 24])
def test_planned_differences_are_found_as_often_as_wanted(clips: int, fresh: bool) -> None:
    spread = Spread.of_sd(0.9, rater_share=0.3, clip_sd=0.2)
    votes = votes_for_difference(spread, 0.25, clips=clips, fresh_raters=fresh)
    assert votes is not None
    rng = np.random.default_rng(clips)
    p = []
    for _ in range(RUNS):
        one, other = simulate(spread, clips, votes, fresh, rng)
        one = one + 0.25
        # the units that are drawn: votes of the clip, or clips of the system
        a, b = (one.ravel(), other.ravel()) if clips == 1 else (one.mean(0), other.mean(0))
        p.append((stats.ttest_ind(a, b) if fresh else stats.ttest_rel(a, b)).pvalue)
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.8, abs=0.045)


def test_planned_predictors_are_told_apart_as_often_as_wanted() -> None:
    r1, r2, between = 0.9, 0.8, 0.8
    n = systems_for_predictors(r1, r2, between)
    rng = np.random.default_rng(0)
    cov = np.array([[1, r1, r2], [r1, 1, between], [r2, between, 1]])
    found = 0
    for _ in range(RUNS):
        a, b, c = np.corrcoef(rng.multivariate_normal(np.zeros(3), cov, n).T)[np.triu_indices(3, 1)]
        square = (a * a + b * b) / 2
        h = (1 - min(1, (1 - c) / (2 * (1 - square))) * square) / (1 - square)
        z = (math.atanh(a) - math.atanh(b)) * math.sqrt((n - 3) / (2 * (1 - c) * h))
        found += abs(z) > 1.959964
    assert found / RUNS == pytest.approx(0.8, abs=0.03)


def test_a_pilot_shows_what_varies() -> None:
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        system = np.repeat(rng.normal(3, 0.8, 10), 12)
        table = system + rng.normal(0, 0.3, 120) + rng.normal(0, 0.4, (15, 1)) + rng.normal(0, 0.7, (15, 120))
        table[rng.random(table.shape) < 0.5] = np.nan
        rater, clip = np.nonzero(~np.isnan(table))
        names = [f"u{k}" for k in clip], [f"r{k}" for k in rater]
        systems = [f"s{k // 12}" for k in clip]
        pilot = ratings_of(*names, table[rater, clip], system=systems, scale=(-10, 10))
        spread = Spread.of_pilot(pilot)
        found.append([spread.rest, spread.rater, spread.clip])
    assert np.mean(found, axis=0) == pytest.approx([0.49, 0.16, 0.09], rel=0.12)


def test_means_with_deviations_are_a_pilot_too() -> None:
    rng = np.random.default_rng(0)
    system = np.repeat(np.arange(40), 12)
    truth = rng.normal(3, 0.8, 40)[system] + rng.normal(0, 0.3, 480)
    votes = truth[:, None] + rng.normal(0, 0.7, (480, 6))
    found = Spread.of_means(votes.mean(1), np.full(480, 6.0), votes.std(1, ddof=1), system)
    assert [found.rest, found.rater, found.clip] == pytest.approx([0.49, 0, 0.09], rel=0.25)
    with pytest.raises(MetricsError, match="expected single ratings, or columns votes and mos_std"):
        Spread.of_means(truth, np.full(480, 1.0), np.full(480, np.nan), system)


def test_deviations_weigh_by_their_votes() -> None:
    votes = [np.array(v, float) for v in ([1, 3], [2, 2, 3, 5, 4, 2])]
    counts, std = np.array([len(v) for v in votes]), np.array([v.std(ddof=1) for v in votes])
    found = Spread.of_means(np.array([v.mean() for v in votes]), counts, std, np.array([0, 1]))
    rest = sum(((v - v.mean()) ** 2).sum() for v in votes) / sum(len(v) - 1 for v in votes)
    assert found.rest == pytest.approx(rest)


def test_pilots_that_show_nothing() -> None:
    for scores in ([1, 2], [3, 3, 3, 3]):
        names = [f"u{k // 2}" for k in range(len(scores))], [f"r{k % 2}" for k in range(len(scores))]
        with pytest.raises(MetricsError, match="do not tell raters and chance apart"):
            Spread.of_pilot(ratings_of(*names, scores))


def test_out_of_reach_is_none() -> None:
    spread = Spread.of_sd(1.0, clip_sd=0.5)
    votes = {clips: votes_for_interval(spread, 0.2, clips=clips) for clips in CLIPS}
    assert [v for clips, v in votes.items() if 1 < clips <= 24] == [None] * 8
    assert [type(v) for clips, v in votes.items() if clips > 24] == [int] * 4


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Spread.of_sd(0), "sd is 0; expected a standard deviation above 0"),
        (lambda: Spread.of_sd(math.nan), "sd is nan"),
        (lambda: Spread.of_sd(1, rater_share=1), "rater_share is 1"),
        (lambda: Spread.of_sd(1, clip_sd=-1), "clip_sd is -1"),
        (lambda: Spread.of_sos(1.2), "a is 1.2 and mos 3; expected 0 < a <= 1"),
        (lambda: Spread.of_sos(0.2, 5), "a mos inside 1..5"),
        (lambda: votes_for_interval(Spread(1), 0), "half_width is 0; expected a number above 0"),
        (lambda: votes_for_interval(Spread(1), 0.2, level=1), "level is 1; expected a share between 0 and 1"),
        (lambda: votes_for_difference(Spread(1), -1), "difference is -1"),
        (lambda: votes_for_difference(Spread(1), 1, power=0), "power is 0"),
        (lambda: systems_for_predictors(0.9, 0.9, 0.5), "expected two that differ"),
        (lambda: systems_for_predictors(0.9, 1, 0.5), "all between -1 and 1"),
        (lambda: systems_for_predictors(0.9, 0.85, 0.1), "no three things correlate by 0.9, 0.85 and 0.1"),
    ],
)
def test_refused(make: object, message: str) -> None:
    with pytest.raises(MetricsError, match=message):
        make()  # type: ignore[operator]
