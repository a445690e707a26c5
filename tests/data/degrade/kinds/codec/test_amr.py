"""AMR: ffmpeg's own decoders hear what ours hear."""

import pytest
from coding import ours_and_ffmpegs, snr_db
from sqa_data.degrade.kinds.codec.amr import CODERS, GOOD


@pytest.mark.parametrize(
    ("name", "kbps", "mode"), [("amr-nb", 12.2, 7), ("amr-nb", 5.9, 2), ("amr-wb", 12.65, 2)]
)
def test_another_decoder_hears_the_same(name: str, kbps: float, mode: int) -> None:
    ours, theirs = ours_and_ffmpegs(CODERS[name], kbps, "amr", bytes([mode << 3 | GOOD]))
    assert snr_db(ours, theirs) > 15
