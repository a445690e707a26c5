"""The model in the package: there, small, offline, ordered where it must be, and as good as its card says."""

import csv
import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import sqa_model
from safetensors import safe_open
from scipy.stats import pearsonr
from sqa_model.checkpoint.locate import EDITIONS, edition

# the clips here are clipped, quiet and loud on purpose
pytestmark = pytest.mark.filterwarnings("ignore::sqa_model.inference.predictor.InputWarning")
HEADS = ("mos", "mos_std")
RATE = 16000


@pytest.fixture(scope="module")
def predictor() -> sqa_model.Predictor:
    return sqa_model.Predictor(device="cpu", dtype="float32")


def test_it_is_small_and_complete() -> None:
    weights = edition() / "model.safetensors"
    assert weights.stat().st_size <= 4_000_000
    with safe_open(weights, framework="pt") as file:
        tensors = [file.get_tensor(name) for name in file.keys()]  # noqa: SIM118  not a dict
    assert {str(t.dtype) for t in tensors} == {"torch.float16"}
    assert sum(t.numel() for t in tensors) <= 2_000_000
    assert all(t.isfinite().all() for t in tensors)
    config = json.loads((edition() / "config.json").read_text())
    assert tuple(head[0] for head in config["heads"]) == HEADS
    card = (edition() / "README.md").read_text()
    for section in ("Data", "Range", "Licence", "bad at"):
        assert section in card
    main_page = Path(__file__).parents[3] / "README.md"
    assert f"(packages/sqa-model/src/sqa_model/editions/{edition().name}/README.md)" in main_page.read_text()


def test_old_weights_stay() -> None:
    """What `default-1` names never changes, whatever is newest: old scores can be made again."""
    first = sqa_model.load("default-1")
    assert first.fingerprint() == "856c00fb"
    clip = (0.1 * np.random.default_rng(0).standard_normal(2 * RATE)).astype(np.float32)
    assert sqa_model.predict(clip, "default-1", RATE, device="cpu", dtype="float32")["mos"] == pytest.approx(
        FIRST_OF_NOISE, abs=1e-4
    )


FIRST_OF_NOISE = 1.51078


@pytest.mark.parametrize("number", sorted(folder.name for folder in EDITIONS.iterdir()))
def test_each_card_says_how_rows_name_its_edition(number: str) -> None:
    card = (EDITIONS / number / "README.md").read_text()
    assert f"`default-{number}`" in card
    assert f"`{sqa_model.load(f'default-{number}').fingerprint()}`" in card


def test_it_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the default model opened a socket")

    monkeypatch.setattr(socket, "socket", refuse)
    path = tmp_path / "speech.wav"
    sf.write(path, 0.1 * np.random.default_rng(0).standard_normal(2 * RATE), RATE)
    scores = sqa_model.predict(path, device="cpu")
    assert tuple(scores) == HEADS
    assert 1 <= scores["mos"] <= 5
    assert scores["mos_std"] > 0


def test_a_clip_scores_the_same_in_any_company(predictor: sqa_model.Predictor) -> None:
    """The clip statistics that its frames are told are its own."""
    rng = np.random.default_rng(0)
    clips = [(0.1 * rng.standard_normal(n)).astype(np.float32) for n in (500, 8000, 64123, 30000)]
    together = predictor(clips, RATE)
    for clip, row in zip(clips, together, strict=True):
        assert predictor(clip, RATE) == pytest.approx(row, abs=1e-4)


def test_it_is_a_differentiable_loss() -> None:
    import torch

    model = sqa_model.load(None)
    for wave in (torch.zeros(8000), 0.1 * torch.randn(8000, generator=torch.Generator().manual_seed(0))):
        wave.requires_grad_()
        model([wave])[0, 0].backward()
        assert wave.grad is not None
        assert wave.grad.isfinite().all()


@pytest.mark.slow
def test_the_command_line_uses_it(tmp_path: Path) -> None:
    path = tmp_path / "speech.wav"
    sf.write(path, 0.1 * np.random.default_rng(0).standard_normal(2 * RATE), RATE)
    command = [sys.executable, "-m", "sqa_cli", "predict", str(path), "--json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert '"mos"' in result.stdout


@pytest.fixture(scope="module")
def speech(shared: Path) -> list[np.ndarray]:
    """Eight clean clips of as many talkers, 16 kHz, -26 dBFS."""
    from sqa_data.degrade.render import clean_excerpt

    folders = (
        "kerstin_de",
        "magphase_hvd",
        "picovoice_s2i",
        "ljspeech",
        "thorsten_de",
        "azure_sdk",
        "jfk",
        "cmu_arctic",
    )
    return [
        clean_excerpt(str(sorted((shared / "speech" / "speech" / name).glob("*.flac"))[0]), 0.0, 2.5, RATE)
        for name in folders
    ]


@pytest.mark.parametrize(
    "kind", ["noise", "coloured-noise", "opus", "mp3", "clipping", "reverb", "loss-zero", "mnru"]
)
def test_worse_speech_scores_lower(
    kind: str, predictor: sqa_model.Predictor, speech: list[np.ndarray], shared: Path
) -> None:
    """On average over talkers, MOS falls as SNR and bit rate fall and as clipping, reverberation and loss rise."""
    from sqa_data.degrade.chain import degrade
    from sqa_data.degrade.kind import Step, Surroundings
    from sqa_data.degrade.plan import read_noises

    around = Surroundings(tuple(read_noises(shared / "speech" / "noise")))
    means = []
    for severity in (0.2, 0.6, 1.0):
        clips = [degrade(x, [Step(kind, severity)], (5, i), around).samples for i, x in enumerate(speech)]
        rows = predictor([clip.astype(np.float32) for clip in clips], RATE)
        means.append(float(np.mean([row["mos"] for row in rows])))
    assert means == sorted(means, reverse=True), means
    assert means[0] - means[-1] > 0.2, means


def test_the_level_does_not_matter(predictor: sqa_model.Predictor, speech: list[np.ndarray]) -> None:
    scores = [
        [row["mos"] for row in predictor([(x * 10 ** (gain / 20)).astype(np.float32) for x in speech], RATE)]
        for gain in (-30, 0, 5)
    ]
    assert np.ptp(scores, axis=0).max() < 0.05, np.mean(scores, axis=1)


@pytest.mark.slow
def test_agreement_with_listeners(predictor: sqa_model.Predictor, shared: Path) -> None:
    """Human P.835 overall ratings of 78 clips; the measured value is in benchmarks/RESULTS.md."""
    folder = shared / "data" / "p835"
    with (folder / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    mos = np.array([float(row["MOS_OVRL"]) for row in rows])
    found = np.array([row["mos"] for row in predictor([folder / row["path"] for row in rows])])
    assert pearsonr(mos, found)[0] > LISTENERS_LCC
    conditions = [row["condition_num"] for row in rows]
    one, other = (
        np.array([values[[c == k for c in conditions]].mean() for k in sorted(set(conditions))])
        for values in (mos, found)
    )
    assert pearsonr(one, other)[0] > CONDITIONS_LCC


LISTENERS_LCC, CONDITIONS_LCC = 0.85, 0.94


@pytest.mark.slow
def test_it_knows_how_sure_it_is(predictor: sqa_model.Predictor, shared: Path) -> None:
    """Against its teacher on clips degraded here: the 95 % intervals hold most of the errors, and wide ones more."""
    distill_mos = pytest.importorskip("distillmos")
    import contextlib
    import io

    import torch
    from sqa_data.degrade.chain import degrade
    from sqa_data.degrade.plan import DegradeConfig, make_plan, read_noises, read_speech
    from sqa_data.degrade.render import clean_excerpt

    with contextlib.redirect_stdout(io.StringIO()):
        teacher = distill_mos.ConvTransformerSQAModel().eval()
    sources, noises = read_speech(shared / "speech" / "speech"), read_noises(shared / "speech" / "noise")
    plan = make_plan(sources, noises, DegradeConfig(0, 0, 60, seed=99))
    waves = [
        degrade(
            clean_excerpt(str(c.source.path), c.start, c.seconds, RATE), c.chain, (99, i), c.around
        ).samples.astype(np.float32)
        for i, c in enumerate(plan)
    ]
    with torch.inference_mode():
        truth = np.array([float(teacher(torch.from_numpy(wave)[None])) for wave in waves])
    rows = predictor(waves, RATE)
    error = np.abs(np.array([row["mos"] for row in rows]) - truth)
    std = np.array([row["mos_std"] for row in rows])
    assert np.mean(error <= 1.96 * std) > 0.8
    assert 0.45 < np.mean(error <= 0.994 * std) < 0.9
