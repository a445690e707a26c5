"""The challenge's eight figures: MSE, LCC, SRCC, KTAU of one predictor at the utterance and the system level.

A system's score is the mean over its utterances, the same for listeners and predictor (URGENT 2026 Track 2, after
the VoiceMOS Challenge, Cooper et al. 2022). With several corpora the figures are given for all of them together,
a system being a (corpus, system_id) pair, and for each alone. Which corpora have systems: `rows.systems`. A system
level needs at least two systems, also if each has one clip (then it equals the utterance level).
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sqa_metrics.figures import ERRORS, FIGURES, all_figures
from sqa_metrics.interval import Intervals, Macro, figure_cells, plain, plain_intervals
from sqa_metrics.rows.pair import pair
from sqa_metrics.rows.records import Coverage, Paired, Source
from sqa_metrics.rows.systems import systems_of
from sqa_metrics.tables import Style, escaped, render

if TYPE_CHECKING:
    import numpy as np

    from sqa_metrics.p1401.levels import P1401
    from sqa_metrics.rows.fingerprint import Origin
    from sqa_metrics.uncertainty.ceilings import Ceiling

MIN_SYSTEMS = 2  # a correlation needs two points
# With fewer, the figures without one of them are the same few over and over: two systems always correlate perfectly.
MIN_CLUSTERS = 5
SELF_NAMED = "every system_id is the utterance's own sample_id"
FEW_SYSTEMS = 10  # below, intervals are right on the whole and of little use one by one


@dataclass(frozen=True)
class Report:
    """Agreement of one predictor with its reference. Figures are NaN where undefined (constant scores)."""

    name: str
    n_utterances: int
    n_systems: int
    utterance: dict[str, float]
    system: dict[str, float] | None  # None: there is no system level, and `system_absent` says why
    system_absent: str | None
    coverage: Coverage
    n_ref_utterances: int
    n_ref_systems: int
    corpora: dict[str, "Report"] = field(default_factory=dict)  # filled when there are several
    macro: Macro | None = None  # likewise
    intervals: Intervals | None = None
    # level -> systems (or utterances) that intervals leave out in turn
    clusters: dict[str, int] | None = None
    ceiling: "dict[str, Ceiling] | None" = None  # level -> what a perfect predictor would reach
    remarks: tuple[str, ...] = ()  # what was recognised or left out in reading
    other_scale: bool = False  # than the reference's: then there are no errors (MSE)
    origin: "Origin | None" = None  # of the reference, for `signature`; None for one of several corpora
    align: str = ""  # how corpora were moved to one level, if they were
    recipe: str = ""  # how the intervals were made, for `signature`
    pairs: str = ""  # how many, and of which reference, were ranked by beside these figures, for `signature`
    p1401: "P1401 | None" = None  # by `p1401.levels.with_p1401`; with several corpora in each of theirs

    @property
    def signature(self) -> str:
        """One line that says under which conditions the figures hold, to be quoted beside them."""
        from sqa_metrics.signature import signature

        return signature(self)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain JSON types; an undefined figure is None."""
        result: dict[str, Any] = {
            "name": self.name,
            "n_utterances": self.n_utterances,
            "n_systems": self.n_systems,
            "utterance": plain(self.utterance),
            "system": plain(self.system) if self.system else None,
        }
        if self.system_absent:
            result["system_absent"] = self.system_absent
        found = self.coverage._asdict()
        result["coverage"] = {k: found.pop(k) for k in ("n_ref", "n_pred")}
        result["coverage"] |= {"n_scored": self.n_utterances} | found
        if self.origin:
            result["signature"] = self.signature
        result |= plain_intervals(self.intervals)
        if self.ceiling:
            result["ceiling"] = {level: ceiling.as_dict() for level, ceiling in self.ceiling.items()}
        if self.p1401:
            result["p1401"] = self.p1401.as_dict()
        if self.corpora:
            result["corpora"] = {name: part.as_dict() for name, part in self.corpora.items()}
        if self.macro:
            result["macro"] = self.macro.as_dict()
        return result

    def level(self, name: str) -> dict[str, float]:
        """The figures of the utterance or the system level; none if there is no such level."""
        return self.utterance if name == "utterance" else self.system or {}

    def rows(self, label: str = "") -> list[list[str]]:
        """Table rows: level, count, then a figure (with its interval, if there is one) a metric."""
        counts = {"utterance": _of(self.n_utterances, self.n_ref_utterances)}
        if self.system:
            counts["system"] = _of(self.n_systems, self.n_ref_systems)
        few = self.few_clusters()
        return [
            [
                label + level,
                n + (", few" if level in few else ""),
                *figure_cells(self.level(level), self.intervals, level),
            ]
            for level, n in counts.items()
        ]

    def few_clusters(self) -> dict[str, int]:
        """The levels whose intervals stand on few systems, and how many."""
        return {level: n for level, n in (self.clusters or {}).items() if MIN_CLUSTERS <= n < FEW_SYSTEMS}

    def notes(self) -> list[str]:
        """What the figures leave out, one sentence each."""
        notes = list(self.remarks)
        if self.system_absent:
            notes.append(f"no system level: {self.system_absent}")
        for level, n in (("utterance", self.n_utterances), ("system", self.n_systems)):
            absent = ERRORS if self.other_scale else ()
            undefined = [m for m, v in self.level(level).items() if math.isnan(v) and m not in absent]
            if undefined:
                why = "constant scores" if n > 1 else f"{n} of them"
                names = ", ".join(m.upper() for m in undefined)
                notes.append(f"{names} undefined at the {level} level: {why}")
            notes += self._notes_of_intervals(level)
        c = self.coverage
        if not c.complete or self.n_utterances < self.n_ref_utterances:
            notes.append(
                f"{self.n_utterances} of {self.n_ref_utterances} utterances scored ({c.n_missing} missing, "
                f"{c.n_extra} extra, {c.n_non_finite} non-finite rows)"
            )
        parts = self._parts(": ")
        notes += [f"no system level of {k}{p.system_absent}" for k, p in parts.items() if p.system_absent]
        judged = {"": self} | parts
        notes += [label + line for label, part in judged.items() if part.p1401 for line in part.p1401.notes()]
        top = (self.ceiling or {}).items()
        return notes + [f"{level} level, perfect predictor: {ceiling.text()}" for level, ceiling in top]

    def _parts(self, mark: str) -> dict[str, "Report"]:
        """The corpora by what stands before their lines."""
        return {f"{name or '(no corpus)'}{mark}": part for name, part in self.corpora.items()}

    def _notes_of_intervals(self, level: str) -> list[str]:
        intervals, n = (self.intervals or {}).get(level, {}), (self.clusters or {}).get(level, 0)
        known = self.level(level)
        lost = [m.upper() for m, i in intervals.items() if math.isnan(i.low) and not math.isnan(known[m])]
        notes = [f"few systems at the {level} level: {n}"] if level in self.few_clusters() else []
        if lost and n < MIN_CLUSTERS:
            what = f"{n} systems (or utterances without one), of {MIN_CLUSTERS} that it needs"
            notes.append(f"no interval at the {level} level: {what}")
        elif lost:
            notes.append(f"no interval of {', '.join(lost)} at the {level} level: too few errors to tell")
        return notes

    def __post_init__(self) -> None:
        # a figure that is left out has no interval
        if self.other_scale and self.intervals:
            kept = {
                level: {name: found for name, found in by_name.items() if name not in ERRORS}
                for level, by_name in self.intervals.items()
            }
            object.__setattr__(self, "intervals", kept)

    def _below(self) -> list[str]:
        """The lines under the table: the signature and the notes."""
        return [*([self.signature] if self.origin else []), *(f"note: {line}" for line in self.notes())]

    def __str__(self) -> str:
        """The table, the signature and the notes, as `score` prints them."""
        return "\n".join([self.table(), *self._below()])

    def _repr_html_(self) -> str:
        """The same for notebooks."""
        return self.table("html") + "".join(f"<div>{escaped(line, 'html')}</div>" for line in self._below())

    def table(self, style: Style = "text", width: int | None = None) -> str:
        """The report as a table, one row a level (and corpus); those of P.1401 follow it. `width` as in `_figures`."""
        parts = {"": self} | self._parts(" ")
        telecom = [part.p1401.table(style, width, label) for label, part in parts.items() if part.p1401]
        return "\n\n".join(filter(None, [self._figures(style, width), *telecom]))

    def _figures(self, style: Style, width: int | None) -> str:
        """The table of figures; one row a figure where it is wider than `width`."""
        rows = [row for label, part in self._parts(" ").items() for row in part.rows(label)]
        if self.macro:
            rows += [
                [
                    f"macro {level}",
                    f"{self.macro.corpora[level]} corpora",
                    *figure_cells(figures, self.macro.intervals, level),
                ]
                for level, figures in self.macro.figures.items()
            ]
        rows += self.rows("pooled " if self.corpora else "")
        text = render(["level", "n", *(m.upper() for m in FIGURES)], rows, style)
        if style != "text" or width is None or len(text.split("\n", 1)[0]) <= width:
            return text
        cells = [
            [f"{level}, n {n}", name.upper(), *(cell.split(" ", 1) if " " in cell else (cell, ""))]
            for level, n, *cells in rows
            for name, cell in zip(FIGURES, cells, strict=True)
        ]
        return render(["level", "figure", "value", "interval"], cells, style, width)


def score(
    ref: Source,
    pred: Source,
    **reading: Any,
) -> Report:
    """Report how well `pred` agrees with `ref`: files, data frames, dicts of columns, lists of dicts, or arrays.

    Formats, key, coverage rules and the arguments of reading (`ref_metric`, `columns`, `scale`, `allow_missing`, for
    arrays `system`, `corpus`, `sample` ...) are those of `pair`. Raises MetricsError naming file, line and id.

    >>> import io
    >>> ref = io.BytesIO(b"u1,1.0\\nu2,2.0\\nu3,4.0\\n")
    >>> pred = io.BytesIO(b"u3,3.5\\nu1,1.5\\nu2,1.0\\n")
    >>> score(ref, pred).utterance["srcc"]
    0.5
    >>> score([1.0, 2.0, 4.0], [1.5, 1.0, 3.5], system=["A", "A", "B"]).system["srcc"]
    1.0
    """
    return evaluate(pair(ref, {"pred": pred}, **reading))


def evaluate(paired: Paired | Source, predictor: int | Source = 0, **reading: Any) -> Report:
    """The figures of one of the predictors in `paired`, per corpus too when there are several.

    Instead of `paired` and the predictor's place, a reference and a prediction as `score` takes them.

    >>> from sqa_metrics import pair
    >>> found = evaluate(pair([1.0, 2.0, 4.0], {"ours": [1.5, 1.0, 3.5]}))
    >>> found.utterance["mse"], found.system, found.system_absent
    (0.5, None, 'no utterance has a system_id')
    """
    if not isinstance(paired, Paired):
        return score(paired, predictor, **reading)
    whole = _one(paired, predictor)
    if len(paired.corpora) < 2:
        return whole
    parts = {name: _one(select(paired, code), predictor) for code, name in enumerate(paired.corpora)}
    return replace(whole, corpora=parts, macro=_macro(list(parts.values())))


def _macro(parts: list[Report]) -> Macro:
    figures, corpora = {}, {}
    for level in ("utterance", "system"):
        found = [part for part in parts if part.n_utterances and part.level(level)]
        if found:
            corpora[level] = len(found)
            figures[level] = {m: _mean_of(m, level, found) for m in FIGURES}
    return Macro(figures, corpora)


def _mean_of(metric: str, level: str, parts: list[Report]) -> float:
    known = [part for part in parts if not math.isnan(part.level(level)[metric])]
    items = [part.n_systems if level == "system" else part.n_utterances for part in known]
    values = [part.level(level)[metric] for part in known]
    return FIGURES[metric].mean(values, items) if known else math.nan


def by_corpus(
    ref: "np.ndarray",
    pred: "np.ndarray",
    system: Sequence[str | None],
    corpus: Sequence[str],
    sample: Sequence[str] | None = None,
) -> dict[str, dict[str, float | int | None]]:
    """The figures of each corpus as `score` gives them, for arrays that are in memory, each of n rows.

    `clips`, `utterance_mse` and so on, and where the corpus has a system level `systems`, `system_mse` and so on. None:
    undefined. `sample` (the ids) is needed where a system_id that repeats the sample_id may stand for "no system".

    >>> by_corpus([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], ["A", "A", "B"], ["x"] * 3)["x"]["system_srcc"]
    1.0
    """
    systems, _ = systems_of(system, [""] * len(system) if sample is None else sample, corpus)
    result = {}
    for name in sorted(set(corpus)):
        rows = [k for k, c in enumerate(corpus) if c == name]
        number = {s: k for k, s in enumerate(sorted({systems[k] for k in rows} - {""}))}
        codes = [number.get(systems[k], -1) for k in rows]
        scores = [[float(values[k]) for k in rows] for values in (ref, pred)]
        utterance, by_system = _levels(scores[0], scores[1], codes, len(number))
        figures: dict[str, float | int | None] = {"clips": len(rows)}
        figures |= {f"utterance_{m}": v for m, v in plain(utterance).items()}
        if by_system:
            figures["systems"] = len(number)
            figures |= {f"system_{m}": v for m, v in plain(by_system).items()}
        result[name] = figures
    return result


def select(paired: Paired, corpus: int) -> Paired:
    """The utterances of one corpus."""
    return replace(
        where(paired, [code == corpus for code in range(len(paired.corpora))], paired.corpus),
        ref_utterances=[paired.ref_utterances[corpus]],
        ref_systems=[paired.ref_systems[corpus]],
        notes=(),
        origin=None,
        self_named=tuple(name for name in paired.self_named if name == paired.corpora[corpus]),
    )


def where(paired: Paired, wanted: Sequence[bool], code: Any) -> Paired:
    """The utterances whose `code` (n,) is wanted, -1 never, and their systems, numbered anew."""
    if isinstance(paired.ref, list):
        rows: Any = [i for i, c in enumerate(code) if c >= 0 and wanted[c]]
        old: Any = sorted({paired.system[i] for i in rows} - {-1})
        new = {s: k for k, s in enumerate(old)}
        system: Any = [new.get(paired.system[i], -1) for i in rows]
    else:
        import numpy as np

        rows = np.flatnonzero(np.append(wanted, False)[code])
        old, system = np.unique(np.append(-1, paired.system[rows]), return_inverse=True)
        old, system = old[1:].tolist(), system[1:] - 1
    return replace(paired.take(rows), system=system, systems=[paired.systems[s] for s in old])


def system_means(values: Any, system: Any, n_systems: int) -> Any:
    """Mean of `values` over the utterances of each system, (n_systems,); rows of system -1 do not count.

    Summed exactly: equal sets of ratings give equal means whatever their order, or ties between systems would break.
    """
    if isinstance(values, list):
        groups: list[list[float]] = [[] for _ in range(n_systems)]
        for value, code in zip(values, system, strict=True):
            if code >= 0:
                groups[code].append(value)
        return [math.fsum(group) / len(group) for group in groups]
    import numpy as np

    order = np.argsort(system, kind="stable")
    ends = np.searchsorted(system[order], np.arange(-1, n_systems), side="right")
    ordered = values[order].tolist()
    return np.array([math.fsum(ordered[a:b]) / (b - a) for a, b in itertools.pairwise(ends.tolist())])


def _one(paired: Paired, predictor: int) -> Report:
    pred, n_systems = paired.preds[predictor], len(paired.systems)
    other_scale = paired.names[predictor] in paired.apart
    utterance, system = _levels(paired.ref, pred, paired.system, n_systems, other_scale)
    absent = None
    if n_systems == 0:
        absent = SELF_NAMED if paired.self_named else "no utterance has a system_id"
    elif n_systems < MIN_SYSTEMS:
        absent = f"there is only one system ({paired.systems[0][1]})"
    return Report(
        name=paired.names[predictor],
        n_utterances=len(paired),
        n_systems=n_systems,
        utterance=utterance,
        system=system,
        system_absent=absent,
        coverage=paired.coverage[predictor],
        n_ref_utterances=sum(paired.ref_utterances),
        n_ref_systems=max(sum(paired.ref_systems), n_systems),
        remarks=paired.notes,
        origin=paired.origin,
        align=paired.align,
        other_scale=other_scale,
    )


def _levels(
    ref: Any, pred: Any, system: Any, n_systems: int, other_scale: bool = False
) -> tuple[dict[str, float], dict[str, float] | None]:
    """The figures of utterances and of systems, None where there are too few of these."""
    utterance = figures_of(ref, pred, other_scale)
    if n_systems < MIN_SYSTEMS:
        return utterance, None
    means = [system_means(values, system, n_systems) for values in (ref, pred)]
    return utterance, figures_of(means[0], means[1], other_scale)


def figures_of(ref: Any, pred: Any, other_scale: bool) -> dict[str, float]:
    """All figures, errors as NaN where the two are on different scales."""
    return all_figures(ref, pred) | (dict.fromkeys(ERRORS, math.nan) if other_scale else {})


def _of(n: int, total: int) -> str:
    return str(n) if n == total else f"{n} of {total}"
