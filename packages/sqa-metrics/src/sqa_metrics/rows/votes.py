"""Single ratings become one score a sample: the mean over its listeners, of the ratings that are there.

A rating without a score is left out, and the others count; without any the sample has no score. Who rates a sample
again has one vote, the mean. The spread is the sample standard deviation, NaN for a single vote.
"""

import math
from dataclasses import replace
from typing import Any

from sqa_metrics.rows.pick import raters
from sqa_metrics.rows.records import Scores


def averaged(scores: Scores) -> Scores:
    """One row a sample, in the place of its first, with notes about votes that are missing or repeated."""
    none = [""] * len(scores)
    ratings: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    first: list[int] = []
    missing: list[int] = []
    again: list[int] = []
    keys = zip(scores.corpus or none, scores.system_id or none, scores.sample_id, strict=True)
    for row, (key, rater) in enumerate(zip(keys, raters(scores), strict=True)):
        if key not in ratings:
            ratings[key] = {}
            first.append(row)
        votes = ratings[key].setdefault(rater, [])
        if not math.isfinite(scores.value[row]):
            missing.append(row)
        else:
            if votes:
                again.append(row)
            votes.append(scores.value[row])
    by_rater = [
        {rater: math.fsum(given) / len(given) for rater, given in votes.items() if given}
        for votes in ratings.values()
    ]
    averages = [average(list(votes.values())) for votes in by_rater]
    value, votes_, std = (list(column) for column in zip(*averages, strict=True))
    notes = (
        _note(scores, missing, "no score; the other votes of {} count"),
        _note(
            scores,
            again,
            "{} is rated again by the same listener, whose ratings count as one vote, their mean",
        ),
    )
    names = ("sample_id", "system_id", "corpus", "line", "made_from")
    columns = {name: column for name in names if (column := getattr(scores, name)) is not None}
    kept: dict[str, Any] = {name: [column[row] for row in first] for name, column in columns.items()}
    return replace(
        scores,
        value=value,
        votes=votes_,
        std=None if all(map(math.isnan, std)) else std,
        listener=None,
        by_rater=by_rater,
        notes=(*filter(None, notes), *scores.notes),
        **kept,
    )


def average(votes: list[float]) -> tuple[float, float, float]:
    """Mean, number and standard deviation of votes, of which each listener has one."""
    n = len(votes)
    mean = math.fsum(votes) / n if n else math.nan
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in votes) / (n - 1)) if n > 1 else math.nan
    return mean, float(n), spread


def _note(scores: Scores, rows: list[int], text: str) -> str:
    if not rows:
        return ""
    others = f" ({len(rows) - 1} more such rows)" if len(rows) > 1 else ""
    return f"{scores.place(rows[0])}: {text.format(repr(scores.sample_id[rows[0]]))}{others}"
