"""Tests between predictors: does one agree better with the listeners than the other, beyond what systems vary?

Both are measured without the same system at a time (`left_out`), so what they share drops out of the difference: that
of the MSE itself, and of correlations on their scale (`recipe`), over its jackknife error, with Student's t.
Where an order is perfect, leaving out shows no error, and the predictors' systems are swapped instead.
"""

import math
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np

from sqa_metrics.distributions import t_quantile, t_two_sided, upper_share
from sqa_metrics.errors import MetricsError
from sqa_metrics.figures import ERRORS, FIGURES, Figure
from sqa_metrics.interval import UNKNOWN, Interval, plain, recipe_name
from sqa_metrics.report import MIN_CLUSTERS, MIN_SYSTEMS, Report, evaluate, where
from sqa_metrics.rows.pair import as_paired
from sqa_metrics.rows.records import Paired, Source
from sqa_metrics.tables import Style, figure, p_value, percent, render
from sqa_metrics.uncertainty.left_out import Clusters, LeftOut, left_out, levels, of_clusters
from sqa_metrics.uncertainty.recipe import transformed, variance

SAME = 1e-9  # figures closer than this differ by rounding alone: p and p + 0.4 have the same LCC
SWAPS = 4096  # ways to swap systems that are tried; fewer where there are so many items in all
SWAPPED_ITEMS = 20_000_000
FEWEST_SWAPS = 256


@dataclass(frozen=True)
class Difference:
    """Figure of predictor `a` minus that of `b`. `p_holm` is corrected over the family; NaN outside of it."""

    a: str
    b: str
    level: str
    metric: str
    difference: float
    interval: Interval  # NaN where the test is one of swaps
    p: float
    p_holm: float
    family: str = ""  # what `p_holm` is corrected over

    def as_dict(self) -> dict[str, Any]:
        names = ("a", "b", "level", "metric", "difference", "p", "p_holm")
        found: dict[str, Any] = plain({name: getattr(self, name) for name in names})
        return found | {"interval": self.interval.as_list()}


@dataclass(frozen=True)
class Measured:
    """One level of the predictors that are compared: what to leave out, and what to swap."""

    found: LeftOut
    # one a predictor, all with the same clusters; none where what is left out cannot be swapped
    scores: list[Clusters]
    figures: Mapping[str, Figure] = field(default_factory=lambda: FIGURES)

    def test(self, metric: str, a: int, b: int, level: float) -> tuple[float, float, Interval]:
        """Difference, two-sided p-value and interval of a figure between two predictors."""
        figure, found, upper = self.figures[metric], self.found, upper_share(level)
        whole = found.whole[metric]
        difference = float(whole[a] - whole[b])
        if found.n_clusters < MIN_CLUSTERS or math.isnan(difference):
            return difference, math.nan, UNKNOWN
        if figure.scale == "log":  # between two MSE the logarithm is too bold
            figure = figure._replace(scale="raw")
        ends = transformed(figure, whole[[a, b]], found.items[-1])
        pair = transformed(figure, found.without[metric][:, [a, b]], found.items[:-1, None])
        with np.errstate(invalid="ignore"):  # infinite where the figure is at its bound
            shift = float(ends[0] - ends[1])
            error = math.sqrt(variance(pair[:, 0] - pair[:, 1], found.stratum))
        if abs(difference) < SAME and not error > SAME:
            return difference, 1.0, Interval(0.0, 0.0)
        if error <= SAME or (figure.scale == "atanh" and (abs(whole[[a, b]]) == 1).any()):
            p = swap_test(self.scores[a], self.scores[b], figure) if self.scores else 1.0
            return difference, p, UNKNOWN
        if not math.isfinite(error):
            return difference, math.nan, UNKNOWN
        freedom = max(found.freedom, 1.0)
        half = t_quantile(upper, freedom) * error
        low, high = (_back(figure, ends, shift + sign * half) for sign in (-1, 1))
        return difference, t_two_sided(shift / error, freedom), Interval(low, high)


def _back(figure: Figure, ends: np.ndarray, shift: float) -> float:
    """A difference on the figure's scale as one of figures, about the same middle: 0 stays 0."""
    if figure.scale == "raw":
        return shift
    middle = float(ends.mean())
    return math.tanh(middle + shift / 2) - math.tanh(middle - shift / 2)


def compare(
    paired: Paired | Source,
    preds: Mapping[str, Source] | None = None,
    *,
    level: float = 0.95,
    baseline: str | None = None,
    figure: str | None = None,
    without: dict[str, LeftOut] | None = None,
    **reading: Any,
) -> list[Difference]:
    """Difference of every figure for every two predictors on the same items, with interval and two-sided p-value.

    Takes a `Paired`, or a reference, predictions by name and what else `pair` takes.

    With `baseline`, the name of a predictor, only the comparisons with it. Holm (1979) corrects p over the family: all
    of these differences, or those of one primary `figure`, "srcc" (of the system level where there is one) or
    "utterance_srcc". Of an order that is perfect the test swaps the systems' predictions, and there is no interval.
    No p with fewer than 5 systems (or utterances, where there are no systems). `without` is what `left_out` of this
    Paired gave, if it was called for intervals already.

    >>> import io
    >>> from sqa_metrics import pair
    >>> ref, near, off = ([k % 7 * step for k in range(40)] for step in (0.5, 0.4, 0.3))
    >>> files = ("\\n".join(f"u{k} {v}" for k, v in enumerate(column)).encode() for column in (ref, near, off))
    >>> ref, near, off = map(io.BytesIO, files)
    >>> first = compare(pair(ref, {"near": near, "off": off}))[0]
    >>> first.a, first.b, first.level, first.metric, first.difference < 0, first.p < 0.05
    ('near', 'off', 'utterance', 'mse', True, True)
    """
    paired = as_paired(paired, preds, reading)
    measured = measure(paired, without or left_out(paired))
    return differences(paired.names, measured, level, baseline, figure, paired.apart)


def measure(paired: Paired, without: dict[str, LeftOut]) -> dict[str, Measured]:
    """What the tests of every two predictors of `paired` need, at each level."""
    return {
        name: Measured(without[name], [scores.only(k) for k in range(len(scores.preds))])
        for name, scores in levels(paired).items()
    }


def compare_unpaired(
    parts: list[Paired], *, level: float = 0.95, baseline: str | None = None, figure: str | None = None
) -> tuple[list[Report], list[Difference]]:
    """`compare` for predictors that scored different utterances of the same systems, one Paired each.

    Every predictor is measured on its own utterances of the systems that all of them have; the same system is left out
    of each. Less sharp than `compare`: only the systems are paired.

    >>> import io
    >>> from sqa_metrics import pair
    >>> def table(first):
    ...     rows = [f"u{k},s{k % 5},{k % 7}" for k in range(first, 40, 2)]
    ...     return "\\n".join(["sample_id,system_id,mos", *rows]).encode()
    >>> parts = [pair(io.BytesIO(table(k)), {f"p{k}": io.BytesIO(table(k))}) for k in (0, 1)]
    >>> reports, found = compare_unpaired(parts)
    >>> len(found), {d.difference for d in found}
    (8, {0.0})
    """
    parts = _on_common_systems(parts)
    measured = {}
    of_each = [levels(part) for part in parts]
    for name in of_each[0]:
        scores = [each[name] for each in of_each]
        measured[name] = Measured(_side_by_side([of_clusters(s, name == "system") for s in scores]), scores)
    names = [part.names[0] for part in parts]
    apart = [name for part in parts for name in part.apart]
    reports = [replace(evaluate(part), recipe=recipe_name(level)) for part in parts]
    return reports, differences(names, measured, level, baseline, figure, apart)


def differences(
    names: list[str],
    measured: dict[str, Measured],
    level: float,
    baseline: str | None = None,
    primary: str | None = None,
    apart: Collection[str] = (),
) -> list[Difference]:
    """All differences that are asked for, level by level and figure by figure, corrected over their family.

    Predictors in `apart` are on another scale than the reference: there are no differences of their errors.
    """
    if len(names) < 2:
        raise MetricsError(f"{len(names)} predictor given; expected at least two to compare")
    if baseline is not None and baseline not in names:
        raise MetricsError(f"no predictor is called {baseline!r}; expected one of {', '.join(names)}")
    primary_of = _primary(primary, list(measured))
    pairs = [(a, b) for a, b in combinations(range(len(names)), 2) if baseline in (None, names[a], names[b])]
    result = []
    for name, scores in measured.items():
        for metric in scores.figures:
            for a, b in pairs:
                if metric in ERRORS and not {names[a], names[b]}.isdisjoint(apart):
                    continue
                difference, p, interval = scores.test(metric, a, b, level)
                result.append(Difference(names[a], names[b], name, metric, difference, interval, p, math.nan))
    family = [k for k, d in enumerate(result) if primary_of in (None, (d.level, d.metric))]
    if not family:
        raise MetricsError(f"{', '.join(apart)}: on another scale than the reference: no errors to compare")
    what = f"{len(pairs)} comparison{'s' * (len(pairs) != 1)}"
    what += f" with {baseline}" if baseline is not None else ""
    if primary_of is None:
        figures = len({(d.level, d.metric) for d in result})
        what += f" × {figures} figures"
        if len(result) < len(pairs) * figures:
            what += f", {len(result)} in all, of errors those on the reference's scale"
    else:
        what += f" in {primary_of[1].upper()} at the {primary_of[0]} level"
    for k, p in zip(family, holm([result[k].p for k in family]), strict=True):
        result[k] = replace(result[k], p_holm=p, family=what)
    return result


def notes(differences: list[Difference]) -> list[str]:
    """What a reader of the table must know."""
    swapped = any(math.isnan(d.interval.low) and not math.isnan(d.p) for d in differences)
    return [f"p (Holm) is corrected over {family(differences)}"] + swapped * [
        "no interval of a difference where one order is perfect: p is of swapping the systems' predictions"
    ]


def family(differences: list[Difference]) -> str:
    """What `p_holm` of these differences is corrected over, in words."""
    return next(d.family for d in differences if d.family)


def _primary(figure: str | None, found: list[str]) -> tuple[str, str] | None:
    """Level and name of the primary figure."""
    if figure is None:
        return None
    name, _, metric = figure.lower().rpartition("_")
    name = name or ("system" if "system" in found else "utterance")
    if metric not in FIGURES or name not in ("utterance", "system"):
        known = ", ".join(FIGURES)
        raise MetricsError(
            f"no figure is called {figure!r}; expected one of {known}, utterance_mse and so on"
        )
    if name not in found:
        raise MetricsError(f"{figure}: there is no system level; expected a figure of the utterance level")
    return name, metric


def table(
    differences: list[Difference], level: float, style: Style = "text", width: int | None = None
) -> str:
    """The differences as a table, one row each; `width` as for `tables.render`."""
    header = ["difference", "level", "metric", "value", f"{percent(level)} interval", "p", "p (Holm)"]
    rows = [
        [
            *(f"{d.a} - {d.b}", d.level, d.metric.upper(), figure(d.difference, sign=True)),
            *(f"[{d.interval.text()}]", p_value(d.p), p_value(d.p_holm)),
        ]
        for d in differences
    ]
    return render(header, rows, style, width)


def holm(p_values: list[float]) -> list[float]:
    """Holm's step-down adjustment of a family of p-values (Holm 1979); NaN stays NaN and does not count.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted((p, k) for k, p in enumerate(p_values) if p == p)
    adjusted, worst = list(p_values), 0.0
    for rank, (p, k) in enumerate(order):
        worst = max(worst, min(1.0, (len(order) - rank) * p))
        adjusted[k] = worst
    return adjusted


def swap_test(a: Clusters, b: Clusters, figure: Figure) -> float:
    """Two-sided p-value of two predictors whose systems are swapped: exact if neither is better in any system.

    All ways to swap, or so many of them by chance (with a fixed seed) that the work stays small. Correlations are of
    predictions in standard units, since one predictor's units are not the other's; the test is then approximate.
    """
    n, most = len(a.sizes), min(SWAPS, max(FEWEST_SWAPS, SWAPPED_ITEMS // a.ref.size))
    sides = []
    for side in (a, b):
        pred = side.preds[0]
        if figure.scale == "atanh" and np.ptp(pred) > 0:
            pred = (pred - pred.mean()) / pred.std()
        sides.append((side.ref, pred, np.repeat(np.arange(side.sizes.size), side.sizes)))
    ref, pred, cluster = (np.concatenate([x[k] for x in sides]) for k in range(3))
    of_b = np.repeat([False, True], [a.ref.size, b.ref.size])

    def difference(swapped: np.ndarray) -> float:
        to_b = of_b ^ swapped[cluster]
        values = [figure.function(ref[side], pred[side]) for side in (~to_b, to_b)]
        return abs(values[0] - values[1])

    if 2 ** (n - 1) <= most:  # a way and its mirror image differ in the sign alone
        ways = (np.arange(2 ** (n - 1))[:, None] >> np.arange(n)) & 1 == 1
    else:
        ways = np.random.default_rng(0).random((most, n)) < 0.5
        ways[0] = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a way in which a predictor is constant counts against a difference
        observed, *others = map(difference, ways)
    return (1 + sum(not other < observed - SAME for other in others)) / len(ways)


def _side_by_side(parts: list[LeftOut]) -> LeftOut:
    """The predictors of several parts with the same clusters; items and degrees of freedom are the fewest."""
    first = parts[0]
    return replace(
        first,
        whole={m: np.concatenate([p.whole[m] for p in parts]) for m in first.whole},
        without={m: np.concatenate([p.without[m] for p in parts], axis=1) for m in first.without},
        items=np.min([p.items for p in parts], axis=0),
        freedom=min(p.freedom for p in parts),
    )


def _on_common_systems(parts: list[Paired]) -> list[Paired]:
    """Each part on the systems that all parts have, numbered alike, without utterances of no system."""
    common = set.intersection(*(set(part.systems) for part in parts))
    if len(common) < MIN_SYSTEMS:
        names = ", ".join(part.names[0] for part in parts)
        raise MetricsError(f"{names} have {len(common)} systems in common; expected at least {MIN_SYSTEMS}")
    return [where(part, [name in common for name in part.systems], part.system) for part in parts]
