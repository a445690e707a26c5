"""Read the label files of corpora: delimited text, with the line of whatever is wrong in it."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from sqa_data.errors import DataError


def read_rows(path: Path, columns: list[str] | None = None) -> Iterator[tuple[int, list[str]]]:
    """(line, the values of `columns` in that order) of a comma-separated file.

    A byte order mark and blank lines are skipped. Columns are named by the header, whose case does not matter; a
    column written "name?" may be missing, its values are then "". Without `columns` the file has no header and the
    whole row is given.
    """
    with _open(path) as file:
        reader = csv.reader(file)
        try:
            picks: list[int | None] | None = None
            for row in reader:
                if not row:
                    continue
                if columns is None:
                    yield reader.line_num, row
                elif picks is None:
                    picks = _picks(path, row, columns)
                    needed = max((p for p in picks if p is not None), default=0) + 1
                elif len(row) < needed:
                    raise DataError(
                        f"{path}:{reader.line_num}: {len(row)} fields; expected at least {needed}"
                    )
                else:
                    yield reader.line_num, ["" if p is None else row[p] for p in picks]
        except csv.Error as error:
            raise DataError(f"{path}:{reader.line_num}: {error}") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{reader.line_num}: not UTF-8 text ({error.reason})") from error


def read_header(path: Path) -> list[str]:
    """The column names of a comma-separated file."""
    with _open(path) as file:
        return next(csv.reader(file), [])


def number(text: str, column: str, path: Path, line: int, low: float = 1, high: float = 5) -> float:
    """`text` as a number within [low, high]; anything else is an error that names the line."""
    try:
        value = float(text)
    except ValueError:
        raise DataError(f"{path}:{line}: {column} is {text!r}; expected a number") from None
    if not low <= value <= high:
        raise DataError(f"{path}:{line}: {column} is {text}; expected a number in {low:g}..{high:g}")
    return value


def below(path: str, where: Path, line: int) -> str:
    """A relative path of a label file in its plain form; one that leaves the corpus folder is an error."""
    parts = [part for part in path.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts or path.startswith(("/", "\\")):
        raise DataError(f"{where}:{line}: {path!r} is no path inside the corpus")
    return "/".join(parts)


def _open(path: Path) -> io.TextIOWrapper:
    try:
        return path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise DataError(f"{path}: cannot read the label file: {error.strerror}") from error


def _picks(path: Path, header: list[str], columns: list[str]) -> list[int | None]:
    names = [name.strip().lower() for name in header]
    picks: list[int | None] = []
    for column in columns:
        name = column.rstrip("?")
        if name.lower() in names:
            picks.append(names.index(name.lower()))
        elif column.endswith("?"):
            picks.append(None)
        else:
            raise DataError(f"{path}:1: no column {name!r}; found {', '.join(header)}")
    return picks
