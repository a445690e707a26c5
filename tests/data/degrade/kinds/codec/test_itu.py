"""ITU-T codecs: ffmpeg's own decoders hear what ours hear; concealment fades; tandems add up."""

import numpy as np
import pytest
from coding import code, ours_and_ffmpegs, snr_db
from degrading import RATE, apply, skip_without, speech_like
from sqa_data.degrade.kinds.codec.frames import Coder
from sqa_data.degrade.kinds.codec.itu import CODERS, G711


@pytest.mark.parametrize(
    ("coder", "demuxer", "options"),
    [
        (G711, "mulaw", ("-ar", "8000", "-ac", "1")),
        (CODERS["g722"], "g722", ()),
        (CODERS["g729"], "g729", ()),
    ],
    ids=["g711", "g722", "g729"],
)
def test_another_decoder_hears_the_same(coder: Coder, demuxer: str, options: tuple[str, ...]) -> None:
    ours, theirs = ours_and_ffmpegs(coder, coder.kbps[0], demuxer, b"", *options)
    assert snr_db(ours, theirs) > 15


def test_concealed_telephony_is_silent_after_50_ms() -> None:
    lost = np.zeros(100, bool)
    lost[30:40] = True
    voice = 0.1 * np.sin(2 * np.pi * 125 * np.arange(2 * RATE) / RATE)
    y, _ = code(G711, lost=lost, x=voice)
    made = y[30 * 320 : 40 * 320]
    assert np.abs(made[: RATE // 50]).max() > 0.01
    assert np.abs(made[RATE * 6 // 100 : -RATE // 50]).max() < 1e-3


def test_a_codec_of_one_rate_goes_in_tandem() -> None:
    skip_without("g729")
    x = speech_like()
    twice, step = apply("g729", x, 0.5)
    np.testing.assert_array_equal(twice, code(CODERS["g729"], x=code(CODERS["g729"], x=x)[0])[0])
    assert step["tandem"] == 2
    assert [apply("g729", x, severity)[1]["tandem"] for severity in (0.0, 1.0)] == [1, 3]
