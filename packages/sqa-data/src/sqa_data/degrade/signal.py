"""The physics that kinds of degradation are made of: levels, spectra, noise, rooms, codecs, packets, suppressors.

Arrays in, arrays out: mono float64 samples at `RATE`, full scale = 1; spectra are (frames, bins).
"""

import functools
import io
import math
from typing import Any

import numpy as np
import scipy.fft
import scipy.ndimage
import scipy.signal
import scipy.special
import soundfile as sf

from sqa_data.errors import DataError

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


# ---- what befalls speech ---------------------------------------------------------------------------


def add_noise(speech: Samples, noise: Samples, snr_db: float) -> Samples:
    """Speech plus noise at a signal-to-noise ratio measured over active speech, in dB.

    >>> rng = np.random.default_rng(0)
    >>> speech, noise = rng.standard_normal(16000), rng.standard_normal(16000)
    >>> mixed = add_noise(speech, noise, 10.0)
    >>> bool(abs(10 * np.log10(np.mean(speech**2) / np.mean((mixed - speech) ** 2)) - 10) < 0.01)
    True
    """
    power = float(np.mean(noise**2))
    if power == 0:
        return speech.copy()
    return speech + noise * math.sqrt(active_power(speech) / power / 10 ** (snr_db / 10))


def reverberate(speech: Samples, rt60_s: float, direct_db: float, rng: np.random.Generator) -> Samples:
    """Speech in a room: early reflections and Polack's exponentially decaying noise tail (Polack 1988).

    `rt60_s`: time to fall by 60 dB (shorter at high frequencies, as air and walls do); `direct_db`:
    direct-to-reverberant energy ratio. The direct sound stays at time zero, so the dry speech is its
    reference.
    """
    length = int(min(rt60_s * 1.2, 2.0) * RATE)
    time = np.arange(length) / RATE
    tail = np.zeros(length)
    for low, high, share in ((60, 700, 1.1), (700, 2500, 1.0), (2500, 7600, 0.65)):
        noise = scipy.signal.sosfilt(band(low, high), rng.standard_normal(length))
        tail += noise * np.exp(-6.9078 * time / (rt60_s * share))
    onset = int(rng.uniform(0.002, 0.012) * RATE)
    tail = np.concatenate([np.zeros(onset), tail])[:length]
    for _ in range(6):  # early reflections
        at = int(rng.uniform(0.001, 0.05) * RATE)
        tail[at] += rng.choice((-1, 1)) * rng.uniform(0.3, 1.0) * np.abs(tail).max()
    tail *= math.sqrt(10 ** (-direct_db / 10) / max(float(np.sum(tail**2)), 1e-12))
    tail[0] = 1.0
    wet: Samples = scipy.signal.fftconvolve(speech, tail)
    return wet[: len(speech)]


def clip_peaks(speech: Samples, fraction: float) -> Samples:
    """Cut the waveform so that `fraction` of its samples (0 to 1) sit at the rails, then restore its power."""
    limit = np.quantile(np.abs(speech), 1 - fraction)
    cut = np.clip(speech, -limit, limit) if limit > 0 else speech
    return same_power(cut, speech)


def encode(
    speech: Samples, container: str, subtype: str, compression: float | None = None, rate: int = RATE
) -> tuple[Samples, float]:
    """Through a libsndfile codec and back, aligned to the input; with the bit rate it took (kbit/s).

    `compression`: 0 (best) to 1 (smallest), libsndfile's compression level (MP3 at a constant bit rate).
    """
    if subtype not in sf.available_subtypes() or container not in sf.available_formats():
        raise DataError(
            f"this libsndfile ({sf.__libsndfile_version__}) has no {container}/{subtype}; "
            "pip install soundfile>=0.13"
        )
    peak = max(1.0, float(np.abs(speech).max()) / 0.99)
    at_rate = speech / peak if rate == RATE else resample(speech / peak, RATE, rate)
    options: dict[str, Any] = {}
    if compression is not None:
        options = {"compression_level": compression}
        if subtype == "MPEG_LAYER_III":
            options["bitrate_mode"] = "CONSTANT"
    buffer = io.BytesIO()
    sf.write(buffer, at_rate, rate, format=container, subtype=subtype, **options)
    kbps = buffer.tell() * 8 / (len(at_rate) / rate) / 1000
    buffer.seek(0)
    decoded = sf.read(buffer, dtype="float64")[0]
    if rate != RATE:
        decoded = resample(decoded, rate, RATE)
    return align(decoded * peak, speech), kbps


def drop_packets(
    speech: Samples, loss_rate: float, burst: float, concealment: str, rng: np.random.Generator
) -> Samples:
    """20 ms packets lost by a Gilbert model, and what the receiver plays instead.

    `loss_rate`: expected fraction lost; `burst`: mean length of a run of losses, in packets; `concealment`:
    "zero" (silence), "repeat" (the last packet again, fading), "pitch" (the last pitch periods repeated and
    faded, the idea of ITU-T G.711 Appendix I).
    """
    size = RATE // 50
    out = speech.copy()
    recover = 1 / burst
    lose = min(1.0, loss_rate * recover / max(1 - loss_rate, 1e-6))
    lost, run = False, 0
    for start in range(size, len(speech), size):
        lost = rng.random() < (1 - recover if lost else lose)
        run = run + 1 if lost else 0
        if not lost:
            continue
        stop = min(start + size, len(speech))
        if concealment == "zero":
            out[start:stop] = 0
            continue
        history = out[max(0, start - 3 * size) : start]
        period = size if concealment == "repeat" else pitch_period(history)
        fill = np.resize(history[-period:], stop - start)
        out[start:stop] = fill * max(0.0, 1 - 0.25 * (run - 1)) * (0.98 if run == 1 else 0.9)
    return out


def suppress(noisy: Samples, method: str, strength: float) -> Samples:
    """A noise suppressor of the textbooks, with the artefacts it is known for.

    `method`: "subtraction" (power spectral subtraction, Berouti et al. 1979: musical noise), "wiener"
    (decision-directed Wiener filter, Scalart and Filho 1996), "logmmse" (Ephraim and Malah 1985), "gate"
    (hard mask: speech torn to islands). `strength`: over-estimation of the noise, 1 = honest,
    more = speech is cut too.
    The noise spectrum is the 20 % quantile of each bin over time, scaled to its mean: no knowledge of the
    clean speech.
    """
    size, hop = 512, 256
    spectrum = stft(noisy, size, hop)  # (frames, bins)
    power = np.abs(spectrum) ** 2 + 1e-12
    smooth = scipy.ndimage.uniform_filter1d(power, 5, axis=0)
    noise = np.quantile(smooth, 0.2, axis=0) * 1.5 * strength + 1e-12
    posterior = power / noise
    if method == "subtraction":
        gain = np.sqrt(np.maximum(1 - 1 / posterior, 0.01 / strength))
    elif method == "gate":
        gain = np.where(posterior > 4.0, 1.0, 0.02)
    elif method in ("wiener", "logmmse"):
        gain = np.empty_like(power)
        before = np.ones(power.shape[1])
        for frame, ratio in enumerate(posterior):  # decision-directed prior SNR
            prior = np.maximum(0.98 * before + 0.02 * np.maximum(ratio - 1, 0), 10**-2.5)
            g = prior / (1 + prior)
            if method == "logmmse":
                g = g * np.exp(0.5 * scipy.special.exp1(np.maximum(g * ratio, 1e-8)))
            gain[frame] = np.minimum(g, 1)
            before = gain[frame] ** 2 * ratio
    else:
        raise ValueError(f"unknown suppressor {method!r}; expected subtraction, wiener, logmmse or gate")
    return istft(spectrum * gain, size, hop, len(noisy))


def companded(samples: Samples, bits: int) -> Samples:
    """µ-law (ITU-T G.711's curve, µ = 255) at any number of bits."""
    peak = max(float(np.abs(samples).max()), 1e-9)
    curve = np.sign(samples) * np.log1p(255 * np.abs(samples) / peak) / np.log(256)
    steps = 2 ** (bits - 1)
    curve = np.round(curve * steps) / steps
    heard: Samples = np.sign(curve) * np.expm1(np.abs(curve) * np.log(256)) / 255 * peak
    return heard


def pitch_period(history: Samples) -> int:
    """The lag (66 to 400 Hz) where the recent past resembles itself most; 20 ms where it is too short."""
    low, high = RATE // 400, min(RATE // 66, len(history) // 2)
    if high <= low:
        return max(1, len(history))
    tail = history[-high:]
    scores = [
        float(tail @ history[len(history) - high - lag : len(history) - lag]) for lag in range(low, high)
    ]
    return low + int(np.argmax(scores))
