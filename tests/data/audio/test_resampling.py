"""The one resampler: what it keeps, and that nothing folds back."""

import sys

import numpy as np
import pytest
from sqa_data import DataError
from sqa_data.audio.resampling import resampled


@pytest.mark.parametrize(
    ("found", "wanted"), [(48_000, 16_000), (44_100, 16_000), (16_000, 48_000), (8000, 22_050)]
)
def test_what_fits_is_kept_and_what_does_not_is_gone(found: int, wanted: int) -> None:
    time = np.arange(found) / found
    for share, low, high in ((0.8, -0.05, 0.05), (1.05, -200, -100)):
        hz = share * min(found, wanted) / 2
        if hz >= found / 2:
            continue
        middle = resampled(np.sin(2 * np.pi * hz * time), found, wanted)[wanted // 4 : -wanted // 4]
        level = 10 * np.log10(2 * np.mean(middle**2) + 1e-20)
        assert low < level < high, (hz, level)


def test_its_length_precision_and_channels() -> None:
    x = np.zeros((44_100, 2), np.float32)
    y = resampled(x, 44_100, 16_000)
    assert (y.shape, y.dtype) == ((16_000, 2), np.float32)
    assert resampled(x, 16_000, 16_000) is x


def test_without_soxr_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(
        DataError, match=r"48000 Hz, wanted at 16000 Hz: resampling needs soxr: pip install soxr"
    ):
        resampled(np.zeros(9), 48_000, 16_000)
