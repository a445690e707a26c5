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
from sqa_model.training.processes import Processes


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
        self.share = sampler.shares(clips.corpus, clips.corpora, config.data.weights, config.data.balance)
        self.seconds = np.minimum(clips.seconds, config.data.max_seconds)
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
        """The clips of each update of one epoch."""
        seed = self.config.seed
        chosen = sampler.epoch_clips(self.clips.corpus, self.share, seed=seed, epoch=number)
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
        """Whether the development set is measured then, and the run saved."""
        every = self.config.eval.every
        return update == self.total or (update in self.ends if every is None else update % every == 0)

    def _work(self, number: int, epoch: int, clips: np.ndarray) -> Work:
        seed = self.config.seed
        if self.config.data.cache is None:
            crop_at = np.random.default_rng([seed, 3, number]).random(len(clips))
        else:  # what is cached must be the same window in every epoch
            crop_at = np.random.default_rng([seed, 4]).random(len(self.clips))[clips]
        dealt = sampler.micro_batches(
            np.arange(len(clips)), self.seconds[clips], self.config.batch, processes=self.group.size
        )
        mine = [[Crop(int(clips[i]), float(crop_at[i])) for i in piece] for piece in dealt[self.group.rank]]
        cropped = int((self.clips.seconds[clips] > self.config.data.max_seconds).sum())
        return Work(number, self.total, epoch, mine, cropped)
