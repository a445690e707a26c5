"""Biases: the worked numbers of P.913 and P.910 Annex E, least squares on incomplete designs, groups."""

import math

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from sqa_metrics.ratings.bias import Components, additive, annex_e, groups
from sqa_metrics.ratings.votes import Votes

ROWS = ["12334455", "12233445", "23344555", "11324354", "31252435"]


def votes_of(rows: list[str]) -> Votes:
    return Votes.of_matrix([[int(vote) for vote in row] for row in rows])


def incomplete(seed: int, raters: int = 9, clips: int = 14, heard: float = 0.4) -> np.ndarray:
    rng = np.random.default_rng(seed)
    table = rng.integers(1, 6, (raters, clips)).astype(float)
    table[rng.random(table.shape) > heard] = np.nan
    return table


def test_p913_in_one_step() -> None:
    found = additive(votes_of(["1345", "2355", "1234"]))
    assert found.mos == pytest.approx([4 / 3, 8 / 3, 4, 14 / 3])
    assert found.bias == pytest.approx([0.083333, 0.583333, -0.666667], abs=1e-6)
    assert found.std == pytest.approx([0.381881, 0.25, 0.381881, 0.25], abs=1e-6)
    assert (found.groups, found.converged) == (1, True)


@pytest.mark.parametrize("seed", range(5))
def test_incomplete_designs_are_least_squares(seed: int) -> None:
    votes = Votes.of_matrix(incomplete(seed))
    found = additive(votes)
    assert found.converged
    rows = np.arange(len(votes))
    design = np.zeros((len(votes), votes.n_clips + votes.n_raters))
    design[rows, votes.clip] = design[rows, votes.n_clips + votes.rater] = 1
    best = design @ np.linalg.lstsq(design, votes.score, rcond=None)[0]
    assert found.mos[votes.clip] + found.bias[votes.rater] == pytest.approx(best, abs=1e-6)
    assert np.nanmean(found.bias) == pytest.approx(0, abs=1e-9)


def test_annex_e_as_written_degenerates() -> None:
    found = annex_e(votes_of(ROWS), floor=0)
    assert found.mos == pytest.approx([1.375, 2.375, 2.375, 3.375, 3.375, 4.375, 4.375, 4.375], abs=1e-4)
    assert found.inconsistency == pytest.approx([0.5, 0.3307, 0, 0.866, 1.199], abs=1e-4)
    assert found.floored == 0


def test_annex_e_with_a_floor() -> None:
    found = annex_e(votes_of(ROWS))
    expected = [1.262592, 2.175280, 2.455886, 3.223268, 3.439890, 4.191276, 4.439890, 4.811917]
    assert found.mos == pytest.approx(expected, abs=1e-6)
    assert found.floored == 2
    assert found.inconsistency is not None
    assert found.inconsistency.min() == 0.25


def test_annex_e_finds_bias_and_inconsistency() -> None:
    rng = np.random.default_rng(0)
    clips, bias, v = rng.uniform(1, 5, 200), rng.normal(0, 0.5, 12), rng.uniform(0.4, 1.2, 12)
    votes = Votes.of_matrix(clips + bias[:, None] + v[:, None] * rng.normal(size=(12, 200)))
    found = annex_e(votes)
    assert found.bias == pytest.approx(bias - bias.mean(), abs=0.2)
    assert found.inconsistency == pytest.approx(v, abs=0.15)
    errors = [np.mean((mos - bias.mean() - clips) ** 2) for mos in (found.mos, votes.mos)]
    assert errors[0] < 0.9 * errors[1]


@pytest.mark.parametrize("seed", range(8))
def test_groups_are_the_connected_components(seed: int) -> None:
    table = incomplete(seed, raters=20, clips=25, heard=0.05)
    votes = Votes.of_matrix(table)
    of_rater, of_clip = groups(votes)
    edges = coo_matrix((np.ones(len(votes)), (votes.rater, 20 + votes.clip)), (45, 45))
    _, label = connected_components(edges, directed=False)
    there = ~np.isnan(table)
    used = np.append(there.any(1), there.any(0))
    found = np.append(of_rater, of_clip)
    assert (found[~used] == -1).all()
    pairs = set(zip(found[used].tolist(), label[used].tolist(), strict=True))
    assert len(pairs) == len(set(found[used].tolist())) == len(set(label[used].tolist()))
    assert additive(votes).groups == len(pairs)


def test_a_long_chain_is_one_group_and_solved() -> None:
    # each rater shares one clip with the next: the last bias is known only through all the others
    n = 200
    bias, clips = np.linspace(-1, 1, n), np.random.default_rng(0).uniform(1, 5, n + 1)
    table = np.full((n, n + 1), np.nan)
    for k in range(n):
        table[k, k : k + 2] = clips[k : k + 2] + bias[k]
    found = additive(Votes.of_matrix(table))
    assert (found.groups, found.converged) == (1, True)
    assert found.bias == pytest.approx(bias, abs=1e-5)
    assert found.mos == pytest.approx(clips, abs=1e-5)


def test_raters_with_disjoint_clips_keep_their_levels() -> None:
    nan = math.nan
    found = additive(
        Votes.of_matrix([[1, 3, nan, nan], [2, 4, nan, nan], [nan, nan, 5, 3], [nan, nan, 4, 2]])
    )
    assert found.groups == 2
    assert found.mos == pytest.approx([1.5, 3.5, 4.5, 2.5])
    assert found.bias == pytest.approx([-0.5, 0.5, 0.5, -0.5])


# --- variances of clip, rater and rest: the ANOVA where the design is complete, simulation where not ---


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
