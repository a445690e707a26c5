"""From a table to the columns that judging needs: which column is what, and its values, a row each.

What was recognised under another than the project's own name is said in a note.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sqa_metrics.errors import MetricsError
from sqa_metrics.rows.ids import clip_id, listed_id
from sqa_metrics.rows.names import (
    MOS,
    NAMES,
    PATH_COLUMNS,
    RATED,
    RAW_IDS,
    WHATS,
    Named,
    Tiers,
    choose,
    deviation_tiers,
    plain,
)
from sqa_metrics.rows.records import Role, Scale, Scores
from sqa_metrics.rows.scales import declared
from sqa_metrics.rows.table import EXAMPLE, Column, Table


class _Choice:
    """Chooses the columns of one table, by name where one is asked for, and keeps account of it."""

    def __init__(self, table: Table, role: Role, named: Named, silent: tuple[str, ...]) -> None:
        self.table, self.role, self.named = table, role, named
        self.silent = silent  # names that need no note
        self.found: set[str] = set()
        self.recognised: list[str] = []
        self.taken: list[str] = []

    def __call__(self, what: str, tiers: Tiers, *, scores: bool = False) -> str | None:
        """The column that is `what`, None where there is none."""
        names = self.table.metric_names if scores else self.table.names
        read = self.table.metric if scores else self.table.column
        key = f"{self.role}:{what}" if f"{self.role}:{what}" in self.named else what
        asked = self.named.get(key)
        if asked in names or asked == "":
            self.found.add(key)
            self.taken += [asked] if asked else []
            return asked or None
        if asked is not None and key != what:
            raise MetricsError(
                f"{self.table.path}: no column {asked!r} for {what}; found {', '.join(names) or 'none'}"
            )
        name = choose(what, tiers, self.table.path, names, _ids(self.table) if what == "sample_id" else read)
        if name:
            self.taken.append(name)
            if self.table.has_header and (asked or name not in self.silent):
                self.recognised.append(f"{what} from {name!r}")
        return name

    def notes(self) -> tuple[str, ...]:
        return (f"{self.table.path}: read {', '.join(self.recognised)}",) if self.recognised else ()


def pick(table: Table, metric: str, role: Role, named: Named, *, scale_given: bool = False) -> Scores:
    """The columns of `table` that judging needs; MetricsError where one is missing, ambiguous or holds other things.

    With `scale_given` what rows say of their scale is not looked at.
    """
    table, notes = _of_label(table, metric)
    choice = _Choice(table, role, named, (*WHATS, f"{metric}_std"))
    key = choice("sample_id", NAMES["sample_id"])
    if key is None and not table.ragged:
        raise MetricsError(
            f"{table.path}: no column for sample_id; found {', '.join(table.names) or 'none'}, expected one such as "
            "sample_id, utt, wav_path or filename, or its name: --columns sample_id=NAME (columns={'sample_id': ...})"
        )
    listener = choice("listener_id", NAMES["listener_id"])
    if listener:
        choice.silent += ("rating", "score")
    others = {what: choice(what, NAMES[what]) for what in ("system_id", "corpus", "votes")}
    name, value = _values(table, metric, role, choice, listener is not None)
    asked = name in (choice.named.get("mos"), choice.named.get(f"{role}:mos"))
    spread = choice("mos_std", deviation_tiers(name or metric, metric == "mos" and not asked))
    sample_id, made_from = _samples(table, key)

    def texts(name: str | None) -> list[str] | None:
        found = table.texts(name) if name else []
        return found if any(found) else None

    def amounts(name: str | None) -> list[float] | None:
        found = table.amounts(name) if name else []
        return None if all(map(math.isnan, found)) else found

    return Scores(
        path=table.path,
        metric=metric,
        sample_id=sample_id,
        system_id=texts(others["system_id"]),
        corpus=texts(others["corpus"]),
        value=value,
        line=table.lines,
        votes=amounts(others["votes"]),
        std=amounts(spread),
        notes=(*notes, *choice.notes()),
        in_memory=table.in_memory,
        found=frozenset(choice.found),
        names=tuple(table.names),
        scale=None if scale_given else _declared(table, metric),
        listener=table.texts(listener) if listener else None,
        made_from=made_from,
    )


def raters(scores: Scores) -> list[str]:
    """Who gave each rating; MetricsError where that is not said."""
    if scores.listener is None or not any(scores.listener):
        names = ", ".join(name for tier in NAMES["listener_id"] for name in tier)
        raise MetricsError(
            f"{scores.place(0)}: no rater; expected who gave each score, in one of the columns {names} "
            "(or --columns listener_id=NAME)"
        )
    if "" in scores.listener:
        raise MetricsError(
            f"{scores.place(scores.listener.index(''))}: no rater; expected who gave each score"
        )
    return scores.listener


def _of_label(table: Table, metric: str) -> tuple[Table, tuple[str, ...]]:
    """The ratings of one label, where ratings.jsonl of `sqa-cli data prepare` holds those of several; and a note."""
    if not {"label", "rating", "listener_id"} <= set(table.names):
        return table, ()
    labels = table.texts("label")
    rows = [row for row, label in enumerate(labels) if label in ("", metric)]
    others = sorted(set(labels) - {"", metric})
    if not rows:
        raise _no_metric(table.path, metric, others, {})
    if not others:
        return table, ()
    part = replace(
        table,
        lines=[table.lines[row] for row in rows],
        column=lambda name: [table.column(name)[row] for row in rows],
        metric=lambda name: [table.metric(name)[row] for row in rows],
    )
    left = len(labels) - len(rows)
    return part, (f"{table.path}: {left} ratings of other labels ({', '.join(others)}) are not read",)


def _values(
    table: Table, metric: str, role: Role, choice: _Choice, single: bool
) -> tuple[str | None, list[float]]:
    """The column of the scores, and these."""
    if metric == "mos" or not table.has_header:
        name = _rated(table, choice) if single else None
        name = name or choice("mos", MOS[role], scores=True)
    elif single and "label" in table.names and "rating" in table.metric_names:
        name = "rating"
    else:
        name = metric if metric in table.metric_names else None
    if name is None:
        numeric = [n for n in table.metric_names if n not in choice.taken and _holds_numbers(table, n)]
        if numeric or not table.ragged:
            raise _no_metric(table.path, metric, numeric, choice.named)
        return None, [math.nan] * len(table)
    return name, table.numbers(name, table.metric(name))


def _rated(table: Table, choice: _Choice) -> str | None:
    """The column of single ratings: before an average that may stand beside them."""
    if not any(plain(name) in RATED for name in table.metric_names):
        return None
    return choice("mos", (RATED,), scores=True)


def _samples(table: Table, key: str | None) -> tuple[list[str], list[str] | None]:
    """The id of each row, and the text that it was made from where that may be a path."""
    ids = [""] * len(table) if key is None else table.texts(key)
    raw = key is None or key in RAW_IDS
    if raw and "uid" in table.names and key != "uid":
        ids = [one or other for one, other in zip(ids, table.texts("uid"), strict=True)]
    if not all(ids):
        at = table.place(ids.index(""))
        if table.ragged:
            raise MetricsError(f"{at}: no sample_id; expected {EXAMPLE}")
        raise MetricsError(f"{at}: {key} is empty, expected an id")
    return (ids, None) if raw else (_clips(key or "", ids), [text.strip() for text in ids])


def _clips(name: str, texts: Sequence[str]) -> list[str]:
    return list(map(clip_id if plain(name) in PATH_COLUMNS else listed_id, texts))


def _ids(table: Table) -> Callable[[str], Column]:
    """Columns of ids that differ in folder and suffix alone say the same."""
    return lambda name: _clips("path", [str(text or "") for text in table.column(name)])


def _declared(table: Table, metric: str) -> Scale | None:
    """The scale of the metric, where rows have the key `scales`."""
    if "scales" not in table.names:
        return None
    # what is no object is refused where its bounds are looked at
    scales = [s.get(metric) if isinstance(s, Mapping) else s for s in table.column("scales")]
    return declared(scales, map(table.place, range(len(table))), metric)


def _holds_numbers(table: Table, name: str) -> bool:
    values: Column = table.metric(name)
    return not table.ragged or any(isinstance(v, int | float) for v in values)


def _no_metric(path: str, metric: str, found: Sequence[str], named: Named) -> MetricsError:
    asked = [name for key, name in named.items() if key.rpartition(":")[2] == "mos"]
    wanted = f" and no column {asked[0]!r}" if asked else ""
    return MetricsError(
        f"{path}: no metric {metric!r}{wanted}; found {', '.join(found) or 'none'} "
        f"(choose with --columns mos=NAME, --ref-metric or --pred-metric)"
    )
