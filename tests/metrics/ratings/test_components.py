"""Variances of clip, rater and rest: the ANOVA where the design is complete, simulation where not."""

import math

import numpy as np
import pytest
from sqa_metrics.ratings.bias import additive
from sqa_metrics.ratings.components import Components
from sqa_metrics.ratings.votes import Votes


def parts(votes: Votes) -> Components:
    return Components.of(votes, additive(votes))


def test_complete_designs_are_the_two_way_anova() -> None:
    rng = np.random.default_rng(0)
    table = rng.normal(0, 1, 20) + rng.normal(0, 0.7, (6, 1)) + rng.normal(0, 0.5, (6, 20))
    grand = table.mean()
    of_clips = 6 * ((table.mean(0) - grand) ** 2).sum() / 19
    of_raters = 20 * ((table.mean(1) - grand) ** 2).sum() / 5
    rest = ((table - table.mean(0) - table.mean(1)[:, None] + grand) ** 2).sum() / (19 * 5)
    found = parts(Votes.of_matrix(table))
    expected = [(of_clips - rest) / 6, (of_raters - rest) / 20, rest]
    assert [found.clip, found.rater, found.rest] == pytest.approx(expected)


def test_too_few_votes_cannot_tell() -> None:
    nan = math.nan
    for rows in ([[1, 2, 3]], [[1, nan], [nan, 2]], [[1, 2]]):
        assert math.isnan(parts(Votes.of_matrix(rows)).rest)


def test_incomplete_designs_on_the_average() -> None:
    rng = np.random.default_rng(8)
    found = []
    for _ in range(80):
        table = rng.normal(3, 0.8, 60) + rng.normal(0, 0.5, (12, 1)) + rng.normal(0, 0.6, (12, 60))
        table[rng.random(table.shape) < 0.6] = np.nan
        one = parts(Votes.of_matrix(table))
        found.append([one.clip, one.rater, one.rest])
    assert np.mean(found, axis=0) == pytest.approx([0.64, 0.25, 0.36], rel=0.15)


def test_groups_that_share_no_clip_are_hendersons_method() -> None:
    rng = np.random.default_rng(3)
    table = rng.normal(3, 1, 16) + rng.normal(0, 0.7, (9, 1)) + rng.normal(0, 0.5, (9, 16))
    table[:4, 8:] = table[4:, :8] = math.nan
    votes = Votes.of_matrix(table)
    clips, raters = (np.eye(n)[code] for n, code in ((16, votes.clip), (9, votes.rater)))
    both = np.hstack([clips, raters])

    def explained(columns: np.ndarray) -> np.ndarray:
        return columns @ np.linalg.pinv(columns)

    n, rank = len(votes), np.linalg.matrix_rank(both)
    noise = votes.score @ (np.eye(n) - explained(both)) @ votes.score / (n - rank)
    expected = []
    for factor, other in ((clips, raters), (raters, clips)):
        added = votes.score @ (explained(both) - explained(other)) @ votes.score
        free = rank - np.linalg.matrix_rank(other)
        expected.append((added - free * noise) / np.trace(factor.T @ (np.eye(n) - explained(other)) @ factor))
    found = parts(votes)
    assert [found.clip, found.rater, found.rest] == pytest.approx([*expected, noise])
