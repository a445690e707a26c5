"""What changes when raters are left out: MOS and places."""

from dataclasses import dataclass

import numpy as np

from sqa_metrics.ratings.means import Means
from sqa_metrics.ratings.votes import Codes, Flags, Floats, Votes


@dataclass(frozen=True, eq=False)
class LeftOut:
    """The test without some raters, beside the whole."""

    votes: Votes
    clips: Means
    systems: Means
    most_clips: float  # largest change of a clip's MOS
    most_systems: float  # largest change of a system's MOS; NaN without systems
    unheard: int  # clips that lose all their votes
    moved: list[int]  # systems whose place changes

    @staticmethod
    def of(
        votes: Votes, raters: Flags, clips: Means, systems: Means, system: Codes, level: float
    ) -> "LeftOut":
        """`raters` (n_raters,) is true for those left out."""
        rest = votes.keep(~raters[votes.rater])
        fewer = Means.of_clips(rest, level)
        fewer_systems = Means.of_systems(rest, system, len(systems.mos), level)
        return LeftOut(
            rest,
            fewer,
            fewer_systems,
            most_clips=_most(clips.mos, fewer.mos),
            most_systems=_most(systems.mos, fewer_systems.mos),
            unheard=int(np.count_nonzero((votes.of_clip > 0) & (rest.of_clip == 0))),
            moved=np.flatnonzero(places(systems.mos) != places(fewer_systems.mos)).tolist(),
        )


def places(mos: Floats) -> Codes:
    """Place of each MOS, the highest first; equal ones share theirs, and NaN comes last.

    >>> places(np.array([3.0, 4.0, 3.0, 1.0])).tolist()
    [2, 1, 2, 4]
    """
    # sums of votes in another order differ in their last digits, which is no difference
    known = np.sort(np.round(-np.where(np.isnan(mos), -np.inf, mos), 9))
    return 1 + np.searchsorted(known, np.round(-np.where(np.isnan(mos), -np.inf, mos), 9))


def _most(before: Floats, after: Floats) -> float:
    change = np.abs(after - before)
    change = change[~np.isnan(change)]
    return float(change.max()) if change.size else float("nan")
