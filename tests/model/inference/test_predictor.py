"""The predictor: order, company, threads, long audio, warnings and errors."""

import io
import itertools
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import sqa_model
import torch
from published import SMALL, publish, reference
from sqa_data.clip_list import ClipEntry
from sqa_model import AudioError, InputWarning, ModelConfig, ModelError, MosModel, Predictor, predict
from sqa_model.inference.predictor import cut, prepare, shares
from sqa_model.network.logmel import LogMelConfig
from sqa_model.network.wavlm import WavLMConfig

HEADS = [("mos", 1, 5), ("mos_std", 0, None), ("estoi", 0, 1)]


@pytest.fixture(scope="module")
def model() -> MosModel:
    torch.manual_seed(0)
    return MosModel(ModelConfig(LogMelConfig(dim=32, blocks=2), HEADS, dim=32, layers=1, feedforward=64))


@pytest.fixture(scope="module")
def wavlm() -> MosModel:
    torch.manual_seed(0)
    backbone = WavLMConfig(dim=96, layers=3, heads=4, feedforward=128, channels=64)
    return MosModel(ModelConfig(backbone, HEADS, dim=64, layers=2, attention_heads=4, feedforward=96))


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal(round(16_000 * seconds)).astype(np.float32)
    return x * np.linspace(0.01, 0.2, len(x), dtype=np.float32)


CLIPS = [noise(s, i) for i, s in enumerate([0.6, 3.1, 0.7, 9.0, 1.0, 2.2, 0.5, 4.0])]


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = []
    for i, clip in enumerate(CLIPS):
        paths.append(tmp_path / f"{i}.wav")
        soundfile.write(paths[-1], clip, 16_000, subtype="FLOAT")
    return paths


def test_one_or_many_paths_or_arrays(model: MosModel, files: list[Path]) -> None:
    alone = [predict(path, model) for path in files]
    assert [set(a) for a in alone] == [{"mos", "mos_std", "estoi"}] * len(files)
    assert len({a["mos"] for a in alone}) == len(files)
    for many in (
        predict(files, model),
        predict([str(f) for f in files], model),
        predict(CLIPS, model, 16_000),
        predict([torch.from_numpy(c) for c in CLIPS], model, sample_rate=16_000),
        predict((io.BytesIO(f.read_bytes()) for f in files), model),
    ):
        for one, other in zip(alone, many, strict=True):
            assert one == pytest.approx(other, abs=1e-5)
    assert predict([], model) == []


@pytest.mark.parametrize("batch_seconds", [0.5, 3, 1_000])
@pytest.mark.parametrize("workers", [1, 3])
def test_batches_and_workers_change_nothing(
    model: MosModel, files: list[Path], batch_seconds: float, workers: int
) -> None:
    expected = [p.metrics["mos"] for p in Predictor(model).stream(files)]
    changed = Predictor(model, batch_seconds=batch_seconds, workers=workers).stream(files)
    assert [p.metrics["mos"] for p in changed] == pytest.approx(expected, abs=1e-5)


def test_the_model_is_left_as_it_was(model: MosModel) -> None:
    model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    predict(CLIPS[0], model, 16_000, dtype="bfloat16")
    assert model.training
    assert all(p.requires_grad and p.dtype == torch.float32 for p in model.parameters())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_bfloat16_stays_near_and_keeps_company(tmp_path: Path) -> None:
    small = sqa_model.load(publish(reference(layers=2, **SMALL), tmp_path))
    exact = [r["mos"] for r in predict(CLIPS, small, 16_000, dtype="float32")]
    together = [r["mos"] for r in predict(CLIPS, small, 16_000, dtype="bfloat16")]
    alone = [predict(clip, small, 16_000, dtype="bfloat16")["mos"] for clip in CLIPS]
    assert (
        0 < np.abs(np.subtract(exact, together)).max() < 0.05
    )  # narrow layers average less; 0.02 at full size
    assert np.abs(np.subtract(alone, together)).max() < 0.05


@pytest.mark.slow
def test_bfloat16_moves_a_full_size_model_by_less_than_its_bound(tmp_path: Path) -> None:
    full = sqa_model.load(publish(reference(seed=5), tmp_path))
    clips = [noise(s, 10 + i) for i, s in enumerate([0.5, 2.0, 4.0, 8.0])]
    exact = predict(clips, full, 16_000, dtype="float32")
    together = predict(clips, full, 16_000, dtype="bfloat16")
    alone = [predict(clip, full, 16_000, dtype="bfloat16") for clip in clips]
    for head in ("mos", "dnsmos_ovrl", "scoreq", "utmos", "nisqa_mos"):
        for e, t, a in zip(exact, together, alone, strict=True):
            assert abs(e[head] - t[head]) < 0.02
            assert abs(a[head] - t[head]) < 0.02


def test_auto_dtype_refuses_bfloat16_where_it_hurts(wavlm: MosModel, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    monkeypatch.setattr(sqa_model.inference.predictor, "_has_bfloat16", lambda _: True)
    monkeypatch.setattr(sqa_model.inference.predictor, "BF16_BOUND", 1.0)
    assert prepare(wavlm, cpu, "auto")[0] == "bfloat16"
    monkeypatch.setattr(sqa_model.inference.predictor, "BF16_BOUND", 1e-9)
    assert prepare(wavlm, cpu, "auto")[0] == "float32"
    monkeypatch.setattr(sqa_model.inference.predictor, "_has_bfloat16", lambda _: False)
    monkeypatch.setattr(sqa_model.inference.predictor, "BF16_BOUND", 1.0)
    assert prepare(wavlm, cpu, "auto")[0] == "float32"


def test_threads_share_one_predictor(model: MosModel, files: list[Path]) -> None:
    predictor = Predictor(model)
    expected = predictor(files)
    results: dict[int, list] = {}

    def work(i: int) -> None:
        results[i] = predictor(files)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for got in results.values():
        for one, other in zip(expected, got, strict=True):
            assert one == pytest.approx(other, abs=1e-5)
    assert len(results) == 6


def test_a_bad_clip_costs_only_itself(model: MosModel, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("not audio")
    sources = [files[0], tmp_path / "absent.wav", files[1], tmp_path / "text.wav", files[2]]
    results = list(Predictor(model).stream(sources))
    assert [r.error is None for r in results] == [True, False, True, False, True]
    assert "absent.wav: no such file" in (results[1].error or "")
    assert "text.wav: not readable as audio" in (results[3].error or "")
    assert results[1].metrics == {}
    assert results[4].metrics == pytest.approx(predict(files[2], model), abs=1e-5)
    with pytest.raises(AudioError, match=r"clip 1: .*absent\.wav"):
        predict(sources, model)


def test_items_are_sources(model: MosModel, files: list[Path]) -> None:
    (result,) = Predictor(model).stream([ClipEntry(str(files[3]), "id")])
    assert result.duration_s == 9.0
    assert result.metrics == pytest.approx(predict(files[3], model), abs=1e-5)


@pytest.mark.parametrize(
    ("x", "rate", "message"),
    [
        (noise(1), 8_000, "low_rate: 8000 Hz"),
        ([noise(1), np.zeros(16_000)], 16_000, "clip 1: silent"),
        (noise(0.02) * 9, 16_000, "short: 20.0 ms, padded"),
    ],
)
def test_warnings_reach_the_caller(model: MosModel, x: object, rate: int, message: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        predict(x, model, rate)
    assert all(w.category is InputWarning for w in caught)
    assert any(str(w.message).startswith(message) for w in caught)


def test_no_warning_without_a_reason(model: MosModel) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict(noise(1), model, 16_000)


def test_streams_from_an_endless_generator(model: MosModel) -> None:
    taken = 0

    def endless() -> Iterator[np.ndarray]:
        nonlocal taken
        while True:
            taken += 1
            yield CLIPS[0]

    stream = Predictor(model, batch_seconds=2).stream(endless(), 16_000)
    for _ in range(10):
        assert next(stream).error is None
    stream.close()
    assert taken < 100


# --- long audio ---


@pytest.mark.parametrize("length", [1, 59, 60, 61, 100, 119, 1_000, 12_345])
def test_windows_cover_everything_once(length: int) -> None:
    windows = cut(length, 60)
    owned = shares(windows, length)
    assert [w.stop - w.start for w in windows] == [min(length, 60)] * len(windows)
    assert owned[0].start == 0
    assert owned[-1].stop == length
    assert all(a.stop == b.start for a, b in itertools.pairwise(owned))
    assert all(w.start <= o.start < o.stop <= w.stop for w, o in zip(windows, owned, strict=True))
    overlaps = [a.stop - b.start for a, b in itertools.pairwise(windows)]
    assert all(o >= 10 for o in overlaps)
    assert len(windows) <= max(1, -(-(length - 10) // 50))


def test_long_audio_is_the_weighted_mean_of_its_windows(model: MosModel) -> None:
    wave = noise(25)
    long = Predictor(model, window_s=10)(wave, 16_000)
    windows = cut(len(wave), 160_000)
    weights = [(s.stop - s.start) / len(wave) for s in shares(windows, len(wave))]
    parts = predict([wave[w] for w in windows], model, 16_000)
    expected = {k: sum(w * p[k] for w, p in zip(weights, parts, strict=True)) for k in long}
    assert len(windows) == 3
    assert sum(weights) == pytest.approx(1)
    assert long == pytest.approx(expected, abs=1e-5)


def test_audio_below_the_window_is_seen_whole(model: MosModel) -> None:
    wave = noise(25)
    with torch.inference_mode():
        whole = model.eval()([torch.from_numpy(wave)])[0].tolist()
    assert list(predict(wave, model, 16_000, dtype="float32").values()) == pytest.approx(whole, abs=1e-5)


def test_timeline_says_where_it_is_bad(model: MosModel) -> None:
    wave = np.concatenate([noise(6, 1), noise(6, 2) * 1e-2])
    (result,) = Predictor(model, timeline_s=2).stream([wave], 16_000)
    spans = result.timeline
    assert (spans[0].start_s, spans[-1].end_s) == (0, 12)
    assert all(a.end_s == b.start_s for a, b in itertools.pairwise(spans))
    first = predict(wave[:32_000], model, 16_000)
    assert spans[0].metrics == pytest.approx(first, abs=1e-5)
    assert result.metrics == pytest.approx(predict(wave, model, 16_000), abs=1e-5)


@pytest.mark.slow
def test_forty_minutes(model: MosModel, tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 16_000, 1) as file:
        for i in range(40):
            file.write(noise(60, i))
    (result,) = Predictor(model).stream([path])
    assert result.duration_s == 2_400
    assert 1 < result.metrics["mos"] < 5
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "device is 'tpu'; expected auto, cpu"),
        ({"device": "meta"}, "device is 'meta'"),
        ({"dtype": "float8"}, "dtype is 'float8'; expected auto"),
        ({"window_s": 0}, "window_s is 0"),
        ({"batch_seconds": -1}, "batch_seconds is -1"),
        ({"timeline_s": float("nan")}, "timeline_s is nan"),
    ],
)
def test_wrong_options_are_told(model: MosModel, options: dict, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        Predictor(model, **options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_equals_cpu(wavlm: MosModel) -> None:
    cpu = predict(CLIPS, wavlm, 16_000, device="cpu", dtype="float32")
    gpu = predict(CLIPS, wavlm, 16_000, device="cuda", dtype="float32")
    for one, other in zip(cpu, gpu, strict=True):
        assert one == pytest.approx(other, abs=1e-3)


# --- the model in the package ---


def test_no_model_in_the_package_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sqa_model.checkpoint.locate, "DEFAULT", tmp_path)
    with pytest.raises(ModelError, match="no default model; pass model="):
        predict(CLIPS[0], sample_rate=16_000)


def test_the_model_in_the_package_is_used(
    model: MosModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(
        sqa_model.checkpoint.locate, "DEFAULT", sqa_model.save(model, tmp_path, dtype="float16")
    )
    default = predict(CLIPS[0], sample_rate=16_000)
    assert default == pytest.approx(predict(CLIPS[0], model, 16_000), abs=1e-2)
