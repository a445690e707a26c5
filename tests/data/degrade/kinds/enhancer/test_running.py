"""Enhancers as they are run: at their rate, in time, in the mix that is asked for."""

import numpy as np
import pytest
from degrading import power_db, speech_like
from sqa_data.degrade.kinds.enhancer.running import enhanced, framewise, to_int16
from sqa_data.degrade.signal import Samples

RATES = (8000, 16_000, 22_050, 44_100, 48_000)


@pytest.mark.parametrize("rate", RATES)
def test_a_delay_is_undone_at_every_rate(rate: int) -> None:
    """An enhancer that does nothing but come late gives back what it heard, as far as its band goes."""
    x = speech_like(1.0, rate=rate)
    y = enhanced(x, rate, 16_000, lambda heard: np.concatenate([np.zeros(100), heard]), delay=100)
    assert y.shape == x.shape
    assert np.corrcoef(x, y)[0, 1] > 0.999


def test_the_mix_is_made_within_the_band_of_the_enhancer() -> None:
    time = np.arange(48_000) / 48_000
    for hertz, loss_db in ((1000, 20 * np.log10(2)), (12_000, 60)):
        x = 0.1 * np.sin(2 * np.pi * hertz * time)
        y = enhanced(x, 48_000, 16_000, np.zeros_like, wet=0.5)
        assert power_db(x[4800:-4800]) - power_db(y[4800:-4800] + 1e-9) >= loss_db - 0.1


def test_frames_are_walked_in_order_and_filled_with_zeros() -> None:
    seen: list[Samples] = []

    def step(frame: np.ndarray) -> np.ndarray:
        seen.append(frame)
        return -frame

    x = np.arange(1.0, 8.0)
    np.testing.assert_array_equal(framewise(x, 3, step), [-1, -2, -3, -4, -5, -6, -7, 0, 0])
    assert [frame.tolist() for frame in seen] == [[1, 2, 3], [4, 5, 6], [7, 0, 0]]


def test_a_converter_rounds_and_cuts() -> None:
    np.testing.assert_array_equal(
        to_int16(np.array([0.0, 1.6 / 2**15, -0.5, 1.0, -3.0])), [0, 2, -(2**14), 2**15 - 1, -(2**15)]
    )
