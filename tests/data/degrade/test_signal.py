"""Levels, spectra, filters and time, by definition."""

import numpy as np
import pytest
from degrading import RATE, noise, power_db, speech_like, syllables
from sqa_data.audio.level import active_level
from sqa_data.degrade import signal


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100])
@pytest.mark.parametrize(("window", "hop"), [(0.032, 0.016), (0.032, 0.008)])
def test_stft_inverts(rate: int, window: float, hop: float) -> None:
    x = np.random.default_rng(0).standard_normal(5000)
    spectrum = signal.stft(x, rate, window, hop)
    np.testing.assert_allclose(signal.istft(spectrum, rate, window, hop, len(x)), x, atol=1e-12)


@pytest.mark.parametrize("delay", [-300, 0, 1105])
def test_a_delay_is_undone(delay: int) -> None:
    speech = speech_like()
    moved = np.roll(np.pad(speech, 2000), delay)[2000:]
    np.testing.assert_allclose(signal.align(moved, speech, 4000)[400:-2000], speech[400:-2000], atol=1e-12)


def test_levels_are_of_active_speech_by_p56() -> None:
    x = np.pad(syllables(2.0), (0, 2 * RATE))
    assert signal.level_dbfs(x, RATE) == pytest.approx(active_level(x, RATE))
    assert signal.level_dbfs(x, RATE) > power_db(x) + 1
    assert signal.level_dbfs(signal.set_level(x, RATE, -35.0), RATE) == pytest.approx(-35, abs=1e-3)
    assert np.abs(signal.set_level(x, RATE, 0.0)).max() == 1
    assert signal.level_dbfs(np.zeros(RATE), RATE) == signal.SILENT_DBFS
    assert signal.active_power(np.zeros(RATE), RATE) == 0


@pytest.mark.parametrize("bands", [18, 40, 128])
@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
def test_bands_leave_a_flat_spectrum_flat(bands: int, rate: int) -> None:
    bins = signal.stft(noise(0.2, rate=rate), rate, 0.032, 0.016).shape[1]
    bank = signal.mel_bank(bands, 2 * (bins - 1), rate)
    flat = signal.spread_bands(signal.pool_bands(np.ones((3, bins)), bank), bank)
    np.testing.assert_allclose(flat, 1, atol=1e-6)
