"""Rooms have the reverberation time and the direct sound that they say."""

import numpy as np
import pytest
from degrading import RATE, apply


def test_a_room_has_its_reverberation_time_and_direct_sound() -> None:
    click = np.zeros(3 * RATE)
    click[0] = 0.1
    for severity in (0.3, 1.0):
        y, step = apply("reverb", click, severity)
        assert y[0] == pytest.approx(0.1)
        assert 10 * np.log10(np.sum(y[1:] ** 2) / y[0] ** 2) == pytest.approx(-step["direct_db"], abs=1e-6)
        late = y[RATE // 20 :]  # behind the early reflections
        left_db = 10 * np.log10(np.cumsum(late[::-1] ** 2)[::-1] / np.sum(late**2) + 1e-12)  # Schroeder 1965
        time_s = np.argmax(left_db < -20) / RATE
        assert 3 * time_s == pytest.approx(step["rt60_s"], rel=0.25)


def test_near_talkers_are_in_big_rooms_too() -> None:
    direct = [apply("reverb", np.ones(RATE), 0.5, seed)[1]["direct_db"] for seed in range(20)]
    assert np.ptp(direct) > 4
    assert np.mean(direct) == pytest.approx(3, abs=2)
