"""The challenge's ranking of several predictors, and how certain each place is.

URGENT 2026 Track 2: dense rank ("1223") of the predictors for each of the eight figures; mean rank inside each
category (Error: the two MSE; Linear: the two LCC; Rank: the two SRCC and the two KTAU); mean of the three categories,
lower is better. The bootstrap of `uncertainty` repeats the ranking on every resample of systems and utterances.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sqa_metrics.errors import MetricsError
from sqa_metrics.figures import FIGURES
from sqa_metrics.report import Report, evaluate
from sqa_metrics.rows.records import Paired
from sqa_metrics.tables import Style, figure, render
from sqa_metrics.uncertainty import replicates

DIGITS = 9  # figures closer than this differ by rounding alone: p and p + 0.4 have the same LCC


@dataclass(frozen=True)
class Place:
    """One predictor in the ranking. `place` 1 is best; equal scores share a place ("1224")."""

    name: str
    place: int
    score: float  # mean of the three category ranks
    categories: dict[str, float]
    ranks: dict[str, int]  # "utterance_mse" -> dense rank
    place_interval: tuple[int, int]  # of the place over the bootstrap, at the level asked for
    p_first: float  # share of the resamples in which it comes first (ties included); NaN: too few systems to resample
    report: Report

    def as_dict(self) -> dict[str, Any]:
        report = self.report.as_dict()
        return {
            "name": self.name,
            "place": self.place,
            "place_interval": list(self.place_interval),
            "p_first": None if math.isnan(self.p_first) else self.p_first,
            "score": self.score,
            "categories": self.categories,
            "ranks": self.ranks,
            "figures": {level: report[level] for level in ("utterance", "system")},
        }


def rank(paired: Paired, *, n_resamples: int = 1000, seed: int = 0, level: float = 0.95) -> list[Place]:
    """Rank the predictors of `paired`, best first, with intervals of their places.

    >>> import io
    >>> from sqa_metrics import pair
    >>> preds = {"good": io.BytesIO(b"u1 1\\nu2 2\\nu3 4"), "bad": io.BytesIO(b"u1 4\\nu2 2\\nu3 1")}
    >>> places = rank(pair(io.BytesIO(b"u1 1\\nu2 2.5\\nu3 4"), preds), n_resamples=50)
    >>> [(p.place, p.name, p.score) for p in places]
    [(1, 'good', 1.0), (2, 'bad', 2.0)]
    """
    if len(paired.preds) < 2:
        raise MetricsError(f"{len(paired.preds)} predictor given; expected at least two to rank")
    reports = [evaluate(paired, k) for k in range(len(paired.preds))]
    draws = replicates(paired, n_resamples, seed)
    observed = {lvl: _values(reports, lvl)[None] for lvl in draws}
    ranks, categories, score = _challenge(observed)
    places = _places(score)[0]
    if any(np.isnan(samples).all() for samples in draws.values()):  # too few clusters: any place is possible
        low, high = np.ones(len(reports), int), np.full(len(reports), len(reports))
        first = np.full(len(reports), np.nan)
    else:
        drawn = _places(_challenge(draws)[2])  # (n_resamples, n_predictors)
        tails = ((1 - level) / 2, (1 + level) / 2)
        low, high = np.quantile(drawn, tails, axis=0, method="inverted_cdf").astype(int)
        first = np.mean(drawn == 1, axis=0)
    result = [
        Place(
            name=name,
            place=int(places[k]),
            score=float(score[0, k]),
            categories={c: float(v[0, k]) for c, v in categories.items()},
            ranks={figure: int(v[0, k]) for figure, v in ranks.items()},
            place_interval=(int(low[k]), int(high[k])),
            p_first=float(first[k]),
            report=reports[k],
        )
        for k, name in enumerate(paired.names)
    ]
    return sorted(result, key=lambda p: (p.place, p.name))


def table(places: list[Place], level: float = 0.95, style: Style = "text", width: int | None = None) -> str:
    """The ranking as a table, best first; `width` as for `tables.render`."""
    header = ["predictor", "n", "place", f"{100 * level:g} % places", "P(first)", "score", *_categories()]
    rows = [
        [
            p.name,
            str(p.report.n_utterances),
            str(p.place),
            f"{p.place_interval[0]}-{p.place_interval[1]}",
            figure(p.p_first, 2),
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


def _challenge(
    figures: dict[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
    """Ranks, category means and score, each (r, n_predictors), from level -> (r, n_predictors, figures)."""
    ranks = {
        f"{lvl}_{metric}": dense_rank(values[..., j], FIGURES[metric].better == "higher")
        for lvl, values in figures.items()
        for j, metric in enumerate(FIGURES)
    }
    categories = {
        name: np.mean([ranks[f"{lvl}_{m}"] for lvl in figures for m in metrics], axis=0)
        for name, metrics in _categories().items()
    }
    return ranks, categories, np.mean(list(categories.values()), axis=0)


def _categories() -> dict[str, list[str]]:
    """The figures of each category of the challenge, in the order of the table."""
    categories: dict[str, list[str]] = {}
    for name, figure_ in FIGURES.items():
        categories.setdefault(figure_.category, []).append(name)
    return categories


def _places(score: np.ndarray) -> np.ndarray:
    """Competition places ("1224") from scores (r, n_predictors), lower is better; equal up to rounding is equal."""
    score = np.round(score, DIGITS)
    places: np.ndarray = 1 + (score[:, :, None] > score[:, None, :]).sum(axis=2)
    return places


def _values(reports: list[Report], level: str) -> np.ndarray:
    return np.array([[r.level(level)[m] for m in FIGURES] for r in reports])
