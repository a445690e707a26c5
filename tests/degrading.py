"""What the tests of degradations share: signals that act like speech, and one kind run on them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.signal
import soundfile as sf
from sqa_data.audio.resampling import resampled
from sqa_data.degrade.chain import degrade
from sqa_data.degrade.kind import Step, Surroundings
from sqa_data.degrade.kinds import KINDS
from sqa_data.degrade.signal import Samples

RATE = 16_000


def noise(seconds: float = 2.0, seed: int = 1, rate: int = RATE) -> Samples:
    """White noise."""
    return 0.05 * np.random.default_rng(seed).standard_normal(round(seconds * rate))


def syllables(seconds: float = 2.0, rate: int = RATE) -> Samples:
    """A voice of 150 Hz, silent every other quarter of a second."""
    time = np.arange(round(seconds * rate)) / rate
    voice = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 40))
    return 0.05 * np.asarray(voice) * (time % 0.5 < 0.25)


def speech_like(seconds: float = 2.0, seed: int = 0, rate: int = RATE) -> Samples:
    """A harmonic voice with a gliding pitch, in syllables with pauses."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * time + seed)) / rate
    voice = sum(np.sin(k * phase) / k for k in range(1, 40))
    envelope = np.clip(np.sin(2 * np.pi * 2.5 * time + rng.random()), 0, None) ** 0.5
    return np.asarray(0.05 * voice * envelope + 1e-4 * rng.standard_normal(len(time)))


def apply(
    kind: str,
    x: Samples,
    severity: float = 0.6,
    seed: int = 3,
    noises: tuple[Path, ...] = (),
    rate: int = RATE,
    **around: Any,
) -> tuple[Samples, dict[str, Any]]:
    """One kind alone: what it made, and what it says that it did."""
    done = degrade(x, [Step(kind, severity)], seed, Surroundings(noises, **around), rate=rate)
    return done.samples, done.steps[0]


def skip_without(kind: str) -> None:
    """Skip the test where what a kind needs is not installed."""
    if reason := KINDS[kind].missing(Surroundings()):
        pytest.skip(reason)


def power_db(x: Samples) -> float:
    """Mean power in dB full scale."""
    return 10 * float(np.log10(np.mean(x**2)))


def enhance(kind: str, severity: float, rate: int, **around: Any) -> tuple[float, float, int]:
    """What an enhancer does to speech in hiss after 3 s of hiss alone.

    By how many dB it lowers the hiss of the third second below 4 kHz, how its speech correlates with the clean speech
    above 400 Hz (below, a high-pass filter turns phases), and by how many samples it is late.
    """
    samples, found = sf.read(Path(__file__).parent.parent / "examples" / "speech" / "clean.flac")
    lead = 3 * rate
    clean = np.pad(resampled(samples, found, rate), (lead, 0))
    hiss = 0.02 * np.random.default_rng(1).standard_normal(len(clean))
    y, step = apply(kind, clean + hiss, severity, rate=rate, **around)
    assert y.shape == clean.shape
    assert step["kind"] == kind
    high = scipy.signal.butter(4, 400, "high", fs=rate, output="sos")
    a, b = (scipy.signal.sosfilt(high, x[lead:]) for x in (clean, y))
    lag = int(np.argmax(scipy.signal.correlate(b, a, method="fft"))) - (len(a) - 1)
    before, after = (power_db(resampled(x, rate, 8000)[16_000:23_000]) for x in (hiss, y))
    return before - after, float(np.corrcoef(a, b)[0, 1]), lag
