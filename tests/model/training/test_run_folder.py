"""The run folder: whole at any moment, whoever kills the writer and when."""

import contextlib
import itertools
import json
from pathlib import Path

import pytest
from sqa_model.errors import ModelError
from sqa_model.training import run_folder
from sqa_model.training.config import ConfigError, TrainConfig, load_config


class Killed(BaseException):
    """Stands for the process ending at this very line."""


def fill(text: str):
    def write(folder: Path) -> None:
        (folder / "a").write_text(text)
        (folder / "b").write_text(text)

    return write


def test_a_replacement_killed_anywhere_leaves_one_whole_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Die at every step (rename, removal, sync) in turn; then the old or the new one is there, whole."""
    folder = tmp_path / "last"
    seen = set()
    for deadly in itertools.count():
        run_folder.replace_folder(folder, fill("old"))
        steps = 0

        def dying(original):
            def step(*arguments, **options):
                nonlocal steps
                steps += 1
                if steps > deadly:  # noqa: B023
                    raise Killed
                return original(*arguments, **options)

            return step

        finished = False
        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(Path, "rename", dying(Path.rename))
            patch.setattr(run_folder.shutil, "rmtree", dying(run_folder.shutil.rmtree))
            patch.setattr(run_folder, "_sync", dying(run_folder._sync))
            run_folder.replace_folder(folder, fill("new"))
            finished = True
        run_folder.finish_replace(folder)
        contents = {(folder / name).read_text() for name in "ab"}
        assert contents in ({"old"}, {"new"})
        assert [p.name for p in tmp_path.iterdir()] == ["last"]
        seen |= contents
        if finished:
            break
    assert contents == {"new"}
    assert seen == {"old", "new"}
    assert deadly > 8  # there were many places to die at


def test_a_run_of_another_config_is_refused_with_the_difference(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run_folder.open_run(folder, TrainConfig())
    run_folder.open_run(folder, load_config(overrides=["run.workers=5"]))  # the machine may change
    with pytest.raises(ConfigError, match=r"(?s)another config.*optim\.lr: 3e-05 -> 0\.1.*another folder"):
        run_folder.open_run(folder, load_config(overrides=["optim.lr=0.1"]))


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("important")
    with pytest.raises(ModelError, match="no run folder"):
        run_folder.open_run(tmp_path, TrainConfig())
    with pytest.raises(ModelError, match="no run folder"):
        run_folder.open_run(tmp_path / "thesis.tex", TrainConfig())


def test_rewinding_drops_later_and_torn_lines(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"update": u}) + "\n" for u in (1, 2, 3)) + '{"upd')
    run_folder.rewind_metrics(path, 2)
    assert [json.loads(line)["update"] for line in path.read_text().splitlines()] == [1, 2]
    run_folder.rewind_metrics(tmp_path / "absent.jsonl", 2)
