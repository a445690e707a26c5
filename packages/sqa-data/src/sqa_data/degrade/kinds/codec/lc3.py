"""LC3, the codec of Bluetooth LE Audio, by liblc3: frames of 10 ms, with the concealment of its decoder."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from sqa_data.degrade.kinds.codec.frames import Codec, Coder, Frame, expect, walked
from sqa_data.degrade.kinds.codec.ways import coding_rate
from sqa_data.degrade.library import Library

STATE, DATA, INT = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int
LC3 = Library(
    "liblc3-1 (Debian 12: liblc3-0)",
    ("liblc3.so.1", "liblc3.so.0"),
    {
        "lc3_delay_samples": (INT, INT, INT),
        "lc3_encoder_size": (ctypes.c_uint, INT, INT),
        "lc3_setup_encoder": (STATE, INT, INT, INT, DATA),
        "lc3_encode": (INT, STATE, INT, DATA, INT, INT, DATA),
        "lc3_decoder_size": (ctypes.c_uint, INT, INT),
        "lc3_setup_decoder": (STATE, INT, INT, INT, DATA),
        "lc3_decode": (INT, STATE, DATA, INT, INT, DATA, INT),
    },
)
RATES = (8000, 16_000, 24_000, 32_000, 48_000)  # Hz
KBPS = (64.0, 48.0, 40.0, 32.0, 24.0, 20.0, 16.0)
FRAME_US = 10_000
INT16 = 0  # LC3_PCM_FORMAT_S16


@contextmanager
def _lc3(kbps: float, speech_rate: int) -> Iterator[Codec]:
    library = LC3.open()
    rate = coding_rate(RATES, speech_rate)
    size, room = rate // 100, round(kbps * 1000 * FRAME_US / 8e6)
    buffer = ctypes.create_string_buffer(room)
    # the states lie in our memory: of words, so that they are aligned
    memory = [
        np.zeros(bytes_of(FRAME_US, rate) // 8 + 1, np.uint64)
        for bytes_of in (library.lc3_encoder_size, library.lc3_decoder_size)
    ]
    encoder = library.lc3_setup_encoder(FRAME_US, rate, 0, memory[0].ctypes.data)
    decoder = library.lc3_setup_decoder(FRAME_US, rate, 0, memory[1].ctypes.data)

    def encode(frame: Frame) -> bytes:
        expect(library.lc3_encode(encoder, INT16, frame.ctypes.data, 1, room, buffer), 0, "lc3_encode")
        return buffer.raw

    def decode(packet: bytes | None) -> Frame:
        out = np.zeros(size, np.int16)
        lost = packet is None
        found = library.lc3_decode(decoder, packet, 0 if lost else room, INT16, out.ctypes.data, 1)
        expect(found, int(lost), "lc3_decode")
        return out

    yield Codec(rate, size, library.lc3_delay_samples(FRAME_US, rate), encode, decode)


CODERS = {"lc3": Coder((LC3,), KBPS, _lc3)}

KINDS = walked(CODERS)
