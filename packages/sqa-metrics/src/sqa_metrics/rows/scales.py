"""Scales of scores: what each side is on, given, declared or found by its values; and what two sides have in common.

Only what cannot be on one scale is told apart. Predictions of a 1..5 model may lie between 0 and 6, and z-scores and
arbitrary units exist; correlations hold on any scale, errors only on one.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from sqa_metrics.errors import MetricsError
from sqa_metrics.rows.records import Scale

KNOWN: tuple[Scale, ...] = ((1.0, 5.0), (0.0, 1.0), (1.0, 7.0), (-3.0, 3.0))
PERCENT: Scale = (0.0, 100.0)
LARGEST_RATING = 10  # above it scores are percentages or in units of their own
SLACK = 0.1  # of a scale's width: how far the middle of scores that are on it may lie outside
OTHER_SCALE = 4  # times larger: then two sides can hardly mean the same scale
# ACR means down to -3 and CCR means up to 5 do not exist; what PESQ gives begins at -0.5
CCR_LOW, CCR_HIGH, ACR_HIGH = -3, 3, 5
LOWEST_RAW = -0.5

Given: TypeAlias = Scale | Mapping[str, Scale] | str


class Span(NamedTuple):
    """What the scores of one side look like."""

    low: float
    high: float
    mean: float

    def text(self) -> str:
        return f"{self.low:g} to {self.high:g}"


def span_of(values: Any) -> Span:
    """The span of scores, a list or an array (n,)."""
    if isinstance(values, list):
        return Span(min(values), max(values), math.fsum(values) / len(values))
    return Span(float(values.min()), float(values.max()), float(values.mean()))


def text_of(scale: Scale) -> str:
    """A scale as it is written: 1..5."""
    return f"{scale[0]:g}..{scale[1]:g}"


def parsed(scale: Given | None) -> dict[str, Scale]:
    """The scales that are given, by role: `(1, 5)` or `"1..5"` for both, `{"ref": (0, 100)}` or `"ref:0..100"` for one.

    >>> parsed("ref:0..100,pred:1..5")
    {'ref': (0.0, 100.0), 'pred': (1.0, 5.0)}
    >>> parsed((1, 5))
    {'ref': (1.0, 5.0), 'pred': (1.0, 5.0)}
    """
    if scale is None:
        return {}
    parts: list[tuple[str, Any]] = []
    if isinstance(scale, str):
        for part in scale.split(","):
            role, colon, bounds = part.strip().rpartition(":")
            parts.append((role if colon else "", bounds.split("..")))
    else:
        parts = list(scale.items()) if isinstance(scale, Mapping) else [("", scale)]
    found: dict[str, Scale] = {}
    for role, bounds in parts:
        if role not in ("", "ref", "pred") or (one := as_scale(bounds)) is None:
            raise MetricsError(
                f"scale is {scale!r}; expected LOW..HIGH such as 1..5, or ref:0..100,pred:1..5 "
                "((1, 5) or {'ref': (0, 100), 'pred': (1, 5)})"
            )
        found |= dict.fromkeys([role] if role else ["ref", "pred"], one)
    return found


def one_scale(scale: Given | None) -> Scale | None:
    """The scale of what has no other side: of single ratings."""
    given = parsed(scale)
    if given and "ref" not in given:
        raise MetricsError(
            f"scale is {scale!r}; expected LOW..HIGH such as 1..5, as there are no predictions"
        )
    return given.get("ref")


def as_scale(bounds: Any) -> Scale | None:
    """Two bounds as a scale; None if they are none."""
    try:
        low, high = map(float, bounds)
    except (TypeError, ValueError):
        return None
    return (low, high) if -math.inf < low < high < math.inf else None


def declared(values: Sequence[Any], places: Iterable[str], metric: str) -> Scale | None:
    """The one scale that rows declare for their metric; a row without one is on 1..5 if that is the MOS.

    MetricsError where it is no scale, or there are two.
    """
    if all(value is None for value in values):
        return None
    first: tuple[Scale, str] | None = None
    for value, place in zip(values, places, strict=True):
        if value is None and metric != "mos":
            continue
        scale = KNOWN[0] if value is None else as_scale(value)
        if scale is None:
            raise MetricsError(
                f"{place}: the scale of {metric} is {value!r}; expected [low, high] such as [1, 5]"
            )
        if first and first[0] != scale:
            raise MetricsError(
                f"{place}: {metric} is on {text_of(scale)}, but on {text_of(first[0])} at {first[1]}: two scales in "
                "one file; judge them apart, or say with --scale LOW..HIGH that it is one"
            )
        first = first or (scale, place)
    return first and first[0]


def found(span: Span) -> Scale | None:
    """The scale that scores are on by their values, None where that is not sure.

    >>> found(Span(1.2, 4.8, 3)), found(Span(2, 93, 50)), found(Span(0.4, 5.6, 3))
    ((1.0, 5.0), (0.0, 100.0), None)
    """
    if span.low == span.high:
        return None
    for low, high in KNOWN:
        if low <= span.low and span.high <= high:
            return low, high
    return PERCENT if span.low >= 0 and LARGEST_RATING < span.high <= PERCENT[1] else None


def mixed(ref: Span, path: str) -> str:
    """A sentence if a reference's MOS cannot be on one scale: ACR and CCR ratings in one file; else nothing."""
    if not (
        CCR_LOW <= ref.low < LOWEST_RAW and CCR_HIGH < ref.high <= ACR_HIGH and ref.mean > -LOWEST_RAW / 2
    ):
        return ""
    return (
        f"{path}: holds {ref.text()}, which are on no one scale: ACR (1..5) and CCR (-3..3) ratings in one file? "
        "Judge them apart (pairs with `sqa-metrics pairs`), or say with --scale LOW..HIGH (scale=(low, high)) that it "
        "is one"
    )


def kinds_of(ids: Iterable[str]) -> dict[str, str]:
    """The kinds of ratings that ids name as a word of their own, ACR and CCR, and the first id of each.

    >>> kinds_of(["track1-dev-acr_0", "track1-dev-ccr_7", "u1"])
    {'ACR': 'track1-dev-acr_0', 'CCR': 'track1-dev-ccr_7'}
    """
    found: dict[str, str] = {}
    for name in ids:
        if "cr" in name.lower():
            for kind in re.findall(r"(?<![a-z])([ac]cr)(?![a-z])", name.lower()):
                found.setdefault(kind.upper(), name)
    return found


def apart(ref: Span, pred: Span, ref_scale: Scale | None, pred_scale: Scale | None) -> bool:
    """Whether two sides cannot be on one scale, by what is known of each (None: by its values)."""
    if ref_scale and pred_scale and ref_scale != pred_scale:
        return True
    if pred.low == pred.high:
        return False
    largest = [max(-side.low, side.high) for side in (ref, pred)]
    small, large = min(largest), max(largest)
    if large > LARGEST_RATING and 0 < OTHER_SCALE * small <= large:
        return True
    known = (ref_scale or found(ref), pred), (pred_scale or found(pred), ref)
    return any(scale is not None and _outside(scale, other.mean) for scale, other in known)


def _outside(scale: Scale, mean: float) -> bool:
    slack = SLACK * (scale[1] - scale[0])
    return not scale[0] - slack <= mean <= scale[1] + slack


def mapped(values: Any, source: Scale, target: Scale) -> Any:
    """Scores (n,) on one scale as scores on another, linearly."""
    factor = (target[1] - target[0]) / (source[1] - source[0])
    if isinstance(values, list):
        return [target[0] + (value - source[0]) * factor for value in values]
    return target[0] + (values - source[0]) * factor


def settle(
    ref: Any, preds: dict[str, Any], given: Mapping[str, Scale], stated: Mapping[str, Scale | None]
) -> tuple[dict[str, Any], list[str], list[str]]:
    """Predictions on the reference's scale as far as that is known: these, the names of those apart, and notes.

    `given` are the scales that the user named, by role; `stated` those that the tables declare, "" for the reference.
    """
    result, others, notes = {}, [], []
    ref_span, ref_scale = span_of(ref), given.get("ref") or stated.get("")
    both = "ref" in given and "pred" in given
    for name, values in preds.items():
        span, scale = span_of(values), given.get("pred") or stated.get(name)
        result[name] = values
        if both:
            if given["ref"] != given["pred"]:
                result[name] = mapped(values, given["pred"], given["ref"])
                notes.append(
                    f"{name}: mapped from {text_of(given['pred'])} to the reference's {text_of(given['ref'])}"
                )
        elif apart(ref_span, span, ref_scale, scale):
            others.append(name)
            mine = f"is on {text_of(ref_scale)}" if ref_scale else f"holds {ref_span.text()}"
            theirs = f"is on {text_of(scale)}" if scale else span.text()
            notes.append(
                f"other scales? the reference {mine}, {name} {theirs}; its errors are left out, the correlations "
                "hold. --scale 1..5 says that both are on one, --scale ref:0..100,pred:1..5 maps one to the other"
            )
    return result, others, notes
