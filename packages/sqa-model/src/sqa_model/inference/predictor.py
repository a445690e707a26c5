"""Score speech: `predict` for one call, `Predictor` to load once and score many.

    predict("speech.wav")                                # {"mos": 3.87, ...}
    predict(["a.wav", "b.flac"])                         # [{...}, {...}]
    predict(samples, sample_rate=48_000, model="folder or Hub id")

Clips are packed, not padded, so a score does not depend on what it is computed with. Clips longer than a
window are cut into equal overlapping windows; a clip's score is the mean of its windows' scores, each
weighted by the time nearest to its middle.
"""

import itertools
import math
import os
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sqa_data.clip_list import ClipEntry
from torch import Tensor

from sqa_model.audio import Clip, Source, load_audio
from sqa_model.checkpoint.ours import load
from sqa_model.errors import AudioError, ModelError
from sqa_model.network.model import MosModel

WINDOW_S = 30.0  # longest piece of speech that the model sees at once
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
BF16_BOUND = 0.005  # of a head's range, 0.02 MOS: what `dtype="auto"` lets bfloat16 change
AHEAD = 32  # clips read ahead of the model


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
    error: str | None = None


def predict(
    x: Any,
    model: str | os.PathLike[str] | MosModel | None = None,
    sample_rate: int | None = None,
    *,
    device: str = "auto",
    dtype: str = "auto",
    channel: int | None = None,
) -> Any:
    """Score one clip or many.

    Args:
        x: a path, file object, NumPy array or tensor; or a list or iterator of these.
        model: a model, a folder, a Hugging Face Hub id; None is the model in the package.
        sample_rate: Hz of arrays and tensors.
        device, dtype, channel: see `Predictor`.

    Returns: metric name -> value for one clip; a list of these for many.

    Raises: AudioError where a clip cannot be scored; warns with InputWarning where its score may mislead.
    """
    predictor = Predictor(model, device=device, dtype=dtype, channel=channel)
    return predictor(x, sample_rate)


class Predictor:
    """A loaded model that scores clips; one may be used from several threads at a time.

    Args:
        model: a model, a folder, a Hugging Face Hub id; None is the model in the package.
        device: "cpu", "cuda", "cuda:1"; "auto" takes CUDA where there is one.
        dtype: "float32", "bfloat16"; "auto" takes bfloat16 on processors made for it, and only where it
            changes a probe's scores by at most 0.5 % of each head's range.
        channel: which channel of multichannel audio, from 0; None averages them.
        window_s: longest piece that the model sees at once.
        timeline_s: also score every stretch of so many seconds, for a quality-over-time curve.
        batch_seconds: audio that goes through the model together; None suits the device.
        workers: threads that read and resample.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | MosModel | None = None,
        *,
        device: str = "auto",
        dtype: str = "auto",
        channel: int | None = None,
        window_s: float = WINDOW_S,
        timeline_s: float | None = None,
        batch_seconds: float | None = None,
        workers: int = 2,
    ) -> None:
        for name, value in (
            ("window_s", window_s),
            ("timeline_s", timeline_s),
            ("batch_seconds", batch_seconds),
        ):
            if value is not None and not value >= 0.5:
                raise ModelError(f"{name} is {value}; expected at least 0.5 seconds")
        self.device = pick_device(device)
        loaded = model if isinstance(model, MosModel) else load(model)
        self.dtype, self.model = prepare(loaded, self.device, dtype)
        self.fingerprint = loaded.fingerprint()
        self.channel = channel
        self.window_s = window_s
        self.timeline_s = timeline_s
        self.batch_seconds = batch_seconds or (20.0 if self.device.type == "cpu" else 400.0)
        self.workers = max(1, workers)

    @property
    def names(self) -> tuple[str, ...]:
        """The metrics it predicts."""
        return self.model.config.names

    def __call__(self, x: Any, sample_rate: int | None = None) -> Any:
        """Score one clip (-> dict) or many (-> list of dicts), as `predict` does."""
        one = isinstance(x, str | os.PathLike | np.ndarray | Tensor) or hasattr(x, "read")
        scores = []
        for i, prediction in enumerate(self.stream([x] if one else x, sample_rate)):
            name = "" if one else f"clip {i}: "
            if prediction.error is not None:
                raise AudioError(name + prediction.error)
            for text in prediction.warnings:
                warnings.warn(name + text, InputWarning, stacklevel=2)
            scores.append(prediction.metrics)
        return scores[0] if one else scores

    def stream(
        self, sources: Iterable[Source | ClipEntry], sample_rate: int | None = None
    ) -> Iterator[Prediction]:
        """Score clips as they come, in their order; an unreadable one gives a Prediction with `error`.

        `sources` may be an endless generator: no more than a batch and a few clips are held at a time.
        """
        waiting: deque[_Clip] = deque()
        batch: list[tuple[_Clip, slice]] = []
        seconds = 0.0
        for clip in self._read(sources, sample_rate):
            waiting.append(clip)
            for window in clip.windows:
                batch.append((clip, window))
                seconds += (window.stop - window.start) / self.model.config.sample_rate
                if seconds >= self.batch_seconds:
                    self._score(batch)
                    batch, seconds = [], 0.0
            while waiting and len(waiting[0].scores) == len(waiting[0].windows):
                yield self._prediction(waiting.popleft())
        if batch:
            self._score(batch)
        yield from map(self._prediction, waiting)

    def _read(self, sources: Iterable[Source | ClipEntry], sample_rate: int | None) -> "Iterator[_Clip]":
        """Clips cut into windows, in order; read by threads that keep a bounded number ahead."""
        ahead: deque[Future[_Clip]] = deque()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="sqa-read")
        try:
            for source in sources:
                ahead.append(pool.submit(self._read_one, source, sample_rate))
                while ahead and (len(ahead) >= AHEAD or ahead[0].done()):
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _read_one(self, source: Source | ClipEntry, sample_rate: int | None) -> "_Clip":
        audio = source.audio_path if isinstance(source, ClipEntry) else source
        rate = self.model.config.sample_rate
        try:
            clip = load_audio(audio, sample_rate, rate=rate, channel=self.channel)
        except AudioError as error:
            where = f"{os.fspath(audio)}: " if isinstance(audio, str | os.PathLike) else ""
            return _Clip(error=f"{where}{error}")
        length = len(clip.samples)
        windows = cut(length, round(self.window_s * rate))
        timeline = cut(length, round(self.timeline_s * rate)) if self.timeline_s else []
        return _Clip(clip, windows + timeline, len(windows))

    @torch.inference_mode()
    def _score(self, batch: "list[tuple[_Clip, slice]]") -> None:
        """Run the model over windows of clips and note their scores."""
        waves = [clip.audio.samples[window].to(self.device) for clip, window in batch if clip.audio]
        for (clip, _), scores in zip(batch, self.model(waves).double().cpu().numpy(), strict=True):
            clip.scores.append(scores)

    def _prediction(self, clip: "_Clip") -> Prediction:
        """The result of a clip whose windows are all scored."""
        if clip.audio is None:
            return Prediction(error=clip.error)
        length, rate = len(clip.audio.samples), self.model.config.sample_rate
        nearest = shares(clip.windows[: clip.main], length)
        weights = [(share.stop - share.start) / length for share in nearest]
        spans = shares(clip.windows[clip.main :], length)
        return Prediction(
            self._named(sum(w * s for w, s in zip(weights, clip.scores, strict=False))),
            clip.audio.duration_s,
            clip.audio.warnings,
            tuple(
                Span(span.start / rate, span.stop / rate, self._named(scores))
                for span, scores in zip(spans, clip.scores[clip.main :], strict=True)
            ),
        )

    def _named(self, scores: Any) -> dict[str, float]:
        return dict(zip(self.names, map(float, scores), strict=True))


@dataclass
class _Clip:
    """A clip on its way: `windows` to score, of which the first `main` make the clip's score."""

    audio: Clip | None = None
    windows: list[slice] = field(default_factory=list)
    main: int = 0
    error: str | None = None
    scores: list[np.ndarray] = field(default_factory=list)  # of the windows so far, (heads,) each


def cut(length: int, window: int) -> list[slice]:
    """Windows over `length` samples: one if it fits, else equally long, evenly spaced, overlapping by >= 1/6.

    >>> cut(100, 60)
    [slice(0, 60, None), slice(40, 100, None)]
    """
    if length <= window:
        return [slice(0, length)]
    step = window - window // 6
    count = 1 + math.ceil((length - window) / step)
    starts = [round(i * (length - window) / (count - 1)) for i in range(count)]
    return [slice(start, start + window) for start in starts]


def shares(windows: list[slice], length: int) -> list[slice]:
    """The samples that each window stands for: up to the middle of its overlaps.

    >>> shares([slice(0, 60), slice(40, 100)], 100)
    [slice(0, 50, None), slice(50, 100, None)]
    """
    middles = [(a.stop + b.start) // 2 for a, b in itertools.pairwise(windows)]
    return [slice(a, b) for a, b in itertools.pairwise([0, *middles, length])] if windows else []


def pick_device(device: str) -> torch.device:
    """The device of a name; "auto" is CUDA where there is one. Under torchrun each process takes its own."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise ModelError(f"device is {device!r}; expected auto, cpu, cuda or cuda:1") from error
    if found.type not in ("cpu", "cuda"):
        raise ModelError(f"device is {device!r}; expected auto, cpu, cuda or cuda:1")
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"device is {device!r}, but {torch.cuda.device_count()} CUDA devices are found")
    return found


def prepare(model: MosModel, device: torch.device, dtype: str) -> tuple[str, MosModel]:
    """(number format, the model in it); "auto" is bfloat16 where the processor has it and a probe allows it."""
    if dtype in DTYPES:
        return dtype, model.inference_copy(device, DTYPES[dtype])
    if dtype != "auto":
        raise ModelError(f"dtype is {dtype!r}; expected auto, {' or '.join(DTYPES)}")
    exact = model.inference_copy(device, torch.float32)
    if not _has_bfloat16(device):
        return "float32", exact
    rounded = model.inference_copy(device, torch.bfloat16)
    noise = torch.randn(16_000, generator=torch.Generator().manual_seed(0)) * 0.1
    probe = [(noise * torch.linspace(0, 1, len(noise))).to(device)]
    with torch.inference_mode():
        values = exact(probe)[0]
        changes = (rounded(probe)[0] - values).abs()
    for value, change, head in zip(values, changes, model.config.heads, strict=True):
        span = None if head.min is None or head.max is None else head.max - head.min
        if not change <= BF16_BOUND * (span or max(1.0, abs(value.item()))):
            return "float32", exact
    return "bfloat16", rounded


def _has_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return any(getattr(torch.cpu, f"_is_{name}_supported", bool)() for name in ("avx512_bf16", "amx_tile"))
