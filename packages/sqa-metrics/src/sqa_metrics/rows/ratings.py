"""From one row a rating to one row a sample: the mean of the votes that are there, their number and spread."""

import math
from collections.abc import Sequence

from sqa_metrics.errors import MetricsError
from sqa_metrics.rows.formats import Row


def averaged(rows: Sequence[Row], path: str) -> tuple[list[Row], tuple[str, ...]]:
    """One row a sample, with the line of its first rating; and notes about votes that are missing.

    A rating without a score is left out, and the others count; without any the sample has no score. The spread is the
    sample standard deviation, NaN for a single vote.
    """
    ratings: dict[tuple[str, str, str], dict[str, float]] = {}
    first: dict[tuple[str, str, str], Row] = {}
    missing: list[Row] = []
    for row in rows:
        key = (row.corpus, row.system_id, row.sample_id)
        first.setdefault(key, row)
        if row.listener in ratings.setdefault(key, {}):
            raise MetricsError(f"{path}:{row.line}: listener {row.listener!r} rated {row.sample_id!r} before")
        ratings[key][row.listener] = row.value
        if not math.isfinite(row.value):
            missing.append(row)
    result = []
    for key, by_listener in ratings.items():
        votes = [vote for vote in by_listener.values() if math.isfinite(vote)]
        row, n = first[key], len(votes)
        mean = math.fsum(votes) / n if n else math.nan
        spread = math.sqrt(math.fsum((v - mean) ** 2 for v in votes) / (n - 1)) if n > 1 else math.nan
        result.append(
            Row(row.line, row.sample_id, mean, row.system_id, row.corpus, float(n), spread, path=row.path)
        )
    return result, _note(missing, path)


def _note(missing: list[Row], path: str) -> tuple[str, ...]:
    if not missing:
        return ()
    row, others = missing[0], len(missing) - 1
    more = f" ({others} more such rows)" if others else ""
    return (f"{path}:{row.line}: no score; the other votes of {row.sample_id!r} count{more}",)
