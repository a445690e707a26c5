"""An MP3 that does not say its length is heard to its end; libsndfile ends where it guesses."""

import io

import numpy as np
import pytest
import soundfile
from sqa_data.audio import hear, look
from sqa_data.audio.mp3 import is_guess, with_length
from sqa_data.audio.source import opened


def loud_then_silent(rate: int, channels: int) -> bytes:
    rng = np.random.default_rng(rate)
    signal = np.concatenate([rng.normal(0, 0.1, (rate, channels)), rng.normal(0, 1e-4, (3 * rate, channels))])
    file = io.BytesIO()
    soundfile.write(file, signal, rate, format="MP3", bitrate_mode="VARIABLE", compression_level=0.5)
    return file.getvalue()


def without_length(content: bytes) -> bytes:
    """Its first frame, which holds the length and no sound, cut off."""
    tag = max(content.find(b"Xing"), content.find(b"Info"))
    return content[content.index(content[:2], tag) :]


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("tag", [b"", b"ID3\4\0\0\0\0\x40\0" + bytes(8192)])
def test_the_end_is_heard(rate: int, channels: int, tag: bytes) -> None:
    content = loud_then_silent(rate, channels)
    whole = hear(io.BytesIO(content))
    assert whole.facts == ()
    assert len(whole.samples) == 4 * rate
    file = io.BytesIO(tag + without_length(content))
    assert abs(soundfile.info(file).frames - 4 * rate) > 0.05 * rate
    file.seek(0)
    heard = hear(file)
    assert heard.facts == ()
    assert 0 <= len(heard.samples) - 4 * rate < 2500  # what fills the first and the last frame
    assert look(file).frames == len(heard.samples)
    # the same sound, after the delay of the encoder, which only the cut frame tells
    middle = whole.samples[rate // 2 : rate // 2 + 2000, 0]
    shifts = [float(np.abs(heard.samples[rate // 2 + d :][:2000, 0] - middle).max()) for d in range(1500)]
    assert min(shifts) < 1e-4
    part = hear(file, start_s=3.5, most_s=0.2)
    np.testing.assert_allclose(
        part.samples, heard.samples[round(3.5 * rate) :][: round(0.2 * rate)], atol=1e-6
    )


def test_a_length_that_is_said_is_left_alone() -> None:
    content = loud_then_silent(16_000, 1)
    with opened(io.BytesIO(content)) as sound:
        assert not is_guess(sound)
        assert with_length(sound) is None
    with opened(io.BytesIO(without_length(content))) as sound:
        assert is_guess(sound)
        splice = with_length(sound)
    assert splice is not None
    assert splice.content[:2] == without_length(content)[:2]
    assert len(splice.content) == 360  # a whole frame of 80 kbit/s at 16 kHz


def test_the_frame_put_in_front_has_no_check_sum() -> None:
    content = bytearray(without_length(loud_then_silent(16_000, 1)))
    content[1] &= 0xFE  # says that a check sum follows
    with opened(io.BytesIO(content)) as sound:
        splice = with_length(sound)
    assert splice is not None
    assert splice.content[1] & 1
