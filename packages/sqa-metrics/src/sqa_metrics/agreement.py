"""How well predicted scores agree with listeners: MSE, LCC, SRCC and KTAU of two equally long sequences.

Reference first, always.

Input without variation (or fewer than two items) has no correlation: NaN, with a `ConstantInputWarning`.
NaN or infinity in the input is an error unless `nan_policy="omit"`, which drops the pair and says how many.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqa_metrics import _plain

if TYPE_CHECKING:
    import numpy as np

    Scores = Sequence[float] | np.ndarray


class ConstantInputWarning(UserWarning):
    """The metric is undefined for this input (all values equal, or too few), so the result is NaN."""


class OmittedWarning(UserWarning):
    """`nan_policy="omit"` dropped pairs that hold NaN or infinity; the message says how many."""


def mse(ref: Scores, pred: Scores, *, nan_policy: str = "raise") -> float:
    """Mean squared error, in squared units of the scores, 0 at best.

    >>> mse([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    1.6666666666666667
    """
    return _one("mse", ref, pred, nan_policy)


def lcc(ref: Scores, pred: Scores, *, nan_policy: str = "raise") -> float:
    """Linear (Pearson) correlation coefficient, -1 to 1.

    >>> round(lcc([1.0, 2.0, 4.0], [1.0, 3.0, 2.0]), 6)
    0.327327
    """
    return _one("lcc", ref, pred, nan_policy)


def srcc(ref: Scores, pred: Scores, *, nan_policy: str = "raise") -> float:
    """Spearman rank correlation coefficient (Pearson's on mid-ranks), -1 to 1.

    >>> srcc([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    0.5
    """
    return _one("srcc", ref, pred, nan_policy)


def ktau(ref: Scores, pred: Scores, *, nan_policy: str = "raise") -> float:
    """Kendall rank correlation, tau-b (corrected for ties), -1 to 1.

    Kendall (1945), "The treatment of ties in ranking problems", Biometrika 33(3).

    >>> ktau([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    0.3333333333333333
    """
    return _one("ktau", ref, pred, nan_policy)


METRICS: dict[str, Callable[..., float]] = {"mse": mse, "lcc": lcc, "srcc": srcc, "ktau": ktau}


def four(ref: Scores, pred: Scores, *, nan_policy: str = "raise") -> dict[str, float]:
    """All four at once, by name, in the order of `METRICS`: cheaper than four calls.

    >>> four([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    {'mse': 0.0, 'lcc': 1.0, 'srcc': 1.0, 'ktau': 1.0}
    """
    ref, pred = _checked(ref, pred, nan_policy)
    result = _plain.four(ref, pred)
    if any(math.isnan(v) for v in result.values()):
        _warn_constant(ref, pred)
    return result


def ktau_many(ref: Scores, preds: Sequence[Scores] | np.ndarray) -> np.ndarray:
    """Tau-b of each predictor against one reference: (n,) and (m, n) -> (m,)."""
    import numpy as np

    from sqa_metrics import _kernels

    return _kernels.tau_many(np.asarray(ref), np.asarray(preds))


def ktau_matrix(preds: Sequence[Scores] | np.ndarray) -> np.ndarray:
    """Tau-b between every two predictors: (m, n) -> symmetric (m, m) with ones on the diagonal."""
    import numpy as np

    from sqa_metrics import _kernels

    return _kernels.tau_matrix(np.asarray(preds))


def warmup() -> None:
    """Compile and cache every kernel now (seconds, once per machine), so that no later call has to."""
    from sqa_metrics import _kernels

    _kernels.warmup()


def _one(name: str, ref: Any, pred: Any, nan_policy: str) -> float:
    ref, pred = _checked(ref, pred, nan_policy)
    result: float = getattr(_plain, name)(ref, pred)
    if math.isnan(result):
        _warn_constant(ref, pred)
    return result


def _checked(ref: Any, pred: Any, nan_policy: str) -> tuple[list[float], list[float]]:
    """Two equally long lists of finite floats, or a ValueError that names argument and position."""
    if nan_policy not in ("raise", "omit"):
        raise ValueError(f'nan_policy is {nan_policy!r}; expected "raise" or "omit"')
    lists = []
    for name, scores in (("ref", ref), ("pred", pred)):
        try:
            lists.append([float(v) for v in scores])
        except (TypeError, ValueError) as error:
            raise ValueError(f"{name} is not a one-dimensional list or array of numbers: {error}") from None
    ref, pred = lists
    if len(ref) != len(pred):
        raise ValueError(f"ref has {len(ref)} values and pred has {len(pred)}; expected one pred per ref")
    if nan_policy == "omit":
        kept = [(r, p) for r, p in zip(ref, pred, strict=True) if math.isfinite(r) and math.isfinite(p)]
        if len(kept) < len(ref):
            message = f"omitted {len(ref) - len(kept)} of {len(ref)} pairs that hold NaN or infinity"
            warnings.warn(message, OmittedWarning, stacklevel=4)
            ref, pred = [r for r, _ in kept], [p for _, p in kept]
    for name, scores in (("ref", ref), ("pred", pred)):
        for i, v in enumerate(scores):
            if not math.isfinite(v):
                raise ValueError(
                    f'{name}[{i}] is {v}; expected finite numbers (nan_policy="omit" drops them)'
                )
    return ref, pred


def _warn_constant(ref: list[float], pred: list[float]) -> None:
    found = (
        f"only {len(ref)} pairs of scores"
        if len(ref) < 2
        else f"all values of {'ref' if _plain.is_constant(ref) else 'pred'} are equal"
    )
    warnings.warn(f"{found}: the metric is undefined, the result is NaN", ConstantInputWarning, stacklevel=4)
