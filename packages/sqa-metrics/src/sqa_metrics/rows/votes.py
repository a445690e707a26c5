"""Single ratings become one score a sample: the mean over its listeners, of the ratings that are there.

A rating without a score is left out, and the others count; without any the sample has no score. Who rates a sample
again has one vote, the mean. The spread is the sample standard deviation, NaN for a single vote.
"""

import math
from dataclasses import replace

from sqa_metrics.rows.pick import Rows


def averaged(rows: Rows) -> tuple[Rows, list[int]]:
    """One row a sample, with notes about votes that are missing or repeated; and which row came first of each."""
    raters = rows.raters()
    ratings: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    first: list[int] = []
    missing: list[int] = []
    again: list[int] = []
    for row, key in enumerate(zip(rows.corpus, rows.system_id, rows.sample_id, strict=True)):
        if key not in ratings:
            ratings[key] = {}
            first.append(row)
        votes = ratings[key].setdefault(raters[row], [])
        if not math.isfinite(rows.value[row]):
            missing.append(row)
        else:
            if votes:
                again.append(row)
            votes.append(rows.value[row])
    by_rater = [
        {rater: math.fsum(given) / len(given) for rater, given in votes.items() if given}
        for votes in ratings.values()
    ]
    averages = [_average(list(votes.values())) for votes in by_rater]
    value, votes_, std = (list(column) for column in zip(*averages, strict=True))
    notes = (
        _note(rows, missing, "no score; the other votes of {} count"),
        _note(
            rows, again, "{} is rated again by the same listener, whose ratings count as one vote, their mean"
        ),
    )
    sample, system, corpus, path = (
        [column[row] for row in first] for column in (rows.sample_id, rows.system_id, rows.corpus, rows.path)
    )
    return replace(
        rows,
        sample_id=sample,
        system_id=system,
        corpus=corpus,
        path=path,
        value=value,
        votes=votes_,
        std=std,
        by_rater=by_rater,
        notes=(*filter(None, notes), *rows.notes),
    ), first


def _average(votes: list[float]) -> tuple[float, float, float]:
    """Mean, number and standard deviation of the votes of one sample, of which each listener has one."""
    n = len(votes)
    mean = math.fsum(votes) / n if n else math.nan
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in votes) / (n - 1)) if n > 1 else math.nan
    return mean, float(n), spread


def _note(rows: Rows, places: list[int], text: str) -> str:
    if not places:
        return ""
    others = f" ({len(places) - 1} more such rows)" if len(places) > 1 else ""
    return f"{rows.table.place(places[0])}: {text.format(repr(rows.sample_id[places[0]]))}{others}"
