"""Overload, coarse converters and a wandering gain, measured on their output."""

import numpy as np
import pytest
from degrading import RATE, apply, noise, syllables


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


def test_full_scale_clipping_is_loud() -> None:
    """The same cut as `clipping`, by an input gain that stays."""
    x = noise()
    for severity in (0.0, 1.0):
        y, step = apply("full-scale-clipping", x, severity)
        softly, same = apply("clipping", x, severity)
        np.testing.assert_allclose(y, softly / np.abs(softly).max() * 0.99, rtol=1e-12)
        assert step["clipped"] == same["clipped"]
        assert step["gain_db"] == pytest.approx(-20 * np.log10(np.abs(softly).max()))


def test_a_handset_has_its_band_and_its_ripple_and_no_delay() -> None:
    click = np.zeros(2 * RATE)
    click[RATE] = 0.1
    hz = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    ripples = []
    for severity in (0.0, 1.0):
        for seed in range(5):
            y, step = apply("handset", click, severity, seed)
            np.testing.assert_allclose(y[RATE - 300 : RATE], y[RATE + 300 : RATE : -1], atol=1e-12)
            gain_db = 20 * np.log10(np.abs(np.fft.rfft(y)) / 0.1 + 1e-6)
            inside = (hz > 600) & (hz < 0.5 * step["high_hz"]) & (hz < 3400)
            assert np.ptp(gain_db[inside]) <= step["ripple_db"] + 1.5
            assert gain_db[(hz > 20) & (hz < 0.3 * step["low_hz"])].max() < np.median(gain_db[inside]) - 12
            if severity:
                assert gain_db[hz > 2 * step["high_hz"]].max() < np.median(gain_db[inside]) - 8
            ripples.append((severity, step["ripple_db"]))
    assert np.mean([r for s, r in ripples if s]) > 3 * np.mean([r for s, r in ripples if not s])


def test_an_eager_gain_lifts_what_is_quiet() -> None:
    time = np.arange(4 * RATE) / RATE
    x = 0.2 * np.sin(2 * np.pi * 300 * time) * np.where(time % 2 < 1, 1.0, 0.1)
    pumped = []
    for severity in (0.0, 0.5, 1.0):
        y, step = apply("agc", x, severity)
        settled = [np.abs(y[(time > start + 0.8) & (time < start + 0.95)]).max() for start in (2, 3)]
        pumped.append(20 * np.log10(settled[0] / settled[1]))
        assert step["pumped_db"] > 0
        assert step["release_ms"] == pytest.approx(1000 * 0.05**severity)
    assert 20 > pumped[0] > pumped[1] > pumped[2] > -1
    assert pumped[2] < 3  # hardly a difference is left of 20 dB


def test_a_limiter_keeps_the_peak_and_lifts_the_rest() -> None:
    x = noise(2.0) * np.linspace(0.01, 1, 2 * RATE)
    crests = []
    for severity in (0.0, 0.5, 1.0):
        y, step = apply("limiter", x, severity)
        assert np.abs(y).max() <= np.abs(x).max() + 1e-12
        assert 0 < step["reduced_db"] <= step["drive_db"] + 1e-9
        assert step["drive_db"] == 3 + 33 * severity
        crests.append(np.abs(y).max() / y.std())
    assert crests[0] > 1.1 * crests[1] > 1.2 * crests[2]
    quiet = np.concatenate([syllables(1.0), 0.001 * syllables(1.0)])
    lifted, step = apply("limiter", quiet, 0.2)
    np.testing.assert_allclose(
        lifted[-RATE // 2 :], quiet[-RATE // 2 :] * 10 ** (step["drive_db"] / 20), rtol=1e-6
    )


def test_a_noise_gate_shuts_the_pauses_and_opens_late() -> None:
    time = np.arange(4 * RATE) / RATE
    speaking = time % 1 < 0.5
    x = np.where(speaking, 0.1, 0.0005) * np.sin(2 * np.pi * 300 * time)
    for severity, shuts in ((0.0, False), (0.5, True), (1.0, True)):
        y, step = apply("noise-gate", x, severity)
        pause, middle = (time % 1 > 0.85) & (time % 1 < 0.95), (time % 1 > 0.2) & (time % 1 < 0.4)
        assert 20 * np.log10(y[middle].std() / x[middle].std()) == pytest.approx(0, abs=0.5)
        pause_db = 20 * np.log10(y[pause].std() / x[pause].std())
        assert (pause_db < -20) == shuts
        assert (step["shut"] > 0.2) == shuts
        onset = (time > 1) & (time < 1.01)
        lost_db = 20 * np.log10(y[onset].std() / x[onset].std())
        assert (lost_db < -6) == (severity > 0.4), severity
