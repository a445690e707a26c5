"""Inherit from the teacher: its upper layers as they are, above a small encoder that learns to feed them.

    python recipes/default/inherit.py TRAIN_MANIFEST DEV_MANIFEST WORK_FOLDER

Distill-MOS is a stack of convolutions, 95 % of its work, below seven transformer layers that heard far more speech
than there is here. The model copies the last four layers, and its own log-mel encoder learns to say of every frame
what the teacher's third layer says of it: 5,000 numbers a second of audio, where a label is one number a clip. Then
all of it learns the teacher's last states and scores. `train.toml` goes on from WORK_FOLDER/inherited.

Stopped and started again it goes on with the clips not yet asked (states/) and after the last whole epoch (state.pt).
"""

import copy
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sqa_data import read_manifest
from sqa_model import load_config, save
from sqa_model.network.model import MosModel, bounded
from sqa_model.training.build import build_model
from sqa_model.training.source import read_audio
from torch import Tensor, nn

CUT = 3  # the teacher's layers that the encoder stands for
EPOCHS, RATES = (4, 8), (3e-3, 1e-3)  # of the encoder alone, of the whole
# of 40 ms in a batch; always as many, because oneDNN compiles its kernels anew for every shape
FRAMES = 2500
HINTS = 0.3  # weight of the states beside the scores, as shares of their variance
SHARD = 500  # clips in a file of states
WINDOW = 122_880  # samples that the teacher hears at once


def main(train: Path, dev: Path, work: Path) -> None:
    """Ask the teacher about all clips, then learn from it; the result is WORK_FOLDER/inherited."""
    config = load_config(None, Path(__file__).parent / "train.toml")
    torch.manual_seed(config.seed)
    teacher = _teacher()
    clips, dev_clips = (
        Clips(ask(teacher, path, work / "states" / path.stem.split(".")[0])) for path in (train, dev)
    )
    model = build_model(config)
    copy_layers(teacher.transformer_pool_attn, model)
    averaged = learn(model, clips, dev_clips, work / "state.pt", config.seed)
    save(averaged, work / "inherited")


# ---- the teacher's side ----


def _teacher() -> nn.Module:
    from distillmos import ConvTransformerSQAModel

    model: nn.Module = ConvTransformerSQAModel().eval()
    return model


def ask(teacher: nn.Module, manifest: Path, folder: Path) -> list[Path]:
    """Write what the teacher says of every clip: states at 25 Hz after layer CUT and after the last, and its score.

    Files of SHARD clips: `.states.npy` (2, frames, 200) and `.pcm.npy` (samples,), one clip behind the other, and
    `.json`, written last. Returns the last, in order.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = read_manifest(manifest)
    began = time.monotonic()
    names = []
    for first in range(0, len(rows), SHARD):
        shard = rows[first : first + SHARD]
        ids = [row.sample_id for row in shard]
        name = folder / f"{first:06d}.json"
        names.append(name)
        if name.exists():
            if json.loads(name.read_text())["clips"] != ids:
                sys.exit(f"{name}: holds other clips than {manifest}; take another work folder")
            continue
        states, scores, waves = [], [], []
        for start in range(0, len(shard), 10):
            batch = [read_audio(row.audio_path, 16000) for row in shard[start : start + 10]]
            for row, wave in zip(shard[start:], batch, strict=False):
                if len(wave) > WINDOW:
                    sys.exit(
                        f"{manifest}: {row.sample_id} has {len(wave) / 16000:.2f} s; expected at most 7.68"
                    )
            said, score = _states(teacher, batch)
            states += [s.numpy() for s in said]
            scores += score.tolist()
            waves += [(w.clamp(-1, 1) * 32767).round().short().numpy() for w in batch]
        np.save(name.with_suffix(".states.npy"), np.concatenate(states, 1))
        np.save(name.with_suffix(".pcm.npy"), np.concatenate(waves))
        beside = name.with_suffix(".tmp")
        beside.write_text(json.dumps({"clips": ids, "scores": scores, "samples": [len(w) for w in waves]}))
        beside.rename(name)
        print(f"{manifest.name}: {first + len(shard)} clips, {time.monotonic() - began:.0f} s", flush=True)
    return names


@torch.inference_mode()
def _states(teacher: nn.Module, waves: list[Tensor]) -> tuple[list[Tensor], Tensor]:
    """Per clip (2, frames at 25 Hz, 200) in half precision, and the scores; convolutions in bfloat16, as `--fast`."""
    net = teacher.transformer_pool_attn
    x = torch.stack([F.pad(w / (w.abs().max() + 1e-8), (0, WINDOW - len(w))) for w in waves])
    with torch.autocast("cpu", torch.bfloat16):
        features = teacher.cnn(x).float()  # (clips, 1024, frames at 50 Hz)
    x = net.transformer.norm(net.norm_input(features)).transpose(1, 2)
    x = net.transformer.position_encoding(net.transformer.linear_proj(x))
    kept = []
    for i, layer in enumerate(net.transformer.transformer_encoder.layers, 1):
        x = layer(x)
        if i in (CUT, len(net.transformer.transformer_encoder.layers)):
            kept.append(x.unflatten(1, (-1, 2)).mean(2).half())
    score = 1 + 4 * net.pool(net.norm_trans(x.transpose(1, 2)).transpose(1, 2)).sigmoid().flatten()
    said = torch.stack(kept, 1)  # (clips, 2, frames, 200)
    return [clip[:, : -(-len(w) // 640)] for clip, w in zip(said, waves, strict=True)], score


def copy_layers(teacher: nn.Module, model: MosModel) -> None:
    """Give the model the teacher's layers above CUT, its pooling and its score; its batch norm is folded into these."""
    layers = teacher.transformer.transformer_encoder.layers
    norm, pool = teacher.norm_trans, teacher.pool
    with torch.no_grad():
        for mine, theirs in zip(model.encoder, layers[CUT:], strict=True):
            mine.load_state_dict(theirs.state_dict())
        model.norm.load_state_dict(layers[CUT - 1].norm2.state_dict())
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        shift = norm.bias - norm.running_mean * scale
        model.pooling.linear1.weight.copy_(pool.linear1.weight * scale)
        model.pooling.linear1.bias.copy_(pool.linear1.bias + pool.linear1.weight @ shift)
        model.pooling.linear2.load_state_dict(pool.linear2.state_dict())
        head = model.config.names.index("mos")
        model.metrics.weight[head] = pool.linear3.weight[0] * scale
        model.metrics.bias[head] = pool.linear3.bias[0] + pool.linear3.weight[0] @ shift


class Clips:
    """Clips and what the teacher said of them, memory-mapped from `ask`'s files."""

    def __init__(self, names: list[Path]) -> None:
        self._places: list[tuple[np.ndarray, np.ndarray]] = []  # (samples,), (2, frames, 200)
        scores: list[float] = []
        for name in names:
            record = json.loads(name.read_text())
            pcm, states = (
                np.load(name.with_suffix(f".{kind}.npy"), mmap_mode="r") for kind in ("pcm", "states")
            )
            sample = frame = 0
            for length in record["samples"]:
                frames = -(-length // 640)
                self._places.append((pcm[sample : sample + length], states[:, frame : frame + frames]))
                sample, frame = sample + length, frame + frames
            scores += record["scores"]
        self.scores = torch.tensor(scores)
        self.frames = [states.shape[1] for _, states in self._places]

    def __len__(self) -> int:
        return len(self._places)

    def wave(self, i: int, frames: int) -> Tensor:
        """The first frames of clip `i`, (samples,)."""
        return torch.from_numpy(self._places[i][0][: frames * 640].astype(np.float32) / 32767)

    def states(self, i: int, frames: int) -> Tensor:
        """What the teacher said of them, (2, frames, 200)."""
        return torch.from_numpy(self._places[i][1][:, :frames].astype(np.float32))

    def batches(self, random: np.random.Generator) -> Iterator[list[tuple[int, int]]]:
        """Clips and how many of their frames, in a random order; the last of a batch is cut to fill it."""
        batch, room = [], FRAMES
        for i in random.permutation(len(self)).tolist():
            batch.append((i, min(room, self.frames[i])))
            room -= batch[-1][1]
            if room == 0:
                yield batch
                batch, room = [], FRAMES


# ---- the model's side ----


def learn(model: MosModel, clips: Clips, dev: Clips, state: Path, seed: int) -> MosModel:
    """Two stages, the encoder alone and then all of it, each one cycle of its rate. Returns the averaged weights."""
    averaged = copy.deepcopy(model)
    # of both states
    variance = torch.stack([dev.states(i, FRAMES).var((1, 2)) for i in range(len(dev))]).mean(0)
    scores = [len(clips), round(float(clips.scores.double().sum()), 3)]
    learned_from = [model.config.to_json(), seed, *EPOCHS, *RATES, FRAMES, HINTS, *scores]
    saved = torch.load(state, weights_only=True) if state.exists() else {"epoch": 0, "from": learned_from}
    if saved["from"] != learned_from:
        sys.exit(f"{state}: of a run with other clips or settings; take another work folder")
    if sum(clips.frames) < FRAMES:
        sys.exit(
            f"{sum(clips.frames) / 25:.0f} s of speech to learn from; expected at least {FRAMES / 25:.0f}"
        )
    number, began = 0, time.monotonic()
    for whole, epochs, rate in zip((False, True), EPOCHS, RATES, strict=True):
        parts = [model] if whole else [model.backbone, model.projection, model.norm]
        parameters = [p for part in parts for p in part.parameters()]
        optimizer = torch.optim.AdamW(parameters, rate, weight_decay=0.05, fused=True)
        updates = epochs * (sum(clips.frames) // FRAMES)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, updates, pct_start=0.1)
        everything = {"model": model, "averaged": averaged, "optimizer": optimizer, "schedule": schedule}
        for _ in range(epochs):
            number += 1
            if number < saved["epoch"]:
                continue
            if number == saved["epoch"]:
                for name, part in everything.items():
                    part.load_state_dict(saved[name])
                continue
            for batch in clips.batches(np.random.default_rng((seed, number))):
                loss = _loss(model, clips, batch, variance, whole)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, 1.0)
                optimizer.step()
                schedule.step()
                with torch.no_grad():
                    for kept, now in zip(averaged.parameters(), model.parameters(), strict=True):
                        kept.lerp_(now, 0.01)
            print(f"epoch {number}: {_quality(averaged, dev)}; {time.monotonic() - began:.0f} s", flush=True)
            torch.save(
                {"epoch": number, "from": learned_from} | {n: p.state_dict() for n, p in everything.items()},
                state.with_suffix(".tmp"),
            )
            state.with_suffix(".tmp").rename(state)
    return averaged


def _loss(
    model: MosModel, clips: Clips, batch: list[tuple[int, int]], variance: Tensor, whole: bool
) -> Tensor:
    """Squared error of the first state, and for the `whole` also of the last and of the score."""
    truth = torch.cat([clips.states(i, n) for i, n in batch], 1)  # (2, frames, 200)
    with torch.autocast("cpu", torch.bfloat16):
        low, high, scores = _forward(model, [clips.wave(i, n) for i, n in batch], whole)
    loss = (low.float() - truth[0]).square().mean() / variance[0]
    if not whole:
        return loss
    loss = loss + (high.float() - truth[1]).square().mean() / variance[1]
    error = scores - clips.scores[[i for i, _ in batch]]
    error = error[[n == clips.frames[i] for i, n in batch]]  # the score is the whole clip's
    return HINTS * loss + error.square().sum() / max(1, len(error))


def _forward(model: MosModel, waves: list[Tensor], whole: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """(frames, 200) where the copied layers begin and where they end, and `mos`, (clips,)."""
    lengths = model.backbone.lengths([len(wave) for wave in waves])
    (frames,) = model.backbone(model._clips(waves, None))
    low = high = model.norm(model.projection(frames))
    if not whole:
        return low, low, low
    for layer in model.encoder:
        high = layer(high, lengths)
    scores = bounded(model.metrics(model.pooling(high, lengths)).float(), model.config.heads)
    return low, high, scores[:, model.config.names.index("mos")]


@torch.inference_mode()
def _quality(model: MosModel, dev: Clips) -> str:
    """Of unseen talkers: the share of the first state's variance that is explained, and the score's agreement."""
    wrong, total, scores = 0.0, 0.0, []
    for i, frames in enumerate(dev.frames):
        low, _, found = _forward(model, [dev.wave(i, frames)])
        truth = dev.states(i, frames)[0]
        wrong += float((low - truth).square().sum())
        total += float((truth - truth.mean(0)).square().sum())
        scores.append(found)
    both = torch.stack([torch.cat(scores), dev.scores])
    error = float((both[0] - both[1]).square().mean().sqrt())
    return f"states R2 {1 - wrong / total:.3f}, mos LCC {float(torch.corrcoef(both)[0, 1]):.3f}, RMSE {error:.3f}"


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*map(Path, sys.argv[1:]))
