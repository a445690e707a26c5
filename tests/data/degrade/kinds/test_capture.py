"""Overload, coarse converters and a wandering gain, measured on their output."""

import numpy as np
import pytest
from degrading import RATE, apply, noise


def test_clipping_cuts_the_share_that_it_says_and_leaves_the_rest_alone() -> None:
    x = noise()
    for severity, share in ((0.0, 0.001), (0.5, 0.02), (1.0, 0.4)):
        y, step = apply("clipping", x, severity)
        at_the_rails = np.isclose(np.abs(y), np.abs(y).max())
        assert at_the_rails.mean() == pytest.approx(step["clipped"], abs=2 / len(x))
        assert step["clipped"] == pytest.approx(share, rel=0.02)
        np.testing.assert_array_equal(y[~at_the_rails], x[~at_the_rails])


def test_quantising_rounds_to_its_bits() -> None:
    x = noise()
    for severity, bits in ((0.0, 11), (0.5, 7), (1.0, 3)):
        y, step = apply("quantise", x, severity)
        assert step["bits"] == bits
        size = np.abs(x).max() / 2 ** (bits - 1)
        assert np.abs(y - x).max() <= size / 2 + 1e-12
        assert (y - x).std() == pytest.approx(size / np.sqrt(12), rel=0.05)


def test_gain_jumps_down_by_its_depth() -> None:
    for severity in (0.1, 0.9):
        y, step = apply("gain-jumps", np.full(4 * RATE, 0.1), severity)
        gain_db = 20 * np.log10(y / 0.1)
        assert gain_db.min() == pytest.approx(-step["depth_db"])
        assert (3 + 37 * severity) / 2 < step["depth_db"] <= 3 + 37 * severity
        assert gain_db.max() <= 0
        assert len(np.unique(gain_db.round(3))) > 4
