"""The level at which speech is played."""

import pytest
from degrading import RATE, apply, syllables
from sqa_data.degrade import signal


def test_levels_are_of_active_speech_and_told_as_they_came_out() -> None:
    x = syllables()
    for severity, seed in ((0.3, 0), (0.9, 1), (0.5, 2), (1.0, 3)):
        y, step = apply("level", x, severity, seed)
        found = signal.level_dbfs(y, RATE)
        if step["level_dbfs"] < -15:  # louder, the whole is made smaller afterwards
            assert found == pytest.approx(step["level_dbfs"], abs=0.01)
            assert found == pytest.approx(-26 - 34 * severity, abs=0.01)
    told = {apply("level", syllables(), 1.0, seed)[1]["level_dbfs"] for seed in range(20)}
    assert min(told) == -60
    assert -9 < max(told) < -6 + 1e-9  # peaks are cut at full scale, and that is what is told
