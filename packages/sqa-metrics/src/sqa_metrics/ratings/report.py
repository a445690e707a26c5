"""A listening test judged: `listening_test` computes everything, `ListeningTest` holds it."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from sqa_metrics.errors import MetricsError
from sqa_metrics.ratings.agreement import Retest, alpha, icc, sos
from sqa_metrics.ratings.bias import FLOOR, MOST_STEPS, Components, Model, additive, annex_e
from sqa_metrics.ratings.means import LeftOut, Means
from sqa_metrics.ratings.screening import Screening
from sqa_metrics.ratings.votes import Ratings, divide, median
from sqa_metrics.report import where
from sqa_metrics.rows.records import Paired
from sqa_metrics.uncertainty.ceilings import Ceiling, Listeners, ceiling

Estimate = Literal["mean", "unbiased", "weighted"]

# The model of Annex E has no maximum of its likelihood; below these it takes one rater's votes for the scale.
WEIGHTED_VOTES, WEIGHTED_CLIPS = 10, 20


@dataclass(frozen=True, eq=False)
class ListeningTest:
    """The figures of a listening test; NaN, None or a note where one is not to be had."""

    ratings: Ratings
    level: float  # confidence of the intervals
    clips: Means
    systems: Means
    alpha: dict[str, float]  # by metric: interval, ordinal
    icc: dict[str, float]
    sos: float
    retest: Retest
    screening: Screening
    unbiased: Model
    weighted: Model | None
    weighted_absent: str  # why there is none
    components: Components
    ceiling: dict[str, Ceiling]  # by level: utterance, system
    left_out: LeftOut | None  # without the flagged raters; None if none is flagged, or all are

    def notes(self) -> list[str]:
        """What a reader must know beside the figures, a sentence each."""
        ratings, votes = self.ratings, self.ratings.votes
        notes = list(ratings.notes)
        heard = int(np.count_nonzero(votes.of_clip))
        if len(ratings.raters) == 1:
            notes.append("one rater: agreement, screening and ceiling need two or more")
        elif single := int(np.count_nonzero(votes.of_clip == 1)):
            notes.append(f"{single} of {heard} clips have one vote: no interval, no agreement")
        if np.ptp(votes.score) == 0:
            notes.append("all votes are the same: agreement and correlations are undefined")
        if self.unbiased.groups > 1:
            notes.append(
                f"raters fall into {self.unbiased.groups} groups that share no clip: biases compare only inside a "
                "group, and MOS of different groups only if their raters are alike"
            )
        if math.isnan(self.components.rest) and len(ratings.raters) > 1:
            what = "the ceiling takes raters to err independently" if self.ceiling else "no ceiling"
            notes.append(f"too few votes to tell clips, raters and chance apart: {what}")
        for name, model in (("unbiased", self.unbiased), ("weighted", self.weighted)):
            if model is not None and not model.converged:
                notes.append(f"{name} MOS had not settled after {MOST_STEPS} steps")
        if self.weighted is not None and self.weighted.floored:
            n = self.weighted.floored
            notes.append(
                f"the inconsistency of {n} rater{'s' * (n != 1)} is held at its floor: the model would take such votes "
                "for the scale; weighted MOS depend on the floor"
            )
        if self.screening.unseen and len(ratings.raters) > 1:
            notes.append(
                "BT.500 can never flag who differs alone from votes that agree, among 21 votes or fewer, as "
                f"{self.screening.unseen} of {heard} clips have, nor who errs to one side"
            )
        if self.left_out is None and self.screening.flagged.any():
            notes.append("all raters are flagged; the test without them is none")
        return notes

    def rows(self, estimate: Estimate = "mean", *, without_flagged: bool = False) -> Iterator[dict[str, Any]]:
        """A row a clip as `score` reads it: `sample_id`, `system_id`, `corpus`, `metrics`, `votes`, `mos_std`.

        Clips without a vote give none. `unbiased` and `weighted` are of all raters. MetricsError if all raters are
        flagged and wanted out, and where there are no weighted MOS.
        """
        if without_flagged and self.left_out is None and self.screening.flagged.any():
            raise MetricsError("all raters are flagged; without them there is no MOS")
        means = self.left_out.clips if without_flagged and self.left_out else self.clips
        mos, std = means.mos, means.std
        if estimate != "mean":
            model = self.unbiased if estimate == "unbiased" else self.weighted
            if model is None:
                raise MetricsError(f"no weighted MOS: {self.weighted_absent}")
            mos, std = model.mos, model.std
        columns = (self.ratings.clips, self.ratings.system, mos, std, means.votes)
        for (corpus, sample), system, value, spread, n in zip(*(list(c) for c in columns), strict=True):
            if not n:
                continue
            row: dict[str, Any] = {"sample_id": sample}
            if system >= 0:
                row["system_id"] = self.ratings.systems[system][1]
            if corpus:
                row["corpus"] = corpus
            row |= {"metrics": {"mos": float(value)}, "votes": int(n)}
            if not math.isnan(spread):
                row["mos_std"] = float(spread)
            yield row


def listening_test(
    ratings: Ratings, *, level: float = 0.95, floor: float = FLOOR, weighted: bool | None = None
) -> ListeningTest:
    """Judge a listening test: MOS, agreement, raters, biases, ceiling.

    `weighted` computes the MOS of ITU-T P.910 Annex E always (True), never (False), or where there are votes enough
    for it; `floor` is the least inconsistency of a rater that it believes, on a scale four wide.

    >>> from sqa_metrics.ratings import ratings_of
    >>> sample, rater = ["u1", "u1", "u2", "u2"], ["a", "b", "a", "b"]
    >>> test = listening_test(ratings_of(sample, rater, [1, 2, 4, 5]))
    >>> test.clips.mos.tolist(), test.unbiased.bias.tolist(), round(test.alpha["interval"], 3)
    ([1.5, 4.5], [-0.5, 0.5], 0.85)
    """
    votes, system, n_systems = ratings.votes, ratings.system, len(ratings.systems)
    clips = Means.of_clips(votes, level)
    systems = Means.of_systems(votes, system, n_systems, level)
    screening = Screening.of(votes, system, n_systems)
    unbiased = additive(votes)
    components = Components.of(votes, unbiased)
    flagged = screening.flagged
    left_out = None
    if flagged.any() and not flagged[votes.of_rater > 0].all():
        left_out = LeftOut.of(votes, flagged, clips, systems, system, level)
    absent = "" if weighted else _no_weights(ratings) if weighted is None else "not asked for"
    width = (ratings.scale[1] - ratings.scale[0]) / 4
    return ListeningTest(
        ratings=ratings,
        level=level,
        clips=clips,
        systems=systems,
        alpha={"interval": alpha(votes), "ordinal": alpha(votes, "ordinal")},
        icc=icc(votes),
        sos=sos(clips.mos, votes.variance, ratings.scale),
        retest=Retest.of(ratings.again, ratings.again_variance),
        screening=screening,
        unbiased=unbiased,
        weighted=None if absent else annex_e(votes, floor * width),
        weighted_absent=absent,
        components=components,
        ceiling=_ceiling(ratings, components, level),
        left_out=left_out,
    )


def _ceiling(ratings: Ratings, parts: Components, level: float) -> dict[str, Ceiling]:
    """What the noise of these votes allows; empty where no clip has two."""
    votes = ratings.votes
    heard = votes.of_clip > 0
    corpora = sorted({corpus for corpus, _ in ratings.clips})
    number = {name: k for k, name in enumerate(corpora)}
    paired = Paired(
        names=[],
        ref=votes.mos,
        preds=[],
        system=ratings.system,
        systems=ratings.systems,
        corpus=np.array([number[corpus] for corpus, _ in ratings.clips]),
        corpora=corpora,
        coverage=[],
        ref_utterances=[],
        ref_systems=[],
        noise=divide(votes.variance, votes.of_clip),
        votes=votes.of_clip,
    )
    there = replace(votes, clip=(np.cumsum(heard) - 1)[votes.clip], n_clips=int(heard.sum()))
    paired = where(paired, [True], heard.astype(int) - 1)
    listeners = None if math.isnan(parts.rater) else Listeners(there, parts.rater)
    return ceiling(paired, level=level, listeners=listeners) or {}


def _no_weights(ratings: Ratings) -> str:
    """Why Annex E's model is not to be trusted here; "" if it is."""
    votes = ratings.votes
    per_clip = median(votes.of_clip[votes.of_clip > 0])
    per_rater = median(votes.of_rater[votes.of_rater > 0])
    if per_clip >= WEIGHTED_VOTES and per_rater >= WEIGHTED_CLIPS:
        return ""
    return (
        f"{per_clip:g} votes a clip and {per_rater:g} clips a rater; weights need about {WEIGHTED_VOTES} and "
        f"{WEIGHTED_CLIPS}"
    )
