"""What every degradation is made of: framing, levels, resampling, spectra, filters. Arrays in, arrays out.

Mono float64 samples at `RATE`, full scale = 1; spectra are (frames, bins).
"""

import functools
import math

import numpy as np
import scipy.fft
import scipy.signal

Samples = np.ndarray  # (samples,) float64, full scale = 1
RATE = 16000  # Hz: every kind works at this rate


def active_power(speech: Samples) -> float:
    """Mean power of the frames (20 ms) within 40 dB of the loudest: the speech without its pauses.

    A plain stand-in for the active speech level of ITU-T P.56.
    """
    power = np.mean(frames(speech, 320, 320) ** 2, axis=1)
    loud = power > power.max() * 1e-4
    return float(power[loud].mean()) if power.max() > 0 else 0.0


def set_level(speech: Samples, dbfs: float) -> Samples:
    """Scale to an active level in dB full scale; what exceeds full scale is cut, as a converter would."""
    power = active_power(speech)
    scaled = speech * math.sqrt(10 ** (dbfs / 10) / power) if power > 0 else speech
    return np.clip(scaled, -1.0, 1.0)


def same_power(samples: Samples, like: Samples) -> Samples:
    """Scale to the mean power of another signal."""
    power = float(np.mean(samples**2))
    return samples * math.sqrt(float(np.mean(like**2)) / power) if power > 0 else samples


def fit(samples: Samples, length: int) -> Samples:
    """The first `length` samples, with zeros after the end."""
    return samples[:length] if len(samples) >= length else np.pad(samples, (0, length - len(samples)))


def stretch(samples: Samples, length: int, rng: np.random.Generator) -> Samples:
    """`length` samples from a random start; short ones are repeated."""
    start = int(rng.integers(max(1, len(samples) - length + 1)))
    enough = len(samples) - start >= length
    return np.resize(samples[start:] if enough else samples, length)


def resample(speech: Samples, rate: float, to: float) -> Samples:
    """Polyphase resampling between rates in Hz (integers or simple ratios)."""
    step = math.gcd(round(rate), round(to))
    changed: Samples = scipy.signal.resample_poly(speech, round(to) // step, round(rate) // step)
    return changed


def align(decoded: Samples, speech: Samples, reach: int = 4000) -> Samples:
    """Undo a codec's delay (up to `reach` samples either way) by cross-correlation; same length as `speech`."""
    both = scipy.signal.correlate(fit(decoded, len(speech) + reach), speech, mode="full", method="fft")
    lags = np.arange(len(both)) - (len(speech) - 1)
    near = np.abs(lags) <= reach
    lag = int(lags[near][np.argmax(both[near])])
    shifted = decoded[lag:] if lag >= 0 else np.concatenate([np.zeros(-lag), decoded])
    return fit(shifted, len(speech))


@functools.lru_cache(maxsize=16)
def band(low: float, high: float) -> np.ndarray:
    """Second-order sections of a band-pass filter between two frequencies in Hz."""
    sections: np.ndarray = scipy.signal.butter(4, (low, high), "bandpass", fs=RATE, output="sos")
    return sections


def frames(samples: Samples, size: int, hop: int) -> np.ndarray:
    """(frames, size): windows of a signal, zeros after its end."""
    padded = fit(samples, max(size, math.ceil(len(samples) / hop) * hop + size - hop))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]


def stft(samples: Samples, size: int, hop: int) -> np.ndarray:
    """(frames, bins) of a sine-window STFT that `istft` inverts exactly."""
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size)
    spectrum: np.ndarray = scipy.fft.rfft(frames(np.pad(samples, (size, size)), size, hop) * window, axis=1)
    return spectrum


def istft(spectrum: np.ndarray, size: int, hop: int, length: int) -> Samples:
    """The signal of `length` samples that `stft` made this spectrum of."""
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size)
    pieces = scipy.fft.irfft(spectrum, size, axis=1) * window
    overlap = size // hop
    out = np.zeros((len(pieces) + overlap - 1) * hop)
    weight = np.zeros_like(out)
    for part in range(overlap):  # one add a part of the window instead of one a frame
        piece = slice(part * hop, (part + 1) * hop)
        span = slice(part * hop, part * hop + len(pieces) * hop)
        out[span] += pieces[:, piece].reshape(-1)
        weight[span] += np.tile(window[piece] ** 2, len(pieces))
    return fit((out / np.maximum(weight, 1e-8))[size:], length)


@functools.lru_cache(maxsize=64)
def mel_bank(bands: int, size: int) -> np.ndarray:
    """(bands, bins) triangles, evenly spaced on the mel scale of O'Shaughnessy."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), bands + 2) / 2595) - 1)
    bins = np.arange(size // 2 + 1) * RATE / size
    rise = (bins - edges[:-2, None]) / np.maximum(edges[1:-1] - edges[:-2], RATE / size)[:, None]
    fall = (edges[2:, None] - bins) / np.maximum(edges[2:] - edges[1:-1], RATE / size)[:, None]
    return np.maximum(0, np.minimum(rise, fall))
