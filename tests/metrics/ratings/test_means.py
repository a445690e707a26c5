"""MOS and their intervals: against SciPy clip by clip, by simulation for systems."""

import math

import numpy as np
import pytest
from scipy import stats
from sqa_metrics.ratings.means import Means
from sqa_metrics.ratings.votes import Votes


def test_clips_equal_scipy() -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(1, 6, (9, 12)).astype(float)
    table[rng.random(table.shape) < 0.4] = np.nan
    found = Means.of_clips(Votes.of_matrix(table), 0.9)
    for k, column in enumerate(table.T):
        votes = column[~np.isnan(column)]
        assert found.votes[k] == len(votes)
        assert found.mos[k] == pytest.approx(votes.mean())
        low, high = stats.t.interval(0.9, len(votes) - 1, votes.mean(), stats.sem(votes))
        assert found.half[k] == pytest.approx((high - low) / 2)


def test_few_votes_have_no_interval() -> None:
    found = Means.of_clips(Votes.of_matrix([[3, 4, math.nan], [math.nan, 4, math.nan]]))
    assert found.votes.tolist() == [1, 2, 0]
    np.testing.assert_array_equal(found.mos, [3, 4, np.nan])
    np.testing.assert_array_equal(found.half, [np.nan, 0, np.nan])


def test_system_is_the_mean_of_its_clips() -> None:
    nan = math.nan
    votes = Votes.of_matrix([[1, 5, 2, nan], [3, nan, 4, nan], [2, nan, 3, 5]])
    found = Means.of_systems(votes, np.array([0, 0, 1, -1]), 2)
    assert found.mos.tolist() == [3.5, 3.0]
    assert (found.clips is not None and found.clips.tolist(), found.votes.tolist()) == ([2, 1], [4, 3])
    # one clip: over its raters alone, Student's interval of its votes
    assert found.half_clustered is not None
    assert found.half_clustered[1] == pytest.approx(found.half[1]) == pytest.approx(2.484138)


@pytest.mark.parametrize("content", [0.0, 0.35])
def test_clustered_intervals_cover(content: float) -> None:
    rng = np.random.default_rng(1)
    n_systems, n_clips, raters, inside = 6, 8, 16, np.zeros(2)
    system = np.repeat(np.arange(n_systems), n_clips)
    for _ in range(200):
        clips = rng.normal(0, content, n_systems * n_clips)
        table = clips + rng.normal(0, 0.4, (raters, 1)) + rng.normal(0, 0.8, (raters, len(clips)))
        found = Means.of_systems(Votes.of_matrix(table), system, n_systems)
        assert found.half_clustered is not None
        inside += [np.mean(abs(found.mos) <= half) for half in (found.half, found.half_clustered)]
    independent, clustered = inside / 200
    assert independent < 0.85
    assert 0.92 <= clustered <= 0.99
