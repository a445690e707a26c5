"""What a channel leaves of the spectrum, measured on what comes out of it."""

import numpy as np
import pytest
from degrading import RATE, apply, noise, power_db, syllables
from sqa_data.degrade.kinds.band import companded


@pytest.mark.parametrize(("kind", "stops"), [("lowpass", 1), ("highpass", -1)])
def test_a_filter_loses_3_db_at_its_cutoff(kind: str, stops: int) -> None:
    click = np.zeros(2 * RATE)
    click[RATE] = 0.1
    y, step = apply(kind, click, 0.5)
    hz, gain = np.fft.rfftfreq(len(y), 1 / RATE), np.abs(np.fft.rfft(y)) / 0.1
    cutoff = step["cutoff_hz"]
    assert np.interp(cutoff, hz, gain) == pytest.approx(np.sqrt(0.5), abs=0.02)
    assert np.interp(cutoff * 2.0**stops, hz, gain) < 0.15
    assert np.interp(cutoff * 0.5**stops, hz, gain) == pytest.approx(1, abs=0.05)


def test_the_ends_of_filters() -> None:
    for kind, rate, ends in (("lowpass", RATE, (7500, 800)), ("highpass", RATE, (80, 2000)),
                             ("lowpass", 48_000, (22_500, 800))):  # fmt: skip
        found = [apply(kind, noise(0.2, rate=rate), s, rate=rate)[1]["cutoff_hz"] for s in (0, 1)]
        assert found == pytest.approx(ends)


def test_a_low_rate_leaves_nothing_above_or_holds_its_samples() -> None:
    x, seen = noise(), set()
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    for seed in range(12):
        y, step = apply("low-rate", x, 1.0, seed)
        above = np.abs(np.fft.rfft(y))[hz > 1.1 * step["rate_hz"] / 2]
        share = np.sum(above**2) / np.sum(np.abs(np.fft.rfft(x)) ** 2)
        assert (share < 1e-3) == (step["images"] == "removed")
        if step["images"] == "kept":
            assert len(np.unique(y.round(9))) <= len(x) * step["rate_hz"] / RATE
        seen.add(step["images"])
    assert seen == {"kept", "removed"}


def test_a_telephone_passes_its_band_alone() -> None:
    x = noise(4.0)
    y, _ = apply("telephone", x, 0.0)
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    gain = np.abs(np.fft.rfft(y)) / np.abs(np.fft.rfft(x))
    for low, high, least, most in ((0, 200, 0, 0.15), (400, 3200, 0.85, 1.15), (4050, 8000, 0, 0.02)):
        assert least <= np.median(gain[(hz > low) & (hz < high)]) <= most, (low, high)


@pytest.mark.parametrize("bits", [6, 8, 12])
def test_mu_law_has_two_to_the_bits_steps_and_its_ratio(bits: int) -> None:
    x = 0.4 * np.sin(2 * np.pi * 441.7 * np.arange(RATE) / RATE)
    y = companded(x, bits)
    assert len(np.unique(y.round(9))) <= 2**bits + 1
    assert power_db(x) - power_db(y - x) == pytest.approx(6.02 * bits - 10.1, abs=2)  # Jayant and Noll 1984


def test_modulated_noise_follows_the_speech_q_below_it() -> None:
    x = syllables()
    for severity in (0.2, 0.8):
        y, step = apply("mnru", x, severity)
        assert power_db(x) - power_db(y - x) == pytest.approx(step["q_db"], abs=0.1)
        assert step["q_db"] == pytest.approx(40 - 40 * severity)
        loud = np.abs(x).reshape(-1, 4000).max(axis=1) > 0
        noise_power = np.mean((y - x).reshape(-1, 4000) ** 2, axis=1)
        assert noise_power[~loud].max() < 0.01 * noise_power[loud].min()  # it is there where speech is
        above = np.abs(np.fft.rfft(y - x))[np.fft.rfftfreq(len(x), 1 / RATE) > 7900]
        assert np.mean(above**2) < 0.1 * np.mean(np.abs(np.fft.rfft(y - x)) ** 2)


def test_images_are_fainter_where_the_resampler_is_better() -> None:
    x, found = noise(), []
    seed = next(seed for seed in range(20) if apply("low-rate", x, 0.5, seed)[1]["images"] == "kept")
    for severity in (0.0, 0.5, 1.0):
        y, step = apply("low-rate", x, severity, seed)
        above = np.abs(np.fft.rfft(y))[np.fft.rfftfreq(len(x), 1 / RATE) > step["rate_hz"] / 2]
        found.append(step["images_db"])
        assert 10 * np.log10(np.sum(above**2) / np.sum(np.abs(np.fft.rfft(y)) ** 2)) < step["images_db"] + 1
    assert found[0] < -35 < found[1] < found[2] < 3


def test_modulated_noise_does_not_follow_a_constant() -> None:
    """G.191 takes DC out of what modulates; a constant alone makes no noise of its own."""
    x = syllables()
    plain, _ = apply("mnru", x, 0.5)
    shifted, _ = apply("mnru", x + 0.05, 0.5)
    added, other = plain - x, shifted - x - 0.05
    assert power_db(other[2000:] - added[2000:]) < power_db(added) - 15


def test_a_telephone_is_in_time_for_every_frequency() -> None:
    click = np.zeros(RATE)
    click[RATE // 2] = 0.01
    y, _ = apply("telephone", click, 0.0)
    assert int(np.argmax(np.abs(y))) == RATE // 2
    np.testing.assert_allclose(y[RATE // 2 - 200 : RATE // 2], y[RATE // 2 + 200 : RATE // 2 : -1], atol=2e-4)
