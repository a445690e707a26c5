"""Score speech: `predict` for one call, `Predictor` to load once and score many.

    predict("speech.wav")                                # {"mos": 3.87, ...}
    predict(["a.wav", "b.flac"])                         # [{...}, {...}]
    predict(samples, sample_rate=48_000, model="folder or Hub id")
    predict("speech.wav", model=["a", "b"])              # several as one, see `ensemble`

Clips are packed, not padded, so a score does not depend on what it is computed with. Clips longer than a
window are cut into equal overlapping windows; a clip's score is the mean of its windows' scores, each
weighted by the time nearest to its middle.
"""

import os
import warnings
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, TypedDict, Unpack, overload

import numpy as np
import torch
from sqa_data.clip_list import ClipEntry
from torch import Tensor

from sqa_model.audio import Layout, Rate, Samples, Speech, load_at_rates
from sqa_model.errors import AudioError, ModelError
from sqa_model.inference.ensemble import Ensemble, Model, combined
from sqa_model.inference.looks import Batch, Job, Look
from sqa_model.inference.options import check_options
from sqa_model.inference.precision import pick_device
from sqa_model.inference.read_ahead import read_ahead
from sqa_model.inference.warned import Warned
from sqa_model.inference.windows import at_other_rate, cut
from sqa_model.network.model import MosModel

Scores = dict[str, float]
Clip = Speech | ClipEntry
Models = Model | Sequence[Model]


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
    model: Models | None = None,
    sample_rate: Rate | None = None,
    *,
    layout: Literal["clips"],
    **options: Unpack[_RowOptions],
) -> list[Scores]: ...
@overload
def predict(  # type: ignore[overload-overlap]  # a str is many str, too
    x: Clip, model: Models | None = None, sample_rate: Rate | None = None, **options: Unpack[_Options]
) -> Scores: ...
@overload
def predict(
    x: Iterable[Clip],
    model: Models | None = None,
    sample_rate: Rate | None = None,
    **options: Unpack[_Options],
) -> list[Scores]: ...
def predict(
    x: Clip | Iterable[Clip],
    model: Models | None = None,
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
            "default-1"; None is the newest. A list of them scores as one: the mean of each head, and `NAME_spread`, the
            standard deviation over the models.
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
            "default-1"; None is the newest. A list of them scores as one, see `ensemble`; each clip is read once.
        config: the model's configuration, where that is not beside its weights; of one model alone.
        device: "cpu", "cuda", "cuda:1"; "auto" takes CUDA where there is one.
        dtype: "float32", "bfloat16"; "auto" takes bfloat16 on processors made for it, and only for models whose
            scores it changes by at most 0.5 % of each head's range (0.02 MOS), which a probe of speech decides; for
            several, only if that holds for each.
        channel: which channel of multichannel audio, from 0; None averages them.
        window_s: longest piece that a model sees at once; None is what its configuration says, 30 s as a
            rule. Longer clips are cut into windows, which can move a score by some hundredths from one look at all.
        timeline_s: also score every stretch of so many seconds, for a quality-over-time curve.
        batch_seconds: audio that goes through the model together; None suits the device.
        workers: threads that read and resample.

    Raises: ModelError for arguments that cannot be, CheckpointError where the model cannot be loaded.
    """

    def __init__(
        self,
        model: Models | None = None,
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
        models = _as_models(model)
        check_options(
            models=[m for m in models if not isinstance(m, MosModel)],
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
        found = Ensemble(models, self.device, dtype, config=config)
        self.models, self.names = found.models, found.names
        self.dtype, self.fingerprint = found.dtype, found.fingerprint
        # two models of one rate hear the same samples
        self.rates = list(dict.fromkeys(m.config.sample_rate for m in self.models))
        self.channel = channel
        self.window_s = window_s
        self.timeline_s = timeline_s
        self.batch_seconds = batch_seconds or (20.0 if self.device.type == "cpu" else 400.0)
        self.workers = workers

    @property
    def mark(self) -> str:
        """What rows say of the model: which weights, and in which precision."""
        return f"{self.fingerprint}/{self.dtype}"

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
    ) -> Generator[Prediction, None, None]:
        """Score clips as they come, in their order; an unreadable one gives a Prediction with `error`.

        `sources` may be an endless generator: no more than a batch and some minutes of audio are held at a time. It may
        be an array of two axes with `layout="clips"`; with "channels" the layout is that of each clip.
        """
        sources = _as_clips(sources, layout)
        layout = "channels" if layout == "channels" else None

        def read(source: Clip) -> Job:
            return self.read(source, sample_rate, layout)

        def seconds(job: Job) -> float:
            return job.duration_s * len(self.rates) if job.looks else 0.0

        waiting: deque[Job] = deque()
        batches = [Batch(model, self.device) for model in self.models]
        for job in read_ahead(sources, read, seconds, self.workers):
            waiting.append(job)
            for batch, look in zip(batches, job.looks, strict=False):
                for window in look.windows:
                    batch.add(look, window)
                    if batch.seconds >= self.batch_seconds:
                        batch.score()
            while waiting and waiting[0].is_done:
                yield self._prediction(waiting.popleft())
        for batch in batches:
            batch.score()
        yield from map(self._prediction, waiting)

    def read(self, source: Clip, sample_rate: Rate | None = None, layout: Layout | None = None) -> Job:
        """One clip, cut into windows for each model."""
        speech = source.audio_path if isinstance(source, ClipEntry) else source
        try:
            clips = load_at_rates(speech, sample_rate, self.rates, channel=self.channel, layout=layout)
        except AudioError as error:
            return Job(error=str(error))
        at_rate = dict(zip(self.rates, clips, strict=True))
        # the highest rate is the hardest to fill
        clip = at_rate[max(self.rates)]
        if clip.silence:
            return Job(clip.duration_s, error=f"the clip is {clip.silence}; there is nothing to score")
        rate, length = self.rates[0], len(clips[0].samples)
        timeline = cut(length, round(self.timeline_s * rate)) if self.timeline_s else []
        looks = []
        for config in (model.config for model in self.models):
            samples = at_rate[config.sample_rate].samples
            windows = cut(len(samples), round((self.window_s or config.window_s) * config.sample_rate))
            spans = at_other_rate(timeline, rate, config.sample_rate, len(samples))
            looks.append(Look(samples, windows + spans, len(windows)))
        return Job(clip.duration_s, clip.warnings, looks)

    def _prediction(self, job: Job) -> Prediction:
        """The result of a clip whose windows are all scored."""
        if job.error is not None:
            return Prediction({}, job.duration_s, error=job.error)
        outcomes = [
            look.outcome(model.config.names) for model, look in zip(self.models, job.looks, strict=True)
        ]
        bad = dict.fromkeys(name for _, names in outcomes for name in names)
        if bad:
            return Prediction(
                {}, job.duration_s, job.warnings, error=f"the model's score is not finite: {', '.join(bad)}"
            )
        metrics, *over_time = (combined(said) for said in zip(*(rows for rows, _ in outcomes), strict=True))
        spans, rate = job.looks[0].stretches(), self.models[0].config.sample_rate
        timeline = (
            Span(span.start / rate, span.stop / rate, values)
            for span, values in zip(spans, over_time, strict=True)
        )
        most = max(look.main for look in job.looks)
        return Prediction(metrics, job.duration_s, job.warnings, tuple(timeline), windows=most)


def _as_models(model: Models | None) -> list[Model | None]:
    """One model or several, as several."""
    if isinstance(model, str | os.PathLike | MosModel) or model is None:
        return [model]
    return list(model)


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
