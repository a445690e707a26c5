"""Any speech in, one mono float32 waveform at the model's rate out, with warnings about what may mislead a
score.

Rules, the same for every source:

- integers are scaled to -1..1 by their type's range; floats are taken as they are, never normalised in level
- channels are averaged, or one is picked (`channel`)
- other sampling rates are resampled as torchaudio does by default, with a windowed sinc
- NaN, infinity and zero samples are errors; what is only suspicious is a warning
"""

import functools
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import torch
import torch.nn.functional as F
from torch import Tensor

from sqa_model.errors import AudioError

Source = str | os.PathLike[str] | BinaryIO | np.ndarray | Tensor

RATES = (1_000, 768_000)  # Hz: outside, the number is a mistake
SHORT = 400  # samples at 16 kHz that the encoders need: 25 ms
BLOCK = 1 << 20  # frames read at a time, so that a long multichannel file is never in memory whole


@dataclass(frozen=True)
class Clip:
    """One waveform, ready for the model."""

    samples: Tensor  # (samples,) float32, mono, at the model's rate
    duration_s: float  # of the original
    sample_rate: int  # Hz, of the original
    warnings: tuple[str, ...] = ()  # "code: what was found"


def load_audio(
    source: Source, sample_rate: int | None = None, *, rate: int = 16_000, channel: int | None = None
) -> Clip:
    """Read, mix down and resample one clip.

    Args:
        source: path, file object, or samples as a NumPy array or tensor on any device: (samples,), or two
            axes, of which the shorter one is taken as channels.
        sample_rate: Hz; needed with samples, not allowed with files (they say it themselves).
        rate: Hz wanted.
        channel: which channel to take, from 0; None averages them.

    Raises: AudioError, which says what was found.

    >>> load_audio(np.zeros((2, 8000), np.int16), 8000).samples.shape
    torch.Size([16000])
    """
    if isinstance(source, np.ndarray | Tensor):
        if sample_rate is None:
            raise AudioError("samples need a sample_rate, such as predict(samples, sample_rate=16000)")
        samples, found_rate = _from_array(source, channel), sample_rate
    elif isinstance(source, str | os.PathLike) or hasattr(source, "read"):
        if sample_rate is not None:
            raise AudioError("sample_rate is for samples; a file says its own")
        samples, found_rate = _from_file(source, channel)
    else:
        raise AudioError(
            f"cannot read speech from {type(source).__name__}; expected a path, file, array or tensor"
        )
    if not RATES[0] <= found_rate <= RATES[1]:
        raise AudioError(f"sampling rate is {found_rate} Hz; expected 8,000 to 96,000")
    if len(samples) == 0:
        raise AudioError("no samples; the clip is empty")
    bad = len(samples) - int(samples.isfinite().sum())
    if bad:
        raise AudioError(f"{bad} of {len(samples)} samples are NaN or infinite")
    warnings = tuple(_warnings(samples, found_rate, rate))
    return Clip(resample(samples, found_rate, rate), len(samples) / found_rate, found_rate, warnings)


def _from_file(source: Any, channel: int | None) -> tuple[Tensor, int]:
    """Samples (n,) and rate of an audio file or file object."""
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        if not path.exists():
            raise AudioError("no such file")
        if path.is_dir():
            raise AudioError("is a folder, not a file")
        if path.stat().st_size == 0:
            raise AudioError("the file is empty (0 bytes)")
        source = os.fspath(path)
    try:
        with soundfile.SoundFile(source) as file:
            blocks = file.blocks(BLOCK, dtype="float32", always_2d=True)
            mono = [torch.from_numpy(_mono(block.T, channel)) for block in blocks]
            return torch.cat(mono) if mono else torch.zeros(
                0, dtype=torch.float32, device="cpu"
            ), file.samplerate
    except (soundfile.SoundFileError, OSError, ValueError, TypeError) as error:
        reason = str(getattr(error, "error_string", error)).strip().rstrip(".")
        raise AudioError(f"not readable as audio: {reason}") from error


def _from_array(samples: np.ndarray | Tensor, channel: int | None) -> Tensor:
    """Samples (n,) of an array or tensor; a float tensor keeps its gradient."""
    x = samples if isinstance(samples, Tensor) else _tensor(samples)
    if x.dim() == 2:
        x = x if x.shape[0] <= x.shape[1] else x.t()  # (channels, samples)
    elif x.dim() != 1:
        raise AudioError(
            f"samples have {x.dim()} axes, shape {tuple(x.shape)}; expected (samples,) or two axes"
        )
    if x.dtype == torch.uint8:
        x = (x.float() - 128) / 128
    elif x.dtype in (torch.int16, torch.int32):
        x = x.double() / (1 << (torch.iinfo(x.dtype).bits - 1))
    elif not x.is_floating_point():
        raise AudioError(f"samples are {x.dtype}; expected floats in -1..1, int16, int32 or uint8")
    x = x.float()
    return x if x.dim() == 1 else _mono(x, channel)


def _tensor(samples: np.ndarray) -> Tensor:
    if samples.dtype.kind not in "fiu":
        raise AudioError(f"samples are {samples.dtype}; expected floats in -1..1, int16, int32 or uint8")
    if samples.dtype.kind == "f" and samples.dtype.itemsize > 8:
        samples = samples.astype(np.float64)
    native = np.ascontiguousarray(samples, dtype=samples.dtype.newbyteorder("="))
    return torch.from_numpy(native if native.flags.writeable else native.copy())


def _mono(x: Any, channel: int | None) -> Any:
    """(channels, samples) array or tensor -> (samples,)."""
    if channel is None:
        return x[0] if len(x) == 1 else x.mean(0)
    if not 0 <= channel < len(x):
        raise AudioError(f"there is no channel {channel}; the clip has {len(x)}, counted from 0")
    return x[channel]


def _warnings(samples: Tensor, found_rate: int, rate: int) -> Iterator[str]:
    """What about these samples, as they came, may mislead a score."""
    x = samples.detach()
    if found_rate < rate:
        yield f"low_rate: {found_rate} Hz, below the model's {rate} Hz: the upper band is empty"
    if len(x) * rate < SHORT * found_rate:
        yield f"short: {1000 * len(x) / found_rate:.1f} ms, padded with silence to 25 ms"
    elif len(x) < found_rate // 2:
        yield f"short: {len(x) / found_rate:.2f} s; scores of clips under 0.5 s are unreliable"
    low, high = (v.item() for v in torch.aminmax(x))
    if low == high:
        yield "silent: all samples are zero" if low == 0 else f"silent: all samples are {low:.3g}"
        return
    mean = x.mean().item()
    if abs(mean) > 0.05:
        yield f"dc: the mean is {mean:.2f}"
    level = 20 * math.log10(max((x - mean).square().mean().sqrt().item(), 1e-10))
    if level < -50:
        yield f"quiet: {level:.0f} dB of full scale"
    peak = max(-low, high)
    if peak > 1.001:
        yield f"over_range: the peak is {peak:.3g}, outside -1..1"
    flat = (x[1:].abs() >= 0.999 * peak) & (x.diff().abs() <= 1e-5 * peak)  # a sine's crest is high, not flat
    cut_off = flat.sum().item() / len(x)
    if cut_off > 1e-3:
        yield f"clipped: {100 * cut_off:.1f} % of the samples lie flat at the peak"


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
