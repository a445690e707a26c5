"""The mapping of predictions to the listeners' scale, ITU-T P.1401 (01/2020), clause 7.3.2 and Appendix I.

A polynomial of the first or third order, by least squares among those that rise over the whole scale. On polynomials
that are orthonormal on the data, least squares is nearness: the mapping is the point of a convex cone that is nearest
to the free fit. It is the free fit itself if that rises, and else the nearest point with a slope of zero where the
slope would be negative: at one end of the scale, at both, or at one point inside, then a double zero of the slope. Each
of these is a projection in three dimensions. Plain Python: importing SciPy takes longer than a whole `score`.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, NamedTuple

from sqa_metrics.errors import MetricsError
from sqa_metrics.numbers import as_scores

if TYPE_CHECKING:
    from sqa_metrics.numbers import Scores

MappingName = Literal["none", "linear", "cubic"]
ORDER = {"none": 0, "linear": 1, "cubic": 3}
COEFFICIENTS = {"none": 0, "linear": 2, "cubic": 4}

SCALE = (1.0, 5.0)  # of MOS: the mapping rises over all of it, if the predictions are on it
FLAT = 1e-12  # what is so much smaller than scores and slopes are is zero up to rounding
PLACES = 64  # steps in which a double zero of the slope is looked for

Vector = list[float]
Polynomial = list[float]  # coefficients, the constant first


class Mapping(NamedTuple):
    """A rising polynomial from predictions to MOS, fitted to predictions between `low` and `high` or less."""

    name: MappingName
    polynomial: tuple[float, ...]  # in (y - centre) / scale, the constant first: in y it would lose digits
    centre: float
    scale: float
    low: float
    high: float
    binds: tuple[float, ...] = ()  # predictions at which the slope is held at zero; both ends for a constant

    @property
    def coefficients(self) -> list[float]:
        """Of 1, y, y^2, y^3, as many as the mapping has; [0, 1] for "none"."""
        return _moved(list(self.polynomial), -self.centre / self.scale, 1 / self.scale)

    def __call__(self, values: Sequence[float]) -> list[float]:
        """The mapped values; those beyond `low` and `high` are taken as these ends."""
        if self.name == "none":
            return list(values)
        inside = (min(max(v, self.low), self.high) for v in values)
        return [_at(self.polynomial, (v - self.centre) / self.scale) for v in inside]

    def text(self) -> str:
        """The formula, such as "-0.406 + 1.144 y", and where the constraint binds."""
        if not any(self.polynomial[1:]):
            return f"{self.polynomial[0]:.4g}, a constant: nothing that rises fits better"
        powers = zip(self.coefficients, ("", " y", " y^2", " y^3"), strict=False)
        formula = " + ".join(f"{c:.4g}{power}" for c, power in powers).replace("+ -", "- ")
        where = " and ".join(f"{y:.3g}" for y in self.binds)
        return formula + (f" (slope held at 0 at y = {where})" if where else "")


def fit_mapping(
    ref: "Scores", pred: "Scores", name: MappingName = "cubic", span: tuple[float, float] | None = None
) -> Mapping:
    """The least-squares mapping of `pred` to `ref`, both (n,), that rises over `span`.

    `span` is by default 1..5, or the range of the predictions if that leaves it. MetricsError for an unknown `name`,
    and where the predictions have fewer different values than the mapping has coefficients.

    >>> fit_mapping([1.0, 2.0, 3.5], [1.0, 2.0, 3.0], "linear").text()
    '-0.3333 + 1.25 y'
    """
    if name not in ORDER:
        raise MetricsError(f"mapping {name!r}: expected one of {', '.join(ORDER)}")
    x, y = (list(map(float, as_scores(n, v))) for n, v in (("ref", ref), ("pred", pred)))
    if name == "none":
        return Mapping("none", (0.0, 1.0), 0.0, 1.0, min(y), max(y))
    different = len(set(y))
    if different < COEFFICIENTS[name]:
        raise MetricsError(
            f"a {name} mapping has {COEFFICIENTS[name]} coefficients, but there are only {different} different "
            "predictions"
        )
    low, high = span or span_of(y)
    mean = math.fsum(y) / len(y)
    scale = math.sqrt(math.fsum((v - mean) ** 2 for v in y) / len(y))
    basis, free = _free_fit([(v - mean) / scale for v in y], x, ORDER[name])
    ends = ((low - mean) / scale, (high - mean) / scale)
    weights, zeros = _nearest(free[1:], [_slope(p) for p in basis[1:]], *ends)
    polynomial = _sum(zip([free[0], *weights], basis, strict=True))
    binds = tuple(mean + scale * z for z in zeros)
    return Mapping(name, tuple(polynomial), mean, scale, low, high, binds)


def span_of(pred: Sequence[float], scale: tuple[float, float] = SCALE) -> tuple[float, float]:
    """Where a mapping has to rise: over `scale`, or over the range of the predictions if that leaves it.

    >>> span_of([1.5, 4.0]), span_of([1.5, 40.0])
    ((1.0, 5.0), (1.5, 40.0))
    """
    return scale if scale[0] <= min(pred) and max(pred) <= scale[1] else (min(pred), max(pred))


def _free_fit(v: Vector, x: Vector, order: int) -> tuple[list[Polynomial], Vector]:
    """Polynomials orthonormal on standardised `v`, and the weight of each in the unconstrained fit to `x`."""
    powers = [[1.0] * len(v)]
    for _ in range(2 * order):
        powers.append([a * b for a, b in zip(powers[-1], v, strict=True)])
    moments = [math.fsum(p) / len(v) for p in powers]
    targets = [math.fsum(a * b for a, b in zip(p, x, strict=True)) / len(v) for p in powers[: order + 1]]

    def inner(a: Polynomial, b: Polynomial) -> float:
        return math.fsum(p * q * moments[i + j] for i, p in enumerate(a) for j, q in enumerate(b))

    basis: list[Polynomial] = []
    for k in range(order + 1):
        own = [float(j == k) for j in range(order + 1)]
        for other in basis * 2:  # twice, for the digits
            own = _sum([(1.0, own), (-inner(own, other), other)])
        size = math.sqrt(inner(own, own))
        basis.append([c / size for c in own])
    weights = [_dot(p, targets) for p in basis]
    least = FLAT * max(map(abs, x))
    return basis, [w if abs(w) > least else 0.0 for w in weights]


# --- the nearest point of the cone -------------------------------------------------------------------------------


def _nearest(
    free: Vector, slopes: list[Polynomial], low: float, high: float
) -> tuple[Vector, tuple[float, ...]]:
    """The weights nearest to `free` whose slope is nowhere negative in low..high, and where it is held at zero."""

    def slope_at(t: float) -> Vector:
        return [_at(p, t) for p in slopes]

    def rises(weights: Vector) -> bool:
        slope = _sum(zip(weights, slopes, strict=True))
        turn = -slope[1] / (2 * slope[2]) if len(slope) > 2 and slope[2] else low
        values = [_at(slope, t) for t in (low, high, min(max(turn, low), high))]
        size = math.sqrt(_dot(weights, weights))
        return min(values) >= -FLAT * size * max(math.hypot(*slope_at(t)) for t in (low, high))

    if rises(free):
        return free, ()
    candidates: list[tuple[Vector, tuple[float, ...]]] = [([0.0] * len(free), (low, high))]
    if len(free) == 3:
        one, other = slope_at(low), slope_at(high)
        both = _cross(one, other)
        candidates += [
            (_without(free, one), (low,)),
            (_without(free, other), (high,)),
            (_along(free, both), (low, high)),
        ]
        candidates += _double_zeros(free, slopes, low, high)
    return min((c for c in candidates if rises(c[0])), key=lambda c: math.dist(c[0], free))


def _double_zeros(
    free: Vector, slopes: list[Polynomial], low: float, high: float
) -> list[tuple[Vector, tuple[float, ...]]]:
    """The weights with a double zero of the slope at t in low..high whose distance to `free` does not change with t.

    Slope and its slope are zero at t for the multiples of c(t) = a(t) x a'(t), a(t) being the slopes of the basis. The
    nearest to `free` is the projection on c, and c' = a x a'', so the distance stands still where
    (c'.free) (c.c) = (c.free) (c.c').
    """
    curves = [slopes, [_slope(p) for p in slopes], [_slope(_slope(p)) for p in slopes]]

    def direction(t: float) -> tuple[Vector, Vector]:
        a, first, second = ([_at(p, t) for p in curve] for curve in curves)
        return _cross(a, first), _cross(a, second)

    def change(t: float) -> float:
        c, along = direction(t)
        return _dot(along, free) * _dot(c, c) - _dot(c, free) * _dot(c, along)

    places = [low + (high - low) * k / PLACES for k in range(PLACES + 1)]
    found = [_zero_between(a, b, change) for a, b in pairwise(places) if (change(a) > 0) != (change(b) > 0)]
    return [(_along(free, direction(t)[0]), (t,)) for t in found]


def _zero_between(low: float, high: float, function: Callable[[float], float]) -> float:
    """A zero of `function` between two points at which its signs differ, by halving."""
    positive = function(high) > 0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if (function(middle) > 0) == positive else (middle, high)
    return (low + high) / 2


def _along(v: Vector, direction: Vector) -> Vector:
    """The part of `v` along `direction`."""
    share = _dot(v, direction) / _dot(direction, direction)
    return [share * d for d in direction]


def _without(v: Vector, direction: Vector) -> Vector:
    return [a - b for a, b in zip(v, _along(v, direction), strict=True)]


def _cross(a: Vector, b: Vector) -> Vector:
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def _dot(a: Vector, b: Vector) -> float:
    return math.fsum(p * q for p, q in zip(a, b, strict=True))


# --- polynomials -------------------------------------------------------------------------------------------------


def _at(polynomial: Sequence[float], value: float) -> float:
    total = 0.0
    for coefficient in reversed(polynomial):
        total = total * value + coefficient
    return total


def _slope(polynomial: Polynomial) -> Polynomial:
    return [k * c for k, c in enumerate(polynomial)][1:]


def _sum(terms: Iterable[tuple[float, Polynomial]]) -> Polynomial:
    """The sum of weighted polynomials."""
    return [math.fsum(column) for column in zip(*([w * c for c in p] for w, p in terms), strict=True)]


def _moved(polynomial: Polynomial, offset: float, factor: float) -> Polynomial:
    """Coefficients in y of the polynomial at `offset` + `factor` y."""
    result = [0.0] * len(polynomial)
    for coefficient in reversed(polynomial):
        shifted = [0.0, *(factor * c for c in result[:-1])]
        result = [offset * c + s for c, s in zip(result, shifted, strict=True)]
        result[0] += coefficient
    return result
