"""`sqa-cli train`: its words, its exit codes, its errors in one line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqa_cli.main import main
from sqa_model.training.loop import Result as Ended


def call(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["train", *arguments])


def test_help_names_the_presets_and_shows_examples() -> None:
    result = call("--help")
    assert result.exit_code == 0
    for text in ("mini", "universa-ext-5metric", "torchrun", "--set", "Ctrl-C"):
        assert text in result.output


def test_show_config_is_the_resolved_config(tmp_path: Path) -> None:
    result = call(
        *("--preset", "mini", "--data", "a/*.jsonl", "--data", "b.jsonl", "--dev", "c.jsonl"),
        *("--set", "optim.lr=1e-4", "--out", str(tmp_path / "run"), "--show-config"),
    )
    config = json.loads(result.output)
    assert config["data"]["train"] == ["a/*.jsonl", "b.jsonl"]
    assert config["optim"]["lr"] == 1e-4
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "maxi"], "Error: preset: found 'maxi', expected one of mini"),
        (["--set", "optim.lr=zero"], "Error: optim.lr: found 'zero', expected a finite number"),
        (["--preset", "mini"], "Error: data.train: found no manifest"),
        (
            ["--preset", "mini", "--data", "nowhere.jsonl"],
            "Error: data.train: no file matches 'nowhere.jsonl'",
        ),
    ],
)
def test_mistakes_are_one_line_and_exit_code_1(tmp_path: Path, arguments: list[str], message: str) -> None:
    result = call(*arguments, "--out", str(tmp_path / "run"))
    assert result.exit_code == 1
    assert message in result.output
    assert "Traceback" not in result.output


def test_without_a_run_folder_it_is_a_usage_error() -> None:
    result = call("--preset", "mini")
    assert result.exit_code == 2
    assert "--out" in result.output


@pytest.mark.parametrize(
    ("updates", "said"),
    [(0, "stopped, before the first update, so nothing was saved;"), (3, "stopped, saved in")],
)
def test_a_stop_says_what_was_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, updates: int, said: str
) -> None:
    ended = Ended(tmp_path, updates, finished=False, best_update=0, best={}, last={})
    monkeypatch.setattr("sqa_model.training.run_folder.check_run", lambda *_: None)
    monkeypatch.setattr("sqa_model.training.loop.train", lambda *_, watch: ended)
    result = CliRunner().invoke(main, ["train", "--preset", "mini", "--out", str(tmp_path)])
    assert (result.exit_code, said in result.stderr) == (130, True)
