"""The significance tests of ITU-T P.1401 (01/2020) of every two predictors, clauses 7.6 to 7.8.

All of them take the two for independent samples with normal errors. Two predictors that met the same clips are not
independent, and clips of one system are not either: `compare` has the paired test over systems, which should be
preferred. These are what telecommunication reports quote, with how far each is behind the best over all databases.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

from sqa_metrics import distributions
from sqa_metrics.p1401.figures import EDITION, Z95, Agreement
from sqa_metrics.p1401.levels import Level, with_p1401
from sqa_metrics.p1401.mapping import MappingName
from sqa_metrics.report import Report
from sqa_metrics.rows.records import Paired
from sqa_metrics.tables import Style, figure, p_value, render

CAVEAT = (
    "P.1401's tests take the two for independent samples with normal errors; on the same clips they are not: prefer "
    "the paired differences"
)
P = 0.05
ERRORS = ("mapped rmse*", "mapped rmse", "unmapped rmse*", "unmapped rmse")


@dataclass(frozen=True)
class Significance:
    """One test of two predictors on one figure; `statistic` is beyond `critical` where they differ."""

    figure: str  # rmse, rmse*, Pearson, outlier ratio
    name: str  # of the statistic: F or z
    a: float
    b: float
    statistic: float
    critical: float
    p: float

    @property
    def significant(self) -> bool:
        return abs(self.statistic) > self.critical

    def cells(self) -> list[str]:
        """Figure, its two values, statistic, limit and p, for a table; an asterisk at what is significant."""
        p = p_value(self.p) + ("*" if self.significant else " ")
        values = [figure(v) for v in (self.a, self.b)]
        return [self.figure, *values, f"{self.name} {figure(self.statistic)}", figure(self.critical), p]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types; what is infinite or undefined is None."""
        numbers = {k: getattr(self, k) for k in ("a", "b", "statistic", "critical", "p")}
        return (
            {"figure": self.figure, "test": self.name}
            | {k: v if math.isfinite(v) else None for k, v in numbers.items()}
            | {"significant": self.significant}
        )


@dataclass(frozen=True)
class Tested:
    """One test of predictors `a` and `b`, and where it was made."""

    a: str
    b: str
    corpus: str
    level: str
    mapping: str
    test: Significance

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types: the names as `a` and `b`, their figures as `value_a` and `value_b`."""
        found = self.test.as_dict()
        values = {f"value_{k}": found.pop(k) for k in ("a", "b")}
        names = {k: getattr(self, k) for k in ("a", "b", "corpus", "level", "mapping")}
        return names | {"figure": found.pop("figure")} | values | found


@dataclass(frozen=True)
class Comparison:
    """The tests of every two predictors, and over several corpora `distances`."""

    tests: list[Tested]
    distances: dict[str, dict[str, Any]]
    caveat: str = CAVEAT

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        result: dict[str, Any] = {"edition": EDITION, "tests": [t.as_dict() for t in self.tests]}
        return result | ({"distances": self.distances} if self.distances else {})

    def table(self, style: Style = "text", width: int | None = None) -> str:
        """A row a test, an asterisk at what is significant at 5 %; a row a predictor for the distances."""
        header = ["P.1401", "level", "mapping", "figure", "a", "b", "test", "limit", "p"]
        rows = [
            [
                f"{t.a} (a), {t.b} (b)" + (f", {t.corpus}" if t.corpus else ""),
                t.level,
                t.mapping,
                *t.test.cells(),
            ]
            for t in self.tests
        ]
        tables = [render(header, rows, style, width)]
        for level, found in self.distances.items():
            head = [f"behind the best, {level}", f"distance in {found['figure']}"]
            tables.append(render(head, [[n, figure(d)] for n, d in found["distance"].items()], style, width))
        return "\n\n".join(tables)


def compare_p1401(
    paired: Paired, reports: Sequence[Report], *, mapping: MappingName = "cubic", d: int | None = None
) -> tuple[list[Report], Comparison]:
    """The reports of all predictors of `paired` with their P.1401 figures, and the tests of every two.

    >>> import io
    >>> from sqa_metrics import evaluate, pair
    >>> rows = "\\n".join(f"u{k},{1 + k % 9 / 3}" for k in range(9)).encode()
    >>> paired = pair(io.BytesIO(rows), {n: io.BytesIO(rows.replace(b"1.0", n.encode())) for n in ("2.5", "1.5")})
    >>> _, found = compare_p1401(paired, [evaluate(paired, k) for k in (0, 1)], mapping="none")
    >>> [(t.test.figure, round(t.test.statistic, 3)) for t in found.tests]
    [('rmse', 9.0), ('Pearson', -2.189)]
    """
    judged = [with_p1401(r, paired, k, mapping=mapping, d=d) for k, r in enumerate(reports)]
    return judged, Comparison(tests(judged), distances(judged))


def tests(reports: Sequence[Report]) -> list[Tested]:
    """Every test of every two `reports` that carry P.1401 figures of the same clips, at each level and mapping."""
    return [
        Tested(a.name, b.name, corpus, level, one.mapping.name, test)
        for a, b in combinations(reports, 2)
        for corpus, level, theirs in _places(a)
        for one, other in product(theirs.judged, _level(b, corpus, level).judged)
        if one.mapping.name == other.mapping.name
        for test in significance(one, other)
    ]


def distances(reports: Sequence[Report]) -> dict[str, dict[str, Any]]:
    """level -> the mean over corpora of each predictor's `statistical_distance`, and of which figure that is.

    Clauses 7.8.1 and 7.8.2 with equal weights. The figure is the first of rmse* and rmse, mapped before unmapped, that
    every predictor has on every corpus. Empty for a single corpus.
    """
    result: dict[str, dict[str, Any]] = {}
    for level in ("utterance", "system"):
        corpora = [corpus for corpus, name, _ in _places(reports[0]) if name == level]
        found = [[_errors(_level(r, corpus, level)) for r in reports] for corpus in corpora]
        common = [kind for kind in ERRORS if all(kind in errors for row in found for errors in row)]
        if len(corpora) < 2 or not common:
            continue
        rows = [[errors[common[0]] for errors in row] for row in found]
        apart = [statistical_distance([error for error, _ in row], row[0][1]) for row in rows]
        means = [math.fsum(column) / len(corpora) for column in zip(*apart, strict=True)]
        names = [r.name for r in reports]
        result[level] = {"figure": common[0], "distance": dict(zip(names, means, strict=True))}
    return result


def _places(report: Report) -> list[tuple[str, str, Level]]:
    """(corpus, level, figures) of all that a report has of P.1401."""
    parts = [("", report), *report.corpora.items()]
    return [
        (corpus, level, found)
        for corpus, part in parts
        if part.p1401
        for level, found in part.p1401.levels.items()
    ]


def _level(report: Report, corpus: str, level: str) -> Level:
    return next(found for c, name, found in _places(report) if (c, name) == (corpus, level))


def _errors(level: Level) -> dict[str, tuple[float, int]]:
    """The errors that a level has, by the names of ERRORS, each with its degrees of freedom."""
    result = {}
    for name, found in (("mapped", level.mapped), ("unmapped", level.unmapped)):
        if found:
            result[f"{name} rmse"] = (found.rmse.value, found.n - found.d)
            if found.rmse_star is not None:
                result[f"{name} rmse*"] = (found.rmse_star, found.n - found.d)
    return result


# --- the tests -------------------------------------------------------------------------------------------------


def significance(a: Agreement, b: Agreement) -> list[Significance]:
    """The tests of two predictors; without those whose figures are undefined.

    - rmse (7.6.4) and rmse* (7.7): F = larger^2 / smaller^2 against F(.95; n - d, n - d); p is the area above F, as the
      recommendation has it (for "they differ", without saying which before, twice as much);
    - Pearson (7.6.1): z of atanh(r), two-sided, against 1.96;
    - outlier ratio (7.6.2): z of two proportions with their common variance, two-sided, against 1.96.
    """
    found = [_f_test("rmse", a.rmse.value, b.rmse.value, a.n - a.d, b.n - b.d)]
    if a.rmse_star is not None and b.rmse_star is not None:
        found.append(_f_test("rmse*", a.rmse_star, b.rmse_star, a.n - a.d, b.n - b.d))
    if min(a.n, b.n) > 3 and all(abs(one.pearson.value) < 1 for one in (a, b)):
        difference = math.atanh(a.pearson.value) - math.atanh(b.pearson.value)
        sigma = math.sqrt(1 / (a.n - 3) + 1 / (b.n - 3))
        found.append(_z_test("Pearson", a.pearson.value, b.pearson.value, difference, sigma))
    if a.outlier_ratio and b.outlier_ratio:
        one, other = a.outlier_ratio.value, b.outlier_ratio.value
        common = (a.n * one + b.n * other) / (a.n + b.n)
        sigma = math.sqrt(common * (1 - common) * (1 / a.n + 1 / b.n))
        found.append(_z_test("outlier ratio", one, other, one - other, sigma))
    return found


def statistical_distance(figures: Sequence[float], freedom: float) -> list[float]:
    """How far each predictor is significantly behind the best: max(0, F - F(.95)), clause 7.8.2.

    `figures` are the rmse (or rmse*) of the predictors on one database with n - d = `freedom`. Infinite where the best
    is 0. The weighted sum over databases is the recommendation's aggregated measure, 0 at best.

    >>> [round(v, 4) for v in statistical_distance([0.2, 0.21, 0.4], 30)]
    [0.0, 0.0, 2.1591]
    """
    best = min(figures)
    critical = distributions.f_quantile(1 - P, freedom, freedom)
    return [max(0.0, _ratio(value, best) - critical) for value in figures]


def _ratio(larger: float, smaller: float) -> float:
    return 1.0 if larger == smaller else math.inf if smaller == 0 else (larger / smaller) ** 2


def _f_test(figure: str, a: float, b: float, freedom_a: int, freedom_b: int) -> Significance:
    above, below = (freedom_a, freedom_b) if a >= b else (freedom_b, freedom_a)
    f = _ratio(max(a, b), min(a, b))
    critical = distributions.f_quantile(1 - P, above, below)
    return Significance(figure, "F", a, b, f, critical, distributions.f_sf(f, above, below))


def _z_test(figure: str, a: float, b: float, difference: float, sigma: float) -> Significance:
    z = difference / sigma if sigma else 0.0
    return Significance(figure, "z", a, b, z, Z95, 2 * distributions.normal_cdf(-abs(z)))
