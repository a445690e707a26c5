"""Read the label files of corpora: delimited text, with the line of whatever is wrong in it."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqa_data.errors import DataError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a label file: the texts of its columns, and what they say or where they are wrong."""

    path: Path
    line: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]

    def number(self, column: str, low: float = 1, high: float = 5) -> float:
        """A number within [low, high]."""
        return number(self.values[column], column, self.path, self.line, low, high)

    def number_or_none(self, column: str, low: float = 1, high: float = 5) -> float | None:
        """`number`, or None where nothing or NaN stands."""
        return None if self.values[column].strip().lower() in ("", "nan") else self.number(column, low, high)

    def numbers(self, column: str, low: float = 1, high: float = 5) -> list[float]:
        """The numbers of a list such as "[4, 3.5]", each within [low, high]; none where nothing stands."""
        text = self.values[column].strip()
        if text[:1] + text[-1:] not in ("", "[]"):
            raise DataError(
                f"{self.path}:{self.line}: {column} is {text!r}; expected a list such as [4, 3.5]"
            )
        parts = text[1:-1].split(",") if text[1:-1].strip() else []
        return [number(part.strip(), column, self.path, self.line, low, high) for part in parts]

    def votes(self, column: str) -> int | None:
        """How many listeners; None where nothing stands."""
        return int(self.number(column, 1, 1e6)) if self.values[column] else None

    def inside(self, column: str) -> str:
        """A path that stays inside the corpus folder, in its plain form."""
        return below(self.values[column], self.path, self.line)


@dataclass(frozen=True, slots=True)
class Tables(Generic[T]):
    """Label files whose rows each say something of their own; called with the corpus folder, all that they say."""

    files: Mapping[str, str]  # below the corpus folder -> the split of its rows
    columns: tuple[str, ...]  # see read_rows
    read: Callable[[Row, str], Iterator[T]]  # of a row and its split

    def __call__(self, root: Path) -> Iterator[T]:
        for name, split in self.files.items():
            for row in rows(root / name, *self.columns):
                yield from self.read(row, split)


def each_row(
    files: Mapping[str, str], *columns: str
) -> Callable[[Callable[[Row, str], Iterator[T]]], Tables[T]]:
    """Decorate what reads one row of these `files` (-> their split): it becomes the `parse` of a corpus."""
    return lambda read: Tables(files, columns, read)


def rows(path: Path, *columns: str) -> Iterator[Row]:
    """The rows of a comma-separated file with a header; a column "name?" that is missing is "", see `read_rows`."""
    names = [column.rstrip("?") for column in columns]
    for line, values in read_rows(path, list(columns)):
        yield Row(path, line, dict(zip(names, values, strict=True)))


def read_rows(path: Path, columns: list[str] | None = None) -> Iterator[tuple[int, list[str]]]:
    """(line, the values of `columns` in that order) of a comma-separated file.

    A byte order mark and blank lines are skipped. Columns are named by the header, whose case does not matter; a
    column written "name?" may be missing, its values are then "". Without `columns` the file has no header and the
    whole row is given.
    """
    picks: list[int | None] | None = None
    for line, row in _lines(path):
        if columns is None:
            yield line, row
        elif picks is None:
            picks = _picks(path, row, columns)
            needed = max((p for p in picks if p is not None), default=0) + 1
        elif len(row) < needed:
            raise DataError(f"{path}:{line}: {len(row)} fields; expected at least {needed}")
        else:
            yield line, ["" if p is None else row[p] for p in picks]


def read_sheet(path: Path, sheet: str, *columns: str) -> tuple[list[str], list[tuple[int, list[Any]]]]:
    """Header and (line, cells) below it of a sheet of a workbook; the header is the first row with `columns[0]`."""
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        found: list[list[Any]] = CalamineWorkbook.from_path(path).get_sheet_by_name(sheet).to_python()
    except (CalamineError, OSError) as error:
        raise DataError(f"{path}: cannot read sheet {sheet!r}: {error}") from error
    start = next((i for i, row in enumerate(found) if columns[0] in row), None)
    missing = [c for c in columns if start is None or c not in found[start]]
    if start is None or missing:
        raise DataError(f"{path}: sheet {sheet!r} has no column {', '.join(missing)}")
    return found[start], [(i + 1, row) for i, row in enumerate(found) if i > start and any(row)]


def read_json(path: Path) -> Any:
    """What a JSON file says."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot read the label file: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: no JSON ({error})") from error


def read_header(path: Path) -> list[str]:
    """The column names of a comma-separated file."""
    return next((row for _, row in _lines(path)), [])


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


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """(line, fields) of each row that is not blank, without a byte order mark."""
    try:
        file = path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise DataError(f"{path}: cannot read the label file: {error.strerror}") from error
    with file:
        reader = csv.reader(file)
        try:
            for row in reader:
                if row:
                    yield reader.line_num, row
        except csv.Error as error:
            raise DataError(f"{path}:{reader.line_num}: {error}") from error
        except UnicodeDecodeError as error:
            raise DataError(f"{path}:{reader.line_num}: not UTF-8 text ({error.reason})") from error


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
