"""Where a clip begins and ends: padding and crops. The reference follows, so that both stay in time."""

import numpy as np

from sqa_data.degrade.kind import Act, Family, Kind, Settings, World
from sqa_data.degrade.signal import Samples

SHORTEST_S = 0.5  # that a crop leaves


def edged(samples: Samples, settings: Settings, rate: int) -> Samples:
    """Pad with zeros and crop as a step says: `padded_s` and `cropped_s` are seconds [before, after]."""
    for name, sign in (("padded_s", 1), ("cropped_s", -1)):
        seconds = settings.get(name)
        if isinstance(seconds, list):
            before, after = (sign * round(second * rate) for second in seconds)
            samples = np.pad(samples, (max(before, 0), max(after, 0)))
            samples = samples[max(-before, 0) : len(samples) - max(-after, 0)]
    return samples


def _pad(*, floor: bool) -> Act:
    def act(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        before, after = (0.1 + 1.9 * severity) * world.rng.uniform(0.1, 1, 2)
        settings: Settings = {"padded_s": _seconds(before, after, world)}
        y = edged(x, settings, world.rate)
        if not floor:
            return y, settings
        floor_dbfs = (
            -80 + 35 * severity
        )  # of a quiet room or a cheap converter, from the very start to the end
        y += 10 ** (floor_dbfs / 20) * world.rng.standard_normal(len(y))
        return y, settings | {"floor_dbfs": floor_dbfs}

    return act


def _crop(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    whole = len(x) / world.rate
    away = min((0.05 + 0.55 * severity) * whole, max(whole - SHORTEST_S, 0.0))
    share = float(world.rng.uniform(0, 1))
    settings: Settings = {"cropped_s": _seconds(share * away, (1 - share) * away, world)}
    return edged(x, settings, world.rate), settings


def _seconds(before: float, after: float, world: World) -> list[float]:
    """Whole samples, in seconds."""
    return [round(seconds * world.rate) / world.rate for seconds in (before, after)]


KINDS = {
    "pad-silence": Kind(Family.EDGES, _pad(floor=False)),
    "pad-noise": Kind(Family.EDGES, _pad(floor=True)),
    "crop": Kind(Family.EDGES, _crop),
}
