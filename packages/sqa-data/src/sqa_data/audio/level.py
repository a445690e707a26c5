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
NOTHING = 1e-30  # what is left of a past that no double can tell


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
    """(frames,): the rectified signal, smoothed exponentially twice.

    p[n] = keep * p[n - 1] + (1 - keep) * |x[n]|, and the envelope q of p alike, both by blocks: NumPy has no recursive
    filter. A block needs of the past only the last p and q.
    """
    keep = math.exp(-1 / (sample_rate * SMOOTHING_S))
    blocks = np.zeros((-(-len(samples) // BLOCK), BLOCK + 2))
    rectified, p_before, q_before = blocks[:, :BLOCK], blocks[:, BLOCK], blocks[:, BLOCK + 1]
    np.abs(np.pad(samples, (0, -len(samples) % BLOCK)).reshape(-1, BLOCK), out=rectified)
    time = np.arange(BLOCK)
    once, twice = (1 - keep) * keep**time, (1 - keep) ** 2 * (time + 1) * keep**time  # impulse responses
    fade = keep ** (time + 1)
    echo = (1 - keep) * (time + 1) * fade  # in q of the p before
    p_before[:] = _decayed(rectified @ once[::-1], fade[-1])
    q_before[:] = _decayed(rectified @ twice[::-1] + echo[-1] * p_before, fade[-1])
    ages = np.subtract.outer(time, time)  # (to, from) in samples
    inside = np.where(ages >= 0, twice[np.maximum(ages, 0)], 0)
    envelope: np.ndarray = (blocks @ np.column_stack([inside, echo, fade]).T).reshape(-1)[: len(samples)]
    return envelope


def _decayed(ends: np.ndarray, fade: float) -> np.ndarray:
    """(blocks,): what each block finds of those before it, each adding its end and fading what it found."""
    found, step = np.concatenate([[0.0], ends[:-1]]), 1
    while step < len(found) and fade > NOTHING:  # after each turn, what the last 2, 4, 8, ... blocks left
        found[step:] += fade * found[:-step]
        step, fade = 2 * step, fade * fade
    return found


def _active_samples(envelope: np.ndarray, hangover: int) -> np.ndarray:
    """(thresholds,): how many samples are at or above each threshold, or at most `hangover` samples after such one."""
    # thresholds are powers of two: the exponent of a sample says how many it reaches, for a while the same
    reached = np.frexp(np.maximum(envelope, THRESHOLDS[0] / 2))[1] + len(THRESHOLDS)
    starts = np.append(0, np.flatnonzero(reached[1:] != reached[:-1]) + 1)[: len(reached)]
    stops = np.append(starts[1:], len(reached))[: len(starts)]
    above = reached[starts] >= np.arange(1, len(THRESHOLDS) + 1)[:, None]
    active_until = np.maximum.accumulate(np.where(above, stops + hangover, 0), axis=1)
    counts: np.ndarray = np.maximum(np.minimum(stops, active_until) - starts, 0).sum(axis=1)
    return counts


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
