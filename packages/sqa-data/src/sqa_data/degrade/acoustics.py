"""Rooms as impulse responses: made from a box and its reverberation time, recorded, and what can be measured of one.

In all of them the direct sound has the level 1, so that speech keeps its level and only the room is added to it.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.fft
import scipy.signal

from sqa_data.audio import hear
from sqa_data.audio.resampling import resampled
from sqa_data.degrade.signal import Samples, butterworth, shaped

SOUND_M_S = 343.0
FALL = 6.9078  # nepers in 60 dB
DIRECT_S = 0.0025  # around its peak: the direct sound (Eaton et al. 2016, ACE challenge)
DISCRETE_S, DIFFUSE_S = (
    0.02,
    0.05,
)  # behind the direct sound: here single reflections begin to merge, here they have
LONGEST_S = 3.0
KEPT_BYTES, FLOAT_BYTES = 1 << 26, 8  # of recorded responses in memory: the longest are 1.2 MB each
CROSSOVERS_HZ, SHARES = (
    (350, 2500),
    (1.2, 1.0, 0.65),
)  # of the reverberation time: walls and air take the treble first
RUMBLE_HZ = 60  # what images of one sign pile up below
RINGS_S = 0.1  # that the filters of these bands ring before and after, to -200 dB


@dataclass(frozen=True)
class Response:
    """An impulse response."""

    taps: Samples
    lead: int  # index of the direct sound
    rate: int  # Hz

    def applied(self, samples: Samples) -> Samples:
        """A sound in the room, its direct sound in time with it."""
        wet: Samples = scipy.signal.fftconvolve(samples, self.taps)
        return wet[self.lead : self.lead + len(samples)]

    def _parts(self) -> tuple[float, float]:
        """Energy of the direct sound and of all that comes later."""
        edge = self.lead + 1 + round(DIRECT_S * self.rate)
        return float(np.sum(self.taps[:edge] ** 2)), float(np.sum(self.taps[edge:] ** 2))

    @property
    def direct_db(self) -> float:
        """Direct-to-reverberant energy ratio in dB, at most 100."""
        direct, later = self._parts()
        return 10 * math.log10(direct / max(later, direct * 1e-10))

    @property
    def clarity_db(self) -> float:
        """Energy of the first 50 ms to that of the rest in dB (C50 of ISO 3382-1), at most 100."""
        edge = self.lead + round(0.05 * self.rate)
        early, late = float(np.sum(self.taps[:edge] ** 2)), float(np.sum(self.taps[edge:] ** 2))
        return 10 * math.log10(early / max(late, early * 1e-10))

    @property
    def rt60_s(self) -> float:
        """Reverberation time in the octaves of 500 and 1000 Hz (ISO 3382-1's T20, by Schroeder's integral of 1965)."""
        middle = shaped(self.taps, self.rate, lambda hz: butterworth(hz, 354, 1414, 6))[self.lead :]
        left = np.cumsum(middle[::-1] ** 2)[::-1]
        level = 10 * np.log10(np.maximum(left / left[0], 1e-12))
        fit = np.flatnonzero((level <= -5) & (level >= -25))
        if len(fit) < 2:
            return 0.0
        slope = float(np.polyfit(fit / self.rate, level[fit], 1)[0])
        return min(-60 / slope, 20.0) if slope < 0 else 20.0

    def with_direct_db(self, wanted: float) -> "Response":
        """The same room from nearer or farther: another ratio of the direct sound to the rest."""
        direct, later = self._parts()
        taps = self.taps.copy()
        taps[self.lead + 1 + round(DIRECT_S * self.rate) :] *= math.sqrt(
            direct / later * 10 ** (-wanted / 10) if later > 0 else 0.0
        )
        return Response(taps, self.lead, self.rate)


@dataclass(frozen=True)
class Box:
    """A room of six walls with a microphone in it."""

    size_m: np.ndarray  # (3,)
    microphone_m: np.ndarray  # (3,)
    rt60_s: float

    @classmethod
    def drawn(cls, rt60_s: float, rng: np.random.Generator) -> "Box":
        """From a cabin to a hall: what sounds longer is bigger on average."""
        size = rng.uniform((3.2, 2.6, 2.4), (8.0, 6.0, 3.4)) * math.sqrt(0.6 + rt60_s)
        return cls(size, rng.uniform(0.15, 0.85, 3) * size, rt60_s)

    @property
    def volume_m3(self) -> float:
        return float(np.prod(self.size_m))

    def place(self, distance_m: float, rng: np.random.Generator) -> np.ndarray:
        """(3,) A place about so far from the microphone, off the walls."""
        way = self.size_m / 2 - self.microphone_m + rng.normal(0, 1, 3) * self.size_m * (0.4, 0.4, 0.1)
        place = self.microphone_m + distance_m * way / max(float(np.linalg.norm(way)), 1e-9)
        inside: np.ndarray = np.clip(place, 0.1, self.size_m - 0.1)
        return inside

    def distance_m(self, direct_db: float) -> float:
        """How far away a talker has this direct-to-reverberant ratio: the diffuse field is the same everywhere."""
        return math.sqrt(1 / (self._density() * self.rt60_s / (2 * FALL) * 10 ** (direct_db / 10)))

    def _density(self) -> float:
        """Energy per second of the reverberation, that of the direct sound at 1 m being 1, before it decays."""
        return 4 * math.pi * SOUND_M_S / self.volume_m3

    def response(self, source_m: np.ndarray, rate: int, rng: np.random.Generator) -> Response:
        """Single reflections by images of the source, then noise that decays, each with its level in such a box.

        Images: Allen and Berkley 1979; noise: Polack 1988. One fades into the other between 20 and 50 ms.
        """
        length = max(2, round(min(1.2 * self.rt60_s, LONGEST_S) * rate)) + round(DIFFUSE_S * rate)
        away_m = max(float(np.linalg.norm(source_m - self.microphone_m)), 0.05)
        time = np.arange(length) / rate
        merged = np.clip((time - DISCRETE_S) / (DIFFUSE_S - DISCRETE_S), 0, 1)
        late = rng.standard_normal(length) * math.sqrt(self._density() / rate) * away_m
        later = self._images(source_m, away_m, length, rate) * np.sqrt(1 - merged) + late * np.sqrt(merged)
        taps = _decaying(later, self.rt60_s, rate)
        taps[0] = 1.0
        return Response(taps, 0, rate)

    def _images(self, source_m: np.ndarray, away_m: float, length: int, rate: int) -> Samples:
        """(length,) reflections of walls that lose nothing, the direct sound (left out) being 1 at time 0."""
        reach = DIFFUSE_S * SOUND_M_S + away_m
        squares = np.zeros(1)
        for size, source, microphone in zip(self.size_m, source_m, self.microphone_m, strict=True):
            turns = 2 * size * np.arange(-math.ceil(reach / size / 2), math.ceil(reach / size / 2) + 1)
            images = np.concatenate([turns + source, turns - source])
            squares = (squares[:, None] + (images - microphone) ** 2).ravel()
            squares = squares[squares <= reach**2]
        paths = np.sqrt(squares)
        at = np.round((paths - away_m) / SOUND_M_S * rate).astype(int)
        found = (at > 0) & (at < length)
        return np.bincount(at[found], away_m / paths[found], length)


def _decaying(later: Samples, rt60_s: float, rate: int) -> Samples:
    """Let the bands of a response die away, each at its share of the reverberation time."""
    size = scipy.fft.next_fast_len(len(later) + round(RINGS_S * rate), real=True)
    hz, spectrum = scipy.fft.rfftfreq(size, 1 / rate), scipy.fft.rfft(later, size)
    time, taps = np.arange(len(later)) / rate, np.zeros(len(later))
    above = [1 / (1 + (edge / np.maximum(hz, 1e-3)) ** 4) for edge in (RUMBLE_HZ, *CROSSOVERS_HZ)]
    for share, low, high in zip(SHARES, above, [*above[1:], 0.0], strict=True):
        part = scipy.fft.irfft(spectrum * (low - high), size)[: len(later)]
        taps += part * np.exp(-FALL * time / (rt60_s * share))
    return taps


def recorded(path: Path, rate: int) -> Response | None:
    """A recorded response (its first channel), from just before its direct sound on; None of silence.

    The direct sound is the first peak that reaches half of the highest. Those asked for of late are in memory.
    """
    response = _kept.pop((path, rate)) if (path, rate) in _kept else _read(path, rate)
    _kept[path, rate] = response
    while sum(len(old.taps) for old in _kept.values() if old) * FLOAT_BYTES > KEPT_BYTES:
        del _kept[next(iter(_kept))]  # the one not asked for the longest
    return response


_kept: dict[tuple[Path, int], Response | None] = {}


def _read(path: Path, rate: int) -> Response | None:
    heard = hear(path)
    taps = resampled(heard.samples[:, 0].astype(np.float64), heard.sample_rate, rate)
    size = np.abs(taps)
    if not size.any():
        return None
    first = int(np.argmax(size >= 0.5 * size.max()))
    peak = first + int(np.argmax(size[first : first + max(1, round(0.001 * rate))]))
    around = round(DIRECT_S * rate)
    lead = min(peak, around)
    taps = taps[peak - lead : peak + round(LONGEST_S * rate)]
    level = math.sqrt(float(np.sum(taps[: lead + 1 + around] ** 2)))
    return Response(taps / math.copysign(level, taps[lead]), lead, rate)
