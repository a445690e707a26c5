"""The pitch goes on in a gap, fades, and joins what comes next without a click."""

import numpy as np
import pytest
from degrading import RATE
from sqa_data.degrade.kinds.codec.fill import PitchFill, filled, pitch_period

VOICE = 0.1 * sum(np.sin(2 * np.pi * 125 * k * np.arange(RATE) / RATE) / k for k in range(1, 6))


@pytest.mark.parametrize("size", [120, 320])
def test_a_periodic_voice_goes_on(size: int) -> None:
    receiver = PitchFill(RATE)
    frames = VOICE[: RATE // size * size].reshape(-1, size)
    for frame in frames[:10]:
        np.testing.assert_array_equal(receiver.came(frame), frame)
    short = receiver.lost(size)[:120]
    np.testing.assert_allclose(short, frames[10][:120], atol=1e-9)  # as loud as before for 10 ms
    back = receiver.came(frames[11])
    assert np.abs(back - frames[11]).max() < 0.5 * np.abs(frames[11]).max()
    np.testing.assert_array_equal(back[RATE // 125 // 4 :], frames[11][RATE // 125 // 4 :])


def test_a_gap_is_silent_after_60_ms() -> None:
    receiver = PitchFill(RATE)
    receiver.came(VOICE)
    gap = np.concatenate([receiver.lost(120) for _ in range(20)])
    loud = np.abs(gap[: 8 * 120]).reshape(8, 120).max(axis=1)
    assert (np.diff(loud[1:]) < 0).all()
    assert np.abs(gap[960:]).max() == 0
    assert (
        np.abs(np.diff(gap)).max() < 1.2 * np.abs(np.diff(VOICE)).max()
    )  # no click where the period goes round


def test_a_decoder_is_asked_only_for_what_came() -> None:
    asked = []

    def decode(packet: bytes) -> np.ndarray:
        asked.append(packet)
        return np.full(320, 1000, np.int16)

    decoded = filled(decode, RATE, 320)
    played = [decoded(packet) for packet in (b"a", None, b"b")]
    assert asked == [b"a", b"b"]
    assert all(frame.dtype == np.int16 and len(frame) == 320 for frame in played)
    assert (played[2][-200:] == 1000).all()


def test_the_pitch_is_found() -> None:
    assert pitch_period(VOICE[:960], RATE) == 128
    assert pitch_period(VOICE[:RATE:2][:480], RATE // 2) == 64
