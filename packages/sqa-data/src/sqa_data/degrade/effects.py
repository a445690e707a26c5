"""The physics that kinds of degradation are made of: noise, rooms, converters, codecs, packets, suppressors."""

import io
import math
from typing import Any

import numpy as np
import scipy.ndimage
import scipy.signal
import scipy.special
import soundfile as sf

from sqa_data.degrade.signal import (
    RATE,
    Samples,
    active_power,
    align,
    band,
    istft,
    resample,
    same_power,
    stft,
)
from sqa_data.errors import DataError


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


def mnru(speech: Samples, q_db: float, rng: np.random.Generator) -> Samples:
    """Modulated noise reference unit (ITU-T P.810): noise that follows the speech, at Q dB below it."""
    noisy: Samples = speech * (1 + 10 ** (-q_db / 20) * rng.standard_normal(len(speech)))
    return noisy


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
