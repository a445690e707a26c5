"""Manifests to clips and files to waveforms: what is wrong is named, what is right arrives in order."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sqa_model.errors import ModelError
from sqa_model.training.clips import read_clips
from sqa_model.training.config import DataConfig
from sqa_model.training.source import Unreadable, read_ahead, read_audio


def manifest(path: Path, *rows: dict) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    base = {"audio_path": "/a.wav", "system_id": "s", "sample_id": "a", "duration": 1.0}
    path.write_text("".join(json.dumps(base | row) + "\n" for row in rows))
    return str(path)


def read(*patterns: str, heads: tuple[str, ...] = ("mos",), **options: str):
    return read_clips(patterns, heads, DataConfig(**options), name="data.train")  # type: ignore[arg-type]


def test_globs_and_paths_each_manifest_once(tmp_path: Path) -> None:
    one = manifest(tmp_path / "bvcc" / "train" / "data.jsonl", {"metrics": {"mos": 4}})
    manifest(tmp_path / "nisqa" / "train" / "data.jsonl", {"metrics": {"mos": 2}, "corpus": "NISQA"})
    clips = read(one, f"{tmp_path}/*/train/data.jsonl")
    assert len(clips) == 2
    assert clips.corpora == ("NISQA", "bvcc")  # stated, or the folder of the baseline's layout
    assert clips.labels.flatten().tolist() == [4, 2]
    assert [clips.corpora[i] for i in clips.corpus] == ["bvcc", "NISQA"]


def test_missing_null_and_nan_labels_are_all_masked(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    manifest(path, {"metrics": {"mos": 3}}, {"metrics": {"mos": None}}, {"metrics": {}}, {})
    path.write_text(path.read_text() + path.read_text().splitlines()[0].replace("3", "NaN") + "\n")
    clips = read(str(path))
    assert np.isnan(clips.labels[:, 0]).tolist() == [False, True, True, True, True]


def test_an_uncertainty_is_never_a_label(tmp_path: Path) -> None:
    path = manifest(tmp_path / "m.jsonl", {"metrics": {"mos": 3, "mos_std": 0.5}})
    assert np.isnan(read(path, heads=("mos", "mos_std")).labels[0]).tolist() == [False, True]


def test_labels_out_of_range(tmp_path: Path) -> None:
    path = manifest(
        tmp_path / "m.jsonl", {"metrics": {"mos": 5.5}}, {"metrics": {"mos": 4}}, {"metrics": {"mos": 0}}
    )
    with pytest.raises(
        ModelError, match=r"data\.train: 2 labels out of range(?s:.*)/a\.wav: mos is 5\.5, expected 1 to 5"
    ):
        read(path)
    assert np.isnan(read(path, out_of_range="mask").labels[:, 0]).tolist() == [True, False, True]
    assert read(path, out_of_range="clip").labels[:, 0].tolist() == [5, 4, 1]


def test_empty_absent_and_unlabelled(tmp_path: Path) -> None:
    empty = manifest(tmp_path / "empty.jsonl")
    with pytest.raises(ModelError, match=r"empty\.jsonl: found no utterance"):
        read(empty)
    with pytest.raises(ModelError, match=r"data\.train: no file matches"):
        read(f"{tmp_path}/*.json")
    with pytest.raises(ModelError, match=r"data\.train: found no manifest"):
        read()
    path = manifest(tmp_path / "m.jsonl", {"metrics": {"pesq": 2.0, "sdr": 1.0}})
    with pytest.raises(ModelError, match=r"no utterance has the label 'mos'.*found: pesq, sdr"):
        read(path)


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


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.array([0.0, np.nan]), 16_000, subtype="FLOAT")
    for name, reason in (
        ("absent.wav", "no such file"),
        ("text.wav", "Format not recognised"),
        ("empty.wav", "holds no samples"),
        ("nan.wav", "not finite"),
    ):
        with pytest.raises(Unreadable, match=rf"{name}.*{reason}"):
            read_audio(str(tmp_path / name), 16_000)


def test_reading_ahead_keeps_the_order_and_the_distance() -> None:
    asked: list[int] = []
    lock = threading.Lock()

    def load(item: int) -> int:
        with lock:
            asked.append(item)
        if item == 5:
            raise Unreadable("five")
        return item * 10

    jobs = [[2 * i, 2 * i + 1] for i in range(20)]
    reader = read_ahead(jobs, list[int], load, workers=3, ahead=2)
    assert next(reader) == ([0, 1], [0, 10])
    rest = [loaded for _, loaded in reader]
    assert [len(job) for job in rest] == [2] * 19
    assert isinstance(rest[1][1], Unreadable)
    assert rest[-1] == [380, 390]


def test_other_errors_in_a_reader_are_not_swallowed() -> None:
    def load(item: int) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(read_ahead([[1]], list[int], load, workers=1, ahead=1))


def test_a_reader_closed_early_stops_reading() -> None:
    asked: list[int] = []
    jobs = ([i] for i in range(1000))
    reader = read_ahead(jobs, list[int], asked.append, workers=1, ahead=2)
    next(reader)
    reader.close()
    assert len(asked) < 10
