"""LC3: at the rates of the speech, with frames of the size that was asked for."""

import pytest
from degrading import skip_without, speech_like
from sqa_data.degrade.kinds.codec.frames import through
from sqa_data.degrade.kinds.codec.lc3 import CODERS


@pytest.mark.parametrize(
    ("rate", "coded"), [(8000, 8000), (22_050, 24_000), (32_000, 32_000), (44_100, 48_000)]
)
def test_it_codes_at_the_next_rate_that_it_has(rate: int, coded: int) -> None:
    skip_without("lc3")
    with CODERS["lc3"].open(32.0, rate) as codec:
        y, kbps = through(speech_like(0.5, rate=rate), rate, codec)
    assert (codec.rate, codec.size, kbps) == (coded, coded // 100, pytest.approx(32))
    assert len(y) == rate // 2
