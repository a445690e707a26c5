"""What counts as scores: the same for every way of computing, today and after half a second of use."""

import array
import collections
import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from sqa_metrics import all_figures, four, ktau, lcc, mse, srcc
from sqa_metrics.numbers import as_matrix, as_scores, require_finite

GOOD = [1.0, 2.0, 4.0, 3.0]
MASKED = np.ma.masked_array(GOOD, mask=[False, True, False, False])


def good_inputs() -> dict[str, object]:
    strided = np.zeros((4, 2))
    strided[:, 0] = GOOD
    frozen = np.array(GOOD)
    frozen.flags.writeable = False
    return {
        "list": GOOD,
        "integers": [1, 2, 4, 3],
        "tuple": tuple(GOOD),
        "deque": collections.deque(GOOD),
        "array.array": array.array("d", GOOD),
        "exact numbers": [Fraction(1), Decimal(2), np.float32(4), np.int8(3)],
        "arrays of no dimension": [np.array(v) for v in GOOD],
        "float64": np.array(GOOD),
        "float32": np.array(GOOD, dtype=np.float32),
        "int16": np.array(GOOD, dtype=np.int16),
        "big endian": np.array(GOOD, dtype=">f8"),
        "strided": strided[:, 0],
        "frozen": frozen,
        "objects": np.array(GOOD, dtype=object),
        "nothing masked": np.ma.masked_array(GOOD, mask=False),
        "pandas": pd.Series(GOOD, index=[9, 8, 7, 6]),
        "pandas, nullable": pd.Series(GOOD, dtype="Float64"),
    }


@pytest.mark.parametrize("kind", good_inputs())
def test_any_one_dimensional_numbers(engine: str, kind: str) -> None:
    values = good_inputs()[kind]
    expected = four(GOOD, GOOD[::-1])
    assert four(values, GOOD[::-1]) == pytest.approx(expected, rel=1e-15)  # type: ignore[arg-type]
    assert four(GOOD[::-1], values) == pytest.approx(expected, rel=1e-15)  # type: ignore[arg-type]
    assert list(as_scores("ref", values)) == GOOD


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (MASKED, r"^NAME\[1\] is masked; expected a number"),
        ([1.0, None, 2.0, 3.0], r"^NAME\[1\] is None; expected a number"),
        (np.array([1.0, None, 2.0, 3.0]), r"^NAME\[1\] is None; expected a number"),
        (pd.Series([1, pd.NA, 2, 3], dtype="Int64"), r"^NAME\[1\] is (<NA>|nan); expected"),
        ([1.0, 2j, 3.0, 4.0], r"^NAME\[1\] is 2j; expected a number"),
        (np.array([1, 2j, 3, 4]), "^NAME holds complex128; expected numbers"),
        ([1.0, np.complex64(2), 3.0, 4.0], r"^NAME\[1\] is .*2.*; expected a number"),
        (["1.0", "2.0", "3.0", "4.0"], r"^NAME\[0\] is '1.0'; expected a number"),
        (np.array(["1.0", "2.0", "3.0", "4.0"]), "^NAME holds <U3; expected numbers"),
        ("1234", "^NAME is str; expected a one-dimensional sequence of numbers"),
        (b"1234", "^NAME is bytes; expected"),
        ({1: 1, 2: 2, 3: 3, 4: 4}, "^NAME is dict; expected"),
        ({1, 2, 3, 4}, "^NAME is set; expected"),
        (3.0, "^NAME is float; expected"),
        (None, "^NAME is NoneType; expected"),
        ((v for v in GOOD), "^NAME is generator; expected"),
        (np.array(["2020-01-01"] * 4, dtype="M8[D]"), r"^NAME holds datetime64\[D\]; expected numbers"),
        (np.array([1, 2, 3, 4], dtype="m8[s]"), r"^NAME holds timedelta64\[s\]; expected numbers"),
        ([np.datetime64("2020-01-01")] * 4, r"^NAME\[0\] is .*2020.*; expected a number"),
        (pd.Series(pd.date_range("2020", periods=4)), r"^NAME holds datetime64\[.*\]; expected numbers"),
        (np.array(3.0), r"^NAME has shape \(\); expected one dimension"),
        (np.ones((4, 1)), r"^NAME has shape \(4, 1\); expected one dimension"),
        (pd.DataFrame({"a": GOOD}), r"^NAME has shape \(4, 1\); expected one dimension"),
        ([[1.0], [2.0], [3.0], [4.0]], r"^NAME\[0\] is \[1.0\]; expected a number"),
        ([np.array([v]) for v in GOOD], r"^NAME\[0\] is array\(\[1.\]\); expected a number"),
        ([1.0, np.ma.masked, 2.0, 3.0], r"^NAME\[1\] is masked; expected a number"),
        ([1.0, 10**400, 2.0, 3.0], r"^NAME\[1\] is an integer beyond the range of a float"),
        ([1.0, object(), 2.0, 3.0], r"^NAME\[1\] is <object object at .{0,30}\.*; expected a number"),
        ([1.0, math.nan, 2.0, 3.0], r"^NAME\[1\] is nan; expected finite numbers"),
        (np.array([1.0, 2.0, -np.inf, 3.0]), r"^NAME\[2\] is -inf; expected finite numbers"),
    ],
    ids=lambda value: "" if isinstance(value, str) else type(value).__name__,
)
def test_anything_else_is_named(engine: str, bad: object, message: str) -> None:
    for figure in (mse, lcc, srcc, ktau, four):
        with pytest.raises(ValueError, match=message.replace("NAME", "ref")):
            figure(bad, GOOD)  # type: ignore[arg-type, operator]
        if not hasattr(bad, "send"):
            with pytest.raises(ValueError, match=message.replace("NAME", "pred")):
                figure(GOOD, bad)  # type: ignore[arg-type, operator]


def test_tensors(engine: str) -> None:
    torch = pytest.importorskip("torch")
    for tensor in (
        torch.tensor(GOOD, requires_grad=True),
        torch.tensor(GOOD, dtype=torch.bfloat16),
        torch.tensor(GOOD, dtype=torch.float16, requires_grad=True),
        torch.tensor([1, 2, 4, 3]),
        [torch.tensor(v, requires_grad=True) for v in GOOD],
        torch.tensor([GOOD, GOOD])[0],
        torch.nn.Parameter(torch.tensor(GOOD)),
    ):
        assert all_figures(tensor, GOOD) == {"mse": 0.0, "lcc": 1.0, "srcc": 1.0, "ktau": 1.0}
    with pytest.raises(ValueError, match=r"^ref has shape \(4, 1\)"):
        mse(torch.ones(4, 1), GOOD)
    with pytest.raises(ValueError, match=r"^pred has shape \(\)"):
        mse(GOOD, torch.tensor(1.0))
    with pytest.raises(ValueError, match=r"^pred holds torch.complex64; expected real numbers"):
        mse(GOOD, torch.ones(4, dtype=torch.complex64))


def test_the_caller_s_data_stay_as_they_are(engine: str) -> None:
    x, y = np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])
    four(x, y)
    assert (x.tolist(), y.tolist()) == ([3.0, 1.0, 2.0], [1.0, 2.0, 3.0])


def test_matrices() -> None:
    assert as_matrix("preds", [[1, 2], (3.0, 4.0)]).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    assert as_matrix("preds", np.ones((2, 3), dtype=np.float32)).shape == (2, 3)
    assert as_matrix("preds", [], 4).shape == (0, 4)
    with pytest.raises(ValueError, match=r"^preds\[1\]\[0\] is None"):
        as_matrix("preds", [[1.0], [None]])
    with pytest.raises(ValueError, match=r"^preds\[1\] has 1 values; expected 2"):
        as_matrix("preds", [[1.0, 2.0], [3.0]])


def test_finite() -> None:
    require_finite("ref", [1.0, 2.0])
    require_finite("ref", np.array([1.0, 2.0]))
    with pytest.raises(ValueError, match=r'^ref\[1\] is inf; .*nan_policy="omit"'):
        require_finite("ref", np.array([1.0, np.inf]))
