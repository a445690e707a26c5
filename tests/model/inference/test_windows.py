"""Windows over long clips."""

import itertools

import pytest
from sqa_model.inference.windows import cut, nearest_parts


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
