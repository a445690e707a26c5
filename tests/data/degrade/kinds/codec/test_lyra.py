"""Lyra by its published networks: packets of its bit rates, features that more codes tell better, speech in time."""

from pathlib import Path

import numpy as np
import pytest
import scipy.signal
from degrading import RATE, apply, noise
from sqa_data.degrade.kind import Surroundings
from sqa_data.degrade.kinds.codec.frames import through
from sqa_data.degrade.kinds.codec.lyra import ENCODER, LYRA, QUANTIZER, opened
from sqa_data.degrade.plan import read_speech
from sqa_data.degrade.render import clean_excerpt
from sqa_data.errors import DataError

pytest.importorskip("ai_edge_litert", reason="pip install ai-edge-litert")


@pytest.fixture
def around(shared: Path) -> Surroundings:
    return Surroundings(models=shared / "models")


@pytest.fixture
def speech(shared: Path) -> np.ndarray:
    sources = [source.path for source in read_speech(shared / "speech" / "speech") if source.is_reference]
    return clean_excerpt(str(sources[97]), 0.0, 2.0, RATE)


def test_a_packet_has_4_bits_a_code_and_the_fewer_are_the_first_of_the_more(around: Surroundings) -> None:
    frames = (noise(0.2) * 32767).astype(np.int16).reshape(-1, 320)
    packets = {}
    for codes, size in ((16, 8), (30, 15), (46, 23)):
        codec = opened(around, codes)
        packets[codes] = [codec.encode(frame) for frame in frames]
        assert {len(packet) for packet in packets[codes]} == {size}
    for few, more, most in zip(*packets.values(), strict=True):
        assert most.startswith(more)
        assert more.startswith(few)
    with pytest.raises(DataError, match="conceals no loss"):
        codec.decode(None)


def test_what_the_decoder_gets_is_the_features_the_better_the_more_codes(
    around: Surroundings, speech: np.ndarray
) -> None:
    """By the quantizer's own rule: its residual falls with every stage. The packets are read here, apart."""
    to_features = LYRA.tflite(around, QUANTIZER).get_signature_runner("decode")
    frames = (speech * 32767).astype(np.int16)[: 320 * 60].reshape(-1, 320)
    encoder = LYRA.tflite_run(around, ENCODER)
    features = [encoder(frame[None] / 32767) for frame in frames]
    errors = []
    for codes in (16, 30, 46):
        codec = opened(around, codes)
        off = []
        for frame, wanted in zip(frames, features, strict=True):
            nibbles = [int(digit, 16) for digit in codec.encode(frame).hex()]
            indices = np.array(nibbles + [-1] * (46 - codes), np.int32).reshape(46, 1, 1)
            off.append(to_features(encoding_indices=indices)["output_0"] - wanted)
        errors.append(np.linalg.norm(off) / np.linalg.norm(features))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.5 < 1.3 * errors[0]


def test_speech_comes_back_in_time_at_the_rate_that_is_told(around: Surroundings, speech: np.ndarray) -> None:
    told = []
    for severity in (0.0, 0.25, 0.5, 0.75, 1.0):
        y, step = apply("lyra", speech, severity, models=around.models)
        told.append((step["kbps"], step["tandem"]))
        ends = scipy.signal.correlate(y, speech)
        assert abs(int(np.argmax(ends)) - len(speech) + 1) <= 3
        assert y.std() == pytest.approx(speech.std(), rel=0.25)
    assert told == [(9.2, 1), (6.0, 1), (3.2, 1), (3.2, 2), (3.2, 3)]


def test_a_clip_sounds_the_same_after_another(around: Surroundings, speech: np.ndarray) -> None:
    alone, _ = through(speech, RATE, opened(around, 16))
    through(noise(0.5), RATE, opened(around, 16))
    np.testing.assert_array_equal(through(speech, RATE, opened(around, 16))[0], alone)
