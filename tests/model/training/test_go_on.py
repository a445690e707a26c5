"""A run that is there is extended as if it had been longer from the start, or forked with its weights and moments."""

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sqa_model.errors import ModelError
from sqa_model.training.config import TrainConfig
from sqa_model.training.config_text import load_config, to_json
from sqa_model.training.dry_run import dry_run
from sqa_model.training.fields import ConfigError
from sqa_model.training.go_on import extended, forked
from sqa_model.training.loop import train
from sqa_model.training.processes import Processes
from sqa_model.training.run import prepare
from sqa_model.training.run_folder import check_run
from tiny_training import TINY, lines, same, write_corpus

Configure = Callable[..., TrainConfig]
HERE = Processes(0, 1, torch.device("cpu"))


@pytest.fixture(scope="module")
def configure(tmp_path_factory: pytest.TempPathFactory) -> Configure:
    folder = tmp_path_factory.mktemp("corpora")
    for name, clips, seed in (("train", 16, 0), ("dev", 8, 1)):
        write_corpus(folder / name, clips, seed)

    def make(*overrides: str) -> TrainConfig:
        data = [f"data.{name}={folder}/{name}/data.jsonl" for name in ("train", "dev")]
        settings = ["eval.every=none", "run.threads=1", "optim.ema=0.9", "optim.schedule=constant"]
        settings.append('model.heads=["mos","pesq"]')
        return load_config("mini", overrides=[*TINY, *data, *settings, *overrides])

    return make


@pytest.fixture(scope="module")
def runs(configure: Configure, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """short/ of two epochs and long/ of four."""
    folder = tmp_path_factory.mktemp("runs")
    train(configure("epochs=2"), folder / "short")
    train(configure("epochs=4"), folder / "long")
    return folder


def copy(run: Path, to: Path) -> Path:
    import shutil

    return Path(shutil.copytree(run, to))


def contents(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != ".run.lock"]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def stop_at(update: int) -> Callable[[object], None]:
    def watch(event: object) -> None:
        if getattr(event, "update", 0) == update:
            raise SystemExit

    return watch


def test_a_run_extended_at_a_constant_rate_is_the_longer_run(runs: Path, tmp_path: Path) -> None:
    """Bit for bit, killed in its midst too; the same command again has nothing left to do."""
    run = copy(runs / "short", tmp_path / "run")
    done = json.loads((run / "last" / "training.json").read_text())["update"]
    config = extended(run, ["epochs=4"])
    with pytest.raises(SystemExit):
        train(config, run, extend=True, watch=stop_at(done + 3))
    assert extended(run, ["epochs=4"]) == config
    result = train(config, run, extend=True)
    assert result.updates == 2 * done
    assert same(runs / "long", run)
    assert [row["update"] for row in lines(run)] == [row["update"] for row in lines(runs / "long")]
    saved = json.loads((run / "config.json").read_text())
    assert saved["extended"] == [{"update": done, "changed": ["epochs: 2 -> 4"]}]
    check_run(run, config)  # a run like any other
    before = contents(run / "last")
    train(extended(run, []), run)
    assert contents(run / "last") == before


def test_the_rate_of_another_schedule_is_that_of_the_longer_run(configure: Configure, tmp_path: Path) -> None:
    linear = configure("epochs=1", "optim.schedule=linear", "optim.warmup=1")
    done = train(linear, tmp_path / "run").updates
    train(extended(tmp_path / "run", ["epochs=3"]), tmp_path / "run", extend=True)
    rates = [row["lr"] for row in lines(tmp_path / "run") if "lr" in row]
    whole = [linear.optim.lr * (3 * done - at) / (3 * done) for at in range(3 * done)]
    assert rates[done:] == pytest.approx(whole[done:])
    assert rates[done - 1] < whole[done - 1]


def test_who_ran_out_of_patience_gets_more(configure: Configure, tmp_path: Path) -> None:
    config = configure("epochs=6", "eval.patience=1", "eval.every=1", "optim.lr=1e-12")
    early = train(config, tmp_path / "run")
    assert early.updates == 2
    more = train(extended(tmp_path / "run", ["eval.patience=4"]), tmp_path / "run", extend=True)
    assert more.updates == 5


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("optim.lr=0.5", r"(?s)can be extended by epochs.*optim.lr: .* -> 0.5\nuse --fork"),
        ("eval.metric=utterance_lcc", r"(?s)can be extended by epochs.*eval.metric: .* -> utterance_lcc"),
        ("epochs=1", "epochs: found 1, expected no fewer than the 2"),
    ],
)
def test_what_would_be_another_run_is_no_extension(runs: Path, change: str, told: str) -> None:
    before = contents(runs / "short")
    with pytest.raises(ConfigError, match=told):
        train(extended(runs / "short", [change]), runs / "short", extend=True)
    assert contents(runs / "short") == before


def test_a_change_that_was_not_asked_for_names_both_ways(runs: Path, configure: Configure) -> None:
    with pytest.raises(ConfigError, match=r"(?s)epochs: 2 -> 3\n.*--extend changes epochs, .*--fork begins"):
        check_run(runs / "short", configure("epochs=3"))


def test_only_a_run_is_extended_or_forked(runs: Path, tmp_path: Path, configure: Configure) -> None:
    for ask in (extended, forked):
        with pytest.raises(ModelError, match="found no run"):
            ask(tmp_path, [])
    with pytest.raises(ModelError, match="found no run"):
        train(configure(), tmp_path / "nothing", extend=True)
    with pytest.raises(
        ModelError, match=r"best: found a model; expected the folder of a run, such as .*short$"
    ):
        forked(runs / "short" / "best", [])
    (tmp_path / "config.json").write_text(to_json(configure()))
    with pytest.raises(ModelError, match=r"last: found no checkpoint"):
        forked(tmp_path, [])


def test_a_dry_run_says_what_an_extension_changes(runs: Path) -> None:
    before = contents(runs / "short")
    found = dry_run(extended(runs / "short", ["epochs=3"]), runs / "short", extend=True)
    assert found.updates == found.done * 3 // 2
    assert "extended: epochs: 2 -> 3" in found.told
    assert contents(runs / "short") == before


def test_a_fork_begins_with_weights_and_moments(
    runs: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sqa_model.training")
    run, before = runs / "short", contents(runs / "short")
    config = forked(run, ["epochs=1", "optim.lr=1e-4", "optim.warmup=0"])
    _, _, learner = prepare(config, HERE, tmp_path / "fork")
    saved = load_file(run / "last" / "training.safetensors")
    assert learner.trainable.keys() == {name[7:] for name in saved if name.startswith("weight.")}
    for name, p in learner.trainable.items():
        # what is evaluated and saved: the averages
        assert torch.equal(p, saved[f"average.{name}"])
        for kind in ("step", "exp_avg", "exp_avg_sq"):
            assert torch.equal(learner.optimizer.state[p][kind], saved[f"{kind}.{name}"])

    result = train(config, tmp_path / "fork")
    assert (
        f"forked from {run}: epochs: 2 -> 1; optim.lr: 0.0005 -> 0.0001; optim.warmup: 2 -> 0" in caplog.text
    )
    assert result.parent  # measured first
    record = json.loads((tmp_path / "fork" / "config.json").read_text())["fine_tuned_from"]
    assert record["name"] == str(run / "last")
    with pytest.raises(SystemExit):
        train(config, tmp_path / "killed", watch=stop_at(2))
    train(config, tmp_path / "killed")
    assert same(tmp_path / "fork", tmp_path / "killed")
    assert contents(run) == before


def test_moments_of_other_heads_are_not_taken(runs: Path, tmp_path: Path) -> None:
    config = forked(runs / "short", ['model.heads=["mos"]', "epochs=1"])
    _, _, learner = prepare(config, HERE, tmp_path / "fork")
    begun = {name for name, p in learner.trainable.items() if p in learner.optimizer.state}
    assert learner.trainable.keys() - begun == {"metrics.weight", "metrics.bias"}


def test_what_no_fork_can_be(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model.dim: the network is that of model.init"):
        forked(runs / "short", ["model.dim=32"])
    with pytest.raises(ConfigError, match=r"optim.moments: found true, but no model.init"):
        load_config("mini", overrides=["optim.moments=true"])
    run = copy(runs / "short", tmp_path / "run")
    config = forked(run, ["epochs=1"])
    (run / "last" / "training.safetensors").write_bytes(b"cut")
    with pytest.raises(ModelError, match=r"training.safetensors: cannot read the moments"):
        train(config, tmp_path / "fork")


def test_other_labels_than_when_it_began_are_no_damage(
    runs: Path, tmp_path: Path, configure: Configure
) -> None:
    run = copy(runs / "short", tmp_path / "run")
    other = prepare(configure("epochs=2", 'model.heads=["mos"]'), HERE, tmp_path / "other")[2]
    with pytest.raises(
        ModelError, match=r"metrics.bias is \(2,\) in the checkpoint and \(1,\) in the network"
    ):
        other.resume(run / "last")
