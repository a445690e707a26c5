"""MOS with Student intervals: of a clip over its votes, of a system over its clips and raters.

A clip: mean +- t(V - 1) s / sqrt(V) (ITU-T P.1401 clause 7.4). A system's MOS is the mean of its clips' MOS, as in
`score`. Its votes share clips and raters, so an interval that counts them as independent, which reports print, is too
narrow: beside it stands one whose variance is clustered by clip and by rater (Cameron, Gelbach & Miller 2011, "Robust
inference with multiway clustering"), with as many degrees of freedom as the smaller of the two has clusters, less
one. What changes when raters are left out is here too: MOS and places.
"""

from dataclasses import dataclass

import numpy as np

from sqa_metrics.distributions import t_quantile, upper_share
from sqa_metrics.ratings.votes import Codes, Flags, Floats, Votes, counted, divide, over_systems, summed


@dataclass(frozen=True, eq=False)
class Means:
    """MOS of k clips or systems; NaN where there are no votes, or too few for a spread."""

    votes: Floats  # (k,)
    mos: Floats
    std: Floats  # of the votes, n - 1
    half: Floats  # half the interval, the votes being independent
    clips: Floats | None = None  # systems only: clips with votes
    half_clustered: Floats | None = None  # systems only: half the interval that knows what the votes share

    @staticmethod
    def of_clips(votes: Votes, level: float = 0.95) -> "Means":
        """MOS of each clip.

        >>> found = Means.of_clips(Votes.of_matrix([[1, 4], [2, 4], [3, 4]]))
        >>> found.mos.tolist(), found.half.round(3).tolist()
        ([2.0, 4.0], [2.484, 0.0])
        """
        std = np.sqrt(votes.variance)
        return Means(votes.of_clip, votes.mos, std, half_width(std, votes.of_clip, level))

    @staticmethod
    def of_systems(votes: Votes, system: Codes, n_systems: int, level: float = 0.95) -> "Means":
        """MOS of each system, `system` (n_clips,) being -1 for a clip without one."""
        votes = votes.keep(system[votes.clip] >= 0)
        owner = system[votes.clip]
        heard = (votes.of_clip > 0) & (system >= 0)
        clips = counted(system[heard], n_systems)
        mos = over_systems(votes.mos, system, n_systems)
        n = counted(owner, n_systems)
        around = votes.score - divide(counted(owner, n_systems, votes.score), n)[owner]
        std = np.sqrt(divide(counted(owner, n_systems, around**2), n - 1))
        # each vote's share in the deviation of its system's mean
        pull = (votes.score - mos[owner]) / (votes.of_clip[votes.clip] * clips[owner])
        both = owner * votes.n_raters + votes.rater
        raters, of_raters = summed(both, pull, n_systems * votes.n_raters)
        by_clip = _clustered(system[heard], votes.per_clip(pull)[heard], n_systems)
        by_rater = _clustered(raters // max(votes.n_raters, 1), of_raters, n_systems)
        by_vote = _clustered(owner, pull, n_systems)
        # of one clip, the interval is over raters alone, and the other way round
        variance = np.fmax(np.fmax(by_clip[0], by_rater[0]), by_clip[0] + by_rater[0] - by_vote[0])
        clusters = np.where(by_clip[1] < 2, by_rater[1], np.where(by_rater[1] < 2, by_clip[1], 0))
        clusters = np.where(clusters == 0, np.minimum(by_clip[1], by_rater[1]), clusters)
        half_clustered = half_width(np.sqrt(variance * clusters), clusters, level)
        return Means(n, mos, std, half_width(std, n, level), clips, half_clustered)


def half_width(std: Floats, n: Floats, level: float = 0.95) -> Floats:
    """Half of Student's interval of means of `n` values with deviation `std`; NaN below two values."""
    sizes = np.flatnonzero(np.bincount(n.astype(np.int64)))
    t = np.full(sizes.max(initial=0) + 1, np.nan)
    t[sizes] = [t_quantile(upper_share(level), k - 1) if k > 1 else np.nan for k in sizes.tolist()]
    half: Floats = t[n.astype(np.int64)] * std / np.sqrt(np.maximum(n, 1))
    return half


def _clustered(owner: Codes, together: Floats, n_systems: int) -> tuple[Floats, Floats]:
    """Variance of each system's mean from the summed pulls of its clusters, and their number."""
    count = counted(owner, n_systems)
    return divide(counted(owner, n_systems, together**2) * count, count - 1), count


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
