"""The SOS parameter and test-retest, against their definitions."""

import math

import numpy as np
import pytest
from sqa_metrics.ratings.spread import Retest, sos


def test_sos_is_least_squares_on_any_scale() -> None:
    rng = np.random.default_rng(0)
    mos, variance = rng.uniform(1, 5, 20), rng.uniform(0, 2, 20)
    variance[3] = np.nan
    known = ~np.isnan(variance)
    room = -(mos**2) + 6 * mos - 5
    expected = np.linalg.lstsq(room[known, None], variance[known], rcond=None)[0][0]
    assert sos(mos, variance) == pytest.approx(expected)
    # 1..5 as 0..100
    assert sos((mos - 1) * 25, variance * 625, (0, 100)) == pytest.approx(expected)


def test_sos_undefined() -> None:
    assert math.isnan(sos(np.array([1.0, 5.0]), np.array([0.0, 0.0])))
    assert math.isnan(sos(np.array([3.0]), np.array([np.nan])))
    assert sos(np.array([3.0]), np.array([4.0])) == 1


def test_retest() -> None:
    again = np.array([[1.0, 2.0], [2.0, 2.0], [4.0, 5.0], [5.0, 5.0]])
    found = Retest.of(again, 0.25)
    assert (found.n, found.same, found.shift, found.std) == (4, 0.5, 0.5, 0.5)
    assert found.correlation == pytest.approx(np.corrcoef(again.T)[0, 1])
    assert math.isnan(Retest.of(again[:2], 0.25).correlation)
    assert Retest.of(np.zeros((0, 2)), math.nan).n == 0
