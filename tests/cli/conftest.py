"""A small model and a folder of clips."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import small_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def wavs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of clips, in the working directory."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "wavs"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        wave = rng.standard_normal(16_000 + 1_600 * i) * np.linspace(0.01, 0.1, 16_000 + 1_600 * i)
        soundfile.write(folder / f"clip {i:02} ü.wav", wave, 16_000)
    return folder
