"""From one row a rating to one row a sample: the mean of the votes that are there, their number and spread."""

import math
from collections.abc import Iterable, Sequence

from sqa_metrics.rows.formats import Row


def averaged(rows: Sequence[Row], path: str) -> tuple[list[Row], tuple[str, ...]]:
    """One row a sample, with the line of its first rating; and notes about votes that are missing or repeated.

    A rating without a score is left out, and the others count; without any the sample has no score. Who rates a sample
    again has one vote, the mean. The spread is the sample standard deviation, NaN for a single vote.
    """
    ratings: dict[tuple[str, str, str], dict[str, list[float]]] = {}
    first: dict[tuple[str, str, str], Row] = {}
    missing: list[Row] = []
    again: list[Row] = []
    for row in rows:
        key = (row.corpus, row.system_id, row.sample_id)
        first.setdefault(key, row)
        votes = ratings.setdefault(key, {}).setdefault(row.listener, [])
        if not math.isfinite(row.value):
            missing.append(row)
        else:
            if votes:
                again.append(row)
            votes.append(row.value)
    averages = [_average(first[key], by_listener.values()) for key, by_listener in ratings.items()]
    notes = (
        _note(missing, path, "no score; the other votes of {} count"),
        _note(
            again, path, "{} is rated again by the same listener, whose ratings count as one vote, their mean"
        ),
    )
    return averages, tuple(filter(None, notes))


def _average(row: Row, ratings: Iterable[list[float]]) -> Row:
    votes = [math.fsum(values) / len(values) for values in ratings if values]
    n = len(votes)
    mean = math.fsum(votes) / n if n else math.nan
    spread = math.sqrt(math.fsum((v - mean) ** 2 for v in votes) / (n - 1)) if n > 1 else math.nan
    return Row(row.line, row.sample_id, mean, row.system_id, row.corpus, float(n), spread, path=row.path)


def _note(rows: list[Row], path: str, text: str) -> str:
    if not rows:
        return ""
    others = f" ({len(rows) - 1} more such rows)" if len(rows) > 1 else ""
    return f"{path}:{rows[0].line}: {text.format(repr(rows[0].sample_id))}{others}"
