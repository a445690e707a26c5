"""MOS without the raters' biases: additive (ITU-T P.913 clause 12.4) and by their consistency (ITU-T P.910 Annex E).

Additive: vote = clip + bias of the rater + rest, by least squares. Where all rate all it is P.913's one step, bias =
mean of vote - MOS; else conjugate gradients take as many steps as the design needs. Annex E (Li et al. 2020, "A
simple model for subject behavior in subjective experiments"): each rater also has an inconsistency v, and votes weigh
1 / v^2, by alternating projection. Its likelihood has no maximum: on few clips one rater's v falls to 0 and that
rater's votes become the scale, so v has a floor.
"""

import math
from dataclasses import dataclass

import numpy as np

from sqa_metrics.ratings.votes import Codes, Floats, Votes, distinct, divide, dot

STILL = 1e-8  # of the scale's unit: a step this small is the last
MOST_STEPS = 1000
FLOOR = 0.25  # least inconsistency of a rater on a scale four wide, in its unit
EPSILON = 1e-8  # Annex E's own guard against v = 0


@dataclass(frozen=True, eq=False)
class Model:
    """Clips and raters taken apart. NaN for a clip or rater without votes."""

    mos: Floats  # (n_clips,)
    std: Floats  # (n_clips,) n - 1 (additive), or n (Annex E) deviation of a clip's corrected votes
    bias: Floats  # (n_raters,) mean 0 over the raters of a group
    inconsistency: Floats | None  # (n_raters,) Annex E only
    groups: int  # of raters and clips that nothing joins; biases compare inside a group only
    floored: int  # raters whose inconsistency is held at the floor
    converged: bool


def additive(votes: Votes) -> Model:
    """Least squares of clip + rater.

    >>> rows = [[1, 3, 4, 5], [2, 3, 5, 5], [1, 2, 3, 4]]
    >>> found = additive(Votes.of_matrix(rows))
    >>> found.bias.round(6).tolist(), found.std.round(6).tolist()
    ([0.083333, 0.583333, -0.666667], [0.381881, 0.25, 0.381881, 0.25])
    """
    mos, bias, converged = _least_squares(votes)
    mos, bias, groups = _centred(votes, mos, bias)
    rest = votes.scored(votes.score - bias[votes.rater])
    return Model(mos, np.sqrt(rest.variance), bias, None, groups, 0, converged)


def annex_e(votes: Votes, floor: float = FLOOR) -> Model:
    """Bias and inconsistency of each rater, and the clips' quality, weighing raters by 1 / v^2.

    `floor` is the least v that is believed; 0 is the recommendation as written.

    >>> rows = ["12334455", "12233445", "23344555", "11324354", "31252435"]
    >>> found = annex_e(Votes.of_matrix([[int(vote) for vote in row] for row in rows]))
    >>> found.mos.round(3).tolist(), found.floored
    ([1.263, 2.175, 2.456, 3.223, 3.44, 4.191, 4.44, 4.812], 2)
    """

    mos, bias = votes.mos, divide(votes.per_rater(votes.off), votes.of_rater)
    converged = False
    for _ in range(MOST_STEPS):
        rest = votes.score - mos[votes.clip] - bias[votes.rater]
        mean = divide(votes.per_rater(rest), votes.of_rater)
        v = np.sqrt(divide(votes.per_rater((rest - mean[votes.rater]) ** 2), votes.of_rater))
        weight = (1 / (np.fmax(v, floor) ** 2 + EPSILON))[votes.rater]
        weighed = votes.per_clip(weight * (votes.score - bias[votes.rater]))
        before, mos = mos, divide(weighed, votes.per_clip(weight))
        bias = divide(votes.per_rater(votes.score - mos[votes.clip]), votes.of_rater)
        converged = float(np.nanmax(np.abs(mos - before), initial=0.0)) < STILL
        if converged:
            break
    floored = int(np.count_nonzero(v <= floor)) if floor > 0 else 0
    rest = votes.score - mos[votes.clip] - bias[votes.rater]
    mean = divide(votes.per_clip(rest), votes.of_clip)
    std = np.sqrt(divide(votes.per_clip((rest - mean[votes.clip]) ** 2), votes.of_clip))
    mos, bias, groups = _centred(votes, mos, bias)
    return Model(mos, std, bias, np.fmax(v, floor) if floor > 0 else v, groups, floored, converged)


def _least_squares(votes: Votes) -> tuple[Floats, Floats, bool]:
    """Clips and biases by conjugate gradients on the biases, which need few steps also where raters share few clips."""

    def unexplained(score: Floats) -> Floats:
        """What is left of the votes without their clips' means, summed over each rater."""
        means = divide(votes.per_clip(score), votes.of_clip)
        return votes.per_rater(score - means[votes.clip])

    weight = np.maximum(votes.of_rater, 1)
    bias = np.zeros(votes.n_raters)
    rest = votes.per_rater(votes.off)
    step = scaled = rest / weight
    size = dot(rest, scaled)
    converged = False
    for _ in range(MOST_STEPS):
        converged = float(np.abs(scaled).max(initial=0.0)) < STILL
        if converged:
            break
        moved = unexplained(step[votes.rater])
        length = size / dot(step, moved)
        bias = bias + length * step
        rest = rest - length * moved
        scaled = rest / weight
        size, before = dot(rest, scaled), size
        step = scaled + size / before * step
    bias = np.where(votes.of_rater > 0, bias, np.nan)
    return divide(votes.per_clip(votes.score - bias[votes.rater]), votes.of_clip), bias, converged


def _centred(votes: Votes, mos: Floats, bias: Floats) -> tuple[Floats, Floats, int]:
    """Biases whose mean over the raters of each joined group is 0, clips moved along; and the number of groups."""
    of_rater, of_clip = groups(votes)
    n = int(of_rater.max(initial=-1)) + 1
    there = of_rater >= 0
    shift = np.bincount(of_rater[there], bias[there], n) / np.bincount(of_rater[there], minlength=n)
    bias, mos = bias.copy(), mos.copy()
    bias[there] -= shift[of_rater[there]]
    heard = of_clip >= 0
    mos[heard] += shift[of_clip[heard]]
    return mos, bias, n


def groups(votes: Votes) -> tuple[Codes, Codes]:
    """Group of each rater and of each clip: those joined by votes, directly or through others; -1 without votes."""
    rater, clip = np.arange(votes.n_raters), np.full(votes.n_clips, votes.n_raters)
    while True:
        np.minimum.at(clip, votes.clip, rater[votes.rater])
        joined = rater.copy()
        np.minimum.at(joined, votes.rater, clip[votes.clip])
        # a rater's label names a rater of the same group: its own label is as good, and nearer to the smallest
        joined = np.minimum(joined, joined[joined])
        if (joined == rater).all():
            break
        rater = joined
    names, _, _ = distinct(rater[votes.of_rater > 0])
    number = np.full(votes.n_raters + 1, -1)
    number[names] = np.arange(len(names))
    return np.where(votes.of_rater > 0, number[rater], -1), number[clip]


@dataclass(frozen=True)
class Components:
    """Variances of a vote; NaN where the design cannot tell them apart, 0 where chance made one negative."""

    clip: float
    rater: float
    rest: float

    @staticmethod
    def of(votes: Votes, fit: Model) -> "Components":
        """From the additive fit of the same votes.

        >>> votes = Votes.of_matrix([[1, 3, 5], [2, 3, 5], [1, 3, 4]])
        >>> found = Components.of(votes, additive(votes))
        >>> round(found.clip, 3), round(found.rater, 3), round(found.rest, 3)
        (2.722, 0.056, 0.167)
        """
        n, clips, raters = len(votes), np.count_nonzero(votes.of_clip), np.count_nonzero(votes.of_rater)
        free = n - clips - raters + fit.groups
        if free <= 0:
            return Components(math.nan, math.nan, math.nan)
        rest = votes.score - fit.mos[votes.clip] - fit.bias[votes.rater]
        full = dot(rest, rest)
        noise = full / float(free)
        by_clip = dot(votes.off, votes.off)
        own = votes.score - (votes.per_rater(votes.score) / np.maximum(votes.of_rater, 1))[votes.rater]
        by_rater = dot(own, own)
        rater = (by_clip - full - (raters - fit.groups) * noise) / (n - clips)
        clip = (by_rater - full - (clips - fit.groups) * noise) / (n - raters)
        return Components(max(float(clip), 0.0), max(float(rater), 0.0), noise)
