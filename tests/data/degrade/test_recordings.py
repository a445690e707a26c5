"""Cuts of recordings: never of their silence, and without a click where a short one starts again."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from degrading import RATE
from sqa_data import DataError
from sqa_data.degrade import recordings
from sqa_data.degrade.recordings import cut, read_mono


def test_a_cut_is_not_of_a_pause(tmp_path: Path) -> None:
    sound = np.zeros(10 * RATE)
    sound[: 2 * RATE] = 0.1 * np.random.default_rng(0).standard_normal(2 * RATE)
    sf.write(tmp_path / "rain.wav", sound, RATE)
    for seed in range(20):
        piece, name = cut([tmp_path / "rain.wav"], RATE, RATE, np.random.default_rng(seed), "--noise FOLDER")
        assert (piece.any(), len(piece), name) == (True, RATE, "rain")


@pytest.mark.parametrize("length", [40, 1000, 5000, 23_000])
def test_what_is_short_goes_round_without_a_click(tmp_path: Path, length: int) -> None:
    ramp = np.linspace(-0.5, 0.5, 5000)  # its ends do not meet
    sf.write(tmp_path / "ramp.wav", ramp, RATE, subtype="FLOAT")
    jumps = []
    for seed in range(20):
        piece, _ = cut([tmp_path / "ramp.wav"], length, RATE, np.random.default_rng(seed), "")
        assert len(piece) == length
        jumps.append(np.abs(np.diff(piece)).max())
    assert max(jumps) < 0.06  # a plain repetition jumps by 1
    starts = {
        cut([tmp_path / "ramp.wav"], length, RATE, np.random.default_rng(s), "")[0][0] for s in range(9)
    }
    assert len(starts) > (1 if length != 5000 else 0)


def test_silent_recordings_are_passed_over_or_refused(tmp_path: Path) -> None:
    sf.write(tmp_path / "hush.wav", np.zeros(RATE), RATE)
    sf.write(tmp_path / "hum.wav", np.full(RATE, 0.1), RATE)
    both = [tmp_path / "hush.wav", tmp_path / "hum.wav"]
    assert {cut(both, 99, RATE, np.random.default_rng(s), "")[1] for s in range(9)} == {"hum"}
    crowd = [tmp_path / "hush.wav"] * 40 + both[1:]
    assert {cut(crowd, 99, RATE, np.random.default_rng(s), "")[1] for s in range(9)} == {"hum"}
    with pytest.raises(
        DataError, match=r"hush\.wav: is silent or cannot be read, as are all 1; give --noise"
    ):
        cut(both[:1], 99, RATE, np.random.default_rng(0), "--noise FOLDER")
    with pytest.raises(DataError, match="needs recordings; give --noise"):
        cut([], 99, RATE, np.random.default_rng(0), "--noise FOLDER")


def test_recordings_that_cannot_be_read_are_passed_over_with_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sf.write(tmp_path / "hum.wav", np.full(RATE, 0.1), RATE)
    sf.write(tmp_path / "burst.wav", np.array([0.1, np.inf]), RATE, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("not audio")
    paths = sorted(tmp_path.glob("*.wav"))
    assert {cut(paths, 99, RATE, np.random.default_rng(s), "")[1] for s in range(9)} == {"hum"}
    for name in ("burst.wav", "text.wav"):
        assert sum(name in line and line.endswith("; passed over") for line in caplog.messages) == 1


@pytest.mark.parametrize("at", [0, 700, -1])
def test_a_click_anywhere_is_in_the_cut(tmp_path: Path, at: int) -> None:
    click = np.zeros(RATE + 77)
    click[at] = 0.5
    sf.write(tmp_path / "click.wav", click, RATE)
    for seed in range(5):
        assert cut([tmp_path / "click.wav"], RATE, RATE, np.random.default_rng(seed), "")[0].any()


def test_a_recording_is_heard_at_the_rate_asked_for_as_the_mean_of_its_channels(tmp_path: Path) -> None:
    time = np.arange(48_000) / 48_000
    tone = 0.4 * np.sin(2 * np.pi * 1000 * time)
    sf.write(tmp_path / "two.wav", np.stack([tone, 0 * tone], axis=1), 48_000, subtype="FLOAT")
    heard = read_mono(tmp_path / "two.wav", RATE)
    assert len(heard) == RATE
    np.testing.assert_allclose(heard[200:-200], 0.5 * tone[::3][200:-200], atol=1e-4)


def test_of_a_long_recording_a_part_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty minutes at 48 kHz would take half a gigabyte; some parts of it may be silent."""
    monkeypatch.setattr(recordings, "PART_S", 1.0)
    heard: list[tuple[float, float]] = []
    read = recordings.read_mono

    def seen(path: Path, rate: int, start_s: float = 0.0, most_s: float = np.inf) -> np.ndarray:
        heard.append((start_s, most_s))
        return read(path, rate, start_s, most_s)

    monkeypatch.setattr(recordings, "_of_late", seen)
    sound = np.zeros(10 * RATE)
    sound[5 * RATE :] = 0.1 * np.random.default_rng(0).standard_normal(5 * RATE)
    sf.write(tmp_path / "long.wav", sound, RATE)
    for seed in range(12):
        piece, _ = cut(
            [tmp_path / "long.wav"], RATE // 4, RATE, np.random.default_rng(seed), "--noise FOLDER"
        )
        assert piece.std() > 0.05
    assert {most for _, most in heard} == {1.0}
    assert all(0 <= start <= 9 for start, _ in heard)
    assert len({start for start, _ in heard}) > 5
    piece, _ = cut([tmp_path / "long.wav"], 3 * RATE, RATE, np.random.default_rng(0), "")
    assert (len(piece), heard[-1][1]) == (3 * RATE, 6.0)  # a part is twice what is asked for
