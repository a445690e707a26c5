"""Lyra v2, a neural codec of 3.2, 6 and 9.2 kbit/s (SoundStream: Zeghidour and others 2021), by its published networks.

Its concealment of lost packets is a program around them and not in the weights, so there is no kind of it.
"""

import numpy as np

from sqa_data.degrade.kind import REMADE, Family, Kind, Settings, Surroundings, World
from sqa_data.degrade.kinds.codec.frames import FULL_SCALE, Codec, Frame, through
from sqa_data.degrade.networks import Network
from sqa_data.degrade.signal import Samples
from sqa_data.errors import DataError

ENCODER, QUANTIZER, DECODER = "soundstream_encoder.tflite", "quantizer.tflite", "lyragan.tflite"
LYRA = Network("lyra_v2", (ENCODER, QUANTIZER, DECODER), "google/lyra (Apache-2.0)", "ai-edge-litert")
RATE, SIZE = 16_000, 320  # Hz; samples of a packet
MOST_CODES = 46
# what goes through, ever harder: how many codes of 4 bits describe 20 ms, and how often it is coded
LADDER = ((46, 1), (30, 1), (16, 1), (16, 2), (16, 3))


def opened(around: Surroundings, codes: int) -> Codec:
    """A codec of `codes` numbers of 4 bits a packet (16, 30 or 46), that has heard nothing yet."""
    encoder, decoder = LYRA.tflite_run(around, ENCODER), LYRA.tflite_run(around, DECODER)
    quantizer = LYRA.tflite(around, QUANTIZER)
    to_codes, to_features = (quantizer.get_signature_runner(name) for name in ("encode", "decode"))
    count = np.int32(codes)

    def encode(frame: Frame) -> bytes:
        features = encoder(frame[None] / FULL_SCALE)
        given = to_codes(input_frames=features, num_quantizers=count)["output_0"].ravel()[:codes]
        return bytes((given[0::2] << 4 | given[1::2]).astype(np.uint8))

    def decode(packet: bytes | None) -> Frame:
        if packet is None:
            raise DataError("Lyra conceals no loss by its networks alone")
        both = np.frombuffer(packet, np.uint8)
        indices = np.full(MOST_CODES, -1, np.int32)
        indices[:codes] = np.stack([both >> 4, both & 15], axis=1).ravel()
        features = to_features(encoding_indices=indices.reshape(-1, 1, 1))["output_0"]
        heard = np.rint(decoder(features)[0] * FULL_SCALE).clip(-FULL_SCALE, FULL_SCALE)
        frame: Frame = heard.astype(np.int16)
        return frame

    return Codec(RATE, SIZE, 0, encode, decode)


def _lyra(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    codes, passes = LADDER[round(severity * (len(LADDER) - 1))]
    y = x
    for _ in range(passes):
        y, kbps = through(y, world.rate, opened(world.around, codes))
    return y, {"kbps": kbps, "rate_hz": RATE, "tandem": passes}


KINDS = {"lyra": Kind(Family.CODEC, _lyra, LYRA.missing, REMADE)}
