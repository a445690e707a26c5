"""Rooms have the reverberation time and the direct sound that they say, and other sounds are in the same one."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from degrading import RATE, apply, noise, speech_like
from sqa_data import DataError
from sqa_data.degrade.acoustics import Box, Response
from sqa_data.degrade.chain import degrade
from sqa_data.degrade.kind import Step, Surroundings

DIRECT = round(0.0025 * RATE) + 1


def click() -> np.ndarray:
    samples = np.zeros(4 * RATE)
    samples[0] = 0.1
    return samples


@pytest.fixture(scope="module")
def rooms(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder, rng = tmp_path_factory.mktemp("rooms"), np.random.default_rng(0)
    for name, rt60_s in (("closet", 0.2), ("hall", 1.2)):
        box = Box.drawn(rt60_s, rng)
        (folder / name).mkdir()
        for place in range(2):
            response = box.response(box.place(1 + place, rng), RATE, rng)
            sf.write(folder / name / f"{place}.wav", 0.2 * response.taps, RATE, subtype="FLOAT")
    return tuple(sorted(folder.glob("*/*.wav")))


def test_a_room_has_its_reverberation_time_and_direct_sound() -> None:
    for severity in (0.3, 1.0):
        y, step = apply("reverb", click(), severity)
        assert y[0] == pytest.approx(0.1)
        direct, later = np.sum(y[:DIRECT] ** 2), np.sum(y[DIRECT:] ** 2)
        assert 10 * np.log10(direct / later) == pytest.approx(step["direct_db"], abs=1e-3)
        assert step["rt60_s"] == pytest.approx(0.15 + 1.45 * severity, rel=0.2)
        late = y[RATE // 20 :]  # behind the early reflections
        left_db = 10 * np.log10(np.cumsum(late[::-1] ** 2)[::-1] / np.sum(late**2) + 1e-12)  # Schroeder 1965
        assert 3 * np.argmax(left_db < -20) / RATE == pytest.approx(0.85 * step["rt60_s"], rel=0.25)


def test_near_talkers_are_in_big_rooms_too() -> None:
    direct = [apply("reverb", noise(1.0), 0.5, seed)[1]["direct_db"] for seed in range(20)]
    assert np.ptp(direct) > 4
    assert np.mean(direct) == pytest.approx(5, abs=2)


def test_a_recorded_room_is_heard_as_it_was_recorded(rooms: tuple[Path, ...]) -> None:
    names = set()
    for severity in (0.0, 1.0):
        for seed in range(4):
            y, step = apply("rir", click(), severity, seed, rooms=rooms)
            path = next(path for path in rooms if f"{path.parent.name}/{path.stem}" == step["room"])
            taps, _ = sf.read(path)
            np.testing.assert_allclose(
                y[: len(taps)], 0.1 * taps / np.sqrt(np.sum(taps[:DIRECT] ** 2)), atol=1e-6
            )
            told = Response(taps, 0, RATE)
            assert step["rt60_s"] == pytest.approx(told.rt60_s, rel=0.05)
            assert step["direct_db"] == pytest.approx(told.direct_db, abs=0.01)
            names.add((severity, path.parent.name))
    assert names == {(0.0, "closet"), (1.0, "hall")}  # the clearest is the mildest


def test_noise_is_in_the_room_of_the_talker(rooms: tuple[Path, ...], tmp_path: Path) -> None:
    """A clap shows the room that it is heard in."""
    clap = np.zeros(4 * RATE)
    clap[::RATE] = 0.5
    sf.write(tmp_path / "clap.wav", clap, RATE)
    around = Surroundings((tmp_path / "clap.wav",), rooms=rooms)
    x = speech_like(3.0)
    quiet = {}
    for severity, room in ((0.0, "closet"), (1.0, "hall")):
        done = degrade(x, [Step("rir", severity), Step("room-noise", 0.5)], 1, around)
        first, second = done.steps
        assert first["room"].startswith(room)
        assert second["noise_room"].startswith(room)
        assert first["room"] != second["noise_room"]
        added = done.samples - degrade(x, [Step("rir", severity)], 1, around).samples
        power = np.convolve(added**2, np.ones(320) / 320, "same")[RATE : 2 * RATE]
        quiet[room] = np.mean(power < power.max() / 1000)
    assert quiet["closet"] > quiet["hall"] + 0.15


def test_noise_in_a_made_room_sounds_as_long_as_the_room(tmp_path: Path) -> None:
    clap = np.zeros(8 * RATE)
    clap[RATE // 2 :: 2 * RATE] = 0.5
    sf.write(tmp_path / "clap.wav", clap, RATE)
    x = 1e-3 * noise(6.0)
    around = Surroundings((tmp_path / "clap.wav",))
    for severity in (0.1, 0.6):
        done = degrade(x, [Step("reverb", severity), Step("room-noise", 1.0)], 2, around)
        added = done.samples - degrade(x, [Step("reverb", severity)], 2, around).samples
        start = int(np.argmax(np.abs(added[: 2 * RATE + RATE // 2])))
        taps = added[start : start + round(1.9 * RATE)]
        assert Response(taps, 0, RATE).rt60_s == pytest.approx(done.steps[0]["rt60_s"], rel=0.3)


def test_without_rooms_or_with_silent_ones(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="'rir' cannot run here: needs recorded impulse responses of rooms; give --rir"
    ):
        apply("rir", click())
    sf.write(tmp_path / "hush.wav", np.zeros(1000), RATE)
    with pytest.raises(DataError, match=r"hush\.wav: is silent, and so are the other rooms; give --rir"):
        apply("rir", click(), rooms=(tmp_path / "hush.wav",))
