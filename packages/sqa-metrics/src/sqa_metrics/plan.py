"""How many votes, clips or systems a listening test needs: for an interval so wide, or to tell two things apart.

A vote is clip + rater + rest (`ratings.bias`). The MOS of a system over U clips with V votes each then has the
variance clip/U + rater/L + rest/(U V), where L = V raters hear all clips, or L = U V if each vote is another rater's;
of one clip it is (rater + rest)/V. Student's t has the degrees of freedom that `ratings` uses, min(U, L) - 1. Two
systems heard by the same raters differ without their biases. Power is by t(1 - alpha/2) + t(power) (Cohen 1988,
section 2.3), of two predictors by the correlated correlations of Meng, Rosenthal & Rubin 1992. Checked by simulation
(tests/metrics/test_plan.py).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqa_metrics.distributions import normal_quantile, t_quantile, upper_share
from sqa_metrics.errors import MetricsError

if TYPE_CHECKING:
    from sqa_metrics.ratings import Ratings
    from sqa_metrics.ratings.votes import Codes, Floats

MOST_VOTES = 100_000  # a clip; what needs more is out of reach
# a system, of a table of designs; one stands for itself
CLIPS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96)


@dataclass(frozen=True)
class Spread:
    """What a vote's variance is made of, in squared units of the scale."""

    rest: float
    rater: float = 0.0
    clip: float = 0.0  # of the clips of one system around its MOS

    @staticmethod
    def of_sd(sd: float, rater_share: float = 0.0, clip_sd: float = 0.0) -> "Spread":
        """From the standard deviation of a clip's votes, and the share of its variance that is raters' bias."""
        if not (sd > 0 and math.isfinite(sd)):
            raise MetricsError(f"sd is {sd:g}; expected a standard deviation above 0")
        if not 0 <= rater_share < 1:
            raise MetricsError(f"rater_share is {rater_share:g}; expected 0 or more and less than 1")
        if not (clip_sd >= 0 and math.isfinite(clip_sd)):
            raise MetricsError(f"clip_sd is {clip_sd:g}; expected 0 or more")
        return Spread(sd * sd * (1 - rater_share), sd * sd * rater_share, clip_sd * clip_sd)

    @staticmethod
    def of_sos(
        a: float, mos: float | None = None, scale: tuple[float, float] = (1.0, 5.0), **more: float
    ) -> "Spread":
        """From the SOS parameter: variance a (mos - low)(high - mos), at the middle of the scale where it is largest.

        >>> round(Spread.of_sos(0.25).rest, 6), round(Spread.of_sos(0.25, 4.0).rest, 6)
        (1.0, 0.75)
        """
        low, high = scale
        mos = (low + high) / 2 if mos is None else mos
        if not (0 < a <= 1 and low < mos < high):
            raise MetricsError(
                f"a is {a:g} and mos {mos:g}; expected 0 < a <= 1 and a mos inside {low:g}..{high:g}"
            )
        return Spread.of_sd(math.sqrt(a * (mos - low) * (high - mos)), **more)

    @staticmethod
    def of_pilot(ratings: "Ratings") -> "Spread":
        """From the single ratings of a pilot; MetricsError if they cannot tell raters and chance apart."""
        from sqa_metrics.ratings.bias import Components, additive

        votes = ratings.votes
        fit = additive(votes)
        found = Components.of(votes, fit)
        if not found.rest > 0:
            raise MetricsError(
                f"pilot: {len(votes)} votes of {len(ratings.raters)} raters do not tell raters and chance apart; "
                "expected two votes or more a clip that differ, or the deviation itself (--sd)"
            )
        heard = votes.of_clip > 0
        clip = _inside(fit.mos[heard], ratings.system[heard], found.rest / votes.of_clip[heard])
        return Spread(found.rest, found.rater, clip)

    @staticmethod
    def of_means(mos: "Floats", votes: "Floats", std: "Floats", system: "Codes") -> "Spread":
        """From a pilot's MOS with votes and deviations (n - 1), (n,) each; raters' biases are part of the rest.

        `system` is -1 where a clip has none. Rows without a deviation of two votes or more do not count.
        """
        import numpy as np

        known = np.isfinite(mos) & (votes > 1) & np.isfinite(std)
        mos, votes, variance = mos[known], votes[known], std[known] ** 2
        if not variance.sum() > 0:
            raise MetricsError(
                "pilot: no clip has a MOS with two votes or more and their deviation; expected single ratings, or "
                "columns votes and mos_std"
            )
        rest = float(np.sum((votes - 1) * variance) / np.sum(votes - 1))
        return Spread(rest, clip=_inside(mos, system[known], variance / votes))


def votes_for_interval(
    spread: Spread, half_width: float, *, clips: int = 1, level: float = 0.95, fresh_raters: bool = False
) -> int | None:
    """Votes a clip for a MOS within +- `half_width`: of one clip, or of a system over `clips`; None if out of reach.

    >>> votes_for_interval(Spread.of_sd(1.0), 0.2)
    99
    >>> votes_for_interval(Spread.of_sd(1.0, rater_share=0.3, clip_sd=0.3), 0.3, clips=12)
    33
    """
    _require(half_width=half_width, clips=clips, level=level)

    def enough(votes: int) -> bool:
        df = _freedom(clips, votes, fresh_raters)
        variance = _variance(spread, clips, votes, fresh_raters)
        return df > 0 and t_quantile(upper_share(level), df) * math.sqrt(variance) <= half_width

    return _fewest(enough)


def votes_for_difference(
    spread: Spread,
    difference: float,
    *,
    clips: int = 1,
    power: float = 0.8,
    level: float = 0.95,
    fresh_raters: bool = False,
) -> int | None:
    """Votes a clip for two systems `difference` apart to be told apart with `power`; None if out of reach.

    The same raters hear both, so that their biases drop out, unless `fresh_raters`.

    >>> votes_for_difference(Spread.of_sd(1.0), 0.3), votes_for_difference(Spread.of_sd(1.0, rater_share=0.3), 0.3)
    (177, 125)
    """
    _require(difference=difference, clips=clips, level=level, power=power)

    def enough(votes: int) -> bool:
        df = _freedom(clips, votes, fresh_raters) * (2 if fresh_raters else 1)
        own = spread if fresh_raters else Spread(spread.rest, 0.0, spread.clip)
        variance = 2 * _variance(own, clips, votes, fresh_raters)
        if df <= 0:
            return False
        return (t_quantile(upper_share(level), df) + t_quantile(power, df)) * math.sqrt(
            variance
        ) <= difference

    return _fewest(enough)


def systems_for_predictors(
    r1: float, r2: float, between: float, *, power: float = 0.8, level: float = 0.95
) -> int:
    """Systems to tell two predictors apart by their correlations with listeners, `between` that of the predictors.

    >>> systems_for_predictors(0.90, 0.85, 0.85)
    166
    """
    _require(level=level, power=power)
    if not all(-1 < r < 1 for r in (r1, r2, between)) or r1 == r2:
        raise MetricsError(
            f"correlations are {r1:g}, {r2:g} and {between:g}; expected two that differ and that of the predictors "
            "with each other, all between -1 and 1"
        )
    if 1 + 2 * r1 * r2 * between - r1 * r1 - r2 * r2 - between * between < 0:
        raise MetricsError(
            f"no three things correlate by {r1:g}, {r2:g} and {between:g}; predictors that both follow listeners "
            "correlate with each other"
        )
    square = (r1 * r1 + r2 * r2) / 2
    f = min(1.0, (1 - between) / (2 * (1 - square)))
    h = (1 - f * square) / (1 - square)
    reach = (normal_quantile(upper_share(level)) + normal_quantile(power)) / (math.atanh(r1) - math.atanh(r2))
    return math.ceil(3 + 2 * (1 - between) * h * reach**2)


def _inside(mos: "Floats", system: "Codes", noise: "Floats") -> float:
    """Variance of the clips of a system around its MOS, less the `noise` (variance) of each MOS; at least 0."""
    import numpy as np

    from sqa_metrics.ratings.votes import counted, divide, dot

    # clips without a system count as of one
    n = int(system.max(initial=-1)) + 2
    owner = np.where(system < 0, n - 1, system)
    size = counted(owner, n)
    off = mos - divide(counted(owner, n, mos), size)[owner]
    free = len(mos) - int(np.count_nonzero(size))
    return max(dot(off, off) / free - float(noise.mean()), 0.0) if free > 0 else 0.0


def _variance(spread: Spread, clips: int, votes: int, fresh: bool) -> float:
    # of one clip the MOS itself is wanted, not that of a system: how clips differ is no error then
    own = spread.clip / clips if clips > 1 else 0.0
    return own + spread.rater / _raters(clips, votes, fresh) + spread.rest / (clips * votes)


def _raters(clips: int, votes: int, fresh: bool) -> int:
    return clips * votes if fresh else votes


def _freedom(clips: int, votes: int, fresh: bool) -> int:
    raters = _raters(clips, votes, fresh)
    return (raters if clips == 1 else min(clips, raters)) - 1


def _fewest(enough: Callable[[int], bool]) -> int | None:
    """The smallest number of votes that is enough, as more always are."""
    high = 2
    while not enough(high):
        if high >= MOST_VOTES:
            return None
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return low if low > 1 and enough(low) else high


def _require(**values: float) -> None:
    for name, value in values.items():
        if name in ("level", "power"):
            if not 0 < value < 1:
                raise MetricsError(f"{name} is {value:g}; expected a share between 0 and 1")
        elif not (value > 0 and math.isfinite(value)):
            raise MetricsError(f"{name} is {value:g}; expected a number above 0")
