"""A warm start in a minute: the network on the clips' statistics alone, before it sees frames.

    python recipes/default/warm.py TRAIN_MANIFEST DEV_MANIFEST OUT_FOLDER

Every frame is told how the bands behave over the whole clip (`LogMelConfig.context`). With the frames' own spectra
switched off, all frames of a clip are equal, and the network is a residual perceptron on one vector a clip: a hundred
times cheaper to train. `train.toml` then goes on from here with the frames.
"""

import copy
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sqa_data import read_manifest
from sqa_model import load_config, save
from sqa_model.dataset import read_audio
from sqa_model.logmel import statistics
from sqa_model.loss import label_counts, regression
from sqa_model.model import MosModel, bounded
from sqa_model.training import build_model

UPDATES, CLIPS, RATE = 2000, 256, 1e-3
GAIN_DB, NOISE = 6.0, 0.3  # of the statistics: level, and normal noise in their standard deviations


def main(train: Path, dev: Path, out: Path) -> None:
    """Train on `train`, keep the weights with the best correlation of `mos` on `dev`, save them in `out`."""
    config = load_config(None, Path(__file__).parent / "train.toml")
    torch.manual_seed(config.seed)
    random = np.random.default_rng(config.seed)
    model = build_model(config)
    (x, y), (x_dev, y_dev) = (_table(model, path) for path in (train, dev))
    centre, spread = x.mean(0), x.std(0) + 1e-3
    context = model.backbone.context
    torch.nn.init.zeros_(model.backbone.stem.weight)
    weights = torch.tensor([config.loss.weights.get(name, 1.0) for name in model.config.names])
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, UPDATES)
    averaged = copy.deepcopy(model)
    shifted = torch.ones(8, 80)
    shifted[1:3] = 0  # deviation and change do not move with the level
    for update in range(1, UPDATES + 1):
        rows = torch.from_numpy(random.choice(len(x), CLIPS))
        gain = (
            torch.from_numpy(random.uniform(-GAIN_DB, GAIN_DB, (CLIPS, 1))).float() / 30
        )  # log10 of power / 3
        labels = y[rows].clone()
        inside = gain[:, 0].abs() < 0.03  # DNSMOS hears the level, the others do not
        for head in (i for i, name in enumerate(model.config.names) if name.startswith("dnsmos")):
            labels[~inside, head] = torch.nan
        pred, std = _predict(model, _noisy((x[rows] + gain * shifted.flatten() - centre) / spread))
        loss = regression(pred, labels, label_counts(labels), config.loss, std) @ weights
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            for kept, now in zip(averaged.parameters(), model.parameters(), strict=True):
                kept.lerp_(now, 0.01)
        if update % 500 == 0:
            print(f"update {update}: {_agreement(averaged, (x_dev - centre) / spread, y_dev)}", flush=True)
    with torch.no_grad():  # fold the scaling of the statistics into the layer that reads them
        context = averaged.backbone.context
        context.bias -= context.weight @ (centre / spread)
        context.weight /= spread
        torch.nn.init.xavier_uniform_(averaged.backbone.stem.weight, gain=0.1)  # the frames begin to be heard
    save(averaged, out)


def _noisy(vectors: torch.Tensor) -> torch.Tensor:
    return vectors + NOISE * torch.randn_like(vectors)


def _table(model: MosModel, manifest: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """(clips, statistics) and (clips, heads) with NaN for what is not labelled."""
    rows = [row for row in read_manifest(manifest) if "mos" in row.metrics]
    vectors = []
    with torch.inference_mode():
        for row in rows:
            wave = read_audio(row.audio_path, 16000)
            spectra = model.backbone.log_mel(F.pad(wave, (0, -len(wave) % model.backbone.config.hop)))
            vectors.append(statistics(spectra[: max(1, len(wave) // model.backbone.config.hop)]))
    heads = model.config.heads
    labels = torch.tensor([[row.metrics.get(head.name, torch.nan) for head in heads] for row in rows])
    low = torch.tensor([-torch.inf if head.min is None else head.min for head in heads])
    high = torch.tensor([torch.inf if head.max is None else head.max for head in heads])
    return torch.stack(vectors), labels.clamp(low, high)


def _predict(model: MosModel, vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the model says of clips whose frames are all equal: predictions and `std` as `regression` wants them."""
    x = model.backbone.norm(model.backbone.context(vectors) + model.backbone.stem.bias)
    for block in model.backbone.blocks:
        y = x * block.depthwise.weight.sum((1, 2)) + block.depthwise.bias  # a convolution of a constant
        x = x + block.scale * block.reduce(F.gelu(block.expand(block.norm(y))))
    pooled = model.norm(model.projection(x))
    scores = bounded(model.metrics(pooled), model.config.heads)
    std = torch.full_like(scores, torch.nan)
    names = model.config.names
    std[:, names.index("mos")] = scores[:, names.index("mos_std")]
    return scores, std


def _agreement(model: MosModel, vectors: torch.Tensor, labels: torch.Tensor) -> str:
    with torch.inference_mode():
        scores = _predict(model, vectors)[0]
    parts = []
    for i, name in enumerate(model.config.names):
        has = labels[:, i].isfinite()
        if has.sum() > 20:
            parts.append(
                f"{name} {float(torch.corrcoef(torch.stack([scores[has, i], labels[has, i]]))[0, 1]):.3f}"
            )
    return ", ".join(parts)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
