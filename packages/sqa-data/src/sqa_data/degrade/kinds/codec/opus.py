"""Opus (RFC 6716) by libopus, with the concealment and the forward error correction of its decoder."""

import ctypes
import functools
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from sqa_data.degrade.kinds.codec.frames import Codec, Coder, Frame, expect, taken
from sqa_data.degrade.kinds.codec.ways import coding_rate
from sqa_data.degrade.library import Library, held

STATE, DATA, INT, INT32, ERROR = (
    ctypes.c_void_p,
    ctypes.c_void_p,
    ctypes.c_int,
    ctypes.c_int32,
    ctypes.POINTER(ctypes.c_int),
)
OPUS = Library(
    "libopus0",
    ("libopus.so.0",),
    {
        "opus_encoder_create": (STATE, INT32, INT, INT, ERROR),
        "opus_encoder_destroy": (None, STATE),
        "opus_encoder_ctl": (INT, STATE, INT),  # ...
        "opus_encode": (INT32, STATE, DATA, INT, DATA, INT32),
        "opus_decoder_create": (STATE, INT32, INT, ERROR),
        "opus_decoder_destroy": (None, STATE),
        "opus_decode": (INT, STATE, ctypes.c_char_p, INT32, DATA, INT, INT),
    },
)
VOIP, SET_BITRATE, SET_FEC, SET_LOSS_PERCENT, GET_LOOKAHEAD = 2048, 4002, 4012, 4014, 4027
RATES = (8000, 12_000, 16_000, 24_000, 48_000)  # Hz
KBPS = (32.0, 24.0, 16.0, 12.0, 9.0)
FEC_KBPS = (32.0, 24.0, 20.0, 18.0)  # below, the encoder leaves the correction out of wideband speech
EXPECTED_LOSS = 20  # percent, what the encoder makes its error correction for


@contextmanager
def _opus(fec: bool, kbps: float, speech_rate: int) -> Iterator[Codec]:
    library = OPUS.open()
    rate = coding_rate(RATES, speech_rate)
    size, error, buffer = rate // 50, ctypes.c_int(), ctypes.create_string_buffer(1275)
    held_back: list[bytes | None] = [None]  # with error correction the decoder waits for the next packet
    with (
        held(library.opus_encoder_create(rate, 1, VOIP, error), library.opus_encoder_destroy) as encoder,
        held(library.opus_decoder_create(rate, 1, error), library.opus_decoder_destroy) as decoder,
    ):

        def control(what: int, value: int) -> None:
            expect(library.opus_encoder_ctl(encoder, what, INT32(value)), 0, f"opus_encoder_ctl {what}")

        def encode(frame: Frame) -> bytes:
            return taken(buffer, library.opus_encode(encoder, frame.ctypes.data, size, buffer, len(buffer)))

        def decoded(packet: bytes | None, corrects: bool = False) -> Frame:
            out = np.zeros(size, np.int16)
            bytes_in = 0 if packet is None else len(packet)
            found = library.opus_decode(decoder, packet, bytes_in, out.ctypes.data, size, int(corrects))
            expect(found, size, "opus_decode")
            return out

        def decode_late(packet: bytes | None) -> Frame:
            now, held_back[0] = held_back[0], packet
            return decoded(packet, corrects=True) if now is None and packet is not None else decoded(now)

        control(SET_BITRATE, round(1000 * kbps))
        if fec:
            control(SET_FEC, 1)
            control(SET_LOSS_PERCENT, EXPECTED_LOSS)
        ahead = INT32()
        expect(library.opus_encoder_ctl(encoder, GET_LOOKAHEAD, ctypes.byref(ahead)), 0, "OPUS_GET_LOOKAHEAD")
        delay = ahead.value + (size if fec else 0)
        yield Codec(rate, size, delay, encode, decode_late if fec else decoded)


CODERS = {
    "opus": Coder((OPUS,), KBPS, functools.partial(_opus, False)),
    "opus-fec": Coder((OPUS,), FEC_KBPS, functools.partial(_opus, True)),
}
