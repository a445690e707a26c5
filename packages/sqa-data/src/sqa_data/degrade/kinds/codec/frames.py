"""Codecs of frames: one loop that frames, encodes, loses packets, decodes, and undoes the delay.

A decoder that keeps its state is told of a lost packet and conceals it with what its authors thought fit: that is what
one hears in a call, and what no treatment of decoded samples gives.
"""

import ctypes
import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from sqa_data.degrade.kind import Act, Family, Kind, Settings, Surroundings, World
from sqa_data.degrade.kinds.codec.ways import Coded, carried, step
from sqa_data.degrade.library import Library
from sqa_data.degrade.signal import Samples, fit
from sqa_data.errors import DataError

Frame = np.ndarray  # (size,) int16, C-contiguous
Decode = Callable[[bytes | None], Frame]  # None: the packet is lost, conceal it
FULL_SCALE = 32767


@dataclass(frozen=True)
class Codec:
    """One encoder and one decoder with the state that they keep."""

    rate: int  # Hz
    size: int  # samples of a frame: what one packet holds
    delay: int  # samples from what goes in to what comes out
    encode: Callable[[Frame], bytes]
    decode: Decode


@dataclass(frozen=True)
class Coder:
    """A way to code: the library it takes, its bit rates, and a codec at one of them while a clip lasts."""

    libraries: Sequence[Library]
    kbps: Sequence[float]  # nominal, best first
    open: Callable[[float, int], AbstractContextManager[Codec]]  # by bit rate and rate of the speech in Hz
    mildest: str = ""  # see `Kind.mildest`

    def missing(self, around: Surroundings) -> str | None:
        """What it lacks here, if anything."""
        return next(filter(None, (library.missing() for library in self.libraries)), None)


def through(x: Samples, rate: int, codec: Codec, lost: np.ndarray | None = None) -> Coded:
    """Through a codec and back, in time and as long as `x`; with the bit rate it took (kbit/s).

    `lost`: (packets,) which do not arrive; those that are sent after the end of `x` all do.
    """

    def by_frames(coded: Samples, at: int) -> Coded:
        count = math.ceil((len(coded) + codec.delay) / codec.size)
        pcm = np.rint(fit(coded, count * codec.size) * FULL_SCALE).astype(np.int16)
        packets = [codec.encode(frame) for frame in pcm.reshape(count, codec.size)]
        gone = fit(np.zeros(0, bool) if lost is None else lost, count)
        heard = [
            codec.decode(None if missed else packet) for packet, missed in zip(packets, gone, strict=True)
        ]
        decoded = fit(np.concatenate(heard)[codec.delay :], len(coded)) / FULL_SCALE
        return decoded, 8 * sum(map(len, packets)) / (count * codec.size / at) / 1000

    return carried(x, rate, codec.rate, by_frames)


def repeating(decode: Decode, most: int) -> Decode:
    """A decoder that plays the last packet again for up to `most` losses in a row, then what `decode` makes of them."""
    last: bytes | None = None
    run = 0

    def decoded(packet: bytes | None) -> Frame:
        nonlocal last, run
        last, run = (last, run + 1) if packet is None else (packet, 0)
        return decode(last if run <= most else None)

    return decoded


def taken(buffer: ctypes.Array[ctypes.c_char], size: int) -> bytes:
    """The packet that a library has written: `size` bytes, by its word. Raises `DataError` if that cannot be."""
    if not 0 < size <= len(buffer):
        raise DataError(f"a codec's library reports {size} bytes for a packet; expected 1 to {len(buffer)}")
    return buffer.raw[:size]


def expect(found: int, expected: int, call: str) -> None:
    """Raise `DataError` unless a library's call returned what its header says."""
    if found != expected:
        raise DataError(
            f"{call} returned {found}; expected {expected}: not the version of the library expected"
        )


def _walk(coder: Coder) -> Act:
    def act(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        nominal = step(coder.kbps, severity)
        with coder.open(nominal, world.rate) as codec:
            y, kbps = through(x, world.rate, codec)
        return y, {"kbps": kbps, "mode": nominal, "rate_hz": codec.rate}

    return act


def walked(coders: dict[str, Coder]) -> dict[str, Kind]:
    """Kinds without losses: the harder, the lower the bit rate."""
    return {
        name: Kind(Family.CODEC, _walk(coder), coder.missing, coder.mildest) for name, coder in coders.items()
    }
