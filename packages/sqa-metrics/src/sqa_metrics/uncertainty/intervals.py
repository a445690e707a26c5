"""Confidence intervals of every figure at both levels, of each corpus, and of the mean over corpora."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from sqa_metrics.figures import FIGURES
from sqa_metrics.interval import UNKNOWN, Interval, Intervals, Macro, recipe_name
from sqa_metrics.report import Report, evaluate, select
from sqa_metrics.rows.records import Paired
from sqa_metrics.uncertainty.ceilings import ceiling
from sqa_metrics.uncertainty.left_out import LeftOut, left_out
from sqa_metrics.uncertainty.recipe import Estimate, bounds, estimate, transformed, undone


def intervals(paired: Paired, *, level: float = 0.95) -> list[Intervals]:
    """Confidence intervals of every figure: one {level: {figure: Interval}} a predictor. `recipe` says how.

    NaN with fewer than 5 systems (or utterances, where there are no systems), and where the figure is undefined or at
    its bound: of predictions without any error nothing tells how large an error could be.

    >>> import io
    >>> from sqa_metrics import pair
    >>> x, y = [1.2, 1.8, 2.4, 2.9, 3.3, 3.8], [1.6, 1.7, 2.6, 2.7, 3.6, 3.5]
    >>> ref, pred = ("\\n".join(f"u{k} {v}" for k, v in enumerate(values)).encode() for values in (x, y))
    >>> (found,) = intervals(pair(io.BytesIO(ref), {"ours": io.BytesIO(pred)}))
    >>> found["utterance"]["lcc"].text()
    '0.821, 0.990'
    """
    found = left_out(paired)
    return [_bounds(found, k, level) for k in range(len(paired.preds))]


def with_uncertainty(
    paired: Paired, *, level: float = 0.95, without: dict[str, LeftOut] | None = None
) -> list[Report]:
    """The report of every predictor, with intervals (of each corpus too, and of their mean) and ceiling.

    without: what `left_out` of this Paired gave, if it was called for tests already.

    >>> import io
    >>> from sqa_metrics import pair
    >>> ref, pred = b"u1 1\\nu2 2\\nu3 4\\nu4 3\\nu5 2", b"u1 1\\nu2 3\\nu3 5\\nu4 3\\nu5 3"
    >>> (found,) = with_uncertainty(pair(io.BytesIO(ref), {"ours": io.BytesIO(pred)}))
    >>> [round(bound, 2) for bound in found.intervals["utterance"]["mse"].as_list()]
    [0.2, 1.81]
    """
    found, top = without or left_out(paired), ceiling(paired, level=level)
    parts = {name: select(paired, code) for code, name in enumerate(paired.corpora)}
    of_parts = {name: left_out(part) for name, part in parts.items() if len(part)} if len(parts) > 1 else {}

    def with_bounds(report: Report, own: dict[str, LeftOut], k: int) -> Report:
        clusters = {name: part.n_clusters for name, part in own.items()}
        return replace(report, intervals=_bounds(own, k, level), clusters=clusters)

    reports = []
    for k in range(len(paired.preds)):
        report = evaluate(paired, k)
        corpora = {name: with_bounds(report.corpora[name], own, k) for name, own in of_parts.items()}
        macro = report.macro and report.macro._replace(
            intervals=_macro_bounds(report.macro, list(of_parts.values()), k, level)
        )
        more: dict[str, Any] = {"ceiling": top, "recipe": recipe_name(level), "macro": macro}
        reports.append(replace(with_bounds(report, found, k), corpora=report.corpora | corpora, **more))
    return reports


def _bounds(found: dict[str, LeftOut], predictor: int, level: float) -> Intervals:
    return {
        name: {metric: Interval(*bounds(metric, part, predictor, level)) for metric in FIGURES}
        for name, part in found.items()
    }


def _macro_bounds(macro: Macro, parts: list[dict[str, LeftOut]], predictor: int, level: float) -> Intervals:
    """Of the plain mean over corpora: its variance is the sum of theirs over the square of their number."""
    return {
        name: {
            metric: _mean_bounds(
                metric, value, [estimate(metric, p[name], predictor) for p in parts if name in p], level
            )
            for metric, value in figures.items()
        }
        for name, figures in macro.figures.items()
    }


def _mean_bounds(metric: str, mean: float, parts: list[Estimate], level: float) -> Interval:
    figure = FIGURES[metric]
    known = [part for part in parts if not math.isnan(part.value)]
    # The mean of errors is one of errors, not of their logarithms: each counts with its size.
    sizes = [undone(figure, part.value) if figure.scale == "log" else 1.0 for part in known]
    parts_ = [(size / sum(sizes)) ** 2 * part.variance for size, part in zip(sizes, known, strict=True)]
    total = sum(parts_)
    value = float(transformed(figure, np.array(mean))) if known else math.nan
    if not math.isfinite(value) or not math.isfinite(total):
        return UNKNOWN
    # Satterthwaite 1946
    least = sum(v * v / max(part.freedom, 1.0) for v, part in zip(parts_, known, strict=True))
    low, high = Estimate(value, total, total * total / least if least else 1.0).bounds(level)
    return Interval(undone(figure, low), undone(figure, high))
