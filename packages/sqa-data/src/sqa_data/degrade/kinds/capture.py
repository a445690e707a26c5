"""The microphone and what follows it: overload, coarse converters, a wandering gain."""

import math

import numpy as np
import scipy.ndimage

from sqa_data.degrade.kind import Family, Kind, Settings, World
from sqa_data.degrade.signal import Samples


def _clipping(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    fraction = 0.001 * 400**severity  # 0.1 % to 40 % of the samples
    limit = float(np.quantile(np.abs(x), 1 - fraction))
    cut = np.clip(x, -limit, limit) if limit > 0 else x
    return cut, {"clipped": float(np.mean(np.abs(x) > limit)) if limit > 0 else 0.0}


def _quantise(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    bits = round(11 - 8 * severity)
    peak = max(float(np.abs(x).max()), 1e-9)
    steps = 2 ** (bits - 1)
    return np.round(x / peak * steps) / steps * peak, {"bits": bits}


def _gain_jumps(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    depth = 3 + 37 * severity  # dB
    count = max(2, int(len(x) / world.rate * world.rng.uniform(1, 4)))
    points = world.rng.uniform(-depth, 0, count)
    gain = np.repeat(points, math.ceil(len(x) / count))[: len(x)]
    gain = scipy.ndimage.uniform_filter1d(gain, world.frames(0.01))
    return x * 10 ** (gain / 20), {"depth_db": float(-gain.min())}


KINDS = {
    "clipping": Kind(Family.CAPTURE, _clipping),
    "quantise": Kind(Family.CAPTURE, _quantise),
    "gain-jumps": Kind(Family.CAPTURE, _gain_jumps),
}
