"""The level of speech without its pauses: ITU-T P.56, method B, and setting it as sv56demo of ITU-T G.191 does.

Levels are in dBov: 0 is the power of samples that are all at full scale.
"""

import math

import numpy as np

SMOOTHING_S = 0.03  # time constant of the envelope, of each of its two stages
HANGOVER_S = 0.2  # after the envelope fell below a threshold, so long is still active
MARGIN_DB = 15.9  # of the active level over the threshold that tells speech from pause
THRESHOLDS = 0.5 ** np.arange(15, 0, -1)  # of the envelope: 2**-15 to 1/2

SV56_TOLERANCE_DB = 0.5  # sv56 is content with a margin so far from the one that P.56 asks for
SV56_SILENCE_DBOV = -100.0  # what sv56 takes for the level of a clip without speech

BLOCK = 32  # samples that are smoothed by one product of matrices


def active_level(samples: np.ndarray, sample_rate: float, *, as_sv56: bool = False) -> float:
    """Active speech level of mono samples by method B of ITU-T P.56.

    Args:
        samples: (frames,) floats, full scale = 1.
        sample_rate: Hz.
        as_sv56: end the search for the level where sv56 of ITU-T G.191 ends it, up to 0.5 dB beside what P.56
            defines. Whoever wants the bytes of its users needs that.

    Returns:
        dBov; -inf where nothing is active.

    >>> tone = np.sin(2 * np.pi * 440 / 16000 * np.arange(16000))
    >>> speech = np.concatenate([tone, np.zeros(48000)])  # one second of four; it fades for 0.2 s and more
    >>> round(active_level(speech, 16000), 2), round(10 * math.log10(np.mean(speech**2)), 2)
    (-4.07, -9.03)
    """
    samples = np.asarray(samples, dtype=np.float64)
    if samples.ndim != 1 or not sample_rate > 0:
        raise ValueError(f"samples have shape {samples.shape}, rate {sample_rate}; expected mono and Hz")
    active = _active_samples(_envelope(samples, sample_rate), math.floor(HANGOVER_S * sample_rate + 0.5))
    heard = active > 0
    levels = 10 * np.log10(np.sum(samples**2) / active[heard])
    excess = levels - 20 * np.log10(THRESHOLDS[heard]) - MARGIN_DB
    if not heard[0] or excess[0] < 0:
        return -math.inf
    met = np.flatnonzero(excess[1:] <= 0)
    if len(met) == 0:
        return -math.inf
    points = np.stack([levels, excess], axis=1)[met[0] : met[0] + 2]
    if as_sv56:
        return _where_sv56_ends(*points)
    (low, over), (high, under) = points
    return float(low + (high - low) * over / (over - under))


def with_active_level(pcm: np.ndarray, sample_rate: float, dbov: float = -26.0) -> np.ndarray:
    """16-bit samples scaled to an active level, to the same bytes as `sv56demo -lev DBOV` of ITU-T G.191 gives.

    The gain is a float32, samples are cut towards zero, and those beyond full scale are cut off. A clip without
    speech gets what sv56demo gives it: the gain of a level of -100 dBov.

    Args:
        pcm: (frames,) int16.
        sample_rate: Hz.
        dbov: the level to set.

    Returns:
        (frames,) int16.
    """
    samples = pcm.astype(np.float32) / np.float32(32768)
    level = max(active_level(samples, sample_rate, as_sv56=True), SV56_SILENCE_DBOV)
    gain = np.float32(10 ** ((dbov - level) / 20))
    scaled: np.ndarray = np.clip(samples * gain * np.float32(32768), -32768, 32767).astype(np.int16)
    return scaled


def _envelope(samples: np.ndarray, sample_rate: float) -> np.ndarray:
    """(frames,): the rectified signal, smoothed exponentially twice."""
    keep = math.exp(-1 / (sample_rate * SMOOTHING_S))
    return _smoothed(_smoothed(np.abs(samples), keep), keep)


def _smoothed(signal: np.ndarray, keep: float) -> np.ndarray:
    """y[n] = keep * y[n - 1] + (1 - keep) * signal[n], by blocks: NumPy has no recursive filter."""
    blocks = np.pad(signal, (0, -len(signal) % BLOCK)).reshape(-1, BLOCK)
    fade = keep ** np.arange(BLOCK + 1)
    ages = np.subtract.outer(np.arange(BLOCK), np.arange(BLOCK))  # (to, from) in samples
    inside = blocks @ np.where(ages >= 0, (1 - keep) * fade[np.maximum(ages, 0)], 0).T
    before, last = [], 0.0  # the last value of the block before
    for end in inside[:, -1].tolist():
        before.append(last)
        last = end + float(fade[BLOCK]) * last
    smoothed: np.ndarray = (inside + np.outer(before, fade[1:])).reshape(-1)[: len(signal)]
    return smoothed


def _active_samples(envelope: np.ndarray, hangover: int) -> np.ndarray:
    """(thresholds,): how many samples are at or above each threshold, or at most `hangover` samples after such one."""
    counts = []
    for threshold in THRESHOLDS:
        above = envelope >= threshold
        changes = np.flatnonzero(above[1:] != above[:-1]) + 1
        falls = changes[above[changes - 1]]
        rises = changes[above[changes]]
        # a pause ends where the envelope rises again, or with the clip
        ends = np.append(rises, len(envelope))[0 if above[:1].all() else 1 :]
        counts.append(
            int(np.count_nonzero(above)) + int(np.minimum(ends[: len(falls)] - falls, hangover).sum())
        )
    return np.array(counts)


def _where_sv56_ends(lower: np.ndarray, upper: np.ndarray) -> float:
    """The level that sv56 takes between two thresholds, each given as (level, margin over 15.9 dB), in dB.

    An end that is near enough is taken. Else it starts in the middle and halves the way to one end until the margin is
    near enough, or passed: it does not turn back.
    """
    for level, excess in (upper, lower):
        if abs(excess) < SV56_TOLERANCE_DB:
            return float(level)
    at = (lower + upper) / 2
    end, sign = (upper, 1) if at[1] > 0 else (lower, -1)
    while sign * at[1] > SV56_TOLERANCE_DB:
        at = (at + end) / 2
    return float(at[0])
