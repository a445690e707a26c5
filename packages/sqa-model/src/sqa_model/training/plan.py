"""What is done when: the updates of a whole run, computed an epoch at a time from (config, clips) alone.

Nothing here has state, so going on with a run is asking for the works after the last update that was done.

An *update* is one optimizer step over at most `batch.seconds` padded seconds and `batch.clips` whole clips of similar
length, the same for every number of processes. It is cut into *micro-batches* that fit one process's memory; these are
dealt over the processes.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sqa_model.errors import ModelError
from sqa_model.training.clips import Clips
from sqa_model.training.config import BatchConfig, TrainConfig
from sqa_model.training.processes import Processes

POOL = 32  # updates sorted by length together: enough to pad little, few enough to mix lengths over the epoch


class Crop(NamedTuple):
    """A clip as an update uses it."""

    clip: int  # its index
    crop_at: float  # where the window lies if the clip is too long: 0 at its start, 1 at its end


@dataclass(frozen=True)
class Work:
    """This process's share of one update."""

    update: int  # from 1
    total: int  # updates of the whole run
    epoch: int  # from 0
    micro_batches: list[list[Crop]]
    cropped: int  # clips cut to data.max_seconds, on all processes

    def crops(self) -> list[Crop]:
        """Those of all micro-batches in order."""
        return list(itertools.chain(*self.micro_batches))


class Plan:
    """The updates of a run, their shares and what follows each of them."""

    def __init__(self, config: TrainConfig, clips: Clips, group: Processes) -> None:
        self.config, self.clips, self.group = config, clips, group
        self.share = shares(clips.corpus, clips.corpora, config.data.weights, config.data.balance)
        self.seconds = np.minimum(clips.seconds, config.data.max_seconds)
        sizes = [len(self.epoch(number)) for number in range(config.epochs)]
        self.ends = list(itertools.accumulate(sizes))  # updates done after each epoch
        self.total = self.ends[-1]
        if self.total == 0:
            raise ModelError("data.weights: every corpus has the weight 0, so there is nothing to train on")

    def epoch(self, number: int) -> list[np.ndarray]:
        """The clips of each update of one epoch."""
        seed = self.config.seed
        chosen = epoch_clips(self.clips.corpus, self.share, seed=seed, epoch=number)
        return updates(self.seconds, chosen, self.config.batch, seed=seed, epoch=number)

    def after(self, done: int) -> Iterator[Work]:
        """This process's work for every update after the first `done`, in order."""
        for epoch, end in enumerate(self.ends):
            if end <= done:
                continue
            updates = self.epoch(epoch)
            first = end - len(updates)
            for offset in range(max(0, done - first), len(updates)):
                yield self._work(first + offset + 1, epoch, updates[offset])

    def evaluate_after(self, update: int) -> bool:
        """Whether the development set is measured then, and the run saved."""
        every = self.config.eval.every
        return update == self.total or (update in self.ends if every is None else update % every == 0)

    def _work(self, number: int, epoch: int, clips: np.ndarray) -> Work:
        seed = self.config.seed
        if self.config.data.cache is None:
            crop_at = np.random.default_rng([seed, 3, number]).random(len(clips))
        else:  # what is cached must be the same window in every epoch
            crop_at = np.random.default_rng([seed, 4]).random(len(self.clips))[clips]
        dealt = micro_batches(
            np.arange(len(clips)), self.seconds[clips], self.config.batch, processes=self.group.size
        )
        mine = [[Crop(int(clips[i]), float(crop_at[i])) for i in piece] for piece in dealt[self.group.rank]]
        cropped = int((self.clips.seconds[clips] > self.config.data.max_seconds).sum())
        return Work(number, self.total, epoch, mine, cropped)


def shares(
    corpus: np.ndarray, names: tuple[str, ...], weights: dict[str, float], balance: bool
) -> np.ndarray:
    """How often a clip of each corpus is used in one epoch, (corpora,) float; 1 means exactly once.

    `corpus` holds each clip's index into `names`. `weights` multiplies a corpus's share; `balance` first
    gives every corpus the same number of clips, the total staying as it was.

    >>> shares(np.array([0, 0, 0, 1]), ("a", "b"), {}, balance=True).round(3).tolist()
    [0.667, 2.0]
    """
    unknown = sorted(set(weights) - set(names))
    if unknown:
        raise ModelError(f"data.weights.{unknown[0]}: no manifest has this corpus; found: {', '.join(names)}")
    count = np.bincount(corpus, minlength=len(names))
    share = np.array([weights.get(name, 1.0) for name in names])
    if balance:
        share = share * (len(corpus) / len(names) / np.maximum(count, 1))
    return share


def epoch_clips(corpus: np.ndarray, share: np.ndarray, *, seed: int, epoch: int) -> np.ndarray:
    """Indices of the clips of one epoch, in corpus order, each as often as the share of its corpus says.

    The fraction rotates: with a share of 0.5 the even epochs use one half of the corpus and the odd ones the other.

    >>> corpus = np.zeros(4, dtype=int)
    >>> sorted(int(i) for e in (0, 1) for i in epoch_clips(corpus, np.array([0.5]), seed=1, epoch=e))
    [0, 1, 2, 3]
    """
    chosen = []
    for number, wanted in enumerate(share):
        members = np.flatnonzero(corpus == number)
        whole = int(wanted + 1e-9)
        chosen += [members] * whole
        part = round((wanted - whole) * len(members))
        if part > 0:
            order = np.random.default_rng([seed, 1, number]).permutation(members)
            chosen.append(np.take(order, np.arange(epoch * part, (epoch + 1) * part), mode="wrap"))
    return np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)


def updates(
    seconds: np.ndarray, clips: np.ndarray, batch: BatchConfig, *, seed: int, epoch: int
) -> list[np.ndarray]:
    """One epoch's updates in order: arrays of clip indices, longest first inside each. No clip is left out.

    `seconds` is the length of every clip as it will be used; `clips` the indices of this epoch's clips.

    >>> plan = updates(np.array([1.0, 5.0, 1.0, 5.0]), np.arange(4), BatchConfig(seconds=10), seed=0, epoch=0)
    >>> sorted(sorted(u.tolist()) for u in plan)
    [[0, 2], [1, 3]]
    """
    if len(clips) == 0:
        return []
    rng = np.random.default_rng([seed, 2, epoch])
    clips = rng.permutation(clips)
    size = int(min(batch.clips, max(1.0, batch.seconds // max(float(seconds[clips].mean()), 1e-6))))
    groups: list[np.ndarray] = []
    for start in range(0, len(clips), POOL * size):
        pool = clips[start : start + POOL * size]
        groups += _pack(pool[np.argsort(-seconds[pool], kind="stable")], seconds, batch.seconds, batch.clips)
    return [groups[i] for i in rng.permutation(len(groups))]


def micro_batches(
    update: np.ndarray, seconds: np.ndarray, batch: BatchConfig, *, processes: int
) -> list[list[np.ndarray]]:
    """An update cut into micro-batches and dealt, each clip exactly once: one list a process, some possibly empty.

    >>> dealt = micro_batches(np.array([3, 1, 2]), np.ones(4), BatchConfig(micro_seconds=1), processes=2)
    >>> [[m.tolist() for m in share] for share in dealt]
    [[[3], [2]], [[1]]]
    """
    if batch.micro_seconds is None:
        pieces = [update[rank::processes] for rank in range(processes)]  # everybody the same lengths
        pieces = [piece for piece in pieces if len(piece)]
    else:
        pieces = _pack(update, seconds, batch.micro_seconds, batch.clips)
    return [pieces[rank::processes] for rank in range(processes)]


def _pack(ordered: np.ndarray, seconds: np.ndarray, budget: float, most: int) -> list[np.ndarray]:
    """Cut `ordered` (longest first) so that clips x longest <= budget; a clip over it stands alone."""
    groups, start = [], 0
    while start < len(ordered):
        longest = max(float(seconds[ordered[start]]), 1e-6)
        size = int(min(most, max(1.0, (budget + 1e-9) // longest)))
        groups.append(ordered[start : start + size])
        start += size
    return groups
