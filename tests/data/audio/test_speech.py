"""Speech is told from noise and tones at any usual rate; the rates of detection on recordings are in the module."""

from pathlib import Path

import numpy as np
import pytest
from sqa_data.audio import hear, mixed
from sqa_data.audio.resampling import resampled
from sqa_data.audio.speech import LITTLE_S, speech_missing

RATE = 16_000
TIME_S = np.arange(3 * RATE) / RATE


def noise(seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(3 * RATE)).astype(np.float32)


def tone(hertz: float) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * TIME_S)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("padding_s", [0.0, 5.0])
def test_noise_and_tones_are_no_speech(rate: int, padding_s: float) -> None:
    for sound in (noise(), tone(1000), tone(300) + tone(450) + tone(600), tone(1000) * (TIME_S % 1 < 0.5)):
        padded = np.pad(resampled(sound.astype(np.float32), RATE, rate), round(padding_s * rate))
        assert list(speech_missing(padded, rate)) == ["no_speech"]


def test_few_false_alarms(shared: Path) -> None:
    """On one clip in ten of those that the detector was fitted on, at any level and rate."""
    paths = [
        path
        for name in ("speech/speech", "speech2")
        for path in sorted((shared / name).rglob("*.flac"))[::10]
    ]
    alarms = 0
    for path in paths:
        heard = hear(path)
        alarms += bool(speech_missing(0.01 * mixed(heard.samples), heard.sample_rate))
    assert alarms <= 0.02 * len(paths)


@pytest.mark.parametrize("rate", [8_000, 48_000])
def test_speech_is_speech_at_other_rates_and_between_pauses(rate: int, shared: Path) -> None:
    heard = hear(shared / "data/p835/c0_f1.flac")
    speech = resampled(mixed(heard.samples), heard.sample_rate, rate)
    assert speech_missing(speech, rate) == {}
    assert speech_missing(np.pad(speech, 10 * rate), rate) == {}


def test_a_scrap_of_speech(shared: Path) -> None:
    heard = hear(shared / "data/p835/c0_f1.flac")
    speech = resampled(mixed(heard.samples), heard.sample_rate, RATE)
    loudest = int(np.abs(speech).argmax())
    scrap = np.pad(speech[loudest - RATE // 20 : loudest + RATE // 20], RATE)
    assert list(speech_missing(scrap, RATE)) == ["little_speech"]
    clicks = np.zeros(3 * RATE, np.float32)
    clicks[[9_000, 20_000]] = 0.9
    assert list(speech_missing(clicks, RATE)) == ["little_speech"]
    assert LITTLE_S == 0.2


def test_what_is_not_judged() -> None:
    assert speech_missing(noise()[: RATE // 3], RATE) == {}
    assert speech_missing(noise(), 6_000) == {}
    assert speech_missing(np.zeros(RATE, np.float32), RATE) == {}
