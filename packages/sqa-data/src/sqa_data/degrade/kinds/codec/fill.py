"""Concealment for decoders that have none: the last pitch period again and again, fading.

The idea of ITU-T G.711 Appendix I and of the Hands-Free Profile for wideband speech, at any rate and length of frames.
"""

from collections.abc import Callable

import numpy as np

from sqa_data.degrade.kinds.codec.frames import Decode, Frame
from sqa_data.degrade.signal import Samples

HISTORY_S = 0.06  # of the past, where a pitch is sought
HELD_S, FADED_S = 0.01, 0.06  # into a gap: as loud as before, and silent


class PitchFill:
    """What a receiver plays: frames as they come, and what it makes up for those that do not."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.past = np.zeros(round(HISTORY_S * rate))
        self.cycle = np.zeros(1)
        self.gone = 0  # samples of the gap so far

    def came(self, frame: Samples) -> Samples:
        """A frame that came; after a gap, what was made up fades into its first quarter of a period."""
        frame = frame.astype(np.float64)
        if self.gone:
            overlap = min(len(self.cycle) // 4, len(frame))
            fade = np.linspace(0, 1, overlap, endpoint=False)
            frame[:overlap] = frame[:overlap] * fade + self._made_up(overlap) * (1 - fade)
            self.gone = 0
        return self._remembered(frame)

    def lost(self, size: int) -> Samples:
        """What is played for a lost frame of so many samples."""
        if not self.gone:
            period = pitch_period(self.past, self.rate)
            quarter = period // 4
            fade = np.linspace(0, 1, quarter, endpoint=False)
            before, self.cycle = self.past[-period - quarter : -period], self.past[-period:].copy()
            self.cycle[period - quarter :] *= 1 - fade
            self.cycle[period - quarter :] += before * fade  # it goes round without a click
        made = self._made_up(size)
        self.gone += size
        return self._remembered(made)

    def _made_up(self, size: int) -> Samples:
        at = self.gone + np.arange(size)
        loudness = np.clip((FADED_S - at / self.rate) / (FADED_S - HELD_S), 0.0, 1.0)
        return np.asarray(self.cycle[at % len(self.cycle)] * loudness)

    def _remembered(self, frame: Samples) -> Samples:
        self.past = np.concatenate([self.past, frame])[-len(self.past) :]
        return frame


def filled(decode: Callable[[bytes], Frame], rate: int, size: int) -> Decode:
    """A decoder that makes up the frames whose packets are lost."""
    receiver = PitchFill(rate)

    def decoded(packet: bytes | None) -> Frame:
        played = receiver.lost(size) if packet is None else receiver.came(decode(packet))
        return np.asarray(np.rint(played), np.int16)

    return decoded


def pitch_period(history: Samples, rate: int) -> int:
    """The lag (66 to 400 Hz) where the recent past resembles itself most."""
    low, high = rate // 400, rate // 66
    tail = history[-high:]
    # what lies `low` to `high` samples before the tail
    before = np.lib.stride_tricks.sliding_window_view(history[-2 * high : -low], high)[::-1]
    power = np.einsum("ij,ij->i", before, before)
    return low + int(np.argmax(before @ tail / np.sqrt(power + 1e-12)))
