"""Codecs of FFmpeg: at the bit rates of their standards, with nothing above their band, worse as severity rises."""

import numpy as np
import pytest
from degrading import RATE, apply, noise, power_db, speech_like
from sqa_data.degrade.ffmpeg import missing
from sqa_data.degrade.kinds.codec.ffmpeg import KINDS

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@pytest.mark.parametrize(
    ("kind", "mildest", "worst"),
    [
        ("g723", 6.4, 6.4),  # 24 bytes each 30 ms
        ("g726", 40, 16),
        ("realaudio", 8, 8),  # 20 bytes each 20 ms
        ("nellymoser", 88.2, 16),
        ("adpcm", 177, 32),
        ("mp2", 64, 8),
        ("wma", 64, 24),
        ("sbc", 60, 14),
        ("aptx", 64, 64),
    ],
)
def test_bit_rates_are_those_of_the_standards(kind: str, mildest: float, worst: float) -> None:
    rates = [apply(kind, speech_like(), severity)[1]["kbps"] for severity in (0.0, 1.0)]
    assert rates == pytest.approx([mildest, worst], rel=0.02)


def test_aac_takes_about_what_it_is_asked_for() -> None:
    rates = [apply("aac", speech_like(), severity)[1]["kbps"] for severity in (0.0, 0.5, 1.0)]
    assert rates[:2] == pytest.approx([64, 20], rel=0.2)
    assert 8 < rates[2] < 12  # its floor


@pytest.mark.parametrize(
    ("kind", "severity"),
    [("g723", 0.0), ("g726", 0.0), ("realaudio", 0.0), ("nellymoser", 1.0), ("adpcm", 1.0)],
)
def test_codecs_at_8_khz_leave_nothing_above_4_khz(kind: str, severity: float) -> None:
    y, _ = apply(kind, noise(3.0), severity)
    power = np.abs(np.fft.rfft(y)) ** 2
    hz = np.fft.rfftfreq(len(y), 1 / RATE)
    assert power[hz > 4100].sum() < 1e-4 * power[hz < 3400].sum()


@pytest.mark.parametrize("kind", KINDS)
def test_errors_grow_with_severity(kind: str) -> None:
    x = speech_like()
    mildest, worst = (power_db(apply(kind, x, severity)[0] - x) for severity in (0.0, 1.0))
    assert mildest < worst - 1


@pytest.mark.parametrize("kind", ["aac", "mp2", "sbc", "aptx"])
def test_speech_of_48_khz_keeps_more_than_telephones_do(kind: str) -> None:
    y, _ = apply(kind, noise(1.0, rate=48_000), 0.0, rate=48_000)
    power = np.abs(np.fft.rfft(y)) ** 2
    hz = np.fft.rfftfreq(len(y), 1 / 48_000)
    assert power[(hz > 6000) & (hz < 9000)].sum() > 0.1 * power[hz < 3000].sum()
