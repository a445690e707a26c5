"""Ways of codecs, with codecs of the test's own: what reaches them, and what comes back."""

import numpy as np
import pytest
from degrading import RATE, power_db, speech_like
from sqa_data.degrade.kind import Surroundings, World
from sqa_data.degrade.kinds.codec.ways import by_bits, by_rate, carried, coding_rate, quiet, step, tandem
from sqa_data.degrade.signal import Samples, level_dbfs

X = speech_like()
WORLD = World(np.random.default_rng(0), RATE, X, X, Surroundings())


class Half:
    """A codec that halves, and notes what it was given."""

    def __init__(self) -> None:
        self.heard: list[tuple[Samples, int]] = []

    def __call__(self, samples: Samples, rate: int, kbps: float = 13.0) -> tuple[Samples, float]:
        self.heard.append((samples, rate))
        return samples / 2, kbps


def test_a_codec_hears_its_own_rate_and_never_more_than_full_scale() -> None:
    codec = Half()
    loud = 30 * X
    y, kbps = carried(loud, RATE, 8000, codec)
    ((samples, rate),) = codec.heard
    assert (rate, len(samples), kbps) == (8000, len(X) // 2, 13.0)
    assert np.abs(samples).max() == pytest.approx(0.99)
    assert power_db(y) == pytest.approx(power_db(loud) - 6.02, abs=0.5)
    assert len(y) == len(loud)


def test_the_rate_that_holds_the_speech() -> None:
    assert [coding_rate((8000, 16_000, 24_000), rate) for rate in (8000, 11_025, 48_000)] == [
        8000,
        16_000,
        24_000,
    ]


def test_steps_reach_both_ends() -> None:
    assert [step("abc", severity) for severity in (0.0, 0.2, 0.5, 1.0)] == ["a", "a", "b", "c"]


@pytest.mark.parametrize(("severity", "passes"), [(0.0, 1), (0.5, 2), (1.0, 3)])
def test_tandems_are_counted(severity: float, passes: int) -> None:
    y, settings = tandem(Half(), (RATE,))(X, severity, WORLD)
    assert settings == {"kbps": 13.0, "tandem": passes}
    np.testing.assert_allclose(y, X / 2**passes)


def test_quiet_speech_is_as_loud_as_before_afterwards() -> None:
    codec = Half()
    y, settings = quiet(codec, RATE)(X, 1.0, WORLD)
    assert level_dbfs(codec.heard[0][0], RATE) == pytest.approx(-55, abs=0.1)
    assert settings == {"kbps": 13.0, "level_dbfs": -55}
    np.testing.assert_allclose(y, X)


def test_rates_and_bit_rates_fall_with_severity() -> None:
    rates, bits = Half(), Half()
    falling = by_rate(rates, (16_000, 8000))
    assert [falling(X, severity, WORLD)[1]["rate_hz"] for severity in (0.0, 1.0)] == [16_000, 8000]
    assert [rate for _, rate in rates.heard] == [16_000, 8000]
    lower = by_bits(bits, (8000, 16_000, 32_000), (64, 32, 8))
    assert [lower(X, severity, WORLD)[1]["kbps"] for severity in (0.0, 0.5, 1.0)] == [64, 32, 8]
    assert {rate for _, rate in bits.heard} == {RATE}
