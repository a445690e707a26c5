"""How far raters agree, with each other and with themselves: alpha, intraclass correlations, SOS, test and retest.

Alpha is 1 - observed / expected disagreement (Krippendorff 2011, "Computing Krippendorff's alpha-reliability"), over
clips with two votes or more; incomplete designs are no trouble. Its ordinal metric is the squared difference of
mid-ranks, so ordinal alpha is interval alpha of the mid-ranks. The ICC are those of Shrout & Fleiss 1979 and McGraw &
Wong 1996: one-way (1) where raters differ between clips, two-way for agreement (A) or consistency (C) where all rate
all; of one vote (1) and of the mean of k. Negative values stand.

SOS hypothesis (Hossfeld, Schatz & Egger 2011, "SOS: The MOS is not enough!"): on a scale from l to h the variance of
a clip's votes is a (m - l)(h - m), m being its MOS; a = 0 if all agree, 1 if they use the two ends alone.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sqa_metrics.ratings.votes import ROUNDING, Floats, Votes, distinct, dot

ICC = ("1,1", "1,k", "A,1", "A,k", "C,1", "C,k")


def alpha(votes: Votes, metric: Literal["interval", "ordinal"] = "interval") -> float:
    """Krippendorff's alpha; NaN if no clip has two votes or all these votes are the same.

    >>> rows = [[1, 3, 4, 5], [2, 3, 5, 5], [1, 2, 3, 4]]
    >>> round(alpha(Votes.of_matrix(rows)), 6), round(alpha(Votes.of_matrix(rows), "ordinal"), 3)
    (0.767606, 0.765)
    """
    votes = votes.keep(votes.of_clip[votes.clip] > 1)
    if not len(votes) or np.ptp(votes.score) < ROUNDING:
        return math.nan
    if metric == "ordinal":
        votes = votes.scored(_mid_ranks(votes.score))
    around = votes.score - votes.score.mean()
    expected = dot(around, around) / (len(votes) - 1)
    heard = votes.of_clip > 1
    observed = dot(votes.of_clip[heard], votes.variance[heard]) / len(votes)
    return 1 - observed / expected


def icc(votes: Votes) -> dict[str, float]:
    """Each of `ICC`; two-way ones are NaN unless every rater rated every clip, all where nothing varies.

    With unequal votes a clip, k is their harmonic mean.

    >>> rows = [[9, 6, 8, 7, 10, 6], [2, 1, 4, 1, 5, 2], [5, 3, 6, 2, 6, 4], [8, 2, 8, 6, 9, 7]]
    >>> {kind: round(value, 6) for kind, value in icc(Votes.of_matrix(rows)).items()}
    {'1,1': 0.165742, '1,k': 0.442797, 'A,1': 0.289764, 'A,k': 0.620051, 'C,1': 0.714841, 'C,k': 0.909316}
    """
    result = dict.fromkeys(ICC, math.nan)
    size = votes.of_clip[votes.of_clip > 0]
    clips, n = len(size), len(votes)
    if clips < 2 or n == clips or np.ptp(votes.score) < ROUNDING:
        return result
    grand = float(votes.score.mean())
    heard = votes.of_clip > 0
    between = dot(size, (votes.mos[heard] - grand) ** 2) / (clips - 1)
    within = dot(votes.off, votes.off) / (n - clips)
    k0 = (n - dot(size, size) / n) / (clips - 1)
    k = clips / float(np.sum(1 / size))
    one = _ratio(between - within, between + (k0 - 1) * within)
    result["1,1"], result["1,k"] = one, _ratio(k * one, 1 + (k - 1) * one)
    raters = int(np.count_nonzero(votes.of_rater))
    if raters > 1 and votes.complete:
        means = votes.per_rater(votes.score)[votes.of_rater > 0] / clips
        of_raters = clips * float(np.sum((means - grand) ** 2)) / (raters - 1)
        rest = (within * (n - clips) - of_raters * (raters - 1)) / ((clips - 1) * (raters - 1))
        # what rounding leaves of raters who differ by a constant
        rest = rest if rest > 1e-12 * (between + within) else 0.0
        bias = (of_raters - rest) / clips
        result["A,1"] = _ratio(between - rest, between + (raters - 1) * rest + raters * bias)
        result["A,k"] = _ratio(between - rest, between + bias)
        result["C,1"] = _ratio(between - rest, between + (raters - 1) * rest)
        result["C,k"] = _ratio(between - rest, between)
    return result


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else math.nan


def _mid_ranks(scores: Floats) -> Floats:
    """Mean rank of each score among all, ties sharing theirs."""
    _, _, which = distinct(scores)
    count = np.bincount(which)
    return (np.cumsum(count) - (count - 1) / 2)[which]


def sos(mos: Floats, variance: Floats, scale: tuple[float, float] = (1.0, 5.0)) -> float:
    """The SOS parameter a by least squares over clips with a variance (n - 1); NaN if all MOS are at the scale's ends.

    >>> round(sos(np.array([1.4, 2.2, 3.1, 3.8, 4.5]), np.array([0.36, 0.81, 1.0, 0.78, 0.42])), 6)
    0.242597
    """
    known = ~np.isnan(variance)
    room = (mos[known] - scale[0]) * (scale[1] - mos[known])
    square = dot(room, room)
    return dot(room, variance[known]) / square if square > 0 else math.nan


@dataclass(frozen=True)
class Retest:
    """What scoring a clip again shows about the raters; NaN where there is nothing to see."""

    n: int  # clips scored again by the same rater
    same: float  # share with the same score
    shift: float  # mean of second minus first
    std: float  # of one rater's score of one clip: the standard error of measurement
    correlation: float  # Pearson, first with second

    @staticmethod
    def of(again: Floats, variance: float) -> "Retest":
        """From first and second scores, (m, 2), and the pooled variance of a rater's scores of one clip.

        >>> found = Retest.of(np.array([[1.0, 2.0], [3.0, 3.0], [5.0, 4.0]]), 1 / 3)
        >>> found.n, round(found.same, 3), found.shift, round(found.correlation, 3)
        (3, 0.333, 0.0, 1.0)
        """
        if not len(again):
            return Retest(0, *[math.nan] * 4)
        first, second = again.T
        varies = len(again) > 2 and np.ptp(first) > 0 and np.ptp(second) > 0
        return Retest(
            n=len(again),
            same=float(np.mean(first == second)),
            shift=float(np.mean(second - first)),
            std=math.sqrt(variance),
            correlation=float(np.corrcoef(first, second)[0, 1]) if varies else math.nan,
        )
