"""Codec 2: its bit rates, its band, its time, and the same samples from every process."""

import subprocess

import numpy as np
import pytest
import scipy.signal
from degrading import RATE, apply, noise, speech_like
from sqa_data.degrade.kind import Surroundings
from sqa_data.degrade.kinds.codec import codec2
from sqa_data.errors import DataError

absent = codec2.missing(Surroundings())
needs_codec2 = pytest.mark.skipif(absent is not None, reason=str(absent))


def envelope(x: np.ndarray) -> np.ndarray:
    """What lies below 40 Hz of the loudness."""
    low = scipy.signal.butter(2, 40, fs=RATE, output="sos")
    slow: np.ndarray = scipy.signal.sosfiltfilt(low, np.abs(x))
    return slow - slow.mean()


@needs_codec2
@pytest.mark.parametrize(
    ("severity", "mode", "kbps"), [(0.0, "3200", 3.2), (0.5, "1600", 1.6), (1.0, "700C", 0.7)]
)
def test_its_modes_in_time_and_again_the_same(severity: float, mode: str, kbps: float) -> None:
    x = speech_like(4.0)
    y, step = apply("codec2", x, severity)
    assert (step["mode"], step["kbps"]) == (mode, kbps)
    match = scipy.signal.correlate(envelope(y), envelope(x), method="fft")
    assert abs(int(np.argmax(match)) - (len(x) - 1)) < 0.012 * RATE
    np.testing.assert_array_equal(y, apply("codec2", x, severity)[0])


@needs_codec2
@pytest.mark.parametrize("mode", codec2.MODES)
def test_a_second_has_the_bits_of_its_mode(mode: str) -> None:
    pcm = np.zeros(codec2.RATE, "<i2").tobytes()
    bits = subprocess.run(["c2enc", mode, "-", "-"], input=pcm, capture_output=True, check=True).stdout
    frames = 1 / (0.02 if mode in ("3200", "2400") else 0.04)
    assert len(bits) == frames * np.ceil(codec2.MODES[mode][0] * 1000 / frames / 8)


@needs_codec2
def test_nothing_is_left_above_4_khz() -> None:
    y, _ = apply("codec2", noise(3.0), 0.0)
    power = np.abs(np.fft.rfft(y)) ** 2
    hz = np.fft.rfftfreq(len(y), 1 / RATE)
    assert power[hz > 4100].sum() < 1e-4 * power[hz < 3400].sum()


@needs_codec2
def test_what_the_program_refuses_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(codec2.MODES, "9600", (9.6, 0))
    with pytest.raises(DataError, match="c2enc 9600 ended with status 1 and said"):
        codec2.code("9600", noise(0.5))


def test_without_the_programs_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert codec2.missing(Surroundings()) == "needs the program c2enc: apt-get install codec2"
    with pytest.raises(DataError, match=r"c2enc 3200 cannot run: .* apt-get install codec2"):
        codec2.code("3200", noise(0.5))
