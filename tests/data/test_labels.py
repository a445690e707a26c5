"""Labels: names, ranges, and the one rule that tells an uncertainty from what it is about."""

import math

from sqa_data.labels import RANGES, in_range, is_uncertainty, label_of, uncertainty_of


def test_an_uncertainty_and_its_label_name_each_other() -> None:
    for label in RANGES:
        assert not is_uncertainty(label)
        assert is_uncertainty(uncertainty_of(label))
        assert label_of(uncertainty_of(label)) == label


def test_ranges_are_those_of_the_standards() -> None:
    """Opinions from 1 to 5 (ITU-T P.800.1), PESQ's MOS-LQO up to 4.5; shares and cosines; what is in dB."""
    found: dict[tuple[float, float], set[str]] = {}
    for label, bounds in RANGES.items():
        found.setdefault(bounds, set()).add(label)
    assert found.pop((1, 4.5)) == {"pesq", "pesqc2"}
    assert found.pop((0, 1)) == {"stoi", "estoi", "lps", "sbert"}
    assert found.pop((-1, 1)) == {"spksim"}
    assert found.pop((0, math.inf)) == {"mcd", "lsd"}
    assert found.pop((-math.inf, math.inf)) == {"sdr", "si_sdr"}
    assert list(found) == [(1, 5)]


def test_bounds_are_inclusive() -> None:
    for label, (low, high) in RANGES.items():
        assert low < high
        for value in (low, high):
            assert in_range(label, value) == math.isfinite(value)
        assert not in_range(label, math.nextafter(high, math.inf))
        assert not in_range(label, math.nextafter(low, -math.inf))
