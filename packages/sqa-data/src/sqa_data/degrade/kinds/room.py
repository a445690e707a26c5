"""Rooms: what walls add to a voice before it reaches the microphone."""

import math

import numpy as np
import scipy.signal

from sqa_data.degrade.kind import Family, Kind, Settings, World
from sqa_data.degrade.signal import Samples, band


def reverberate(
    speech: Samples, rate: int, rt60_s: float, direct_db: float, rng: np.random.Generator
) -> Samples:
    """Speech in a room: early reflections and Polack's exponentially decaying noise tail (Polack 1988).

    `rt60_s`: time to fall by 60 dB (shorter at high frequencies, as air and walls do); `direct_db`:
    direct-to-reverberant energy ratio. The direct sound stays at time zero, so the dry speech is its
    reference.
    """
    length = int(min(rt60_s * 1.2, 2.0) * rate)
    time = np.arange(length) / rate
    tail = np.zeros(length)
    for low, high, share in ((60, 700, 1.1), (700, 2500, 1.0), (2500, 0.475 * rate, 0.65)):
        noise = scipy.signal.sosfilt(band(low, high, rate), rng.standard_normal(length))
        tail += noise * np.exp(-6.9078 * time / (rt60_s * share))
    onset = int(rng.uniform(0.002, 0.012) * rate)
    tail = np.concatenate([np.zeros(onset), tail])[:length]
    for _ in range(6):  # early reflections
        at = int(rng.uniform(0.001, 0.05) * rate)
        tail[at] += rng.choice((-1, 1)) * rng.uniform(0.3, 1.0) * np.abs(tail).max()
    tail *= math.sqrt(10 ** (-direct_db / 10) / max(float(np.sum(tail**2)), 1e-12))
    tail[0] = 1.0
    wet: Samples = scipy.signal.fftconvolve(speech, tail)
    return wet[: len(speech)]


def _reverb(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    rt60 = 0.15 + 1.45 * severity
    # how near the talker is has little to do with the room
    direct = 12 - 18 * severity + float(world.rng.uniform(-4, 4))
    return reverberate(x, world.rate, rt60, direct, world.rng), {"rt60_s": rt60, "direct_db": direct}


KINDS = {"reverb": Kind(Family.ROOM, _reverb)}
