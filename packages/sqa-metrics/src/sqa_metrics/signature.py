"""A signature: one line that says under which conditions figures were computed, to be quoted beside them.

After sacreBLEU's (Post 2018, "A call for clarity in reporting BLEU scores"). Two papers whose signatures agree have the
same figures of the same reference; where they differ, the line says in what.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sqa_metrics import __version__
from sqa_metrics.errors import MetricsError
from sqa_metrics.rows.fingerprint import shown
from sqa_metrics.tables import Style, escaped

if TYPE_CHECKING:
    from sqa_metrics.report import Report

NAME = "sqa"
# field -> what it means if two signatures differ in it
FIELDS = {
    "v": "another version of sqa-metrics",
    "metric": "another metric of the reference",
    "level": "other levels",
    "map": "another mapping of P.1401",
    "align": "corpora aligned otherwise",
    "pairs": "other pairs ranked by",
    "eps": "other ties (epsilon)",
    "cov": "another share of the reference scored",
    "sys": "other systems",
    "corpora": "other corpora",
    "ci": "another recipe of intervals and tests",
    "ref": "other ids or scores in the reference",
    "rows": "other utterances scored",
}


def signature(report: "Report", recipe: str = "") -> str:
    """The signature of a report; `recipe` is that of what stands beside reports without intervals.

    `sqa|v:...|metric:mos|level:utt+sys|map:none|cov:640/640|sys:23|ci:none|ref:1a2b3c4d`: `map` is a mapping of P.1401
    and its d, `cov` and `sys` say how many utterances and systems were scored, `ref` is a fingerprint of the ids and
    scores of the whole reference (to six decimals, in any order and format). Only where it matters: `align`, `pairs`
    (how many a ranking counted too, and the fingerprint of their reference), `corpora` (how many) and `rows`, the
    fingerprint of those utterances that were scored, if that is not all. MetricsError for the part of a report that is
    one of its corpora.

    >>> import io
    >>> from sqa_metrics import evaluate, pair
    >>> ref = b"u1 1.0\\nu2 2.0\\nu3 4.0"
    >>> signature(evaluate(pair(io.BytesIO(ref), {"p": io.BytesIO(ref)}))).partition("|metric:")[2]
    'mos|level:utt|map:none|cov:3/3|sys:0|ci:none|ref:d1b2fecb'
    """
    origin = report.origin
    if origin is None:
        raise MetricsError("a corpus of a report has no signature of its own; take that of the whole report")
    partial = origin.whole != origin.scored
    fields = {
        "v": __version__,
        "metric": origin.metric,
        "level": "utt+sys" if report.system else "utt",
        "map": _mapping(report),
        "align": report.align,
        "pairs": report.pairs,
        "cov": f"{report.n_utterances}/{report.n_ref_utterances}",
        "sys": str(report.n_systems),
        "corpora": str(len(report.corpora)) if report.corpora else "",
        "ci": report.recipe or recipe or "none",
        "ref": shown(origin.whole),
        "rows": shown(origin.scored) if partial else "",
    }
    return joined(fields)


def joined(fields: Mapping[str, str]) -> str:
    """The line that holds these fields, without those that are empty."""
    return "|".join([NAME, *(f"{name}:{_plain(value)}" for name, value in fields.items() if value)])


def verify_signature(own: str, quoted: str) -> None:
    """MetricsError in one sentence if the signature `quoted` is not `own`: in what they differ, or that it is none.

    >>> verify_signature("sqa|v:1|sys:12", "sqa|v:1|sys:11")
    Traceback (most recent call last):
    sqa_metrics.errors.MetricsError: the signature differs: sys 12 here, 11 quoted (other systems)
    """
    ours, theirs = _fields(own), _fields(quoted)
    differences = [
        f"{name} {ours.get(name, 'none')} here, {theirs.get(name, 'none')} quoted"
        + (f" ({FIELDS[name]})" if name in FIELDS else "")
        for name in {**ours, **theirs}
        if ours.get(name) != theirs.get(name)
    ]
    if differences:
        raise MetricsError(f"the signature differs: {'; '.join(differences)}")


def line(text: str, style: Style) -> str:
    """A signature as it stands below a table of this style."""
    html = f"<div>{escaped(text, 'html')}</div>"
    return {"text": text, "markdown": f"`{text}`", "latex": f"% {text}", "html": html}[style]


def _fields(text: str) -> dict[str, str]:
    name, *parts = text.strip().strip("`").split("|")
    pairs = [part.partition(":") for part in parts]
    if name != NAME or not pairs or not all(colon and value for _, colon, value in pairs):
        raise MetricsError(
            f"{text!r} is no signature; expected one as sqa-metrics prints it, {NAME}|v:...|ref:..."
        )
    return {key: value for key, _, value in pairs}


def _mapping(report: "Report") -> str:
    """The mapping of P.1401 and its d; of the first level and corpus that has one."""
    for part in (report, *report.corpora.values()):
        for level in part.p1401.levels.values() if part.p1401 else ():
            if level.mapped:
                return f"{level.mapped.mapping.name}-d{level.mapped.d}"
    return "none"


def _plain(value: str) -> str:
    """A value without the marks that part fields."""
    return "".join("_" if c in "|`" or c.isspace() else c for c in value)
