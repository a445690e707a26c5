"""Presets: what they draw, counted over many chains, and that URGENT's ranges come out as they are published."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from degrading import RATE, noise, speech_like
from sqa_data.degrade.chain import degrade
from sqa_data.degrade.kind import Family, Step, Surroundings
from sqa_data.degrade.kinds import KINDS
from sqa_data.degrade.presets import PRESETS, broad, urgent

PLAIN = [
    "reverb",
    "noise",
    "babble",
    "clipping",
    "wiener",
    "lowpass",
    "low-rate",
    "mp3",
    "vorbis",
    "loss-zero",
    "level",
]


def chains(preset: str, count: int, most: int = 4, unseen: tuple[str, ...] = ()) -> list[tuple[Step, ...]]:
    rng = np.random.default_rng(0)
    return [PRESETS[preset](PLAIN, most, rng, unseen) for _ in range(count)]


@pytest.mark.parametrize("most", [1, 2, 4])
def test_broad_chains_have_each_family_once_in_the_order_of_the_path(most: int) -> None:
    for chain in chains("broad", 500, most):
        families = [KINDS[step.kind].family for step in chain]
        assert families == sorted(set(families))
        assert len(chain) <= most
        assert Family.ENHANCER not in families or Family.NOISE in families
        assert all(0 <= step.severity <= 1 for step in chain)


def test_broad_families_come_equally_often_and_long_chains_are_milder() -> None:
    drawn = chains("broad", 4000)
    families = Counter(KINDS[step.kind].family for chain in drawn for step in chain)
    expected = np.mean([n for family, n in families.items() if family is not Family.NOISE])
    for family, count in families.items():
        # noise also comes with enhancers
        assert count == pytest.approx(expected, rel=0.15) or family is Family.NOISE
    assert families[Family.NOISE] > expected
    severities = {n: np.mean([s.severity for c in drawn if len(c) == n for s in c]) for n in (1, 4)}
    assert severities[1] == pytest.approx(0.5, abs=0.03)
    assert severities[4] < 0.37
    assert Counter(len(c) == 0 for c in drawn)[True] / 4000 == pytest.approx(0.03, abs=0.01)


def test_what_must_be_there_is_there() -> None:
    for most in (1, 2, 4):
        found = Counter(step.kind for c in chains("broad", 200, most, ("wiener", "mp3")) for step in c)
        assert found["wiener"] + found["mp3"] >= 200
        assert (found["wiener"] > 50) == (most > 1)  # it brings its noise


def test_an_enhancer_without_noises_runs_alone() -> None:
    kinds = {
        step.kind for seed in range(20) for step in broad(["wiener"], 4, np.random.default_rng(seed), ())
    }
    assert kinds == {"wiener"}


def test_urgent_counts() -> None:
    drawn = chains("urgent", 4000)
    kinds = Counter(step.kind for chain in drawn for step in chain)
    assert kinds["reverb"] / 4000 == pytest.approx(0.5, abs=0.03)
    assert kinds["noise"] == 4000
    augmented = Counter(len(chain) - 1 - (chain[0].kind == "reverb") for chain in drawn)
    # three of them are cut where a room and noise come first: at most four steps
    assert augmented[0] / 4000 == pytest.approx(0.25, abs=0.03)
    assert augmented[1] / 4000 == pytest.approx(0.40, abs=0.03)
    for kind in ("clipping", "low-rate", "loss-zero"):
        assert kinds[kind] == pytest.approx(kinds["mp3"] + kinds["vorbis"], rel=0.1)


@pytest.mark.parametrize("most", [1, 2, 3])
def test_urgent_keeps_to_the_most_steps(most: int) -> None:
    assert {len(chain) for chain in chains("urgent", 500, most)} == set(range(1, most + 1))


def test_urgent_draws_from_the_kinds_at_hand_alone() -> None:
    rng = np.random.default_rng(0)
    drawn = [urgent(["noise", "mp3"], 4, rng, ()) for _ in range(500)]
    assert {step.kind for chain in drawn for step in chain} == {"noise", "mp3"}


def test_urgent_settings_are_in_its_ranges(tmp_path: Path) -> None:
    sf.write(tmp_path / "rain.wav", noise(2.0), RATE)
    around, clean = Surroundings((tmp_path / "rain.wav",)), speech_like(1.0)
    told: dict[str, list[float]] = {"snr_db": [], "clipped": [], "loss_rate": []}
    rng = np.random.default_rng(3)
    for seed in range(150):
        for step in urgent(["noise", "clipping", "loss-zero"], 4, rng, ()):
            if step.kind in ("noise", "clipping", "loss-zero"):
                [done] = degrade(clean, [step], seed, around).steps[:1]
                for name in told.keys() & done.keys():
                    told[name].append(done[name])
    for name, low, high in (("snr_db", -5.01, 20.01), ("clipped", 0, 0.201)):
        assert low <= min(told[name]) < max(told[name]) <= high
        assert np.mean(told[name]) == pytest.approx((low + high) / 2, abs=0.15 * (high - low))
    assert np.mean(told["loss_rate"]) == pytest.approx(0.15, abs=0.04)  # each clip's own differs by chance


def test_urgent_takes_recorded_rooms_and_wind_where_they_are() -> None:
    rng = np.random.default_rng(0)
    kinds = Counter(
        step.kind for _ in range(400) for step in urgent(["noise", "reverb", "rir", "wind"], 4, rng, ())
    )
    assert kinds["reverb"] == 0
    assert kinds["rir"] == pytest.approx(200, abs=40)
    assert 5 < kinds["wind"] < 40
