"""From manifests to waveforms: a table of clips with labels, and a reader that stays ahead of the loop."""

import glob
import math
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import soundfile
import torch
from sqa_data.labels import RANGES
from sqa_data.manifest import Utterance, iter_manifest
from torch import Tensor

from sqa_model.audio import resample
from sqa_model.errors import ModelError
from sqa_model.training.config import DataConfig

STD = "_std"  # a head with this ending is an uncertainty: no manifest labels it
SHOWN = 5  # offending lines that an error lists

Job = TypeVar("Job")
Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Clips:
    """The utterances of some manifests, by column; row i of each is clip i."""

    paths: list[str]
    sample_ids: list[str]
    system_ids: list[str | None]
    corpora: tuple[str, ...]
    corpus: np.ndarray  # (clips,) int: index into corpora
    seconds: np.ndarray  # (clips,) as the manifest says
    labels: np.ndarray  # (clips, heads) float32; NaN: no label

    def __len__(self) -> int:
        return len(self.paths)


class Unreadable(Exception):
    """An audio file that cannot be used; the message names it and says why."""


def read_clips(patterns: Sequence[str], heads: Sequence[str], data: DataConfig, *, name: str) -> Clips:
    """The clips of every manifest that the paths or globs name, each manifest once, in sorted order.

    `name` is the config field ("data.train") that errors name. Raises `ModelError` for a pattern without a
    file, an empty manifest, a head that no line labels, and (unless `data.out_of_range` says otherwise)
    labels out of range.
    """
    rows: list[Utterance] = []
    corpora: list[str] = []
    for path in _manifests(patterns, name):
        found = list(iter_manifest(path))
        if not found:
            raise ModelError(
                f"{path}: found no utterance; expected at least one line. Prepare the corpus again"
            )
        rows += found
        corpora += [row.corpus or _corpus_of(path) for row in found]
    names = tuple(sorted(set(corpora)))
    number = {corpus: i for i, corpus in enumerate(names)}
    labels = np.array([[row.metrics.get(head, math.nan) for head in heads] for row in rows], dtype=np.float32)
    labels[:, [head.endswith(STD) for head in heads]] = math.nan
    _check_present(labels, heads, rows, name)
    return Clips(
        paths=[row.audio_path for row in rows],
        sample_ids=[row.sample_id for row in rows],
        system_ids=[row.system_id for row in rows],
        corpora=names,
        corpus=np.array([number[corpus] for corpus in corpora]),
        seconds=np.array([row.duration for row in rows], dtype=np.float64),
        labels=_in_range(labels, heads, rows, data.out_of_range, name),
    )


def read_audio(path: str, sample_rate: int, *, most_s: float = math.inf, place: float = 0.5) -> Tensor:
    """A clip as mono fp32 at `sample_rate`, (samples,); of one longer than `most_s`, that long a window.

    `place` in [0, 1] says where the window lies, from the start of the file to its end. Only the window is
    decoded where the format can seek. Raises `Unreadable`.
    """
    try:
        with soundfile.SoundFile(path) as file:
            rate, length = file.samplerate, file.frames
            if math.isfinite(most_s) and length > most_s * rate:
                wanted = int(most_s * rate)
                file.seek(int(place * (length - wanted)))
            else:
                wanted = -1
            samples = file.read(wanted, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise Unreadable(f"{path}: {'no such file' if not Path(path).exists() else error}") from error
    if len(samples) == 0:
        raise Unreadable(f"{path}: holds no samples")
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(1)
    if not np.isfinite(mono).all():
        raise Unreadable(f"{path}: holds samples that are not finite numbers")
    wave = torch.from_numpy(np.ascontiguousarray(mono))
    return wave if rate == sample_rate else resample(wave, rate, sample_rate)


def read_ahead(
    jobs: Iterable[Sequence[Job]], load: Callable[[Job], Loaded], *, workers: int, ahead: int
) -> Generator[list[Loaded | Unreadable], None, None]:
    """`[load(j) for j in job]` for each job in order, computed by threads up to `ahead` jobs early.

    Reading and decoding release the interpreter lock, so threads do it, without copies and without pickling.
    An `Unreadable` is returned in its place; any other error is raised where its job is yielded.
    """

    def attempt(job: Job) -> Loaded | Unreadable:
        try:
            return load(job)
        except Unreadable as error:
            return error

    with ThreadPoolExecutor(workers, thread_name_prefix="read") as pool:
        waiting: deque[list[Future[Loaded | Unreadable]]] = deque()
        try:
            for job in jobs:
                waiting.append([pool.submit(attempt, item) for item in job])
                if len(waiting) > ahead:
                    yield [future.result() for future in waiting.popleft()]
            while waiting:
                yield [future.result() for future in waiting.popleft()]
        finally:  # the caller stopped early or an error is on its way: do not read what nobody wants
            for future in (f for job in waiting for f in job):
                future.cancel()


def _manifests(patterns: Sequence[str], name: str) -> list[str]:
    if not patterns:
        raise ModelError(
            f"{name}: found no manifest, expected at least one path or glob, data/*/train/data.jsonl"
        )
    paths: set[str] = set()
    for pattern in patterns:
        matches = [pattern] if Path(pattern).is_file() else glob.glob(pattern, recursive=True)  # noqa: PTH207  absolute patterns too
        if not matches:
            raise ModelError(f"{name}: no file matches {pattern!r}; looked from {Path.cwd()}")
        paths.update(str(Path(match)) for match in matches)
    return sorted(paths)


def _corpus_of(path: str) -> str:
    """The corpus of a manifest that does not say; the baseline has data/<corpus>/<split>/data.jsonl."""
    file = Path(path)
    return (file.resolve().parent.parent.name if file.name == "data.jsonl" else file.stem) or "unnamed"


def _check_present(labels: np.ndarray, heads: Sequence[str], rows: Sequence[Utterance], name: str) -> None:
    for column, head in enumerate(heads):
        if not head.endswith(STD) and np.isnan(labels[:, column]).all():
            known = sorted({label for row in rows for label in row.metrics})
            raise ModelError(
                f"{name}: no utterance has the label {head!r} that model.heads asks for; found: "
                f"{', '.join(known) or 'no labels'}. Leave it out of model.heads, or add it to the manifests"
            )


def _in_range(
    labels: np.ndarray, heads: Sequence[str], rows: Sequence[Utterance], out_of_range: str, name: str
) -> np.ndarray:
    low, high = np.array([RANGES.get(head, (-math.inf, math.inf)) for head in heads], dtype=np.float32).T
    outside = (labels < low) | (labels > high)  # NaN compares false
    if not outside.any():
        return labels
    if out_of_range == "mask":
        return np.where(outside, np.float32(math.nan), labels)
    if out_of_range == "clip":
        return np.clip(labels, low, high)
    wrong = [
        f"{rows[i].audio_path}: {heads[k]} is {labels[i, k]:g}, expected {low[k]:g} to {high[k]:g}"
        for i, k in np.argwhere(outside)[:SHOWN]
    ]
    raise ModelError(
        f"{name}: {int(outside.sum())} labels out of range, the first:\n  "
        + "\n  ".join(wrong)
        + '\ncorrect them, or set data.out_of_range to "mask" (ignore them) or "clip"'
    )
