"""The level at which speech is played."""

import numpy as np
import pytest
from degrading import RATE, apply, noise, syllables
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
    cut = {
        round(step["level_dbfs"]): step["clipped"]
        for step in (apply("level", x, 1.0, s)[1] for s in range(20))
    }
    assert cut[-60] == 0
    assert 0.01 < cut[max(cut)] < 0.2


def test_dropouts_leave_something_of_a_short_clip() -> None:
    for seed in range(20):
        y, _ = apply("dropouts", noise(0.1), 1.0, seed)
        assert np.count_nonzero(y) > 0.3 * len(y)


def test_a_jitter_buffer_is_late_in_between_and_in_time_at_both_ends() -> None:
    x = noise(4.0)  # which is like itself at no other time
    for severity, least, most in ((0.0, 5, 28), (1.0, 40, 110)):
        for seed in range(3):
            y, step = apply("jitter-buffer", x, severity, seed)
            assert least < step["latest_ms"] < most
            assert step["slips"] >= 1
            for end in (slice(0, 400), slice(-400, None)):
                np.testing.assert_allclose(y[end], x[end], atol=1e-12)
            lags = []
            for start in range(RATE // 4, 4 * RATE - RATE // 2, RATE // 8):
                piece = x[start : start + RATE // 8]
                around = np.pad(y, RATE // 5)[start : start + RATE // 8 + 2 * RATE // 5]
                lags.append(int(np.argmax(np.correlate(around, piece, "valid"))) - RATE // 5)
            assert max(lags) * 1000 / RATE <= step["latest_ms"] + 8
            if severity:
                assert max(lags) > 0.3 * step["latest_ms"] * RATE / 1000


def test_a_clock_drifts_away_on_both_sides_of_the_middle() -> None:
    time = np.arange(4 * RATE) / RATE
    x = 0.1 * np.sin(2 * np.pi * 1000 * time)
    signs = set()
    for seed in range(4):
        y, step = apply("clock-drift", x, 1.0, seed)
        assert abs(step["ppm"]) == pytest.approx(500)
        middle = time - time.mean()
        expected = 0.1 * np.sin(2 * np.pi * 1000 * (time + middle * step["ppm"] * 1e-6))
        np.testing.assert_allclose(y[200:-200], expected[200:-200], atol=1e-4)
        assert step["ends_ms"] == pytest.approx(1.0, rel=1e-3)
        signs.add(step["ppm"] > 0)
    assert signs == {True, False}


def test_dropouts_fall_into_speech_and_are_as_long_as_told() -> None:
    x = syllables(4.0)
    shares = []
    for severity, count in ((0.0, 2), (0.5, 6), (1.0, 19)):
        y, step = apply("dropouts", x, severity, 2)
        assert step["dropouts"] == count
        assert np.abs(y - x).max() > 0.01
        steady, _ = apply("dropouts", np.full(len(x), 0.1), severity, 2)
        assert np.abs(np.diff(steady)).max() < 0.1 / (0.001 * RATE) + 1e-9  # faded, not cut
        shares.append(step["silent"])
        assert np.mean(np.isclose(y, 0) & ~np.isclose(x, 0)) <= step["silent"] + 1e-3
    assert 0 < shares[0] < shares[1] < shares[2] < 0.6


def test_gain_steps_are_few_sudden_and_as_large_as_told() -> None:
    for severity in (0.0, 1.0):
        for seed in range(6):
            y, step = apply("gain-steps", np.full(2 * RATE, 0.1), severity, seed)
            gain_db = 20 * np.log10(y / 0.1)
            changes = np.diff(gain_db)
            changes = changes[np.abs(changes) > 1e-9]
            assert len(changes) == step["steps"] <= 3
            assert (changes[1:] * changes[:-1] < 0).all()  # up, down, up
            assert np.abs(changes).max() == pytest.approx(step["largest_db"])
            assert 0.6 * (1 + 23 * severity) <= step["largest_db"] <= 1 + 23 * severity
            assert gain_db.max() == pytest.approx(0)
