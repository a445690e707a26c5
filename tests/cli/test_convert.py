"""`sqa-cli convert`."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from commands import run, small_model
from published import METRICS, SMALL, publish, reference
from published_successor import publish as publish_successor
from published_successor import successor
from sqa_cli.main import main
from sqa_data.atomic import lock
from sqa_model import load, predict, save


def test_convert(tmp_path: Path, wavs: Path) -> None:
    source = publish(reference(layers=1, **SMALL), tmp_path / "published")
    result = CliRunner().invoke(main, ["convert", str(source), str(tmp_path / "ours")])
    assert result.exit_code == 0, result.output
    assert ", ".join(METRICS) in result.output
    file = sorted(wavs.iterdir())[0]
    assert predict(file, tmp_path / "ours", dtype="float32") == predict(file, source, dtype="float32")
    result = CliRunner().invoke(main, ["convert", str(wavs), str(tmp_path / "none")])
    assert result.exit_code == 1
    assert "no model in this folder" in result.output


def test_of_urgentmos_and_back(tmp_path: Path) -> None:
    source = publish_successor(successor(layers=1), tmp_path / "published")
    said = run("convert", source, tmp_path / "ours")
    assert "mos_overall, scoreq" in said
    run("convert", tmp_path / "ours", tmp_path / "back", "--to", "urgentmos")
    assert [path.name for path in (tmp_path / "back").iterdir() if path.suffix != ".lock"] == ["model.pt"]
    assert load(tmp_path / "back").fingerprint() == load(source).fingerprint()
    told = run("convert", small_model(tmp_path / "logmel"), tmp_path / "none", "--to", "urgentmos", code=1)
    assert "UrgentMOS's code cannot be this model" in told


@pytest.mark.slow
def test_two_at_once_leave_a_model_that_is_one_of_both(tmp_path: Path) -> None:
    one, two, folder = small_model(tmp_path / "1", 1), small_model(tmp_path / "2", 2), tmp_path / "out"
    with lock(folder / ".convert"):
        command = [sys.executable, "-m", "sqa_cli", "convert", two, str(folder)]
        other = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert other.stderr is not None
        assert "another process holds this lock; waiting until it is done" in other.stderr.readline()
        save(load(one), folder)
    assert other.communicate(timeout=60)[1] == ""
    assert load(folder).fingerprint() == load(two).fingerprint()
