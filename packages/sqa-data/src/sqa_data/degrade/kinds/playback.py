"""The last stretch before the ear: a buffer against jitter, a clock of its own, level."""

import numpy as np

from sqa_data.degrade.kind import Family, Kind, Settings, World
from sqa_data.degrade.signal import Samples, active_power, frames, level_dbfs, set_level
from sqa_data.degrade.timing import delayed, sampled_at

STEADY_S = 0.05  # at both ends of a clip: played in time


def _jitter_buffer(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # an adaptive buffer plays faster and slower as packets come; it begins and ends without delay
    deepest, spacing = 0.02 * 7.5**severity, 1.0 * 0.3**severity  # seconds
    start, stop = STEADY_S, len(x) / world.rate - STEADY_S
    count = max(1, round((stop - start) / spacing))
    inside = start + (np.arange(count) + world.rng.uniform(0.3, 0.7, count)) * (stop - start) / count
    # twice as slow and one and a half times as fast is the most
    depth = min(deepest, 0.3 * (stop - start) / count)
    knots = np.concatenate([[start], inside, [stop]]) * world.rate
    wanted = np.concatenate([[0.0], world.rng.uniform(0.6, 1.0, count) * depth, [0.0]]) * world.rate
    if stop - start < 2 * STEADY_S:
        return x.copy(), {"latest_ms": 0.0, "slips": 0}
    wanted[2:-1:2] *= 0.3  # up and down
    y, found = delayed(x, world.rate, np.interp(np.arange(len(x)), knots, wanted))
    settings: Settings = {
        "latest_ms": 1000 * float(found.max()) / world.rate,
        "slips": int(np.count_nonzero(np.diff(found))),
    }
    return y, settings


def _clock_drift(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    ppm = float(world.rng.choice((-1, 1))) * 20 * 25**severity
    place = np.arange(len(x)) - (len(x) - 1) / 2  # in time in the middle
    settings: Settings = {"ppm": ppm, "ends_ms": float(abs(place[0] * ppm * 1e-3 / world.rate))}
    return sampled_at(x, np.arange(len(x)) + place * ppm * 1e-6), settings


def _dropouts(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    count = max(1, round(0.4 * 12**severity * len(x) / world.rate))
    power = np.mean(frames(x, world.frames(0.02), world.frames(0.02)) ** 2, axis=1)
    speaking = np.flatnonzero(power > 0.01 * max(active_power(x, world.rate), 1e-12)) * world.frames(0.02)
    gain = np.ones(len(x))
    for number in range(count):
        # the first one takes something of the speech
        places = speaking if number == 0 and len(speaking) else np.arange(len(x))
        middle = float(world.rng.choice(places))
        half = 0.5 * 0.01 * 14**severity * world.rng.uniform(0.5, 1.5) * world.rate
        half = min(half, len(x) / 4)  # of a very short clip something is left
        fade = world.rng.uniform(0.001, 0.005) * world.rate
        gain = np.minimum(gain, np.clip((np.abs(np.arange(len(x)) - middle) - half) / fade, 0, 1))
    return x * gain, {"dropouts": count, "silent": float(np.mean(gain == 0))}


def _gain_steps(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # someone turns a knob: once to three times, at once
    count = int(world.rng.integers(1, 4))
    steps = world.rng.choice((-1, 1), count) * world.rng.uniform(0.6, 1, count) * (1 + 23 * severity)
    steps = np.abs(steps) * np.sign(steps[0]) * (-1.0) ** np.arange(count)  # down after up: nothing runs away
    edges = np.sort(world.rng.integers(len(x) // 10, len(x) - len(x) // 10, count))
    gain_db = np.concatenate([[0.0], np.cumsum(steps)])
    gain_db -= gain_db.max()
    applied = np.repeat(gain_db, np.diff(edges, prepend=0, append=len(x)))
    return x * 10 ** (applied / 20), {"steps": count, "largest_db": float(np.abs(steps).max())}


def _level(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    dbfs = -26 - 34 * severity if world.rng.random() < 0.7 else -26 + 20 * severity
    y = set_level(x, world.rate, dbfs)
    clipped = float(np.mean(np.abs(y) == 1))
    return y, {"level_dbfs": round(level_dbfs(y, world.rate), 2), "clipped": clipped}


KINDS = {
    "jitter-buffer": Kind(Family.PLAYBACK, _jitter_buffer),
    "clock-drift": Kind(Family.PLAYBACK, _clock_drift),
    "dropouts": Kind(Family.PLAYBACK, _dropouts),
    "gain-steps": Kind(Family.PLAYBACK, _gain_steps),
    "level": Kind(Family.PLAYBACK, _level),
}
