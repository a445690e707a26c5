"""Suppressors: they suppress, as strongly as they say; the mask of a network errs as it says."""

import numpy as np
import pytest
from degrading import RATE, apply, noise, speech_like, syllables
from sqa_data.degrade import signal
from sqa_data.degrade.kind import Surroundings, World
from sqa_data.degrade.kinds import KINDS
from sqa_data.degrade.kinds.enhancer.textbook import suppress


@pytest.mark.parametrize("method", ["subtraction", "wiener", "logmmse", "gate"])
def test_suppressors_suppress(method: str) -> None:
    clean = speech_like(4.0)
    hiss = 0.01 * np.random.default_rng(1).standard_normal(len(clean))
    output = suppress(clean + hiss, RATE, method, 2.0)
    pauses = signal.frames(clean, 320, 320).std(axis=1) < 3e-4
    left = signal.frames(output, 320, 320)[pauses].std()
    assert left < 0.6 * hiss.std()
    assert np.corrcoef(output, clean)[0, 1] > 0.95


@pytest.mark.parametrize(
    ("kind", "method", "hardest"),
    [
        ("subtraction", "subtraction", 8),
        ("wiener", "wiener", 6),
        ("logmmse", "logmmse", 6),
        ("gate", "gate", 12),
        ("over-suppression", "wiener", 60),
    ],
)
def test_a_suppressor_is_as_strong_as_it_says(kind: str, method: str, hardest: float) -> None:
    x = syllables() + 0.1 * noise()
    for severity in (0.0, 0.5, 1.0):
        y, step = apply(kind, x, severity)
        strength = 0.05 * (hardest / 0.05) ** severity
        assert step["strength"] == pytest.approx(strength, abs=1e-6)
        np.testing.assert_allclose(y, suppress(x, RATE, method, strength), atol=1e-12)


def test_a_neural_mask_is_pushed_and_errs() -> None:
    x, kind = noise(4.0), KINDS["neural-mask"].act
    given = np.abs(signal.stft(x, RATE, 0.032, 0.016))[4:-4, 5:200]
    for share, severity in ((0.5, 1.0), (0.5, 0.2), (1.0, 1.0)):
        y, said = kind(
            x, severity, World(np.random.default_rng(0), RATE, share * x, share * x, Surroundings())
        )
        gains = np.log(np.abs(signal.stft(y, RATE, 0.032, 0.016))[4:-4, 5:200] / given)
        errors = float(said["spread"]) * np.random.default_rng(0).standard_normal(10_000)
        expected = np.minimum(float(said["push"]) * np.log(share) + errors, 0)  # no band is amplified
        assert gains.mean() == pytest.approx(expected.mean(), abs=0.12)
