"""How far votes of one clip spread: the SOS parameter, and what a rater's second score says about the first.

SOS hypothesis (Hossfeld, Schatz & Egger 2011, "SOS: The MOS is not enough!"): on a scale from l to h the variance of
a clip's votes is a (m - l)(h - m), m being its MOS; a = 0 if all agree, 1 if they use the two ends alone.
"""

import math
from dataclasses import dataclass

import numpy as np

from sqa_metrics.ratings.votes import Floats, dot


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
