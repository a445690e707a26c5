"""Time that runs unevenly: speech played sooner or later than it was sent."""

import math

import numpy as np

from sqa_data.degrade.signal import Samples

HOP_S = 0.01
REACH_S = 0.0075  # that a piece may be moved to fit: half a pitch period of a low voice
TAPS = 32


def delayed(x: Samples, rate: int, delay: np.ndarray) -> tuple[Samples, np.ndarray]:
    """Speech that comes later by a delay that changes, without a change of its pitch.

    Waveform-similarity overlap-add (WSOLA, Verhelst and Roelands 1993): pieces of 20 ms are taken from where they go on
    best near where the delay wants them. Where the delay is 0, so is that of the result.

    Args:
        x: (samples,) the speech.
        rate: its rate in Hz.
        delay: (samples,) the wanted delay in samples.

    Returns:
        As many samples, and the delay of each piece of 10 ms as it came out (in samples).
    """
    hop, reach = max(1, round(HOP_S * rate)), round(REACH_S * rate)
    count = math.ceil(len(x) / hop) + 1
    margin = 2 * hop + reach + math.ceil(float(np.abs(delay).max()))
    padded = np.pad(x, margin)  # what is at t in x is at t + margin
    window = np.sin(np.pi * (np.arange(2 * hop) + 0.5) / (2 * hop)) ** 2
    out, found = np.zeros((count + 1) * hop), np.zeros(count)
    start = margin - hop
    for piece in range(count):
        wanted = delay[min(piece * hop, len(x) - 1)]
        nominal = margin + (piece - 1) * hop - round(wanted)
        natural = start + hop
        if piece == 0 or wanted == 0:
            start = nominal
        elif abs(natural - nominal) <= reach:
            start = natural
        else:
            start = nominal - reach + _best(padded[nominal - reach : nominal + reach + 2 * hop],
                                            padded[natural : natural + 2 * hop])  # fmt: skip
        out[piece * hop : (piece + 2) * hop] += padded[start : start + 2 * hop] * window
        found[piece] = margin + (piece - 1) * hop - start
    return out[hop : hop + len(x)], found


def _best(where: Samples, like: Samples) -> int:
    """The offset at which a signal resembles another one most, by normalised correlation."""
    energy = np.concatenate([[0.0], np.cumsum(where**2)])
    energy = energy[len(like) :] - energy[: -len(like)]
    return int(np.argmax(np.correlate(where, like, "valid") / np.sqrt(np.maximum(energy, 1e-12))))


def sampled_at(x: Samples, positions: np.ndarray) -> Samples:
    """A signal between its samples (zeros around it), by a windowed sinc of 32 taps; positions are in samples."""
    base = np.floor(positions).astype(int)
    offsets = np.arange(1 - TAPS // 2, TAPS // 2 + 1)
    away = (positions - base)[:, None] - offsets
    weights = np.sinc(away) * np.cos(np.pi * away / (TAPS + 2)) ** 2
    padded = np.pad(x, TAPS)
    at = np.clip(base[:, None] + offsets + TAPS, 0, len(padded) - 1)
    sampled: Samples = np.einsum("nt,nt->n", weights, padded[at])
    return sampled
