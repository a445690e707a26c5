"""FFmpeg in the process: in time, at the bit rate of its packets, the same again; absent and refusing in words."""

import io
import sys
from collections.abc import Iterator

import numpy as np
import pytest
import scipy.signal
import soundfile as sf
from degrading import noise, power_db, speech_like
from sqa_data.degrade import ffmpeg
from sqa_data.degrade.ffmpeg import Encoder, code, filtered, missing
from sqa_data.errors import DataError

needs_pyav = pytest.mark.skipif(missing() is not None, reason=str(missing()))
G726 = Encoder("g726", 40)


@needs_pyav
@pytest.mark.parametrize(
    ("encoder", "rate", "kbps"),
    [
        (Encoder("g722"), 16_000, None),
        (Encoder("aac", 32), 44_100, 64),
        (Encoder("mp2", 64), 24_000, 64),
        (Encoder("wmav2", 24), 22_050, 48),  # loses the first frame
        (Encoder("sbc", 60, "sbc"), 16_000, 60),
        (Encoder("aptx", None, "aptx", "stereo"), 48_000, None),
    ],
)
def test_what_is_decoded_is_in_time_and_whole(encoder: Encoder, rate: int, kbps: float | None) -> None:
    x = scipy.signal.lfilter([0.3], [1, -0.7], noise(1.0, rate=rate))
    y, _ = code(encoder, x, rate, kbps)
    match = scipy.signal.correlate(y, x, method="fft")
    assert int(np.argmax(match)) == len(x) - 1
    for part in (slice(0, rate // 20), slice(-rate // 20, None)):  # neither end is cut
        assert np.corrcoef(x[part], y[part])[0, 1] > 0.6
    np.testing.assert_array_equal(y, code(encoder, x, rate, kbps)[0])


@needs_pyav
@pytest.mark.parametrize(("kbps", "subtype"), [(40, "G723_40"), (32, "G721_32"), (24, "G723_24")])
def test_g726_errs_as_much_as_libsndfile_does(kbps: int, subtype: str) -> None:
    x = speech_like(rate=8000)
    y, measured = code(G726, x, 8000, kbps)
    assert measured == kbps
    file = io.BytesIO()
    sf.write(file, x, 8000, format="AU", subtype=subtype)
    file.seek(0)
    other = sf.read(file)[0][: len(x)]
    assert power_db(y - x) == pytest.approx(power_db(other - x), abs=0.5)
    assert power_db(y - other) < power_db(y - x) - 3  # and mostly in the same way


@needs_pyav
def test_a_stereo_codec_gives_the_bits_of_one_channel() -> None:
    assert code(Encoder("aptx", None, "aptx", "stereo"), noise(0.5), 16_000)[1] == 64  # a quarter of 16 bits


@needs_pyav
def test_filters_are_in_time_and_as_long_as_before() -> None:
    x = speech_like()
    hiss = noise(seed=4) / 10
    y = filtered(x + hiss, 16_000, ("afftdn", "nr=20:nf=-50"), ("volume", "volume=0.5"))
    assert y.shape == x.shape
    assert power_db(2 * y - x) < power_db(hiss) - 1
    assert not filtered(np.zeros(8000), 16_000, ("afftdn", "nr=20")).any()


@needs_pyav
def test_what_ffmpeg_refuses_is_said() -> None:
    x = speech_like(0.5)
    with pytest.raises(DataError, match=r"FFmpeg's aac refuses 16001 Hz: Invalid argument$"):
        code(Encoder("aac"), x, 16_001)
    with pytest.raises(DataError, match="FFmpeg's wmav2 refuses 16000 Hz, 5 kbit/s: "):
        code(Encoder("wmav2"), x, 16_000, 5)
    with pytest.raises(DataError, match="FFmpeg's nowhere refuses 16000 Hz: "):
        code(Encoder("nowhere"), x, 16_000)
    with pytest.raises(
        DataError, match=r"refuses the filters \(\('volume', 'loud=3'\),\) at 16000 Hz: Option"
    ):
        filtered(x, 16_000, ("volume", "loud=3"))
    assert missing(encoder="aac", filters=("afftdn",)) is None
    assert "no nowhere and no never" in str(missing(encoder="never", filters=("nowhere",)))


@pytest.fixture
def no_pyav(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(sys.modules, "av", None)
    ffmpeg._inside.cache_clear()
    yield
    ffmpeg._inside.cache_clear()


@pytest.mark.usefixtures("no_pyav")
def test_without_pyav_it_is_said_what_to_install() -> None:
    assert missing(encoder="aac") == "needs PyAV: pip install 'sqa-data[degrade-ffmpeg]'"
    for call in (lambda: code(G726, noise(0.5), 8000), lambda: filtered(noise(0.5), 8000, ("volume", "1"))):
        with pytest.raises(DataError, match=r"need PyAV: pip install 'sqa-data\[degrade-ffmpeg\]'"):
            call()
