"""Speex: qualities take the bits of the published table."""

import pytest
from coding import code
from sqa_data.degrade.kinds.codec.speex import CODERS

# bits of a frame of 20 ms: RFC 5574, 3.2.1 narrowband; with the high band's 4, 36, 112, 192 or 352 wideband
NB_BITS = {2.15: 43, 3.95: 79, 5.95: 119, 8.0: 160, 11.0: 220, 15.0: 300, 18.2: 364, 24.6: 492}


@pytest.mark.parametrize("kbps", NB_BITS)
def test_a_frame_takes_the_bits_of_its_mode(kbps: float) -> None:
    assert code(CODERS["speex-nb"], kbps)[1] == pytest.approx(-(-NB_BITS[kbps] // 8) * 8 / 20)
