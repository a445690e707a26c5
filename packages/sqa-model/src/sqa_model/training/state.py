"""The learner: all that a run can lose, and how one update changes it.

What an update computes is a pure function of (config, update number, weights): which clips (`plan`), which window
of them, which dropout mask (the generator is seeded anew from seed, update and micro-batch). So there is no random
state to lose: a killed run continues bit for bit from its last checkpoint, and several processes compute what one
would.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from sqa_data.atomic import atomic_path, atomic_write
from torch import Tensor

from sqa_model.checkpoint.ours import save
from sqa_model.errors import ModelError
from sqa_model.network.comparison import Compared, Encoded
from sqa_model.network.model import MosModel, Outputs
from sqa_model.training.build import recompute_activations
from sqa_model.training.clips import SHOWN, Clips
from sqa_model.training.config import TrainConfig
from sqa_model.training.evaluate import Results, merit
from sqa_model.training.objective import Counts, Objective
from sqa_model.training.optimizer import adamw, choose_weights, flat_gradients, lr_factor
from sqa_model.training.pairs import NO_PAIRS, Pairs
from sqa_model.training.plan import Work
from sqa_model.training.processes import Processes
from sqa_model.training.ratings import NO_RATINGS, Ratings
from sqa_model.training.source import ClipReader, MicroBatch

MOMENTS = ("step", "exp_avg", "exp_avg_sq")
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass
class State:
    """What a checkpoint holds beside tensors; everything else about a run follows from its config."""

    update: int = 0  # updates done
    best_merit: tuple[float, float] = (-math.inf, -math.inf)
    best_update: int = 0
    best: Results = field(default_factory=dict)
    last: Results = field(default_factory=dict)
    parent: Results = field(default_factory=dict)  # of `model.init`, before the first update
    stale: int = 0  # evaluations since the best one
    evaluated: int = -1  # updates done when `last` was measured
    scaler: dict[str, object] = field(default_factory=dict)  # of fp16
    onednn: bool = False  # whether it multiplies fp32 matrices; measured when the run began


@dataclass(frozen=True)
class Totals:
    """What an update holds over all its micro-batches on all processes, known before it is computed."""

    counts: Counts  # of what the loss is a mean of
    seconds: float  # of audio
    unreadable: int  # files so far
    stop: bool  # some process was asked to


@dataclass(frozen=True)
class Step:
    """What an update came to."""

    loss: float
    head_losses: dict[str, float]  # of the heads labelled in it
    lr: float
    grad_norm: float


class Learner:
    """The model, what learns in it, the optimizer, the averaged weights and the `State`."""

    def __init__(
        self,
        model: MosModel,
        clips: Clips,
        config: TrainConfig,
        group: Processes,
        *,
        pairs: Pairs = NO_PAIRS,
        ratings: Ratings = NO_RATINGS,
        frozen_heads: Sequence[str] = (),
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        """`clips` are the training set's: their labels, and a scale for each of their corpora if asked for.

        frozen_heads: those that keep their weights. provenance: what saved models say of where they come from, beside
        the figures; None: nothing.
        """
        self.model, self.clips, self.config, self.group = model.to(group.device), clips, config, group
        self.names, self.state = model.config.names, State()
        for name in set(frozen_heads) & set(model.config.distributions):
            model.grades[name].requires_grad_(False)
        self.trainable, self.terms, self.lora = choose_weights(model, config.optim)
        if config.run.checkpointing:
            recompute_activations(model)
        self.objective = Objective(model.config, clips, config.loss, pairs, ratings).to(group.device)
        beside = dict(self.objective.named_parameters())
        self.trainable |= beside
        self.terms |= self.objective.learning(config.optim)
        self.gradients, self._pieces = flat_gradients(list(self.trainable.values()))
        self.optimizer = adamw(self.trainable, self.terms, config.optim, group.device)
        self.thaw(1, 0)
        ema = config.optim.ema is not None
        self.averaged = {name: p.detach().clone() for name, p in self.trainable.items()} if ema else {}
        self.scaler = torch.amp.GradScaler(group.device.type, enabled=config.precision == "fp16")
        self.provenance = provenance
        rows = [self.names.index(name) for name in frozen_heads]
        # what no loss moves, weight decay would
        kept = [(p, rows, p.detach()[rows].clone()) for p in self.model.metrics.parameters()]
        self.kept_rows = kept if rows else []

    # What can be lost

    def save(self, folder: Path) -> None:
        """Write into `folder` the model as predict loads it, and what training needs to go on."""
        self.save_model(folder)
        tensors = {f"average.{name}": value for name, value in self.averaged.items()}
        tensors |= {f"weight.{name}": p.detach() for name, p in self.trainable.items()}
        for name, p in self.trainable.items():
            tensors |= {f"{kind}.{name}": value for kind, value in self.optimizer.state[p].items()}
        with atomic_path(folder / "training.safetensors") as path:
            save_file({name: value.contiguous().cpu() for name, value in tensors.items()}, path)
        self.state.scaler = self.scaler.state_dict()
        with atomic_write(folder / "training.json") as file:
            record = asdict(self.state)
            for name in ("parent", "onednn"):  # so that 0.1.0 can go on with a run that has neither
                if not record[name]:
                    del record[name]
            file.write((json.dumps(record, indent=2) + "\n").encode())

    def resume(self, folder: Path) -> None:
        """Put everything back as `save` wrote it; do nothing if there is no such folder.

        Raises `ModelError` for a checkpoint that is damaged.
        """
        if not folder.exists():
            return
        try:
            record = json.loads((folder / "training.json").read_text("utf-8"))
            # 0.1.0 did not say, and saved after its evaluations
            state = State(**{"evaluated": record["update"], **record})
            if state.update == 0:
                return  # 0.1.0 wrote this when stopped before the first update: nothing was learned
            tensors = load_file(folder / "training.safetensors")
            self._check_shapes(folder, tensors)
            with torch.no_grad():
                for name, p in self.trainable.items():
                    p.copy_(tensors[f"weight.{name}"])
                    if f"step.{name}" not in tensors:
                        continue  # it had not begun to learn
                    self.optimizer.state[p] = {
                        kind: tensors[f"{kind}.{name}"].to(p.device) for kind in MOMENTS
                    }
                for name, average in self.averaged.items():
                    average.copy_(tensors[f"average.{name}"])
        except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"{folder}: damaged checkpoint ({error}); delete it to start over, or restore a copy"
            ) from error
        if state.scaler:
            self.scaler.load_state_dict(state.scaler)
        self.state = replace(
            state, best_merit=(state.best_merit[0], state.best_merit[1])
        )  # JSON has no tuples

    def _check_shapes(self, folder: Path, tensors: Mapping[str, Tensor]) -> None:
        """Raise `ModelError` where the checkpoint is of another network, as after a change of the manifests."""
        found = {
            name.removeprefix("weight."): tuple(t.shape)
            for name, t in tensors.items()
            if name[:7] == "weight."
        }
        expected = {name: tuple(p.shape) for name, p in self.trainable.items()}
        for name in sorted(found.keys() | expected.keys()):
            if found.get(name) != expected.get(name):
                raise ModelError(
                    f"{folder}: {name} is {found.get(name, 'absent')} in the checkpoint and "
                    f"{expected.get(name, 'absent')} in the network of this run; the manifests may have other labels "
                    "than when it began: bring them back, or train in another folder"
                )

    def take_moments(self, folder: Path) -> None:
        """Begin with AdamW's moments of another run's checkpoint, for the weights that go on from there.

        Raises `ModelError` where `folder` is no such checkpoint.
        """
        path = folder / "training.safetensors"
        try:
            tensors = load_file(path)
            heads = type(self.model.config).from_json((folder / "config.json").read_text("utf-8")).names
        except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise ModelError(
                f"{path}: cannot read the moments that optim.moments asks for ({error}); "
                "expected model.init to be the last/ of a run"
            ) from error
        goes_on = {
            name
            for name, _ in self.model.named_parameters()
            if heads == self.names or not name.startswith("metrics.")
        }
        for name in goes_on & self.trainable.keys():
            p, names = self.trainable[name], {kind: f"{kind}.{name}" for kind in MOMENTS}
            # another shape: of a network that has changed, or a file that was
            shapes = [tensors[key].shape for key in names.values() if key in tensors]
            if shapes == [torch.Size([]), p.shape, p.shape]:
                self.optimizer.state[p] = {kind: tensors[key].to(p.device) for kind, key in names.items()}

    def save_model(self, folder: Path) -> None:
        """Write the model alone, as predict loads it."""
        if self.provenance is not None:
            measured = self.state.evaluated == self.state.update
            figures = {"dev": self.state.last} if measured else {}
            extra = {**self.provenance, "update": self.state.update, **figures}
            self.model.config = replace(self.model.config, extra=extra)
        with self.averages_in_place(), self.lora.merged():
            save(self.model, folder)

    # One update

    def thaw(self, update: int, epoch: int) -> None:
        """Let learn what learns in an update, and nothing else; `frozen`: nothing of the backbone does."""
        self.frozen = True
        for (name, p), piece in zip(self.trainable.items(), self._pieces, strict=True):
            learns = self.terms[name].learns(update, epoch)
            p.requires_grad_(learns)
            p.grad = piece if learns else None
            self.frozen &= not (learns and name.startswith(("backbone.", "lora.")))

    def count(self, batch: Sequence[MicroBatch], reader: ClipReader, stop: bool) -> Totals:
        """What all processes hold of an update: needed before any of them knows its part of the loss."""
        counts = self.objective.count(batch)
        seconds = sum(
            np.minimum(self.clips.seconds[part.clips], self.config.data.max_seconds).sum() for part in batch
        )
        flags = torch.tensor([float(stop), len(reader.unreadable), seconds]).to(counts.labels)
        totals = self.group.sum(torch.cat([counts.flat(), flags]))
        stopped, unreadable, seconds = totals[-3:].tolist()
        return Totals(counts.of(totals[:-3]), seconds, int(unreadable), bool(stopped))

    def step(self, work: Work, batch: Sequence[MicroBatch], reader: ClipReader, totals: Totals) -> Step:
        """Forward and backward for each micro-batch, add up over the processes, clip, change the weights.

        Raises `ModelError`, and changes nothing, where the loss or the gradient is no number.
        """
        self.model.train()
        self.thaw(work.update, work.epoch)
        if self.frozen:
            self.model.backbone.eval()
        part_of_mean = self.objective.shares(totals.counts)
        self.gradients.zero_()
        parts = torch.zeros_like(part_of_mean)  # (terms,): this process's part of each term
        not_finite: list[str] = []
        for number, micro_batch in enumerate(batch):
            # seeded by the update and the micro-batch's place in it, whichever process computes it
            place = self.group.rank + number * self.group.size
            torch.manual_seed(_seed(self.config.seed, work.update, place))
            with _explained_memory(self.config):
                outputs, compared = self._outputs(micro_batch, reader)
                terms = self.objective.losses(outputs, micro_batch, totals.counts, compared)
                self.scaler.scale((terms * part_of_mean).sum()).backward()
            parts += terms.detach()
            finite = outputs.scores.isfinite().all(1).tolist()
            not_finite += [
                self.clips.paths[i] for i, ok in zip(micro_batch.clips, finite, strict=True) if not ok
            ]
        self.group.sum(self.gradients)
        self.group.sum(parts)
        value = float((parts * part_of_mean).sum())
        if not math.isfinite(value):
            everyones = [path for paths in self.group.gather(not_finite) for path in paths]
            raise ModelError(_diverged(f"the loss is {value}", work, everyones, self.config))
        factor = lr_factor(work.update, work.total, self.config.optim)
        norm = self._change_weights(work, factor)
        counted = self.objective.counted(totals.counts)
        named = zip(self.objective.terms, parts.tolist(), counted, strict=True)
        terms_here = {name: part for name, part, count in named if count}
        return Step(value, terms_here, self.config.optim.lr * factor, norm)

    def forward(self, batch: MicroBatch, reader: ClipReader) -> Tensor:
        """Predictions of a micro-batch, (clips, heads), in fp32."""
        with self._autocast():
            return self.model.scores(self._encoded(batch, reader)).float()

    def compare(self, batch: MicroBatch, reader: ClipReader, pairs: Sequence[tuple[int, int]]) -> Compared:
        """What the model says of pairs of the clips of a micro-batch."""
        with self._autocast():
            return self.model.compare(self._encoded(batch, reader), pairs)

    def _outputs(self, batch: MicroBatch, reader: ClipReader) -> tuple[Outputs, Compared | None]:
        """What the model says of a micro-batch, and of its pairs, in both orders."""
        pairs = [(pair.a, pair.b) for pair in batch.pairs]
        with self._autocast():
            encoded = self._encoded(batch, reader)
            both = [*pairs, *((b, a) for a, b in pairs)]
            return self.model.outputs(encoded), self.model.compare(encoded, both) if pairs else None

    def _encoded(self, batch: MicroBatch, reader: ClipReader) -> Encoded:
        if self.frozen:
            return self.model.encode_features(reader.features(batch, PRECISIONS[self.config.precision]))
        return self.model.encode([wave.to(self.group.device, non_blocking=True) for wave in batch.items])

    def _autocast(self) -> torch.autocast:
        dtype = PRECISIONS[self.config.precision]
        return torch.autocast(self.group.device.type, dtype, enabled=dtype != torch.float32)

    def judge(self, results: Results) -> bool:
        """Take note of an evaluation; True if there was no better one before."""
        state = self.state
        state.last, state.evaluated, now = results, state.update, merit(results, self.config.eval)
        if state.update == 0:
            state.parent = results
        if state.best and now <= state.best_merit:
            state.stale += 1
            return False
        state.best, state.best_merit, state.best_update, state.stale = results, now, state.update, 0
        return True

    @contextmanager
    def averages_in_place(self) -> Iterator[None]:
        """The model with its averaged weights, if it has them."""

        def swap() -> None:
            for name, average in self.averaged.items():
                self.trainable[name].data, average.data = average.data, self.trainable[name].data

        swap()
        try:
            yield
        finally:
            swap()

    def _change_weights(self, work: Work, lr: float) -> float:
        """Clip the gradient and let the optimizer step with `lr` of its peaks; returns the norm before clipping."""
        optim = self.config.optim
        self.scaler.unscale_(self.optimizer)
        norm = self.gradients.norm()
        if optim.clip is not None:
            self.gradients.mul_((optim.clip / (norm + 1e-6)).clamp(max=1))
        if not (self.scaler.is_enabled() or bool(norm.isfinite())):
            raise ModelError(_diverged(f"the gradient norm is {float(norm)}", work, [], self.config))
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * lr
        self.scaler.step(self.optimizer)
        self.scaler.update()
        with torch.no_grad():
            for p, rows, before in self.kept_rows:
                p[rows] = before
        if optim.ema is not None:
            young = (1 + work.update) / (10 + work.update)  # an average over few updates is a short one
            decay = min(optim.ema, young)
            with torch.no_grad():
                torch._foreach_lerp_(list(self.averaged.values()), list(self.trainable.values()), 1 - decay)
        self.state.update = work.update
        return float(norm)


def _seed(*numbers: int) -> int:
    """One seed of several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


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
        full = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not full and "can't allocate memory" not in str(error):
            raise
        raise ModelError(
            f"out of memory ({str(error).splitlines()[0]}). Lower batch.micro_seconds (now "
            f"{config.batch.micro_seconds or config.batch.seconds:g}; the result stays the same) or "
            "data.max_seconds, or set run.checkpointing=true or precision=bf16"
        ) from error
