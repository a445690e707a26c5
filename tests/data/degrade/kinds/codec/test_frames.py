"""The loop around codecs of frames, with a codec of the test's own; and what holds for every codec that it runs."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from coding import code, snr_db
from degrading import RATE, noise, power_db, speech_like
from sqa_data.degrade.kinds.codec import amr, bluetooth, itu, lc3, opus, speex
from sqa_data.degrade.kinds.codec.frames import Codec, Coder, Frame, expect, repeating, taken, through
from sqa_data.errors import DataError

ALL = {
    **amr.CODERS,
    **speex.CODERS,
    **opus.CODERS,
    **lc3.CODERS,
    **itu.CODERS,
    "g711": itu.G711,
    "msbc": bluetooth.MSBC,
}
every_coder = pytest.mark.parametrize("coder", ALL.values(), ids=ALL)


def late(samples: int, size: int = 100, rate: int = 8000) -> Codec:
    """Samples as they are, so many late; the last packet again for a lost one."""
    line, last = [np.zeros(samples, np.int16)], [b""]

    def decode(packet: bytes | None) -> Frame:
        last[0] = packet or last[0]
        joined = np.concatenate([line[0], np.frombuffer(last[0], np.int16)])
        line[0] = joined[size:]
        return joined[:size]

    return Codec(rate, size, samples, lambda frame: frame.tobytes(), decode)


def test_the_delay_is_undone_and_the_bits_are_counted() -> None:
    x = speech_like(0.31, rate=8000)
    for samples in (0, 7, 250):
        y, kbps = through(x, 8000, late(samples))
        np.testing.assert_allclose(y, x, atol=0.51 / 32767)
        assert kbps == pytest.approx(128)


def test_only_what_is_lost_is_lost() -> None:
    x = noise(1.0, rate=8000)
    lost = np.zeros(80, bool)
    lost[[3, 40, 41]] = True
    y, _ = through(x, 8000, late(7), lost)
    wrong = np.abs(y - x).reshape(80, 100).max(axis=1) > 1e-4
    assert (wrong == lost).all()
    np.testing.assert_allclose(y[4100:4200], x[3900:4000], atol=1e-4)


def test_the_last_packet_comes_again_a_few_times() -> None:
    decode = repeating(lambda packet: np.frombuffer(packet or b"??", np.int8), 2)
    heard = [
        bytes(decode(packet)) for packet in (None, b"aa", None, b"bb", None, None, None, None, b"cc", None)
    ]
    assert heard == [b"??", b"aa", b"aa", b"bb", b"bb", b"bb", b"??", b"??", b"cc", b"cc"]


def test_what_is_over_full_scale_goes_through_whole() -> None:
    x = 2.5 * np.sin(np.arange(4000) * 0.3)
    np.testing.assert_allclose(through(x, 8000, late(3))[0], x, atol=1e-4)


def test_a_library_is_not_believed_what_cannot_be() -> None:
    buffer = ctypes.create_string_buffer(b"abcd", 4)
    assert taken(buffer, 3) == b"abc"
    for size in (-1, 0, 5):
        with pytest.raises(DataError, match=f"reports {size} bytes for a packet; expected 1 to 4"):
            taken(buffer, size)
    expect(0, 0, "decode")
    with pytest.raises(DataError, match="decode returned -4; expected 0"):
        expect(-4, 0, "decode")


def test_states_end_with_the_clip_though_it_fails() -> None:
    ended = []

    @contextmanager
    def failing(kbps: float, rate: int) -> Iterator[Codec]:
        try:
            yield late(0)
        finally:
            ended.append(kbps)

    with pytest.raises(ValueError):
        code(Coder((), (5.0,), failing), x=np.array([]))
    assert ended == [5.0]


@pytest.mark.slow
@every_coder
def test_a_codec_is_in_time(coder: Coder) -> None:
    x = speech_like(2.0, seed=4)
    y, _ = code(coder, x=x)
    # high-pass filters of codecs turn the phase below
    high = np.fft.rfftfreq(len(x), 1 / RATE) > 600
    fine = [np.fft.irfft(np.fft.rfft(part) * high, 4 * len(x)) for part in (x, y)]
    near = range(-40, 41)
    scores = [float(np.roll(fine[1], -lag) @ fine[0]) for lag in near]
    assert abs(near[int(np.argmax(scores))]) <= 8  # of 64 kHz: an eighth of a millisecond
    assert np.corrcoef(*fine)[0, 1] > 0.5


@every_coder
def test_the_bit_rate_is_what_the_mode_says(coder: Coder) -> None:
    measured = [code(coder, nominal)[1] for nominal in coder.kbps]
    assert measured == sorted(measured, reverse=True)
    for nominal, kbps in zip(coder.kbps, measured, strict=True):
        if coder in opus.CODERS.values():  # its rate follows the speech
            assert 0.5 * nominal < kbps < 1.1 * nominal
        else:
            assert nominal <= kbps <= nominal + 0.4 + 1e-9  # a packet of 20 ms ends with a byte


@every_coder
def test_a_loss_is_concealed_by_a_decoder_that_remembers(coder: Coder) -> None:
    x = speech_like(2.0)
    whole, _ = code(coder, x=x)
    with coder.open(coder.kbps[0], RATE) as codec:
        size = codec.size * RATE // codec.rate
    first = int(np.argmax(np.convolve(x**2, np.ones(size), "valid")[::size])) + 1  # after the loudest packet
    lost = np.zeros(len(x) // size, bool)
    lost[first] = True
    y, _ = code(coder, lost=lost, x=x)
    place = slice(first * size, (first + 1) * size)
    # apart from the ringing of resampling, what came before is as it was
    assert snr_db(whole[: place.start - size], y[: place.start - size]) > 40
    assert snr_db(whole[place], y[place]) < 30
    assert power_db(y[place]) > power_db(whole[place]) - 15  # no hole
    again, _ = code(coder, lost=lost, x=x)
    np.testing.assert_array_equal(y, again)


@pytest.mark.parametrize("name", ["amr-nb", "speex-nb", "g729", "g711"])
def test_a_narrow_band_codec_leaves_nothing_above_4_khz(name: str) -> None:
    x = noise(2.0)
    power = np.abs(np.fft.rfft(code(ALL[name], x=x)[0])) ** 2
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    assert power[hz > 4100].sum() < 1e-4 * power[hz < 3400].sum()
