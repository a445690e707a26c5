"""Read a score file, or standard input, as columns. The formats are in `formats`.

Where each row is the rating of one listener, a sample has the mean of those that are there.
"""

import math
import posixpath
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from sqa_metrics.errors import MetricsError
from sqa_metrics.rows.formats import Row, reader_of, text_of
from sqa_metrics.rows.ids import listed_id, without_suffix
from sqa_metrics.rows.records import Role, Scores, Source

# What files of other toolkits call the MOS column, in the order of preference for each role (SHEET's result
# tables carry the true `avg_score` beside the predicted `answer`).
MOS_COLUMNS = {
    "ref": ("mos", "MOS", "avg_score", "mean_score", "score", "rating"),
    "pred": ("mos", "MOS", "answer", "avg_score", "mean_score", "score"),
}


def read_scores(
    source: Source, metric: str = "mos", *, role: Role = "pred", utt2sys: dict[str, str] | None = None
) -> Scores:
    """Read one score file (path, "-" for standard input, or an open binary file).

    `utt2sys` gives the system of each sample_id. Raises MetricsError naming file and line.

    >>> import io
    >>> scores = read_scores(io.BytesIO(b"u1,3.5\\nu2.wav,4\\n"))
    >>> scores.sample_id, scores.value
    (['u1', 'u2'], [3.5, 4.0])
    """
    return parse(content_of(source), name_of(source), metric, role, utt2sys)


def read_utt2sys(path: str | Path) -> dict[str, str]:
    """Read a Kaldi `utt2sys` file: `utt system`, one a line; audio paths also go by their id.

    Raises MetricsError naming file and line.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"u1 s1\\nu2 s1\\n"), file.flush()
    ...     read_utt2sys(file.name)
    {'u1': 's1', 'u2': 's1'}
    """
    table: dict[str, str] = {}
    for number, line in enumerate(text_of(content_of(path), str(path)).split("\n"), 1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 2:
            raise MetricsError(f"{path}:{number}: found {len(fields)} fields, expected 'utt system'")
        utt, system = fields
        for name in {utt, listed_id(utt)}:
            if table.setdefault(name, system) != system:
                raise MetricsError(
                    f"{path}:{number}: {name!r} is in {table[name]!r} already, found {system!r}"
                )
    return table


def name_of(source: Source) -> str:
    """What messages call a source."""
    if isinstance(source, str | Path):
        return "<stdin>" if str(source) == "-" else str(source)
    return str(getattr(source, "name", "<file>"))


def content_of(source: Source) -> bytes:
    """All bytes of a source. Files, pipes and standard input are read; devices and folders are refused."""
    if not isinstance(source, str | Path):
        data = source.read()
        return data.encode() if isinstance(data, str) else data
    if str(source) == "-":
        return sys.stdin.buffer.read()
    try:
        kind = Path(source).stat().st_mode
        if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
            raise MetricsError(f"{source}: is a device; expected a file (- is standard input)")
        return Path(source).read_bytes()
    except FileNotFoundError:
        raise MetricsError(f"{source}: no such file") from None
    except OSError as error:
        raise MetricsError(f"{source}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise MetricsError(f"{str(source)!r}: cannot be read: {error}") from None


def parse(data: bytes, path: str, metric: str, role: Role, utt2sys: dict[str, str] | None) -> Scores:
    """The columns of a file's content; `path` is for messages."""
    names = MOS_COLUMNS[role] if metric == "mos" else (metric,)
    rows = list(reader_of(data, path)(data, path, names))
    notes: tuple[str, ...] = ()
    if not rows:
        raise MetricsError(f"{path}: no rows; expected one score a line")
    if not any(math.isfinite(row.value) for row in rows):
        raise MetricsError(
            f"{path}: none of the {len(rows)} rows has a finite {metric}; give a file with scores, or name another "
            "metric (--ref-metric, --pred-metric)"
        )
    if any(row.listener for row in rows):
        rows, notes = _averaged(rows, path)
    _tell_apart(rows)
    if utt2sys is not None:
        for row in rows:
            row.system_id = utt2sys.get(row.sample_id) or utt2sys.get(listed_id(row.sample_id), "")
            if not row.system_id:
                raise MetricsError(f"{path}:{row.line}: sample_id {row.sample_id!r} is not in utt2sys")
    return Scores(
        path=path,
        metric=metric,
        sample_id=[r.sample_id for r in rows],
        system_id=[r.system_id for r in rows] if any(r.system_id for r in rows) else None,
        corpus=[r.corpus for r in rows] if any(r.corpus for r in rows) else None,
        value=[r.value for r in rows],
        line=[r.line for r in rows],
        votes=[r.votes for r in rows] if any(r.votes == r.votes for r in rows) else None,
        std=[r.std for r in rows] if any(r.std == r.std for r in rows) else None,
        notes=notes,
    )


def _tell_apart(rows: list[Row]) -> None:
    """Where files of one name lie in several folders, ids are the paths below the common folder, without suffix."""
    paths = [row.path.replace("\\", "/") for row in rows]
    alike = len({(row.corpus, row.system_id, row.sample_id) for row in rows}) < len(rows)
    if alike and all(paths) and len(set(paths)) == len(paths) and len({p[:1] == "/" for p in paths}) == 1:
        common = posixpath.commonpath([posixpath.dirname(p) for p in paths])
        for row, path in zip(rows, paths, strict=True):
            row.sample_id = without_suffix(posixpath.relpath(path, common or "."))


def _averaged(rows: Sequence[Row], path: str) -> tuple[list[Row], tuple[str, ...]]:
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
