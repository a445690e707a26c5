"""Codecs: in time, at the bit rate that they say, with nothing above the band that they code."""

import io

import numpy as np
import pytest
import soundfile as sf
from degrading import RATE, apply, noise, power_db, speech_like, syllables
from sqa_data.degrade import signal
from sqa_data.degrade.kinds.codec.soundfile import audio_bytes, encode


@pytest.mark.parametrize(("kind", "most"), [("opus", 0.3), ("mp3", 0.25), ("vorbis", 0.85)])
def test_a_codec_is_in_time_and_takes_less_as_it_gets_harder(kind: str, most: float) -> None:
    x = syllables(1.0)
    rates = []
    for severity in (0.0, 1.0):
        y, step = apply(kind, x, severity)
        assert np.corrcoef(x, y)[0, 1] > 0.7
        rates.append(step["kbps"])
    assert rates[1] < most * rates[0]


def test_the_headers_of_ogg_do_not_count() -> None:
    file = io.BytesIO()
    sf.write(file, syllables(0.5), RATE, format="OGG", subtype="OPUS", compression_level=0.9)
    pages = file.getvalue().split(b"OggS")[1:]
    sound = [page[23 + page[22] :] for page in pages if b"OpusHead" not in page and b"OpusTags" not in page]
    assert 0 < audio_bytes(file.getvalue()) == sum(map(len, sound))
    assert encode(syllables(0.5), RATE, "OGG", "OPUS", 0.9)[1] == sum(map(len, sound)) * 8 / 0.5 / 1000


def test_opus_rate_falls_with_severity() -> None:
    rates = [apply("opus", speech_like(), s)[1]["kbps"] for s in (0.0, 0.5, 1.0)]
    assert rates[0] > 40 > rates[1] > rates[2]
    assert rates[2] < 12


def test_what_is_over_full_scale_goes_through_a_codec_whole() -> None:
    x = 2.5 * np.sin(np.arange(RATE) * 0.3)
    y, _ = encode(x, RATE, "WAV", "ULAW", at=8000)
    assert power_db(y - x) < power_db(x) - 20


@pytest.mark.parametrize("kind", ["gsm", "mu-law", "a-law"])
def test_a_narrow_band_codec_leaves_nothing_above_4_khz(kind: str) -> None:
    x = noise(3.0)
    y, _ = apply(kind, x, 0.0)
    power = np.abs(np.fft.rfft(y)) ** 2
    hz = np.fft.rfftfreq(len(x), 1 / RATE)
    assert power[hz > 4100].sum() < 1e-4 * power[hz < 3400].sum()


def test_speech_by_telephone_codecs() -> None:
    x = syllables()
    once, one = apply("gsm", x, 0.0)
    thrice, three = apply("gsm", x, 1.0)
    assert (one["tandem"], three["tandem"]) == (1, 3)
    assert one["kbps"] == three["kbps"] == pytest.approx(13, rel=0.05)  # GSM 06.10 at 8 kHz
    assert power_db(thrice - once) > power_db(x) - 20  # each tandem adds to the damage
    for kind, severity, level in (("mu-law", 0.0, -26), ("mu-law", 1.0, -55), ("a-law", 1.0, -55)):
        y, step = apply(kind, x, severity)
        assert step["kbps"] == pytest.approx(64, rel=0.02)
        assert step["level_dbfs"] == level
        assert power_db(y) == pytest.approx(power_db(x), abs=1e-6)
        # it is said how quiet the speech goes in: the quieter, the coarser
        law = {"mu-law": "ULAW", "a-law": "ALAW"}[kind]
        quiet, _ = encode(signal.set_level(x, RATE, step["level_dbfs"]), RATE, "WAV", law, at=8000)
        np.testing.assert_allclose(y, signal.same_power(quiet, x), atol=1e-12)
