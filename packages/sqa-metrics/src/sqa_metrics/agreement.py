"""How well predicted scores agree with listeners: MSE, LCC, SRCC and KTAU of two equally long sequences.

Reference first, always. Two ways to one result: plain Python (`_plain`), which imports nothing, until this
process has spent on it what importing the Numba kernels costs; then these (`_kernels`). SRCC and KTAU come
out the same to the last bit, MSE and LCC to some 1e-15.

Input without variation (or fewer than two items) has no correlation: NaN, with a `ConstantInputWarning`.
NaN or infinity in the input is an error unless `nan_policy="omit"`, which drops the pair and says how many.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sqa_metrics import _plain

if TYPE_CHECKING:
    import numpy as np

    Scores = Sequence[float] | np.ndarray

# Seconds in plain Python per item, and to import NumPy, Numba and the kernels (cached): rough, measured by
# benchmarks/bench_agreement.py on a 2026 server core. Paying the price once as much is spent costs at most
# twice the best choice made in hindsight.
PLAIN_COST = {"mse": 0.06e-6, "lcc": 0.25e-6, "srcc": 0.7e-6, "ktau": 1.5e-6, "four": 2.5e-6}
KERNEL_PRICE = 0.5

_kernels: ModuleType | None = None
_spent = 0.0


class ConstantInputWarning(UserWarning):
    """The metric is undefined for this input (all values equal, or too few), so the result is NaN."""


class OmittedWarning(UserWarning):
    """`nan_policy="omit"` dropped pairs that hold NaN or infinity; the message says how many."""


def mse(ref: Scores, pred: Scores, *, nan_policy: str = "raise") -> float:
    """Mean squared error, in squared units of the scores, 0 at best.

    >>> mse([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    1.6666666666666667
    """
    result: float = _computed("mse", ref, pred, nan_policy)
    return result


def lcc(ref: Scores, pred: Scores, *, nan_policy: str = "raise") -> float:
    """Linear (Pearson) correlation coefficient, -1 to 1.

    >>> round(lcc([1.0, 2.0, 4.0], [1.0, 3.0, 2.0]), 6)
    0.327327
    """
    result: float = _computed("lcc", ref, pred, nan_policy)
    return result


def srcc(ref: Scores, pred: Scores, *, nan_policy: str = "raise") -> float:
    """Spearman rank correlation coefficient (Pearson's on mid-ranks), -1 to 1.

    >>> srcc([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    0.5
    """
    result: float = _computed("srcc", ref, pred, nan_policy)
    return result


def ktau(ref: Scores, pred: Scores, *, nan_policy: str = "raise") -> float:
    """Kendall rank correlation, tau-b (corrected for ties), -1 to 1.

    Kendall (1945), "The treatment of ties in ranking problems", Biometrika 33(3).

    >>> ktau([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    0.3333333333333333
    """
    result: float = _computed("ktau", ref, pred, nan_policy)
    return result


METRICS: dict[str, Callable[..., float]] = {"mse": mse, "lcc": lcc, "srcc": srcc, "ktau": ktau}


def four(ref: Scores, pred: Scores, *, nan_policy: str = "raise") -> dict[str, float]:
    """All four at once, by name, in the order of `METRICS`: cheaper than four calls.

    >>> four([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    {'mse': 0.0, 'lcc': 1.0, 'srcc': 1.0, 'ktau': 1.0}
    """
    result: dict[str, float] = _computed("four", ref, pred, nan_policy)
    return result


def ktau_many(ref: Scores, preds: Sequence[Scores] | np.ndarray) -> np.ndarray:
    """Tau-b of each of m predictors against one reference: (n,) and (m, n) -> (m,), NaN where undefined.

    >>> ktau_many([1.0, 2.0, 4.0], [[1.0, 3.0, 2.0], [3.0, 2.0, 1.0]]).round(3).tolist()
    [0.333, -1.0]
    """
    kernels = _load()
    x = _array("ref", ref)
    _require_finite("ref", x)
    return _warned_many(kernels.tau_many(x, _matrix(preds, len(x))), len(x))


def ktau_matrix(preds: Sequence[Scores] | np.ndarray) -> np.ndarray:
    """Tau-b between every two of m predictors: (m, n) -> symmetric (m, m); NaN where one is constant.

    >>> ktau_matrix([[1.0, 2.0, 4.0], [3.0, 2.0, 1.0]]).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    kernels = _load()
    matrix = _matrix(preds)
    return _warned_many(kernels.tau_matrix(matrix), matrix.shape[1])


def warmup() -> None:
    """Compile and cache every kernel now (seconds, once per machine), so that no later call has to.

    >>> warmup()
    """
    from sqa_metrics import _columns

    _load().warmup()
    _columns.warmup()


def _computed(name: str, ref: Any, pred: Any, nan_policy: str) -> Any:
    """Metric `name` (or "four") by the cheaper way, with the errors and warnings that all of them share."""
    if nan_policy not in ("raise", "omit"):
        raise ValueError(f'nan_policy is {nan_policy!r}; expected "raise" or "omit"')
    try:
        kernels = _kernels or _load_if_worth(PLAIN_COST[name] * len(ref))
    except TypeError:
        raise ValueError(
            f"ref is {type(ref).__name__}; expected a one-dimensional sequence of numbers"
        ) from None
    x: Any
    y: Any
    if kernels:
        x, y = _array("ref", ref), _array("pred", pred)
        _require_same_length(x, y)
        try:
            result = getattr(kernels, name)(x, y)
        except kernels.NonFiniteError:
            return _non_finite(name, x, y, nan_policy)
    else:
        x, y = _list("ref", ref), _list("pred", pred)
        _require_same_length(x, y)
        if not (all(map(math.isfinite, x)) and all(map(math.isfinite, y))):
            return _non_finite(name, x, y, nan_policy)
        result = getattr(_plain, name)(x, y)
    undefined = math.isnan(result["ktau"] if name == "four" else result)
    if undefined:
        constant = "ref" if all(v == x[0] for v in x) else "pred"
        found = f"{len(x)} pair(s) of scores" if len(x) < 2 else f"all values of {constant} are equal"
        warnings.warn(f"{found}: undefined, NaN", ConstantInputWarning, stacklevel=3)
    return result


def _non_finite(name: str, x: Any, y: Any, nan_policy: str) -> Any:
    """Raise for the first NaN or infinity, or compute without those pairs."""
    if nan_policy == "raise":
        _require_finite("ref", x)
        _require_finite("pred", y)
    if isinstance(x, list):
        kept = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
        finite_x, finite_y = [a for a, _ in kept], [b for _, b in kept]
    else:
        keep = (abs(x) < math.inf) & (abs(y) < math.inf)
        finite_x, finite_y = x[keep], y[keep]
    message = f"left out {len(x) - len(finite_x)} of {len(x)} pairs: NaN or infinity"
    warnings.warn(message, OmittedWarning, stacklevel=4)
    return _computed(name, finite_x, finite_y, "raise")


def _load() -> ModuleType:
    global _kernels
    from sqa_metrics import _kernels as module

    _kernels = module
    return module


def _load_if_worth(cost: float) -> ModuleType | None:
    """The kernels, once the work done without them would have paid for their import (ski rental)."""
    global _spent
    _spent += cost
    return _load() if _spent > KERNEL_PRICE else None


def _list(name: str, scores: Any) -> list[float]:
    try:
        return [float(v) for v in (scores.tolist() if hasattr(scores, "tolist") else scores)]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} is not a one-dimensional sequence of numbers: {error}") from None


def _array(name: str, scores: Any) -> np.ndarray:
    import numpy as np

    try:
        array = np.asarray(scores, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} is not a one-dimensional sequence of numbers: {error}") from None
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; expected one dimension")
    return array if array.flags.carray else array.copy()


def _matrix(preds: Any, n: int | None = None) -> np.ndarray:
    import numpy as np

    rows = [_array(f"preds[{i}]", row) for i, row in enumerate(preds)]
    if n is None:
        n = len(rows[0]) if rows else 0
    for i, row in enumerate(rows):
        if len(row) != n:
            raise ValueError(f"preds[{i}] has {len(row)} values; expected {n}")
        _require_finite(f"preds[{i}]", row)
    return np.array(rows).reshape(len(rows), n)


def _require_same_length(x: Any, y: Any) -> None:
    if len(x) != len(y):
        raise ValueError(f"ref has {len(x)} values and pred has {len(y)}; expected one pred per ref")


def _require_finite(name: str, scores: Any) -> None:
    if not isinstance(scores, list) and (abs(scores) < math.inf).all():
        return
    for i, v in enumerate(scores):
        if not math.isfinite(v):
            raise ValueError(
                f'{name}[{i}] is {v}; expected finite numbers (nan_policy="omit" drops such pairs)'
            )


def _warned_many(taus: np.ndarray, n: int) -> np.ndarray:
    import numpy as np

    if undefined := int(np.isnan(taus).sum()):
        message = f"{undefined} of {taus.size} undefined, NaN: constant input ({n} items)"
        warnings.warn(message, ConstantInputWarning, stacklevel=3)
    return taus
