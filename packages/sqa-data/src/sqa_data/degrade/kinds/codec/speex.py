"""Speex (RFC 5574) narrowband and wideband, by libspeex."""

import ctypes
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from sqa_data.degrade.kind import NARROW
from sqa_data.degrade.kinds.codec.frames import Codec, Coder, Frame, expect, taken, walked
from sqa_data.degrade.library import Library, held


class Bits(ctypes.Structure):
    """SpeexBits of speex_bits.h."""

    _fields_ = (
        ("chars", ctypes.c_void_p),
        *((name, ctypes.c_int) for name in ("bits", "char", "bit", "owner", "overflow", "size", "reserved")),
        ("reserved2", ctypes.c_void_p),
    )


STATE, DATA, INT, BITS, NUMBER = (
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.POINTER(Bits),
    ctypes.POINTER(ctypes.c_int),
)
SPEEX = Library(
    "libspeex1",
    ("libspeex.so.1",),
    {
        "speex_lib_get_mode": (ctypes.c_void_p, INT),
        "speex_encoder_init": (STATE, ctypes.c_void_p),
        "speex_encoder_destroy": (None, STATE),
        "speex_encoder_ctl": (INT, STATE, INT, NUMBER),
        "speex_encode_int": (INT, STATE, DATA, BITS),
        "speex_decoder_init": (STATE, ctypes.c_void_p),
        "speex_decoder_destroy": (None, STATE),
        "speex_decoder_ctl": (INT, STATE, INT, NUMBER),
        "speex_decode_int": (INT, STATE, BITS, DATA),
        "speex_bits_init": (None, BITS),
        "speex_bits_destroy": (None, BITS),
        "speex_bits_reset": (None, BITS),
        "speex_bits_read_from": (None, BITS, ctypes.c_char_p, INT),
        "speex_bits_write": (INT, BITS, DATA, INT),
    },
)
GET_FRAME_SIZE, SET_QUALITY, GET_LOOKAHEAD = 3, 4, 39

# kbit/s -> quality; the others share the rate of one of these
NB_QUALITY = {24.6: 10, 18.2: 9, 15.0: 8, 11.0: 6, 8.0: 4, 5.95: 2, 3.95: 1, 2.15: 0}
WB_QUALITY = {
    42.2: 10,
    34.2: 9,
    27.8: 8,
    23.8: 7,
    20.6: 6,
    16.8: 5,
    12.8: 4,
    9.8: 3,
    7.75: 2,
    5.75: 1,
    3.95: 0,
}


@contextmanager
def _speex(rate: int, mode: int, quality: Mapping[float, int], kbps: float, _: int) -> Iterator[Codec]:
    library = SPEEX.open()
    kind = library.speex_lib_get_mode(mode)
    bits, buffer = Bits(), ctypes.create_string_buffer(256)
    library.speex_bits_init(bits)
    with (
        held(ctypes.addressof(bits), lambda _: library.speex_bits_destroy(bits)),
        held(library.speex_encoder_init(kind), library.speex_encoder_destroy) as encoder,
        held(library.speex_decoder_init(kind), library.speex_decoder_destroy) as decoder,
    ):

        def encode(frame: Frame) -> bytes:
            library.speex_bits_reset(bits)
            library.speex_encode_int(encoder, frame.ctypes.data, bits)
            return taken(buffer, library.speex_bits_write(bits, buffer, len(buffer)))

        def decode(packet: bytes | None) -> Frame:
            out = np.zeros(rate // 50, np.int16)
            if packet is not None:
                library.speex_bits_read_from(bits, packet, len(packet))
            found = library.speex_decode_int(decoder, None if packet is None else bits, out.ctypes.data)
            expect(found, 0, "speex_decode_int")
            return out

        expect(
            library.speex_encoder_ctl(encoder, SET_QUALITY, ctypes.c_int(quality[kbps])),
            0,
            "SPEEX_SET_QUALITY",
        )
        ask = functools.partial(_ask, library.speex_encoder_ctl, encoder)
        expect(ask(GET_FRAME_SIZE), rate // 50, "SPEEX_GET_FRAME_SIZE")
        delay = ask(GET_LOOKAHEAD) + _ask(library.speex_decoder_ctl, decoder, GET_LOOKAHEAD)
        yield Codec(rate, rate // 50, delay, encode, decode)


def _ask(ctl: Callable[[int, int, ctypes.c_int], int], state: int, what: int) -> int:
    """A number that a state tells of itself."""
    number = ctypes.c_int()
    expect(ctl(state, what, number), 0, f"Speex's control {what}")
    return number.value


CODERS = {
    "speex-nb": Coder((SPEEX,), tuple(NB_QUALITY), functools.partial(_speex, 8000, 0, NB_QUALITY), NARROW),
    "speex-wb": Coder((SPEEX,), tuple(WB_QUALITY), functools.partial(_speex, 16_000, 1, WB_QUALITY)),
}

KINDS = walked(CODERS)
