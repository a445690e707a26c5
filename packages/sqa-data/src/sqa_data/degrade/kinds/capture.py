"""The microphone and what follows it: a handset's response, overload, coarse converters, automatic gains."""

import math

import numpy as np
import scipy.ndimage

from sqa_data.degrade.kind import Act, Family, Kind, Settings, World
from sqa_data.degrade.signal import Samples, butterworth, frames, level_dbfs, shaped

FLOOR_DB = -120.0  # the level of digital silence


def _clipping(*, loud: bool) -> Act:
    """Cut what exceeds a limit. `loud`: the input gain was too high and the limit is full scale, where it stays."""

    def act(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        fraction = 0.001 * 400**severity  # 0.1 % to 40 % of the samples
        limit = float(np.quantile(np.abs(x), 1 - fraction))
        if limit == 0:
            return x.copy(), {"clipped": 0.0}
        settings: Settings = {"clipped": float(np.mean(np.abs(x) > limit))}
        cut = np.clip(x, -limit, limit)
        return (cut / limit, settings | {"gain_db": -20 * math.log10(limit)}) if loud else (cut, settings)

    return act


def _quantise(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # the bits that a clip has where its peak fills the converter: one recorded more quietly has fewer of them left
    bits = round(11 - 8 * severity)
    peak = max(float(np.abs(x).max()), 1e-9)
    steps = 2 ** (bits - 1)
    settings: Settings = {"bits": bits, "step_dbfs": 20 * math.log10(peak / steps)}
    return np.round(x / peak * steps) / steps * peak, settings


def _gain_jumps(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    depth = 3 + 37 * severity  # dB
    count = max(2, int(len(x) / world.rate * world.rng.uniform(1, 4)))
    points = world.rng.uniform(-depth, 0, count)
    gain = np.repeat(points, math.ceil(len(x) / count))[: len(x)]
    gain = scipy.ndimage.uniform_filter1d(gain, world.frames(0.01))
    return x * 10 ** (gain / 20), {"depth_db": float(-gain.min())}


def _handset(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # The shapes of measured sending responses (ITU-T P.64; the masks of P.310, P.311 and 3GPP TS 26.131): the bass is
    # lost before the mouth's distance, towards 3 kHz it rises, the case resonates, and the transducer ends somewhere
    rng, top_hz = world.rng, 0.45 * world.rate
    low = float(rng.uniform(80, 120) * 4**severity)  # Hz
    high = max(top_hz * (3400 / top_hz) ** severity, 2500.0)
    presence_db = float(rng.uniform(0, 8) * severity)
    resonances = [
        (rng.uniform(np.log2(300), np.log2(6000)), rng.uniform(0.15, 0.5), (1 + 11 * severity) * rng.uniform(-1, 1))
        for _ in range(int(rng.integers(3, 7)))
    ]  # fmt: skip

    def curve_db(hz: np.ndarray) -> np.ndarray:
        octave = np.log2(np.maximum(hz, 20))
        bumps = sum(db * np.exp(-0.5 * ((octave - at) / width) ** 2) for at, width, db in resonances)
        return np.asarray(presence_db * np.clip((octave - np.log2(300)) / np.log2(10), 0, 1) + bumps)

    y = shaped(x, world.rate, lambda hz: butterworth(hz, low, high, 3) * 10 ** (curve_db(hz) / 20))
    inside = curve_db(np.geomspace(300, 3400, 200))
    return y, {"low_hz": low, "high_hz": high, "ripple_db": float(np.ptp(inside))}


def _agc(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # an automatic gain that is too eager: it lifts what is quiet, at worst within a syllable, and ducks after peaks
    hop = world.frames(0.01)
    reach_db, release_s = 6 + 34 * severity, 1.0 * (0.05 / 1.0) ** severity
    level = _followed(_levels(x, hop), fall_s=release_s, rise_s=0.01, hop_s=hop / world.rate)
    gain = np.clip((level_dbfs(x, world.rate) - level) * (0.2 + 0.8 * severity), -reach_db, reach_db)
    return _amplified(x, gain, hop), {"pumped_db": float(np.ptp(gain)), "release_ms": 1000 * release_s}


def _limiter(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # driven into a ceiling that is the peak of what came in; the quicker it lets go, the more it distorts
    hop, peak = world.frames(0.001), max(float(np.abs(x).max()), 1e-12)
    drive_db, release_s = 3 + 33 * severity, 0.1 * (0.003 / 0.1) ** severity
    loudest = np.abs(frames(x, hop, hop)).max(axis=1)
    over_db = drive_db + 20 * np.log10(np.maximum(loudest / peak, 1e-6))
    ahead = scipy.ndimage.maximum_filter1d(np.maximum(over_db, 0), 3)
    gain = -_followed(ahead, fall_s=release_s, rise_s=0.0, hop_s=hop / world.rate)
    y = np.clip(_amplified(x, gain + drive_db, hop), -peak, peak)
    return y, {"drive_db": drive_db, "reduced_db": float(-gain.min()), "release_ms": 1000 * release_s}


def _noise_gate(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # opens late and shuts early, the later the higher its threshold
    hop, threshold_db = world.frames(0.005), -55 + 50 * severity  # to the active speech
    shut_db = -20 - 60 * severity
    is_open = _levels(x, hop) > level_dbfs(x, world.rate) + threshold_db
    hold = 1 + round(20 * (1 - severity))
    held = scipy.ndimage.maximum_filter1d(is_open, hold, origin=(hold - 1) // 2)
    wanted = np.where(held, 0.0, shut_db)
    gain = _followed(wanted, fall_s=0.03, rise_s=0.001 + 0.02 * severity, hop_s=hop / world.rate)
    settings: Settings = {"threshold_db": threshold_db, "shut": float(np.mean(gain < 0.5 * shut_db))}
    return _amplified(x, gain, hop), settings


def _levels(x: Samples, hop: int) -> np.ndarray:
    """(frames,) Level of each piece of a signal in dB full scale."""
    levels: np.ndarray = 10 * np.log10(np.mean(frames(x, hop, hop) ** 2, axis=1) + 10 ** (FLOOR_DB / 10))
    return levels


def _followed(wanted_db: np.ndarray, *, fall_s: float, rise_s: float, hop_s: float) -> np.ndarray:
    """A level that follows another one, falling and rising with these time constants (0: at once)."""
    fall, rise = (math.exp(-hop_s / seconds) if seconds else 0.0 for seconds in (fall_s, rise_s))
    found = np.empty(len(wanted_db))
    level = float(wanted_db[0])
    for frame, wanted in enumerate(wanted_db.tolist()):
        level = wanted + (level - wanted) * (fall if wanted < level else rise)
        found[frame] = level
    return found


def _amplified(x: Samples, gain_db: np.ndarray, hop: int) -> Samples:
    """Apply a gain that is given in the middle of each frame."""
    middles = hop * (np.arange(len(gain_db)) + 0.5)
    amplified: Samples = x * 10 ** (np.interp(np.arange(len(x)), middles, gain_db) / 20)
    return amplified


KINDS = {
    "handset": Kind(Family.CAPTURE, _handset),
    "clipping": Kind(Family.CAPTURE, _clipping(loud=False)),
    "full-scale-clipping": Kind(Family.CAPTURE, _clipping(loud=True)),
    "quantise": Kind(Family.CAPTURE, _quantise),
    "gain-jumps": Kind(Family.CAPTURE, _gain_jumps),
    "agc": Kind(Family.CAPTURE, _agc),
    "limiter": Kind(Family.CAPTURE, _limiter),
    "noise-gate": Kind(Family.CAPTURE, _noise_gate),
}
