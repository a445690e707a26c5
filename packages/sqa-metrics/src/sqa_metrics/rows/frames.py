"""Tables from what is in memory: data frames, dicts of columns, lists of rows, scores by id.

No library is imported for a frame: pandas, Polars, Arrow, Hugging Face datasets and others are asked for the names of
their columns and for a column as a list, only where it is needed. A named index of pandas is a column too.
"""

import functools
import importlib
from collections.abc import Callable, Collection, Mapping, Set
from numbers import Real
from typing import Any

from sqa_metrics.errors import MetricsError
from sqa_metrics.rows.table import Column, Table, of_rows

EXPECTED = (
    "expected a path, an open file, a data frame, a dict of columns, a list of dicts, a dict of scores by sample_id, "
    "or one-dimensional arrays of both sides"
)
BUILT_IN = frozenset({str, int, float, bool, type(None), dict, list})
LAZY = ("collect", "compute")  # frames of Polars and Dask that are still to be made, and how
ARRAYS = ("__array__", "to_numpy", "detach")  # what arrays, series and tensors have
# what pandas puts where there is nothing, besides NaN and None; known by name, so that nothing is imported
NOTHING = ("NAType", "NaTType")


def table_of(source: Any, name: str) -> Table:
    """The table that an object holds; `name` is for messages. MetricsError if it is no table.

    >>> table = table_of({"sample_id": ["a", "b"], "mos": [3.5, None]}, "ref")
    >>> table.names, table.numbers("mos", table.column("mos"))
    (['sample_id', 'mos'], [3.5, nan])
    """
    if isinstance(source, list | tuple):
        table = of_rows(name, [_row(row) for row in source], range(len(source)), in_memory=True)
    else:
        names, column, n = _columns(source, name)
        column = functools.cache(column)
        table = Table(name, range(n), names, column, names, column, in_memory=True)
    if not len(table):
        raise MetricsError(f"{name}: no rows; expected one score a row")
    return table


def _columns(source: Any, name: str) -> tuple[list[str], Callable[[str], Column], int]:
    """Names of the columns, what gives each as a list, and the number of rows."""
    if isinstance(source, Mapping):
        return _of_mapping(source, name)
    for verb in LAZY:
        if hasattr(source, verb):
            raise MetricsError(f"{name}: is lazy ({type(source).__name__}); {verb}() it first")
    names = _names(source)
    if names is None and hasattr(source, "__arrow_c_stream__"):
        try:
            source = importlib.import_module("pyarrow").table(source)
        except ImportError:
            raise MetricsError(
                f"{name}: {type(source).__name__} is read through pyarrow; install it (pip install pyarrow)"
            ) from None
        names = source.column_names
    if names is None:
        raise MetricsError(f"{name} is {type(source).__name__}; {EXPECTED}")
    if len(set(names)) < len(names):
        raise MetricsError(f"{name}: column {next(n for n in names if names.count(n) > 1)!r} is there twice")
    read = {str(n): functools.partial(source.__getitem__, n) for n in names}
    index: Any = getattr(source, "index", None)
    for level in getattr(index, "names", ()):
        if level is not None and str(level) not in read:
            read[str(level)] = functools.partial(index.get_level_values, level)
    return list(read), lambda n: plain_values(read[n]()), len(source)


def _names(source: Any) -> list[Any] | None:
    """Names of the columns of a frame; None for what has no columns."""
    for names in (
        getattr(source, "column_names", None),
        getattr(source, "columns", None),
        getattr(getattr(source, "dtype", None), "names", None),
    ):
        if names is not None and hasattr(source, "__getitem__") and not callable(names):
            return list(names)
    return None


def _of_mapping(source: Mapping[Any, Any], name: str) -> tuple[list[str], Callable[[str], Column], int]:
    if source and all(
        isinstance(value, Real) or getattr(value, "shape", None) == () for value in source.values()
    ):
        scores: dict[str, Column] = {
            "sample_id": plain_values(list(source)),
            "mos": plain_values(list(source.values())),
        }
        return list(scores), scores.__getitem__, len(source)
    columns = {}
    for key, values in source.items():
        if isinstance(values, str | bytes | Mapping) or not hasattr(values, "__len__"):
            raise MetricsError(
                f"{name}: column {key!r} is {type(values).__name__}; expected a list or an array with a value a row"
            )
        columns[str(key)] = values
    n = len(next(iter(columns.values()), ()))
    for key, values in columns.items():
        if len(values) != n:
            raise MetricsError(
                f"{name}: column {key!r} has {len(values)} values, {next(iter(columns))!r} has {n}; "
                "expected as many in each"
            )
    return list(columns), lambda key: plain_values(columns[key]), n


def plain_values(column: Any) -> list[Any]:
    """A column as a list of plain values, None for what is not there."""
    for verb in ("to_pylist", "to_list", "tolist"):  # Arrow, Polars and pandas, NumPy and tensors
        if hasattr(column, verb):
            column = getattr(column, verb)()
            break
    values = list(column)
    kinds = set(map(type, values))
    return values if kinds <= {str, int, type(None)} else [_plain(value) for value in values]


def _plain(value: Any) -> Any:
    """A value without its library: single numbers as Python's own, NaN and pandas' NA as None."""
    if type(value) not in BUILT_IN:
        if type(value).__name__ in NOTHING:
            return None
        if getattr(value, "shape", None) == () and hasattr(value, "item"):
            value = value.item()
    return None if isinstance(value, float) and value != value else value


def _row(row: Any) -> Any:
    """A row of a list with plain values, also in its `metrics`."""
    if not isinstance(row, Mapping):
        return row
    return {str(k): _row(v) if isinstance(v, Mapping) else _plain(v) for k, v in row.items()}


def is_table(source: Any, name: str) -> bool:
    """Whether an object has columns, or rows with names; False: it is an array. MetricsError if it is neither."""
    if isinstance(source, Mapping) or any(hasattr(source, verb) for verb in LAZY):
        return True
    if isinstance(source, list | tuple):
        return bool(source) and isinstance(source[0], Mapping)
    if _names(source) is not None:
        return True
    if any(hasattr(source, verb) for verb in ARRAYS):
        return False
    if hasattr(source, "__arrow_c_stream__"):
        return True
    if isinstance(source, str | bytes | bytearray | Set) or not isinstance(source, Collection):
        raise MetricsError(f"{name} is {type(source).__name__}; {EXPECTED}")
    return False
