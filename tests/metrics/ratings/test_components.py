"""Variances of clip, rater and rest, and ceilings: the ANOVA where the design is complete, simulation where not."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sqa_metrics.ratings.bias import additive
from sqa_metrics.ratings.components import Components, ceilings
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
        votes = Votes.of_matrix(rows)
        found = parts(votes)
        assert math.isnan(found.rest)
        assert ceilings(votes, found, np.array([-1] * votes.n_clips), 0) == {}


@pytest.mark.parametrize("pool", [20, 8])
def test_ceilings_are_what_the_true_means_reach(pool: int) -> None:
    rng = np.random.default_rng(pool)
    n_systems, n_clips, votes_each = 12, 10, 5
    system = np.repeat(np.arange(n_systems), n_clips)
    rows = []
    for _ in range(80):
        truth = np.repeat(rng.normal(3, 0.8, n_systems), n_clips) + rng.normal(0, 0.35, n_systems * n_clips)
        bias = rng.normal(0, 0.5, pool)
        table = np.full((pool, len(truth)), np.nan)
        for k, value in enumerate(truth):
            who = rng.choice(pool, votes_each, replace=False)
            table[who, k] = value + bias[who] + rng.normal(0, 0.8, votes_each)
        votes = Votes.of_matrix(table)
        found = parts(votes)
        top = ceilings(votes, found, system, n_systems)
        means = [pd.Series(v).groupby(system).mean() for v in (votes.mos, truth)]
        row = {"variance of raters": (found.rater, 0.25), "variance of the rest": (found.rest, 0.64)}
        for level, (ref, best) in {"utterance": (votes.mos, truth), "system": means}.items():
            row[f"{level} mse"] = (top[level].mse, np.mean((ref - best) ** 2))
            row[f"{level} lcc"] = (top[level].lcc, stats.pearsonr(ref, best)[0])
        rows.append(row)
    for name in rows[0]:
        found_mean, true_mean = np.nanmean([row[name] for row in rows], axis=0)
        assert found_mean == pytest.approx(true_mean, rel=0.01 if "lcc" in name else 0.2), name


def test_noise_alone_leaves_nothing_to_reach() -> None:
    table = np.array([[1.0, 5.0, 3.0], [5.0, 1.0, 3.2]])
    votes = Votes.of_matrix(table)
    assert math.isnan(ceilings(votes, parts(votes), np.full(3, -1), 0)["utterance"].lcc)
