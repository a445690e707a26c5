"""AMR narrowband and wideband (3GPP TS 26.071, 26.171), by opencore-amr and vo-amrwbenc."""

import ctypes
import dataclasses
import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np

from sqa_data.degrade.kind import NARROW
from sqa_data.degrade.kinds.codec.frames import Codec, Coder, Frame, repeating, taken, walked
from sqa_data.degrade.library import Library, held

STATE, DATA, INT = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int
NB = Library(
    "libopencore-amrnb0",
    ("libopencore-amrnb.so.0",),
    {
        "Encoder_Interface_init": (STATE, INT),
        "Encoder_Interface_Encode": (INT, STATE, INT, DATA, DATA, INT),
        "Encoder_Interface_exit": (None, STATE),
        "Decoder_Interface_init": (STATE,),
        "Decoder_Interface_Decode": (None, STATE, DATA, DATA, INT),
        "Decoder_Interface_exit": (None, STATE),
    },
)
WB_ENCODER = Library(
    "libvo-amrwbenc0",
    ("libvo-amrwbenc.so.0",),
    {"E_IF_init": (STATE,), "E_IF_encode": (INT, STATE, INT, DATA, DATA, INT), "E_IF_exit": (None, STATE)},
)
WB_DECODER = Library(
    "libopencore-amrwb0",
    ("libopencore-amrwb.so.0",),
    {"D_IF_init": (STATE,), "D_IF_decode": (None, STATE, DATA, DATA, INT), "D_IF_exit": (None, STATE)},
)
NB_KBPS = (12.2, 10.2, 7.95, 7.4, 6.7, 5.9, 5.15, 4.75)
WB_KBPS = (23.85, 23.05, 19.85, 18.25, 15.85, 14.25, 12.65, 8.85, 6.6)

# the header of a frame (RFC 4867, 5.3): its type in bits 3 to 6, and that it is good
GOOD = 4
NO_DATA = bytes([15 << 3 | GOOD])  # the decoder conceals it
REPEATS = 2
LONGEST = 64  # bytes: more than any mode takes


def _codec(
    rate: int,
    delay: int,
    mode: int,
    encode: Callable[[int, int, bytes | ctypes.Array[ctypes.c_char], int], int],
    decode: Callable[[bytes, int, int], object],
) -> Codec:
    """What both have in common: 20 ms, and a header that says the mode."""
    buffer = ctypes.create_string_buffer(LONGEST)
    header = bytes([mode << 3 | GOOD])

    def encoded(frame: Frame) -> bytes:
        return taken(buffer, encode(mode, frame.ctypes.data, buffer, 0))[1:]

    def decoded(packet: bytes | None) -> Frame:
        out = np.zeros(rate // 50, np.int16)
        decode(NO_DATA if packet is None else header + packet, out.ctypes.data, 0)
        return out

    return Codec(rate, rate // 50, delay, encoded, decoded)


@contextmanager
def _narrowband(kbps: float, rate: int) -> Iterator[Codec]:
    library, mode = NB.open(), NB_KBPS[::-1].index(kbps)
    with (
        held(library.Encoder_Interface_init(0), library.Encoder_Interface_exit) as encoder,
        held(library.Decoder_Interface_init(), library.Decoder_Interface_exit) as decoder,
    ):
        encode = functools.partial(library.Encoder_Interface_Encode, encoder)
        decode = functools.partial(library.Decoder_Interface_Decode, decoder)
        yield _codec(8000, 40, mode, encode, decode)


@contextmanager
def _wideband(kbps: float, rate: int) -> Iterator[Codec]:
    encoders, decoders, mode = WB_ENCODER.open(), WB_DECODER.open(), WB_KBPS[::-1].index(kbps)
    with (
        held(encoders.E_IF_init(), encoders.E_IF_exit) as encoder,
        held(decoders.D_IF_init(), decoders.D_IF_exit) as decoder,
    ):
        encode = functools.partial(encoders.E_IF_encode, encoder)
        decode = functools.partial(decoders.D_IF_decode, decoder)
        codec = _codec(16_000, 95, mode, encode, decode)
        # the library takes the median of past gains for a lost frame, but does not keep them: what it plays is near
        # silence and worse than silence, by PESQ. So its last packet comes again before that
        yield dataclasses.replace(codec, decode=repeating(codec.decode, REPEATS))


CODERS = {
    "amr-nb": Coder((NB,), NB_KBPS, _narrowband, NARROW),
    "amr-wb": Coder((WB_ENCODER, WB_DECODER), WB_KBPS, _wideband),
}

KINDS = walked(CODERS)
