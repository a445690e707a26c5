"""Scores from a source of any kind: a path, an open file, standard input, or a table in memory.

What files look like is in `formats`, what objects look like in `frames`, which column is what in `pick`. Where each row
is the rating of one listener, a sample has the mean of those that are there (`votes`).
"""

import math
import os
import posixpath
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqa_metrics.errors import MetricsError
from sqa_metrics.rows import formats
from sqa_metrics.rows.ids import listed_id, without_suffix
from sqa_metrics.rows.names import Named, one_side
from sqa_metrics.rows.pick import pick
from sqa_metrics.rows.records import Role, Scores, Source
from sqa_metrics.rows.table import Table


def read_scores(
    source: Source,
    metric: str = "mos",
    *,
    role: Role = "pred",
    utt2sys: dict[str, str] | None = None,
    columns: Named | None = None,
) -> Scores:
    """Read one score file (path, "-" for standard input, or an open file), data frame, dict or list of dicts.

    `utt2sys` gives the system of each sample_id; `columns` names columns that are called otherwise ({"mos": "SIG"}).
    Raises MetricsError naming file and line, or the row in memory.

    >>> import io
    >>> scores = read_scores(io.BytesIO(b"u1,3.5\\nu2.wav,4\\n"))
    >>> scores.sample_id, scores.value
    (['u1', 'u2'], [3.5, 4.0])
    """
    return scores_of(table_of(source, role), metric, role, utt2sys, one_side(columns, role))


def read_utt2sys(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read the system of each clip: Kaldi's `utt system`, one a line, or a manifest in JSON Lines.

    Audio paths also go by their id; rows of a manifest that name no system do not count. Raises MetricsError naming
    file and line.

    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile() as file:
    ...     _ = file.write(b"u1 s1\\nu2 s1\\n"), file.flush()
    ...     read_utt2sys(file.name)
    {'u1': 's1', 'u2': 's1'}
    """
    content = content_of(path)
    owners = _owners_in_manifest if content.lstrip().startswith(b"{") else _owners_by_line
    table: dict[str, str] = {}
    for place, utt, system in owners(content, str(path)):
        for name in {utt, listed_id(utt)}:
            if table.setdefault(name, system) != system:
                raise MetricsError(f"{place}: {name!r} is in {table[name]!r} already, found {system!r}")
    return table


def _owners_in_manifest(content: bytes, path: str) -> Iterator[tuple[str, str, str]]:
    """Place, clip and system of each row that names a system."""
    table = formats.table_of(content, path)
    for row, (utt, system) in enumerate(zip(table.texts("sample_id"), table.texts("system_id"), strict=True)):
        if system:
            yield table.place(row), utt, system


def _owners_by_line(content: bytes, path: str) -> Iterator[tuple[str, str, str]]:
    """The same of Kaldi's lines."""
    for number, line in enumerate(formats.text_of(content, path).split("\n"), 1):
        fields = line.split()
        if fields and len(fields) != 2:
            raise MetricsError(f"{path}:{number}: found {len(fields)} fields, expected 'utt system'")
        if fields:
            yield f"{path}:{number}", fields[0], fields[1]


def is_file(source: Any) -> bool:
    """Whether a source is read as bytes: a path, or something open."""
    return isinstance(source, str | os.PathLike) or hasattr(source, "read")


def name_of(source: Source) -> str:
    """What messages call a file."""
    if isinstance(source, str | os.PathLike):
        return "<stdin>" if os.fspath(source) == "-" else os.fspath(source)
    return str(getattr(source, "name", "<file>"))


def content_of(source: Source) -> bytes:
    """All bytes of a file. Files, pipes and standard input are read; devices and folders are refused."""
    if not isinstance(source, str | os.PathLike):
        data = source.read()
        return data.encode() if isinstance(data, str) else bytes(data)
    if os.fspath(source) == "-":
        return sys.stdin.buffer.read()
    try:
        kind = os.stat(source).st_mode
        if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
            raise MetricsError(f"{source}: is a device; expected a file (- is standard input)")
        with open(source, "rb") as file:
            return file.read()
    except FileNotFoundError:
        raise MetricsError(f"{source}: no such file") from None
    except OSError as error:
        raise MetricsError(f"{source}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise MetricsError(f"{str(source)!r}: cannot be read: {error}") from None


def table_of(source: Source, name: str) -> Table:
    """The table that a source of any kind holds; `name` is what messages call what has no name of its own."""
    if is_file(source):
        return formats.table_of(content_of(source), name_of(source))
    # here and not above: files do without it
    from sqa_metrics.rows import frames

    return frames.table_of(source, name)


def scores_of(
    table: Table,
    metric: str,
    role: Role,
    utt2sys: Mapping[str, str] | None,
    columns: Named,
    *,
    scale_given: bool = False,
) -> Scores:
    """The scores in a table: one a sample, the mean where rows are single ratings."""
    scores = pick(table, metric, role, columns, scale_given=scale_given)
    if not any(map(math.isfinite, scores.value)):
        raise MetricsError(
            f"{table.path}: none of the {len(table)} rows has a finite {metric}; give a file with scores, or name "
            "another metric (--ref-metric, --pred-metric)"
        )
    if scores.listener is not None and any(scores.listener):
        from sqa_metrics.rows.votes import averaged

        scores = averaged(scores)
    scores = replace(scores, sample_id=_told_apart(scores))
    if utt2sys is None:
        return scores
    return replace(scores, system_id=by_utt2sys(scores.sample_id, utt2sys, scores.place))


def by_utt2sys(
    sample_id: Sequence[str], utt2sys: Mapping[str, str], place: Callable[[int], str]
) -> list[str]:
    """The system of each sample; MetricsError with the `place` of a row that has none."""
    systems = [utt2sys.get(name) or utt2sys.get(listed_id(name), "") for name in sample_id]
    if not all(systems):
        row = systems.index("")
        raise MetricsError(f"{place(row)}: sample_id {sample_id[row]!r} is not in utt2sys")
    return systems


def _told_apart(scores: Scores) -> list[str]:
    """The ids; where files of one name lie in several folders, their paths below the common folder, without suffix."""
    paths = [path.replace("\\", "/") for path in scores.made_from or ()]
    if not all(paths) or len({p[:1] == "/" for p in paths}) != 1 or len(set(paths)) < len(paths):
        return scores.sample_id
    columns = (column for column in (scores.corpus, scores.system_id, scores.sample_id) if column)
    if len(set(zip(*columns, strict=True))) == len(paths):
        return scores.sample_id
    common = posixpath.commonpath([posixpath.dirname(p) for p in paths])
    return [without_suffix(posixpath.relpath(path, common or ".")) for path in paths]
