"""Train a MOS model: `train(config, folder)`, one loop that reads from top to bottom.

What an update computes is a pure function of (config, update number, weights): which clips (`sampler`),
which window of them, which dropout mask (the generator is seeded anew from seed, update and micro-batch). So
there is no random state to lose: a killed run continues bit for bit from its last checkpoint, and several
processes compute what one would.
"""

import itertools
import json
import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sqa_data.labels import RANGES
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from sqa_model.checkpoint.ours import load, load_backbone, save
from sqa_model.errors import ModelError
from sqa_model.network.backbones import BACKBONES
from sqa_model.network.config import Head, ModelConfig
from sqa_model.network.model import Features, MosModel
from sqa_model.training import loss, run_folder, sampler
from sqa_model.training.cache import FeatureCache
from sqa_model.training.config import OptimConfig, TrainConfig, require
from sqa_model.training.evaluate import Results, agreement, merit, predictions
from sqa_model.training.processes import Team, team
from sqa_model.training.source import SHOWN, STD, Clips, Unreadable, read_ahead, read_audio, read_clips

log = logging.getLogger(__name__)

PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
Clip = tuple[int, float]  # index into Clips, and the place in [0, 1] of its window should it be too long


@dataclass(frozen=True)
class Progress:
    """Where a run is; given to `watch` after every update."""

    update: int
    total: int
    epoch: int
    loss: float
    audio_per_s: float  # seconds of audio per second, over all processes
    left_s: float


@dataclass(frozen=True)
class Result:
    """How a run ended. `best` and `last` are the development set's figures, see `evaluate.Results`."""

    folder: Path
    updates: int
    finished: bool  # False: stopped by Ctrl-C; the same command goes on
    best_update: int
    best: Results
    last: Results


@dataclass
class State:
    """What a checkpoint holds beside tensors; everything else about a run follows from its config."""

    update: int = 0  # updates done
    best_merit: tuple[float, float] = (-math.inf, -math.inf)
    best_update: int = 0
    best: Results = field(default_factory=dict)
    last: Results = field(default_factory=dict)
    stale: int = 0  # evaluations since the best one
    scaler: dict[str, Any] = field(default_factory=dict)  # of fp16


@dataclass(frozen=True)
class Work:
    """This process's share of one update."""

    update: int  # from 1
    epoch: int  # from 0
    micro_batches: list[list[Clip]]
    cropped: int  # clips cut to data.max_seconds, on all processes

    @property
    def clips(self) -> list[Clip]:
        return [clip for micro_batch in self.micro_batches for clip in micro_batch]


def train(
    config: TrainConfig, folder: str | Path, *, watch: Callable[[Progress], None] = lambda progress: None
) -> Result:
    """Train as `config` says in the run folder `folder`, going on from its last checkpoint if it has one.

    Started by torchrun, all processes train one model together. Ctrl-C (or SIGTERM) ends the current update,
    saves and returns. Raises `ModelError` for anything wrong with config, data or run folder, and for a loss
    that is no number.
    """
    folder = Path(folder)
    with ExitStack() as stack:
        mates = stack.enter_context(team(config.run.device))
        stack.enter_context(torch.random.fork_rng())
        stopping = stack.enter_context(_stop_signals())

        if config.run.threads is not None:
            torch.set_num_threads(config.run.threads)

        # The model, the data, the plan.
        torch.manual_seed(config.seed)
        model = build_model(config).to(mates.device)
        heads = model.config.heads
        names = model.config.names
        _check_heads(config, names)
        clips = read_clips(config.data.train, names, config.data, name="data.train")
        dev = read_clips(config.data.dev, names, config.data, name="data.dev")
        plan = Plan(config, clips, mates)
        if mates.rank == 0:
            run_folder.open_run(folder, config)
        mates.wait()

        # What learns.
        frozen = config.optim.unfreeze == 0
        _set_trainable(model, config.optim.unfreeze)
        if config.run.checkpointing:
            _recompute_activations(model)
        corpus_scale = _corpus_scale(config, clips, heads).to(mates.device)
        trainable: dict[str, Tensor] = {n: p for n, p in model.named_parameters() if p.requires_grad}
        trainable |= {f"corpus_scale.{name}": p for name, p in corpus_scale.named_parameters()}
        gradients = _flat_gradients(list(trainable.values()))
        optimizer = _optimizer(trainable, config.optim, mates.device)
        averaged = {name: p.detach().clone() for name, p in trainable.items()} if config.optim.ema else {}
        scaler = torch.amp.GradScaler(mates.device.type, enabled=config.precision == "fp16")
        weights = loss.head_weights(config.loss, names).to(mates.device)

        state = _restore(folder / "last", trainable, averaged, optimizer, scaler)
        journal = Journal(folder, config, mates, state.update)
        stack.callback(journal.close)
        labels = torch.from_numpy(clips.labels).to(mates.device)  # (clips, heads)
        corpus = torch.from_numpy(clips.corpus).to(mates.device)
        log.info(
            "%d clips (%.1f h) of %d corpora, %d for development; %d updates, %d done; "
            "%.1f M of %.1f M weights learn",
            *(len(clips), clips.seconds.sum() / 3600, len(clips.corpora), len(dev), plan.total, state.update),
            *(sum(p.numel() for p in m) / 1e6 for m in (trainable.values(), model.parameters())),
        )

        audio = Source(config, clips, model, config.data.max_seconds)
        dev_audio = Source(config, dev, model, math.inf)
        if audio.cache and dev_audio.cache:
            log.info(
                "features of %d + %d clips cached, %.1f GB when complete, in %s",
                *(audio.cache.stored, dev_audio.cache.stored),
                *((audio.cache.bytes + dev_audio.cache.bytes) / 1e9, config.data.cache),
            )

        def forward(source: Source, chosen: Sequence[Clip], items: Sequence[Tensor]) -> Tensor:
            with _autocast(config, mates.device):
                if not frozen:
                    return model([wave.to(mates.device, non_blocking=True) for wave in items]).float()
                return model.head(source.features(chosen, items, PRECISIONS[config.precision])).float()

        def measure() -> Results:
            model.eval()
            with torch.no_grad(), _swapped(trainable, averaged):
                scores, missing = predictions(
                    lambda chosen, items: forward(dev_audio, [(i, 0.0) for i in chosen], items),
                    lambda i: dev_audio.load((i, 0.0)),
                    dev,
                    len(names),
                    config.batch,
                    mates,
                    workers=config.run.workers,
                )
            _check_unreadable(missing, config.data.max_unreadable, "data.dev")
            return agreement(dev, scores, names)

        def save_best() -> None:
            if mates.rank == 0:
                with _swapped(trainable, averaged):
                    run_folder.replace_folder(folder / "best", partial(save, model))

        def save_last() -> None:
            if mates.rank == 0:
                state.scaler = scaler.state_dict()
                fill = partial(_fill_checkpoint, model, trainable, averaged, optimizer, state)
                run_folder.replace_folder(folder / "last", fill)

        # The loop: read ahead, count labels, forward and backward per micro-batch, add up, step.
        patience = config.eval.patience
        unreadable: dict[str, None] = {}
        work_ahead, works = itertools.tee(plan.works(state.update))
        reader = read_ahead(
            (work.clips for work in work_ahead),
            audio.load,
            workers=config.run.workers,
            ahead=config.run.ahead,
        )
        stack.callback(reader.close)
        saved_at, pace = time.monotonic(), Pace()
        stopped = False
        for work in works:
            if patience and state.stale >= patience:
                log.info("stopping early: no better checkpoint in %d evaluations", state.stale)
                break
            model.train()
            if frozen:
                model.backbone.eval()
            loaded = iter(next(reader))
            pace.waited()

            # Unreadable clips drop out here; then every process learns the label counts of the whole update.
            micro_batches = []
            for chosen in work.micro_batches:
                pairs = [(clip, next(loaded)) for clip in chosen]
                unreadable |= {str(item): None for _, item in pairs if isinstance(item, Unreadable)}
                good = [(clip, item) for clip, item in pairs if not isinstance(item, Unreadable)]
                if good:
                    rows = torch.tensor([clip for (clip, _), _ in good], device=mates.device)
                    micro_batches.append((rows, [clip for clip, _ in good], [item for _, item in good]))
            counts = torch.zeros(2, len(names), device=mates.device)
            for rows, *_ in micro_batches:
                counts[0] += loss.label_counts(labels[rows])
                if config.loss.rank:
                    counts[1] += loss.pair_counts(labels[rows], corpus[rows], config.loss.rank_margin)
            seconds = sum(plan.seconds[clip] for _, chosen, _ in micro_batches for clip, _ in chosen)
            flags = torch.tensor([float(stopping.is_set()), len(unreadable), seconds]).to(counts)
            totals = mates.sum(torch.cat([counts.flatten(), flags]))
            (label_totals, pair_totals), (stop, bad, seconds) = totals[:-3].view(2, -1), totals[-3:].tolist()
            if bad > config.data.max_unreadable:
                everyones = [line for lines in mates.gather(list(unreadable)) for line in lines]
                _check_unreadable(everyones, config.data.max_unreadable, "data.train")
            if stop:
                stopped = True
                break

            present = (label_totals > 0) * weights  # (heads,): heads labelled anywhere in the update
            part_of_mean = present / present.sum().clamp(min=1e-12)
            gradients.zero_()
            parts = torch.zeros_like(weights)  # (heads,): this process's part of each head's loss
            strange: list[str] = []
            for number, (rows, chosen, items) in enumerate(micro_batches):
                # seeded by the update and the micro-batch's place in it, whichever process computes it
                torch.manual_seed(_seed(config.seed, work.update, mates.rank + number * mates.size))
                with _explained_memory(config):
                    pred = forward(audio, chosen, items)  # (clips, heads)
                    per_head = loss.regression(
                        corpus_scale(pred, corpus[rows]) if config.loss.corpus_scale else pred,
                        labels[rows],
                        label_totals,
                        config.loss,
                        std=_deviations(pred, names),
                    )
                    if config.loss.rank:
                        per_head = per_head + config.loss.rank * loss.ranking(
                            pred, labels[rows], corpus[rows], pair_totals, config.loss.rank_margin
                        )
                    scaler.scale((per_head * part_of_mean).sum()).backward()
                parts += per_head.detach()
                if not pred.isfinite().all():
                    strange += [clips.paths[i] for i in rows[~pred.isfinite().all(1)].tolist()]
            mates.sum(gradients)
            value = float(((parts := mates.sum(parts)) * part_of_mean).sum())
            if not math.isfinite(value):
                everyones = [path for paths in mates.gather(strange) for path in paths]
                raise ModelError(_diverged(f"the loss is {value}", work, everyones, config))

            scaler.unscale_(optimizer)
            norm = gradients.norm()
            if config.optim.clip is not None:
                gradients.mul_((config.optim.clip / (norm + 1e-6)).clamp(max=1))
            if not (scaler.is_enabled() or bool(norm.isfinite())):
                raise ModelError(_diverged(f"the gradient norm is {float(norm)}", work, [], config))
            factor = lr_factor(work.update, plan.total, config.optim)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            scaler.step(optimizer)
            scaler.update()
            if config.optim.ema is not None:
                young = (1 + work.update) / (10 + work.update)  # an average over few updates is a short one
                decay = min(config.optim.ema, young)
                torch._foreach_lerp_(list(averaged.values()), list(trainable.values()), 1 - decay)
            state.update = work.update

            pace.computed(seconds)
            row = {
                "epoch": work.epoch,
                "loss": value,
                "lr": config.optim.lr * factor,
                "grad_norm": float(norm),
            }
            row |= {
                f"loss_{n}": v
                for n, v, t in zip(names, parts.tolist(), label_totals.tolist(), strict=True)
                if t
            }
            row |= {"audio_per_s": pace.audio_per_s, "read_wait": pace.wait_share}
            row |= {"cropped": work.cropped} if work.cropped else {}
            journal.record(work.update, row)
            watch(
                Progress(
                    work.update,
                    plan.total,
                    work.epoch,
                    value,
                    pace.audio_per_s,
                    pace.left_s(plan.total - work.update),
                )
            )

            if plan.evaluate_after(work.update):
                state.last = measure()
                state.stale += 1
                now = merit(state.last, config.eval)
                if now > state.best_merit or not state.best_update:
                    state.best_merit, state.best_update = now, work.update
                    state.best, state.stale = state.last, 0
                    save_best()
                journal.record(work.update, {"dev": state.last, "best_update": state.best_update})
                log.info("update %d: %s", work.update, _summary(state.last, config.eval.head))
            if plan.evaluate_after(work.update) or time.monotonic() - saved_at > 60 * config.run.save_minutes:
                save_last()
                saved_at = time.monotonic()
            pace.start()

        for source in (audio, dev_audio):
            source.flush()
        if stopped:
            save_last()
            log.info(
                "stopped after update %d of %d; the same command goes on from here", state.update, plan.total
            )
        mates.wait()
        for line in unreadable:
            log.warning("skipped %s", line)
        return Result(folder, state.update, not stopped, state.best_update, state.best, state.last)


class Source:
    """What the loop reads of a set of clips: audio or, once they are known, a frozen backbone's states."""

    def __init__(self, config: TrainConfig, clips: Clips, model: MosModel, most_s: float) -> None:
        self.clips, self.model, self.most_s = clips, model, most_s
        self.cache = None
        if config.data.cache is not None:
            key = {"precision": config.precision, "windows": config.seed if math.isfinite(most_s) else None}
            self.cache = FeatureCache(Path(config.data.cache), clips, model, most_s, key)

    def load(self, clip: Clip) -> Tensor:
        """States (layers, frames, dim) if they are cached, else audio (samples,). Runs in reader threads."""
        states = self.cache.get(clip[0]) if self.cache else None
        return self._audio(clip) if states is None else states

    def features(self, chosen: Sequence[Clip], items: Sequence[Tensor], dtype: torch.dtype) -> Features:
        """The backbone's states of clips that `load` gave as audio or as states.

        A micro-batch is computed whole if any of its clips is not cached yet, so its numbers are the same whenever a
        run was killed and the cache was filled.
        """
        device = self.model.mix.device
        if any(item.dim() == 1 for item in items):
            waves = [
                self._audio(c) if item.dim() == 3 else item for c, item in zip(chosen, items, strict=True)
            ]
            with torch.no_grad():
                computed = self.model.features([wave.to(device, non_blocking=True) for wave in waves])
            if self.cache is None:
                return computed
            parts = zip(chosen, computed.split(), strict=True)
            items = [self.cache.put(index, part.states) for (index, _), part in parts]
        with torch.autocast(device.type, enabled=False):  # which on CPUs refuses half precision
            states = torch.cat(list(items), dim=1).to(device, non_blocking=True).to(dtype)
        return Features(states, [item.shape[1] for item in items])

    def flush(self) -> None:
        if self.cache:
            self.cache.flush()

    def _audio(self, clip: Clip) -> Tensor:
        index, place = clip
        rate = self.model.config.sample_rate
        return read_audio(self.clips.paths[index], rate, most_s=self.most_s, place=place)


class Plan:
    """The updates of a whole run, computed an epoch at a time."""

    def __init__(self, config: TrainConfig, clips: Clips, mates: Team) -> None:
        self.config, self.clips, self.mates = config, clips, mates
        self.share = sampler.shares(clips.corpus, clips.corpora, config.data.weights, config.data.balance)
        self.seconds = np.minimum(clips.seconds, config.data.max_seconds)
        sizes = [len(self.epoch(number)) for number in range(config.epochs)]
        self.ends = list(itertools.accumulate(sizes))  # updates done after each epoch
        self.total = self.ends[-1]
        if self.total == 0:
            raise ModelError("data.weights: every corpus has the weight 0, so there is nothing to train on")

    def epoch(self, number: int) -> list[np.ndarray]:
        """The clips of each update of one epoch."""
        seed = self.config.seed
        chosen = sampler.epoch_clips(self.clips.corpus, self.share, seed=seed, epoch=number)
        return sampler.updates(self.seconds, chosen, self.config.batch, seed=seed, epoch=number)

    def works(self, done: int) -> Iterator[Work]:
        """This process's work for every update after `done`, in order."""
        for epoch, end in enumerate(self.ends):
            if end <= done:
                continue
            updates = self.epoch(epoch)
            first = end - len(updates)
            for offset in range(max(0, done - first), len(updates)):
                yield self._work(first + offset + 1, epoch, updates[offset])

    def evaluate_after(self, update: int) -> bool:
        every = self.config.eval.every
        return update == self.total or (update in self.ends if every is None else update % every == 0)

    def _work(self, number: int, epoch: int, clips: np.ndarray) -> Work:
        seed = self.config.seed
        if self.config.data.cache is None:
            places = np.random.default_rng([seed, 3, number]).random(len(clips))
        else:  # what is cached must be the same window in every epoch
            places = np.random.default_rng([seed, 4]).random(len(self.clips))[clips]
        dealt = sampler.micro_batches(
            np.arange(len(clips)), self.seconds[clips], self.config.batch, processes=self.mates.size
        )
        return Work(
            number,
            epoch,
            [[(int(clips[i]), float(places[i])) for i in piece] for piece in dealt[self.mates.rank]],
            cropped=int((self.clips.seconds[clips] > self.config.data.max_seconds).sum()),
        )


def build_model(config: TrainConfig) -> MosModel:
    """The network that `config.model` describes, with a checkpoint's, pretrained or fresh weights."""
    net = config.model
    if net.init is not None:
        return load(net.init)
    require(net.backbone in BACKBONES, "model.backbone", net.backbone, f"one of {', '.join(BACKBONES)}")
    backbone = BACKBONES[net.backbone]
    sizes = [f.name for f in fields(backbone)]
    for name, size in net.sizes.items():
        require(name in sizes, f"model.sizes.{name}", size, f"a field of {net.backbone}: {', '.join(sizes)}")
    model = MosModel(
        ModelConfig(
            backbone=replace(backbone, **net.sizes),
            heads=tuple(Head(name, *_bounds(name)) for name in net.heads),
            dim=net.dim,
            layers=net.layers,
            attention_heads=net.attention_heads,
            feedforward=net.feedforward,
            dropout=net.dropout,
            pooling=net.pooling,
            normalize=net.normalize,
        )
    )
    if net.pretrained is not None:
        load_backbone(model.backbone, net.pretrained)
    return model


def lr_factor(update: int, total: int, optim: OptimConfig) -> float:
    """Learning rate of update 1..total as a fraction of its peak; the peak is reached with update
    `optim.warmup`.

    >>> [round(lr_factor(u, 6, OptimConfig(warmup=2)), 1) for u in range(1, 7)]
    [0.5, 1.0, 0.8, 0.6, 0.4, 0.2]
    """
    peak = max(1, optim.warmup)
    if update <= peak:
        return update / peak
    if optim.schedule == "constant":
        return 1.0
    done = (update - peak) / (total + 1 - peak)  # would be 1 one update after the last
    return 1 - done if optim.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))


class Pace:
    """How fast the run is and how much of its time it waits for audio, over the last updates."""

    def __init__(self) -> None:
        self.audio_per_s = self.wait_share = 0.0
        self._per_update = self._audio = self._wait = 0.0
        self.start()

    def start(self) -> None:
        """An update begins."""
        self._began = self._read = time.perf_counter()

    def waited(self) -> None:
        """Its audio is there."""
        self._read = time.perf_counter()

    def computed(self, seconds: float) -> None:
        """It is done, over so many seconds of audio."""
        now = time.perf_counter()
        keep = 0.9 if self._per_update else 0.0  # about the last ten updates
        self._per_update = keep * self._per_update + (1 - keep) * (now - self._began)
        self._wait = keep * self._wait + (1 - keep) * (self._read - self._began)
        self._audio = keep * self._audio + (1 - keep) * seconds
        self.audio_per_s, self.wait_share = self._audio / self._per_update, self._wait / self._per_update

    def left_s(self, updates: int) -> float:
        """Seconds that so many updates will take (evaluations not counted)."""
        return updates * self._per_update


class Journal:
    """metrics.jsonl, TensorBoard events and log.txt of a run; silent on all processes but the first."""

    def __init__(self, folder: Path, config: TrainConfig, mates: Team, done: int) -> None:
        self._file = self._board = self._handler = None
        if mates.rank:
            return
        run_folder.rewind_metrics(folder / "metrics.jsonl", done)
        run_folder.write_text(
            folder / "environment.json", json.dumps(run_folder.environment(), indent=2) + "\n"
        )
        self._file = (folder / "metrics.jsonl").open("a", encoding="utf-8")
        if config.run.tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # a second to import

            self._board = SummaryWriter(str(folder), purge_step=done + 1)
        self._handler = logging.FileHandler(folder / "log.txt", encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(self._handler)

    def record(self, update: int, row: dict[str, Any]) -> None:
        """One line, and one TensorBoard point for every number in it however deep."""
        if self._file:
            self._file.write(json.dumps({"update": update} | row) + "\n")
            self._file.flush()
        if self._board:
            for name, value in _numbers(row):
                self._board.add_scalar(name, value, update)

    def close(self) -> None:
        if self._file:
            self._file.close()
        if self._board:
            self._board.close()
        if self._handler:
            log.removeHandler(self._handler)
            self._handler.close()


def _bounds(head: str) -> tuple[float | None, float | None]:
    """Range of a head for the model: None is an open end."""
    low, high = (0.0, math.inf) if head.endswith(STD) else RANGES.get(head, (-math.inf, math.inf))
    return (low if math.isfinite(low) else None), (high if math.isfinite(high) else None)


def _check_heads(config: TrainConfig, names: Sequence[str]) -> None:
    require(
        config.eval.head in names, "eval.head", config.eval.head, f"a head of the model: {', '.join(names)}"
    )
    uncertain = [name for name in names if name.endswith(STD)]
    if uncertain and config.loss.kind != "nll":
        raise ModelError(
            f'model.heads: {uncertain[0]!r} is only learned with loss.kind = "nll"; set it, or leave it out'
        )
    if config.data.cache is not None and config.optim.unfreeze != 0:
        raise ModelError(
            f"data.cache: needs a frozen backbone, found optim.unfreeze = {config.optim.unfreeze}; set it to 0, or "
            "data.cache to none"
        )
    if config.optim.unfreeze == 0 and config.model.backbone == "logmel" and config.model.init is None:
        raise ModelError(
            "optim.unfreeze: found 0, but logmel has no pretrained weights; expected -1 (all of it)"
        )


def _set_trainable(model: MosModel, unfreeze: int) -> None:
    """Freeze the backbone but for its last `unfreeze` layers (-1: freeze nothing)."""
    if unfreeze == -1:
        return
    model.backbone.requires_grad_(False)
    for layer in list(_layers(model.backbone))[-unfreeze:] if unfreeze else []:
        layer.requires_grad_(True)


def _layers(backbone: nn.Module) -> list[nn.Module]:
    layers = getattr(backbone, "layers", None) or getattr(backbone, "blocks", None)
    return list(layers) if layers is not None else []


def _recompute_activations(model: MosModel) -> None:
    """Keep only each layer's input for the backward pass and compute the rest again."""
    for layer in [*_layers(model.backbone), *model.encoder]:
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)


def _corpus_scale(config: TrainConfig, clips: Clips, heads: Sequence[Head]) -> nn.Module:
    if not config.loss.corpus_scale:
        return nn.Identity()
    ends = [(0.0 if head.min is None else head.min, 0.0 if head.max is None else head.max) for head in heads]
    return loss.CorpusScale(
        len(clips.corpora), len(heads), torch.tensor([(low + high) / 2 for low, high in ends])
    )


def _flat_gradients(parameters: Sequence[Tensor]) -> Tensor:
    """One vector whose pieces are the parameters' gradients: summed over processes and clipped as one."""
    flat = torch.zeros(sum(p.numel() for p in parameters), device=parameters[0].device)
    for p, piece in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        p.grad = piece.view_as(p)
    return flat


def _optimizer(
    trainable: dict[str, Tensor], optim: OptimConfig, device: torch.device
) -> torch.optim.Optimizer:
    """AdamW with the backbone's own learning rate; the corpus scales are not decayed."""
    kinds: dict[str, list[Tensor]] = {"backbone": [], "corpus_scale": [], "head": []}
    for name, p in trainable.items():
        kinds[name.split(".")[0] if name.split(".")[0] in kinds else "head"].append(p)
    groups = [
        {
            "params": parameters,
            "peak": optim.backbone_lr if kind == "backbone" and optim.backbone_lr else optim.lr,
            "weight_decay": 0.0 if kind == "corpus_scale" else optim.weight_decay,
        }
        for kind, parameters in kinds.items()
        if parameters
    ]
    return torch.optim.AdamW(groups, lr=optim.lr, betas=optim.betas, fused=device.type in ("cpu", "cuda"))


def _deviations(pred: Tensor, names: Sequence[str]) -> Tensor | None:
    """For each head the prediction of its `_std` head, NaN where it has none: (clips, heads)."""
    if not any(name.endswith(STD) for name in names):
        return None
    nothing = torch.full_like(pred[:, 0], math.nan)
    return torch.stack([pred[:, names.index(n + STD)] if n + STD in names else nothing for n in names], 1)


def _autocast(config: TrainConfig, device: torch.device) -> torch.autocast:
    return torch.autocast(device.type, PRECISIONS[config.precision], enabled=config.precision != "fp32")


def _seed(*numbers: int) -> int:
    """One seed of several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


@contextmanager
def _swapped(trainable: dict[str, Tensor], averaged: dict[str, Tensor]) -> Iterator[None]:
    """The model with its averaged weights, if it has them."""

    def swap() -> None:
        for name, average in averaged.items():
            trainable[name].data, average.data = average.data, trainable[name].data

    swap()
    try:
        yield
    finally:
        swap()


def _fill_checkpoint(
    model: MosModel,
    trainable: dict[str, Tensor],
    averaged: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    state: State,
    folder: Path,
) -> None:
    """Write last/: the model as predict loads it, and what training needs to go on."""
    with _swapped(trainable, averaged):
        save(model, folder)
    tensors = {f"average.{name}": value for name, value in averaged.items()}
    tensors |= {f"weight.{name}": p.detach() for name, p in trainable.items()}
    for name, p in trainable.items():
        tensors |= {f"{kind}.{name}": value for kind, value in optimizer.state[p].items()}
    save_file(
        {name: value.contiguous().cpu() for name, value in tensors.items()}, folder / "training.safetensors"
    )
    run_folder.write_text(folder / "training.json", json.dumps(asdict(state), indent=2) + "\n")


def _restore(
    folder: Path,
    trainable: dict[str, Tensor],
    averaged: dict[str, Tensor],
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
) -> State:
    """Put everything back as last/ has it; a fresh state if there is none."""
    if not folder.exists():
        return State()
    try:
        state = State(**json.loads((folder / "training.json").read_text("utf-8")))
        tensors = load_file(folder / "training.safetensors")
        with torch.no_grad():
            for name, p in trainable.items():
                p.copy_(tensors[f"weight.{name}"])
                kinds = {"step": "cpu"} if p.device.type == "cpu" else {"step": p.device}
                optimizer.state[p] = {
                    kind: tensors[f"{kind}.{name}"].to(kinds.get(kind, p.device))
                    for kind in ("step", "exp_avg", "exp_avg_sq")
                }
            for name, average in averaged.items():
                average.copy_(tensors[f"average.{name}"])
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise ModelError(
            f"{folder}: damaged checkpoint ({error}); delete it to start over, or restore a copy"
        ) from error
    state.best_merit = (state.best_merit[0], state.best_merit[1])  # JSON has no tuples
    if state.scaler:
        scaler.load_state_dict(state.scaler)
    return state


def _check_unreadable(lines: Sequence[str], most: int, name: str) -> None:
    if len(lines) > most:
        shown = "".join(f"\n  {line}" for line in list(dict.fromkeys(lines))[:20])
        raise ModelError(
            f"{name}: {len(lines)} audio files could not be read, more than data.max_unreadable = {most}:"
            f"{shown}\n"
            "restore them, take them out of the manifests, or raise data.max_unreadable"
        )


def _diverged(what: str, work: Work, paths: Sequence[str], config: TrainConfig) -> str:
    clips = f"; without a finite prediction: {', '.join(paths[:SHOWN])}" if paths else ""
    return (
        f"update {work.update} (epoch {work.epoch}): {what}{clips}. The last checkpoint is intact. "
        f'Lower optim.lr (now {config.optim.lr:g}) or use precision = "fp32"'
    )


@contextmanager
def _explained_memory(config: TrainConfig) -> Iterator[None]:
    """Say which knob to turn when memory runs out."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "can't allocate memory" not in str(
            error
        ):
            raise
        raise ModelError(
            f"out of memory ({str(error).splitlines()[0]}). Lower batch.micro_seconds (now "
            f"{config.batch.micro_seconds or config.batch.seconds:g}; the result stays the same) or "
            "data.max_seconds, or set run.checkpointing=true or precision=bf16"
        ) from error


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets; a second one interrupts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may handle signals
        return

    def handle(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _numbers(row: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}/")
        elif value is not None:
            yield prefix + name, float(value)


def _summary(results: Results, head: str) -> str:
    """One line for the log: the choosing head's correlations, corpus by corpus."""
    parts = []
    for corpus, by_head in results.items():
        figures = by_head.get(head, {})
        shown = [
            f"{name} {figures[name]:.3f}" for name in ("utterance_srcc", "system_srcc") if figures.get(name)
        ]
        parts.append(f"{corpus} {' '.join(shown) or 'undefined'}")
    return ", ".join(parts)
