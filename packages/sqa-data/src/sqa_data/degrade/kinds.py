"""The kinds of degradation, their table, and chains of them.

A *kind* is one function `(speech, severity, world) -> (degraded, settings)`: mono float samples at 16 kHz in, the same
number of samples out, severity from 0 (barely audible) to 1 (as bad as it gets). Adding a kind is one function and one
line in `KINDS`. `degrade` runs a chain of kinds in the order of a real path (room, noise, microphone, suppressor,
codec, network).
"""

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
import scipy.signal

from sqa_data.audio import hear
from sqa_data.degrade.signal import (
    RATE,
    Samples,
    add_noise,
    band,
    clip_peaks,
    companded,
    drop_packets,
    encode,
    fit,
    istft,
    mel_bank,
    resample,
    reverberate,
    same_power,
    set_level,
    stft,
    stretch,
    suppress,
)
from sqa_data.errors import DataError

Settings = dict[str, float | str]


@dataclass(frozen=True)
class World:
    """What a kind may draw on besides the speech: its random stream, the noises of its split, the clean speech."""

    rng: np.random.Generator
    noises: Sequence[Path]
    clean: Samples

    def noise(self, length: int) -> tuple[Samples, str]:
        """`length` samples of one noise recording (repeated from a random start if short), and its name."""
        if not self.noises:
            raise DataError("this kind of degradation needs noise recordings; give --noise FOLDER")
        path = self.noises[int(self.rng.integers(len(self.noises)))]
        return stretch(_recent_noise(path), length, self.rng), path.stem


Kind = Callable[[Samples, float, World], tuple[Samples, Settings]]


def _noise(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    noise, name = world.noise(len(x))
    snr = 40 - 45 * severity
    return add_noise(x, noise, snr), {"snr_db": snr, "noise": name}


def _coloured_noise(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    tilt = float(world.rng.uniform(0, 2))  # power falls as 1/f^tilt: white, pink, brown
    spectrum = np.fft.rfft(world.rng.standard_normal(len(x)))
    spectrum /= np.maximum(np.arange(len(spectrum)), 20 * len(x) / RATE) ** (tilt / 2)
    snr = 40 - 45 * severity
    return add_noise(x, np.fft.irfft(spectrum, len(x)), snr), {"snr_db": snr, "tilt": tilt}


def _babble(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # the clip's own talker, several times, shifted, reversed and repitched: spectrally speech, not
    # understandable
    voices = np.zeros(len(x))
    for _ in range(6):
        voice = np.roll(x, int(world.rng.integers(len(x))))[:: int(world.rng.choice((-1, 1)))]
        voices += stretch(
            resample(voice, RATE, int(world.rng.choice((14000, 15000, 17000, 18000)))), len(x), world.rng
        )
    snr = 35 - 38 * severity
    return add_noise(x, voices, snr), {"snr_db": snr}


def _hum(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    base = float(world.rng.choice((50, 60)))
    time = np.arange(len(x)) / RATE
    hum = sum(np.sin(2 * np.pi * (base * k * time + world.rng.random())) / k for k in range(1, 12))
    snr = 35 - 38 * severity
    return add_noise(x, np.asarray(hum), snr), {"snr_db": snr, "hum_hz": base}


def _reverb(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    rt60 = 0.15 + 1.45 * severity
    direct = 12 - 18 * severity
    return reverberate(x, rt60, direct, world.rng), {"rt60_s": rt60, "direct_db": direct}


def _echo(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    delay, gain = float(world.rng.uniform(0.06, 0.3)), -30 + 28 * severity
    shift = int(delay * RATE)
    late = np.concatenate([np.zeros(shift), x])[: len(x)]
    return x + late * 10 ** (gain / 20), {"delay_s": delay, "gain_db": gain}


def _clipping(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    fraction = 0.001 * 400**severity  # 0.1 % to 40 % of the samples
    return clip_peaks(x, fraction), {"clipped": fraction}


def _filter(order: int, passes: str, mildest_hz: float, hardest_hz: float) -> Kind:
    def kind(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        cutoff = mildest_hz * (hardest_hz / mildest_hz) ** severity
        sos = scipy.signal.butter(order, cutoff, passes, fs=RATE, output="sos")
        return scipy.signal.sosfiltfilt(sos, x), {"cutoff_hz": cutoff}

    return kind


def _low_rate(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    rate = round(14000 - 11000 * severity, -2)
    down = resample(x, RATE, rate)
    if world.rng.random() < 0.3:  # a careless resampler: images stay in
        at = np.floor(np.arange(len(x)) * rate / RATE).astype(int)
        return down[np.minimum(at, len(down) - 1)], {"rate_hz": rate, "images": "kept"}
    return fit(resample(down, rate, RATE), len(x)), {"rate_hz": rate, "images": "removed"}


def _telephone(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    narrow = resample(scipy.signal.sosfiltfilt(band(300, 3400), x), RATE, 8000)
    bits = round(12 - 6 * severity)
    return fit(resample(companded(narrow, bits), 8000, RATE), len(x)), {"rate_hz": 8000, "bits": bits}


def _quantise(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    bits = round(11 - 8 * severity)
    peak = max(float(np.abs(x).max()), 1e-9)
    steps = 2 ** (bits - 1)
    return np.round(x / peak * steps) / steps * peak, {"bits": bits}


def _mnru(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # modulated noise reference unit (ITU-T P.810): noise that follows the speech, at Q dB below it
    q = 40 - 40 * severity
    return x * (1 + 10 ** (-q / 20) * world.rng.standard_normal(len(x))), {"q_db": q}


def _codec(container: str, subtype: str, mildest: float, span: float) -> Kind:
    def kind(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        y, kbps = encode(x, container, subtype, mildest + span * severity)
        return y, {"kbps": kbps}

    return kind


def _gsm(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    y, passes = x, 1 + round(2 * severity)  # one tandem or several
    for _ in range(passes):
        y, kbps = encode(y, "WAV", "GSM610", rate=8000)
    return y, {"kbps": kbps, "tandem": passes}


def _mu_law(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    y, kbps = encode(set_level(x, -20 - 35 * severity), "WAV", "ULAW", rate=8000)
    return same_power(y, x), {"kbps": kbps, "level_dbfs": -20 - 35 * severity}


def _loss(concealment: str) -> Kind:
    def kind(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        rate, burst = 0.01 * 45**severity, float(world.rng.uniform(1, 3.5))  # 1 % to 45 %
        return drop_packets(x, rate, burst, concealment, world.rng), {"loss_rate": rate, "burst": burst}

    return kind


def _suppressor(method: str, hardest: float) -> Kind:
    def kind(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        return suppress(x, method, hardest**severity), {"strength": hardest**severity}

    return kind


def _neural_mask(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # what a trained mask estimator does: the ideal ratio mask in mel bands, with estimation errors that hang
    # together in time and frequency, and pushed too far as it gets harder (Wang, Narayanan and Wang 2014 for
    # the mask)
    bands, push, spread = 40, 0.7 + 1.8 * severity, 0.05 + 0.6 * severity
    mel = mel_bank(bands, 512)
    noisy = stft(x, 512, 256)
    clean = np.abs(stft(world.clean, 512, 256)) ** 2 @ mel.T
    mask = np.sqrt(np.minimum(clean / np.maximum(np.abs(noisy) ** 2 @ mel.T, 1e-10), 1.0))
    error = scipy.ndimage.gaussian_filter(world.rng.standard_normal(mask.shape), (3, 1.5), mode="wrap")
    mask = np.clip(mask**push * np.exp(spread * error / error.std()), 0.01, 1.0)
    return istft(noisy * (mask @ (mel / mel.sum(axis=0).clip(1e-3))), 512, 256, len(x)), {
        "push": push,
        "spread": spread,
    }


def _robot(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # spectra thinned to few bands and phases guessed again, as weak generative systems sound (Griffin and Lim
    # 1984)
    bands = round(128 * (18 / 128) ** severity)
    magnitude = np.abs(stft(x, 512, 128))
    mel = mel_bank(bands, 512)
    magnitude = np.sqrt(np.maximum(magnitude**2 @ mel.T @ (mel / mel.sum(axis=0).clip(1e-3)), 1e-12))
    phase = np.exp(2j * np.pi * world.rng.random(magnitude.shape))
    for _ in range(12):
        phase = stft(istft(magnitude * phase, 512, 128, len(x)), 512, 128)
        phase /= np.abs(phase) + 1e-9
    return same_power(istft(magnitude * phase, 512, 128, len(x)), x), {"bands": bands}


def _gain_jumps(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    depth = 3 + 37 * severity  # dB
    count = max(2, int(len(x) / RATE * world.rng.uniform(1, 4)))
    points = world.rng.uniform(-depth, 0, count)
    gain = np.repeat(points, math.ceil(len(x) / count))[: len(x)]
    gain = scipy.ndimage.uniform_filter1d(gain, int(0.01 * RATE))
    return x * 10 ** (gain / 20), {"depth_db": depth}


def _level(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    dbfs = -26 - 34 * severity if world.rng.random() < 0.7 else -26 + 20 * severity
    return set_level(x, dbfs), {"level_dbfs": dbfs}


# kind -> (its place in a real path: 0 room, 1 noise, 2 microphone, 3 suppressor, 4 band and codec, 5 network,
# 6 level; function)
KINDS: dict[str, tuple[int, Kind]] = {
    "reverb": (0, _reverb),
    "echo": (0, _echo),
    "noise": (1, _noise),
    "coloured-noise": (1, _coloured_noise),
    "babble": (1, _babble),
    "hum": (1, _hum),
    "clipping": (2, _clipping),
    "quantise": (2, _quantise),
    "gain-jumps": (2, _gain_jumps),
    "subtraction": (3, _suppressor("subtraction", 8)),
    "wiener": (3, _suppressor("wiener", 6)),
    "logmmse": (3, _suppressor("logmmse", 6)),
    "over-suppression": (3, _suppressor("wiener", 60)),
    "gate": (3, _suppressor("gate", 12)),
    "neural-mask": (3, _neural_mask),
    "robot": (3, _robot),
    "lowpass": (4, _filter(4, "lowpass", 7500, 800)),
    "highpass": (4, _filter(3, "highpass", 80, 2000)),
    "low-rate": (4, _low_rate),
    "telephone": (4, _telephone),
    "mnru": (4, _mnru),
    "opus": (4, _codec("OGG", "OPUS", 0.8, 0.2)),
    "mp3": (4, _codec("MP3", "MPEG_LAYER_III", 0.6, 0.37)),
    "vorbis": (4, _codec("OGG", "VORBIS", 0.5, 0.5)),
    "gsm": (4, _gsm),
    "mu-law": (4, _mu_law),
    "loss-zero": (5, _loss("zero")),
    "loss-repeat": (5, _loss("repeat")),
    "loss-pitch": (5, _loss("pitch")),
    "level": (6, _level),
}
HELD_OUT_KINDS = ("babble", "gate", "gsm", "loss-pitch")  # by default only in the test split
SUPPRESSORS = ("subtraction", "wiener", "logmmse", "over-suppression", "gate", "neural-mask")


@dataclass(frozen=True)
class Step:
    """One link of a chain: the kind and how hard (0 to 1)."""

    kind: str
    severity: float


def degrade(
    clean: Samples, chain: Sequence[Step], seed: int | Sequence[int] = 0, noises: Sequence[Path] = ()
) -> tuple[Samples, list[dict[str, Any]]]:
    """Run clean speech (mono, 16 kHz, shape (samples,)) through a chain; the same seed gives the same samples.

    Returns the degraded speech, same length, within full scale, and what each step did. Each step draws from
    its own random stream, so a change of one severity leaves the draws of the others (which noise, which
    packets) alone.

    >>> tone = 0.1 * np.sin(np.arange(16000) * 0.2)
    >>> degraded, steps = degrade(tone, [Step("lowpass", 0.0), Step("level", 0.0)])
    >>> degraded.shape, [step["kind"] for step in steps]
    ((16000,), ['lowpass', 'level'])
    """
    clean = np.asarray(clean, dtype=np.float64)
    if clean.ndim != 1 or len(clean) < RATE // 10 or not np.all(np.isfinite(clean)):
        raise DataError(
            f"degrade: expected finite mono samples, at least 0.1 s at {RATE} Hz; found shape {clean.shape}"
        )
    x, done = clean, []
    entropy = [seed] if isinstance(seed, int) else list(seed)
    for number, step in enumerate(chain):
        if step.kind not in KINDS:
            raise DataError(f"unknown degradation {step.kind!r}; known: {', '.join(KINDS)}")
        world = World(np.random.default_rng([*entropy, number]), noises, clean)
        x, settings = KINDS[step.kind][1](x, step.severity, world)
        done.append({"kind": step.kind, "severity": round(step.severity, 4), **settings})
    peak = float(np.abs(x).max())
    return np.ascontiguousarray(x * (0.99 / peak) if peak > 0.99 else x), done


def read_mono(path: str | Path) -> Samples:
    """A whole file as mono float64 at 16 kHz."""
    heard = hear(path)
    mono: Samples = heard.samples.astype(np.float64).mean(axis=1)
    return mono if heard.sample_rate == RATE else resample(mono, heard.sample_rate, RATE)


_recent_noise = functools.lru_cache(maxsize=256)(read_mono)
