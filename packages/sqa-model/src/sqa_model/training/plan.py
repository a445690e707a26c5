"""What is done when: the updates of a whole run, computed an epoch at a time from (config, clips) alone.

Nothing here has state, so going on with a run is asking for the works after the last update that was done.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sqa_model.errors import ModelError
from sqa_model.training import sampler
from sqa_model.training.clips import Clips
from sqa_model.training.config import TrainConfig
from sqa_model.training.pairs import NO_PAIRS, Pairs
from sqa_model.training.processes import Processes


class Crop(NamedTuple):
    """A clip as an update uses it."""

    clip: int  # its index
    crop_at: float  # where the window lies if the clip is too long: 0 at its start, 1 at its end
    pair: int | None = None  # index of the pair that it is a side of; b stands right behind a
    side: str = ""  # "a" or "b"


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
    """The updates of a run, their shares and what follows each of them.

    What an update is made of are *units*: a clip alone, or a pair, whose two clips stay together.
    """

    def __init__(self, config: TrainConfig, clips: Clips, group: Processes, pairs: Pairs = NO_PAIRS) -> None:
        """`clips` are those to be used alone, and behind them those that only pairs need."""
        self.config, self.clips, self.group, self.pairs = config, clips, group, pairs
        self.alone = clips.corpus[: len(clips) - pairs.own_clips]  # the corpus of each clip used alone
        self.share = sampler.shares(self.alone, clips.corpora, config.data.weights, config.data.balance)
        self.clip_seconds = np.minimum(clips.seconds, config.data.max_seconds)
        # units: the clips, then the pairs, each as two clips of the longer one's length
        longer = np.maximum(self.clip_seconds[pairs.a], self.clip_seconds[pairs.b])
        self.seconds = np.concatenate([self.clip_seconds, 2 * longer])
        sizes = [len(self.epoch(number)) for number in range(config.epochs)]
        self.ends = list(itertools.accumulate(sizes))  # updates done after each epoch
        self.total = self.ends[-1]
        if self.total == 0:
            raise ModelError("data.weights: every corpus has the weight 0, so there is nothing to train on")
        if config.optim.freeze_updates >= self.total:
            raise ModelError(
                f"optim.freeze_updates: found {config.optim.freeze_updates}, expected fewer than the {self.total} "
                "updates of the run, so that the backbone begins to learn"
            )

    def epoch(self, number: int) -> list[np.ndarray]:
        """The units of each update of one epoch."""
        seed = self.config.seed
        chosen = sampler.epoch_clips(self.alone, self.share, seed=seed, epoch=number)
        if len(self.pairs):
            once = np.array([self.config.data.pair_share])
            of_pairs = sampler.epoch_clips(np.zeros(len(self.pairs), int), once, seed=seed, epoch=number)
            chosen = np.concatenate([chosen, of_pairs + len(self.clips)])
        return sampler.updates(self.seconds, chosen, self.config.batch, seed=seed, epoch=number)

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
        """Whether the development set is measured then, and the run saved; before the first update, `model.init` is."""
        if update == 0:
            return self.config.model.init is not None
        every = self.config.eval.every
        return update == self.total or (update in self.ends if every is None else update % every == 0)

    def _work(self, number: int, epoch: int, units: np.ndarray) -> Work:
        dealt = sampler.micro_batches(
            np.arange(len(units)), self.seconds[units], self.config.batch, processes=self.group.size
        )
        crops = self._crops(number, units)
        mine = [list(itertools.chain(*(crops[i] for i in piece))) for piece in dealt[self.group.rank]]
        used = [crop.clip for crop in itertools.chain(*crops)]
        cropped = int((self.clips.seconds[used] > self.config.data.max_seconds).sum())
        return Work(number, self.total, epoch, mine, cropped)

    def _crops(self, number: int, units: np.ndarray) -> list[list[Crop]]:
        """Of each unit its one or two clips, with their windows."""
        seed, cached = self.config.seed, self.config.data.cache is not None
        # what is cached must be the same window in every epoch
        fixed = np.random.default_rng([seed, 4]).random(len(self.clips)) if cached else None
        drawn = np.random.default_rng([seed, 3, number]).random(len(units))
        other = np.random.default_rng([seed, 5, number]).random(len(units))  # of the pairs' second clips
        crops: list[list[Crop]] = []
        for i, unit in enumerate(units.tolist()):
            pair = unit - len(self.clips)
            clips = [unit] if pair < 0 else [int(self.pairs.a[pair]), int(self.pairs.b[pair])]
            at = [drawn[i], other[i]] if fixed is None else [fixed[clip] for clip in clips]
            if pair < 0:
                crops.append([Crop(unit, float(at[0]))])
            else:
                sides = zip(clips, at, "ab", strict=True)
                crops.append([Crop(clip, float(where), pair, side) for clip, where, side in sides])
        return crops
