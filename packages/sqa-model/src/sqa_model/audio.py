"""Any speech in, one mono float32 waveform at the model's rate out, with warnings about what may mislead a
score.

Rules, the same for every source:

- integers are scaled to -1..1 by their type's range; floats are taken as they are, never normalised in level
- channels are averaged, or one is picked (`channel`)
- other sampling rates are resampled with torchaudio's default windowed sinc
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
import torchaudio
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
            return torch.cat(mono) if mono else torch.zeros(0), file.samplerate
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


def resample(samples: Tensor, found: int, wanted: int) -> Tensor:
    """(samples,) at another rate; differentiable.

    >>> resample(torch.zeros(48_000), 48_000, 16_000).shape
    torch.Size([16000])
    """
    if found == wanted:
        return samples
    common = math.gcd(found, wanted)
    if max(found, wanted) // common > 2_000:  # such as 44,101 Hz: the filter bank would fill the memory
        length = max(1, round(len(samples) * wanted / found))
        spectrum = torch.fft.rfft(samples)[: length // 2 + 1]
        return torch.fft.irfft(spectrum, length) * (length / len(samples))
    out: Tensor = _resampler(found, wanted, samples.device)(samples)
    return out


@functools.lru_cache(maxsize=64)
def _resampler(found: int, wanted: int, device: torch.device) -> torchaudio.transforms.Resample:
    """torchaudio's resampler with its filter computed once."""
    with torch.inference_mode(False):  # kept for calls in any mode
        return torchaudio.transforms.Resample(found, wanted).to(device)
