"""What is added has the ratio to the active speech that is told, and the sound that its name promises."""

from pathlib import Path

import numpy as np
import pytest
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
    [("noise", 40, -5), ("coloured-noise", 40, -5), ("babble", 35, -3), ("hum", 35, -3)],
)
def test_what_is_added_has_its_ratio_to_the_active_speech(
    kind: str, mildest: float, hardest: float, around: dict[str, tuple[Path, ...]]
) -> None:
    x = syllables()
    for severity in (0.0, 0.2, 1.0):
        y, step = apply(kind, x, severity, **around)
        ratio = 10 * np.log10(signal.active_power(x, RATE)) - power_db(y - x)
        assert ratio == pytest.approx(step["snr_db"], abs=1e-3)
        assert ratio == pytest.approx(mildest + (hardest - mildest) * severity, abs=1e-3)


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
