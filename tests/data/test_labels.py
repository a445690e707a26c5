"""Labels: names, ranges, and the one rule that tells an uncertainty from what it is about."""

import math

from sqa_data.labels import (
    GIVEN,
    RANGES,
    ROUNDING,
    in_range,
    is_uncertainty,
    label_of,
    range_of,
    uncertainty_of,
    valid_range,
)


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


def test_a_metric_gives_at_least_its_scale() -> None:
    for label, (low, high) in RANGES.items():
        lowest, highest = valid_range(label)
        assert lowest <= low
        assert high <= highest or label.startswith("pesq")
        assert ((lowest, highest) == (low, high)) == (label not in GIVEN)
        assert valid_range(label, {label: (0, 7)}) == range_of(label, {label: (0, 7)}) == (0, 7)


def test_pesq_ends_where_its_mapping_does() -> None:
    """Raw scores end at 4.5; P.862.2 (wide band) and P.862.1 (narrow band) map them by a logistic function."""
    wide, narrow = (0.999 + 4 / (1 + math.exp(b - 4.5 * a)) for a, b in ((1.3669, 3.8224), (1.4945, 4.6607)))
    assert (round(wide, 3), round(narrow, 3)) == (valid_range("pesq")[1], 4.549)


def test_what_metrics_gave_and_a_head_cannot_is_valid() -> None:
    given = {
        "pesq": 4.6438888, "nisqa_mos": 0.704, "dnsmos_ovrl": 0.958, "dnsmos_sig": 0.767, "estoi": -0.106,
        "stoi": -0.018, "lps": -0.25, "sbert": 1.0000001,
    }  # fmt: skip
    for label, value in given.items():
        low, high = range_of(label)
        assert in_range(label, value)
        assert not low <= value <= high


def test_bounds_are_inclusive() -> None:
    for label in RANGES:
        low, high = valid_range(label)
        assert low < high
        for value, beyond in ((low, low - 2 * ROUNDING), (high, high + 2 * ROUNDING)):
            assert in_range(label, value) == math.isfinite(value)
            assert not in_range(label, beyond)
