"""Windows over long clips."""

import itertools

import pytest
from sqa_model.inference.windows import at_other_rate, cut, nearest_parts


@pytest.mark.parametrize("length", [1, 59, 60, 61, 100, 119, 1_000, 12_345])
def test_windows_cover_everything_once(length: int) -> None:
    windows = cut(length, 60)
    owned = nearest_parts(windows, length)
    assert [w.stop - w.start for w in windows] == [min(length, 60)] * len(windows)
    assert owned[0].start == 0
    assert owned[-1].stop == length
    assert all(a.stop == b.start for a, b in itertools.pairwise(owned))
    assert all(w.start <= o.start < o.stop <= w.stop for w, o in zip(windows, owned, strict=True))
    # what a window stands for ends in the middle of its overlap with the next
    for (a, b), owner in zip(itertools.pairwise(windows), owned, strict=False):
        assert abs((owner.stop - b.start) - (a.stop - owner.stop)) <= 1
    overlaps = [a.stop - b.start for a, b in itertools.pairwise(windows)]
    assert all(o >= 10 for o in overlaps)
    assert len(windows) <= max(1, -(-(length - 10) // 50))


@pytest.mark.parametrize("length", [1, 160, 1_601, 12_345])
@pytest.mark.parametrize("wanted", [8_000, 16_000, 22_050, 48_000])
def test_stretches_at_another_rate_are_the_same_times(length: int, wanted: int) -> None:
    windows = cut(length, 600)
    other = -(-length * wanted // 16_000)  # as resampling gives
    moved = at_other_rate(windows, 16_000, wanted, other)
    assert moved == windows or wanted != 16_000
    assert all(0 <= m.start < m.stop <= other for m in moved)
    for window, found in zip(windows, moved, strict=True):
        for place, at in ((window.start, found.start), (window.stop, found.stop)):
            assert abs(place / 16_000 - at / wanted) <= 1 / wanted
