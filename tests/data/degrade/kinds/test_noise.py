"""What is added has the ratio to the active speech that is told, and the sound that its name promises."""

from pathlib import Path

import numpy as np
import pytest
import scipy.signal
import soundfile as sf
from degrading import RATE, apply, noise, power_db, speech_like, syllables
from sqa_data.degrade import signal


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, ...]]:
    folder = tmp_path_factory.mktemp("around")
    sf.write(folder / "rain.wav", noise(0.5, seed=9), RATE)
    for talker in range(4):
        sf.write(folder / f"talker{talker}.wav", speech_like(3.0, seed=talker), RATE)
    return {"noises": (folder / "rain.wav",), "talkers": tuple(sorted(folder.glob("talker*.wav")))}


@pytest.mark.parametrize(
    ("kind", "mildest", "hardest"),
    [
        ("noise", 40, -5),
        ("room-noise", 40, -5),
        ("coloured-noise", 40, -5),
        ("wind", 40, -10),
        ("babble", 35, -3),
        ("competing-talker", 35, -3),
        ("far-end-echo", 35, -3),
        ("hum", 35, -3),
    ],
)
def test_what_is_added_has_its_ratio_to_the_active_speech(
    kind: str, mildest: float, hardest: float, around: dict[str, tuple[Path, ...]]
) -> None:
    x = syllables()
    for severity in (0.0, 0.2, 1.0):
        y, step = apply(kind, x, severity, **around)
        voice = kind in ("competing-talker", "far-end-echo")
        added = signal.level_dbfs(y - x, RATE) if voice else power_db(y - x)
        ratio = 10 * np.log10(signal.active_power(x, RATE)) - added
        assert ratio == pytest.approx(step["snr_db"], abs=1e-3)
        assert ratio == pytest.approx(mildest + (hardest - mildest) * severity, abs=0.2 if voice else 1e-3)


def test_the_colour_of_noise_and_hum_and_babble(around: dict[str, tuple[Path, ...]]) -> None:
    x, hz = syllables(), np.fft.rfftfreq(2 * RATE, 1 / RATE)
    middle = (hz > 100) & (hz < 7000)
    for seed in range(4):
        y, step = apply("coloured-noise", x, seed=seed)
        spectrum = np.log(np.abs(np.fft.rfft(y - x))[middle] ** 2)
        assert -np.polyfit(np.log(hz[middle]), spectrum, 1)[0] == pytest.approx(step["tilt"], abs=0.1)
        y, step = apply("hum", x, seed=seed)
        assert step["hum_hz"] in (50, 60)
        lines = np.abs(np.fft.rfft(y - x))[[round(2 * step["hum_hz"] * k) for k in range(1, 12)]]
        assert lines / lines[0] == pytest.approx([1 / k for k in range(1, 12)], rel=1e-6)
        y, step = apply("babble", x, seed=seed, **around)
        assert 3 <= step["talkers"] <= 6
        # several talkers leave hardly a pause
        quiet = signal.frames(y - x, 320, 320).std(axis=1) < 0.1 * (y - x).std()
        assert quiet.mean() < 0.2


def test_silence_gets_no_noise_and_says_so(around: dict[str, tuple[Path, ...]]) -> None:
    y, step = apply("noise", np.zeros(RATE), 0.5, **around)
    assert not y.any()
    assert step["added"] == "nothing: the speech or the noise is silent"
    assert "snr_db" not in step


def test_wind_is_low_and_comes_in_gusts() -> None:
    """As measured wind: most of it below 200 Hz, a fall by 5/3 to 7/3, its level with the speed squared."""
    x = syllables(20.0)
    for seed in range(4):
        y, step = apply("wind", x, 0.5, seed)
        wind = y - x
        hz, power = scipy.signal.welch(wind, RATE, nperseg=8192)
        assert power[hz < 200].sum() > 0.6 * power.sum()
        above = (hz > 5 * step["corner_hz"]) & (hz < 4000)
        fall = -np.polyfit(np.log(hz[above]), np.log(power[above]), 1)[0]
        assert 5 / 3 - 0.15 < fall < 7 / 3 + 0.15
        level = np.sqrt(np.mean(wind.reshape(-1, RATE // 5) ** 2, axis=1))
        # a steady noise varies by 2.4 % over fifths of a second at a bandwidth of a few hundred Hz
        assert level.std() / level.mean() > step["gustiness"]
        slow = np.abs(np.fft.rfft(level - level.mean()))
        assert slow[:10].mean() > 1.5 * slow[-20:].mean()


def test_everyone_babbles_once_before_anyone_does_twice(tmp_path: Path) -> None:
    """Talkers are tones of their own, alike in level."""
    time = np.arange(2 * RATE) / RATE
    tones = (400, 600, 800, 1000, 1200, 1400)
    for hz in tones:
        sf.write(tmp_path / f"{hz}.wav", hz / 3000 * np.sin(2 * np.pi * hz * time), RATE)
    talkers = tuple(sorted(tmp_path.glob("*.wav")))
    x = syllables()
    for seed in range(6):
        y, step = apply("babble", x, 0.5, seed, talkers=talkers)
        lines = np.abs(np.fft.rfft(y - x))[[2 * hz for hz in tones]]
        assert np.sum(lines > 0.1 * lines.max()) == step["talkers"]
        assert lines[lines > 0.1 * lines.max()] == pytest.approx(lines.max(), rel=0.02)


def test_a_competing_talker_says_what_was_recorded(tmp_path: Path) -> None:
    other = speech_like(2.0, seed=5)
    sf.write(tmp_path / "other.wav", other, RATE, subtype="FLOAT")
    x = syllables()
    y, step = apply("competing-talker", x, 1.0, talkers=(tmp_path / "other.wav",))
    assert step["talker"] == "other"
    np.testing.assert_allclose((y - x) / (y - x).std(), other / other.std(), atol=1e-3)


def test_an_echo_is_of_the_far_end_late_and_while_both_speak(tmp_path: Path) -> None:
    time = np.arange(3 * RATE) / RATE
    far = np.sin(2 * np.pi * 1000 * time) * (time % 1 < 0.5)
    sf.write(tmp_path / "far.wav", np.concatenate([far, far]), RATE, subtype="FLOAT")
    x = syllables(3.0)
    for seed in range(4):
        y, step = apply("far-end-echo", x, 0.8, seed, talkers=(tmp_path / "far.wav",))
        echo, near = (z.reshape(-1, 160) for z in (y - x, x))
        assert not (y - x)[: round(step["delay_ms"] * RATE / 1000)].any()
        assert 20 <= step["delay_ms"] <= 200
        both = (np.mean(echo**2, axis=1) > 1e-2 * np.mean(echo**2)) & near.any(axis=1)
        assert both.mean() == pytest.approx(step["double_talk"], abs=0.1)
        assert 0.1 < step["double_talk"] < 0.5
        # the loudspeaker saturates: odd harmonics of the tone
        spectrum = np.abs(np.fft.rfft(y - x))
        first, second, third = (spectrum[3 * hz - 30 : 3 * hz + 30].max() for hz in (1000, 2000, 3000))
        assert first > third > 3 * second
