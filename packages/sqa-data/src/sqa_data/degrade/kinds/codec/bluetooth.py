"""Speech over classic Bluetooth: CVSD of the core specification, and mSBC of the Hands-Free Profile by libsbc."""

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from sqa_data.audio.resampling import resampled
from sqa_data.degrade.kind import NARROW, Family, Kind, Settings, World
from sqa_data.degrade.kinds.codec.fill import filled
from sqa_data.degrade.kinds.codec.frames import FULL_SCALE, Codec, Coder, Frame, expect
from sqa_data.degrade.kinds.codec.ways import Coded, carried
from sqa_data.degrade.library import Library, held
from sqa_data.degrade.signal import Samples, fit


class Sbc(ctypes.Structure):
    """sbc_t of sbc.h."""

    _fields_ = (
        ("flags", ctypes.c_ulong),
        *((name, ctypes.c_uint8) for name in ("frequency", "blocks", "subbands", "mode")),
        *((name, ctypes.c_uint8) for name in ("allocation", "bitpool", "endian")),
        ("state", ctypes.c_void_p),
        ("allocated", ctypes.c_void_p),
    )


STATE, DATA, SIZE = ctypes.POINTER(Sbc), ctypes.c_void_p, ctypes.c_size_t
CODE = (ctypes.c_ssize_t, STATE, DATA, SIZE, DATA, SIZE, ctypes.POINTER(ctypes.c_ssize_t))
SBC = Library(
    "libsbc1",
    ("libsbc.so.1",),
    {
        "sbc_init_msbc": (ctypes.c_int, STATE, ctypes.c_ulong),
        "sbc_finish": (None, STATE),
        "sbc_encode": CODE,
        "sbc_decode": CODE,
    },
)
FRAME, PACKET = 120, 57  # samples at 16 kHz, bytes


@contextmanager
def _side(library: ctypes.CDLL) -> Iterator[Sbc]:
    """An encoder or a decoder: the library's state is one for either."""
    sbc = Sbc()
    expect(library.sbc_init_msbc(sbc, 0), 0, "sbc_init_msbc")
    with held(ctypes.addressof(sbc), lambda _: library.sbc_finish(sbc)):
        yield sbc


@contextmanager
def _msbc(kbps: float, rate: int) -> Iterator[Codec]:
    """The library conceals nothing: the profile leaves that to the receiver."""
    library = SBC.open()
    buffer, written = ctypes.create_string_buffer(PACKET), ctypes.c_ssize_t()

    def encode(frame: Frame) -> bytes:
        library.sbc_encode(encoder, frame.ctypes.data, 2 * FRAME, buffer, PACKET, written)
        expect(written.value, PACKET, "sbc_encode")
        return buffer.raw

    def decode(packet: bytes) -> Frame:
        out = np.zeros(FRAME, np.int16)
        library.sbc_decode(decoder, packet, PACKET, out.ctypes.data, 2 * FRAME, written)
        expect(written.value, 2 * FRAME, "sbc_decode")
        return out

    with _side(library) as encoder, _side(library) as decoder:
        yield Codec(16_000, FRAME, 73, encode, filled(decode, 16_000, FRAME))


# Bluetooth Core Specification, volume 2, part B, 9.2: in steps of 16-bit samples
CVSD_RATE = 64_000  # bit/s, and Hz of the samples
DECAY, SHRINK = 1 - 1 / 32, 1 - 1 / 1024
LEAST, MOST, LIMIT = 10.0, 1280.0, 32767.0
EQUAL = 4  # bits in a row from which the step grows


def follow(targets: Sequence[float]) -> tuple[np.ndarray, Samples]:
    """The bits that say whether each target is above the estimate, and the estimate after each bit.

    That is the encoder; with targets of plus and minus infinity for the bits received it is the decoder.
    """
    bits, heard = [], []
    estimate, step, run, last = 0.0, LEAST, 0, False
    for target in targets:
        up = target >= estimate
        run = run + 1 if up == last else 1
        last = up
        step = min(step + LEAST, MOST) if run >= EQUAL else max(step * SHRINK, LEAST)
        reached = min(estimate + step, LIMIT) if up else max(estimate - step, -LIMIT)
        estimate = DECAY * reached
        bits.append(up)
        heard.append(estimate)
    return np.array(bits, bool), np.array(heard)


def _cvsd(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    share = 0.0

    def coded(narrow: Samples, rate: int) -> Coded:
        nonlocal share
        sent, _ = follow((resampled(narrow, rate, CVSD_RATE) * FULL_SCALE).tolist())
        wrong = (
            world.rng.random(len(sent)) < 1e-4 * 500**severity
        )  # 0.01 % to 5 %: nothing protects its packets
        share = float(wrong.mean())
        _, heard = follow(np.where(sent ^ wrong, np.inf, -np.inf).tolist())
        return fit(resampled(heard / FULL_SCALE, CVSD_RATE, rate), len(narrow)), CVSD_RATE / 1000

    y, kbps = carried(x, world.rate, 8000, coded)
    return y, {"kbps": kbps, "bit_errors": share, "rate_hz": 8000}


# without losses it is near transparent, so that it is no kind of its own
MSBC = Coder((SBC,), (60.8,), _msbc)
KINDS = {"cvsd": Kind(Family.CODEC, _cvsd, mildest=NARROW)}
