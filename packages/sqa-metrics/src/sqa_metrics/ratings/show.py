"""A judged listening test for people and programs: a summary that fits a screen, tables of details, JSON."""

import math
from typing import Any, Literal

import numpy as np

from sqa_metrics.interval import plain
from sqa_metrics.ratings.report import ListeningTest
from sqa_metrics.ratings.votes import Floats, over_systems
from sqa_metrics.tables import Style, figure, render

Items = Literal["systems", "clips", "raters"]

FEW = 12  # systems or raters that a summary lists one by one
# What tables call the columns of JSON; counts have no digits.
HEADS = {
    "mos": "MOS",
    "std": "sd",
    "half_width": "±",
    "half_width_votes": "± votes",
    "mos_without_flagged": "without",
    "r_others": "r others",
    "r_mos": "r MOS",
    "r_systems": "r systems",
    "bt500_above": "P",
    "bt500_below": "Q",
    "p913_rejects": "P.913",
}
COUNTS = ("clips", "votes", "bt500_above", "bt500_below")


def summary(test: ListeningTest, style: Style = "text") -> str:
    """What the test is, how far its raters agree, who stands out: a row each."""
    r, votes = test.ratings, test.ratings.votes
    alpha, icc, parts, again = test.alpha, test.icc, test.components, test.retest
    kind = "1" if math.isnan(icc["A,1"]) else "A"
    remark = "" if votes.complete else " (raters differ between clips)"
    systems = f" of {_count(len(r.systems), 'system')}" if r.systems else ", without systems"
    rows = [
        (
            "votes",
            f"{len(votes)} by {_count(len(r.raters), 'rater')} of {_count(len(r.clips), 'clip')}{systems}",
        ),
        (
            "a clip, a rater",
            f"{_range(votes.of_clip, 'vote')} a clip, {_range(votes.of_rater, 'clip')} a rater",
        ),
        ("scale", f"{r.scale[0]:g} to {r.scale[1]:g}; SOS a {figure(test.sos)}"),
        ("alpha", f"{figure(alpha['interval'])} interval, {figure(alpha['ordinal'])} ordinal (Krippendorff)"),
        (f"ICC({kind},1), ICC({kind},k)", f"{figure(icc[kind + ',1'])}, {figure(icc[kind + ',k'])}{remark}"),
        (
            "variance of a vote",
            f"clip {figure(parts.clip)}, rater {figure(parts.rater)}, rest {figure(parts.rest)}",
        ),
    ]
    if again.n:
        figures = f"{again.same:.0%} the same, sd {figure(again.std)}, shift {figure(again.shift, sign=True)}"
        rows.append(("scored again", f"{_count(again.n, 'clip')}: {figures}"))
    rows += [(f"ceiling, {level}", top.best()) for level, top in test.ceiling.items()]
    rows.append(("stand out", _flagged(test)))
    if (out := test.left_out) is not None:
        change = f"MOS of clips change by up to {figure(out.most_clips)}"
        if not math.isnan(out.most_systems):
            change += (
                f", of systems by {figure(out.most_systems)}; {_count(len(out.moved), 'system')} change place"
            )
        if out.unheard:
            change += f"; {_count(out.unheard, 'clip')} lose all votes"
        rows.append(("without these", change))
    if style != "text":
        return render(["listening test", "value"], rows, style)
    wide = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{wide}}  {value}" for name, value in rows)


def table(test: ListeningTest, items: Items, style: Style = "text", width: int | None = None) -> str:
    """A row an item: systems from the best on, clips and raters in the order of the file."""
    names, columns = _columns(test, items)
    order = range(len(names))
    if items == "systems":
        order = np.argsort(-np.nan_to_num(columns["mos"], nan=-np.inf), kind="stable").tolist()
    rows = [
        ["/".join(filter(None, names[k])), *(_cell(key, column[k]) for key, column in columns.items())]
        for k in order
    ]
    return render([items[:-1], *(HEADS.get(key, key) for key in columns)], rows, style, width)


def as_dict(test: ListeningTest, *, clips: bool = True) -> dict[str, Any]:
    """All figures, for programs; null where one is undefined. `clips` adds the list of clips."""
    r, votes, out = test.ratings, test.ratings.votes, test.left_out
    found: dict[str, Any] = {
        "n_votes": len(votes),
        "n_raters": len(r.raters),
        "n_clips": len(r.clips),
        "n_systems": len(r.systems),
        "scale": list(r.scale),
        "level": test.level,
        "alpha": test.alpha,
        "icc": test.icc,
        "sos": test.sos,
        "variance": vars(test.components),
        "retest": vars(test.retest),
        "ceiling": {level: top.as_dict() for level, top in test.ceiling.items()},
        "groups": test.unbiased.groups,
        "weighted_absent": test.weighted_absent or None,
        "flagged": [r.raters[k] for k in np.flatnonzero(test.screening.flagged)],
        "without_flagged": out
        and {
            "largest_change_of_a_clip": out.most_clips,
            "largest_change_of_a_system": out.most_systems,
            "clips_without_votes": out.unheard,
            "systems_that_change_place": ["/".join(filter(None, r.systems[k])) for k in out.moved],
        },
        "notes": test.notes(),
    }
    keys: dict[Items, tuple[str, ...]] = {
        "systems": ("corpus", "system_id"),
        "raters": ("rater",),
        "clips": ("corpus", "sample_id"),
    }
    for items, named in keys.items():
        if items != "clips" or clips:
            names, columns = _columns(test, items)
            values: list[dict[str, Any]] = [dict(zip(named, name, strict=True)) for name in names]
            for key, column in columns.items():
                for item, value in zip(
                    values, column if isinstance(column, list) else column.tolist(), strict=True
                ):
                    item[key] = int(value) if key in COUNTS else value
            found[items] = values
    return plain(found)


def _columns(test: ListeningTest, items: Items) -> tuple[list[tuple[str, ...]], dict[str, Any]]:
    """Names of the systems, clips or raters, and what there is to say of each, by its name in JSON."""
    r, s, out, weighted = test.ratings, test.screening, test.left_out, test.weighted
    if items == "raters":
        columns: dict[str, Any] = {
            "clips": s.votes,
            "mean": s.mean,
            "std": s.std,
            "bias": test.unbiased.bias,
            "r_others": s.others,
            "r_mos": s.clips,
            "r_systems": s.systems,
            "bt500_above": s.above,
            "bt500_below": s.below,
            "p913_rejects": s.p913,
        }
        columns |= {"inconsistency": weighted.inconsistency} if weighted else {}
        return [(name,) for name in r.raters], columns | {
            "flags": [s.reasons(k) for k in range(len(r.raters))]
        }
    means, fewer = (
        (test.systems, out and out.systems) if items == "systems" else (test.clips, out and out.clips)
    )
    columns = {"votes": means.votes, "mos": means.mos, "std": means.std}
    if items == "systems":
        columns = {"clips": means.clips} | columns | {"half_width": means.half_clustered}
        columns |= {
            "half_width_votes": means.half,
            "unbiased": over_systems(test.unbiased.mos, r.system, len(r.systems)),
        }
    else:
        columns |= {"half_width": means.half, "unbiased": test.unbiased.mos}
        columns |= {"weighted": weighted.mos} if weighted else {}
    columns |= {"mos_without_flagged": fewer.mos} if fewer else {}
    return (list(r.systems) if items == "systems" else list(r.clips)), columns


def _cell(key: str, value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value) or "-"
    if isinstance(value, np.bool_):
        return "rejects" if value else "-"
    return f"{value:.0f}" if key in COUNTS else figure(float(value), sign=key == "bias")


def _flagged(test: ListeningTest) -> str:
    raters, flagged = test.ratings.raters, np.flatnonzero(test.screening.flagged).tolist()
    if not flagged:
        return f"none of {_count(len(raters), 'rater')}"
    told = [f"{raters[k]} ({', '.join(test.screening.reasons(k))})" for k in flagged[:FEW]]
    more = f" and {len(flagged) - FEW} more" if len(flagged) > FEW else ""
    return f"{len(flagged)} of {len(raters)}: {', '.join(told)}{more}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"


def _range(counts: Floats, noun: str) -> str:
    low, high = int(counts[counts > 0].min()), int(counts.max())
    return _count(low, noun) if low == high else f"{low} to {_count(high, noun)}"
