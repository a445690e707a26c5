"""What about a signal may mislead whoever listens to it, channel by channel, and the one rule for mixing channels."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sqa_data.audio.speech import speech_missing

DC = 0.05  # of full scale
QUIET_DB = -50.0  # of full scale
OVER_RANGE = 1.001  # a peak of just over 1 comes from resampling
FLAT = 1e-3  # share of the samples: a clip with more of them at its peak has been clipped
SHORT_S = 0.5  # too little for a score to be reliable
OPPOSITE = 0.1  # of the energy that the mean of unrelated channels keeps
NAMED = 4  # channels that one fact names; it counts the others
BLOCK = 1 << 16  # frames at a time: a copy of them stays in the processor's cache


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing worth knowing, with a code for programs and a text for people."""

    code: str
    text: str

    def __str__(self) -> str:
        return f"{self.code}: {self.text}"


class Sums(NamedTuple):
    """What one pass over the samples gives, each (channels,) float64."""

    low: np.ndarray
    high: np.ndarray
    mean: np.ndarray
    power: np.ndarray  # about the mean
    mixed_power: float  # of the mean of the channels, about its mean


def mixed(samples: np.ndarray) -> np.ndarray:
    """(frames, channels) -> (frames,): the mean of the channels, in the precision of the samples.

    >>> mixed(np.array([[0.25, 0.75], [1.0, 0.0]], np.float32))
    array([0.5, 0.5], dtype=float32)
    """
    channels = samples.shape[1]
    mix: np.ndarray = samples[:, 0]
    if channels >= 8:
        mix = samples.mean(axis=1)
    elif channels > 1:
        # NumPy's mean over so short an axis takes forty times as long, and gives the same to the last bit
        mix = mix + samples[:, 1]
        for channel in range(2, channels):
            mix += samples[:, channel]
        mix /= channels
    return mix


def signal_facts(samples: np.ndarray, sample_rate: int | None = None) -> tuple[Fact, ...]:
    """What about these samples may mislead a score: short, silent, dc, quiet, over range, clipped, opposite, no speech.

    Args:
        samples: (frames, channels), full scale = 1, finite.
        sample_rate: Hz; without it, neither length nor whether the mean of the channels is speech is judged.

    >>> [str(fact) for fact in signal_facts(np.zeros((8000, 1), np.float32))]
    ['silent: all samples are zero']
    """
    if len(samples) == 0:
        return ()
    sums = _sums(samples)
    peaks = np.maximum(-sums.low, sums.high)
    flat = _flat(samples, peaks) / len(samples)
    found: dict[str, dict[int, str]] = {}
    for channel in range(samples.shape[1]):
        for code, text in _of_channel(channel, sums, peaks, flat):
            found.setdefault(code, {})[channel] = text
    facts = [Fact(code, _told(texts, samples.shape[1])) for code, texts in found.items()]
    facts += _opposite(sums, samples.shape[1])
    if sample_rate and len(samples) < SHORT_S * sample_rate:
        seconds = len(samples) / sample_rate
        facts.append(Fact("short", f"{seconds:.3g} s; scores of clips under {SHORT_S:g} s are unreliable"))
    if sample_rate and not {fact.code for fact in facts} & {"silent", "opposite"}:
        facts += [Fact(code, text) for code, text in speech_missing(mixed(samples), sample_rate).items()]
    return tuple(facts)


def silence(mono: np.ndarray, facts: Iterable[Fact] = ()) -> str:
    """Why there is nothing to score in samples (frames,): all are equal, maybe as the channels cancel; else "".

    >>> silence(np.zeros(8000)), silence(np.array([0.1, 0.2]))
    ('silent: all samples are 0', '')
    """
    if mono.min() != mono.max():
        return ""
    cancelled = next((f"; {fact}" for fact in facts if fact.code == "opposite"), "")
    return f"silent: all samples are {mono[0]:.3g}{cancelled}"


def _of_channel(channel: int, sums: Sums, peaks: np.ndarray, flat: np.ndarray) -> list[tuple[str, str]]:
    """(code, text) of what is odd about one channel."""
    low, high, mean, peak = (float(v[channel]) for v in (sums.low, sums.high, sums.mean, peaks))
    if low == high:
        return [("silent", "all samples are zero" if low == 0 else f"all samples are {low:.3g}")]
    found = []
    if abs(mean) > DC:
        found.append(("dc", f"the mean is {mean:.2f}"))
    level = 10 * math.log10(max(float(sums.power[channel]), 1e-20))
    if level < QUIET_DB:
        found.append(("quiet", f"{level:.0f} dB of full scale"))
    if peak > OVER_RANGE:
        found.append(("over_range", f"the peak is {peak:.3g}, outside -1..1"))
    if flat[channel] > FLAT:
        found.append(("clipped", f"{100 * flat[channel]:.1f} % of the samples lie flat at the peak"))
    return found


def _told(texts: dict[int, str], channels: int) -> str:
    """One text for what some of the channels share, or have each in its own way.

    >>> _told({0: "quiet", 1: "quiet"}, 2), _told({1: "quiet"}, 2)
    ('quiet', 'channel 1: quiet')
    """
    if len(texts) == channels and len(set(texts.values())) == 1:
        return texts[0]
    told = [f"channel {channel}: {text}" for channel, text in texts.items()]
    more = [f"and {len(told) - NAMED} more channels"] if len(told) > NAMED else []
    return "; ".join(told[:NAMED] + more)


def _opposite(sums: Sums, channels: int) -> tuple[Fact, ...]:
    """Whether the channels cancel each other when they are mixed.

    The mean of n unrelated channels keeps 1/n of their mean power, that of equal ones all of it.
    """
    power = float(sums.power.mean())
    if channels == 1 or power <= 0 or sums.mixed_power >= OPPOSITE * power / channels:
        return ()
    loss = -10 * math.log10(max(sums.mixed_power / power, 1e-12))
    text = f"the channels cancel out: their mean is {loss:.0f} dB below them; take one channel instead"
    return (Fact("opposite", text),)


def _sums(samples: np.ndarray) -> Sums:
    frames, channels = samples.shape
    low, high = np.full(channels, np.inf), np.full(channels, -np.inf)
    total, energy = np.zeros(channels), np.zeros(channels)
    mixed_total = mixed_energy = 0.0
    for part in _parts(samples):
        np.minimum(low, part.min(axis=1), out=low)
        np.maximum(high, part.max(axis=1), out=high)
        exact = part.astype(np.float64)
        total += exact.sum(axis=1)
        energy += np.einsum("cn,cn->c", exact, exact)
        if channels > 1:
            mix = exact.mean(axis=0)
            mixed_total += float(mix.sum())
            mixed_energy += float(np.einsum("n,n->", mix, mix))
    mean = total / frames
    mixed_power = max(0.0, mixed_energy / frames - (mixed_total / frames) ** 2)
    return Sums(low, high, mean, np.maximum(energy / frames - mean**2, 0.0), mixed_power)


def _flat(samples: np.ndarray, peaks: np.ndarray) -> np.ndarray:
    """(channels,): how many samples lie at the peak, level with the one before, as on no sine's crest."""
    count = np.zeros(len(peaks), np.int64)
    last = np.full(len(peaks), np.inf, samples.dtype)
    for part in _parts(samples):
        for channel, peak in enumerate(peaks.tolist()):
            x = part[channel]
            at = np.flatnonzero(np.abs(x) >= 0.999 * peak)
            before = np.where(at > 0, x[at - 1], last[channel])
            count[channel] += np.count_nonzero(np.abs(x[at] - before) <= 1e-5 * peak)
        last = part[:, -1].copy()
    return count


def _parts(samples: np.ndarray) -> Iterator[np.ndarray]:
    """(channels, frames) parts of the samples, one after the other."""
    size = max(1, BLOCK // samples.shape[1])
    for start in range(0, len(samples), size):
        yield np.ascontiguousarray(samples[start : start + size].T)
