"""A table as it came, from a file or from memory: columns of raw values, and the place of each row for messages.

None stands for what is not there. Every way in (`formats`, `frames`) ends here, and what a value may be is decided here
once: ids are text or whole numbers, scores are finite or missing.
"""

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from sqa_metrics.errors import MetricsError
from sqa_metrics.numbers import abridged

LARGEST = 1e100  # a larger score is a broken one, and its square would leave the range of a float
EXAMPLE = '{"sample_id": "u1", "system_id": "s1", "metrics": {"mos": 3.5}}'
MANY = 1000  # values by which a column is seen to repeat itself

Column = Sequence[Any]


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Named columns of equal length. Rows of JSON keep scores apart from the other columns, in their `metrics`."""

    path: str  # what messages call it
    lines: Sequence[int]  # of each row: its line in the file (from 1), or its place in memory (from 0)
    names: list[str]  # of the columns that hold anything
    column: Callable[[str], Column]
    metric_names: list[str]  # of the columns that may hold scores
    metric: Callable[[str], Column]
    in_memory: bool = False
    ragged: bool = False  # rows may leave out columns, as JSON does
    has_header: bool = True

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, row: int) -> str:
        """Where a row is: `ref.csv:12` in a file, `ref[11]` in memory."""
        return place(self.path, self.lines[row], self.in_memory)

    def texts(self, name: str) -> list[str]:
        """A column of ids as text, "" where there is none."""
        values = self.column(name)
        if set(map(type, values)) <= {str}:
            return list(values)
        return [self._text(value, row, name) for row, value in enumerate(values)]

    def numbers(self, name: str, values: Column) -> list[float]:
        """A column of numbers, NaN where there is none; infinite ones pass and are dealt with as missing scores."""
        kinds = set(map(type, values))
        if kinds <= {float} and all(-LARGEST <= v <= LARGEST for v in values):
            return list(values)
        if kinds <= {str, type(None)} and len(set(values[:MANY])) < MANY // 4:
            # single ratings: few texts, each many times; where one is no number, its first row is to blame
            first = dict(zip(reversed(values), range(len(values) - 1, -1, -1), strict=True))
            known = {
                text: math.nan if text is None else self._number(text, row, name)
                for text, row in sorted(first.items(), key=itemgetter(1))
            }
            return list(map(known.__getitem__, values))
        return [math.nan if v is None else self._number(v, row, name) for row, v in enumerate(values)]

    def amounts(self, name: str) -> list[float]:
        """A column of numbers from 0 on: votes, deviations."""
        values = self.numbers(name, self.column(name))
        if (low := next((row for row, value in enumerate(values) if value < 0), None)) is not None:
            raise MetricsError(f"{self.place(low)}: {name} is {values[low]:g}, expected 0 or more")
        return values

    def _text(self, value: Any, row: int, name: str) -> str:
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise MetricsError(
                f"{self.place(row)}: {name} is {abridged(value)}, expected text or a 64-bit integer"
            )
        return value

    def _number(self, value: Any, row: int, name: str) -> float:
        number = math.nan
        decimal = type(value).__name__ == "Decimal"  # as Arrow gives them
        odd = isinstance(value, bool) or not (isinstance(value, int | float | str) or decimal)
        odd = odd or (isinstance(value, str) and ("_" in value or not value.isascii()))
        try:
            number = math.nan if odd else float(value)
        except ValueError:
            odd = True
        except OverflowError:
            number = sys.float_info.max
        if odd or LARGEST < abs(number) < math.inf:
            limit = "" if odd else f" of at most {LARGEST:g} in size"
            raise MetricsError(f"{self.place(row)}: {name} is {abridged(value)}, expected a number{limit}")
        return number


def place(path: str, line: int, in_memory: bool) -> str:
    """Where a row is: `ref.csv:12` in a file, `ref[11]` in memory."""
    return f"{path}[{line}]" if in_memory else f"{path}:{line}"


def of_columns(
    path: str,
    columns: Mapping[str, Column],
    lines: Sequence[int],
    *,
    in_memory: bool = False,
    header: bool = True,
) -> Table:
    """The table of columns that are there for every row."""
    names = list(columns)
    return Table(
        path, lines, names, columns.__getitem__, names, columns.__getitem__, in_memory, False, header
    )


def of_rows(path: str, rows: Sequence[Any], lines: Sequence[int], *, in_memory: bool = False) -> Table:
    """The table of JSON objects, whose scores are in `metrics` where they have that, else beside the ids."""
    fields: list[dict[str, Any]] = []
    for row, line in zip(rows, lines, strict=True):
        # null says that nothing was measured
        scores = row.get("metrics", row) if isinstance(row, dict) else None
        if not isinstance(row, dict):
            raise MetricsError(f"{place(path, line, in_memory)}: no sample_id; expected {EXAMPLE}")
        if scores is not None and not isinstance(scores, dict):
            raise MetricsError(
                f"{place(path, line, in_memory)}: 'metrics' is not an object; expected {EXAMPLE}"
            )
        fields.append({} if scores is None else scores)
    return Table(
        path,
        lines,
        _filled(rows),
        lambda name: [row.get(name) for row in rows],
        _filled(fields),
        lambda name: [scores.get(name) for scores in fields],
        in_memory,
        ragged=True,
    )


def _filled(rows: Iterable[dict[str, Any]]) -> list[str]:
    """The keys that some row gives a value, in order of appearance."""
    return list(dict.fromkeys(key for row in rows for key, value in row.items() if value is not None))
