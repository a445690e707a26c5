"""What kinds of degradation are made of: levels, spectra, filters, time.

Arrays in, arrays out: mono float64 samples with their rate in Hz, full scale = 1; spectra are (frames, bins).
"""

import functools
import math
from collections.abc import Callable

import numpy as np
import scipy.fft
import scipy.signal

from sqa_data.audio.level import active_level

Samples = np.ndarray  # (samples,) float64, full scale = 1
SILENT_DBFS = -120.0  # for files: the level of what has no speech


def level_dbfs(speech: Samples, rate: int) -> float:
    """Active speech level by ITU-T P.56 in dB full scale, at least -120.

    What P.56 finds nothing active in (clicks, steady tones far under it) has the level of all its samples.
    """
    level = active_level(speech, rate)
    if math.isfinite(level):
        return level
    power = float(np.mean(speech**2))
    return max(SILENT_DBFS, 10 * math.log10(power)) if power > 0 else SILENT_DBFS


def active_power(speech: Samples, rate: int) -> float:
    """Mean power of the speech without its pauses (ITU-T P.56); 0 of silence."""
    return 10 ** (level_dbfs(speech, rate) / 10) if speech.any() else 0.0


def set_level(speech: Samples, rate: int, dbfs: float) -> Samples:
    """Scale to an active level in dB full scale; what exceeds full scale is cut, as a converter would."""
    power = active_power(speech, rate)
    scaled = speech * math.sqrt(10 ** (dbfs / 10) / power) if power > 0 else speech
    return np.clip(scaled, -1.0, 1.0)


def same_power(samples: Samples, like: Samples) -> Samples:
    """Scale to the mean power of another signal."""
    power = float(np.mean(samples**2))
    return samples * math.sqrt(float(np.mean(like**2)) / power) if power > 0 else samples


def fit(samples: Samples, length: int) -> Samples:
    """The first `length` samples, with zeros after the end."""
    return samples[:length] if len(samples) >= length else np.pad(samples, (0, length - len(samples)))


def align(delayed: Samples, speech: Samples, reach: int) -> Samples:
    """Undo a delay of up to `reach` samples either way by cross-correlation; same length as `speech`."""
    size = scipy.fft.next_fast_len(len(speech) + 2 * reach, real=True)  # lags beyond the reach may go round
    later = scipy.fft.rfft(fit(delayed, len(speech) + reach), size)
    match = scipy.fft.irfft(later * np.conj(scipy.fft.rfft(speech, size)), size)
    lag = int(np.argmax(np.concatenate([match[size - reach :], match[: reach + 1]]))) - reach
    shifted = delayed[lag:] if lag >= 0 else np.concatenate([np.zeros(-lag), delayed])
    return fit(shifted, len(speech))


FIR_S = 0.04  # of the filters below: they follow curves to 50 Hz


def shaped(samples: Samples, rate: int, gain: Callable[[np.ndarray], np.ndarray]) -> Samples:
    """Filter by a magnitude response (Hz -> gain) of any shape, without delay: linear phase, its middle at time 0."""
    size = 2 * round(FIR_S * rate / 2) + 1
    taps = scipy.fft.irfft(gain(scipy.fft.rfftfreq(size, 1 / rate)), size)
    filtered: Samples = scipy.signal.oaconvolve(samples, scipy.fft.fftshift(taps) * np.hanning(size), "same")
    return filtered


def butterworth(hz: np.ndarray, low: float, high: float, order: int) -> np.ndarray:
    """The gain of a Butterworth high-pass and low-pass one after the other; 0 Hz or infinity for none."""
    rise = (low / np.maximum(hz, 1e-3)) ** (2 * order)
    gain: np.ndarray = 1 / np.sqrt((1 + rise) * (1 + (hz / high) ** (2 * order)))
    return gain


def frames(samples: Samples, size: int, hop: int) -> np.ndarray:
    """(frames, size): windows of a signal, zeros after its end."""
    padded = fit(samples, max(size, math.ceil(len(samples) / hop) * hop + size - hop))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]


def stft(samples: Samples, rate: int, window_s: float, hop_s: float) -> np.ndarray:
    """(frames, bins) of a sine-window STFT that `istft` inverts exactly; a window is a whole number of hops."""
    size, hop, window, _ = _windows(rate, window_s, hop_s)
    spectrum: np.ndarray = scipy.fft.rfft(frames(np.pad(samples, (size, size)), size, hop) * window, axis=1)
    return spectrum


def istft(spectrum: np.ndarray, rate: int, window_s: float, hop_s: float, length: int) -> Samples:
    """The signal of `length` samples that `stft` made this spectrum of."""
    size, hop, _, window = _windows(rate, window_s, hop_s)
    pieces = scipy.fft.irfft(spectrum, size, axis=1) * window
    overlap = size // hop
    out = np.zeros((len(pieces) + overlap - 1, hop))
    for part in range(overlap):  # one add a part of the window instead of one a frame
        out[part : part + len(pieces)] += pieces[:, part * hop : (part + 1) * hop]
    return fit(out.reshape(-1)[size:], length)


@functools.lru_cache(maxsize=16)
def _windows(rate: int, window_s: float, hop_s: float) -> tuple[int, int, np.ndarray, np.ndarray]:
    """Samples of a window and of a hop (an even number); the (size,) weights of its way there, and of its way back."""
    hop = 2 * max(1, round(hop_s * rate / 2))
    size = hop * round(window_s / hop_s)
    there = np.sin(np.pi * (np.arange(size) + 0.5) / size)
    return size, hop, there, there / np.tile(np.sum(there.reshape(-1, hop) ** 2, axis=0), size // hop)


@functools.lru_cache(maxsize=64)
def mel_bank(bands: int, size: int, rate: int) -> np.ndarray:
    """(bands, bins) triangles, evenly spaced on the mel scale of O'Shaughnessy, for spectra of `size` samples."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + rate / 2 / 700), bands + 2) / 2595) - 1)
    bins = np.arange(size // 2 + 1) * rate / size
    rise = (bins - edges[:-2, None]) / np.maximum(edges[1:-1] - edges[:-2], rate / size)[:, None]
    fall = (edges[2:, None] - bins) / np.maximum(edges[2:] - edges[1:-1], rate / size)[:, None]
    return np.maximum(0, np.minimum(rise, fall))


def pool_bands(spectrum: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """(frames, bins) -> (frames, bands): the weighted mean of each band, so that a flat spectrum stays flat."""
    pooled: np.ndarray = spectrum @ (bank / bank.sum(axis=1, keepdims=True).clip(1e-9)).T
    return pooled


def spread_bands(values: np.ndarray, bank: np.ndarray) -> np.ndarray:
    """(frames, bands) -> (frames, bins): each bin between the values of the bands around it."""
    weights = bank / bank.sum(axis=0).clip(1e-9)
    weights[:, 0], weights[:, -1] = weights[:, 1], weights[:, -2]  # triangles end there
    spread: np.ndarray = values @ weights
    return spread
