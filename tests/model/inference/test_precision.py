"""bfloat16 by itself only where it cannot matter: on speech, before the squash."""

from pathlib import Path

import pytest
import sqa_model
import torch
from sqa_model import Head, ModelConfig, ModelError, MosModel
from sqa_model.audio import load_audio
from sqa_model.inference import precision
from sqa_model.inference.precision import limit, pick_device, prepare, probe
from sqa_model.network.wavlm import WavLMConfig

CPU = torch.device("cpu")


@pytest.fixture
def wavlm(monkeypatch: pytest.MonkeyPatch) -> MosModel:
    monkeypatch.setattr(precision, "has_bfloat16", lambda _: True)
    torch.manual_seed(0)
    backbone = WavLMConfig(dim=96, layers=3, heads=4, feedforward=128, channels=64)
    heads = [("mos", 1, 5), ("sdr", None, None)]
    return MosModel(ModelConfig(backbone, heads, dim=64, layers=2, attention_heads=4, feedforward=96))


def test_the_probe_is_speech() -> None:
    clean, noisy, cut_off = probe(16_000)
    assert len(clean) == len(noisy) == len(cut_off) == 20_000
    assert 0.05 < clean.std() < 0.2
    assert 0.02 < (noisy - clean).std() < 0.04
    assert cut_off.abs().max() <= 0.05
    assert [len(clip) for clip in probe(8_000)] == [10_000] * 3


def test_auto_needs_hardware_and_a_small_change(wavlm: MosModel, monkeypatch: pytest.MonkeyPatch) -> None:
    assert prepare(wavlm, CPU, "auto")[0] == "bfloat16"
    monkeypatch.setattr(precision, "BOUND", 1e-7)
    assert prepare(wavlm, CPU, "auto")[0] == "float32"
    monkeypatch.undo()
    monkeypatch.setattr(precision, "has_bfloat16", lambda _: False)
    assert prepare(wavlm, CPU, "auto")[0] == "float32"
    for dtype in ("float32", "bfloat16"):
        name, copy = prepare(wavlm, CPU, dtype)
        assert name == dtype
        assert copy.projection.weight.dtype == getattr(torch, dtype)
        assert copy.metrics.weight.dtype == torch.float32
    with pytest.raises(ModelError, match="dtype is 'half'"):
        prepare(wavlm, CPU, "half")


def test_a_saturated_head_hides_nothing(wavlm: MosModel) -> None:
    """A head far out on its sigmoid moves little where it is, and much for other clips."""
    with torch.no_grad():
        wavlm.metrics.weight[0] *= 60
        wavlm.metrics.bias[0] = 50
    clips = probe(16_000)
    name, _ = prepare(wavlm, CPU, "auto")
    scores = [prepare(wavlm, CPU, dtype)[1](clips) for dtype in ("float32", "bfloat16")]
    assert (scores[0] - scores[1])[:, 0].abs().max() < 1e-6
    assert name == "float32"


@pytest.mark.parametrize(("factor", "name"), [(0.9, "bfloat16"), (1.1, "float32")])
def test_twice_the_largest_move_must_fit(
    wavlm: MosModel, monkeypatch: pytest.MonkeyPatch, factor: float, name: str
) -> None:
    clips = probe(16_000)
    with torch.inference_mode():
        exact, rounded = (prepare(wavlm, CPU, dtype)[1].logits(clips) for dtype in ("float32", "bfloat16"))
    largest = (exact - rounded).abs()[:, 0].max().item()
    limits = {"mos": 2 * largest / factor, "sdr": 1e9}
    monkeypatch.setattr(precision, "limit", lambda head, _: limits[head.name])
    assert prepare(wavlm, CPU, "auto")[0] == name


def test_not_a_number_is_no_small_change(wavlm: MosModel) -> None:
    with torch.no_grad():
        wavlm.metrics.bias[1] = torch.nan
    assert prepare(wavlm, CPU, "auto")[0] == "float32"


def test_limits_bound_the_score() -> None:
    head = Head("mos", 1, 5)
    raw = torch.linspace(-9, 9, 1_001, dtype=torch.float64)[:, None]
    moved = raw + limit(head, 0.0)
    change = sqa_model.network.model.bounded(moved, [head]) - sqa_model.network.model.bounded(raw, [head])
    assert 0.019 < change.max() <= 0.02
    assert limit(Head("sdr"), 40.0) == pytest.approx(0.2)
    assert limit(Head("mcd", 0), 0.5) == pytest.approx(0.005)


def test_the_default_model_keeps_the_bound_on_real_speech(shared: Path) -> None:
    model = sqa_model.load(None)
    paths = sorted((shared / "data/p835").rglob("*.flac"))[::13]
    waves = [load_audio(path).samples[:80_000] for path in paths]
    exact, rounded = (prepare(model, CPU, dtype)[1] for dtype in ("float32", "bfloat16"))
    with torch.inference_mode():
        change = (exact(waves) - rounded(waves)).abs().amax(0)
        assert change[0] < 0.02
        assert 0 < (exact.logits(waves) - rounded.logits(waves)).abs().max() < limit(Head("mos", 1, 5), 0)


def test_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pick_device("cpu") == CPU
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert pick_device("auto") == CPU
    with pytest.raises(ModelError, match="but 0 CUDA devices are found"):
        pick_device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert pick_device("auto") == pick_device("cuda") == torch.device("cuda:1")
    assert pick_device("cuda:0") == torch.device("cuda:0")
    with pytest.raises(ModelError, match="'cuda:2', but 2 CUDA"):
        pick_device("cuda:2")
