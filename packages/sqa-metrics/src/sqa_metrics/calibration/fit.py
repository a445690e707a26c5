"""From a model's scores to the MOS of one's own listeners, with an interval that covers a stated share.

The map is an offset below 10 systems and affine from 10: more bends than that do not hold on new systems. Its error is
told on systems that it was not fitted on. The interval is the jackknife-minmax (Barber, Candes, Ramdas & Tibshirani
2021, "Predictive inference with the jackknife+", theorem 2): the maps without each system in turn, the lowest and the
highest of them, and a quantile of the errors on the system that was left out. Systems count alike in that quantile, and
a new one counts among them (Dunn, Wasserman & Ramdas 2023; Lee, Barber & Willett 2023). So a clip of a new system lies
within in at least the stated share of cases, on the mean over all systems and calibrations, whatever the errors'
distribution, if systems are exchangeable. It is finite from 1 / (1 - share) - 1 systems on, 19 for 95 %. With fewer, or
without systems, clips take their place, and the promise is for new clips of the systems that were rated.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

from sqa_metrics.calibration.record import Calibration, Line, fewest
from sqa_metrics.errors import MetricsError
from sqa_metrics.rows.records import Paired
from sqa_metrics.tables import percent

FEWEST_CLIPS = 30
AFFINE_FROM = 10  # systems
MOS_RANGE = (1.0, 5.0)


def calibrate(
    paired: Paired, *, coverage: float = 0.95, metric: str = "mos", model: str | None = None
) -> Calibration:
    """Fit a map from the scores of the first predictor in `paired` to its reference, and its interval.

    Raises MetricsError for fewer than 30 clips, scores that do not rise with the ratings, and a coverage that so few
    clips cannot promise.

    >>> import io
    >>> from sqa_metrics import pair
    >>> ref = "".join(f"u{k} {1 + k % 30 / 10}\\n" for k in range(60)).encode()
    >>> pred = "".join(f"u{k} {1.5 + k % 30 / 10 + 0.1 * (-1) ** k}\\n" for k in range(60)).encode()
    >>> made = calibrate(pair(io.BytesIO(ref), {"ours": io.BytesIO(pred)}))
    >>> made.over, [round(v, 1) for v in made.apply(3.5)]
    ('clips', [3.0, 2.9, 3.1])
    """
    if not 0 < coverage < 1:
        raise MetricsError(f"coverage is {coverage}; expected a share between 0 and 1, such as 0.95")
    y, x = [[float(v) for v in values] for values in (paired.ref, paired.preds[0])]
    n, system = len(y), [int(s) for s in paired.system]
    if n < FEWEST_CLIPS:
        raise MetricsError(
            f"{n} rated clips; expected at least {FEWEST_CLIPS}: fewer say too little of how a model's scores map"
        )
    n_systems = len(paired.systems) if min(system) >= 0 else 0
    affine = not n_systems or n_systems >= AFFINE_FROM
    if paired.apart and not affine:
        raise MetricsError(
            f"the scores are on another scale than the ratings, and {n_systems} systems allow an offset alone, which "
            f"bridges no scales; expected {AFFINE_FROM} systems, or scores on the listeners' scale"
        )
    groups = system if n_systems > 1 else list(range(n))
    left_out = list(_left_out(x, y, groups, affine))
    rmse = _rms([y[k] - line.at(x[k]) for line, rows in left_out for k in rows])
    over: Literal["systems", "clips"] = "systems"
    if n_systems < fewest(coverage):
        over, left_out = "clips", list(_left_out(x, y, range(n), affine))
    half_width = _quantile([[abs(y[k] - line.at(x[k])) for k in rows] for line, rows in left_out], coverage)
    if not math.isfinite(half_width):
        raise MetricsError(
            f"{n} rated clips allow no finite {percent(coverage)} interval; expected {fewest(coverage)}, or less "
            "coverage"
        )
    lines = [line for line, _ in left_out]
    return Calibration(
        metric=metric,
        model=model,
        line=_Sums.of(x, y).line(affine),
        lowest=[Line(-a, -b) for a, b in _upper([Line(-a, -b) for a, b in lines])],
        highest=_upper(lines),
        half_width=half_width,
        coverage=coverage,
        over=over,
        scale=MOS_RANGE if all(MOS_RANGE[0] <= v <= MOS_RANGE[1] for v in y) else None,
        n_clips=n,
        n_systems=n_systems,
        rmse=rmse,
        rmse_unmapped=_rms([a - b for a, b in zip(y, x, strict=True)]),
    )


class _Sums(NamedTuple):
    """What a least-squares line needs of some clips, or lacks of all of them."""

    n: int
    x: float
    y: float
    xx: float
    xy: float

    @staticmethod
    def of(x: Sequence[float], y: Sequence[float]) -> "_Sums":
        products = (a * b for a, b in zip(x, y, strict=True))
        return _Sums(len(x), math.fsum(x), math.fsum(y), math.fsum(a * a for a in x), math.fsum(products))

    def without(self, part: "_Sums") -> "_Sums":
        return _Sums(*(a - b for a, b in zip(self, part, strict=True)))  # type: ignore[arg-type]

    def line(self, affine: bool) -> Line:
        """Least squares, or the offset alone; MetricsError where a line does not rise."""
        if not affine:
            return Line((self.y - self.x) / self.n, 1.0)
        spread = self.xx - self.x * self.x / self.n
        slope = (self.xy - self.x * self.y / self.n) / spread if spread > 1e-12 * self.xx else 0.0
        if not slope > 0:
            found = f"a slope of {slope:.3g}" if slope else "one score for all clips"
            raise MetricsError(
                f"the scores do not rise with the ratings (found {found}); expected the scores of the rated clips: "
                "check the ids and the metric"
            )
        return Line((self.y - slope * self.x) / self.n, slope)


def _left_out(
    x: Sequence[float], y: Sequence[float], groups: Iterable[int], affine: bool
) -> Iterator[tuple[Line, list[int]]]:
    """For each group the map that was fitted without it, and its rows."""
    members: dict[int, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group, []).append(row)
    # about their mean, sums keep their digits
    mean = math.fsum(x) / len(x)
    centred = [v - mean for v in x]
    whole = _Sums.of(centred, y)
    for rows in members.values():
        part = _Sums.of([centred[k] for k in rows], [y[k] for k in rows])
        line = whole.without(part).line(affine)
        yield Line(line.intercept - line.slope * mean, line.slope), rows


def _quantile(errors: list[list[float]], coverage: float) -> float:
    """The least error that covers: each of K groups weighs 1 / (K + 1), one that is to come has an infinite error."""
    weighed = sorted((error, 1 / ((len(errors) + 1) * len(group))) for group in errors for error in group)
    total = 0.0
    for error, weight in weighed:
        total += weight
        if total >= coverage - 1e-12:
            return error
    return math.inf


def _upper(lines: Sequence[Line]) -> list[Line]:
    """Those lines that are highest anywhere."""
    hull: list[Line] = []
    for line in sorted(set(lines), key=lambda each: (each.slope, each.intercept)):
        if hull and hull[-1].slope == line.slope:
            hull.pop()
        while len(hull) > 1 and _crossing(hull[-2], line) <= _crossing(hull[-2], hull[-1]):
            hull.pop()
        hull.append(line)
    return hull


def _crossing(a: Line, b: Line) -> float:
    """Where a steeper line `b` meets `a`."""
    return (a.intercept - b.intercept) / (b.slope - a.slope)


def _rms(errors: Sequence[float]) -> float:
    return math.sqrt(math.fsum(e * e for e in errors) / len(errors))
