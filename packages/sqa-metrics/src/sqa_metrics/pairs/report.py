"""How well a predictor agrees with listeners who compared two clips: figures of pairs and of pairs of systems.

At the level of system pairs CMOS is the mean over the pairs of two systems. Which of two systems comes first is
nobody's choice, so correlations there are of both orders; those of pairs are of the order that the reference gives.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sqa_metrics import __version__
from sqa_metrics.interval import Intervals, plain, plain_intervals, recipe_name
from sqa_metrics.pairs import measure
from sqa_metrics.pairs.join import PairedPairs
from sqa_metrics.pairs.strengths import Strengths
from sqa_metrics.report import MIN_CLUSTERS, Report
from sqa_metrics.rows.records import Coverage
from sqa_metrics.signature import joined
from sqa_metrics.tables import Style, figure, percent, render

LABELS = {
    "accuracy": "accuracy",
    "accuracy_ties": "accuracy, ties count",
    "accuracy_apart": "accuracy, told apart",
    "auc": "AUC of |difference|",
}
LEVELS = {"pair": "pairs", "system_pair": "system pairs", "intervals": "intervals"}


@dataclass(frozen=True)
class PairReport:
    """Agreement of one predictor with listeners who compared. Figures are NaN where undefined; `absent` says why."""

    name: str
    n_pairs: int
    n_clips: int  # 0: the files do not tell them
    n_systems: int
    n_system_pairs: int
    n_apart: int | None  # pairs that listeners told apart; None: votes are not known
    pair: dict[str, float]
    system_pair: dict[str, float] | None
    absent: dict[str, str]  # level or figure -> why it is null
    intervals: Intervals  # level -> figure -> interval
    clusters: str  # what was left out for the intervals, such as "12 systems"
    level: float
    epsilon: float
    ref_epsilon: float
    coverage: Coverage
    signature: str
    remarks: tuple[str, ...] = ()
    acr: Report | None = None  # of single clips, where both were judged
    strengths: Strengths | None = None

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON types; an undefined figure is None."""
        counts = [f"n_{what}" for what in ("pairs", "clips", "systems", "system_pairs", "apart")]
        names = ("name", "signature", *counts, "epsilon", "ref_epsilon")
        result: dict[str, Any] = plain(
            {name: getattr(self, name) for name in (*names, "pair", "system_pair", "absent")}
        )
        result |= {"coverage": self.coverage._asdict()} | plain_intervals(self.intervals)
        result |= {"level": self.level, "left_out": self.clusters or None}
        if self.acr:
            result["acr"] = self.acr.as_dict()
        if self.strengths:
            result["strengths"] = self.strengths.as_dict()
        return result

    def table(self, style: Style = "text", width: int | None = None) -> str:
        """One row a figure, a block a level; then the tables of single clips and of strengths, if there are any."""
        rows = []
        for level, values in (("pair", self.pair), ("system_pair", self.system_pair or {})):
            n = self.n_pairs if level == "pair" else self.n_system_pairs
            for name, value in values.items():
                found = self.intervals.get(level, {}).get(name)
                interval = f"[{found.text()}]" if found and not math.isnan(found.low) else ""
                rows.append(
                    [f"{LEVELS[level]}, n {n}", LABELS.get(name, name.upper()), figure(value), interval]
                )
        tables = [render(["level", "figure", "value", f"{percent(self.level)} interval"], rows, style, width)]
        tables += [part.table(style, width) for part in (self.acr, self.strengths) if part]
        return "\n\n".join(tables)

    def notes(self) -> list[str]:
        """What the figures leave out, one sentence each."""
        notes = list(self.remarks)
        c = self.coverage
        if not c.complete:
            notes.append(
                f"{self.n_pairs} of {c.n_ref} pairs judged ({c.n_missing} missing, {c.n_extra} extra, "
                f"{c.n_non_finite} non-finite)"
            )
        notes += [
            f"no {LEVELS.get(name, LABELS.get(name, name.upper()))}: {why}"
            for name, why in self.absent.items()
        ]
        if self.n_apart is not None:
            notes.append(
                f"listeners told the clips of {self.n_apart} of {self.n_pairs} pairs apart (p < 0.05)"
            )
        if self.clusters:
            notes.append(f"intervals: leaving out one of {self.clusters} at a time, with all its pairs")
        clips = self.acr.notes() if self.acr else ()
        notes += [f"single clips: {line}" for line in clips if line not in self.remarks]
        return notes + (self.strengths.notes() if self.strengths else [])


def evaluate_pairs(
    paired: PairedPairs, *, epsilon: float = 0.0, ref_epsilon: float = 0.0, level: float = 0.95
) -> PairReport:
    """The figures of a predictor of pairs, with intervals.

    epsilon: predictions of at most so much are ties, for the accuracy in which ties count.
    ref_epsilon: listeners' means of at most so much are ties.

    >>> import io
    >>> from sqa_metrics.pairs.join import join_pairs
    >>> from sqa_metrics.pairs.rows import read_pairs
    >>> ref = read_pairs(io.BytesIO(b"a,b,cmos\\nu1,u2,-1\\nu1,u3,-2\\nu2,u3,0\\n"))
    >>> report = evaluate_pairs(join_pairs(ref, read_pairs(io.BytesIO(b"u1 1.5\\nu2 2.5\\nu3 2.75\\n"))))
    >>> report.pair["accuracy"], report.pair["accuracy_ties"]
    (1.0, 0.6666666666666666)
    """
    of_pairs, told = measure.of_pairs(paired)
    of_systems = measure.of_system_pairs(paired)
    values, intervals = {}, {}
    for name, one in (("pair", of_pairs), ("system_pair", of_systems)):
        if one is not None:
            values[name] = one.values(epsilon, ref_epsilon)
            intervals[name] = measure.intervals(one, values[name], epsilon, ref_epsilon, level)
    if paired.preferences:
        for name, found in values.items():
            found["mse"] = math.nan
            intervals[name].pop("mse", None)
    conditions = {
        "v": __version__,
        "metric": "preference" if paired.preferences else "cmos",
        "level": "pair+sys" if of_systems else "pair",
        "eps": f"{epsilon:g}/{ref_epsilon:g}",
        "cov": f"{len(paired)}/{paired.coverage.n_ref}",
        "sys": str(len(paired.systems)),
        "ci": recipe_name(level, told.rpartition(" ")[2]) if intervals["pair"] else "none",
        "ref": paired.fingerprint,
    }
    return PairReport(
        name=paired.name,
        n_pairs=len(paired),
        n_clips=int(np.count_nonzero(np.bincount(paired.clips[paired.clips >= 0]))),
        n_systems=len(paired.systems),
        n_system_pairs=len(of_systems.ref) if of_systems else 0,
        n_apart=None if of_pairs.apart is None else int(np.nansum(of_pairs.apart)),
        pair=values["pair"],
        system_pair=values.get("system_pair"),
        absent=_absent(paired, values, told if not intervals["pair"] else ""),
        intervals={name: found for name, found in intervals.items() if found},
        clusters=told if intervals["pair"] else "",
        level=level,
        epsilon=epsilon,
        ref_epsilon=ref_epsilon,
        coverage=paired.coverage,
        signature=joined(conditions),
        remarks=paired.notes,
    )


def _absent(paired: PairedPairs, values: dict[str, dict[str, float]], few: str) -> dict[str, str]:
    """Why a level, a figure or the intervals are not there."""
    absent = {}
    if few:
        absent["intervals"] = f"they leave out one of {few} at a time; expected at least {MIN_CLUSTERS}"
    if "system_pair" not in values:
        absent["system_pair"] = (
            "no pair is of two systems"
            if paired.systems
            else "no system is named (system_a, system_b or utt2sys)"
        )
    pair = values["pair"]
    if paired.preferences:
        absent["mse"] = "listeners gave preferences and no numbers from -3 to 3"
    for name in ("lcc", "srcc", "ktau"):
        if math.isnan(pair[name]):
            absent[name] = "constant scores" if len(paired) > 1 else "one pair"
    if math.isnan(pair["accuracy"]):
        absent["accuracy"] = "listeners tied all pairs"
    if "auc" not in pair:
        absent["auc"] = absent["accuracy_apart"] = "it needs votes and their deviation, or a row a listener"
    else:
        if math.isnan(pair["accuracy_apart"]):
            absent["accuracy_apart"] = "listeners told no pair apart"
        if math.isnan(pair["auc"]):
            absent["auc"] = "listeners told all pairs apart, or none"
    return absent
