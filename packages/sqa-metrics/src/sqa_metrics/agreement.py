"""How well predicted scores agree with listeners: MSE, LCC, SRCC and KTAU of two equally long sequences.

Reference first, always. What is accepted: `numbers.as_scores`. Three ways to one result (`kernels.choose`): plain
Python, which imports nothing, NumPy, and compiled kernels. SRCC and KTAU come out the same to the last bit, MSE and LCC
to some 1e-15.

Input without variation (or fewer than two items) has no correlation: NaN, with a `ConstantInputWarning`.
NaN or infinity in the input is an error unless `nan_policy="omit"`, which drops the pair and says how many.
"""

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqa_metrics.kernels import choose, plain
from sqa_metrics.numbers import NonFiniteError, as_matrix, as_scores, require_finite

if TYPE_CHECKING:
    import numpy as np

    from sqa_metrics.numbers import Scores


class ConstantInputWarning(UserWarning):
    """The figure is undefined for this input (all values equal, or too few), so the result is NaN."""


class OmittedWarning(UserWarning):
    """`nan_policy="omit"` dropped pairs that hold NaN or infinity; the message says how many."""


def mse(ref: "Scores", pred: "Scores", *, nan_policy: str = "raise") -> float:
    """Mean squared error, in squared units of the scores, 0 at best.

    >>> mse([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    1.6666666666666667
    """
    return float(_computed("mse", ref, pred, nan_policy))


def lcc(ref: "Scores", pred: "Scores", *, nan_policy: str = "raise") -> float:
    """Linear (Pearson) correlation coefficient, -1 to 1.

    >>> round(lcc([1.0, 2.0, 4.0], [1.0, 3.0, 2.0]), 6)
    0.327327
    """
    return float(_computed("lcc", ref, pred, nan_policy))


def srcc(ref: "Scores", pred: "Scores", *, nan_policy: str = "raise") -> float:
    """Spearman rank correlation coefficient (Pearson's on mid-ranks), -1 to 1.

    >>> srcc([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    0.5
    """
    return float(_computed("srcc", ref, pred, nan_policy))


def ktau(ref: "Scores", pred: "Scores", *, nan_policy: str = "raise") -> float:
    """Kendall rank correlation, tau-b (corrected for ties), -1 to 1.

    Kendall (1945), "The treatment of ties in ranking problems", Biometrika 33(3).

    >>> ktau([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    0.3333333333333333
    """
    return float(_computed("ktau", ref, pred, nan_policy))


def four(ref: "Scores", pred: "Scores", *, nan_policy: str = "raise") -> dict[str, float]:
    """All four at once, by name: cheaper than four calls.

    >>> four([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    {'mse': 0.0, 'lcc': 1.0, 'srcc': 1.0, 'ktau': 1.0}
    """
    result: dict[str, float] = _computed("four", ref, pred, nan_policy)
    return result


def ktau_many(ref: "Scores", preds: "Sequence[Scores] | np.ndarray") -> "np.ndarray":
    """Tau-b of each of m predictors against one reference: (n,) and (m, n) -> (m,), NaN where undefined.

    >>> ktau_many([1.0, 2.0, 4.0], [[1.0, 3.0, 2.0], [3.0, 2.0, 1.0]]).round(3).tolist()
    [0.333, -1.0]
    """
    reference = _as_array(as_scores("ref", ref))
    require_finite("ref", reference)
    matrix = as_matrix("preds", preds, len(reference))
    return _warned_many(_arrays(matrix.shape, len(matrix)).tau_many(reference, matrix), len(reference))


def ktau_matrix(preds: "Sequence[Scores] | np.ndarray") -> "np.ndarray":
    """Tau-b between every two of m predictors: (m, n) -> symmetric (m, m); NaN where one is constant.

    >>> ktau_matrix([[1.0, 2.0, 4.0], [3.0, 2.0, 1.0]]).tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    import numpy as np

    matrix = as_matrix("preds", preds)
    m, n = matrix.shape
    way, taus = _arrays(matrix.shape, m * (m + 1) // 2), np.empty((m, m))
    for i, row in enumerate(matrix):
        taus[i, i:] = taus[i:, i] = way.tau_many(row, matrix[i:])
    return _warned_many(taus, n)


def warmup() -> bool:
    """Compile and cache every kernel now (seconds, once per machine), so that no later call has to.

    False where there is nothing to compile: without Numba, or with NUMBA_DISABLE_JIT.

    >>> warmup() in (True, False)
    True
    """
    kernels = choose.load()
    if kernels is None:
        return False
    from sqa_metrics.rows import columns

    kernels.warmup()
    columns.warmup()
    return True


def _computed(name: str, ref: object, pred: object, nan_policy: str) -> Any:
    """Figure `name` (or "four") by the cheapest way, with the errors and warnings that all of them share."""
    if nan_policy not in ("raise", "omit"):
        raise ValueError(f'nan_policy is {nan_policy!r}; expected "raise" or "omit"')
    x, y = as_scores("ref", ref), as_scores("pred", pred)
    if len(x) != len(y):
        raise ValueError(f"ref has {len(x)} values and pred has {len(y)}; expected one pred per ref")
    way = choose.way(name, len(x))
    try:
        if way is plain:
            result = getattr(way, name)(_as_list(x), _as_list(y))
        else:
            result = getattr(way, name)(_as_array(x), _as_array(y))
    except NonFiniteError:
        return _without_non_finite(name, x, y, nan_policy)
    if math.isnan(result["ktau"] if name == "four" else result):
        constant = "ref" if all(v == x[0] for v in x) else "pred"
        found = f"{len(x)} pair(s) of scores" if len(x) < 2 else f"all values of {constant} are equal"
        warnings.warn(f"{found}: undefined, NaN", ConstantInputWarning, stacklevel=3)
    return result


def _without_non_finite(name: str, x: Any, y: Any, nan_policy: str) -> Any:
    """Raise for the first NaN or infinity, or compute without those pairs."""
    if nan_policy == "raise":
        require_finite("ref", x)
        require_finite("pred", y)
    kept = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    message = f"left out {len(x) - len(kept)} of {len(x)} pairs: NaN or infinity"
    warnings.warn(message, OmittedWarning, stacklevel=4)
    return _computed(name, [a for a, _ in kept], [b for _, b in kept], "raise")


def _as_list(scores: "list[float] | np.ndarray") -> list[float]:
    """For the plain way, which cannot compute with NaN and infinity."""
    values: list[float] = scores if isinstance(scores, list) else scores.tolist()
    if not all(map(math.isfinite, values)):
        raise NonFiniteError
    return values


def _as_array(scores: "list[float] | np.ndarray") -> "np.ndarray":
    if not isinstance(scores, list):
        return scores
    import numpy as np

    return np.array(scores, dtype=np.float64)


def _arrays(shape: tuple[int, ...], pairs: int) -> Any:
    """The compiled kernels for so many pairs of arrays where they repay their load, or NumPy."""
    from sqa_metrics.kernels import arrays

    seconds = pairs * (choose.ARRAY_CALL["ktau"] + choose.ARRAY_ITEM["ktau"] * shape[-1])
    return choose.repaid(seconds) or arrays


def _warned_many(taus: "np.ndarray", n: int) -> "np.ndarray":
    if undefined := int((taus != taus).sum()):
        message = f"{undefined} of {taus.size} undefined, NaN: constant input ({n} items)"
        warnings.warn(message, ConstantInputWarning, stacklevel=3)
    return taus
