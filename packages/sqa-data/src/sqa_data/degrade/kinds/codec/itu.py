"""ITU-T G.711, G.722 and G.729, by spandsp and bcg729."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from sqa_data.degrade.kind import NARROW, Family, Kind
from sqa_data.degrade.kinds.codec.fill import filled
from sqa_data.degrade.kinds.codec.frames import Codec, Coder, Frame, expect, taken, through, walked
from sqa_data.degrade.kinds.codec.ways import Coded, tandem
from sqa_data.degrade.library import Library, held
from sqa_data.degrade.signal import Samples

STATE, DATA, INT = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int
BYTE = ctypes.c_uint8
SPANDSP = Library(
    "libspandsp2",
    ("libspandsp.so.2",),
    {
        "g711_init": (STATE, STATE, INT),
        "g711_encode": (INT, STATE, DATA, DATA, INT),
        "g711_decode": (INT, STATE, DATA, DATA, INT),
        "g711_free": (INT, STATE),
        "plc_init": (STATE, STATE),
        "plc_rx": (INT, STATE, DATA, INT),
        "plc_fillin": (INT, STATE, DATA, INT),
        "plc_free": (INT, STATE),
        "g722_encode_init": (STATE, STATE, INT, INT),
        "g722_encode": (INT, STATE, DATA, DATA, INT),
        "g722_encode_free": (INT, STATE),
        "g722_decode_init": (STATE, STATE, INT, INT),
        "g722_decode": (INT, STATE, DATA, DATA, INT),
        "g722_decode_free": (INT, STATE),
    },
)
BCG729 = Library(
    "libbcg729-0",
    ("libbcg729.so.0",),
    {
        "initBcg729EncoderChannel": (STATE, BYTE),
        "closeBcg729EncoderChannel": (None, STATE),
        "bcg729Encoder": (None, STATE, DATA, DATA, ctypes.POINTER(BYTE)),
        "initBcg729DecoderChannel": (STATE,),
        "closeBcg729DecoderChannel": (None, STATE),
        "bcg729Decoder": (None, STATE, DATA, BYTE, BYTE, BYTE, BYTE, DATA),
    },
)
MU_LAW = 1  # G711_ULAW


@contextmanager
def _g711(kbps: float, rate: int) -> Iterator[Codec]:
    """Mu-law in packets of 20 ms, concealed by spandsp as in its Appendix I."""
    library, size = SPANDSP.open(), 160
    buffer = ctypes.create_string_buffer(size)
    with (
        held(library.g711_init(None, MU_LAW), library.g711_free) as state,
        held(library.plc_init(None), library.plc_free) as history,
    ):

        def encode(frame: Frame) -> bytes:
            return taken(buffer, library.g711_encode(state, buffer, frame.ctypes.data, size))

        def decode(packet: bytes | None) -> Frame:
            out = np.zeros(size, np.int16)
            if packet is None:
                expect(library.plc_fillin(history, out.ctypes.data, size), size, "plc_fillin")
            else:
                expect(library.g711_decode(state, out.ctypes.data, packet, size), size, "g711_decode")
                expect(library.plc_rx(history, out.ctypes.data, size), size, "plc_rx")
            return out

        yield Codec(8000, size, 0, encode, decode)


@contextmanager
def _g722(kbps: float, rate: int) -> Iterator[Codec]:
    """The library's bytes hold 6 to 8 bits each; packets hold nothing else."""
    library, size, used = SPANDSP.open(), 320, round(kbps / 8)
    buffer = ctypes.create_string_buffer(size // 2)

    def encode(frame: Frame) -> bytes:
        expect(library.g722_encode(encoder, buffer, frame.ctypes.data, size), size // 2, "g722_encode")
        codes = np.frombuffer(buffer.raw, np.uint8)
        return np.packbits(np.unpackbits(codes).reshape(-1, 8)[:, 8 - used :]).tobytes()

    def decode(packet: bytes) -> Frame:
        out = np.zeros(size, np.int16)
        bits = np.unpackbits(np.frombuffer(packet, np.uint8)).reshape(size // 2, used)
        codes = np.packbits(np.pad(bits, ((0, 0), (8 - used, 0)))).tobytes()
        expect(library.g722_decode(decoder, out.ctypes.data, codes, len(codes)), size, "g722_decode")
        return out

    with (
        held(library.g722_encode_init(None, round(1000 * kbps), 0), library.g722_encode_free) as encoder,
        held(library.g722_decode_init(None, round(1000 * kbps), 0), library.g722_decode_free) as decoder,
    ):
        yield Codec(16_000, size, 22, encode, filled(decode, 16_000, size))


@contextmanager
def _g729(kbps: float, rate: int) -> Iterator[Codec]:
    """Two frames of 10 ms in a packet, as telephones send them."""
    library, half, room = BCG729.open(), 80, 10
    buffer, written = ctypes.create_string_buffer(room), BYTE()
    with (
        held(library.initBcg729EncoderChannel(0), library.closeBcg729EncoderChannel) as encoder,
        held(library.initBcg729DecoderChannel(), library.closeBcg729DecoderChannel) as decoder,
    ):

        def encode(frame: Frame) -> bytes:
            packet = b""
            for part in frame.reshape(2, half):
                library.bcg729Encoder(encoder, part.ctypes.data, buffer, written)
                expect(written.value, room, "bcg729Encoder")
                packet += buffer.raw
            return packet

        def decode(packet: bytes | None) -> Frame:
            out = np.zeros((2, half), np.int16)
            for number, part in enumerate(out):
                bits = None if packet is None else packet[number * room : (number + 1) * room]
                library.bcg729Decoder(decoder, bits, room, packet is None, 0, 0, part.ctypes.data)
            return out.reshape(-1)

        yield Codec(8000, 2 * half, 40, encode, decode)


G711 = Coder((SPANDSP,), (64.0,), _g711, NARROW)
CODERS = {
    "g722": Coder((SPANDSP,), (64.0, 56.0, 48.0), _g722),
    "g729": Coder((BCG729,), (8.0,), _g729, NARROW),
}


def _g729_once(speech: Samples, rate: int) -> Coded:
    with _g729(8.0, rate) as codec:
        return through(speech, rate, codec)


KINDS = walked({"g722": CODERS["g722"]}) | {
    "g729": Kind(Family.CODEC, tandem(_g729_once, (8000,)), CODERS["g729"].missing, NARROW)
}
