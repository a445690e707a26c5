"""Screening: BT.500's worked example and blind spots, correlations against SciPy, planted raters."""

import math

import numpy as np
import pytest
from scipy import stats
from sqa_metrics.ratings.screening import Screening
from sqa_metrics.ratings.votes import Votes

EXAMPLE = ["3434", "3545", "2235", "1335", "1233", "3334", "3442", "2444", "3225", "5151"]


def test_bt500_example() -> None:
    votes = Votes.of_matrix([[int(vote) for vote in row] for row in EXAMPLE])
    found = Screening.of(votes)
    assert np.flatnonzero(found.bt500).tolist() == [9]
    assert (found.above[9], found.below[9]) == (1, 1)
    rest = votes.keep(~found.bt500[votes.rater])
    assert rest.mos == pytest.approx([2.333333, 3.222222, 3.222222, 4.111111], abs=1e-6)


def bt500_by_hand(table: np.ndarray) -> list[bool]:
    above, below = np.zeros(len(table)), np.zeros(len(table))
    for column in table.T:
        there = np.flatnonzero(~np.isnan(column))
        votes = column[there]
        if len(votes) < 2 or np.ptp(votes) == 0:
            continue
        k = 2 if 2 <= stats.kurtosis(votes, fisher=False) <= 4 else math.sqrt(20)
        limit = k * votes.std(ddof=1)
        above[there] += votes >= votes.mean() + limit
        below[there] += votes <= votes.mean() - limit
    n = (~np.isnan(table)).sum(1)
    beyond = above + below
    return [
        bool(b and b / m > 0.05 and abs(p - q) / b < 0.3)
        for p, q, b, m in zip(above, below, beyond, n, strict=True)
    ]


def test_bt500_by_hand_on_incomplete_designs() -> None:
    rejected = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        table = np.clip(np.round(rng.normal(3, 0.5, (25, 40))), 1, 5)
        table[:2] = rng.choice([1.0, 5.0], (2, 40))
        table[rng.random(table.shape) < 0.2] = np.nan
        expected = bt500_by_hand(table)
        assert Screening.of(Votes.of_matrix(table)).bt500.tolist() == expected
        rejected += sum(expected)
    assert rejected > 20


@pytest.mark.parametrize(("n", "seen"), [(5, False), (6, False), (21, False), (22, True)])
def test_a_lone_deviant_is_seen_from_22_votes_on(n: int, seen: bool) -> None:
    # all others agree; the deviant errs to both sides, so that only the number of votes decides
    table = np.full((n, 10), 3.0)
    table[0] = [1, 5] * 5
    found = Screening.of(Votes.of_matrix(table))
    assert bool(found.bt500[0]) is seen
    assert found.unseen == (0 if seen else 10)


def test_bt500_never_rejects_who_errs_to_one_side() -> None:
    table = np.full((30, 10), 3.0)
    table[0] = 5
    found = Screening.of(Votes.of_matrix(table))
    assert found.above[0] == 10
    assert not found.bt500.any()


def test_correlations_equal_scipy() -> None:
    rng = np.random.default_rng(0)
    table = rng.integers(1, 6, (8, 30)).astype(float)
    table[rng.random(table.shape) < 0.3] = np.nan
    system = np.arange(30) % 6
    found = Screening.of(Votes.of_matrix(table), system, 6)
    mos = np.nanmean(table, axis=0)
    for k, row in enumerate(table):
        there = np.flatnonzero(~np.isnan(row))
        others = np.nanmean(np.delete(table, k, axis=0), axis=0)
        assert found.others[k] == pytest.approx(stats.pearsonr(row[there], others[there])[0])
        assert found.clips[k] == pytest.approx(stats.pearsonr(row[there], mos[there])[0])
        own = [np.nanmean(row[system == s]) for s in range(6)]
        all_of = [np.nanmean(table[:, system == s]) for s in range(6)]
        assert found.systems[k] == pytest.approx(stats.pearsonr(own, all_of)[0])


def test_planted_raters_are_flagged_and_honest_ones_are_not() -> None:
    false_alarms = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        clips = rng.normal(3, 1, 60)
        table = np.clip(np.round(clips + rng.normal(0, 0.3, (20, 1)) + rng.normal(0, 0.7, (20, 60))), 1, 5)
        table[0], table[1] = 6 - table[0], 4
        table[2] = rng.integers(1, 6, 60)
        found = Screening.of(Votes.of_matrix(table))
        assert found.reasons(0)[0] == found.reasons(2)[0] == "deviating"
        assert found.reasons(1) == ["constant"]
        false_alarms += int(found.flagged[3:].sum())
    assert false_alarms <= 3


def test_p913_thresholds() -> None:
    clips = np.tile(np.arange(1.0, 6.0), 4)
    rng = np.random.default_rng(0)
    table = np.stack([clips, clips, clips + 0.5, rng.permutation(clips)])
    found = Screening.of(Votes.of_matrix(table))
    assert found.p913.tolist() == [False, False, False, True]


def test_too_little_says_nothing() -> None:
    found = Screening.of(Votes.of_matrix([[1, 2, 3, 4], [4, 3, 2, 1], [3.3, 3.3, 3.3, 3.3]]))
    assert np.isnan(found.others).all()
    assert not found.flagged.any()


@pytest.mark.parametrize(("clips", "rejected"), [(40, False), (39, True)])
def test_bt500_rejects_above_a_twentieth(clips: int, rejected: bool) -> None:
    table = np.full((30, clips), 3.0)
    table[0, :2] = [1, 5]
    found = Screening.of(Votes.of_matrix(table))
    assert (found.above[0], found.below[0], bool(found.bt500[0])) == (1, 1, rejected)


@pytest.mark.parametrize(("below", "deviates"), [(0.99, False), (1.01, True)])
def test_raters_alike_may_differ_as_fishers_z_does(below: float, deviates: bool) -> None:
    # of 12 clips, z has the deviation 1 / 3
    z = np.array([1.5, 1.5, 1.5, 1.5, 1.5 - below])
    same, none = np.full(5, 12.0), np.zeros(5)
    found = Screening(same, none, same, np.tanh(z), none, none, none, none, 0)
    assert found.deviating.tolist() == [False] * 4 + [deviates]
