"""Uneven time: delays that come out as wanted, pitch that stays, and signals between their samples."""

import numpy as np
import pytest
from degrading import RATE, speech_like
from sqa_data.degrade.timing import delayed, sampled_at


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_a_delay_comes_and_goes_and_pitch_stays(rate: int) -> None:
    time = np.arange(3 * rate) / rate
    tone = np.sin(2 * np.pi * 210 * time)
    wanted = np.interp(time, [0.1, 1.0, 2.0, 2.9], [0, 0.1, 0.1, 0]) * rate
    y, found = delayed(tone, rate, wanted)
    assert len(y) == len(tone)
    assert found[:10].tolist() == found[-10:].tolist() == [0] * 10
    at = np.minimum(np.arange(len(found)) * round(0.01 * rate), len(tone) - 1)
    assert np.abs(found - wanted[at]).max() <= 0.0075 * rate + 1
    np.testing.assert_allclose(y[: rate // 13], tone[: rate // 13], atol=1e-12)
    # slips are of whole periods
    spectrum = np.abs(np.fft.rfft(y * np.hanning(len(y))))
    assert np.argmax(spectrum) == 3 * 210
    assert np.sum(spectrum[630 - 30 : 631 + 30] ** 2) > 0.99 * np.sum(spectrum**2)


def test_speech_comes_from_where_it_is_said_to() -> None:
    x = speech_like(2.0)
    wanted = np.interp(np.arange(len(x)), [1600, 16_000, 30_000], [0, 800, 0])
    y, found = delayed(x, RATE, wanted)
    assert found.max() == pytest.approx(800, abs=121)
    steady = [n for n in range(1, len(found) - 2) if found[n] == found[n - 1] == found[n + 1] != 0]
    assert steady
    for piece in steady:
        start, delay = piece * 160, int(found[piece])
        stop = min(start + 160, len(x))
        np.testing.assert_allclose(y[start:stop], x[start - delay : stop - delay], atol=1e-12)


def test_between_samples_is_the_signal_itself() -> None:
    rng = np.random.default_rng(0)
    place = np.sort(rng.uniform(100, 900, 500))
    for cycles in (0.01, 0.1, 0.3, 0.4):  # per sample
        x = np.sin(2 * np.pi * cycles * np.arange(1000))
        np.testing.assert_allclose(sampled_at(x, place), np.sin(2 * np.pi * cycles * place), atol=2e-3)
    np.testing.assert_allclose(sampled_at(x, np.arange(1000.0)), x, atol=1e-12)
    assert not sampled_at(x, np.array([-100.0, 1100.0])).any()
