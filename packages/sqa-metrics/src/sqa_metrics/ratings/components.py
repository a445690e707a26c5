"""How much of a vote is the clip, the rater, the rest; and what that leaves for any predictor to reach.

vote = clip + rater + rest, fitted by least squares; the variances follow from the sums of squares that each factor
adds to the other (Henderson's method 3; Searle, Casella & McCulloch 1992, section 5.5), so designs may be incomplete.
Raters are shared between clips: their part of a system's error does not average out over its clips, and what all
systems share of it shifts them together, which no correlation sees.
"""

import math
from dataclasses import dataclass

import numpy as np

from sqa_metrics.ratings.bias import Model
from sqa_metrics.ratings.votes import Codes, Floats, Votes, counted, dot, summed


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
        clip = (by_rater - full - (clips - fit.groups) * noise) / (n - raters) if n > raters else math.nan
        return Components(max(float(clip), 0.0), max(float(rater), 0.0), noise)


@dataclass(frozen=True)
class Ceiling:
    """Best MSE and LCC of a predictor that knows every true mean; NaN where noise leaves nothing to agree with."""

    mse: float
    lcc: float

    def as_dict(self) -> dict[str, float | None]:
        return {"mse_floor": _or_none(self.mse), "max_lcc": _or_none(self.lcc)}


def ceilings(votes: Votes, parts: Components, system: Codes, n_systems: int) -> dict[str, Ceiling]:
    """Ceiling over clips, and over systems where there are three or more; empty if the parts are unknown."""
    if math.isnan(parts.rest):
        return {}
    heard = votes.of_clip > 0
    share = 1 / votes.of_clip[votes.clip]
    result = {"utterance": _ceiling(votes.mos[heard], votes.clip, votes, share, parts)}
    inside = votes.keep(system[votes.clip] >= 0)
    owner = system[inside.clip]
    clips = np.bincount(system[heard & (system >= 0)], minlength=n_systems)
    if n_systems >= 3 and (clips > 0).all():
        mos = np.bincount(system[heard & (system >= 0)], votes.mos[heard & (system >= 0)], n_systems) / clips
        share = 1 / (votes.of_clip[inside.clip] * clips[owner])
        result["system"] = _ceiling(mos, owner, inside, share, parts)
    return result


def _ceiling(mos: Floats, item: Codes, votes: Votes, share: Floats, parts: Components) -> Ceiling:
    """Of items whose means weigh each vote by `share`; the noise that all items have in common is no noise to LCC."""
    items = len(mos)
    pairs, together = summed(item * votes.n_raters + votes.rater, share, items * votes.n_raters)
    error = parts.rest * dot(share, share) + parts.rater * dot(together, together)
    common = counted(pairs % votes.n_raters, votes.n_raters, together)
    shared = parts.rest * dot(share, share) + parts.rater * dot(common, common)
    noise = (error - shared / items) / (items - 1) if items > 1 else math.nan
    variance = float(mos.var(ddof=1)) if items > 1 else 0.0
    reliability = 1 - noise / variance if variance > 0 else -1.0
    return Ceiling(error / items, math.sqrt(reliability) if reliability >= 0 else math.nan)


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value
