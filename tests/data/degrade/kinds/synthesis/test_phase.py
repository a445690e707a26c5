"""Spectra whose phases are lost: power, treble and magnitudes stay, and what is said is what one measures."""

import numpy as np
import pytest
import scipy.signal
from degrading import RATE, apply, noise, power_db, speech_like, syllables
from sqa_data.degrade.kinds.synthesis.phase import guessed
from sqa_data.degrade.signal import stft

NAMES = ("robot", "griffin-lim", "phase-damage")


@pytest.mark.parametrize("kind", NAMES)
def test_what_is_made_anew_keeps_its_power(kind: str) -> None:
    x = syllables()
    assert power_db(apply(kind, x, 0.7)[0]) == pytest.approx(power_db(x), abs=1e-6)


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("severity", [0.0, 0.5, 1.0])
def test_there_is_no_more_treble_than_the_talker_has(kind: str, severity: float) -> None:
    x = noise(4.0)
    hz, before = scipy.signal.welch(x, RATE, nperseg=512)
    _, after = scipy.signal.welch(apply(kind, x, severity)[0], RATE, nperseg=512)
    for low, high in ((200, 1000), (1000, 3000), (3000, 7500)):
        inside = (hz > low) & (hz < high)
        assert 10 * np.log10(after[inside].mean() / before[inside].mean()) == pytest.approx(0, abs=1.0)


def test_the_phases_of_the_talker_give_the_talker_and_more_guesses_come_nearer() -> None:
    x = speech_like()
    spectrum = stft(x, RATE, 0.032, 0.008)
    magnitude = np.abs(spectrum)
    np.testing.assert_allclose(guessed(magnitude, np.angle(spectrum), RATE, 0.008, 3, len(x)), x, atol=1e-9)
    # the error is that of Griffin and Lim's objective, here on another window than theirs: scipy's own
    random = np.random.default_rng(0).uniform(-np.pi, np.pi, magnitude.shape)
    settings = {"fs": RATE, "nperseg": 512, "noverlap": 384}
    wanted = np.abs(scipy.signal.stft(x, **settings)[2])
    errors = []
    for iterations in (0, 1, 4, 16, 32):
        y = guessed(magnitude, random, RATE, 0.008, iterations, len(x))
        heard = np.abs(scipy.signal.stft(y, **settings)[2])
        errors.append(np.linalg.norm(heard - wanted) / np.linalg.norm(wanted))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.15 < 0.4 < errors[0]


def test_griffin_lim_says_how_far_it_is_off() -> None:
    told = [apply("griffin-lim", speech_like(), severity)[1] for severity in (0.0, 0.4, 0.7, 1.0)]
    assert [step["iterations"] for step in told] == [32, 7, 2, 0]
    assert [step["hop_ms"] for step in told] == [8, 8, 16, 16]
    assert told[0]["magnitude_error"] < 0.1 < 0.35 < told[-1]["magnitude_error"]


@pytest.mark.parametrize("severity", [0.0, 0.3, 1.0])
def test_phases_are_off_by_what_is_told(severity: float) -> None:
    x = speech_like(4.0)
    windows = set()
    for seed in range(12):
        y, step = apply("phase-damage", x, severity, seed)
        windows.add(step["window_ms"])
        spectra = [
            scipy.signal.stft(s, RATE, nperseg=int(step["window_ms"] * RATE / 1000))[2] for s in (x, y)
        ]
        power, turned = np.abs(spectra[0]) ** 2, np.angle(spectra[1] * np.conj(spectra[0]))
        assert np.sqrt(np.average(turned**2, weights=power)) == pytest.approx(
            step["phase_error_rad"], rel=0.2
        )
    assert windows == {16, 32, 64}
