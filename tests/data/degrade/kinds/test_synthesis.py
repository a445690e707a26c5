"""Speech made anew: its power and its spectrum on the whole."""

import numpy as np
import pytest
import scipy.signal
from degrading import RATE, apply, noise, power_db, syllables


def test_what_is_made_anew_keeps_its_power() -> None:
    x = syllables()
    assert power_db(apply("robot", x, 0.7)[0]) == pytest.approx(power_db(x), abs=1e-6)


@pytest.mark.parametrize("severity", [0.0, 0.5, 1.0])
def test_a_robot_has_no_more_treble_than_the_talker(severity: float) -> None:
    x = noise(4.0)
    hz, before = scipy.signal.welch(x, RATE, nperseg=512)
    _, after = scipy.signal.welch(apply("robot", x, severity)[0], RATE, nperseg=512)
    for low, high in ((200, 1000), (1000, 3000), (3000, 7500)):
        inside = (hz > low) & (hz < high)
        assert 10 * np.log10(after[inside].mean() / before[inside].mean()) == pytest.approx(0, abs=1.0)
