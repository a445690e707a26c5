"""Degrade clean speech in the ways that rooms, networks and enhancement systems do, with every step seeded
and named.

A *kind* is one function `(speech, severity, world) -> (degraded, settings)`: mono float samples at 16 kHz in,
the same number of samples out, severity from 0 (barely audible) to 1 (as bad as it gets). `KINDS` is the
table of them; adding a kind is one function and one line. `degrade` runs a chain of kinds in the order of a
real path (room, noise, microphone, suppressor, codec, network); `make_plan` draws a whole corpus of chains
with talkers, noises and some kinds kept apart between the splits, and `render` writes it.
"""

import csv
import functools
import hashlib
import io
import json
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from sqa_data.atomic import atomic_path
from sqa_data.errors import DataError
from sqa_data.manifest import Utterance, write_manifest

try:
    import scipy.fft
    import scipy.ndimage
    import scipy.signal
except ImportError as error:
    raise DataError("degrading needs SciPy: pip install 'sqa-data[degrade]'") from error

Samples = np.ndarray  # (samples,) float64, full scale = 1
Settings = dict[str, float | str]
RATE = 16000  # Hz: every kind works at this rate


@dataclass(frozen=True)
class World:
    """What a kind may draw on besides the speech: its random stream, the noises of its split, the clean
    speech.
    """

    rng: np.random.Generator
    noises: Sequence[Path]
    clean: Samples

    def noise(self, length: int) -> tuple[Samples, str]:
        """`length` samples of one noise recording (repeated from a random start where it is short), and its
        name.
        """
        if not self.noises:
            raise DataError("this kind of degradation needs noise recordings; give --noise FOLDER")
        path = self.noises[int(self.rng.integers(len(self.noises)))]
        return _stretch(_read_noise(path), length, self.rng), path.stem


# ---- the parts that kinds are made of ------------------------------------------------------------


def active_power(speech: Samples) -> float:
    """Mean power of the frames (20 ms) within 40 dB of the loudest: the speech without its pauses.

    A plain stand-in for the active speech level of ITU-T P.56.
    """
    frames = _frames(speech, 320, 320)
    power = np.mean(frames**2, axis=1)
    loud = power > power.max() * 1e-4
    return float(power[loud].mean()) if power.max() > 0 else 0.0


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
        band = scipy.signal.sosfilt(_band(low, high), rng.standard_normal(length))
        tail += band * np.exp(-6.9078 * time / (rt60_s * share))
    onset = int(rng.uniform(0.002, 0.012) * RATE)
    tail = np.concatenate([np.zeros(onset), tail])[:length]
    for _ in range(6):  # early reflections
        at = int(rng.uniform(0.001, 0.05) * RATE)
        tail[at] += rng.choice((-1, 1)) * rng.uniform(0.3, 1.0) * np.abs(tail).max()
    tail *= math.sqrt(10 ** (-direct_db / 10) / max(float(np.sum(tail**2)), 1e-12))
    tail[0] = 1.0
    return scipy.signal.fftconvolve(speech, tail)[: len(speech)]


def clip_peaks(speech: Samples, fraction: float) -> Samples:
    """Cut the waveform so that `fraction` of its samples (0 to 1) sit at the rails, then restore its
    power.
    """
    limit = np.quantile(np.abs(speech), 1 - fraction)
    cut = np.clip(speech, -limit, limit) if limit > 0 else speech
    return _same_power(cut, speech)


def resample(speech: Samples, rate: float, to: float) -> Samples:
    """Polyphase resampling between rates in Hz (integers or simple ratios)."""
    step = math.gcd(round(rate), round(to))
    return scipy.signal.resample_poly(speech, round(to) // step, round(rate) // step)


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
    return _align(decoded * peak, speech), kbps


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
        period = size if concealment == "repeat" else _pitch_period(history)
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
    spectrum = _stft(noisy, size, hop)  # (frames, bins)
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
                g = g * np.exp(0.5 * _exp1(g * ratio))
            gain[frame] = np.minimum(g, 1)
            before = gain[frame] ** 2 * ratio
    else:
        raise ValueError(f"unknown suppressor {method!r}; expected subtraction, wiener, logmmse or gate")
    return _istft(spectrum * gain, size, hop, len(noisy))


def mnru(speech: Samples, q_db: float, rng: np.random.Generator) -> Samples:
    """Modulated noise reference unit (ITU-T P.810): noise that follows the speech, at Q dB below it."""
    return speech * (1 + 10 ** (-q_db / 20) * rng.standard_normal(len(speech)))


def set_level(speech: Samples, dbfs: float) -> Samples:
    """Scale to an active level in dB full scale; what exceeds full scale is cut, as a converter would."""
    power = active_power(speech)
    scaled = speech * math.sqrt(10 ** (dbfs / 10) / power) if power > 0 else speech
    return np.clip(scaled, -1.0, 1.0)


# ---- the kinds -----------------------------------------------------------------------------------

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
        voices += _stretch(
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


def _lowpass(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    cutoff = 7500 * (800 / 7500) ** severity
    sos = scipy.signal.butter(4, cutoff, fs=RATE, output="sos")
    return scipy.signal.sosfiltfilt(sos, x), {"cutoff_hz": cutoff}


def _highpass(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    cutoff = 80 * (2000 / 80) ** severity
    sos = scipy.signal.butter(3, cutoff, "highpass", fs=RATE, output="sos")
    return scipy.signal.sosfiltfilt(sos, x), {"cutoff_hz": cutoff}


def _low_rate(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    rate = round(14000 - 11000 * severity, -2)
    down = resample(x, RATE, rate)
    if world.rng.random() < 0.3:  # a careless resampler: images stay in
        at = np.floor(np.arange(len(x)) * rate / RATE).astype(int)
        return down[np.minimum(at, len(down) - 1)], {"rate_hz": rate, "images": "kept"}
    return _fit(resample(down, rate, RATE), len(x)), {"rate_hz": rate, "images": "removed"}


def _telephone(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    narrow = resample(scipy.signal.sosfiltfilt(_band(300, 3400), x), RATE, 8000)
    bits = round(12 - 6 * severity)
    return _fit(resample(_companded(narrow, bits), 8000, RATE), len(x)), {"rate_hz": 8000, "bits": bits}


def _quantise(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    bits = round(11 - 8 * severity)
    peak = max(float(np.abs(x).max()), 1e-9)
    steps = 2 ** (bits - 1)
    return np.round(x / peak * steps) / steps * peak, {"bits": bits}


def _mnru(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    q = 40 - 40 * severity
    return mnru(x, q, world.rng), {"q_db": q}


def _opus(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    y, kbps = encode(x, "OGG", "OPUS", 0.8 + 0.2 * severity)
    return y, {"kbps": kbps}


def _mp3(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    y, kbps = encode(x, "MP3", "MPEG_LAYER_III", 0.6 + 0.37 * severity)
    return y, {"kbps": kbps}


def _vorbis(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    y, kbps = encode(x, "OGG", "VORBIS", 0.5 + 0.5 * severity)
    return y, {"kbps": kbps}


def _gsm(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    y, passes = x, 1 + round(2 * severity)  # one tandem or several
    for _ in range(passes):
        y, kbps = encode(y, "WAV", "GSM610", rate=8000)
    return y, {"kbps": kbps, "tandem": passes}


def _mu_law(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    y, kbps = encode(set_level(x, -20 - 35 * severity), "WAV", "ULAW", rate=8000)
    return _same_power(y, x), {"kbps": kbps, "level_dbfs": -20 - 35 * severity}


def _loss(concealment: str) -> Kind:
    def kind(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        rate, burst = 0.01 * 45**severity, float(world.rng.uniform(1, 3.5))  # 1 % to 45 %
        return drop_packets(x, rate, burst, concealment, world.rng), {"loss_rate": rate, "burst": burst}

    return kind


def _suppressor(method: str, hardest: float) -> Kind:
    def kind(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        strength = hardest**severity
        return suppress(x, method, strength), {"strength": strength}

    return kind


def _neural_mask(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # what a trained mask estimator does: the ideal ratio mask in mel bands, with estimation errors that hang
    # together in time and frequency, and pushed too far as it gets harder (Wang, Narayanan and Wang 2014 for
    # the mask)
    bands, push, spread = 40, 0.7 + 1.8 * severity, 0.05 + 0.6 * severity
    mel = _mel_bank(bands, 512)
    noisy = _stft(x, 512, 256)
    clean = np.abs(_stft(world.clean, 512, 256)) ** 2 @ mel.T
    mask = np.sqrt(np.minimum(clean / np.maximum(np.abs(noisy) ** 2 @ mel.T, 1e-10), 1.0))
    error = scipy.ndimage.gaussian_filter(world.rng.standard_normal(mask.shape), (3, 1.5), mode="wrap")
    mask = np.clip(mask**push * np.exp(spread * error / error.std()), 0.01, 1.0)
    return _istft(noisy * (mask @ (mel / mel.sum(axis=0).clip(1e-3))), 512, 256, len(x)), {
        "push": push,
        "spread": spread,
    }


def _robot(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # spectra thinned to few bands and phases guessed again, as weak generative systems sound (Griffin and Lim
    # 1984)
    bands = round(128 * (18 / 128) ** severity)
    magnitude = np.abs(_stft(x, 512, 128))
    mel = _mel_bank(bands, 512)
    magnitude = np.sqrt(np.maximum(magnitude**2 @ mel.T @ (mel / mel.sum(axis=0).clip(1e-3)), 1e-12))
    phase = np.exp(2j * np.pi * world.rng.random(magnitude.shape))
    for _ in range(12):
        phase = _stft(_istft(magnitude * phase, 512, 128, len(x)), 512, 128)
        phase /= np.abs(phase) + 1e-9
    return _same_power(_istft(magnitude * phase, 512, 128, len(x)), x), {"bands": bands}


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
    "lowpass": (4, _lowpass),
    "highpass": (4, _highpass),
    "low-rate": (4, _low_rate),
    "telephone": (4, _telephone),
    "mnru": (4, _mnru),
    "opus": (4, _opus),
    "mp3": (4, _mp3),
    "vorbis": (4, _vorbis),
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
    """Run clean speech (mono, 16 kHz, shape (samples,)) through a chain; the same seed gives the same
    samples.

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


# ---- a corpus of degraded speech -----------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """One clean recording: its file, talker, and whether it is clean enough to be a reference."""

    path: Path
    talker: str
    is_reference: bool = True


@dataclass(frozen=True)
class DegradeConfig:
    """What to draw. Counts are clips per split; everything else follows from `seed`."""

    train: int = 1000
    dev: int = 100
    test: int = 200
    seed: int = 1
    max_seconds: float = 5.0  # longer speech is cut at a random place
    max_steps: int = 4
    held_out_kinds: tuple[str, ...] = HELD_OUT_KINDS
    held_out_share: float = 0.12  # of talkers for dev and for test each, and of noise labels for test


@dataclass(frozen=True)
class Clip:
    """One clip to render: all that its audio depends on."""

    sample_id: str
    split: str
    source: Source
    start: float  # seconds into the source
    seconds: float
    chain: tuple[Step, ...]
    noises: tuple[Path, ...] = field(repr=False, default=())

    @property
    def system_id(self) -> str:
        """The chain's kinds: clips of one system share how they were degraded, not how hard."""
        return "+".join(step.kind for step in self.chain) or "clean"


def read_sources(folder: str | Path, reference_snr_db: float = 30.0) -> list[Source]:
    """The speech files of a folder with their talkers.

    With a `manifest.csv` (columns `path`, `speaker`; optional `snr_proxy_db`, below `reference_snr_db` a clip
    is used but not as a reference), its rows under the folder; without, every audio file, the talker being
    its parent folder.
    """
    folder = Path(folder)
    table = _table(folder)
    if table is None:
        found = [Source(path, path.parent.name) for path in _audio_files(folder)]
    else:
        found = [
            Source(path, row["speaker"], float(row.get("snr_proxy_db") or math.inf) >= reference_snr_db)
            for path, row in table
            if row.get("speaker")
        ]
    if not found:
        raise DataError(
            f"{folder}: no speech found; expected audio files in folders by talker, or manifest.csv"
        )
    return found


def read_noises(folder: str | Path) -> dict[Path, str]:
    """The noise recordings of a folder and the label of each (column `language` or `label` of
    `manifest.csv`, else folder).
    """
    folder = Path(folder)
    table = _table(folder)
    if table is None:
        found = {path: path.parent.name for path in _audio_files(folder)}
    else:
        found = {
            path: row.get("label") or row.get("language") or path.parent.name
            for path, row in table
            if not row.get("speaker")
        }
    if not found:
        raise DataError(f"{folder}: no noise recordings found; expected audio files")
    return found


def make_plan(sources: Sequence[Source], noises: Mapping[Path, str], config: DegradeConfig) -> list[Clip]:
    """Draw every clip of the corpus: no audio is touched beyond its duration, so the plan is quick and exact
    to repeat.

    Talkers are in one split each; test noises have labels that train and dev never meet; the held-out kinds
    are in about half of the test clips and nowhere else.
    """
    unknown = set(config.held_out_kinds) - set(KINDS)
    if unknown:
        raise DataError(f"unknown degradation {sorted(unknown)}; known: {', '.join(KINDS)}")
    rng = np.random.default_rng([config.seed, 0])
    talkers = sorted({source.talker for source in sources})
    rng.shuffle(talkers)
    held = max(1, round(len(talkers) * config.held_out_share))
    if len(talkers) < 2 * held + 1:
        raise DataError(f"found {len(talkers)} talker(s); expected at least 3, one for each split")
    split_of = (
        dict.fromkeys(talkers, "train")
        | dict.fromkeys(talkers[:held], "dev")
        | dict.fromkeys(talkers[held : 2 * held], "test")
    )
    labels = sorted(set(noises.values()))
    rng.shuffle(labels)
    test_labels = (
        set(labels[: max(1, round(len(labels) * config.held_out_share))]) if len(labels) > 1 else set(labels)
    )

    clips = []
    for number, (split, count) in enumerate(
        (("train", config.train), ("dev", config.dev), ("test", config.test))
    ):
        rng = np.random.default_rng([config.seed, 1, number])
        mine = [source for source in sources if split_of[source.talker] == split]
        seconds = [_duration(source.path) for source in mine]
        of_talker: dict[str, list[int]] = {}
        for index, source in enumerate(mine):
            of_talker.setdefault(source.talker, []).append(index)
        # a talker's turn comes as often as the square root of what there is of that talker
        names = sorted(of_talker)
        weight = np.sqrt([sum(seconds[i] for i in of_talker[name]) for name in names])
        own_noises = tuple(
            sorted(p for p, label in noises.items() if (label in test_labels) == (split == "test"))
        )
        kinds = [
            k
            for k in KINDS
            if (split == "test" or k not in config.held_out_kinds) and (own_noises or k != "noise")
        ]
        for index in range(count):
            picked = int(rng.choice(of_talker[names[int(rng.choice(len(names), p=weight / weight.sum()))]]))
            length = min(
                seconds[picked],
                config.max_seconds * (1.0 if rng.random() < 0.8 else float(rng.uniform(0.4, 1))),
            )
            start = float(rng.uniform(0, seconds[picked] - length))
            chain = _draw_chain(rng, kinds, config, unseen=split == "test" and index % 2 == 1)
            clips.append(
                Clip(
                    f"{split}-{index:06d}",
                    split,
                    mine[picked],
                    round(start, 3),
                    round(length, 3),
                    chain,
                    own_noises,
                )
            )
    return clips


def render(
    clips: Sequence[Clip],
    out: str | Path,
    seed: int,
    *,
    jobs: int = 1,
    on_clip: Callable[[], None] = lambda: None,
) -> dict[str, Path]:
    """Write every clip (16-bit FLAC, 16 kHz) and its clean reference under `out`, then one manifest a split.

    What is there from an earlier, interrupted run is kept; a folder made from another plan is an error.
    Returns the manifest of each split. Rows carry `reference_path` (where the source is clean enough) and
    `degradation`.
    """
    out = Path(out)
    digest = hashlib.sha256(json.dumps([_described(clip) for clip in clips] + [seed]).encode()).hexdigest()
    stamp = out / "plan.sha256"
    if stamp.exists() and stamp.read_text().strip() != digest:
        raise DataError(
            f"{out}: was made from another plan (other sources, counts or seed); "
            "give a new folder or remove it"
        )
    for folder in ("audio", "reference"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest + "\n")
    rows: list[Utterance] = []
    for row in _map(functools.partial(_render_one, out=str(out.absolute()), seed=seed), clips, jobs):
        rows.append(row)
        on_clip()
    manifests = {}
    for split in dict.fromkeys(clip.split for clip in clips):
        manifests[split] = out / f"{split}.jsonl"
        write_manifest(manifests[split], (row for row in rows if row.split == split), relative=True)
    return manifests


def _draw_chain(
    rng: np.random.Generator, kinds: Sequence[str], config: DegradeConfig, unseen: bool
) -> tuple[Step, ...]:
    steps = min(int(rng.choice(5, p=(0.03, 0.42, 0.32, 0.16, 0.07))), config.max_steps)
    drawn = rng.choice(kinds, size=min(steps, len(kinds)), replace=False).tolist()
    if unseen and config.held_out_kinds:
        drawn = [*drawn[: config.max_steps - 1], str(rng.choice(config.held_out_kinds))]
    chosen = set(drawn)
    if chosen & set(SUPPRESSORS) and not any(KINDS[kind][0] == 1 for kind in chosen):
        chosen.add(
            "noise" if "noise" in kinds else "coloured-noise"
        )  # a suppressor has something to suppress
    ordered = sorted(chosen, key=lambda kind: (KINDS[kind][0], kind))
    # chains of many mild steps and single hard ones both occur; the severities of a long chain lean to the
    # mild side
    lean = 1 + 0.35 * max(0, len(ordered) - 1)
    return tuple(Step(kind, round(float(rng.random() ** lean), 4)) for kind in ordered)


def _render_one(clip: Clip, *, out: str, seed: int) -> Utterance:
    name = f"{clip.sample_id}.flac"
    audio, about = Path(out, "audio", name), Path(out, "audio", f"{clip.sample_id}.json")
    reference = Path(out, "reference", name)
    if not (audio.exists() and about.exists() and reference.exists()):
        clean = _cut(str(clip.source.path), clip.start, clip.seconds)
        degraded, steps = degrade(clean, clip.chain, (seed, zlib.crc32(clip.sample_id.encode())), clip.noises)
        _write_audio(reference, clean)
        about.write_text(json.dumps(steps))
        _write_audio(audio, degraded)
    extra: dict[str, Any] = {"degradation": json.loads(about.read_text()), "talker": clip.source.talker}
    if clip.source.is_reference:
        extra["reference_path"] = f"reference/{name}"
    return Utterance(
        audio_path=str(audio), corpus="degraded", split=clip.split, system_id=clip.system_id,
        sample_id=clip.sample_id,
        duration=sf.info(audio).duration, sample_rate=RATE, metrics={}, extra=extra,
    )  # fmt: skip


def _described(clip: Clip) -> dict[str, Any]:
    described = asdict(clip) | {
        "source": clip.source.path.name,
        "noises": [path.name for path in clip.noises],
    }
    described["noises"] = hashlib.sha256(json.dumps(described["noises"]).encode()).hexdigest()
    return described


def _map(function: Callable[[Clip], Utterance], clips: Sequence[Clip], jobs: int) -> Iterator[Utterance]:
    if jobs <= 1:
        yield from map(function, clips)
        return
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(function, clips, chunksize=8)


# ---- small helpers -------------------------------------------------------------------------------


@functools.lru_cache(maxsize=256)
def _read_noise(path: Path) -> Samples:
    return _mono(path)


def _mono(path: str | Path) -> Samples:
    """A whole file as mono float64 at 16 kHz."""
    try:
        samples, rate = sf.read(path, dtype="float64", always_2d=True)
    except (sf.LibsndfileError, OSError) as error:
        raise DataError(f"{path}: cannot read the audio: {error}") from error
    mono = samples.mean(axis=1)
    return mono if rate == RATE else resample(mono, rate, RATE)


@functools.lru_cache(maxsize=8)
def _cached_mono(path: str) -> Samples:
    return _mono(path)


def _cut(path: str, start: float, seconds: float) -> Samples:
    """`seconds` of a source, scaled to -26 dBFS (ITU-T P.56's usual level), faded by 5 ms at both ends."""
    first = int(start * RATE)
    clean = _cached_mono(path)[first : first + int(seconds * RATE)].copy()
    clean = set_level(clean - clean.mean(), -26.0)
    fade = np.linspace(0, 1, RATE // 200)
    clean[: len(fade)] *= fade
    clean[-len(fade) :] *= fade[::-1]
    return clean


def _write_audio(path: Path, samples: Samples) -> None:
    with atomic_path(path, sync=False) as part:
        sf.write(part, samples.clip(-1, 1 - 2**-15), RATE, format="FLAC", subtype="PCM_16")


@functools.lru_cache(maxsize=100_000)
def _duration(path: Path) -> float:
    try:
        return float(sf.info(path).duration)
    except (sf.LibsndfileError, OSError) as error:
        raise DataError(f"{path}: cannot read the audio: {error}") from error


def _audio_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise DataError(f"{folder}: not a folder")
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".wav", ".flac", ".ogg", ".mp3"))


def _table(folder: Path) -> list[tuple[Path, dict[str, str]]] | None:
    """Rows of the nearest `manifest.csv` (in the folder or the one above) whose files lie under the
    folder.
    """
    for base in (folder, folder.parent):
        if (base / "manifest.csv").is_file():
            with (base / "manifest.csv").open(newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                if not {"path", "speaker"} <= set(reader.fieldnames or ()):
                    raise DataError(
                        f"{base / 'manifest.csv'}: expected columns path and speaker; "
                        f"found {reader.fieldnames}"
                    )
                rows = [(base / row["path"], row) for row in reader]
            inside = folder.resolve()
            return [(path, row) for path, row in rows if path.resolve().is_relative_to(inside)]
    return None


def _stretch(samples: Samples, length: int, rng: np.random.Generator) -> Samples:
    start = int(rng.integers(max(1, len(samples) - length + 1)))
    return (
        np.resize(samples[start:], length) if len(samples) - start >= length else np.resize(samples, length)
    )


def _fit(samples: Samples, length: int) -> Samples:
    return samples[:length] if len(samples) >= length else np.pad(samples, (0, length - len(samples)))


def _same_power(samples: Samples, like: Samples) -> Samples:
    power = float(np.mean(samples**2))
    return samples * math.sqrt(float(np.mean(like**2)) / power) if power > 0 else samples


def _align(decoded: Samples, speech: Samples, reach: int = 4000) -> Samples:
    """Undo a codec's delay (up to `reach` samples either way) by cross-correlation; same length as
    `speech`.
    """
    both = scipy.signal.correlate(_fit(decoded, len(speech) + reach), speech, mode="full", method="fft")
    lags = np.arange(len(both)) - (len(speech) - 1)
    near = np.abs(lags) <= reach
    lag = int(lags[near][np.argmax(both[near])])
    shifted = decoded[lag:] if lag >= 0 else np.concatenate([np.zeros(-lag), decoded])
    return _fit(shifted, len(speech))


def _companded(samples: Samples, bits: int) -> Samples:
    """µ-law (ITU-T G.711's curve, µ = 255) at any number of bits."""
    peak = max(float(np.abs(samples).max()), 1e-9)
    curve = np.sign(samples) * np.log1p(255 * np.abs(samples) / peak) / np.log(256)
    steps = 2 ** (bits - 1)
    curve = np.round(curve * steps) / steps
    return np.sign(curve) * np.expm1(np.abs(curve) * np.log(256)) / 255 * peak


def _pitch_period(history: Samples) -> int:
    """The lag (66 to 400 Hz) where the recent past resembles itself most; 20 ms where it is too short."""
    low, high = RATE // 400, min(RATE // 66, len(history) // 2)
    if high <= low:
        return max(1, len(history))
    tail = history[-high:]
    scores = [
        float(tail @ history[len(history) - high - lag : len(history) - lag]) for lag in range(low, high)
    ]
    return low + int(np.argmax(scores))


@functools.lru_cache(maxsize=16)
def _band(low: float, high: float) -> Samples:
    return scipy.signal.butter(4, (low, high), "bandpass", fs=RATE, output="sos")


def _frames(samples: Samples, size: int, hop: int) -> Samples:
    padded = _fit(samples, max(size, math.ceil(len(samples) / hop) * hop + size - hop))
    return np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]


def _stft(samples: Samples, size: int, hop: int) -> np.ndarray:
    """(frames, bins) of a sine-window STFT that `_istft` inverts exactly."""
    padded = np.pad(samples, (size, size))
    return scipy.fft.rfft(_frames(padded, size, hop) * np.sin(np.pi * (np.arange(size) + 0.5) / size), axis=1)


def _istft(spectrum: np.ndarray, size: int, hop: int, length: int) -> Samples:
    window = np.sin(np.pi * (np.arange(size) + 0.5) / size)
    frames = scipy.fft.irfft(spectrum, size, axis=1) * window
    overlap = size // hop
    out = np.zeros((len(frames) + overlap - 1) * hop)
    weight = np.zeros_like(out)
    for part in range(overlap):  # one add a part of the window instead of one a frame
        piece = slice(part * hop, (part + 1) * hop)
        span = slice(part * hop, part * hop + len(frames) * hop)
        out[span] += frames[:, piece].reshape(-1)
        weight[span] += np.tile(window[piece] ** 2, len(frames))
    return _fit((out / np.maximum(weight, 1e-8))[size:], length)


@functools.lru_cache(maxsize=64)
def _mel_bank(bands: int, size: int) -> np.ndarray:
    """(bands, bins) triangles, evenly spaced on the mel scale of O'Shaughnessy."""
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), bands + 2) / 2595) - 1)
    bins = np.arange(size // 2 + 1) * RATE / size
    rise = (bins - edges[:-2, None]) / np.maximum(edges[1:-1] - edges[:-2], RATE / size)[:, None]
    fall = (edges[2:, None] - bins) / np.maximum(edges[2:] - edges[1:-1], RATE / size)[:, None]
    return np.maximum(0, np.minimum(rise, fall))


def _exp1(x: np.ndarray) -> np.ndarray:
    """Exponential integral E1, as scipy.special has it."""
    import scipy.special

    return scipy.special.exp1(np.maximum(x, 1e-8))
