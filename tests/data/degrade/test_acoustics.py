"""Impulse responses: what is measured of them by definition, and boxes that obey the physics of rooms."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from degrading import RATE
from sqa_data.degrade import acoustics
from sqa_data.degrade.acoustics import Box, Response, recorded

RATES = (8000, 16_000, 22_050, 48_000)


def decay(rt60_s: float, direct_db: float, rate: int, seed: int = 0) -> np.ndarray:
    """White noise that falls by 60 dB in this time, behind a direct sound."""
    time = np.arange(round(1.5 * rt60_s * rate)) / rate
    taps = np.random.default_rng(seed).standard_normal(len(time)) * 10 ** (-3 * time / rt60_s)
    taps[: round(0.0025 * rate) + 1] = 0
    taps *= np.sqrt(10 ** (-direct_db / 10) / np.sum(taps**2))
    taps[0] = 1
    return taps


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("rt60_s", [0.2, 0.7, 1.5])
def test_a_decay_is_measured(rate: int, rt60_s: float) -> None:
    response = Response(decay(rt60_s, 3.0, rate), 0, rate)
    assert response.rt60_s == pytest.approx(rt60_s, rel=0.12)
    assert response.direct_db == pytest.approx(3.0, abs=1e-6)
    assert response.with_direct_db(-7.0).direct_db == pytest.approx(-7.0, abs=1e-6)
    left = 10 ** (-6 * 0.05 / rt60_s)  # of the tail, behind 50 ms
    assert response.clarity_db == pytest.approx(10 * np.log10((10**0.3 + 1 - left) / left), abs=1.5)


def test_a_click_has_no_room() -> None:
    click = Response(np.array([1.0, 0.0]), 0, RATE)
    assert (click.direct_db, click.clarity_db) == (100, 100)
    assert 0 <= click.rt60_s < 0.01


@pytest.mark.parametrize("rate", RATES)
def test_a_box_sounds_as_long_as_it_should(rate: int) -> None:
    for seed, rt60_s in enumerate((0.2, 0.5, 1.6)):
        rng = np.random.default_rng(seed)
        box = Box.drawn(rt60_s, rng)
        found = [box.response(box.place(2.0, rng), rate, rng).rt60_s for _ in range(4)]
        assert np.mean(found) == pytest.approx(rt60_s, rel=0.1)


def test_the_farther_the_weaker_is_the_direct_sound() -> None:
    """6 dB at each doubling; at the critical distance, .057 sqrt(V / RT60), both are alike (Kuttruff 2016)."""
    rng = np.random.default_rng(3)
    box = Box(np.array([9.0, 7.0, 4.0]), np.array([4.0, 3.0, 1.7]), 0.8)
    critical = 0.057 * np.sqrt(box.volume_m3 / box.rt60_s)
    assert box.distance_m(0.0) == pytest.approx(critical, rel=0.03)
    found = []
    for distance_m in (critical / 2, critical, 2 * critical):
        places = [box.place(distance_m, rng) for _ in range(30)]
        assert [np.linalg.norm(p - box.microphone_m) for p in places] == pytest.approx([distance_m] * 30)
        found.append(np.mean([box.response(place, RATE, rng).direct_db for place in places]))
    assert -np.diff(found) == pytest.approx([6.0, 6.0], abs=1.0)
    assert 0 < found[1] < 3  # the treble dies sooner than the middle, of which the formula speaks


def test_first_reflections_come_when_walls_say_so() -> None:
    box = Box(np.array([6.0, 5.0, 3.0]), np.array([3.0, 2.2, 1.0]), 0.5)
    source = np.array([4.0, 2.2, 1.0])
    taps = box.response(source, 48_000, np.random.default_rng(0)).taps
    images = [(4.0, 2.2, -1.0), (4.0, 2.2, 5.0), (8.0, 2.2, 1.0), (4.0, -2.2, 1.0)]
    for image in images:
        path = np.linalg.norm(np.array(image) - box.microphone_m)
        at = round((path - 1.0) / 343 * 48_000)
        near = np.abs(taps[at - 8 : at + 9])
        assert near[8] == near.max(), image
        assert 0.5 / path < near[8] < 1.1 / path
    # nothing between the direct sound and the first of them, that of the floor
    assert np.abs(taps[1:150]).max() < 0.02


def test_a_recording_starts_at_its_direct_sound_which_keeps_its_level(tmp_path: Path) -> None:
    taps = decay(0.4, 2.0, 48_000)
    other = np.random.default_rng(1).standard_normal(4000 + len(taps))  # a second channel is left out
    for name, sign in (("plus", 1), ("minus", -1)):
        both = np.stack([np.concatenate([np.zeros(4000), 0.2 * sign * taps]), other], axis=1)
        sf.write(tmp_path / f"{name}.wav", both, 48_000, subtype="FLOAT")
    click = np.zeros(4000)
    click[1000] = 0.5
    heard = []
    for name in ("plus", "minus"):
        response = recorded(tmp_path / f"{name}.wav", RATE)
        assert response is not None
        assert response.direct_db == pytest.approx(2.0, abs=0.5)
        assert response.rt60_s == pytest.approx(0.4, rel=0.12)
        wet = response.applied(click)
        assert len(wet) == len(click)
        assert int(np.argmax(np.abs(wet))) == 1000
        assert np.sum(wet[950:1040] ** 2) == pytest.approx(0.25, rel=0.02)
        heard.append(wet)
    np.testing.assert_allclose(heard[0], heard[1], atol=1e-6)
    sf.write(tmp_path / "hush.wav", np.zeros(100), RATE)
    assert recorded(tmp_path / "hush.wav", RATE) is None


def test_few_bytes_of_recorded_rooms_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"{number}.wav" for number in range(4)]
    for number, path in enumerate(paths):
        sf.write(path, decay(0.3, 3.0, RATE, number), RATE, subtype="FLOAT")
    monkeypatch.setattr(acoustics, "_kept", {})
    read = [recorded(path, RATE) for path in paths]
    assert all(recorded(path, RATE) is before for path, before in zip(paths, read, strict=True))
    assert read[0] is not None
    monkeypatch.setattr(acoustics, "KEPT_BYTES", 2 * read[0].taps.nbytes)
    assert recorded(paths[0], RATE) is read[0]
    assert [path for path, _ in acoustics._kept] == [paths[3], paths[0]]
    again = recorded(paths[1], RATE)
    assert again is not read[1]
    assert again is not None
    assert read[1] is not None
    np.testing.assert_array_equal(again.taps, read[1].taps)
