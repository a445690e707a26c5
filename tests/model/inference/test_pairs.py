"""Comparisons are what the network says in both orders, whatever else is asked, and what training measures."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from sqa_data.pair_clips import list_pairs
from sqa_model import AudioError, Comparer, ModelConfig, ModelError, MosModel, Predictor, compare, save
from sqa_model.inference import pairs as module
from sqa_model.network.comparison import ComparisonConfig
from sqa_model.network.logmel import LogMelConfig

CLIPS = 9


def small(seed: int = 0, comparison: bool = True) -> MosModel:
    torch.manual_seed(seed)
    config = ModelConfig(
        LogMelConfig(dim=32, blocks=1),
        [("mos", 1, 5)],
        dim=32,
        layers=1,
        feedforward=64,
        comparison=ComparisonConfig(attention_heads=2) if comparison else None,
    )
    return MosModel(config).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """model/, clips of .6 to 1.4 s and their manifest."""
    folder = tmp_path_factory.mktemp("pairs")
    save(small(), folder / "model")
    rng = np.random.default_rng(0)
    lines = []
    for i in range(CLIPS):
        wave = 0.1 * rng.standard_normal(9_600 + 1_600 * i)
        soundfile.write(folder / f"{i}.wav", wave, 16_000, subtype="FLOAT")
        lines.append(json.dumps({"audio_path": f"{i}.wav", "sample_id": f"c{i}"}) + "\n")
    (folder / "data.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture
def comparer(folder: Path) -> Comparer:
    return Comparer(Predictor(folder / "model", device="cpu", dtype="float32"))


def asked(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Every clip with every other."""
    return ((folder / f"{a}.wav", folder / f"{b}.wav") for a in range(CLIPS) for b in range(CLIPS) if a != b)


def waves(pair: tuple[Path, Path]) -> list[torch.Tensor]:
    return [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in pair]


@torch.inference_mode()
def test_answers_are_the_means_of_both_orders_in_whatever_company(folder: Path, comparer: Comparer) -> None:
    """Against each pair alone, one order at a time, by the definition."""
    model = small()
    found = list(comparer.stream(asked(folder)))
    assert len(found) == CLIPS * (CLIPS - 1) > 2 * module.TOGETHER
    for pair, answer in zip(asked(folder), found, strict=True):
        here, there = waves(pair), waves(pair[::-1])
        forth, back = (model.compare(model.encode(both), [(0, 1)]) for both in (here, there))
        a, b, tie = forth.classes.softmax(-1)[0].tolist()
        other_a, other_b, other_tie = back.classes.softmax(-1)[0].tolist()
        assert answer.metrics == pytest.approx(
            {
                "cmos": float(forth.cmos - back.cmos) / 2,
                "p_a": (a + other_b) / 2,
                "p_b": (b + other_a) / 2,
                "p_tie": (tie + other_tie) / 2,
            },
            abs=1e-5,
        )
        assert answer.duration_s == pytest.approx(sum(map(len, here)) / 16_000)


def test_clips_that_change_places_change_the_sign(folder: Path, comparer: Comparer) -> None:
    pair = (folder / "2.wav", folder / "7.wav")
    one, other = (answer.metrics for answer in comparer.stream([pair, pair[::-1]]))
    assert one["cmos"] == pytest.approx(-other["cmos"], abs=1e-6)
    assert abs(one["cmos"]) > 1e-3
    assert one["p_a"] == pytest.approx(other["p_b"], abs=1e-6)
    assert one["p_a"] + one["p_b"] + one["p_tie"] == pytest.approx(1, abs=1e-6)
    assert compare(*pair, folder / "model", device="cpu", dtype="float32") == pytest.approx(one, abs=1e-6)


@pytest.mark.parametrize("kept_s", [600.0, 0.0])
def test_a_clip_is_read_once_while_it_is_kept(
    folder: Path, comparer: Comparer, monkeypatch: pytest.MonkeyPatch, kept_s: float
) -> None:
    read: list[object] = []
    real = comparer.predictor.read

    def note(source: object, rate: object = None) -> object:
        read.append(source)
        return real(source, rate)  # type: ignore[arg-type]

    monkeypatch.setattr(comparer.predictor, "read", note)
    monkeypatch.setattr(module, "KEPT_S", kept_s)
    whole = [answer.metrics for answer in comparer.stream(asked(folder))]
    assert (len(read) == CLIPS) == bool(kept_s)
    assert len(read) <= 3 * CLIPS  # three times 32 pairs: once in each
    monkeypatch.undo()
    again = [answer.metrics for answer in comparer.stream(asked(folder))]
    assert all(one == pytest.approx(other, abs=1e-5) for one, other in zip(whole, again, strict=True))


def test_what_cannot_be_heard_is_the_error_of_its_pairs_alone(folder: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silent.wav", np.zeros(16_000), 16_000)
    soundfile.write(tmp_path / "long.wav", 0.1 * np.random.default_rng(0).standard_normal(32_000), 16_000)
    good, silent, gone, long = (
        folder / "1.wav",
        tmp_path / "silent.wav",
        tmp_path / "gone.wav",
        tmp_path / "long.wav",
    )
    comparer = Comparer(Predictor(folder / "model", device="cpu", dtype="float32", window_s=1.5))
    found = list(comparer.stream([(good, silent), (gone, good), (long, gone), (good, folder / "2.wav")]))
    told = [answer.error for answer in found]
    assert told[0] == "clip b: the clip is silent: all samples are 0; there is nothing to score"
    assert told[1] is not None
    assert told[1].startswith("clip a: ")
    assert "gone.wav: no such file" in told[1]
    assert told[2] is not None
    assert "clip a: 2.0 s are longer than the 1.5 s that the model hears at once" in told[2]
    assert "clip b: " in told[2]
    assert told[3] is None
    assert all(not answer.metrics for answer in found[:3])
    with pytest.raises(AudioError, match=r"clip b: .*silent"):
        compare(good, silent, folder / "model")


def test_who_cannot_compare_says_what_can(folder: Path) -> None:
    with pytest.raises(
        ModelError, match=r"no comparative head; UrgentMOS's have one.*predict the clips alone"
    ):
        Comparer(Predictor(small(comparison=False)))
    with pytest.raises(ModelError, match="compared by one model, found 2"):
        Comparer(Predictor([small(), small(1)]))


def test_no_number_is_an_error(folder: Path) -> None:
    model = small()
    assert model.comparison is not None
    torch.nn.init.constant_(model.comparison.regression.weight, float("inf"))
    (found,) = Comparer(Predictor(model, device="cpu", dtype="float32")).stream(
        [(folder / "1.wav", folder / "2.wav")]
    )
    assert (found.error, found.metrics) == ("the model's answer is not finite", {})


def test_rows_name_the_pair_its_clips_and_what_they_are_warned_of(folder: Path, tmp_path: Path) -> None:
    soundfile.write(folder / "short.wav", 0.1 * np.random.default_rng(0).standard_normal(3_200), 16_000)
    pairs = [
        {"a": "c1", "b": "c2", "corpus": "x"},
        {"audio_paths": ["1.wav", "short.wav"], "durations": [0.7, 0.2]},
    ]
    (folder / "some.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    comparer = Comparer(Predictor(folder / "model", device="cpu", dtype="float32"))
    one, other = comparer.rows(list_pairs(folder / "some.jsonl"))
    mark = comparer.predictor.mark
    told = {"sample_id": "c1|c2", "corpus": "x", "a": "c1", "b": "c2", "duration": 1.5, "model": mark}
    assert {key: value for key, value in one.items() if key in told} == told
    assert one["metrics"].keys() == set(module.NAMES)
    assert other["sample_id"] == "1|short"
    assert any(text.startswith("short: clip b: ") for text in other["warnings"])
