"""What counts as scores: the one conversion that every public function begins with, whatever computes afterwards.

A list, tuple or other sequence of real numbers, an array, a series of pandas or polars, or a tensor, of one dimension.
Nothing is guessed: text, None, dates, complex numbers, masked values and other shapes are errors that name the argument
and the place. NaN and infinity pass; the figures deal with them. NumPy is imported only for what is no plain sequence.
"""

import math
import sys
from collections.abc import Collection, Mapping, Sequence, Set
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

if TYPE_CHECKING:
    import numpy as np

    # A sequence, an array, a series or a tensor: what `as_scores` takes.
    Scores: TypeAlias = Sequence[float] | np.ndarray

EXPECTED = "expected a one-dimensional sequence of numbers"
SHOWN = 40  # characters of a wrong value in a message


class NonFiniteError(ValueError):
    """NaN or infinity met where a figure is computed; the caller, who knows the argument's name, says where."""


def as_scores(name: str, values: object) -> "list[float] | np.ndarray":
    """`values` as a list of floats or a contiguous float64 array (n,); ValueError naming `name` and the place.

    >>> as_scores("ref", (1, 2.5))
    [1.0, 2.5]
    >>> as_scores("ref", [1, None])
    Traceback (most recent call last):
    ValueError: ref[1] is None; expected a number
    """
    if _is_plain_array(values):
        return values
    if isinstance(values, str | bytes | bytearray | Mapping | Set):
        raise ValueError(f"{name} is {type(values).__name__}; {EXPECTED}")
    if isinstance(values, list | tuple | range):
        return _from_sequence(name, values)
    if hasattr(values, "detach") and hasattr(values, "cpu"):
        values = _from_tensor(name, values)
    elif hasattr(values, "to_numpy"):
        values = values.to_numpy()
    if hasattr(values, "__array__"):
        return _from_array(name, values)
    if isinstance(values, Collection):
        return _from_sequence(name, list(values))
    raise ValueError(f"{name} is {type(values).__name__}; {EXPECTED}")


def _is_plain_array(values: Any) -> "TypeGuard[np.ndarray]":
    """The common case, asked first, since a figure of twenty scores takes a microsecond."""
    np = sys.modules.get("numpy")
    return (
        np is not None
        and type(values) is np.ndarray
        and values.dtype is _float64(np)
        and values.ndim == 1
        and values.flags.carray
    )


@cache
def _float64(np: Any) -> Any:
    return np.dtype(np.float64)


def as_matrix(name: str, rows: Any, n: int | None = None) -> "np.ndarray":
    """Equally long rows of finite scores as a float64 array (m, n); ValueError naming the row and the place."""
    import numpy as np

    arrays = [np.asarray(as_scores(f"{name}[{k}]", row)) for k, row in enumerate(rows)]
    if n is None:
        n = len(arrays[0]) if arrays else 0
    for k, array in enumerate(arrays):
        if len(array) != n:
            raise ValueError(f"{name}[{k}] has {len(array)} values; expected {n}")
        require_finite(f"{name}[{k}]", array)
    return np.array(arrays).reshape(len(arrays), n)


def require_finite(name: str, scores: "list[float] | np.ndarray") -> None:
    """Raise ValueError for the first NaN or infinity."""
    if not isinstance(scores, list) and (abs(scores) < math.inf).all():
        return
    for place, value in enumerate(scores):
        if not math.isfinite(value):
            raise ValueError(
                f'{name}[{place}] is {value}; expected finite numbers (nan_policy="omit" drops such pairs)'
            )


def _from_sequence(name: str, values: Sequence[Any]) -> list[float]:
    try:
        if set(map(type, values)) <= {float, int}:
            return list(map(float, values))
        return [_number(f"{name}[{k}]", value) for k, value in enumerate(values)]
    except OverflowError:
        place = next(k for k, v in enumerate(values) if isinstance(v, int) and abs(v) > sys.float_info.max)
        raise ValueError(f"{name}[{place}] is an integer beyond the range of a float") from None


def _number(place: str, value: Any) -> float:
    """One item as a float: a real number of any library, or an array or tensor of no dimension."""
    # Here and not above: half a millisecond of a cold start.
    from numbers import Real

    if isinstance(value, Real):
        return float(value)
    # Decimal, and single numbers of arrays and tensors, whose kind their dtype tells
    dtype = str(getattr(value, "dtype", "decimal" if type(value).__name__ == "Decimal" else "object"))
    single = getattr(value, "shape", ()) == ()
    real = any(kind in dtype for kind in ("int", "float", "bool", "decimal"))
    if single and real and not getattr(value, "mask", False):
        return float(value)
    raise ValueError(f"{place} is {abridged(value)}; expected a number")


def abridged(value: object) -> str:
    """A wrong value as it stands in a message."""
    text = repr(value)
    return text if len(text) < SHOWN else text[: SHOWN - 4] + "..."


def _from_tensor(name: str, tensor: Any) -> Any:
    """A tensor's values as an array: without its gradient, on the CPU, in double precision (also bfloat16)."""
    if tensor.is_complex():
        raise ValueError(f"{name} holds {tensor.dtype}; expected real numbers")
    return tensor.detach().cpu().double().numpy()


def _from_array(name: str, values: Any) -> "list[float] | np.ndarray":
    import numpy as np

    array = values if isinstance(values, np.ndarray) else np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; expected one dimension")
    if isinstance(array, np.ma.MaskedArray):
        if (masked := np.flatnonzero(np.ma.getmaskarray(array))).size:
            raise ValueError(f"{name}[{masked[0]}] is masked; expected a number")
        array = array.data
    if array.dtype.kind == "O":
        return _from_sequence(name, array.tolist())
    if array.dtype.kind not in "fiub" and "float" not in array.dtype.name:
        raise ValueError(f"{name} holds {array.dtype}; expected numbers")
    # float64, contiguous, aligned and writeable: the one form that the kernels are compiled for
    return np.array(array, dtype=np.float64)
