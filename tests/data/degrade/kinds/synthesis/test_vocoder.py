"""WORLD: it speaks with the talker's pitch, told what it did to the melody; the envelope coarsens."""

import numpy as np
import pytest
from degrading import RATE, apply, noise, speech_like, syllables
from sqa_data.degrade.kind import Surroundings
from sqa_data.degrade.kinds import KINDS
from sqa_data.degrade.kinds.synthesis.vocoder import bent

pyworld = pytest.importorskip("pyworld", reason="pip install pyworld-prebuilt")
MELODY = np.where(np.arange(400) % 100 < 60, 120 * 2 ** (np.sin(np.arange(400) / 20) / 2), 0.0)


def voice(hz: float) -> np.ndarray:
    time = np.arange(2 * RATE) / RATE
    return 0.05 * np.asarray(sum(np.sin(2 * np.pi * hz * k * time) / k for k in range(1, 30)))


@pytest.mark.parametrize("hz", [180.0, *(pytest.param(hz, marks=pytest.mark.slow) for hz in (100.0, 250.0))])
def test_it_speaks_with_the_pitch_of_the_talker(hz: float) -> None:
    x = voice(hz)
    y, step = apply("world", x, 0.0)
    assert step["voiced"] > 0.9
    spectrum = np.abs(np.fft.rfft(y * np.hanning(len(y))))
    assert np.argmax(spectrum) / 2 == pytest.approx(hz, abs=1.0)
    assert apply("world", noise(), 0.0)[1]["voiced"] < 0.3


@pytest.mark.parametrize("kind", ["steps", "jitter", "flat"])
def test_melodies_bend_more_as_it_gets_harder_and_pauses_stay(kind: str) -> None:
    off = []
    for severity in (0.0, 0.3, 0.6, 1.0):
        heard = bent(MELODY, kind, severity, np.random.default_rng(0))
        assert ((heard > 0) == (MELODY > 0)).all()
        cents = 1200 * np.log2(heard[heard > 0] / MELODY[heard > 0])
        off.append(np.sqrt(np.mean(cents**2)))
    assert off[0] < 0.1
    assert off == sorted(off)
    assert off[-1] > 50
    assert not bent(np.zeros(9), kind, 1.0, np.random.default_rng(0)).any()


def test_the_hardest_melodies_are_what_their_names_say() -> None:
    rng = np.random.default_rng(0)
    steps = np.log2(bent(MELODY, "steps", 1.0, rng)[MELODY > 0]) * 4  # of three semitones
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-9)
    flat = bent(MELODY, "flat", 1.0, rng)[MELODY > 0]
    np.testing.assert_allclose(flat, np.exp(np.mean(np.log(MELODY[MELODY > 0]))))
    jitter = np.log2(bent(MELODY, "jitter", 1.0, rng)[MELODY > 0] / MELODY[MELODY > 0])
    assert jitter.std() == pytest.approx(1 / 6, rel=0.1)


def test_what_it_did_is_told() -> None:
    told = [apply("world", speech_like(), severity)[1] for severity in (0.0, 0.5, 1.0)]
    assert [step["coefficients"] for step in told] == [60, 24, 10]
    assert [step["pitch"] for step in told] == ["Harvest", "DIO", "DIO"]
    assert [step["period_ms"] for step in told] == [5, 7.5, 10]
    assert told[0]["pitch_error_cents"] < 0.1 < told[2]["pitch_error_cents"]
    drawn = {apply("world", syllables(0.3), 0.5, seed)[1]["melody"] for seed in range(16)}
    assert drawn == {"steps", "jitter", "flat"}


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KINDS["world"].missing(Surroundings()) is None
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert KINDS["world"].missing(Surroundings()) == "needs pyworld: pip install pyworld-prebuilt"
