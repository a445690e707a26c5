"""Several models as one: the mean of their lone scores, how far they disagree, what they must have in common."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
import sqa_model.audio
import torch
from sqa_data import audio as files
from sqa_model import Head, ModelConfig, ModelError, MosModel, Predictor, predict, save
from sqa_model.inference.ensemble import check_members, combined
from sqa_model.network.logmel import LogMelConfig

MOS, STD, SDR = ("mos", 1, 5), ("mos_std", 0, None), ("sdr", None, None)


def tiny(seed: int, heads: list, *, rate: int = 16_000, window_s: float = 30.0) -> MosModel:
    torch.manual_seed(seed)
    sizes = {"dim": 16, "layers": 1, "feedforward": 16, "attention_heads": 2}
    config = ModelConfig(LogMelConfig(dim=16, blocks=1), heads, sample_rate=rate, window_s=window_s, **sizes)
    model = MosModel(config)
    with torch.no_grad():
        # random heads say nearly the same of every clip
        model.metrics.weight.mul_(3)
        model.metrics.bias.normal_()
    return model


@pytest.fixture(scope="module")
def three() -> list[MosModel]:
    """Models of two rates, three windows and other heads."""
    return [
        tiny(0, [MOS, STD]),
        tiny(1, [SDR, MOS, STD], rate=8_000, window_s=2.0),
        tiny(2, [STD, MOS], window_s=1.5),
    ]


def speech(seconds: float, seed: int) -> np.ndarray:
    x = np.random.default_rng(seed).standard_normal(round(16_000 * seconds)).astype(np.float32)
    return x * np.linspace(0.01, 0.2, len(x), dtype=np.float32)


CLIPS = [speech(s, i) for i, s in enumerate([0.6, 3.1, 5.0, 1.0])]
OPTIONS = {"device": "cpu", "dtype": "float32"}


@pytest.mark.parametrize("batch_seconds", [1, 1_000])
def test_the_mean_of_the_lone_scores(three: list[MosModel], batch_seconds: float) -> None:
    lone = [list(Predictor(m, batch_seconds=batch_seconds, **OPTIONS).stream(CLIPS, 16_000)) for m in three]
    both = Predictor(three, batch_seconds=batch_seconds, **OPTIONS)
    together = list(both.stream(CLIPS, 16_000))
    assert both.names == ("mos", "mos_spread", "mos_std", "sdr")
    for found, *alone in zip(together, *lone, strict=True):
        assert tuple(found.metrics) == both.names
        mos = np.array([a.metrics["mos"] for a in alone])
        std = np.array([a.metrics["mos_std"] for a in alone])
        assert found.metrics["mos"] == pytest.approx(mos.mean(), abs=1e-12)
        assert found.metrics["mos_spread"] == pytest.approx(mos.std(), abs=1e-12)
        # the second moment of the mixture, without its first
        variance = (std**2 + mos**2).mean() - mos.mean() ** 2
        assert found.metrics["mos_std"] == pytest.approx(variance**0.5, abs=1e-9)
        assert found.metrics["sdr"] == alone[1].metrics["sdr"]
        assert found.duration_s == alone[0].duration_s
        assert found.windows == max(a.windows for a in alone)
        assert found.warnings == alone[0].warnings
    assert any(found.metrics["mos_spread"] > 0.05 for found in together)
    for row, found in zip(predict(CLIPS, three, 16_000, **OPTIONS), together, strict=True):
        assert row == pytest.approx(found.metrics, abs=1e-5)


def test_an_ensemble_of_one_is_the_model(three: list[MosModel]) -> None:
    one, alone = Predictor(three[:1], **OPTIONS), Predictor(three[0], **OPTIONS)
    assert (one.names, one.fingerprint, one.dtype) == (alone.names, alone.fingerprint, alone.dtype)
    assert one(CLIPS, 16_000) == alone(CLIPS, 16_000)


def test_the_law_of_total_variance_by_drawing() -> None:
    outputs = [{"mos": 2.0, "mos_std": 0.3}, {"mos": 3.5, "mos_std": 0.8}, {"mos": 3.0, "mos_std": 0.1}]
    rng = np.random.default_rng(0)
    draws = np.concatenate([rng.normal(o["mos"], o["mos_std"], 200_000) for o in outputs])
    found = combined(outputs)
    assert found["mos"] == pytest.approx(draws.mean(), abs=0.01)
    assert found["mos_std"] == pytest.approx(draws.std(), abs=0.01)


def test_an_error_that_a_model_does_not_tell_is_not_made_up() -> None:
    one, other = {"mos": 3.0, "mos_std": 0.4}, {"mos": 4.0, "sdr": 2.0}
    assert combined([one, other]) == {"mos": 3.5, "mos_spread": 0.5, "sdr": 2.0}
    # who has no such head at all says nothing of its error either way
    assert combined([one, {"sdr": 2.0}]) == {"mos": 3.0, "mos_std": 0.4, "sdr": 2.0}


def test_stretches_of_time(three: list[MosModel]) -> None:
    clip = speech(4.01, 9)
    lone = [next(iter(Predictor(m, timeline_s=1, **OPTIONS).stream([clip], 16_000))) for m in three]
    (found,) = Predictor(three, timeline_s=1, **OPTIONS).stream([clip], 16_000)
    assert [(s.start_s, s.end_s) for s in found.timeline] == [(s.start_s, s.end_s) for s in lone[0].timeline]
    for number, span in enumerate(found.timeline):
        mean = np.mean([alone.timeline[number].metrics["mos"] for alone in lone])
        assert span.metrics["mos"] == pytest.approx(mean, abs=1e-3)
        assert tuple(span.metrics) == ("mos", "mos_spread", "mos_std", "sdr")


def test_a_clip_is_read_once_and_resampled_once_a_rate(
    three: list[MosModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = io.BytesIO()
    soundfile.write(file, CLIPS[0], 44_100, format="WAV")
    heard, resampled = [], []
    hear, resample = files.hear, sqa_model.audio.resample
    monkeypatch.setattr(files, "hear", lambda source: heard.append(source) or hear(source))
    monkeypatch.setattr(sqa_model.audio, "resample", lambda *a: resampled.append(a[2]) or resample(*a))
    list(Predictor(three, **OPTIONS).stream([file.getvalue()]))
    assert len(heard) == 1
    assert resampled == [16_000, 8_000]


def test_the_warning_is_of_the_highest_rate(three: list[MosModel]) -> None:
    (found,) = Predictor([three[1], three[0]], **OPTIONS).stream([CLIPS[1]], 8_000)
    assert [text for text in found.warnings if "low_rate" in text] == [
        "low_rate: 8000 Hz, below the model's 16000 Hz: the upper band is empty"
    ]


def test_members_are_named_in_order(three: list[MosModel], tmp_path: Path) -> None:
    marks = [model.fingerprint() for model in three]
    assert Predictor(three, **OPTIONS).fingerprint == "+".join(marks)
    assert Predictor((three[2], three[0]), **OPTIONS).fingerprint == f"{marks[2]}+{marks[0]}"
    folder = save(three[1], tmp_path)
    assert Predictor([three[0], folder, three[2]], **OPTIONS).fingerprint == "+".join(marks)


def test_one_number_format_for_all(three: list[MosModel], monkeypatch: pytest.MonkeyPatch) -> None:
    from sqa_model.inference import ensemble, precision

    def prepare(model: MosModel, device: torch.device, dtype: str) -> tuple[str, MosModel]:
        if dtype == "auto":
            dtype = "float32" if model is three[1] else "bfloat16"
        return precision.prepare(model, device, dtype)

    monkeypatch.setattr(ensemble, "prepare", prepare)
    assert Predictor([three[0], three[2]], device="cpu").dtype == "bfloat16"
    mixed = Predictor(three, device="cpu")
    assert mixed.dtype == "float32"
    assert {model.projection.weight.dtype for model in mixed.models} == {torch.float32}


def test_a_score_that_is_no_number_names_its_head(three: list[MosModel]) -> None:
    predictor = Predictor(three, **OPTIONS)
    with torch.no_grad():
        predictor.models[1].metrics.bias[0] = torch.nan
    (found,) = predictor.stream([CLIPS[0]], 16_000)
    assert found.error == "the model's score is not finite: sdr"
    assert found.metrics == {}


@pytest.mark.parametrize(
    ("heads", "marks", "message"),
    [
        ([[Head(*MOS)]] * 3, ["a", "b", "a"], "models 1 and 3 are the same; expected different ones"),
        (
            [[Head(*SDR)], [Head(*MOS)], [Head("mos", 0, 100)]],
            ["a", "b", "c"],
            "head 'mos' is 1 to 5 in model 2 and 0 to 100 in model 3; expected one scale",
        ),
        ([[Head(*MOS)], [Head("mos_spread")]], ["a", "b"], "'mos_spread' is what an ensemble says of 'mos'"),
        ([], [], "no model"),
    ],
)
def test_what_cannot_be_one_is_told(heads: list, marks: list[str], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        check_members(heads, marks)


def test_an_open_end_is_no_other_scale() -> None:
    check_members([[Head("mos", 1, 5)], [Head("mos")]], ["a", "b"])
    check_members([[Head("mos_spread"), Head("mos", 1, 5)]], ["a"])
