"""Learning, shown: generated audio teaches the small network to hear degradation; shuffled labels do not."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sqa_model.training.config_text import load_config
from sqa_model.training.loop import train

RATE = 16_000


def utterance(rng: np.random.Generator) -> np.ndarray:
    """A second of something like a voice: harmonics of a gliding pitch under a formant, in syllables."""
    t = np.arange(RATE) / RATE
    pitch = rng.uniform(90, 240) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(0.5, 2) * t))
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formant, width = rng.uniform(400, 1500), rng.uniform(200, 600)
    voice = sum(
        np.exp(-(((k * pitch - formant) / width) ** 2)) * np.sin(k * phase + rng.uniform(0, 6))
        for k in range(1, 25)
    )
    syllables = 0.5 + 0.5 * np.sin(2 * np.pi * rng.uniform(2, 5) * t + rng.uniform(0, 6))
    return 0.3 * syllables * voice / np.abs(voice).max()


def degrade(clean: np.ndarray, severity: float, rng: np.random.Generator) -> np.ndarray:
    """Noise, clipping or gaps, from not at all (0) to hardly bearable (1), at a random level."""
    kind = rng.integers(3)
    if kind == 0:
        noise = rng.standard_normal(len(clean)) * np.sqrt((clean**2).mean())
        bad = clean + noise * 10 ** (-(40 - 40 * severity) / 20)
    elif kind == 1:
        limit = np.abs(clean).max() * 10 ** (-30 * severity / 20)
        bad = np.clip(clean, -limit, limit)
    else:
        bad = clean.copy()
        for start in rng.integers(0, len(clean) - 800, int(20 * severity)):
            bad[start : start + 400] = 0
    return bad * 0.3 / np.abs(bad).max() * rng.uniform(0.3, 1)


def write_corpus(folder: Path, clips: int, seed: int, *, shuffled: bool) -> Path:
    """One-second clips of five systems, a system being a range of severities; the label falls with severity."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    severities = rng.uniform(0, 1, clips)
    order = rng.permutation(clips) if shuffled else np.arange(clips)
    rows = []
    for i, severity in enumerate(severities):
        path = folder / f"{i}.wav"
        soundfile.write(path, degrade(utterance(rng), severity, rng), RATE)
        label = {"mos": 5 - 4 * severities[order[i]]}
        system = f"s{int(severities[order[i]] * 5)}"
        rows.append(
            {
                "audio_path": path.name,
                "system_id": system,
                "sample_id": str(i),
                "duration": 1.0,
                "metrics": label,
            }
        )
    manifest = folder / "data.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return manifest


def learn(folder: Path, *, shuffled: bool) -> dict:
    """Figures on held-out clips, whose labels are never shuffled."""
    seen = write_corpus(folder / "train", 600, seed=1, shuffled=shuffled)
    held_out = write_corpus(folder / "dev", 150, seed=2, shuffled=False)
    config = load_config(
        "mini",
        overrides=[
            *(f"data.train={seen}", f"data.dev={held_out}", "epochs=12", "precision=fp32"),
            *("model.sizes.dim=64", "model.sizes.blocks=3", "model.dim=64", "model.layers=1"),
            *(
                "model.feedforward=128",
                "batch.clips=32",
                "optim.lr=2e-3",
                "optim.warmup=20",
                "optim.ema=0.98",
            ),
            *("run.tensorboard=false", "run.device=cpu", "run.threads=1", "eval.every=1000000"),
        ],
    )
    return next(iter(train(config, folder / "run").last.values()))["mos"]


def has_learned(figures: dict) -> bool:
    """The bar: what the small network reaches on clips it has never heard."""
    correlations = [
        figures[name] or 0 for name in ("utterance_lcc", "utterance_srcc")
    ]  # None: constant scores
    return min(correlations) > 0.85 and figures["utterance_mse"] < 0.5 and figures["system_srcc"] == 1


@pytest.mark.slow
def test_it_learns_and_only_from_true_labels(tmp_path: Path) -> None:
    for name in ("true", "shuffled"):
        (tmp_path / name).mkdir()
    learned = learn(tmp_path / "true", shuffled=False)
    assert has_learned(learned), learned
    fooled = learn(tmp_path / "shuffled", shuffled=True)
    assert not has_learned(fooled), fooled
    assert fooled["utterance_mse"] > 0.7 * 4**2 / 12  # no better than always saying the mean
