"""Compare clips by pairs: which of two is better, and by how much, says a model with a comparative head.

    compare("a.wav", "b.wav", model="runs/pairs/best")   # {"cmos": 0.71, "p_a": 0.66, "p_b": 0.2, "p_tie": 0.14}

A pair is asked for in both orders, and the mean is the answer: where a and b change places, the CMOS changes its sign
and nothing else. A clip is read and encoded once for all pairs that come close to one another. A model must hear a clip
at once to compare it, so one that is longer than its window is an error.
"""

import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice

import torch
from sqa_data.clip_list import ClipEntry
from sqa_data.pair_clips import ClipPair
from sqa_data.results import Row
from torch import Tensor

from sqa_model.audio import Rate
from sqa_model.errors import AudioError, ModelError
from sqa_model.inference.predictor import Clip, Models, Predictor
from sqa_model.inference.read_ahead import read_ahead
from sqa_model.network.comparison import Encoded, in_both_orders
from sqa_model.network.model import NO_COMPARISON

NAMES = ("cmos", "p_a", "p_b", "p_tie")
TOGETHER = 32  # pairs whose clips are read together
KEPT_S = 600.0  # of encoded clips that wait for further pairs: 100 MB of 768 numbers a frame


@dataclass(frozen=True)
class Comparison:
    """What the model says of one pair, or why it cannot."""

    # cmos (above 0: a is better; not clamped) and how likely a is better, b is better, neither; empty where `error` is
    metrics: dict[str, float] = field(default_factory=dict)
    duration_s: float = 0.0  # of both clips
    warnings: tuple[str, ...] = ()  # "code: clip a: what was found"
    error: str | None = None


@dataclass
class _Heard:
    """A clip that was read and, unless there is an `error`, encoded."""

    source: Clip  # kept, so that no other object gets its id
    duration_s: float = 0.0
    warnings: tuple[str, ...] = ()
    error: str | None = None
    frames: Tensor | None = None  # (frames, dim)


def compare(
    a: Clip,
    b: Clip,
    model: Models,
    sample_rate: Rate | None = None,
    *,
    device: str = "auto",
    dtype: str = "auto",
    channel: int | None = None,
) -> dict[str, float]:
    """Which of two clips is better.

    Args:
        a, b: as `predict` takes a clip.
        model: a model with a comparative head, a folder, or a Hub id.
        sample_rate: Hz of arrays and tensors.
        device, dtype, channel: see `Predictor`.

    Returns: `cmos`, the comparison mean opinion score (ITU-T P.800, Annex E: -3 to 3, which is no bound here), above 0
    where a is better; `p_a`, `p_b` and `p_tie`, how likely a is better, b is better, and neither.

    Raises: AudioError where a clip cannot be compared, ModelError where the model cannot compare.
    """
    comparer = Comparer(Predictor(model, device=device, dtype=dtype, channel=channel))
    (found,) = comparer.stream([(a, b)], sample_rate)
    if found.error is not None:
        raise AudioError(found.error)
    return found.metrics


class Comparer:
    """A predictor that compares: pairs of clips in, a `Comparison` each out.

    Raises: ModelError unless it is of one model, with a comparative head.
    """

    def __init__(self, predictor: Predictor) -> None:
        if len(predictor.models) != 1:
            raise ModelError(f"pairs are compared by one model, found {len(predictor.models)}")
        self.predictor, self.model = predictor, predictor.models[0]
        if self.model.comparison is None:
            raise ModelError(NO_COMPARISON)

    def rows(self, pairs: Sequence[ClipPair]) -> Generator[Row, None, None]:
        """The row of results of each pair."""
        with closing(self.stream((pair.a, pair.b) for pair in pairs)) as answers:
            for pair, found in zip(pairs, answers, strict=True):
                row: Row = {"sample_id": pair.sample_id}
                if pair.corpus is not None:
                    row["corpus"] = pair.corpus
                row |= {"a": pair.pair.a, "b": pair.pair.b}
                if found.error is None:
                    row["metrics"] = found.metrics
                else:
                    row["error"] = found.error
                row |= {"duration": round(found.duration_s, 4), "model": self.predictor.mark}
                if found.warnings:
                    row["warnings"] = list(found.warnings)
                yield row

    def stream(
        self, pairs: Iterable[tuple[Clip, Clip]], sample_rate: Rate | None = None
    ) -> Generator[Comparison, None, None]:
        """Compare pairs as they come, in their order; one that cannot be gives a `Comparison` with `error`."""
        heard: dict[object, _Heard] = {}  # the oldest first
        coming = iter(pairs)
        while some := list(islice(coming, TOGETHER)):
            self._hear([clip for pair in some for clip in pair], sample_rate, heard)
            yield from self._compared([(heard[_key(a)], heard[_key(b)]) for a, b in some])
            kept_s = sum(clip.duration_s for clip in heard.values())
            for key in list(heard):
                if kept_s > KEPT_S:
                    kept_s -= heard.pop(key).duration_s

    def _hear(self, clips: Sequence[Clip], sample_rate: Rate | None, heard: dict[object, _Heard]) -> None:
        """Read and encode those of the clips that are not in `heard`, and put them there."""
        new = {_key(clip): clip for clip in clips if _key(clip) not in heard}
        jobs = read_ahead(
            new.values(),
            lambda clip: self.predictor.read(clip, sample_rate),
            lambda job: job.duration_s,
            self.predictor.workers,
        )
        waiting: list[tuple[_Heard, Tensor]] = []
        for (key, source), job in zip(new.items(), jobs, strict=True):
            heard[key] = clip = _Heard(source, job.duration_s, job.warnings, job.error)
            if clip.error is None and job.looks[0].main > 1:
                longest = self.predictor.window_s or self.model.config.window_s
                clip.error = (
                    f"{clip.duration_s:.1f} s are longer than the {longest:g} s that the model hears at once; compare "
                    "shorter pieces, or set a longer window"
                )
            if clip.error is None:
                waiting.append((clip, job.looks[0].samples))
            if sum(other.duration_s for other, _ in waiting) >= self.predictor.batch_seconds:
                self._encode(waiting)
                waiting = []
        self._encode(waiting)

    @torch.inference_mode()
    def _encode(self, clips: Sequence[tuple[_Heard, Tensor]]) -> None:
        """Encode clips together and note what came of each."""
        if clips:
            frames, lengths = self.model.encode([wave.to(self.predictor.device) for _, wave in clips])
            for (clip, _), piece in zip(clips, frames.split(lengths), strict=True):
                clip.frames = piece

    @torch.inference_mode()
    def _compared(self, pairs: Sequence[tuple[_Heard, _Heard]]) -> Iterator[Comparison]:
        """What comes of pairs whose clips were heard."""
        clips = {id(clip): clip for pair in pairs for clip in pair if clip.frames is not None}
        place = {key: i for i, key in enumerate(clips)}
        asked = [
            (place[id(a)], place[id(b)]) for a, b in pairs if a.frames is not None and b.frames is not None
        ]
        answers: Iterator[list[float]] = iter(())
        if asked:
            frames = [clip.frames for clip in clips.values() if clip.frames is not None]
            encoded = Encoded(torch.cat(frames), [len(piece) for piece in frames])
            found = in_both_orders(lambda both: self.model.compare(encoded, both), asked)
            answers = iter(torch.cat([found.cmos[:, None], found.probabilities], 1).double().tolist())
        for a, b in pairs:
            duration_s = a.duration_s + b.duration_s
            sides = (("a", a), ("b", b))
            if wrong := [f"clip {side}: {clip.error}" for side, clip in sides if clip.error is not None]:
                yield Comparison(duration_s=duration_s, error="; ".join(wrong))
                continue
            warnings = tuple(_of_side(text, side) for side, clip in sides for text in clip.warnings)
            values = next(answers)
            if not all(map(torch.isfinite, torch.tensor(values, device="cpu"))):
                yield Comparison({}, duration_s, warnings, error="the model's answer is not finite")
            else:
                yield Comparison(dict(zip(NAMES, values, strict=True)), duration_s, warnings)


def _of_side(text: str, side: str) -> str:
    """A warning of one clip as one of its pair.

    >>> _of_side("short: 0.2 s", "b")
    'short: clip b: 0.2 s'
    """
    code, _, found = text.partition(": ")
    return f"{code}: clip {side}: {found}"


def _key(clip: Clip) -> object:
    """What tells clips apart: where they are read from, or which object they are."""
    if isinstance(clip, ClipEntry):
        return clip.audio_path
    return os.fspath(clip) if isinstance(clip, str | os.PathLike) else id(clip)
