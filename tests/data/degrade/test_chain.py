"""Chains of kinds: order, seeds, full scale, what is refused."""

import numpy as np
import pytest
from degrading import RATE, syllables
from sqa_data import DataError
from sqa_data.degrade.chain import degrade
from sqa_data.degrade.kind import Step


@pytest.mark.parametrize("peak", [0.3, 0.98, 1.5])
def test_what_ends_over_full_scale_is_made_smaller_and_not_cut(peak: float) -> None:
    x = syllables() / np.abs(syllables()).max() * peak
    done = degrade(x, [])
    np.testing.assert_allclose(done.samples, x * min(1, 0.99 / peak), rtol=1e-12)
    gains = [step["gain_db"] for step in done.steps]
    assert gains == pytest.approx([20 * np.log10(0.99 / peak)] if peak > 0.99 else [], abs=1e-3)


def test_every_step_draws_for_itself() -> None:
    x = syllables()
    chains = [[Step("lowpass", s), Step("coloured-noise", 0.5)] for s in (0.1, 0.9)]
    tilts = [degrade(x, chain, 4).steps[1]["tilt"] for chain in chains]
    assert tilts[0] == tilts[1] != degrade(x, chains[0], 5).steps[1]["tilt"]
    assert (degrade(x, chains[0], 4).samples == degrade(x, chains[0], [4]).samples).all()


def test_noise_after_noise_is_measured_against_the_speech_alone() -> None:
    x = syllables()
    one, other = degrade(x, [Step("coloured-noise", 0.8), Step("hum", 0.9)]).steps
    assert one["snr_db"] == pytest.approx(40 - 45 * 0.8, abs=0.01)
    assert "snr_of_all_db" not in one
    assert other["snr_db"] == pytest.approx(35 - 38 * 0.9, abs=0.01)
    both = -10 * np.log10(10 ** (-one["snr_db"] / 10) + 10 ** (-other["snr_db"] / 10))
    assert other["snr_of_all_db"] == pytest.approx(both, abs=0.3)


@pytest.mark.parametrize(
    ("samples", "chain", "message"),
    [
        (np.zeros((2, 16000)), [], "mono"),
        (np.full(16000, np.nan), [], "finite"),
        (np.zeros(10), [], r"at least 0\.1 s"),
        (np.zeros(16000), [Step("no-such", 0.5)], "unknown degradation 'no-such'; known: reverb"),
        (
            np.ones(16000),
            [Step("noise", 0.5)],
            "'noise' cannot run here: needs noise recordings; give --noise",
        ),
    ],
)
def test_bad_input_is_named(samples: np.ndarray, chain: list[Step], message: str) -> None:
    with pytest.raises(DataError, match=message):
        degrade(samples, chain, rate=RATE)


@pytest.mark.parametrize(
    ("rate", "severity"), [(4000, 0.5), (96_000, 0.5), (RATE, 1.5), (RATE, -0.1), (RATE, np.nan)]
)
def test_rates_and_severities_have_their_range(rate: int, severity: float) -> None:
    with pytest.raises(DataError, match=r"expected (8000 to 48000 Hz|0 to 1)"):
        degrade(syllables(), [Step("hum", severity)], rate=rate)
