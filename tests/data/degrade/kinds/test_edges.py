"""Padding and crops: the reference follows, sample by sample, also through what comes before and after."""

import numpy as np
import pytest
from degrading import RATE, power_db, syllables
from sqa_data.degrade.chain import degrade
from sqa_data.degrade.kind import Step, Surroundings
from sqa_data.degrade.kinds import KINDS, ONLY_IF_NAMED
from sqa_data.degrade.kinds.edges import edged
from sqa_data.degrade.plan import kinds_here


@pytest.mark.parametrize("kind", ["pad-silence", "crop"])
@pytest.mark.parametrize("severity", [0.0, 0.5, 1.0])
def test_the_reference_follows(kind: str, severity: float) -> None:
    x = syllables(3.0)
    done = degrade(x, [Step(kind, severity)], 3)
    np.testing.assert_array_equal(done.samples, done.reference)
    if kind == "crop":
        before, after = (round(s * RATE) for s in done.steps[0]["cropped_s"])
        assert before + after == pytest.approx((0.05 + 0.55 * severity) * len(x), abs=2)
        np.testing.assert_array_equal(done.samples, x[before : len(x) - after])
    else:
        before, after = (round(s * RATE) for s in done.steps[0]["padded_s"])
        assert 0 < min(before, after) < max(before, after) <= (0.1 + 1.9 * severity) * RATE + 1
        np.testing.assert_array_equal(done.samples[before : len(done.samples) - after], x)
        assert power_db(x) > -30
        assert not done.samples[:before].any()
        assert not done.samples[-after:].any()


@pytest.mark.parametrize("severity", [0.0, 1.0])
def test_a_floor_goes_from_the_start_to_the_end(severity: float) -> None:
    x = syllables(2.0)
    done = degrade(x, [Step("pad-noise", severity)], 4)
    floor = done.samples - done.reference
    assert power_db(floor) == pytest.approx(done.steps[0]["floor_dbfs"], abs=0.3)
    assert done.steps[0]["floor_dbfs"] == -80 + 35 * severity
    for piece in np.array_split(floor, 8):
        assert power_db(piece) == pytest.approx(power_db(floor), abs=1.0)


def test_a_chain_keeps_its_reference_in_time() -> None:
    x = syllables(3.0)
    done = degrade(x, [Step("pad-silence", 0.5), Step("coloured-noise", 0.5), Step("crop", 0.5)], 1)
    padded, noise, cropped = done.steps
    expected = edged(edged(x, padded, RATE), cropped, RATE)
    np.testing.assert_array_equal(done.reference, expected)
    assert done.samples.shape == expected.shape
    assert noise["snr_db"] == pytest.approx(40 - 45 * 0.5, abs=0.01)
    added = done.samples - done.reference
    assert np.std([power_db(piece) for piece in np.array_split(added, 6)]) < 3


def test_a_short_clip_is_not_cropped_away() -> None:
    for seconds, left in ((0.3, 0.3), (0.6, 0.5), (10, 4.0)):
        done = degrade(np.full(round(seconds * RATE), 0.1), [Step("crop", 1.0)])
        assert len(done.samples) / RATE == pytest.approx(left, abs=1e-3)


def test_no_preset_changes_the_length_unless_told() -> None:
    assert set(ONLY_IF_NAMED) == {"pad-silence", "pad-noise", "crop"} <= set(KINDS)
    assert not set(ONLY_IF_NAMED) & set(kinds_here(Surroundings()))
    assert kinds_here(Surroundings(), ["crop", "hum"]) == ["crop", "hum"]
