"""A corpus of tones and configs of networks that train in seconds, for every test of training."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors.torch import load_file
from sqa_data.ratings import SingleRating, to_line

TINY = [
    "model.dim=16",
    "model.layers=1",
    "model.attention_heads=2",
    "model.feedforward=16",
    "model.sizes.dim=16",
    "model.sizes.blocks=1",
    "model.dropout=0.1",
    "precision=fp32",
    "batch.seconds=6",
    "batch.clips=8",
    "data.max_seconds=0.7",
    "optim.warmup=2",
    "epochs=2",
    "run.tensorboard=false",
    "run.save_minutes=0",
    "run.device=cpu",
]
TINY_WAVLM = [
    *[item for item in TINY if "sizes" not in item],
    "model.backbone=wavlm-base",
    "optim.unfreeze=0",
    *(f"model.sizes.{k}" for k in ("dim=32", "layers=3", "heads=2", "feedforward=32", "channels=16")),
    *("model.sizes.position_groups=4", "model.sizes.position_kernel=8"),
]


def write_corpus(
    folder: Path, clips: int, seed: int, *, corpora: str = "ab", labels: str = "mos pesq"
) -> Path:
    """Noisy tones whose label is their noise level; a fifth of the labels missing."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for i in range(clips):
        t = np.arange(int(rng.uniform(0.3, 1.0) * 16_000)) / 16_000
        noise = rng.uniform(0, 1)
        wave = 0.2 * np.sin(2 * np.pi * rng.uniform(100, 900) * t) + 0.2 * noise * rng.standard_normal(len(t))
        path = folder / f"{i}.wav"
        soundfile.write(path, wave, 16_000)
        metrics = {name: 1 + 3 * noise for name in labels.split() if rng.uniform() > 0.2}
        rows.append(
            {
                "audio_path": path.name,
                "corpus": corpora[i % len(corpora)],
                "system_id": f"s{int(noise * 4)}",
                "sample_id": str(i),
                "duration": len(t) / 16_000,
                "metrics": metrics,
            }
        )
    manifest = folder / "data.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return manifest


def write_ratings(folder: Path, votes: int, seed: int, bias: Sequence[float] = (-0.6, 0.0, 0.6)) -> Path:
    """Votes on the mos of a corpus of tones by listeners of such biases, who err by .3 besides.

    Their mean becomes the label.
    """
    rng = np.random.default_rng(seed)
    rows = [json.loads(line) for line in (folder / "data.jsonl").read_text().splitlines()]
    path = folder / "ratings.jsonl"
    with path.open("wb") as file:
        for row in (row for row in rows if "mos" in row["metrics"]):
            people = rng.choice(len(bias), votes, replace=False)
            rest = 0.3 * rng.standard_normal(votes)
            said = np.clip(row["metrics"]["mos"] + np.take(bias, people) + rest, 1, 5)
            for who, value in zip(people, said.tolist(), strict=True):
                file.write(to_line(SingleRating(row["sample_id"], value, listener_id=f"L{who}")))
            row["metrics"]["mos"] = float(said.mean())
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "last" / "model.safetensors")


def same(one: Path, other: Path) -> bool:
    """Whether two runs ended in the same bits: model, optimizer, averages."""
    pairs = [
        (load_file(f / "last" / n) for f in (one, other))
        for n in ("model.safetensors", "training.safetensors")
    ]
    return all(a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a) for a, b in pairs)


def lines(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
