"""Labels: names, ranges, and the one rule that tells an uncertainty from what it is about."""

import math

from sqa_data.labels import RANGES, in_range, is_uncertainty, label_of, uncertainty_of


def test_an_uncertainty_and_its_label_name_each_other() -> None:
    for label in RANGES:
        assert not is_uncertainty(label)
        assert is_uncertainty(uncertainty_of(label))
        assert label_of(uncertainty_of(label)) == label


def test_bounds_are_inclusive() -> None:
    for label, (low, high) in RANGES.items():
        assert low < high
        for value in (low, high):
            assert in_range(label, value) == math.isfinite(value)
        assert not in_range(label, math.nextafter(high, math.inf))
        assert not in_range(label, math.nextafter(low, -math.inf))
