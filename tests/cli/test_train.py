"""`sqa-cli train`: its words, its exit codes, its errors in one line."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqa_cli.main import main
from sqa_model.training.loop import Result as Ended
from sqa_model.training.plan import Work
from sqa_model.training.state import Learner
from tiny_training import TINY, write_corpus


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
    ("more", "epochs", "hold_out"),
    [((), 10, 0.2), (("--preset", "mini"), 40, 0.0), (("--config", "my.toml"), 3, 0.0)],
)
def test_init_takes_the_preset_for_it_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...], epochs: int, hold_out: float
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("my.toml").write_text("epochs = 3\n")
    shown = call("--init", "default", "--heads", "mos, noisiness", *more, "--out", "run", "--show-config")
    config = json.loads(shown.output)
    assert config["model"] == {"heads": ["mos", "noisiness"], "dropout": None, "init": "default-2"}
    assert (config["epochs"], config["data"]["hold_out"]) == (epochs, hold_out)


@pytest.mark.parametrize(
    ("parent", "best_update", "said"),
    [
        (
            0.5,
            0,
            ["the parent stays best, none of the 3 updates made it better", "the parent, before the first"],
        ),
        (0.5, 2, ["best checkpoint: update 2 of 3", "the parent, before the first update:"]),
        (None, 2, ["best checkpoint: update 2 of 3"]),
    ],
)
def test_the_result_says_whether_the_parent_stays_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parent: float | None, best_update: int, said: list[str]
) -> None:
    def figures(value: float) -> dict:
        names = ("mse", "lcc", "srcc", "ktau")
        return {"x": {"mos": {"clips": 9, **{f"utterance_{name}": value for name in names}}}}

    before = {} if parent is None else figures(parent)
    ended = Ended(
        tmp_path, 3, True, best_update, figures(0.25) if best_update else before, figures(0.75), before
    )
    monkeypatch.setattr("sqa_model.training.run_folder.check_run", lambda *_: None)
    monkeypatch.setattr("sqa_model.training.loop.train", lambda *_, **__: ended)
    for as_json in ((), ("--json",)):
        result = CliRunner().invoke(main, ["train", "--init", "default", "--out", str(tmp_path), *as_json])
        assert result.exit_code == 0, result.output
        if as_json:
            assert json.loads(result.stdout)["parent"] == before
        else:
            assert [line for line in said if line not in result.stdout] == []
            assert ("0.500" in result.stdout) == (parent is not None)
            assert ("0.250" in result.stdout) == bool(best_update)
            assert ("before the first update" in result.stdout) == (parent is not None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--extend", "--fork", "."],
            "Error: --extend goes on with the run in --out, --fork begins another one",
        ),
        (["--extend", "--init", "default"], "Error: --extend takes the config of its run, so --init cannot"),
        (
            ["--fork", ".", "--preset", "mini"],
            "Error: --fork takes the config of its run, so --preset cannot",
        ),
    ],
)
def test_a_run_that_is_there_is_its_own_config(arguments: list[str], message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["train", *arguments, "--out", str(tmp_path / "run")])
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "maxi"], "Error: preset: found 'maxi', expected one of fine-tune, mini"),
        (["--set", "optim.lr=zero"], "Error: optim.lr: found 'zero', expected a finite number"),
        (
            ["--init", "default", "--set", "model.dim=16"],
            "Error: model.dim: the network is that of model.init = default, of which only heads and dropout can be",
        ),
        (
            ["--init", "default-99"],
            "Error: default-99: this version has no such edition of the default model",
        ),
        (["--init", "nowhere/at/all"], "Error: nowhere/at/all: no such file or folder, and not a Hub id"),
        (["--preset", "mini"], "Error: data.train: found no manifest"),
        (["--extend"], "found no run; expected the folder of one"),
        (["--fork", "nowhere"], "Error: nowhere: found no run; expected the folder of one"),
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
    monkeypatch.setattr("sqa_model.training.loop.train", lambda *_, **__: ended)
    result = CliRunner().invoke(main, ["train", "--preset", "mini", "--out", str(tmp_path)])
    assert (result.exit_code, said in result.stderr) == (130, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_before_torch_is_loaded_is_a_stop_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr("sqa_model.training.run_folder.check_run", lambda *_: signal.raise_signal(number))
    result = call("--preset", "mini", "--out", str(tmp_path))
    signal.signal(signal.SIGINT, handler)
    assert (result.exit_code, list(tmp_path.iterdir())) == (130, [])
    assert "stopped; what is done is kept: the same command goes on" in result.stderr
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_exit_codes_for_sweeps(tmp_path: Path) -> None:
    """0 done, 130 stopped and gone on with, 1 an error, 2 what cannot be understood; best.json says how good it is."""
    for name, seed in (("train", 0), ("dev", 1)):
        write_corpus(tmp_path / name, 12, seed=seed)
    arguments = [
        *("--preset", "mini", "--out", str(tmp_path / "run")),
        *("--data", f"{tmp_path}/train/data.jsonl", "--dev", f"{tmp_path}/dev/data.jsonl"),
        *(part for item in [*TINY, "run.threads=1"] for part in ("--set", item)),
    ]
    real = Learner.step

    def stopped_in_the_second(learner: Learner, work: Work, *rest: Any) -> Any:
        if work.update == 2:
            signal.raise_signal(signal.SIGTERM)
        return real(learner, work, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Learner, "step", stopped_in_the_second)
        result = call(*arguments)
    assert result.exit_code == 130
    assert "run the same command again to go on" in result.stderr
    result = call(*arguments, "--json")
    assert result.exit_code == 0, result.output
    best = json.loads((tmp_path / "run" / "best.json").read_text())
    told = json.loads(result.stdout)
    assert (best["update"], best["figures"]) == (told["best_update"], told["best"])
    assert call(*arguments, "--set", "optim.lr=-1").exit_code == 1
    assert call(*arguments, "--no-such-option").exit_code == 2
