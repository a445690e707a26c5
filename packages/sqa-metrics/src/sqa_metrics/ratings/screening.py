"""Raters that answer unlike the others: constant, deviating, or rejected by the screening of a recommendation.

- constant: the same score for every clip, of five or more.
- deviating: the correlation with the mean of the others' votes of the same clips lies, in Fisher's z, more than three
  deviations below the median rater's: those of the raters (1.4826 MAD), or the 1 / sqrt(n - 3) of n clips if that is
  larger.
- BT.500: ITU-R BT.500 Annex 1, the kurtosis rule, with the sample deviation (n - 1), once and not iterated.
- P.913: ITU-T P.913 Annex A, Pearson with the MOS below .75 over clips and, where there are systems, below .8 over
  them. Made for laboratories; single votes of a crowd seldom reach it, so it is told but flags nobody.

What BT.500 cannot see: a rater who errs to one side only, and a lone deviant from votes that agree, among 21 or fewer.
One of n lies (n - 1) / sqrt(n) sample deviations off then; up to 5 votes the rule asks for 2, from 6 on (the kurtosis
is above 4) for sqrt(20), which 22 votes reach first.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sqa_metrics.ratings.votes import ROUNDING, Codes, Flags, Floats, Votes, counted, divide, median, summed

CONSTANT_FROM = 5  # clips
CORRELATION_FROM = 5  # clips from which a correlation says something
DEVIATIONS = 3.0
LONE_SEEN_FROM = 22  # votes of a clip
P913_CLIPS, P913_SYSTEMS = 0.75, 0.8


@dataclass(frozen=True, eq=False)
class Screening:
    """What stands out in each rater, (n_raters,) each; NaN where there is too little to compute."""

    votes: Floats
    mean: Floats
    std: Floats
    others: Floats  # correlation with the mean of the others, over clips
    clips: Floats  # correlation with the MOS, over clips (P.913)
    systems: Floats  # correlation with the systems' MOS, over systems (P.913)
    above: Floats  # BT.500's P
    below: Floats  # BT.500's Q
    unseen: int  # clips of so few votes that BT.500 sees no lone deviant

    @staticmethod
    def of(votes: Votes, system: Codes | None = None, n_systems: int = 0) -> "Screening":
        """Screen every rater; `system` (n_clips,) is -1 where a clip has none.

        >>> rows = ["3434", "3545", "2235", "1335", "1233", "3334", "3442", "2444", "3225", "5151"]
        >>> found = Screening.of(Votes.of_matrix([[int(vote) for vote in row] for row in rows]))
        >>> np.flatnonzero(found.bt500).tolist(), found.unseen
        ([9], 4)
        """
        mean = divide(votes.per_rater(votes.score), votes.of_rater)
        around = votes.per_rater((votes.score - mean[votes.rater]) ** 2)
        several = votes.of_clip[votes.clip] > 1
        shared = votes.keep(several)
        size = votes.of_clip[shared.clip]
        others = (votes.mos[shared.clip] * size - shared.score) / (size - 1)
        above, below = _beyond(votes)
        systems = np.full(votes.n_raters, np.nan)
        if system is not None and n_systems > 0:
            systems = _over_systems(votes, system, n_systems)
        return Screening(
            votes=votes.of_rater,
            mean=mean,
            std=np.sqrt(divide(around, votes.of_rater - 1)),
            others=_correlations(shared.rater, shared.score, others, votes.n_raters),
            clips=_correlations(votes.rater, votes.score, votes.mos[votes.clip], votes.n_raters),
            systems=systems,
            above=above,
            below=below,
            unseen=int(np.count_nonzero((votes.of_clip > 0) & (votes.of_clip < LONE_SEEN_FROM))),
        )

    @cached_property
    def constant(self) -> Flags:
        found: Flags = (self.votes >= CONSTANT_FROM) & (self.std < ROUNDING)
        return found

    @cached_property
    def deviating(self) -> Flags:
        known = ~np.isnan(self.others)
        if np.count_nonzero(known) < 3:
            return np.zeros(len(known), bool)
        # Fisher's z has no value at -1 and 1
        z = np.arctanh(np.clip(self.others, -0.999999, 0.999999))
        middle = median(z[known])
        spread = 1.4826 * median(np.abs(z[known] - middle))
        allowed = np.maximum(spread, 1 / np.sqrt(np.maximum(self.votes - 3, 1)))
        found: Flags = known & (z < middle - DEVIATIONS * allowed)
        return found

    @cached_property
    def bt500(self) -> Flags:
        beyond = self.above + self.below
        share = divide(beyond, self.votes)
        lean = divide(np.abs(self.above - self.below), beyond)
        found: Flags = (share > 0.05) & (lean < 0.3)
        return found

    @cached_property
    def p913(self) -> Flags:
        found: Flags = (self.clips < P913_CLIPS) & (np.isnan(self.systems) | (self.systems < P913_SYSTEMS))
        return found

    @cached_property
    def flagged(self) -> Flags:
        return self.constant | self.deviating | self.bt500

    def reasons(self, rater: int) -> list[str]:
        """Why a rater is flagged, in words that hold no more than the finding."""
        found = {"constant": self.constant, "deviating": self.deviating, "BT.500": self.bt500}
        return [reason for reason, flags in found.items() if flags[rater]]


def _beyond(votes: Votes) -> tuple[Floats, Floats]:
    """How many of each rater's votes lie far above and far below the clip's mean (BT.500's P and Q)."""
    second = divide(votes.per_clip(votes.off**2), votes.of_clip)
    kurtosis = divide(divide(votes.per_clip(votes.off**4), votes.of_clip), second**2)
    factor = np.where((kurtosis >= 2) & (kurtosis <= 4), 2.0, np.sqrt(20))
    # where all votes are the same, none is far off
    limit = np.where(votes.variance > 0, factor * np.sqrt(votes.variance), np.inf)[votes.clip]
    n = votes.n_raters
    far = [votes.rater[side] for side in (votes.off >= limit, votes.off <= -limit)]
    return counted(far[0], n), counted(far[1], n)


def _correlations(rater: Codes, one: Floats, other: Floats, n: int) -> Floats:
    """Pearson of two columns over the rows of each rater; NaN for few rows or where one does not vary."""
    size = counted(rater, n)
    one, other = (v - divide(counted(rater, n, v), size)[rater] for v in (one, other))
    squares = counted(rater, n, one * one) * counted(rater, n, other * other)
    # what rounding leaves of a column that does not vary
    squares = np.where(squares > 1e-20, squares, 0.0)
    found = np.clip(divide(counted(rater, n, one * other), np.sqrt(squares)), -1, 1)
    return np.where(size >= CORRELATION_FROM, found, np.nan)


def _over_systems(votes: Votes, system: Codes, n_systems: int) -> Floats:
    """Correlation of each rater's means of systems with those of all raters."""
    votes = votes.keep(system[votes.clip] >= 0)
    owner = system[votes.clip]
    code, above = votes.rater * n_systems + owner, votes.n_raters * n_systems
    pairs, sums = summed(code, votes.score, above)
    own = sums / summed(code, np.ones(len(votes)), above)[1]
    everyone = divide(counted(owner, n_systems, votes.score), counted(owner, n_systems))
    return _correlations(pairs // n_systems, own, everyone[pairs % n_systems], votes.n_raters)
