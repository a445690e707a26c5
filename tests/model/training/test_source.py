"""Files to waveforms: what is wrong is named, what is right arrives in order."""

import math
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sqa_data.errors import AudioError
from sqa_model.training.source import read_ahead, read_audio


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_audio_is_mono_at_the_models_rate(tmp_path: Path, rate: int) -> None:
    t = np.arange(rate) / rate
    stereo = np.stack([np.sin(2 * np.pi * 440 * t), np.zeros(rate)], 1) * 0.5
    soundfile.write(tmp_path / "a.wav", stereo, rate)
    wave = read_audio(str(tmp_path / "a.wav"), 16_000)
    assert wave.shape == (16_000,)
    assert wave.dtype == torch.float32
    expected = 0.25 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    assert np.abs(wave.numpy() - expected)[200:-200].max() < 1e-3


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_a_window_is_the_stated_piece(tmp_path: Path, suffix: str) -> None:
    ramp = np.linspace(-0.5, 0.5, 32_000)
    soundfile.write(tmp_path / f"a.{suffix}", ramp, 16_000)
    path = str(tmp_path / f"a.{suffix}")
    for place, start in ((0.0, 0), (0.5, 12_000), (1.0, 24_000)):
        window = read_audio(path, 16_000, most_s=0.5, crop_at=place)
        assert np.allclose(window, ramp[start : start + 8_000], atol=1e-4)
    assert len(read_audio(path, 16_000, most_s=2.0)) == 32_000
    assert len(read_audio(path, 16_000, most_s=0.50005)) == 8_000  # never longer than stated


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 16_000, subtype="FLOAT")
    for name, reason in (
        ("absent.wav", "no such file"),
        ("text.wav", "ormat not recognised"),
        ("empty.wav", "no samples"),
        ("nan.wav", "1 of 2 samples are NaN"),
    ):
        with pytest.raises(AudioError, match=rf"{name}.*{reason}"):
            read_audio(str(tmp_path / name), 16_000)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_or_a_device_is_unreadable_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (str(tmp_path / "pipe.wav"), "/dev/zero", str(tmp_path)):
        for most_s in (0.5, math.inf):
            with pytest.raises(AudioError, match=path):
                read_audio(path, 16_000, most_s=most_s)


@pytest.mark.parametrize("rate", [44_101, 15_949])
def test_rates_that_share_no_factor_with_the_models_stay_small(tmp_path: Path, rate: int) -> None:
    """A bank of filters for 44,101 Hz to 16 kHz would take gigabytes (B2)."""
    soundfile.write(tmp_path / "a.wav", 0.1 * np.sin(2 * np.pi * 440 * np.arange(2 * rate) / rate), rate)
    code = f"""
import resource
from sqa_model.training.source import read_audio
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
wave = read_audio({str(tmp_path / "a.wav")!r}, 16_000, most_s=1.5)
assert len(wave) == 24_000, len(wave)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 200  # MiB


def test_reading_ahead_keeps_the_order_and_the_distance() -> None:
    asked: list[int] = []
    lock = threading.Lock()

    def load(item: int) -> int:
        with lock:
            asked.append(item)
        if item == 5:
            raise AudioError("five")
        return item * 10

    jobs = [[2 * i, 2 * i + 1] for i in range(20)]
    reader = read_ahead(jobs, list[int], load, workers=3, ahead=2)
    assert next(reader) == ([0, 1], [0, 10])
    rest = [loaded for _, loaded in reader]
    assert [len(job) for job in rest] == [2] * 19
    assert isinstance(rest[1][1], AudioError)
    assert rest[-1] == [380, 390]


def test_other_errors_in_a_reader_are_not_swallowed() -> None:
    def load(item: int) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(read_ahead([[1]], list[int], load, workers=1, ahead=1))


def test_a_reader_takes_as_many_jobs_in_advance_as_it_was_told() -> None:
    taken: list[int] = []
    jobs = (taken.append(i) or [i] for i in range(9))
    reader = read_ahead(jobs, list[int], float, workers=1, ahead=3)
    for count in (4, 5, 6):
        next(reader)
        assert len(taken) == count
    reader.close()


def test_a_reader_closed_early_reads_nothing_more() -> None:
    gate, asked = threading.Event(), []

    def load(item: int) -> int:
        asked.append(item)
        if item == 1:
            gate.wait(60)
        return item

    reader = read_ahead(([i] for i in range(5)), list[int], load, workers=1, ahead=2)
    next(reader)
    threading.Timer(0.2, gate.set).start()
    reader.close()
    assert 2 not in asked


def test_a_reader_closed_early_stops_reading() -> None:
    asked: list[int] = []
    jobs = ([i] for i in range(1000))
    reader = read_ahead(jobs, list[int], asked.append, workers=1, ahead=2)
    next(reader)
    reader.close()
    assert len(asked) < 10
