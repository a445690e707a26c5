"""Learn what the teacher says of every frame and clip, in whatever view a clip comes.

    python recipes/default/learn.py STATES_FOLDER RUN_FOLDER [EPOCHS] [--clips CLIPS_FOLDER --teacher nisqa_mos=.5]

It goes on from the first edition, `default-1`: the teacher's last four layers, its pooling and its score (1.4 M of 2 M
parameters) above an encoder that had learned to feed them. Every clip is seen whole and in another view (`views.py`).
The loss: the squared error of the score, and of the teacher's states of every frame; that two views of a clip differ;
that a clip of a ladder scores higher than a milder one. `mos_std` learns the error beside, and moves nothing else.

Stopped and started again it goes on after the last whole epoch (RUN_FOLDER/state.pt).
"""

import argparse
import copy
import dataclasses
import itertools
import sys
import time
import zlib
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sqa_model import load, save
from sqa_model.network.model import MosModel, bounded
from torch import Tensor, nn
from views import FRAMES, HOP, Clips, View, add_teachers

SEED = 7
EPOCHS = 5
LEARNING_RATE, DECAY = 8e-4, 0.05
HINTS = 0.3  # weight of the states beside the scores, as shares of their variance
AGREE, RANK = 0.5, 2.0  # weights of what two views and two rungs say
KEPT = 0.995  # of the averaged weights at every update
SMALLEST_STD = 0.05


def main(
    states: Path,
    run: Path,
    epochs: int,
    clips_folder: Path | None = None,
    teachers: Mapping[str, float] | None = None,
) -> None:
    """Learn from all training clips; the result is RUN_FOLDER/learned."""
    torch.manual_seed(SEED)
    run.mkdir(parents=True, exist_ok=True)
    clips, dev = (
        Clips(sorted(states.glob(f"*-{split}")), clips_folder, teachers) for split in ("train", "dev")
    )
    if sum(clips.frames) < FRAMES:
        sys.exit(
            f"{sum(clips.frames) / 25:.0f} s of speech to learn from; expected at least {FRAMES / 25:.0f}"
        )
    print(
        f"{len(clips)} clips, {sum(clips.frames) / 25 / 3600:.1f} h, {len(clips.ladders)} ladders", flush=True
    )
    averaged = learn(first_edition(), clips, dev, run / "state.pt", epochs)
    save(averaged, run / "learned")


def first_edition() -> MosModel:
    """The first edition with two of its heads."""
    old = load("default-1")
    names = ("mos", "mos_std")
    heads = [old.config.names.index(name) for name in names]
    config = dataclasses.replace(old.config, heads=tuple(old.config.heads[i] for i in heads), extra={})
    model = MosModel(config)
    state = dict(old.float().state_dict())
    for name in ("metrics.weight", "metrics.bias"):
        state[name] = state[name][heads]
    model.load_state_dict(state)
    return model


def learn(model: MosModel, clips: Clips, dev: Clips, state: Path, epochs: int) -> MosModel:
    """One cycle of the learning rate. Returns the averaged weights."""
    averaged = copy.deepcopy(model)
    variance = torch.stack([dev.states(whole(dev, i)).var((1, 2)) for i in range(len(dev))]).mean(0)
    updates = epochs * sum(1 for _ in clips.batches(np.random.default_rng(0)))
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, updates, pct_start=0.1)
    parts = {"model": model, "averaged": averaged, "optimizer": optimizer, "schedule": schedule}
    learned_from = [zlib.crc32(clips.labels.numpy().tobytes()), sum(clips.frames)]
    learned_from += [epochs, LEARNING_RATE, DECAY, FRAMES, HINTS, AGREE, RANK, SEED]
    done = 0
    if state.exists():
        saved = torch.load(state, weights_only=True)
        if saved["from"] != learned_from:
            sys.exit(f"{state}: of a run with other clips or settings; take another run folder")
        done = saved["epoch"]
        for name, part in parts.items():
            part.load_state_dict(saved[name])
    began = time.monotonic()
    for epoch in range(done + 1, epochs + 1):
        random = np.random.default_rng((SEED, epoch))
        for batch in clips.batches(random):
            loss = loss_of(model, clips, batch, variance, random)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if (
                schedule.last_epoch + 1 < schedule.total_steps
            ):  # how many batches an epoch has depends on chance
                schedule.step()
            with torch.no_grad():
                for kept, now in zip(averaged.parameters(), model.parameters(), strict=True):
                    kept.lerp_(now, 1 - KEPT)
        print(f"epoch {epoch}, {time.monotonic() - began:.0f} s\n{quality(averaged, dev)}", flush=True)
        everything = {name: part.state_dict() for name, part in parts.items()}
        torch.save({"epoch": epoch, "from": learned_from} | everything, state.with_suffix(".tmp"))
        state.with_suffix(".tmp").rename(state)
    return averaged


def loss_of(
    model: MosModel, clips: Clips, batch: list[View], variance: Tensor, random: np.random.Generator
) -> Tensor:
    """What one batch is to become better at."""
    low, high, mos, std = forward(model, [clips.wave(view, random) for view in batch])
    truth = torch.cat([clips.states(view) for view in batch], 1)  # (2, frames of clips, 200)
    marks = [torch.arange(view.length) - view.before for view in batch]
    inside = torch.cat([(m >= 0) & (m < v.frames) for m, v in zip(marks, batch, strict=True)])
    wrong = [
        (one[inside].float() - truth[i]).square().mean() / variance[i] for i, one in ((0, low), (1, high))
    ]
    label = clips.labels[[view.clip for view in batch]]
    counts = torch.tensor([view.whole for view in batch])
    error = (mos - label)[counts]
    doubt = std[counts].clamp_min(SMALLEST_STD)
    nll = doubt.log() + 0.5 * (error.detach() / doubt).square()
    loss = HINTS * (wrong[0] + wrong[1]) + error.square().mean() + nll.mean()
    pairs, steps = pairs_of(batch, clips)
    if pairs:
        one, other = mos[[a for a, _ in pairs]], mos[[b for _, b in pairs]]
        loss = loss + AGREE * (one - other).square().mean()
    if steps:
        milder, harder = mos[[a for a, _ in steps]], mos[[b for _, b in steps]]
        loss = loss + RANK * F.relu(harder - milder).square().mean()
    return loss


def pairs_of(batch: list[View], clips: Clips) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Places in the batch: of two views of one clip; of two neighbours of one ladder, the milder first."""
    of = defaultdict[int, list[int]](list)
    for place, view in enumerate(batch):
        if view.whole:
            of[view.clip].append(place)
    pairs = [(a, b) for a, b, *_ in (places for places in of.values() if len(places) > 1)]
    at_hand = [[i for i in rungs if i in of] for rungs in clips.ladders if rungs[0] in of or rungs[-1] in of]
    steps = [(of[a][0], of[b][0]) for rungs in at_hand for a, b in itertools.pairwise(rungs)]
    return pairs, steps


def forward(model: MosModel, waves: list[Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """(frames, 200) where the teacher's layers begin and where they end; `mos` and `mos_std`, (views,)."""
    lengths = model.backbone.lengths([len(wave) for wave in waves])
    with torch.autocast("cpu", torch.bfloat16):
        (frames,) = model.backbone(model._clips(waves, None))
        low = high = model.norm(model.projection(frames))
        for layer in model.encoder:
            high = layer(high, lengths)
        pooled = model.pooling(high, lengths).float()
    weight, bias = model.metrics.weight, model.metrics.bias
    raw = torch.stack([pooled @ weight[0] + bias[0], pooled.detach() @ weight[1] + bias[1]], 1)
    mos, std = bounded(raw, model.config.heads).unbind(1)
    return low, high, mos, std


def whole(clips: Clips, i: int) -> View:
    """The whole clip."""
    return View(i, 0, clips.frames[i])


def quality(model: MosModel, dev: Clips) -> str:
    """Agreement with the teacher on unseen talkers, by the folder of the clips; and what crops of 2 s do."""
    random = np.random.default_rng(0)
    found = judged(model, dev, [whole(dev, i) for i in range(len(dev))], random)
    long = [i for i, frames in enumerate(dev.frames) if frames >= 75]
    crops = [View(i, int(random.integers(dev.frames[i] - 50)), 50) for i in long]
    moved = judged(model, dev, crops, random) - found[long]
    labels = dev.labels.numpy()
    lines = [f"  crops of 2 s: {moved.mean():+.3f}, deviation {moved.std():.3f}"] if long else []
    sets = np.array([str(told["set"]) for told in dev.told])
    for name in [*sorted(set(sets)), "all"]:
        part = (sets == name) | (name == "all")
        error = found[part] - labels[part]
        lcc = np.corrcoef(found[part], labels[part])[0, 1]
        figures = f"LCC {lcc:.3f}  RMSE {np.sqrt((error**2).mean()):.3f}  {error.mean():+.3f}"
        lines.append(f"  {name:14} {part.sum():5} clips  {figures}")
    return "\n".join(lines)


@torch.inference_mode()
def judged(model: MosModel, clips: Clips, views: list[View], random: np.random.Generator) -> np.ndarray:
    """`mos` of every view, (views,); in batches filled up with silence to FRAMES."""
    found: list[float] = []
    batch: list[Tensor] = []

    def judge() -> None:
        room = FRAMES * HOP - sum(-(-len(wave) // HOP) * HOP for wave in batch)
        filled = [*batch, torch.zeros(room)] if room else batch
        found.extend(forward(model, filled)[2][: len(batch)].tolist())
        batch.clear()

    frames = 0
    for view in views:
        if frames + view.length > FRAMES:
            judge()
            frames = 0
        batch.append(clips.wave(view, random))
        frames += view.length
    if batch:
        judge()
    return np.array(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("states", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("epochs", type=int, nargs="?", default=EPOCHS)
    add_teachers(parser)
    asked = parser.parse_args()
    main(asked.states, asked.run, asked.epochs, asked.clips, dict(asked.teacher))
