"""Speech of any kind in, one mono fp32 waveform at the model's rate out, with warnings about what may mislead a score.

Rules, the same for every source:

- files are heard by `sqa_data.audio`; integers are scaled to -1..1 by their type's range; floats are taken as they
  are, never normalised in level
- channels are averaged, or one is picked (`channel`)
- other sampling rates are resampled as torchaudio does by default, with a windowed sinc
- NaN, infinity and zero samples are errors, and nothing scores silence; what is only suspicious is a warning
"""

import functools
import glob
import io
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal

import numpy as np
import torch
import torch.nn.functional as F
from sqa_data import audio as files
from torch import Tensor

from sqa_model.errors import AudioError

Samples = np.ndarray | Tensor
Rate = int | float
Layout = Literal["clips", "channels"]
# also: bytes of a file; (samples, rate); {"array": samples, "sampling_rate": rate} as Hugging Face datasets have it
Speech = (
    str
    | os.PathLike[str]
    | BinaryIO
    | Samples
    | bytes
    | bytearray
    | tuple[Samples, Rate]
    | Mapping[str, object]
)


@dataclass(frozen=True)
class Waveform:
    """One clip, ready for the model."""

    samples: Tensor  # (samples,) float32, mono, at the model's rate
    duration_s: float  # of the original
    sample_rate: int  # Hz, of the original
    warnings: tuple[str, ...] = ()  # "code: what was found"
    silence: str = ""  # why there is nothing to score


def load_audio(
    speech: Speech,
    sample_rate: Rate | None = None,
    *,
    rate: int = 16_000,
    channel: int | None = None,
    layout: Layout | None = None,
) -> Waveform:
    """Read, mix down and resample one clip.

    Args:
        speech: path, file object, bytes of a file; or samples as a NumPy array or tensor on any device: (samples,),
            (1, samples), (samples, 1), or several channels, of which `layout` or `channel` must tell.
        sample_rate: Hz; needed with samples, not allowed with files (they say it themselves).
        rate: Hz wanted.
        channel: which channel to take, from 0; None averages them.
        layout: "channels" says that the shorter axis of two is the channels.

    Raises: AudioError, which says what was found.

    >>> load_audio(np.zeros((2, 8000), np.int16), 8000, layout="channels").samples.shape
    torch.Size([16000])
    """
    (clip,) = load_at_rates(speech, sample_rate, [rate], channel=channel, layout=layout)
    return clip


def load_at_rates(
    speech: Speech,
    sample_rate: Rate | None,
    rates: Sequence[int],
    *,
    channel: int | None = None,
    layout: Layout | None = None,
) -> list[Waveform]:
    """One clip at each of `rates` (Hz), read and mixed down once; see `load_audio`."""
    speech, sample_rate = _with_rate(speech, sample_rate)
    facts: tuple[files.Fact, ...] = ()
    if isinstance(speech, np.ndarray | Tensor):
        if sample_rate is None:
            raise AudioError("samples need a sample_rate, such as predict(samples, sample_rate=16000)")
        found = _as_rate(sample_rate)
        samples = _from_samples(speech, layout, one=channel is not None)
    elif isinstance(speech, str | os.PathLike) or hasattr(speech, "read"):
        if sample_rate is not None:
            raise AudioError("sample_rate is for samples; a file says its own")
        heard = _from_file(speech)  # type: ignore[arg-type]
        samples, found, facts = torch.from_numpy(heard.samples), heard.sample_rate, heard.facts
    else:
        raise AudioError(
            f"cannot read speech from {type(speech).__name__}; expected a path, file object, bytes, array or tensor"
        )
    if channel is not None:
        if not 0 <= channel < samples.shape[1]:
            raise AudioError(
                f"there is no channel {channel}; the clip has {samples.shape[1]}, counted from 0"
            )
        samples = samples[:, channel : channel + 1]
    plain = samples.detach().cpu().numpy()
    mono = (
        samples.mean(1) if samples.requires_grad else torch.from_numpy(files.mixed(plain)).to(samples.device)
    )
    of_signal = files.signal_facts(plain, found)
    others = tuple(map(str, [*facts, *of_signal]))
    silence = files.silence(mono.detach().cpu().numpy(), of_signal)
    return [
        Waveform(
            resample(mono, found, rate),
            len(mono) / found,
            found,
            (*_about_rate(found, rate), *others),
            silence,
        )
        for rate in rates
    ]


def _with_rate(speech: Speech, sample_rate: Rate | None) -> tuple[Speech, Rate | None]:
    """Samples that come with their rate, and bytes, as what they stand for."""
    if isinstance(speech, bytes | bytearray | memoryview):
        return io.BytesIO(speech), sample_rate
    samples: Any
    own: Any
    if isinstance(speech, tuple) and len(speech) == 2:
        samples, own = speech[::-1] if isinstance(speech[0], int | float) else speech
    elif isinstance(speech, Mapping) and "sampling_rate" in speech and "array" in speech:
        samples, own = speech["array"], speech["sampling_rate"]
    elif isinstance(speech, Mapping):
        raise AudioError(
            f"found a mapping with {', '.join(map(repr, speech)) or 'nothing'}; expected one with 'array' and "
            "'sampling_rate', as Hugging Face datasets have it, or a path, array or tensor"
        )
    else:
        return speech, sample_rate
    if sample_rate is not None and sample_rate != own:
        raise AudioError(
            f"the samples' own rate is {own!r:.50}, sample_rate is {sample_rate}; expected one rate"
        )
    return np.asarray(samples) if isinstance(samples, list) else samples, own


def _as_rate(rate: Any) -> int:
    """A sampling rate as a whole number of Hz."""
    low, high = files.RATES
    is_number = isinstance(rate, int | float | np.integer | np.floating) and not isinstance(rate, bool)
    if not is_number or not low <= rate <= high or rate != int(rate):
        raise AudioError(f"sampling rate is {rate!r:.50}; expected a whole number of {low:,} to {high:,} Hz")
    return int(rate)


def _from_file(source: str | os.PathLike[str] | BinaryIO) -> files.Heard:
    try:
        return files.hear(source)
    except files.AudioError as error:
        path = os.fspath(source) if isinstance(source, str | os.PathLike) else ""
        many = os.path.isdir(path) or (glob.has_magic(path) and not os.path.exists(path))  # noqa: PTH110, PTH112
        remedy = "; for many clips name each file, as sqa_data.clip_list.list_clips does" if many else ""
        raise AudioError(f"{error}{remedy}") from error


def _from_samples(samples: Samples, layout: Layout | None, *, one: bool) -> Tensor:
    """Samples of an array or tensor as (samples, channels) fp32; a float tensor keeps its gradient.

    one: whether one channel is going to be picked, which says that there are channels.
    """
    x = samples if isinstance(samples, Tensor) else _tensor(samples)
    if x.dim() == 1 or (x.dim() == 2 and 1 in x.shape):
        x = x.reshape(-1, 1)
    elif x.dim() == 2 and (layout == "channels" or one):
        x = x if x.shape[0] > x.shape[1] else x.t()
    elif x.dim() == 2:
        raise AudioError(
            f"samples have the shape {tuple(x.shape)}: one clip of several channels, or several clips? "
            'Pass layout="channels" (or channel=0) for one clip, layout="clips" for as many as there are rows'
        )
    else:
        raise AudioError(
            f"samples have {x.dim()} axes, shape {tuple(x.shape)}; expected (samples,) or two axes"
        )
    if x.numel() == 0:
        raise AudioError("no samples; the clip is empty")
    if x.dtype == torch.uint8:
        x = (x.float() - 128) / 128
    elif x.dtype in (torch.int16, torch.int32):
        x = x.double() / (1 << (torch.iinfo(x.dtype).bits - 1))
    elif not x.is_floating_point():
        raise AudioError(f"samples are {x.dtype}; expected floats in -1..1, int16, int32 or uint8")
    peak = max(abs(end.item()) for end in torch.aminmax(x.detach()))
    if not peak < files.LOUDEST:  # true of NaN too
        bad = x.numel() - int(x.isfinite().sum())
        if bad:
            raise AudioError(f"{bad} of {x.numel()} samples are NaN or infinite")
        raise AudioError(f"samples reach {peak:.3g}; full scale is 1")
    return x.float()


def _tensor(samples: np.ndarray) -> Tensor:
    if isinstance(samples, np.ma.MaskedArray):
        raise AudioError("samples are a masked array; fill the masked ones, or cut them out")
    if samples.dtype.kind not in "fiu":
        raise AudioError(f"samples are {samples.dtype}; expected floats in -1..1, int16, int32 or uint8")
    if samples.dtype.kind == "f" and samples.dtype.itemsize > 8:
        samples = samples.astype(np.float64)
    native = np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder("="))
    if native.dtype.kind == "u" and native.dtype.itemsize > 1:
        raise AudioError(f"samples are {samples.dtype}; expected floats in -1..1, int16, int32 or uint8")
    return torch.from_numpy(native if native.flags.writeable else native.copy())


def _about_rate(found: int, rate: int) -> list[str]:
    """What about the rate may mislead a score."""
    if found >= rate:
        return []
    return [f"low_rate: {found} Hz, below the model's {rate} Hz: the upper band is empty"]


# --- resampling: torchaudio's default filter, a Hann-windowed sinc, without its compiled library ---

ZEROS = 6  # zero crossings of the sinc on each side
ROLLOFF = 0.99  # where the filter cuts, of the lower Nyquist frequency
MOST_WEIGHTS = (
    1 << 21
)  # of a table of filters; beyond, such as 44,101 -> 16,000 Hz, each is computed when needed
AT_ONCE = 1 << 13  # samples out whose filters are then in memory at a time


def resample(samples: Tensor, found: int, wanted: int) -> Tensor:
    """(samples,) at another rate: ceil(samples * wanted / found) of them; differentiable.

    The result is that of `torchaudio.functional.resample` with its defaults.

    >>> resample(torch.zeros(48_000), 48_000, 16_000).shape
    torch.Size([16000])
    """
    if found == wanted:
        return samples
    common = math.gcd(found, wanted)
    found, wanted = found // common, wanted // common
    length = -(-len(samples) * wanted // found)
    width = math.ceil(ZEROS * found / (min(found, wanted) * ROLLOFF))
    padded = F.pad(samples, (width, width + found))
    if wanted * (2 * width + found) > MOST_WEIGHTS:
        return _resample_by_sample(padded, found, wanted, width, length)
    # copied: nothing that a caller does can reach the table
    filters = torch.from_numpy(_filters(found, wanted, width).copy()).to(samples.device, samples.dtype)
    # (1, wanted, periods): each period of `found` samples in gives `wanted` samples out
    out = F.conv1d(padded[None, None], filters[:, None], stride=found)
    return out[0].t().flatten()[:length]


def _resample_by_sample(padded: Tensor, found: int, wanted: int, width: int, length: int) -> Tensor:
    """As `resample`, one filter a sample out: slower, but the memory does not grow with the rates."""
    taps = np.arange(2 * width + 1)
    pieces = []
    for start in range(0, length, AT_ONCE):
        places = (
            np.arange(start, min(start + AT_ONCE, length))[:, None] * found
        )  # in samples in, times `wanted`
        first = places // wanted
        weights = _windowed_sinc((taps - width) - (places - first * wanted) / wanted, found, wanted)
        windows = padded[torch.from_numpy(first + taps).to(padded.device)]  # (samples out, taps)
        pieces.append((windows * torch.from_numpy(weights).to(windows)).sum(1))
    return torch.cat(pieces) if pieces else padded[:0]


@functools.lru_cache(maxsize=32)
def _filters(found: int, wanted: int, width: int) -> np.ndarray:
    """(wanted, 2 width + found) float32: the weights of a period's samples in, for each of its samples out."""
    # torchaudio rounds these places to float32, and its scores are the ones to keep
    shifts = (np.arange(wanted, dtype=np.float32) / np.float32(wanted)).astype(np.float64) * found
    places = np.arange(-width, width + found, dtype=np.float64) - shifts[:, None]
    return _windowed_sinc(places, found, wanted).astype(np.float32)


def _windowed_sinc(places: np.ndarray, found: int, wanted: int) -> np.ndarray:
    """The filter, at places in samples in from its middle; float64."""
    cut_off = min(found, wanted) * ROLLOFF / found  # of the rate in
    t = np.clip(places * cut_off, -ZEROS, ZEROS)
    weights: np.ndarray = np.sinc(t) * np.cos(t * (math.pi / 2 / ZEROS)) ** 2 * cut_off
    return weights
