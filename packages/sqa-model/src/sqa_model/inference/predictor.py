"""Score speech: `predict` for one call, `Predictor` to load once and score many.

    predict("speech.wav")                                # {"mos": 3.87, ...}
    predict(["a.wav", "b.flac"])                         # [{...}, {...}]
    predict(samples, sample_rate=48_000, model="folder or Hub id")

Clips are packed, not padded, so a score does not depend on what it is computed with. Clips longer than a
window are cut into equal overlapping windows; a clip's score is the mean of its windows' scores, each
weighted by the time nearest to its middle.
"""

import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypedDict, Unpack, overload

import numpy as np
import torch
from sqa_data.clip_list import ClipEntry
from torch import Tensor

from sqa_model.audio import Layout, Rate, Samples, Speech, Waveform, load_audio
from sqa_model.checkpoint.ours import load
from sqa_model.errors import AudioError, ModelError
from sqa_model.inference.options import check_options
from sqa_model.inference.precision import pick_device, prepare
from sqa_model.inference.read_ahead import read_ahead
from sqa_model.inference.warned import Warned
from sqa_model.inference.windows import cut, nearest_parts
from sqa_model.network.model import MosModel

Scores = dict[str, float]
Clip = Speech | ClipEntry
Model = str | os.PathLike[str] | MosModel


class InputWarning(UserWarning):
    """A clip can be scored, but something about it may mislead the score."""


@dataclass(frozen=True)
class Span:
    """The scores of one stretch of a clip."""

    start_s: float
    end_s: float
    metrics: dict[str, float]


@dataclass(frozen=True)
class Prediction:
    """What the model says of one clip, or why it cannot."""

    metrics: dict[str, float] = field(default_factory=dict)  # head -> value; empty where `error` is set
    duration_s: float = 0.0
    warnings: tuple[str, ...] = ()  # "code: what was found"
    timeline: tuple[Span, ...] = ()  # quality over time, if asked for
    windows: int = 1  # pieces that the model looked at, of a clip longer than its window
    error: str | None = None


class _RowOptions(TypedDict, total=False):
    """What may be said where each row of an array is a clip."""

    device: str
    dtype: str


class _Options(_RowOptions, total=False):
    """What may be said elsewhere."""

    layout: Literal["channels"] | None
    channel: int | None


@overload
def predict(
    x: Samples,
    model: Model | None = None,
    sample_rate: Rate | None = None,
    *,
    layout: Literal["clips"],
    **options: Unpack[_RowOptions],
) -> list[Scores]: ...
@overload
def predict(  # type: ignore[overload-overlap]  # a str is many str, too
    x: Clip, model: Model | None = None, sample_rate: Rate | None = None, **options: Unpack[_Options]
) -> Scores: ...
@overload
def predict(
    x: Iterable[Clip],
    model: Model | None = None,
    sample_rate: Rate | None = None,
    **options: Unpack[_Options],
) -> list[Scores]: ...
def predict(
    x: Clip | Iterable[Clip],
    model: Model | None = None,
    sample_rate: Rate | None = None,
    *,
    layout: Layout | None = None,
    device: str = "auto",
    dtype: str = "auto",
    channel: int | None = None,
) -> Scores | list[Scores]:
    """Score one clip or many.

    Args:
        x: a path, file object, bytes of a file, NumPy array or tensor, (samples, rate), or Hugging Face's
            {"array", "sampling_rate"}; or a list or iterator of these.
        model: a model, a folder, a Hugging Face Hub id, or an edition of the model in the package, such as
            "default-1"; None is the newest.
        sample_rate: Hz of arrays and tensors.
        layout: what an array or tensor of two axes is, if neither is 1 long: "clips" (one a row; a list comes back)
            or "channels" of one clip (the shorter axis). Without it such an array is an error, unless `channel` is set.
        device, dtype, channel: see `Predictor`.

    Returns: metric name -> value for one clip; a list of these for many.

    Raises: AudioError where a clip cannot be scored, CheckpointError where the model cannot be loaded, ModelError for
    other arguments that cannot be; all are ModelError. Warns with InputWarning where a score may mislead, once for
    each thing, with a count.
    """
    if isinstance(model, int | float):
        raise ModelError(
            f"model is {model}, a number; for a sampling rate say predict(x, sample_rate={model})"
        )
    predictor = Predictor(model, device=device, dtype=dtype, channel=channel)
    return predictor._answer(x, sample_rate, layout)


class Predictor:
    """A loaded model that scores clips; one may be used from several threads at a time.

    Args:
        model: a model, a folder, a Hugging Face Hub id, or an edition of the model in the package, such as
            "default-1"; None is the newest.
        config: the model's configuration, where that is not beside its weights.
        device: "cpu", "cuda", "cuda:1"; "auto" takes CUDA where there is one.
        dtype: "float32", "bfloat16"; "auto" takes bfloat16 on processors made for it, and only for models whose
            scores it changes by at most 0.5 % of each head's range (0.02 MOS), which a probe of speech decides.
        channel: which channel of multichannel audio, from 0; None averages them.
        window_s: longest piece that the model sees at once; None is what the model's configuration says, 30 s as a
            rule. Longer clips are cut into windows, which can move a score by some hundredths from one look at all.
        timeline_s: also score every stretch of so many seconds, for a quality-over-time curve.
        batch_seconds: audio that goes through the model together; None suits the device.
        workers: threads that read and resample.

    Raises: ModelError for arguments that cannot be, CheckpointError where the model cannot be loaded.
    """

    def __init__(
        self,
        model: Model | None = None,
        *,
        config: str | os.PathLike[str] | None = None,
        device: str = "auto",
        dtype: str = "auto",
        channel: int | None = None,
        window_s: float | None = None,
        timeline_s: float | None = None,
        batch_seconds: float | None = None,
        workers: int = 2,
    ) -> None:
        check_options(
            model=None if isinstance(model, MosModel) else model,
            config=config,
            device=device,
            dtype=dtype,
            channel=channel,
            window_s=window_s,
            timeline_s=timeline_s,
            batch_seconds=batch_seconds,
            workers=workers,
        )
        _survive_forks()
        self.device = pick_device(device)
        loaded = model if isinstance(model, MosModel) else load(model, config=config)
        self.dtype, self.model = prepare(loaded, self.device, dtype)
        self.fingerprint = loaded.fingerprint()
        self.channel = channel
        self.window_s = window_s or loaded.config.window_s
        self.timeline_s = timeline_s
        self.batch_seconds = batch_seconds or (20.0 if self.device.type == "cpu" else 400.0)
        self.workers = workers

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics it predicts."""
        return self.model.config.names

    @overload
    def __call__(
        self, x: Samples, sample_rate: Rate | None = None, *, layout: Literal["clips"]
    ) -> list[Scores]: ...
    @overload
    def __call__(  # type: ignore[overload-overlap]  # a str is many str, too
        self, x: Clip, sample_rate: Rate | None = None, *, layout: Literal["channels"] | None = None
    ) -> Scores: ...
    @overload
    def __call__(
        self, x: Iterable[Clip], sample_rate: Rate | None = None, *, layout: Literal["channels"] | None = None
    ) -> list[Scores]: ...
    def __call__(
        self, x: Clip | Iterable[Clip], sample_rate: Rate | None = None, *, layout: Layout | None = None
    ) -> Scores | list[Scores]:
        """Score one clip (-> dict) or many (-> list of dicts), as `predict` does."""
        return self._answer(x, sample_rate, layout)

    def _answer(
        self, x: Clip | Iterable[Clip], sample_rate: Rate | None, layout: Layout | None
    ) -> Scores | list[Scores]:
        """What a call does, without its types of one or many."""
        one = _is_one(x, layout)
        scores = []
        warned = Warned()
        for i, prediction in enumerate(self.stream([x] if one else x, sample_rate, layout=layout)):  # type: ignore[arg-type, list-item]
            name = "" if one else f"clip {i}"
            if prediction.error is not None:
                raise AudioError(f"{name}: {prediction.error}" if name else prediction.error)
            warned.add(name, prediction.warnings)
            scores.append(prediction.metrics)
        for line in warned.lines():
            warnings.warn(line, InputWarning, stacklevel=3)
        return scores[0] if one else scores

    def stream(
        self, sources: Iterable[Clip], sample_rate: Rate | None = None, *, layout: Layout | None = None
    ) -> Iterator[Prediction]:
        """Score clips as they come, in their order; an unreadable one gives a Prediction with `error`.

        `sources` may be an endless generator: no more than a batch and some minutes of audio are held at a time. It may
        be an array of two axes with `layout="clips"`; with "channels" the layout is that of each clip.
        """
        sources = _as_clips(sources, layout)
        layout = "channels" if layout == "channels" else None

        def read(source: Clip) -> _Job:
            return self._read(source, sample_rate, layout)

        def seconds(job: _Job) -> float:
            return len(job.audio.samples) / self.model.config.sample_rate if job.audio else 0.0

        waiting: deque[_Job] = deque()
        batch: list[tuple[_Job, slice]] = []
        filled = 0.0  # seconds
        for job in read_ahead(sources, read, seconds, self.workers):
            waiting.append(job)
            for window in job.windows:
                batch.append((job, window))
                filled += (window.stop - window.start) / self.model.config.sample_rate
                if filled >= self.batch_seconds:
                    self._score(batch)
                    batch, filled = [], 0.0
            while waiting and len(waiting[0].scores) == len(waiting[0].windows):
                yield self._prediction(waiting.popleft())
        if batch:
            self._score(batch)
        yield from map(self._prediction, waiting)

    def _read(self, source: Clip, sample_rate: Rate | None, layout: Layout | None) -> "_Job":
        """One clip, cut into windows."""
        speech = source.audio_path if isinstance(source, ClipEntry) else source
        rate = self.model.config.sample_rate
        try:
            audio = load_audio(speech, sample_rate, rate=rate, channel=self.channel, layout=layout)
        except AudioError as error:
            return _Job(error=str(error))
        if audio.silence:
            return _Job(audio, error=f"the clip is {audio.silence}; there is nothing to score")
        length = len(audio.samples)
        windows = cut(length, round(self.window_s * rate))
        timeline = cut(length, round(self.timeline_s * rate)) if self.timeline_s else []
        return _Job(audio, windows + timeline, len(windows))

    @torch.inference_mode()
    def _score(self, batch: "list[tuple[_Job, slice]]") -> None:
        """Run the model over windows of clips and note their scores."""
        waves = [job.audio.samples[window].to(self.device) for job, window in batch if job.audio]
        for (job, _), scores in zip(batch, self.model(waves).double().cpu().numpy(), strict=True):
            job.scores.append(scores)

    def _prediction(self, job: "_Job") -> Prediction:
        """The result of a clip whose windows are all scored."""
        if job.audio is None or job.error is not None:
            return Prediction({}, job.audio.duration_s if job.audio else 0.0, error=job.error)
        length, rate = len(job.audio.samples), self.model.config.sample_rate
        nearest = nearest_parts(job.windows[: job.main], length)
        weights = np.array([(share.stop - share.start) / length for share in nearest])
        scores = weights @ np.stack(job.scores[: job.main])
        seconds, warned = job.audio.duration_s, job.audio.warnings
        if not np.isfinite(job.scores).all():
            bad = [
                name for name, value in self._named(scores).items() if not np.isfinite(value)
            ] or self.names
            return Prediction({}, seconds, warned, error=f"the model's score is not finite: {', '.join(bad)}")
        spans = nearest_parts(job.windows[job.main :], length)
        timeline = (
            Span(span.start / rate, span.stop / rate, self._named(values))
            for span, values in zip(spans, job.scores[job.main :], strict=True)
        )
        return Prediction(self._named(scores), seconds, warned, tuple(timeline), windows=job.main)

    def _named(self, scores: np.ndarray) -> Scores:
        return dict(zip(self.names, map(float, scores), strict=True))


@dataclass
class _Job:
    """A clip on its way: `windows` to score, of which the first `main` make the clip's score."""

    audio: Waveform | None = None
    windows: list[slice] = field(default_factory=list)
    main: int = 0
    error: str | None = None
    scores: list[np.ndarray] = field(default_factory=list)  # of the windows so far, (heads,) each


def _is_one(x: object, layout: Layout | None) -> bool:
    """Whether `x` is one clip; else it is many."""
    if isinstance(x, np.ndarray | Tensor):
        return layout != "clips"
    if isinstance(x, tuple) and len(x) == 2 and any(isinstance(part, int | float) for part in x):
        return True
    return isinstance(x, str | os.PathLike | bytes | bytearray | Mapping | ClipEntry) or hasattr(x, "read")


def _as_clips(sources: object, layout: Layout | None) -> Iterable[Clip]:
    """Many clips as an iterable of clips; ModelError for what is something else."""
    if layout not in (None, "clips", "channels"):
        raise ModelError(f"layout is {layout!r:.50}; expected 'clips', 'channels' or None")
    if layout == "clips":
        if isinstance(sources, np.ndarray | Tensor) and sources.ndim == 2:
            return iter(sources)
        raise ModelError('layout="clips" is for one array or tensor of the shape (clips, samples)')
    if _is_one(sources, layout):
        raise ModelError(
            f"stream takes many clips, found one {type(sources).__name__}; pass a list of clips"
            + (', or layout="clips" for an array with one a row' if hasattr(sources, "ndim") else "")
        )
    if not isinstance(sources, Iterable):
        name = type(sources).__name__
        raise AudioError(
            f"cannot read speech from {name}; expected a path, file object, bytes, array or tensor"
        )
    if isinstance(sources, list | tuple) and sources and isinstance(sources[0], int | float | np.number):
        raise AudioError(
            "found a list of numbers; for the samples of one clip pass an array: np.array(samples)"
        )
    return sources


@cache
def _survive_forks() -> None:
    """Let forked processes compute with one thread: those of the pool that torch keeps do not exist there."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
