"""What is heard beside the talker: noises, other voices, hum. Each is measured against the active speech."""

import math

import numpy as np

from sqa_data.degrade.kind import Family, Kind, Settings, Surroundings, World
from sqa_data.degrade.recordings import cut
from sqa_data.degrade.signal import Samples, active_power

MOST_TALKERS = 6  # of a babble


def mix(x: Samples, noise: Samples, snr_db: float, world: World) -> tuple[Samples, Settings]:
    """Add noise at a ratio to the active speech, in dB; says that ratio, and that of all noise so far.

    Samples that are silent speech stay as they are: there is nothing to be in proportion to.
    """
    speech, power = active_power(world.speech, world.rate), float(np.mean(noise**2))
    if speech == 0 or power == 0:
        return x.copy(), {"added": "nothing: the speech or the noise is silent"}
    added = noise * math.sqrt(speech / power / 10 ** (snr_db / 10))
    mixed = x + added
    everything = float(np.mean((mixed - world.speech) ** 2))
    settings: Settings = {"snr_db": ratio_db(speech, float(np.mean(added**2)))}
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


def _coloured(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    tilt = float(world.rng.uniform(0, 2))  # power falls as 1/f^tilt: white, pink, brown
    spectrum = np.fft.rfft(world.rng.standard_normal(len(x)))
    spectrum /= np.maximum(np.arange(len(spectrum)), 20 * len(x) / world.rate) ** (tilt / 2)
    mixed, settings = mix(x, np.fft.irfft(spectrum, len(x)), 40 - 45 * severity, world)
    return mixed, settings | {"tilt": tilt}


def _babble(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    voices = np.zeros(len(x))
    count = int(world.rng.integers(3, MOST_TALKERS + 1))
    for _ in range(count):
        voice, _ = cut(world.around.talkers, len(x), world.rate, world.rng, "speech of other talkers")
        voices += voice / math.sqrt(max(active_power(voice, world.rate), 1e-12))
    mixed, settings = mix(x, voices, 35 - 38 * severity, world)
    return mixed, settings | {"talkers": count}


def _hum(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    base = float(world.rng.choice((50, 60)))
    time = np.arange(len(x)) / world.rate
    hum = sum(np.sin(2 * np.pi * (base * k * time + world.rng.random())) / k for k in range(1, 12))
    mixed, settings = mix(x, np.asarray(hum), 35 - 38 * severity, world)
    return mixed, settings | {"hum_hz": base}


def _no_noises(around: Surroundings) -> str | None:
    return None if around.noises else "it needs noise recordings; give --noise FOLDER"


def _no_talkers(around: Surroundings) -> str | None:
    return None if around.talkers else "it needs speech of other talkers"


KINDS = {
    "noise": Kind(Family.NOISE, _noise, _no_noises),
    "coloured-noise": Kind(Family.NOISE, _coloured),
    "babble": Kind(Family.NOISE, _babble, _no_talkers),
    "hum": Kind(Family.NOISE, _hum),
}
