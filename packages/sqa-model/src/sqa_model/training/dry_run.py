"""What a run will take, before it begins: its plan by counting, its memory and its time by doing a little of it.

The network, its optimizer and the clips are those of the run, and real micro-batches are read and learned from;
what is learned is thrown away, and nothing is written. What would not fit into memory, or take long, is not computed
whole: clips are packed, so what some of a micro-batch's clips take can be carried on to all.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from sqa_model.errors import ModelError
from sqa_model.network.products import by_onednn
from sqa_model.training import run_folder
from sqa_model.training.cache import cache_bytes
from sqa_model.training.clips import Clips
from sqa_model.training.compare import jobs_of
from sqa_model.training.config import TrainConfig
from sqa_model.training.evaluate import batches_of
from sqa_model.training.footprint import free_bytes, most_alive
from sqa_model.training.pairs import Pairs
from sqa_model.training.plan import Crop, Plan, Work
from sqa_model.training.processes import Processes, choose_device
from sqa_model.training.run import onednn_multiplies, prepare
from sqa_model.training.source import ClipReader, MicroBatch
from sqa_model.training.state import PRECISIONS, Learner

Batch = TypeVar("Batch")
SPEND_S = 60.0  # on measuring, about; a piece that is begun is ended
TIMED = 3  # micro-batches that are timed, beside the largest one


@dataclass(frozen=True)
class Piece:
    """A micro-batch, or the clips of it that were computed."""

    clips: int
    seconds: float  # of audio
    bytes: int  # the most alive at a time
    computed_clips: int  # of it; fewer: the bytes are carried on from these


@dataclass(frozen=True)
class Memory:
    """Bytes on the device of one process."""

    weights: int
    gradients: int
    optimizer: int
    averages: int  # of `optim.ema`
    training: Piece | None  # beyond these, in the largest micro-batch; None: the optimizer alone does not fit
    evaluation: Piece | None  # likewise, in the largest batch of the development set
    free: int | None  # before the activations; None: not known

    @property
    def total(self) -> int:
        """The most at a time."""
        activations = [piece.bytes for piece in (self.training, self.evaluation) if piece]
        return self.weights + self.gradients + self.optimizer + self.averages + max(activations, default=0)

    @property
    def fits(self) -> bool | None:
        """Whether it does; None: not known."""
        return None if self.free is None else self.total - self.weights - self.gradients <= self.free


@dataclass(frozen=True)
class Time:
    """Seconds; those of an update and an evaluation are means over the run."""

    update: float
    evaluation: float
    total: float  # of what is left to do
    audio_per_s: float  # seconds of audio learned from in a second
    read_per_s: float  # seconds of audio read in a second, by all workers
    timed: int  # micro-batches that were timed


@dataclass(frozen=True)
class Estimate:
    """What a run will take."""

    corpora: dict[str, dict[str, float]]  # name -> clips, hours, and how often each clip is used in an epoch
    dev: dict[str, dict[str, float]]
    pairs: int
    cropped: int  # clips longer than data.max_seconds
    epochs: int
    updates: int
    done: int  # updates that the run folder already has
    evaluations: int  # to come
    processes: int
    device: str
    parameters: int
    learning: int  # parameters that learn, sooner or later
    memory: Memory
    time: Time | None
    cache: int | None  # bytes of data.cache when complete
    told: tuple[str, ...]  # what was decided about heads and clips

    def as_dict(self) -> dict[str, Any]:
        """All of it for JSON, with the memory's total."""
        record = asdict(self)
        record["memory"] |= {"total": self.memory.total, "fits": self.memory.fits}
        return record


def dry_run(config: TrainConfig, folder: str | Path, *, processes: int = 1, extend: bool = False) -> Estimate:
    """Say what `train(config, folder, extend=extend)` would take in so many processes; nothing is written anywhere.

    Raises what `train` would raise before its first update.
    """
    folder, device = Path(folder), choose_device(config.run.device)
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng())
        if config.run.threads is not None:
            torch.set_num_threads(config.run.threads)
        changed = run_folder.check_run(folder, config, extend)
        start, plan, learner = prepare(config, Processes(0, 1, device), folder)
        plan.group = Processes(0, processes, device)
        stack.enter_context(by_onednn(onednn_multiplies(learner)))
        uncached = replace(config, data=replace(config.data, cache=None))
        audio = ClipReader(uncached, start.clips, learner.model, config.data.max_seconds)
        dev_audio = ClipReader(uncached, start.dev, learner.model, math.inf)
        done = run_folder.updates_done(folder)
        rehearsal = Rehearsal(plan, learner, audio, dev_audio, start.dev_pairs)
        memory = rehearsal.memory()
        cache = None
        if config.data.cache is not None:
            cache = sum(
                cache_bytes(reader.clips, learner.model, reader.most_s) for reader in (audio, dev_audio)
            )
        first = done if done or not plan.evaluate_after(0) else -1
        evaluations = sum(plan.evaluate_after(update) for update in range(first + 1, plan.total + 1))
        return Estimate(
            corpora=_corpora(start.clips, plan.share),
            dev=_corpora(start.dev),
            pairs=len(start.pairs),
            cropped=int((start.clips.seconds > config.data.max_seconds).sum()),
            epochs=config.epochs,
            updates=plan.total,
            done=done,
            evaluations=evaluations,
            processes=processes,
            device=str(device),
            parameters=sum(p.numel() for p in learner.model.parameters()),
            learning=sum(p.numel() for p in learner.trainable.values()),
            memory=memory,
            time=rehearsal.time(done, evaluations) if memory.training else None,
            cache=cache,
            told=(*start.told, *(f"extended: {line}" for line in changed)),
        )


class Rehearsal:
    """Does a little of a run, with a learner that is thrown away, and counts what that takes."""

    def __init__(
        self, plan: Plan, learner: Learner, audio: ClipReader, dev_audio: ClipReader, dev_pairs: Pairs
    ) -> None:
        self.plan, self.learner, self.audio, self.dev_audio = plan, learner, audio, dev_audio
        self.config, self.device = plan.config, learner.group.device
        # as in the last epoch, when all learns that ever will
        self.work = Work(plan.total, plan.total, self.config.epochs - 1, [], 0)
        epoch = list(takewhile(lambda work: work.epoch == 0, plan.after(0)))
        self.micro_batches = [crops for work in epoch for crops in work.micro_batches if crops]
        self.micro_batches.sort(key=self._seconds)
        self.update_s = sum(map(self._seconds, self.micro_batches)) / len(epoch)  # of audio, of this process
        dev, most_s = dev_audio.clips, self.config.batch.micro_seconds or self.config.batch.seconds
        self.dev_batches = batches_of(dev, self.config.batch, plan.group)
        jobs = jobs_of(dev_pairs, dev.seconds, most_s, self.config.batch.clips)[:: plan.group.size]
        evaluated = [*self.dev_batches, *(clips for clips, _ in jobs)]
        self.evaluation_s = sum(float(dev.seconds[clips].sum()) for clips in evaluated)
        self.affordable_s = math.inf  # of audio in one piece

    def memory(self) -> Memory:
        """What the largest micro-batch takes in training, and the largest batch in an evaluation."""
        learner = self.learner
        model = _bytes([*learner.model.parameters(), *learner.model.buffers()])
        learning, averages = _bytes(learner.trainable.values()), _bytes(learner.averaged.values())
        free = free_bytes(self.device)
        memory = Memory(model, learning, 2 * learning, averages, training=None, evaluation=None, free=free)
        if memory.fits is False:
            return memory
        room = math.inf if free is None else free - memory.optimizer
        largest = self._read(self.audio, self.micro_batches[-1])
        # the optimizer makes its state
        self._step(_first(largest, 1))
        training = self._measure(largest, self._step, room)
        longest = max(self.dev_batches, key=lambda clips: self.dev_audio.clips.seconds[clips].sum())
        heard = self._read(self.dev_audio, [Crop(clip, 0.0) for clip in longest])
        return replace(memory, training=training, evaluation=self._measure(heard, self._score, room))

    def time(self, done: int, evaluations: int) -> Time:
        """How long what is left takes, by some micro-batches and some clips of an evaluation."""
        places = np.linspace(0, len(self.micro_batches) - 1, TIMED).round().astype(int)
        chosen = [self.micro_batches[place] for place in dict.fromkeys(places.tolist())]
        start = time.perf_counter()
        batches = [self._read(self.audio, crops) for crops in chosen]
        read = (time.perf_counter() - start) / sum(map(self._heard, batches))
        batches = [self._affordable(batch) for batch in batches]
        heard, alone = sum(map(self._heard, batches)), self._timed(None, self._step)
        learn, score = self._rates(batches, heard, alone)
        later = learn, score
        if self.config.data.cache is not None:
            later = self._rates([self._states(batch) for batch in batches], heard, alone)
        # a cached epoch reads states, and how fast the disk gives them is not known
        reads = read if self.config.data.cache is None else 0.0
        first = max(0, self.plan.ends[0] - done)
        rest = self.plan.total - done - first
        learned = first * max(learn, read) + rest * max(later[0], reads)
        update = alone + self.update_s * learned / max(1, first + rest)
        measured = max(score, read) + max(0, evaluations - 1) * max(later[1], reads)
        evaluation = self.evaluation_s * measured / max(1, evaluations)
        return Time(
            update=update,
            evaluation=evaluation,
            total=(first + rest) * update + evaluations * evaluation,
            audio_per_s=1 / learn,
            read_per_s=1 / read,
            timed=len(batches),
        )

    def _rates(self, batches: Sequence[MicroBatch], heard: float, alone: float) -> tuple[float, float]:
        """Seconds that a second of audio takes to learn from, and to score; `alone`: to change the weights."""
        learn = sum(max(1e-9, self._timed(batch, self._step) - alone) for batch in batches)
        score = sum(self._timed(batch, self._score) for batch in batches)
        return learn / heard, score / heard

    def _timed(self, batch: Batch, compute: Callable[[Batch], None]) -> float:
        start = time.perf_counter()
        compute(batch)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - start

    def _step(self, batch: MicroBatch | None) -> None:
        """Learn from a micro-batch; from none, only the weights are changed."""
        parts = [] if batch is None else [batch]
        totals = self.learner.count(parts, self.audio, stop=False)
        self.learner.step(self.work, parts, self.audio, totals)

    def _score(self, batch: MicroBatch) -> None:
        self.learner.model.eval()
        with torch.no_grad(), self.learner.averages_in_place():
            self.learner.forward(batch, self.dev_audio).cpu()

    def _read(self, reader: ClipReader, crops: list[Crop]) -> MicroBatch:
        """A micro-batch as it is read in training; its unreadable clips drop out."""
        for _, batches in reader.batches([replace(self.work, micro_batches=[crops])]):
            for batch in batches:
                return batch
        raise ModelError(f"none of {len(crops)} clips could be read: {'; '.join(reader.unreadable)}")

    def _states(self, batch: MicroBatch) -> MicroBatch:
        """A micro-batch as it comes from the cache."""
        self.learner.model.eval()
        features = self.audio.features(batch, PRECISIONS[self.config.precision])
        return MicroBatch(batch.crops, [part.states.to("cpu", torch.float16) for part in features.split()])

    def _measure(self, whole: MicroBatch, compute: Callable[[MicroBatch], None], room: float) -> Piece:
        """Compute one clip of a micro-batch, then two, four, ... while they fit into `room` and take little time."""
        points: list[tuple[float, int]] = []
        part = _first(whole, 1)
        while True:
            start = time.perf_counter()
            most = most_alive(partial(compute, part), self.device)
            took = time.perf_counter() - start
            points.append((self._heard(part), most))
            if len(part.crops) == len(whole.crops):
                break
            larger = _first(whole, 2 * len(part.crops))
            if carried_on(points, self._heard(larger)) > room or 2 * took > SPEND_S / 4:
                self.affordable_s = min(self.affordable_s, self._heard(part))
                break
            part = larger
        seconds = self._heard(whole)
        return Piece(len(whole.crops), seconds, round(carried_on(points, seconds)), len(part.crops))

    def _affordable(self, batch: MicroBatch) -> MicroBatch:
        """As many of its first clips as take no longer, and no more room, than what was measured."""
        clips = len(batch.crops)
        while clips > 1 and self._heard(_first(batch, clips)) > self.affordable_s:
            clips -= 1
        return _first(batch, clips)

    def _seconds(self, crops: Sequence[Crop]) -> float:
        """Of audio for training, as the manifests say and as it is cut."""
        return float(self.plan.clip_seconds[[crop.clip for crop in crops]].sum())

    def _heard(self, batch: MicroBatch) -> float:
        """Seconds of audio that were read."""
        return sum(len(item) for item in batch.items) / self.learner.model.config.sample_rate


def carried_on(points: Sequence[tuple[float, int]], seconds: float) -> float:
    """Bytes of so many seconds of audio, on the line through the last two (seconds, bytes) that were measured.

    >>> carried_on([(1.0, 100), (2.0, 150)], 4.0), carried_on([(2.0, 100)], 4.0)
    (250.0, 200.0)
    """
    last, most = points[-1]
    if len(points) == 1 or last <= points[-2][0]:
        return most * seconds / max(last, 1e-9)
    before, less = points[-2]
    return most + max(0.0, (most - less) / (last - before)) * (seconds - last)


def _first(batch: MicroBatch, clips: int) -> MicroBatch:
    """Its first clips; a pair is not torn."""
    if clips < len(batch.crops) and batch.crops[clips - 1].side == "a":
        clips += 1
    return MicroBatch(batch.crops[:clips], batch.items[:clips])


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _corpora(clips: Clips, share: Sequence[float] | np.ndarray | None = None) -> dict[str, dict[str, float]]:
    """The clips and hours of each corpus, and its share of an epoch."""
    table = {}
    for number, name in enumerate(clips.corpora):
        mine = clips.corpus == number
        table[name] = {"clips": int(mine.sum()), "hours": float(clips.seconds[mine].sum()) / 3600}
        if share is not None:
            table[name]["times_an_epoch"] = float(share[number])
    return table
