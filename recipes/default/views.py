"""Clips with what the teacher said of them, and the views of a clip that must all be judged as the whole clip is."""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy.optimize import isotonic_regression
from sqa_data import read_manifest
from torch import Tensor

HOP = 640  # samples of a frame: 40 ms
FRAMES = 4096  # of a batch; always as many, because oneDNN compiles its kernels anew for every shape
RATE = 16_000
WINDOW = 122_880  # samples that the teacher hears at once


def label(samples: int, scores: Sequence[float]) -> float:
    """What a clip is worth by the teacher's scores of it, padded and repeated (`ask.py`).

    The fuller its window, the more the padded clip counts: .9 at 6 s, .5 at 2 s.
    """
    padded, repeated = scores
    share = (min(samples, WINDOW) / WINDOW) ** 0.5
    return share * padded + (1 - share) * repeated


def add_teachers(parser: argparse.ArgumentParser) -> None:
    """Options for other teachers beside Distill-MOS, whose labels `sqa-cli data annotate` has made."""
    parser.add_argument("--clips", type=Path, help="the folder of clips, with its *.labelled.jsonl")
    parser.add_argument(
        "--teacher",
        type=_shared,
        action="append",
        default=[],
        metavar="METRIC=SHARE",
        help="such as nisqa_mos=.5",
    )


def _shared(text: str) -> tuple[str, float]:
    metric, _, share = text.partition("=")
    return metric, float(share)


def blended(labels: np.ndarray, others: np.ndarray, share: float) -> np.ndarray:
    """(clips,) labels of which `share` is what others say at the mean and the deviation of the labels.

    >>> blended(np.array([1.0, 3.0]), np.array([0.2, 0.8]), 0.5)
    array([1., 3.])
    """
    said = ~np.isnan(others)
    alike = (others - others[said].mean()) / others[said].std() * labels[said].std() + labels[said].mean()
    return np.where(said, (1 - share) * labels + share * alike, labels)


class View(NamedTuple):
    """A stretch of a clip, between stretches of faint noise."""

    clip: int
    start: int  # frames
    frames: int  # of the clip
    before: int = 0  # frames of noise
    after: int = 0
    noise_db: float = -60.0  # against the clip
    sign: float = 1.0
    whole: bool = True  # nothing was cut to fill the batch, so the clip's label holds

    @property
    def length(self) -> int:
        """Frames in all."""
        return self.before + self.frames + self.after


class Clips:
    """Clips and what the teacher said of them, memory-mapped from the files of `ask.py`.

    `teachers`: labels of `sqa-cli data annotate` that count beside it, with their shares of the whole; they are in
    the *.labelled.jsonl of the folders of `clips`.
    """

    def __init__(
        self, folders: Sequence[Path], clips: Path | None = None, teachers: Mapping[str, float] | None = None
    ) -> None:
        self._places: list[tuple[np.ndarray, np.ndarray]] = []  # (samples,), (2, frames, 200)
        self.told: list[dict[str, Any]] = []
        for name in sorted(name for folder in folders for name in folder.glob("*.json")):
            pcm, states = (
                np.load(name.with_suffix(f".{kind}.npy"), mmap_mode="r") for kind in ("pcm", "states")
            )
            sample = frame = 0
            for told in json.loads(name.read_text()):
                length, frames = told["samples"], -(-told["samples"] // HOP)
                self._places.append((pcm[sample : sample + length], states[:, frame : frame + frames]))
                self.told.append(told | {"set": name.parent.name})
                sample, frame = sample + length, frame + frames
        self.frames = [states.shape[1] for _, states in self._places]
        labels = np.array([label(told["samples"], told["scores"]) for told in self.told])
        for metric, share in (teachers or {}).items():
            labels = blended(labels, self._labels_of(metric, clips), share)
        self.ladders = self._ladders()
        for rungs in self.ladders:  # the harder, the worse; what the teacher says against that is its noise
            labels[rungs] = isotonic_regression(labels[rungs], increasing=False).x
        self.labels = torch.tensor(labels, dtype=torch.float32)

    def __len__(self) -> int:
        return len(self._places)

    def _labels_of(self, metric: str, clips: Path | None) -> np.ndarray:
        """(clips,) what another teacher said, NaN where it said nothing."""
        if clips is None:
            raise ValueError("labels of other teachers need the folder of the clips")
        found: dict[tuple[str, str], float] = {}
        for name in sorted({told["set"] for told in self.told}):
            folder, _, split = name.rpartition("-")
            for row in read_manifest(clips / folder / f"{split}.labelled.jsonl"):
                found[name, row.sample_id] = row.metrics.get(metric, np.nan)
        if np.isnan([*found.values()]).all():
            raise ValueError(f"{clips}: no clip has the label {metric}; make it by sqa-cli data annotate")
        return np.array([found.get((told["set"], told["id"]), np.nan) for told in self.told])

    def _ladders(self) -> list[list[int]]:
        """The clips of every ladder, from mildest to hardest."""
        of = defaultdict[tuple[object, object], list[int]](list)
        for i, told in enumerate(self.told):
            if told["ladder"]:
                of[told["set"], told["ladder"]].append(i)
        return [
            sorted(rungs, key=lambda i: int(self.told[i]["id"].rpartition("-")[2])) for rungs in of.values()
        ]

    def wave(self, view: View, random: np.random.Generator) -> Tensor:
        """(samples,) of a view."""
        pcm = self._places[view.clip][0][view.start * HOP : (view.start + view.frames) * HOP]
        wave = pcm.astype(np.float32) / 32767 * view.sign
        if view.before or view.after:
            level = np.sqrt(np.square(wave).mean() + 1e-10) * 10 ** (view.noise_db / 20)
            padded = random.standard_normal(view.length * HOP, dtype=np.float32) * np.float32(level)
            padded[view.before * HOP :][: len(wave)] += wave
            wave = padded
        return torch.from_numpy(wave)

    def states(self, view: View) -> Tensor:
        """What the teacher said of the frames of a view that are the clip's, (2, frames, 200)."""
        return torch.from_numpy(
            self._places[view.clip][1][:, view.start : view.start + view.frames].astype(np.float32)
        )

    def batches(self, random: np.random.Generator) -> Iterator[list[View]]:
        """Every clip whole and in another view, ladders together, in a random order; the last view fills the batch."""
        together = {rungs[0]: rungs for rungs in self.ladders}
        later = {i for rungs in self.ladders for i in rungs[1:]}
        batch: list[View] = []
        room = FRAMES
        for first in random.permutation(len(self)).tolist():
            if first in later:
                continue
            for i in together.get(first, [first]):
                for view in (View(i, 0, self.frames[i]), self.other_view(i, random)):
                    if room >= view.length:
                        batch.append(view)
                    else:
                        before = min(view.before, room - 1)
                        frames = min(view.frames, room - before)
                        after = room - before - frames
                        batch.append(view._replace(frames=frames, before=before, after=after, whole=False))
                    room -= batch[-1].length
                    if room == 0:
                        yield batch
                        batch, room = [], FRAMES

    def other_view(self, i: int, random: np.random.Generator) -> View:
        """A crop of 1 to 4 s, or the clip between faint noise, or the clip upside down."""
        frames, sign = self.frames[i], float(random.choice([-1, 1]))
        which = random.random()
        if which < 0.55:
            length = min(frames, int(np.exp(random.uniform(np.log(20), np.log(110)))))
            start = int(random.integers(frames - length + 1))
            return View(i, start, length, sign=sign)
        if which < 0.85:
            before, after = (int(random.integers(1, 50)) * int(random.random() < 0.6) for _ in range(2))
            return View(i, 0, frames, before, after, float(random.uniform(-80, -45)), sign)
        return View(i, 0, frames, sign=-1.0)
