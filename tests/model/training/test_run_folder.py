"""The run folder: one run, one config, one training at a time; a checkpoint is replaced whole or not at all."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from sqa_model.errors import ModelError
from sqa_model.training import run_folder
from sqa_model.training.config import TrainConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.fields import ConfigError


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    return configured(tmp_path)


def configured(folder: Path, *overrides: str) -> TrainConfig:
    """A config whose manifests are there."""
    (folder / "data.jsonl").touch()
    data = [f"data.{which}={folder}/data.jsonl" for which in ("train", "dev")]
    return load_config(overrides=[*data, *overrides])


def test_a_run_of_another_config_is_refused_with_the_difference(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with run_folder.open_run(folder, configured(tmp_path)):
        pass
    with run_folder.open_run(folder, configured(tmp_path, "run.workers=5")):  # the machine may change
        pass
    with pytest.raises(ConfigError, match=r"(?s)another config.*optim\.lr: 3e-05 -> 0\.1.*another folder"):
        run_folder.check_run(folder, configured(tmp_path, "optim.lr=0.1"))


def test_a_folder_of_something_else_is_refused(tmp_path: Path, config: TrainConfig) -> None:
    folder = tmp_path / "writing"
    folder.mkdir()
    (folder / "thesis.tex").write_text("important")
    for place in (folder, folder / "thesis.tex"):
        with pytest.raises(ModelError, match="no run folder"):
            run_folder.check_run(place, config)
    assert [p.name for p in folder.iterdir()] == ["thesis.tex"]


def test_what_a_kill_left_before_the_config_was_written_is_no_obstacle(
    tmp_path: Path, config: TrainConfig
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".config.json.123-0.tmp").write_text("{")
    (folder / ".run.lock").touch()
    with run_folder.open_run(folder, config):
        assert (folder / "config.json").exists()


def test_missing_manifests_are_told_before_the_folder_is_made(tmp_path: Path) -> None:
    with (
        pytest.raises(ModelError, match=r"data\.train: no file matches 'nowhere'"),
        run_folder.open_run(tmp_path / "run", load_config(overrides=["data.train=nowhere"])),
    ):
        pass
    assert not (tmp_path / "run").exists()


HOLD = """
import sys
from sqa_data.atomic import lock
with lock(sys.argv[1], "busy"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_training_is_told_in_one_sentence(tmp_path: Path, config: TrainConfig) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run" / ".run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(ModelError, match=r"/run: another process trains in this folder; wait"),
            run_folder.open_run(tmp_path / "run", config),
        ):
            pass
        other.communicate()  # the end of its input
    with run_folder.open_run(tmp_path / "run", config):
        pass


def test_everything_follows_the_umask(tmp_path: Path, config: TrainConfig) -> None:
    before = os.umask(0o027)
    try:
        with run_folder.open_run(tmp_path / "run", config):
            run_folder.replace(tmp_path / "run" / "last", lambda part: (part / "a").write_text("a"))
    finally:
        os.umask(before)
    for name in ("config.json", "environment.json", "last/a"):
        assert stat.S_IMODE((tmp_path / "run" / name).stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "run" / "last").stat().st_mode) == 0o750


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "last"
    run_folder.replace(folder, lambda part: (part / "a").write_text("old"))

    def full(part: Path) -> None:
        (part / "a").write_text("new")
        raise OSError(28, "No space left on device")

    with pytest.raises(
        ModelError, match=r"last: cannot write the checkpoint: No space left.*before it is intact"
    ):
        run_folder.replace(folder, full)
    assert (folder / "a").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["last"]


def test_what_0_1_0_left_half_written_is_cleared_away(tmp_path: Path, config: TrainConfig) -> None:
    folder = tmp_path / "run"
    for name in (".last.part", ".last.new", ".best.old"):
        (folder / name).mkdir(parents=True)
        (folder / name / "a").write_text(name)
    with run_folder.open_run(folder, config):
        assert (folder / "last" / "a").read_text() == ".last.new"
    assert not {p.name for p in folder.iterdir()} & {".last.part", ".last.new", ".best.old"}


def test_the_environment_is_json(tmp_path: Path) -> None:
    found = json.loads(json.dumps(run_folder.environment()))
    assert {"command", "python", "torch", "git_commit", "processes"} <= found.keys()


def test_without_development_manifests_clips_must_be_held_out(tmp_path: Path) -> None:
    for share in (0.0, 0.1):
        config = configured(tmp_path, "data.dev=[]", f"data.hold_out={share}")
        if share:
            run_folder.check_run(tmp_path / "run", config)
        else:
            with pytest.raises(ModelError, match=r"data\.dev: found no manifest.*data\.hold_out"):
                run_folder.check_run(tmp_path / "run", config)


def test_a_run_goes_on_only_from_the_model_that_it_started_from(tmp_path: Path) -> None:
    config, folder = configured(tmp_path, "model.init=owner/mine"), tmp_path / "run"
    record = {"model": {"dim": 200}, "fine_tuned_from": {"name": "owner/mine", "fingerprint": "0011aabb"}}
    for _ in range(2):
        with run_folder.open_run(folder, config, record):
            assert json.loads((folder / "config.json").read_text())["model"] == {"dim": 200}
    other = record | {"fine_tuned_from": {"name": "owner/mine", "fingerprint": "ffffffff"}}
    with (
        pytest.raises(
            ModelError, match=r"started from the model 0011aabb, but model\.init = owner/mine is now fff"
        ),
        run_folder.open_run(folder, config, other),
    ):
        pass
    assert "0011aabb" in (folder / "config.json").read_text()
