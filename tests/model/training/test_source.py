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
from sqa_model.training.build import build_model
from sqa_model.training.clips import Clips
from sqa_model.training.config_text import load_config
from sqa_model.training.plan import Crop, Work
from sqa_model.training.source import ClipReader, MicroBatch, read_ahead, read_audio
from tiny_training import TINY_WAVLM


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
@pytest.mark.slow
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


def corpus(folder: Path, count: int = 3) -> Clips:
    """So many clips of noise, the last of which is not there."""
    rng = np.random.default_rng(0)
    paths = [str(folder / f"{i}.wav") for i in range(count)]
    for path in paths[:-1]:
        if Path(path).exists():
            continue  # written anew, it would be another file for a cache
        soundfile.write(path, 0.1 * rng.standard_normal(8_000), 16_000)
    seconds, corpora = np.full(count, 0.5), np.zeros(count, int)
    ones = np.ones((count, 1), np.float32)
    return Clips(paths, paths, [None] * count, ("c",), corpora, seconds, ones, ones)


def reader_of(folder: Path, *options: str, most_s: float = 0.7) -> ClipReader:
    config = load_config(overrides=[*TINY_WAVLM, *options])
    torch.manual_seed(0)
    return ClipReader(config, corpus(folder), build_model(config).eval(), most_s)


def test_unreadable_clips_and_empty_micro_batches_drop_out(tmp_path: Path) -> None:
    reader = reader_of(tmp_path)
    crops = [Crop(i, 0.5) for i in range(3)]
    works = [
        Work(1, 2, 0, [[crops[0], crops[2]], [crops[2]], [crops[1]]], 0),
        Work(2, 2, 0, [[crops[2]]], 0),
    ]
    found = list(reader.batches(works))
    assert [work for work, _ in found] == works
    assert [[batch.crops for batch in batches] for _, batches in found] == [[[crops[0]], [crops[1]]], []]
    assert [batch.clips for batch in found[0][1]] == [[0], [1]]
    assert torch.equal(found[0][1][1].items[0], read_audio(str(tmp_path / "1.wav"), 16_000))
    assert list(reader.unreadable) == [f"{tmp_path}/2.wav: no such file"]


def test_cached_and_fresh_clips_of_a_micro_batch_become_one(tmp_path: Path) -> None:
    """A micro-batch that is cached in part is computed whole, and what was stored is what goes on."""
    reader = reader_of(tmp_path, f"data.cache={tmp_path}/cache")
    assert reader.cache is not None
    crops = [Crop(0, 0.5), Crop(1, 0.5)]
    fresh = reader.features(MicroBatch(crops[:1], [reader.load(crops[0])]), torch.float32)
    assert fresh.lengths == [fresh.states.shape[1]]
    assert reader.load(crops[0]).dim() == 3  # now it is known
    assert reader.load(crops[1]).dim() == 1
    both = reader.features(MicroBatch(crops, [reader.load(crop) for crop in crops]), torch.float32)
    assert torch.equal(both.states[:, : fresh.lengths[0]], fresh.states)
    assert both.states.dtype == torch.float32
    assert reader.cache.stored == 2
    again = reader.features(MicroBatch(crops, [reader.load(crop) for crop in crops]), torch.float32)
    assert torch.equal(again.states, both.states)
    assert again.lengths == both.lengths == [both.states.shape[1] // 2] * 2


def test_windows_of_another_seed_are_another_cache_and_whole_clips_are_not(tmp_path: Path) -> None:
    def folder(seed: int, most_s: float) -> Path:
        cache = reader_of(tmp_path, f"data.cache={tmp_path}/cache", f"seed={seed}", most_s=most_s).cache
        assert cache is not None
        return cache.folder

    assert folder(1, 0.7) != folder(2, 0.7)
    assert folder(1, math.inf) == folder(2, math.inf) != folder(1, 0.7)
