"""What an update reads: audio, or a frozen backbone's cached states, by threads that stay ahead of the loop."""

import itertools
import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from sqa_data.audio import AudioError, hear, look, mixed
from torch import Tensor

from sqa_model.audio import resample
from sqa_model.errors import ModelError
from sqa_model.network.model import Features, MosModel
from sqa_model.training.cache import FeatureCache
from sqa_model.training.clips import Clips
from sqa_model.training.config import TrainConfig
from sqa_model.training.plan import Crop, Work

Job = TypeVar("Job")
Part = TypeVar("Part")
Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class MicroBatch:
    """Clips that go through the model together, and what was read of each."""

    crops: list[Crop]
    items: list[Tensor]  # audio (samples,) or cached states (layers, frames, dim)

    @property
    def clips(self) -> list[int]:
        """Their indices."""
        return [crop.clip for crop in self.crops]

    @property
    def pairs(self) -> list["PairHere"]:
        """The pairs of which both clips are here."""
        return [
            PairHere(a.pair, i, i + 1)
            for i, (a, b) in enumerate(itertools.pairwise(self.crops))
            if a.pair is not None and a.pair == b.pair and a.side + b.side == "ab"
        ]


class PairHere(NamedTuple):
    """A pair in a micro-batch."""

    pair: int  # its index
    a: int  # where its clips stand among the crops
    b: int


def read_audio(path: str, sample_rate: int, *, most_s: float = math.inf, crop_at: float = 0.5) -> Tensor:
    """A clip as mono fp32 at `sample_rate`, (samples,); of one longer than `most_s`, that long a window.

    `crop_at` in [0, 1] says where the window lies, from the start of the file to its end. Only the window is
    decoded where the format can seek. Raises `AudioError`, which names the file.
    """
    start_s = 0.0
    if math.isfinite(most_s):
        info = look(path)
        rate, wanted = info.sample_rate, int(most_s * info.sample_rate)
        if info.frames > wanted:
            start_s, most_s = int(crop_at * (info.frames - wanted)) / rate, wanted / rate
    heard = hear(path, start_s=start_s, most_s=most_s)
    return resample(torch.from_numpy(mixed(heard.samples)), heard.sample_rate, sample_rate)


def read_ahead(
    jobs: Iterable[Job],
    parts: Callable[[Job], Sequence[Part]],
    load: Callable[[Part], Loaded],
    *,
    workers: int,
    ahead: int,
) -> Generator[tuple[Job, list[Loaded | AudioError]], None, None]:
    """Each job with `[load(part) for part in parts(job)]`, in order, computed by threads up to `ahead` jobs early.

    Reading and decoding release the interpreter lock, so threads do it, without copies and without pickling.
    An `AudioError` is returned in its place; any other error is raised where its job is yielded.
    """

    def attempt(part: Part) -> Loaded | AudioError:
        try:
            return load(part)
        except AudioError as error:
            return error

    with ThreadPoolExecutor(workers, thread_name_prefix="read") as pool:
        waiting: deque[tuple[Job, list[Future[Loaded | AudioError]]]] = deque()
        try:
            for job in jobs:
                waiting.append((job, [pool.submit(attempt, part) for part in parts(job)]))
                if len(waiting) > ahead:
                    first, futures = waiting.popleft()
                    yield first, [future.result() for future in futures]
            while waiting:
                first, futures = waiting.popleft()
                yield first, [future.result() for future in futures]
        finally:  # the caller stopped early or an error is on its way: do not read what nobody wants
            for future in (f for _, futures in waiting for f in futures):
                future.cancel()


class ClipReader:
    """Reads the clips of one set: audio or, once they are known, a frozen backbone's states."""

    def __init__(self, config: TrainConfig, clips: Clips, model: MosModel, most_s: float) -> None:
        self.config, self.clips, self.model, self.most_s = config, clips, model, most_s
        self.unreadable: dict[str, None] = {}  # what could not be read so far, in order, each once
        self.cache = None
        if config.data.cache is not None:
            key = {"precision": config.precision, "windows": config.seed if math.isfinite(most_s) else None}
            self.cache = FeatureCache(Path(config.data.cache), clips, model, most_s, key)

    def batches(self, works: Iterable[Work]) -> Generator[tuple[Work, list[MicroBatch]], None, None]:
        """Every work and its micro-batches, read ahead; unreadable clips drop out, and so does what then is empty."""
        run = self.config.run
        reading = read_ahead(works, Work.crops, self.load, workers=run.workers, ahead=run.ahead)
        with closing(reading):
            for work, loaded in reading:
                self.unreadable |= {str(item): None for item in loaded if isinstance(item, AudioError)}
                items = iter(loaded)
                paired = [[(crop, next(items)) for crop in micro_batch] for micro_batch in work.micro_batches]
                good = [[(c, item) for c, item in pairs if isinstance(item, Tensor)] for pairs in paired]
                yield (
                    work,
                    [MicroBatch([c for c, _ in pairs], [i for _, i in pairs]) for pairs in good if pairs],
                )

    def load(self, crop: Crop) -> Tensor:
        """States (layers, frames, dim) if they are cached, else audio (samples,). Runs in reader threads."""
        states = self.cache.get(crop.clip) if self.cache else None
        return self._audio(crop) if states is None else states

    def features(self, batch: MicroBatch, dtype: torch.dtype) -> Features:
        """The backbone's states of clips that `load` gave as audio or as states.

        A micro-batch is computed whole if any of its clips is not cached yet, so its numbers are the same whenever a
        run was killed and the cache was filled.
        """
        device, items = self.model.mix.device, batch.items
        if any(item.dim() == 1 for item in items):
            waves = [
                self._audio(c) if item.dim() == 3 else item
                for c, item in zip(batch.crops, items, strict=True)
            ]
            with torch.no_grad():
                computed = self.model.features([wave.to(device, non_blocking=True) for wave in waves])
            if self.cache is None:
                return computed
            parts = zip(batch.crops, computed.split(), strict=True)
            items = [self.cache.put(crop.clip, part.states) for crop, part in parts]
        with torch.autocast(device.type, enabled=False):  # which on CPUs refuses half precision
            states = torch.cat(items, dim=1).to(device, non_blocking=True).to(dtype)
        return Features(states, [item.shape[1] for item in items])

    def close(self) -> None:
        """Put the cache on the disk."""
        if self.cache:
            self.cache.flush()

    def _audio(self, crop: Crop) -> Tensor:
        path = self.clips.paths[crop.clip]
        return read_audio(path, self.model.config.sample_rate, most_s=self.most_s, crop_at=crop.crop_at)


def check_unreadable(lines: Sequence[str], most: int, name: str) -> None:
    """Raise `ModelError` with the first `lines` if there are more than `most` of them."""
    if len(lines) > most:
        shown = "".join(f"\n  {line}" for line in list(dict.fromkeys(lines))[:20])
        raise ModelError(
            f"{name}: {len(lines)} audio files could not be read, more than data.max_unreadable = {most}:"
            f"{shown}\nrestore them, take them out of the manifests, or raise data.max_unreadable"
        )
