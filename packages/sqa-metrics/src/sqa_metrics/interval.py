"""An interval, and the mean over corpora: what a report holds beside its figures. How intervals come: `uncertainty`."""

import math
from typing import Any, NamedTuple, TypeAlias

from sqa_metrics.tables import figure


class Interval(NamedTuple):
    """A confidence interval [low, high]; NaN where the data cannot tell one."""

    low: float
    high: float

    def text(self) -> str:
        return f"{figure(self.low)}, {figure(self.high)}"

    def as_list(self) -> list[float | None]:
        return [None if math.isnan(v) else v for v in (self.low, self.high)]


UNKNOWN = Interval(math.nan, math.nan)


def recipe_name(level: float, noun: str = "systems") -> str:
    """How intervals and tests are made, in a signature: leaving one system (clip, pair) out, and the confidence."""
    return f"lo{noun[0]}o-{100 * level:g}"


Intervals: TypeAlias = dict[str, dict[str, Interval]]  # level -> figure -> interval


class Macro(NamedTuple):
    """The mean over corpora, each counted alike; of correlations that of atanh, carried back."""

    figures: dict[str, dict[str, float]]  # level -> figure -> value
    corpora: dict[str, int]  # level -> corpora that have it
    intervals: Intervals | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain JSON types."""
        result: dict[str, Any] = {level: plain(figures) for level, figures in self.figures.items()}
        result["n_corpora"] = self.corpora
        return result | plain_intervals(self.intervals)


def plain(values: dict[str, Any]) -> dict[str, Any]:
    """What JSON can hold of named figures, and of dicts and lists of them: None for NaN, all the way down."""
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return plain(value)
    if isinstance(value, list | tuple):
        return list(map(_plain, value))
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    return value


def plain_intervals(intervals: Intervals | None) -> dict[str, Any]:
    """`intervals` as an entry of a report in JSON; nothing without any."""
    if not intervals:
        return {}
    return {
        "intervals": {
            level: {metric: interval.as_list() for metric, interval in by_metric.items()}
            for level, by_metric in intervals.items()
        }
    }


def figure_cells(figures: dict[str, float], intervals: Intervals | None, level: str) -> list[str]:
    """A figure a cell, with its interval if it has one."""
    known = (intervals or {}).get(level, {})
    return [figure(value) + (f" [{known[m].text()}]" if m in known else "") for m, value in figures.items()]
