"""A map from a model's scores to listeners' MOS, with its interval: applied, and kept in a file.

Neither NumPy nor Numba is imported here, so that `predict` can apply a map without them. A file is held to its rules
before anything of it is used.
"""

import hashlib
import json
import math
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from sqa_metrics.errors import MetricsError
from sqa_metrics.files import write_whole
from sqa_metrics.tables import figure, percent

LARGEST_FILE = 1_000_000  # bytes


class Line(NamedTuple):
    """intercept + slope * score."""

    intercept: float
    slope: float

    def at(self, score: float) -> float:
        return self.intercept + self.slope * score


@dataclass(frozen=True)
class Calibration:
    """A map from a model's scores to listeners' MOS, with its interval."""

    OUTPUTS: ClassVar = ("mos_cal", "mos_low", "mos_high")

    metric: str  # which of a model's scores
    model: str | None  # which model gave them, as its rows say
    line: Line
    lowest: list[Line]  # the interval begins `half_width` below the lowest of these
    highest: list[Line]  # and ends so much above the highest of these
    half_width: float
    coverage: float  # at least this share lies within
    over: Literal["systems", "clips"]  # new ones of these; clips: of the systems that were rated
    scale: tuple[float, float] | None  # what listeners could answer
    n_clips: int
    n_systems: int
    rmse: float  # on systems (clips, where there are none) that were left out
    rmse_unmapped: float

    def apply(self, score: float) -> tuple[float, float, float]:
        """The MOS that a score stands for, and the interval [low, high], all within the listeners' scale.

        >>> lines = [Line(0.5, 1.0)]
        >>> made = Calibration("mos", None, *lines, lines, lines, 0.4, 0.95, "clips", (1.0, 5.0), 30, 0, 0.2, 0.6)
        >>> [round(v, 3) for v in made.apply(4.25)]
        [4.75, 4.35, 5.0]
        """
        low = min(line.at(score) for line in self.lowest) - self.half_width
        high = max(line.at(score) for line in self.highest) + self.half_width
        least, most = self.scale or (-math.inf, math.inf)
        middle, low, high = (min(max(v, least), most) for v in (self.line.at(score), low, high))
        return middle, low, high

    @property
    def name(self) -> str:
        """A short hash of all that it holds, for the rows that it was applied to."""
        return hashlib.sha256(json.dumps(as_dict(self), sort_keys=True).encode()).hexdigest()[:8]

    def outputs(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """What is added to a model's scores of one clip: `mos_cal`, `mos_low`, `mos_high`."""
        return dict(zip(self.OUTPUTS, self.apply(metrics[self.metric]), strict=True))

    def summary(self) -> list[str]:
        """What it is and promises, a line each, for people."""
        kind = "offset" if self.line.slope == 1 else "affine"
        left = "systems" if self.n_systems else "clips"
        what = "clips of new systems" if self.over == "systems" else "new clips of the rated systems"
        width = self.apply_width()
        return [
            f"map       {self.metric} -> {self.line.intercept:+.3f} {self.line.slope:+.3f} * {self.metric} ({kind})",
            f"from      {self.n_clips} clips of {self.n_systems or 'unnamed'} systems"
            + (f", model {self.model}" if self.model else ""),
            f"RMSE      {figure(self.rmse)} on left-out {left}; {figure(self.rmse_unmapped)} without the map",
            f"interval  +-{width:.3f} in the middle: at least {percent(self.coverage)} of {what}",
        ]

    def apply_width(self) -> float:
        """Half the width of the interval in the middle of the scale, before it is cut at the scale's ends."""
        middle = sum(self.scale) / 2 if self.scale else 0.0
        score = (middle - self.line.intercept) / self.line.slope
        low, high = min(x.at(score) for x in self.lowest), max(x.at(score) for x in self.highest)
        return self.half_width + (high - low) / 2

    def notes(self) -> list[str]:
        """What a user has to know, a sentence each."""
        notes = []
        if self.over == "clips":
            needed = fewest(self.coverage)
            notes.append(
                f"{self.n_systems} systems allow no finite {percent(self.coverage)} interval over systems, {needed} do"
                if self.n_systems
                else "no systems are named, so there is no interval over systems"
            )
            notes.append(
                "the interval is at clip level: for new clips of these systems; those of a new one may miss it"
            )
        if self.rmse >= self.rmse_unmapped:
            notes.append(
                "the map does not help where it was not fitted: the model's own scores are as near to these listeners"
            )
        return notes


def fewest(coverage: float) -> int:
    """How many systems (clips) a finite interval of this coverage needs.

    >>> fewest(0.95), fewest(0.9)
    (19, 9)
    """
    return math.ceil(1 / (1 - coverage) - 1 - 1e-9)


# --- the file ----------------------------------------------------------------------------------------------------

VERSION = 1
TOP = {"sqa_calibration", "metric", "model", "scale", "map", "interval", "made_from"}
INTERVAL = {"half_width", "coverage", "over", "lowest", "highest"}
MADE_FROM = {"clips", "systems", "rmse", "rmse_unmapped"}


def as_dict(made: Calibration) -> dict[str, Any]:
    """A calibration as the JSON that `read_calibration` reads."""
    return {
        "sqa_calibration": VERSION,
        "metric": made.metric,
        "model": made.model,
        "scale": list(made.scale) if made.scale else None,
        "map": list(made.line),
        "interval": {
            "half_width": made.half_width,
            "coverage": made.coverage,
            "over": made.over,
            "lowest": [list(line) for line in made.lowest],
            "highest": [list(line) for line in made.highest],
        },
        "made_from": {
            "clips": made.n_clips,
            "systems": made.n_systems,
            "rmse": made.rmse,
            "rmse_unmapped": made.rmse_unmapped,
        },
    }


def write_calibration(made: Calibration, path: str | Path) -> None:
    """Write a calibration whole or not at all; MetricsError where `path` is no place for a file.

    >>> import tempfile
    >>> lines = [Line(0.5, 1.0)]
    >>> made = Calibration("mos", None, *lines, lines, lines, 0.4, 0.95, "clips", (1.0, 5.0), 30, 0, 0.2, 0.6)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_calibration(made, folder + "/cal.json")
    ...     read_calibration(folder + "/cal.json") == made
    True
    """
    write_whole(path, json.dumps(as_dict(made), indent=1, allow_nan=False) + "\n")


def read_calibration(path: str | Path) -> Calibration:
    """Read what `write_calibration` wrote. Raises MetricsError for anything else, naming what is wrong.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"{}"), file.flush()
    ...     read_calibration(file.name)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    sqa_metrics.errors.MetricsError: ...: no calibration: 'interval' is missing in it; make it again with `calibrate`
    """
    path = Path(path)
    try:
        facts = path.stat()
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > LARGEST_FILE:
            raise MetricsError(f"{path}: no calibration; expected a file of `calibrate`, of at most 1 MB")
        with path.open("rb") as file:
            text = file.read(LARGEST_FILE + 1)
        found = json.loads(text.decode(), parse_constant=_refuse)
        return _from_dict(found)
    except OSError as error:
        raise MetricsError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise MetricsError(f"{path}: no calibration: {error}; make it again with `calibrate`") from None


def _refuse(name: str) -> float:
    raise ValueError(f"found {name}, expected finite numbers")


def _from_dict(found: Any) -> Calibration:
    """The calibration that an object describes; ValueError for the first thing that is wrong with it."""
    if isinstance(found, dict) and found.get("sqa_calibration") not in (None, VERSION):
        raise ValueError(f"its version is {found['sqa_calibration']!r}, this program reads {VERSION}")
    top = _keys(found, TOP, "it")
    interval, made_from = (
        _keys(top["interval"], INTERVAL, "interval"),
        _keys(top["made_from"], MADE_FROM, "made_from"),
    )
    metric, model, over = top["metric"], top["model"], interval["over"]
    if not isinstance(metric, str) or not metric or not (model is None or isinstance(model, str)):
        raise ValueError("metric and model are expected to be names")
    if over not in ("systems", "clips"):
        raise ValueError(f"over is {over!r}, expected systems or clips")
    scale = None if top["scale"] is None else _numbers(top["scale"], 2, "scale")
    if scale and not scale[0] < scale[1]:
        raise ValueError("scale is expected to rise")
    half_width, coverage = (
        _number(interval["half_width"], "half_width"),
        _number(interval["coverage"], "coverage"),
    )
    if half_width < 0 or not 0 < coverage < 1:
        raise ValueError("half_width is expected to be 0 or more, coverage to lie between 0 and 1")
    counts = [made_from[name] for name in ("clips", "systems")]
    if any(type(count) is not int or count < 0 for count in counts):
        raise ValueError("clips and systems are expected to be counts")
    return Calibration(
        metric=metric,
        model=model,
        line=_line(top["map"], "map"),
        lowest=_lines(interval["lowest"], "lowest"),
        highest=_lines(interval["highest"], "highest"),
        half_width=half_width,
        coverage=coverage,
        over=over,
        scale=(scale[0], scale[1]) if scale else None,
        n_clips=counts[0],
        n_systems=counts[1],
        rmse=_number(made_from["rmse"], "rmse"),
        rmse_unmapped=_number(made_from["rmse_unmapped"], "rmse_unmapped"),
    )


def _keys(found: Any, expected: set[str], what: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ValueError(f"{what} is expected to be an object")
    for problem, names in (("unknown", found.keys() - expected), ("missing", expected - found.keys())):
        if names:
            raise ValueError(f"{min(names)!r} is {problem} in {what}")
    return found


def _number(value: Any, what: str) -> float:
    if type(value) not in (int, float) or not abs(value) < 1e100:
        raise ValueError(f"{what} is {str(value)[:40]!r}, expected a number")
    return float(value)


def _numbers(value: Any, n: int, what: str) -> list[float]:
    if not isinstance(value, list) or len(value) != n:
        raise ValueError(f"{what} is expected to be {n} numbers")
    return [_number(v, what) for v in value]


def _line(value: Any, what: str) -> Line:
    line = Line(*_numbers(value, 2, what))
    if not line.slope > 0:
        raise ValueError(f"{what} is expected to rise")
    return line


def _lines(value: Any, what: str) -> list[Line]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{what} is expected to be a list of maps")
    return [_line(v, what) for v in value]
