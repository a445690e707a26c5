"""Checkpoints that stay: the best one's figures beside it, the latest ones of a run, whatever kills it."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from sqa_model import load
from sqa_model.errors import ModelError
from sqa_model.training import kept
from sqa_model.training.config import EvalConfig, TrainConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.journal import Event
from sqa_model.training.loop import train
from sqa_model.training.state import Learner, State
from tiny_training import TINY, lines, write_corpus


@pytest.fixture
def configure(tmp_path: Path) -> Callable[..., TrainConfig]:
    write_corpus(tmp_path / "train", 16, seed=0)
    write_corpus(tmp_path / "dev", 8, seed=1)

    def make(*overrides: str) -> TrainConfig:
        data = [f"data.{name}={tmp_path}/{name}/data.jsonl" for name in ("train", "dev")]
        return load_config("mini", overrides=[*TINY, "run.threads=1", "eval.every=1", *data, *overrides])

    return make


def tree(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_last_measured_ones_stay_and_a_killed_run_ends_with_the_same(
    configure: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    config = configure("run.keep=2", "run.save_minutes=60")
    total = train(config, tmp_path / "whole").updates
    assert [path.name for path in kept.kept(tmp_path / "whole")] == [str(total - 1), str(total)]
    for count in (0, 3):
        with pytest.raises(
            ModelError, match=f"found 2 kept checkpoints, asked for {count}; train with run.keep"
        ):
            kept.chosen(tmp_path / "whole", count)

    def die(event: Event) -> None:
        if (event.kind, event.update) == ("evaluation", 3):
            raise SystemExit

    with pytest.raises(SystemExit):
        train(config, tmp_path / "killed", watch=die)
    # measured and kept, but the run was killed before it was saved: it will be done again
    assert tree(tmp_path / "killed" / "kept") == ["2", "3"]
    (tmp_path / "killed" / "kept" / ".3.partial").mkdir()
    seen: list[list[str]] = []
    train(config, tmp_path / "killed", watch=lambda event: seen.append(tree(tmp_path / "killed" / "kept")))
    assert seen[0] == ["2"]
    assert tree(tmp_path / "killed" / "kept") == [str(total - 1), str(total)]
    for update in (str(total - 1), str(total)):
        one, other = (load(tmp_path / name / "kept" / update) for name in ("whole", "killed"))
        assert one.fingerprint() == other.fingerprint()


def test_without_the_setting_nothing_is_kept(configure: Callable[..., TrainConfig], tmp_path: Path) -> None:
    train(configure("epochs=1"), tmp_path / "run")
    assert not (tmp_path / "run" / "kept").exists()


def test_best_json_has_the_figures_of_the_best_one_and_what_chose_it(
    configure: Callable[..., TrainConfig], tmp_path: Path
) -> None:
    config = configure("eval.metric=utterance_mse", "eval.weights.b=0")
    result = train(config, tmp_path / "run")
    path = tmp_path / "run" / "best.json"
    record = json.loads(path.read_text())
    figures = {row["update"]: row["dev"] for row in lines(tmp_path / "run") if "dev" in row}
    assert record["figures"] == figures[record["update"]] == result.best
    errors = {update: dev["a"]["mos"]["utterance_mse"] for update, dev in figures.items()}
    assert record["merit"][0] == -min(errors.values()) == -errors[record["update"]]
    assert (record["head"], record["metric"], record["weights"]) == ("mos", "utterance_mse", {"b": 0.0})
    # as an earlier version left it
    path.unlink()
    assert train(config, tmp_path / "run") == result
    assert json.loads(path.read_text()) == record


def test_what_is_undefined_is_none_in_json() -> None:
    state = State(
        best_update=3, best={"a": {"mos": {"utterance_srcc": 0.5}}}, best_merit=(float("-inf"), 0.5)
    )
    assert json.loads(json.dumps(kept.best_record(state, EvalConfig()), allow_nan=False))["merit"] == [
        None,
        0.5,
    ]


@pytest.mark.parametrize("what", ["best.json", "kept"])
def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    def save(path: Path) -> None:
        (path / "model").write_text("new")
        if what == "kept":
            raise OSError(28, "No space left on device")

    state = State(update=4, best={"a": {}})
    learner = cast(Learner, SimpleNamespace(save_model=save, state=state, config=TrainConfig()))
    if what == "best.json":
        (tmp_path / "best.json").write_text("before")
        monkeypatch.setattr("sqa_data.atomic.to_disk", _full)
        monkeypatch.setattr("sqa_model.training.kept.replace", lambda *_: None)
        with pytest.raises(ModelError, match=r"best\.json: cannot write: No space left on device; make room"):
            kept.keep_best(tmp_path, learner)
        assert tree(tmp_path) == ["best.json"]
        assert (tmp_path / "best.json").read_text() == "before"
    else:
        with pytest.raises(ModelError, match=r"kept/4: cannot write the checkpoint: No space left"):
            kept.keep(tmp_path, learner, 3)
        assert tree(tmp_path / "kept") == []


def _full(path: Path) -> None:
    raise OSError(28, "No space left on device")
