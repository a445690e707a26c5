"""The challenge's ranking of several predictors, and how certain each place is.

URGENT 2026 Track 2: dense rank ("1223") of the predictors for each of the eight figures; mean rank inside each
category (Error: the two MSE; Linear: the two LCC; Rank: the two SRCC and the two KTAU); mean of the three categories,
lower is better. Where listeners compared pairs of clips too (CCR), pairs and pairs of systems are two more levels
beside utterances and systems: every figure weighs alike inside its category, and accuracy is one of Rank. That rule is
ours: VoiceMOS 2026 publishes none.

Which places are possible follows from tests of every two predictors in every figure, corrected for their number: the
ranks that they leave open (Mogstad, Romano, Shaikh & Wilhelm 2024; Klein, Wright & Wieczorek 2020), carried through the
score. The places of resamples would miss the first place that equal predictors share in a third of all tests, and a
share of resamples is no probability of being first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from sqa_metrics.errors import MetricsError
from sqa_metrics.interval import plain
from sqa_metrics.pairs.compare import measure_pairs, pair_figures
from sqa_metrics.pairs.join import PairedPairs
from sqa_metrics.report import Report, evaluate
from sqa_metrics.rows.pair import as_paired
from sqa_metrics.rows.records import Paired, Source
from sqa_metrics.tables import Style, percent, render
from sqa_metrics.uncertainty.differences import Difference, differences, measure
from sqa_metrics.uncertainty.left_out import left_out

Key: TypeAlias = tuple[str, str]  # level and figure
DIGITS = 9  # figures closer than this differ by rounding alone: p and p + 0.4 have the same LCC


@dataclass(frozen=True)
class Place:
    """One predictor in the ranking. `place` 1 is best; equal scores share a place ("1224")."""

    name: str
    place: int
    score: float  # mean of the three category ranks
    categories: dict[str, float]
    ranks: dict[str, int]  # "utterance_mse" -> dense rank
    # the places that the tests leave open: all of them hold at the level asked for
    place_interval: tuple[int, int]
    report: Report
    pairs: dict[str, dict[str, float]] = field(default_factory=dict)  # level of pairs -> figure -> value
    n_pairs: int = 0

    def as_dict(self) -> dict[str, Any]:
        report = self.report.as_dict()
        return {
            "name": self.name,
            "place": self.place,
            "place_interval": list(self.place_interval),
            "score": self.score,
            "categories": self.categories,
            "ranks": self.ranks,
            "figures": {level: report[level] for level in ("utterance", "system")} | plain(self.pairs),
        }


def rank(
    paired: Paired | Source,
    preds: Mapping[str, Source] | None = None,
    *,
    pairs: Sequence[PairedPairs] = (),
    level: float = 0.95,
    **reading: Any,
) -> list[Place]:
    """Rank the predictors of `paired`, best first, with the places that the data leave open to each.

    Takes a `Paired`, or a reference, predictions by name and what else `pair` takes. `pairs` has each of the predictors
    by its name, joined with the same pairs of clips (`join_pairs`), whose figures then count too.

    Raises MetricsError for fewer than two predictors, predictions on another scale than the reference, and pairs that
    are of other predictors or differ between them.

    >>> import io
    >>> from sqa_metrics import pair
    >>> preds = {"good": io.BytesIO(b"u1 1\\nu2 2\\nu3 4"), "bad": io.BytesIO(b"u1 4\\nu2 2\\nu3 1")}
    >>> places = rank(pair(io.BytesIO(b"u1 1\\nu2 2.5\\nu3 4"), preds))
    >>> [(p.place, p.name, p.score, p.place_interval) for p in places]
    [(1, 'good', 1.0, (1, 2)), (2, 'bad', 2.0, (1, 2))]
    """
    paired = as_paired(paired, preds, reading)
    if len(paired.preds) < 2:
        raise MetricsError(f"{len(paired.preds)} predictor given; expected at least two to rank")
    if paired.apart:
        raise MetricsError(
            f"{', '.join(paired.apart)}: on another scale than the reference, and the ranking needs errors; say with "
            "--scale LOW..HIGH that both are on one, or map with --scale ref:0..100,pred:1..5 (scale=...)"
        )
    compared = _in_order(pairs, paired.names)
    reports = _reports(paired, compared)
    of_pairs = measure_pairs(compared) if compared else {}
    measured = measure(paired, left_out(paired)) | of_pairs
    tests = differences(paired.names, measured, level)
    observed = {
        (lvl, m): dense_rank(at.found.whole[m], figure.better == "higher")
        for lvl, at in measured.items()
        for m, figure in at.figures.items()
    }
    categories, score = _challenge(observed)
    places = _places(score)
    low, high = _open_places(tests, paired.names, level)
    result = [
        Place(
            name=name,
            place=int(places[k]),
            score=float(score[k]),
            categories={c: float(v[k]) for c, v in categories.items()},
            ranks={f"{lvl}_{m}": int(v[k]) for (lvl, m), v in observed.items()},
            place_interval=(int(low[k]), int(high[k])),
            report=reports[k],
            pairs={lvl: {m: float(at.found.whole[m][k]) for m in at.figures} for lvl, at in of_pairs.items()},
            n_pairs=len(compared[k]) if compared else 0,
        )
        for k, name in enumerate(paired.names)
    ]
    return sorted(result, key=lambda p: (p.place, p.name))


def _in_order(pairs: Sequence[PairedPairs], names: list[str]) -> list[PairedPairs]:
    """The predictors of pairs in the order of `names`; MetricsError if they are others."""
    by_name = {one.name: one for one in pairs}
    if pairs and sorted(one.name for one in pairs) != sorted(names):
        raise MetricsError(
            f"pairs are of {', '.join(one.name for one in pairs)}; expected each of {', '.join(names)} once"
        )
    return [by_name[name] for name in names] if pairs else []


def _reports(paired: Paired, pairs: list[PairedPairs]) -> list[Report]:
    """The report of each predictor on clips, with what reading its pairs has told and their part of the signature."""
    reports = [evaluate(paired, k) for k in range(len(paired.preds))]
    for k, one in enumerate(pairs):
        signed, remarks = f"{len(one)}-{one.fingerprint}", (*reports[k].remarks, *one.notes)
        reports[k] = replace(reports[k], pairs=signed, remarks=remarks)
    return reports


def table(places: list[Place], level: float = 0.95, style: Style = "text", width: int | None = None) -> str:
    """The ranking as a table, best first; `width` as for `tables.render`."""
    header = [
        "predictor",
        "n",
        *(["pairs"] if places[0].n_pairs else []),
        "place",
        f"{percent(level)} places",
        "score",
        *_categories(),
    ]
    rows = [
        [
            p.name,
            str(p.report.n_utterances),
            *([str(p.n_pairs)] if p.n_pairs else []),
            str(p.place),
            f"{p.place_interval[0]}-{p.place_interval[1]}",
            f"{p.score:.3f}",
            *(f"{v:.2f}" for v in p.categories.values()),
        ]
        for p in places
    ]
    return render(header, rows, style, width)


def dense_rank(values: np.ndarray, higher_is_better: bool = False) -> np.ndarray:
    """Dense ranks ("1223") along the last axis, 1 is best; NaN ranks last; equal up to rounding is equal.

    >>> dense_rank(np.array([0.2, 0.9, 0.9, np.nan]), higher_is_better=True).tolist()
    [2, 1, 1, 3]
    """
    values = np.round(values, DIGITS)
    cost = np.where(np.isnan(values), np.inf, -values if higher_is_better else values)
    order = np.argsort(cost, axis=-1)
    ordered = np.take_along_axis(cost, order, axis=-1)
    step = np.ones(ordered.shape, dtype=np.int64)
    step[..., 1:] = ordered[..., 1:] != ordered[..., :-1]
    ranks = np.empty_like(step)
    np.put_along_axis(ranks, order, np.cumsum(step, axis=-1), axis=-1)
    return ranks


def _challenge(ranks: dict[Key, np.ndarray]) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Category means and score, each (m,), from (level, figure) -> ranks (m,)."""
    categories = {
        name: np.mean([r for (_, metric), r in ranks.items() if metric in metrics], axis=0)
        for name, metrics in _categories().items()
    }
    return categories, np.mean(list(categories.values()), axis=0)


def _open_places(
    differences: list[Difference], names: list[str], level: float
) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last place that the tests leave open to each predictor, (m,) each.

    A place is lost where another's score is certainly lower: its rank is lower by at least one in each figure in which
    it is better, and in the others by what their ranks leave open. A dense rank is at least one more than the longest
    chain of predictors above, each better than the next, since equals share a rank, and at most m less all that are
    worse.
    """
    m, number = len(names), {name: k for k, name in enumerate(names)}
    figures = pair_figures()
    better = {(d.level, d.metric): np.zeros((m, m), bool) for d in differences}
    for d in differences:
        if d.p_holm < 1 - level:
            first_wins = (d.difference > 0) == (figures[d.metric].better == "higher")
            a, b = number[d.a], number[d.b]
            better[d.level, d.metric][(a, b) if first_wins else (b, a)] = True
    lead = {}  # the least by which the column's rank is above the row's
    for figure, above in better.items():
        open_lead = _chains(above) - (m - above.sum(axis=1))[:, None]
        lead[figure] = np.maximum(open_lead, np.where(above, 1, open_lead))
    ahead = _challenge(lead)[1].round(DIGITS) > 0
    np.fill_diagonal(ahead, False)
    return 1 + ahead.sum(axis=0), m - ahead.sum(axis=1)


def _chains(better: np.ndarray) -> np.ndarray:
    """For each predictor one more than the length of the longest chain above it; better (m, m): row than column."""
    length = np.ones(len(better), int)
    for _ in better:
        length = 1 + np.max(np.where(better, length[:, None], 0), axis=0)
    return length


def _categories() -> dict[str, list[str]]:
    """The figures of each category of the challenge, in the order of the table."""
    categories: dict[str, list[str]] = {}
    for name, figure_ in pair_figures().items():
        categories.setdefault(figure_.category, []).append(name)
    return categories


def _places(score: np.ndarray) -> np.ndarray:
    """Competition places ("1224") from scores (m,), lower is better; equal up to rounding is equal."""
    score = np.round(score, DIGITS)
    places: np.ndarray = 1 + (score[:, None] > score).sum(axis=1)
    return places
