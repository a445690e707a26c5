"""What is heard beside the talker: noises, wind, other voices, echo, hum: each measured against active speech."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from sqa_data.degrade.acoustics import Box
from sqa_data.degrade.kind import Family, Kind, Settings, Surroundings, World
from sqa_data.degrade.kinds.room import Elsewhere, elsewhere_in
from sqa_data.degrade.recordings import cut
from sqa_data.degrade.signal import Samples, active_power, butterworth, frames, shaped

MOST_TALKERS = 6  # of a babble


def mix(
    x: Samples, noise: Samples, snr_db: float, world: World, *, voice: bool = False
) -> tuple[Samples, Settings]:
    """Add noise at a ratio to the active speech, in dB; says that ratio, and that of all noise so far.

    The noise counts with its mean power, one `voice` with that of its active speech. Samples that are silent speech
    stay as they are: there is nothing to be in proportion to.
    """

    def power_of(samples: Samples) -> float:
        return active_power(samples, world.rate) if voice else float(np.mean(samples**2))

    speech, power = active_power(world.speech, world.rate), power_of(noise)
    if speech == 0 or power == 0:
        return x.copy(), {"added": "nothing: the speech or the noise is silent"}
    added = noise * math.sqrt(speech / power / 10 ** (snr_db / 10))
    mixed = x + added
    everything = float(np.mean((mixed - world.speech) ** 2))
    settings: Settings = {"snr_db": ratio_db(speech, power_of(added))}
    if x is not world.speech:
        settings["snr_of_all_db"] = ratio_db(speech, everything)
    return mixed, settings


def ratio_db(power: float, other: float) -> float:
    """10 log10 of a ratio of powers, to a thousandth."""
    return round(10 * math.log10(power / other), 3)


def _noise(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    noise, name = cut(world.around.noises, len(x), world.rate, world.rng, "--noise FOLDER")
    mixed, settings = mix(x, noise, 40 - 45 * severity, world)
    return mixed, settings | {"noise": name}


def _room_noise(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    lead = world.frames(1.0)  # so that the room is filled when the clip begins
    noise, name = cut(world.around.noises, lead + len(x), world.rate, world.rng, "--noise FOLDER")
    wet, told = _elsewhere(world)(noise, world.rng)
    mixed, settings = mix(x, wet[lead:], 40 - 45 * severity, world)
    return mixed, settings | {"noise": name} | told


def _elsewhere(world: World) -> Elsewhere:
    """How another place of the talker's room is heard; without a room so far, that of a talker close by."""
    if "room" in world.notes:
        known: Elsewhere = world.notes["room"]
        return known
    return elsewhere_in(Box.drawn(float(world.rng.uniform(0.2, 0.8)), world.rng), world.rate)


def _coloured(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    tilt = float(world.rng.uniform(0, 2))  # power falls as 1/f^tilt: white, pink, brown
    noise = spectral_noise(lambda hz: np.maximum(hz, 20) ** (-tilt / 2), len(x), world.rate, world.rng)
    mixed, settings = mix(x, noise, 40 - 45 * severity, world)
    return mixed, settings | {"tilt": tilt}


def spectral_noise(
    gain: Callable[[np.ndarray], np.ndarray], length: int, rate: int, rng: np.random.Generator
) -> Samples:
    """Gaussian noise of a magnitude spectrum (Hz -> gain)."""
    spectrum = np.fft.rfft(rng.standard_normal(length)) * gain(np.fft.rfftfreq(length, 1 / rate))
    noise: Samples = np.fft.irfft(spectrum, length)
    return noise


def _wind(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # Turbulence at the microphone (Raspet, Webster and Dillion 2006; Nelke and Vary 2014): flat up to a corner that is
    # proportional to the wind's speed, then falling with a power of 5/3 to 7/3, which leaves most of it below 200 Hz;
    # pressure goes with the square of the speed, and the speed has von Karman's spectrum of gusts (5/3 again).
    def gust(hz: np.ndarray) -> np.ndarray:
        return np.asarray((1 + (hz / 0.3) ** 2) ** (-5 / 12) * ((hz > 0) & (hz < 10)))

    def turbulence(corner_hz: float) -> Samples:
        def gain(hz: np.ndarray) -> np.ndarray:
            return np.asarray((1 + (hz / corner_hz) ** 2) ** (-fall / 4) * butterworth(hz, 20, np.inf, 2))

        return spectral_noise(gain, len(x), world.rate, world.rng)

    gustiness, fall = world.rng.uniform(0.2, 0.5), world.rng.uniform(5 / 3, 7 / 3)
    corner_hz = float(world.rng.uniform(20, 60))
    gusts = spectral_noise(gust, len(x), world.rate, world.rng)
    speed = np.maximum(1 + gustiness * gusts / max(float(gusts.std()), 1e-12), 0.05)  # of the mean
    fresh = np.clip(speed - 0.5, 0, 1)  # from half the corner to one and a half
    calm, strong = turbulence(0.5 * corner_hz), turbulence(1.5 * corner_hz)
    noise = speed**2 * (np.sqrt(1 - fresh) * calm + np.sqrt(fresh) * strong)
    mixed, settings = mix(x, noise, 40 - 50 * severity, world)
    return mixed, settings | {"corner_hz": corner_hz, "gustiness": float(speed.std())}


def _babble(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    voices = np.zeros(len(x))
    count = int(world.rng.integers(3, MOST_TALKERS + 1))
    silent: list[Path] = []
    for _ in range(count):
        silent = silent or list(world.around.talkers)  # everyone speaks once before anyone speaks twice
        voice, name = _talker(silent, len(x), world)
        silent = [path for path in silent if path.stem != name]
        voices += voice / math.sqrt(max(active_power(voice, world.rate), 1e-12))
    mixed, settings = mix(x, voices, 35 - 38 * severity, world)
    return mixed, settings | {"talkers": count}


def _talker(paths: Sequence[Path], length: int, world: World) -> tuple[Samples, str]:
    return cut(paths, length, world.rate, world.rng, "speech of other talkers")


def _competing(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    voice, name = _talker(world.around.talkers, len(x), world)
    told: Settings = {}
    if "room" in world.notes:
        voice, told = _elsewhere(world)(voice, world.rng)
    mixed, settings = mix(x, voice, 35 - 38 * severity, world, voice=True)
    return mixed, settings | {"talker": name} | told


def _echo(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # What an echo canceller leaves of the far end: its talker through a small loudspeaker, which saturates, and a room,
    # whose first 30 ms the canceller's filter has learned, more or less. The near end speaks meanwhile.
    far, name = _talker(world.around.talkers, len(x), world)
    small = shaped(far, world.rate, lambda hz: butterworth(hz, float(world.rng.uniform(200, 500)), 7500, 2))
    loudest = max(float(np.abs(small).max()), 1e-12)
    driven = np.tanh(float(world.rng.uniform(0.5, 3)) * small / loudest)
    box = Box.drawn(float(world.rng.uniform(0.2, 0.6)), world.rng)
    response = box.response(box.place(float(world.rng.uniform(0.3, 1.0)), world.rng), world.rate, world.rng)
    left_db = float(world.rng.uniform(-20, 0))
    response.taps[: world.frames(0.03)] *= 10 ** (left_db / 20)
    delay = world.frames(float(world.rng.uniform(0.02, 0.2)))
    echo = np.concatenate([np.zeros(delay), response.applied(driven)])[: len(x)]
    mixed, settings = mix(x, echo, 35 - 38 * severity, world, voice=True)
    both = _speaks(world.speech, world) & _speaks(echo, world)
    return mixed, settings | {
        "talker": name,
        "first_30_ms_db": left_db,
        "delay_ms": 1000 * delay / world.rate,
        "double_talk": float(both.mean()),
    }


def _speaks(x: Samples, world: World) -> np.ndarray:
    """(frames of 20 ms,) Where there is active speech."""
    size = world.frames(0.02)
    power = np.mean(frames(x, size, size) ** 2, axis=1)
    return np.asarray(power > 0.02 * max(active_power(x, world.rate), 1e-12))


def _hum(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    base = float(world.rng.choice((50, 60)))
    time = np.arange(len(x)) / world.rate
    partials = np.exp(2j * np.pi * world.rng.random(11)) / np.arange(1, 12)  # of random phase, each weaker
    hum = np.polynomial.polynomial.polyval(np.exp(2j * np.pi * base * time), [0, *partials]).imag
    mixed, settings = mix(x, hum, 35 - 38 * severity, world)
    return mixed, settings | {"hum_hz": base}


def _no_noises(around: Surroundings) -> str | None:
    return None if around.noises else "needs noise recordings; give --noise FOLDER"


def _no_talkers(around: Surroundings) -> str | None:
    return (
        None if around.talkers else "needs speech of several talkers (of `data kinds`: give --talkers FOLDER)"
    )


KINDS = {
    "noise": Kind(Family.NOISE, _noise, _no_noises),
    "room-noise": Kind(Family.NOISE, _room_noise, _no_noises),
    "coloured-noise": Kind(Family.NOISE, _coloured),
    "wind": Kind(Family.NOISE, _wind),
    "babble": Kind(Family.NOISE, _babble, _no_talkers),
    "competing-talker": Kind(Family.NOISE, _competing, _no_talkers),
    "far-end-echo": Kind(Family.NOISE, _echo, _no_talkers),
    "hum": Kind(Family.NOISE, _hum),
}
