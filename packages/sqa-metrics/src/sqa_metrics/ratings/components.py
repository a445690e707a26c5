"""How much of a vote is the clip, the rater, the rest.

vote = clip + rater + rest, fitted by least squares; the variances follow from the sums of squares that each factor
adds to the other (Henderson's method 3; Searle, Casella & McCulloch 1992, section 5.5), so designs may be incomplete.
Raters are shared between clips, so their part of a system's error does not average out over its clips
(`uncertainty.ceilings`).
"""

import math
from dataclasses import dataclass

import numpy as np

from sqa_metrics.ratings.bias import Model
from sqa_metrics.ratings.votes import Votes, dot


@dataclass(frozen=True)
class Components:
    """Variances of a vote; NaN where the design cannot tell them apart, 0 where chance made one negative."""

    clip: float
    rater: float
    rest: float

    @staticmethod
    def of(votes: Votes, fit: Model) -> "Components":
        """From the additive fit of the same votes.

        >>> from sqa_metrics.ratings.bias import additive
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
