"""The predictor: order, company, threads, long audio, warnings and errors."""

import dataclasses
import io
import itertools
import math
import multiprocessing
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import sqa_model
import torch
from published import SMALL, publish, reference
from sqa_data.clip_list import ClipEntry
from sqa_model import AudioError, InputWarning, ModelConfig, ModelError, MosModel, Predictor, predict
from sqa_model.inference.windows import cut, nearest_parts
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
        ([noise(1), noise(1) * 1e-3], 16_000, "clip 1: quiet"),
        ([noise(1)], 16_000, "clip 0: no_speech"),
        (noise(0.02) * 9, 16_000, "short: 0.02 s; scores of clips under 0.5 s"),
    ],
)
def test_warnings_reach_the_caller(model: MosModel, x: object, rate: int, message: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        predict(x, model, rate)
    assert all(w.category is InputWarning for w in caught)
    assert any(str(w.message).startswith(message) for w in caught)


def test_what_is_odd_about_many_clips_is_one_warning(model: MosModel) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        predict([noise(1), noise(0.2), noise(0.3), noise(0.1) * 1e-4], model, 16_000)
    told = sorted(str(w.message) for w in caught)
    assert [text.partition(":")[0] for text in told] == ["clip 0", "clip 1", "clip 3"]
    assert (
        told[1]
        == "clip 1: short: 0.2 s; scores of clips under 0.5 s are unreliable (short in 2 more: clip 2, clip 3)"
    )
    assert told[2].startswith("clip 3: quiet: ")
    assert "more" not in told[2]


def test_no_warning_without_a_reason(model: MosModel, shared: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        predict(shared / "data/p835/c0_f1.flac", model)


@pytest.mark.parametrize("silence", [np.zeros(16_000), np.full(16_000, 0.3), np.zeros(9)])
def test_silence_has_no_score(model: MosModel, silence: np.ndarray) -> None:
    """As in annotate, and as every clip that cannot be scored: an error of its own, the others go on."""
    before, found, after = Predictor(model).stream([noise(1), silence, noise(1)], 16_000)
    assert found.metrics == {}
    assert (found.error or "").startswith("the clip is silent: all samples are 0")
    assert found.duration_s == len(silence) / 16_000
    assert before.metrics == after.metrics != {}
    with pytest.raises(AudioError, match="clip 1: the clip is silent"):
        predict([noise(1), silence], model, 16_000)
    cancelling = np.stack([noise(1), -noise(1)])
    with pytest.raises(AudioError, match=r"silent: all samples are 0; opposite: .* take one channel"):
        predict(cancelling, model, 16_000, layout="channels")


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


# --- what x may be ---


def test_two_axes_need_a_layout(model: MosModel) -> None:
    clips = np.stack([noise(1, i) for i in range(3)])
    expected = predict(list(clips), model, 16_000)
    for x in (clips, torch.from_numpy(clips)):
        assert predict(x, model, 16_000, layout="clips") == expected
        assert Predictor(model)(x, 16_000, layout="clips") == expected
        assert [p.metrics for p in Predictor(model).stream(x, 16_000, layout="clips")] == expected
        mean = predict(x, model, 16_000, layout="channels")
        assert mean == pytest.approx(predict(clips.mean(0), model, 16_000), abs=1e-5)
        assert predict(x, model, 16_000, channel=2) == pytest.approx(expected[2], abs=1e-5)
        with pytest.raises(AudioError, match=r'layout="channels" \(or channel=0\).*layout="clips"'):
            predict(x, model, 16_000)
        with pytest.raises(ModelError, match=r'stream takes many clips.*layout="clips"'):
            next(Predictor(model).stream(x, 16_000))
    alone = predict(clips[:1], model, 16_000)
    assert alone == pytest.approx(expected[0], abs=1e-5)
    assert predict(clips[:1].T, model, 16_000) == alone
    assert predict(clips[:1], model, 16_000, layout="clips") == [alone]
    stereo = [clips[:2], clips[1:]]
    assert len(predict(stereo, model, 16_000, layout="channels")) == 2
    with pytest.raises(ModelError, match=r'layout="clips" is for one array'):
        predict(stereo, model, 16_000, layout="clips")
    with pytest.raises(ModelError, match="layout is 'rows'; expected 'clips', 'channels' or None"):
        predict(clips, model, 16_000, layout="rows")  # type: ignore[call-overload]


def test_samples_that_come_with_their_rate(model: MosModel, files: list[Path]) -> None:
    expected = predict(CLIPS[1], model, 16_000)
    for x in ((CLIPS[1], 16_000), {"array": CLIPS[1], "sampling_rate": 16_000}, files[1].read_bytes()):
        for found in (predict(x, model), *predict([x, x], model)):
            assert found == pytest.approx(expected, abs=1e-5)
    assert predict(CLIPS[1], model, 16_000.0) == expected


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda m: predict(CLIPS[0], 16_000),
            r"model is 16000, a number; .* predict\(x, sample_rate=16000\)",
        ),
        (lambda m: predict(CLIPS[0].tolist(), m, 16_000), r"a list of numbers; .* np\.array\(samples\)"),
        (lambda m: predict(3, m), "cannot read speech from int"),
        (lambda m: predict(None, m), "cannot read speech from NoneType"),
        (lambda m: predict([None], m), "clip 0: cannot read speech from NoneType"),
        (lambda m: predict({"audio": CLIPS[0]}, m), "found a mapping with 'audio'; expected"),
        (lambda m: predict("/", m), "/: is a folder; expected a file; for many clips name each"),
        (lambda m: predict("*.wav", m), r"\*.wav: no such file; for many clips name each"),
        (lambda m: next(Predictor(m).stream("a.wav")), "stream takes many clips, found one str"),
        (lambda m: predict(CLIPS[0], "nosuch", 16_000), "nosuch: no such file or folder"),
    ],
)
def test_one_clear_sentence(model: MosModel, call: Callable[[MosModel], object], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        call(model)


def test_scores_that_are_no_numbers_are_errors(model: MosModel) -> None:
    predictor = Predictor(model, dtype="float32", device="cpu")
    predictor.models[0].metrics.bias = torch.nn.Parameter(torch.tensor([0.0, math.nan, 0.0]), False)
    (result,) = predictor.stream([CLIPS[0]], 16_000)
    assert result.error == "the model's score is not finite: mos_std"
    assert (result.metrics, result.duration_s) == ({}, 0.6)
    with pytest.raises(AudioError, match="not finite"):
        predictor(CLIPS[0], 16_000)


def score_in_child(predictor: Predictor, wave: np.ndarray, results: "multiprocessing.Queue[object]") -> None:
    results.put(
        (predictor(wave, 16_000), predict(wave, predictor.models, 16_000, device="cpu", dtype="float32"))
    )


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_processes_score_too(wavlm: MosModel) -> None:
    predictor = Predictor(wavlm, device="cpu", dtype="float32")
    expected = predictor(CLIPS[3], 16_000)  # torch has its threads now
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    child = context.Process(target=score_in_child, args=(predictor, CLIPS[3], results))
    child.start()
    try:
        for found in results.get(timeout=120):
            assert found == pytest.approx(expected, abs=1e-5)
    finally:
        child.kill()
        child.join()


# --- long audio ---


def test_long_audio_is_the_weighted_mean_of_its_windows(model: MosModel) -> None:
    wave = noise(25)
    long = Predictor(model, window_s=10)(wave, 16_000)
    windows = cut(len(wave), 160_000)
    weights = [(s.stop - s.start) / len(wave) for s in nearest_parts(windows, len(wave))]
    parts = predict([wave[w] for w in windows], model, 16_000)
    expected = {k: sum(w * p[k] for w, p in zip(weights, parts, strict=True)) for k in long}
    assert len(windows) == 3
    (prediction,) = Predictor(model, window_s=10).stream([wave], 16_000)
    assert prediction.windows == 3
    assert sum(weights) == pytest.approx(1)
    assert long == pytest.approx(expected, abs=1e-5)


def test_audio_below_the_window_is_seen_whole(model: MosModel) -> None:
    wave = noise(25)
    with torch.inference_mode():
        whole = model.eval()([torch.from_numpy(wave)])[0].tolist()
    assert list(predict(wave, model, 16_000, dtype="float32").values()) == pytest.approx(whole, abs=1e-5)


def test_the_window_follows_the_model(model: MosModel) -> None:
    config = dataclasses.replace(model.config, window_s=4.0)
    assert '"window_s": 4.0' in config.to_json()
    assert "window_s" not in model.config.to_json()  # or older models would have other fingerprints
    short = MosModel(config)
    short.load_state_dict(model.state_dict())
    assert ModelConfig.from_json(config.to_json()) == config
    wave = noise(9)
    assert Predictor(short)(wave, 16_000) == Predictor(model, window_s=4)(wave, 16_000)
    assert Predictor(short, window_s=30)(wave, 16_000) == Predictor(model)(wave, 16_000)
    windows = [p.windows for p in Predictor(short).stream([wave, wave[:16_000]], 16_000)]
    assert windows == [3, 1]


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
    (warning,) = result.warnings
    assert warning.startswith("no_speech: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "device is 'tpu'; expected auto, cpu"),
        ({"device": "meta"}, "device is 'meta'"),
        ({"dtype": "float8"}, "dtype is 'float8'; expected auto"),
        ({"device": "mps"}, "device is 'mps'; expected auto, cpu, cuda or cuda:1: Apple's GPUs"),
        ({"device": "cuda:7777"}, "device is 'cuda:7777'"),
        ({"window_s": 0}, "window_s is 0"),
        ({"window_s": math.inf}, "window_s is inf; expected 0.5 to 3,600 seconds"),
        ({"batch_seconds": -1}, "batch_seconds is -1"),
        ({"timeline_s": float("nan")}, "timeline_s is nan"),
        ({"channel": -1}, "channel is -1"),
        ({"workers": 0}, "workers is 0"),
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
    monkeypatch.setattr(sqa_model.checkpoint.locate, "EDITIONS", tmp_path)
    with pytest.raises(ModelError, match="no default model; pass model="):
        predict(CLIPS[0], sample_rate=16_000)


def test_the_model_in_the_package_is_used(
    model: MosModel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sqa_model.checkpoint.locate, "EDITIONS", tmp_path)
    sqa_model.save(model, tmp_path / "1", dtype="float16")
    default = predict(CLIPS[0], sample_rate=16_000)
    assert default == pytest.approx(predict(CLIPS[0], model, 16_000), abs=1e-2)
