"""The feature cache: what comes out is what went in, for this audio and this backbone only."""

import dataclasses
import hashlib
import json
import shutil
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sqa_model import ModelConfig, MosModel
from sqa_model.errors import ModelError
from sqa_model.network.wavlm import WavLMConfig
from sqa_model.training.cache import FeatureCache
from sqa_model.training.clips import Clips


def tiny(seed: int = 0, normalize: bool = False) -> MosModel:
    torch.manual_seed(seed)
    backbone = WavLMConfig(
        dim=32, layers=2, heads=2, feedforward=32, channels=16, position_groups=4, position_kernel=8
    )
    config = ModelConfig(backbone, dim=16, layers=1, attention_heads=2, feedforward=16, normalize=normalize)
    return MosModel(config).eval()


@pytest.fixture
def clips(tmp_path: Path) -> Clips:
    rng = np.random.default_rng(0)
    seconds = np.array([0.4, 1.0, 0.7])
    paths = []
    for i, duration in enumerate(seconds):
        paths.append(str(tmp_path / f"{i}.wav"))
        soundfile.write(paths[-1], rng.standard_normal(int(duration * 16_000)) * 0.1, 16_000)
    labels = np.ones((3, 1), np.float32)
    return Clips(paths, ["0", "1", "2"], [None] * 3, ("c",), np.zeros(3, int), seconds, labels, labels)


def states(model: MosModel, clips: Clips, index: int) -> torch.Tensor:
    wave = torch.from_numpy(soundfile.read(clips.paths[index], dtype="float32")[0])
    with torch.no_grad():
        return model.features([wave]).states


def test_what_is_put_is_got_and_survives_a_new_process(clips: Clips, tmp_path: Path) -> None:
    model = tiny()
    cache = FeatureCache(tmp_path / "cache", clips, model, 30.0, {})
    assert cache.get(1) is None
    for index in (1, 2):
        computed = states(model, clips, index)
        stored = cache.put(index, computed)
        assert torch.equal(stored, computed.half())
    again = FeatureCache(tmp_path / "cache", clips, model, 30.0, {})
    assert again.stored == 2
    assert again.get(0) is None
    assert torch.equal(again.get(1), states(model, clips, 1).half())  # type: ignore[arg-type]
    assert torch.equal(again.get(2), states(model, clips, 2).half())  # type: ignore[arg-type]


def test_the_cache_that_0_1_0_wrote_is_found(clips: Clips, tmp_path: Path) -> None:
    """Its folder's name and its two files, written here as 0.1.0 wrote them."""
    model = tiny()
    backbone = {"kind": "wavlm"} | dataclasses.asdict(model.config.backbone)
    del backbone["normalize"]  # which it did not know
    key = {"precision": "bf16", "windows": 7}
    digest = hashlib.blake2b(digest_size=16)
    digest.update(json.dumps([backbone, [16_000, False, 30.0], key], sort_keys=True).encode())
    for name, value in sorted(model.backbone.state_dict().items()):
        digest.update(name.encode() + value.numpy().tobytes())
    for path, seconds in zip(clips.paths, clips.seconds.tolist(), strict=True):
        status = Path(path).stat()
        digest.update(f"{path}\0{seconds}\0{status.st_size} {status.st_mtime_ns}\n".encode())
    folder = tmp_path / "cache" / digest.hexdigest()
    folder.mkdir(parents=True)
    frames = [model.backbone.lengths([int(s * 16_000) + 320])[0] for s in clips.seconds.tolist()]
    stored = np.arange(sum(frames) * 3 * 32, dtype=np.float16)
    stored.tofile(folder / "states.f16")
    np.array([0, 5, 0], np.int32).tofile(folder / "frames.i32")

    cache = FeatureCache(tmp_path / "cache", clips, model, 30.0, key)
    assert cache.folder == folder
    assert cache.stored == 1
    first = frames[0] * 3 * 32
    found = cache.get(1)
    assert found is not None
    assert found.shape == (3, 5, 32)
    assert np.array_equal(found.flatten().numpy(), stored[first : first + 3 * 5 * 32])


def test_the_first_states_stay(clips: Clips, tmp_path: Path) -> None:
    model = tiny()
    cache = FeatureCache(tmp_path / "cache", clips, model, 30.0, {})
    first = cache.put(0, states(model, clips, 0))
    assert torch.equal(cache.put(0, states(model, clips, 0) + 1), first)


def test_other_audio_weights_or_precision_is_another_cache(clips: Clips, tmp_path: Path) -> None:
    model = tiny()

    def folder(model: MosModel = model, precision: str = "fp32", most_s: float = 30.0) -> Path:
        return FeatureCache(tmp_path / "cache", clips, model, most_s, {"precision": precision}).folder

    first = folder()
    assert folder() == first
    seen = {first, folder(tiny(1)), folder(precision="bf16"), folder(most_s=0.5)}
    wave, rate = soundfile.read(clips.paths[1])
    soundfile.write(clips.paths[1], wave[::-1], rate)
    seen.add(folder())
    Path(clips.paths[1]).unlink()
    seen.add(folder())
    assert len(seen) == 6


def test_normalised_audio_is_another_cache(clips: Clips, tmp_path: Path) -> None:
    folders = {
        FeatureCache(tmp_path / "cache", clips, tiny(normalize=normalize), 30.0, {}).folder
        for normalize in (False, True)
    }
    assert len(folders) == 2


def test_a_clip_longer_than_its_manifest_says_is_not_stored(clips: Clips, tmp_path: Path) -> None:
    model = tiny()
    cache = FeatureCache(tmp_path / "cache", clips, model, 30.0, {})
    long = torch.randn(3, 500, 32)
    assert torch.equal(cache.put(0, long), long.half())
    assert cache.get(0) is None


def test_numbers_too_large_for_half_precision_are_bounded(clips: Clips, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path / "cache", clips, tiny(), 30.0, {})
    assert cache.put(0, torch.full((3, 2, 32), 1e6)).max() == 65504


@pytest.mark.skipif(sys.platform == "win32", reason="limits of file size are POSIX")
def test_a_disk_that_fills_up_meanwhile_is_one_line(clips: Clips, tmp_path: Path) -> None:
    import resource

    model = tiny()
    cache = FeatureCache(tmp_path / "cache", clips, model, 30.0, {})
    computed = states(model, clips, 2)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(ModelError, match=r"data\.cache: cannot write in .*; make room"):
            cache.put(2, computed)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert cache.get(2) is None
    assert torch.equal(cache.put(2, computed), computed.half())
    assert torch.equal(cache.get(2), computed.half())  # type: ignore[arg-type]


def test_a_full_disk_is_found_out_before_training(
    clips: Clips, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 9, 1))
    with pytest.raises(ModelError, match=r"data\.cache: the features need 0\.0 GB"):
        FeatureCache(tmp_path / "cache", clips, tiny(), 30.0, {})
