"""recipes/default/inherit.py: what is copied is the teacher, what is asked is asked once, and a stopped run goes on."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile as sf
import torch
from sqa_data import Utterance, write_manifest
from sqa_model import load_config
from sqa_model.network.model import MosModel, bounded
from sqa_model.training.build import build_model

pytest.importorskip("distillmos")
RECIPE = Path(__file__).parents[3] / "recipes" / "default"


@pytest.fixture(scope="module")
def inherit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("inherit", RECIPE / "inherit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def teacher(inherit: ModuleType) -> torch.nn.Module:
    found: torch.nn.Module = inherit._teacher()
    return found


def student() -> MosModel:
    torch.manual_seed(0)
    return build_model(load_config(None, RECIPE / "train.toml"))


def noise(seconds: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (
        0.1 * rng.standard_normal(int(16000 * seconds)) * np.sin(np.arange(int(16000 * seconds)) / 2000) ** 2
    )


def manifest(folder: Path, name: str, seconds: list[float]) -> Path:
    rows = []
    for i, length in enumerate(seconds):
        sf.write(folder / f"{name}{i}.wav", noise(length, i), 16000)
        rows.append(Utterance(str(folder / f"{name}{i}.wav"), f"{name}{i}", length, {}, system_id="one"))
    write_manifest(folder / f"{name}.jsonl", rows)
    return folder / f"{name}.jsonl"


@pytest.mark.slow
def test_the_copied_layers_are_the_teachers(inherit: ModuleType, teacher: torch.nn.Module) -> None:
    """On the teacher's own states the copied layers, pooling and head say what the teacher says."""
    wave = torch.from_numpy(noise(7.68, 3)).float()[None]
    kept: list[torch.Tensor] = []
    layers = teacher.transformer_pool_attn.transformer.transformer_encoder.layers
    hook = layers[inherit.CUT - 1].register_forward_hook(lambda *call: kept.append(call[2]))
    with torch.inference_mode():
        expected = float(teacher(wave))
    hook.remove()
    model = student()
    inherit.copy_layers(teacher.transformer_pool_attn, model)
    with torch.inference_mode():
        x = kept[0][0]  # (frames, 200)
        for layer in model.encoder:
            x = layer(x, [len(x)])
        found = bounded(model.metrics(model.pooling(x, [len(x)])), model.config.heads)[0]
    assert float(found[model.config.names.index("mos")]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
def test_the_teacher_is_asked_once(inherit: ModuleType, teacher: torch.nn.Module, tmp_path: Path) -> None:
    path = manifest(tmp_path, "train", [1.0, 1.51])
    clips = inherit.Clips(inherit.ask(teacher, path, tmp_path / "states"))
    with torch.inference_mode():
        for i, seconds in enumerate((1.0, 1.51)):
            direct = float(
                teacher(torch.from_numpy(sf.read(tmp_path / f"train{i}.wav", dtype="float32")[0])[None])
            )
            assert float(clips.scores[i]) == pytest.approx(direct, abs=0.02)  # bfloat16
            frames = int(np.ceil(seconds * 25))
            assert clips.states(i, 1000).shape == (2, frames, 200)
            assert len(clips.wave(i, 1000)) == int(seconds * 16000)
    inherit.ask(None, path, tmp_path / "states")  # nobody is asked again
    other = manifest(tmp_path, "other", [1.0, 1.2])
    with pytest.raises(SystemExit, match="holds other clips than"):
        inherit.ask(None, other, tmp_path / "states")


def test_a_clip_longer_than_the_teacher_hears_is_told(inherit: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"train1 has 8\.00 s; expected at most 7\.68"):
        inherit.ask(None, manifest(tmp_path, "train", [1.0, 8.0]), tmp_path / "states")


@pytest.mark.slow
def test_a_stopped_run_goes_on(
    inherit: ModuleType, teacher: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after an epoch of either stage, it ends with the weights of the run that was never stopped."""
    monkeypatch.setattr(inherit, "FRAMES", 40)
    monkeypatch.setattr(inherit, "EPOCHS", (2, 2))
    clips = inherit.Clips(
        inherit.ask(teacher, manifest(tmp_path, "train", [1.0, 1.5, 2.0, 1.2]), tmp_path / "a")
    )
    dev = inherit.Clips(inherit.ask(teacher, manifest(tmp_path, "dev", [1.0, 1.3, 0.7]), tmp_path / "b"))
    model = student()
    inherit.copy_layers(teacher.transformer_pool_attn, model)
    before = [p.clone() for p in model.parameters()]
    whole = inherit.learn(model, clips, dev, tmp_path / "whole.pt", 1).state_dict()
    assert any(not torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))

    class Stopped(Exception):
        pass

    quality = inherit._quality
    for stop in (1, 3):  # in the first epoch that follows
        calls = []

        def count(*given: object, calls: list[int] = calls, stop: int = stop) -> str:
            calls.append(1)
            if len(calls) > stop:
                raise Stopped
            return str(quality(*given))

        state = tmp_path / f"{stop}.pt"
        monkeypatch.setattr(inherit, "_quality", count)
        model = student()
        inherit.copy_layers(teacher.transformer_pool_attn, model)
        with pytest.raises(Stopped):
            inherit.learn(model, clips, dev, state, 1)
        monkeypatch.setattr(inherit, "_quality", quality)
        model = student()
        inherit.copy_layers(teacher.transformer_pool_attn, model)
        with pytest.raises(SystemExit, match="other clips or settings"):
            inherit.learn(model, clips, dev, state, 2)
        resumed = inherit.learn(model, clips, dev, state, 1).state_dict()
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)

    monkeypatch.setattr(inherit, "FRAMES", 10_000)
    with pytest.raises(SystemExit, match="expected at least 400"):
        inherit.learn(model, clips, dev, tmp_path / "short.pt", 1)
