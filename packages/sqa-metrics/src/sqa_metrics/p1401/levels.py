"""P.1401 at the level of clips and of conditions (systems): from joined rows to figures, tables and notes.

The interval of a clip's score comes from its votes and their spread, that of a condition from all its votes together
(ITU-T P.1401 (01/2020), clause 7.4 and Appendix III). With several corpora each is judged alone, as the recommendation
maps each experiment alone.
"""

import math
from dataclasses import replace
from typing import Any, NamedTuple

from sqa_metrics.errors import MetricsError
from sqa_metrics.p1401.figures import EDITION, Agreement, Estimate, half_width, p1401_figures
from sqa_metrics.p1401.mapping import SCALE, MappingName
from sqa_metrics.report import MIN_SYSTEMS, Report, select, system_means
from sqa_metrics.rows.records import Paired, Scale
from sqa_metrics.tables import Style, figure, render


class Level(NamedTuple):
    """One predictor at one level, without and with its mapping."""

    name: str  # utterance or system
    unmapped: Agreement | None
    mapped: Agreement | None  # None: no mapping asked for, or there is a reason
    absent: dict[str, str]  # what is None, by its name in the JSON -> why

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "n": self.unmapped.n if self.unmapped else None,
            "unmapped": self.unmapped and self.unmapped.as_dict(),
            "mapped": self.mapped and self.mapped.as_dict(),
            "absent": self.absent,
        }

    @property
    def judged(self) -> list[Agreement]:
        return [a for a in (self.unmapped, self.mapped) if a]


class P1401(NamedTuple):
    """The P.1401 figures of one predictor on one corpus, by level."""

    levels: dict[str, Level]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON types, with the edition of the recommendation."""
        return {"edition": EDITION} | {name: level.as_dict() for name, level in self.levels.items()}

    def table(self, style: Style = "text", width: int | None = None, label: str = "") -> str:
        """A row a figure, a column each for the unmapped and the mapped predictions; a table a level."""
        tables = [
            _table(f"{label}{name}, n {level.judged[0].n}", level.judged, style, width)
            for name, level in self.levels.items()
            if level.judged
        ]
        return "\n\n".join(tables)

    def notes(self) -> list[str]:
        """The mappings, where their constraint binds, and why what is absent is."""
        lines = []
        for name, level in self.levels.items():
            where = f"P.1401, {name} level:"
            if level.mapped:
                lines.append(f"{where} {level.mapped.mapping.name} mapping {level.mapped.mapping.text()}")
            for why in dict.fromkeys(level.absent.values()):
                what = " and ".join(WORDS[k] for k, v in level.absent.items() if v == why)
                lines += [f"{where} no {what}: {why}"]
        return lines


def judge(
    paired: Paired, predictor: int = 0, *, mapping: MappingName = "cubic", d: int | None = None
) -> P1401:
    """One predictor of `paired` by P.1401, at the utterance and, where there is one, the system level.

    What cannot be computed (a mapping with too few conditions, rmse* and outlier ratio without votes) is None, with its
    reason in `absent`. MetricsError for several corpora: `select` one, as `with_p1401` does.

    >>> import io
    >>> from sqa_metrics import pair
    >>> rows = "\\n".join(f"u{k},{1 + k % 9 / 3}" for k in range(9))
    >>> paired = pair(io.BytesIO(rows.encode()), {"same": io.BytesIO(rows.encode())})
    >>> level = judge(paired, mapping="linear").levels["utterance"]
    >>> level.unmapped.rmse.value, level.absent["rmse_star"]
    (0.0, 'the reference does not say how many votes each score is the mean of')
    """
    if (corpora := len(set(map(int, paired.corpus)))) > 1:
        raise MetricsError(f"{corpora} corpora; expected one, as P.1401 maps each experiment alone")
    ref, pred = (_floats(v) for v in (paired.ref, paired.preds[predictor]))
    how = _How(mapping, d, paired.scale or SCALE, paired.names[predictor] in paired.apart)
    votes = None if paired.votes is None else _floats(paired.votes)
    noise = [math.nan] * len(ref) if paired.noise is None else _floats(paired.noise)
    found = {"utterance": _level("utterance", ref, pred, _of_clips(votes, noise) if votes else UNKNOWN, how)}
    n = len(paired.systems)
    if n >= MIN_SYSTEMS:
        system = list(map(int, paired.system))
        theirs, ours = (system_means(values, system, n) for values in (ref, pred))
        widths = _of_systems(votes, noise, paired, ref, system) if votes else UNKNOWN
        found["system"] = _level("system", theirs, ours, widths, how)
    return P1401(found)


def with_p1401(
    report: Report,
    paired: Paired,
    predictor: int = 0,
    *,
    mapping: MappingName = "cubic",
    d: int | None = None,
) -> Report:
    """The report of a predictor of `paired` with `judge`'s figures: in `p1401`, or in that of each of its corpora.

    >>> import io
    >>> from sqa_metrics import evaluate, pair
    >>> rows = "\\n".join(f"u{k},{1 + k % 9 / 3}" for k in range(9)).encode()
    >>> paired = pair(io.BytesIO(rows), {"same": io.BytesIO(rows)})
    >>> with_p1401(evaluate(paired), paired).p1401.levels["utterance"].mapped.d
    4
    """
    if not report.corpora:
        return replace(report, p1401=judge(paired, predictor, mapping=mapping, d=d))
    parts = {}
    for code, (name, part) in enumerate(report.corpora.items()):
        rows = select(paired, code)
        found = judge(rows, predictor, mapping=mapping, d=d) if len(rows) else None
        parts[name] = replace(part, p1401=found)
    return replace(report, corpora=parts)


# what a level may lack -> how notes call it
WORDS = {
    "unmapped": "unmapped figures",
    "mapped": "mapping",
    "rmse_star": "rmse*",
    "outlier_ratio": "outlier ratio",
}
Widths = tuple[list[float] | None, str]  # half-widths of 95 % intervals, or None and why
UNKNOWN: Widths = (None, "the reference does not say how many votes each score is the mean of")


class _How(NamedTuple):
    mapping: MappingName
    d: int | None
    scale: Scale
    other_scale: bool  # predictions are on another scale than the reference: only mapped errors mean anything


def _level(name: str, ref: list[float], pred: list[float], widths: Widths, how: _How) -> Level:
    ci95, why = widths
    absent = {"rmse_star": why, "outlier_ratio": why} if why else {}
    asked: dict[str, MappingName] = {"unmapped": "none"}
    if how.mapping != "none":
        asked["mapped"] = how.mapping
    found: dict[str, Agreement] = {}
    for part, mapping in asked.items():
        try:
            if mapping == "none" and how.other_scale:
                raise MetricsError("the predictions are on another scale than the reference")
            found[part] = p1401_figures(ref, pred, ci95, mapping, how.d, how.scale)
        except MetricsError as error:
            absent[part] = str(error)
    return Level(name, found.get("unmapped"), found.get("mapped"), absent)


def _of_clips(votes: list[float], noise: list[float]) -> Widths:
    """The half-width of each clip's interval; every clip needs two votes and their spread."""
    lacking = sum(not (v >= 2 and math.isfinite(s)) for v, s in zip(votes, noise, strict=True))
    if lacking:
        return (
            None,
            f"{lacking} of {len(votes)} clips have fewer than 2 votes, or no mos_std; expected both of each",
        )
    return [half_width(s, v) for s, v in zip(noise, votes, strict=True)], ""


def _of_systems(
    votes: list[float], noise: list[float], paired: Paired, ref: list[float], system: list[int]
) -> Widths:
    """The half-width of each system's interval, from all its votes around their mean (Appendix III)."""
    widths, members = [], [list[int]() for _ in paired.systems]
    for row, code in enumerate(system):
        if code >= 0:
            members[code].append(row)
    for (_, name), rows in zip(paired.systems, members, strict=True):
        if any(not (votes[k] == 1 or (votes[k] > 1 and math.isfinite(noise[k]))) for k in rows):
            return None, f"system {name!r} has clips without votes, or without mos_std; expected both of each"
        total = math.fsum(votes[k] for k in rows)
        if total < 2:
            return None, f"system {name!r} has {total:g} vote; expected at least 2"
        mean = math.fsum(votes[k] * ref[k] for k in rows) / total
        between = math.fsum(votes[k] * (ref[k] - mean) ** 2 for k in rows)
        # noise is s^2 / votes, so votes - 1 of these times votes is the sum of squares within the clip
        within = math.fsum((votes[k] - 1) * votes[k] * noise[k] for k in rows if votes[k] > 1)
        widths.append(half_width((between + within) / (total - 1) / total, total))
    return widths, ""


def _floats(values: Any) -> list[float]:
    return list(values) if isinstance(values, list) else [float(v) for v in values.tolist()]


def _table(title: str, judged: list[Agreement], style: Style, width: int | None) -> str:
    def bracket(e: Estimate | None) -> str:
        if e is None or math.isnan(e.value):
            return "-"
        return figure(e.value) + ("" if math.isnan(e.low) else f" [{figure(e.low)}, {figure(e.high)}]")

    def quantiles(a: Agreement) -> str:
        return ", ".join(figure(a.residuals[q], sign=True) for q in ("q5", "q50", "q95"))

    rows = [
        ["rmse", *(bracket(a.rmse) for a in judged)],
        ["rmse*", *(figure(a.rmse_star) for a in judged)],
        ["outlier ratio", *(bracket(a.outlier_ratio) for a in judged)],
        ["Pearson", *(bracket(a.pearson) for a in judged)],
        ["error: mean", *(figure(a.residuals["mean"], sign=True) for a in judged)],
        ["error: sd", *(figure(a.residuals["sd"]) for a in judged)],
        ["error: skewness", *(figure(a.residuals["skewness"], sign=True) for a in judged)],
        ["error: 5, 50, 95 %", *map(quantiles, judged)],
    ]
    heads = [f"{'unmapped' if a.mapping.name == 'none' else a.mapping.name}, d = {a.d}" for a in judged]
    return render([title, *heads], rows, style, width)
