"""Runs that go on from a model: measured before the first update, honest about what they are, resumed bit by bit."""

import dataclasses
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sqa_model import load, save
from sqa_model.errors import ModelError
from sqa_model.training.build import build_model
from sqa_model.training.config import TrainConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.journal import Event
from sqa_model.training.loop import train
from tiny_training import TINY, lines, same, write_corpus

HEADS = 'model.heads=["mos","mos_std","pesq"]'
BESIDE = [item for item in TINY if not item.startswith("model.")]
Configure = Callable[..., TrainConfig]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sqa_model.training")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """parent/, of which nothing is true any more after a run, and clips that have MOS alone."""
    folder = tmp_path_factory.mktemp("init")
    write_corpus(folder / "mine", 30, seed=0, labels="mos")
    torch.manual_seed(0)
    parent = build_model(load_config("mini", overrides=[*TINY, HEADS, "loss.kind=nll"]))
    parent.config = dataclasses.replace(
        parent.config, extra={"calibration": "std x 1.3", "teacher": "somebody"}
    )
    save(parent, folder / "parent")
    return folder


@pytest.fixture
def configure(folder: Path) -> Configure:
    def make(*overrides: str) -> TrainConfig:
        given = [f"data.train={folder}/mine/data.jsonl", f"model.init={folder}/parent", "optim.lr=1e-3"]
        return load_config("fine-tune", overrides=[*BESIDE, *given, *overrides])

    return make


def die_after(update: int) -> Callable[[Event], None]:
    def watch(at: Event) -> None:
        if (at.kind, at.update) == ("update", update):
            raise SystemExit("killed")

    return watch


def extra(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text())["extra"]


def test_it_is_measured_before_the_first_update(configure: Configure, folder: Path, tmp_path: Path) -> None:
    config = configure("eval.metric=utterance_mse")
    result = train(config, tmp_path / "run")
    first, *later = [row for row in lines(tmp_path / "run") if "dev" in row]
    assert (first["update"], first["best_update"], first["dev"]) == (0, 0, result.parent)
    assert len(later) == 2  # once an epoch
    assert result.best_update > 0
    assert result.best != result.parent
    assert "before the first update: a utterance_srcc" in (tmp_path / "run" / "log.txt").read_text()
    assert train(config, tmp_path / "run") == result  # a finished run is finished
    parent = load(folder / "parent")
    tuned = load(tmp_path / "run" / "best")
    assert tuned.config.names == ("mos",)
    assert not torch.equal(tuned.metrics.weight[0], parent.metrics.weight[0])


def test_the_parent_may_stay_best(configure: Configure, folder: Path, tmp_path: Path) -> None:
    result = train(configure("optim.lr=1e-15"), tmp_path / "run")
    assert (result.best_update, result.updates > 0, result.best) == (0, True, result.parent)
    assert "the parent stays best: a utterance_srcc" in (tmp_path / "run" / "log.txt").read_text()
    best, parent, wave = load(tmp_path / "run" / "best"), load(folder / "parent"), torch.randn(9_000)
    assert torch.equal(best([wave])[0, 0], parent([wave])[0, 0])
    assert extra(tmp_path / "run" / "best")["update"] == 0


def test_a_fresh_run_is_not_measured_before(folder: Path, tmp_path: Path) -> None:
    data = f"data.train={folder}/mine/data.jsonl"
    result = train(load_config("mini", overrides=[*TINY, data, "data.hold_out=0.3"]), tmp_path / "run")
    assert all(row["update"] for row in lines(tmp_path / "run"))
    assert result.parent == {}
    assert "parent" not in json.loads((tmp_path / "run" / "last" / "training.json").read_text())
    assert extra(tmp_path / "run" / "last") == {}


EXTRAS = {
    "plain": [],
    "everything": [
        'model.heads=["mos_std","noisiness","mos","pesq"]',
        "data.missing_heads=keep",
        "loss.kind=nll",
        "loss.rank=0.5",
        "loss.corpus_scale=true",
        "model.dropout=0.2",
        "optim.ema=0.9",
        "precision=bf16",
        "batch.micro_seconds=2",
        "eval.every=3",
        "eval.weights.a=0",
    ],
}


@pytest.mark.parametrize("extras", EXTRAS)
def test_a_killed_run_ends_with_the_same_bits(configure: Configure, tmp_path: Path, extras: str) -> None:
    config = configure(*EXTRAS[extras])
    total = train(config, tmp_path / "whole").updates
    for update in (1, 1, 2, total - 1):
        with pytest.raises(SystemExit):
            train(config, tmp_path / "killed", watch=die_after(update))
    assert train(config, tmp_path / "killed") == dataclasses.replace(
        train(config, tmp_path / "whole"), folder=tmp_path / "killed"
    )
    assert same(tmp_path / "whole", tmp_path / "killed")
    told = (
        [
            {k: v for k, v in row.items() if k not in ("audio_per_s", "read_wait")}
            for row in lines(tmp_path / name)
        ]
        for name in ("whole", "killed")
    )
    assert next(told) == next(told)
    for file in (
        "config.json",
        "best/config.json",
        "best/model.safetensors",
        "last/config.json",
        "last/training.json",
    ):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "killed" / file).read_bytes()


def test_a_head_without_labels_keeps_its_weights(configure: Configure, folder: Path, tmp_path: Path) -> None:
    keep = ("data.missing_heads=keep", "optim.weight_decay=5", "optim.ema=0.5", "optim.lr=0.1")
    train(configure(*keep), tmp_path / "run")
    parent, tuned = load(folder / "parent"), load(tmp_path / "run" / "last")
    assert tuned.config.names == ("mos", "pesq")
    for name in ("weight", "bias"):
        before, after = parent.metrics.get_parameter(name), tuned.metrics.get_parameter(name)
        assert torch.equal(after[1], before[2])
        assert not torch.equal(after[0], before[0])
    raw = load_file(tmp_path / "run" / "last" / "training.safetensors")["weight.metrics.weight"]
    assert torch.equal(raw[1], parent.metrics.weight[2])


def test_where_it_comes_from_is_its_own(configure: Configure, folder: Path, tmp_path: Path) -> None:
    result = train(configure(), tmp_path / "one")
    parent = {"name": f"{folder}/parent", "fingerprint": load(folder / "parent").fingerprint()}
    for name, update, figures in (
        ("best", result.best_update, result.best),
        ("last", result.updates, result.last),
    ):
        told = extra(tmp_path / "one" / name)
        assert told.keys() == {"fine_tuned_from", "data", "update", "dev"}
        assert (told["fine_tuned_from"], told["update"], told["dev"]) == (parent, update, figures)
    data = extra(tmp_path / "one" / "best")["data"]
    assert sum(data["train"]["corpora"].values()) + sum(data["dev"]["corpora"].values()) == 30
    run = json.loads((tmp_path / "one" / "config.json").read_text())
    assert run["fine_tuned_from"] == parent
    assert (run["model"]["heads"], run["model"]["backbone"], run["model"]["dim"]) == (["mos"], "logmel", 16)
    train(configure(f"model.init={tmp_path}/one/best"), tmp_path / "two")
    assert extra(tmp_path / "two" / "last")["fine_tuned_from"]["fine_tuned_from"] == parent


def test_figures_stand_only_beside_the_weights_that_they_were_measured_of(
    configure: Configure, tmp_path: Path
) -> None:
    """`run.save_minutes=0` saves after every update; here the first is saved and not measured."""
    with pytest.raises(SystemExit):
        train(configure(), tmp_path / "run", watch=die_after(2))
    told = extra(tmp_path / "run" / "last")
    assert (told["update"], "dev" in told) == (1, False)


def test_another_model_of_the_same_name_is_not_gone_on_from(
    configure: Configure, folder: Path, tmp_path: Path
) -> None:
    parent = load(folder / "parent")
    save(parent, tmp_path / "mine")
    config = configure(f"model.init={tmp_path}/mine")
    with pytest.raises(SystemExit):
        train(config, tmp_path / "run", watch=die_after(2))
    with torch.no_grad():
        parent.metrics.bias += 1
    save(parent, tmp_path / "mine")
    with pytest.raises(
        ModelError, match=r"run started from the model .* is now .*; bring the first one back"
    ):
        train(config, tmp_path / "run")


def test_a_run_of_0_1_0_goes_on(configure: Configure, folder: Path, tmp_path: Path) -> None:
    """Its config has all fields of the network beside `init`, of which none counted, and nothing of what it was."""
    data = [f"data.dev={folder}/mine/data.jsonl", "data.leaks=allow", "data.hold_out=0"]
    config = configure(*data)
    train(config, tmp_path / "whole")
    with pytest.raises(SystemExit):
        train(config, tmp_path / "run", watch=die_after(3))
    file = tmp_path / "run" / "config.json"
    table = json.loads(file.read_text())
    fresh = json.loads(json.dumps(dataclasses.asdict(load_config("mini").model)))
    old = json.loads(file.read_text())
    del old["asked"], old["fine_tuned_from"]
    old["model"] = fresh | {"init": table["model"]["init"]}
    for section, name in (("data", "missing_heads"), ("data", "hold_out"), ("eval", "weights")):
        del old[section][name]
    file.write_text(json.dumps(old))
    assert train(config, tmp_path / "run").finished
    assert same(tmp_path / "whole", tmp_path / "run")
    assert json.loads(file.read_text()) == table


@pytest.mark.slow
def test_two_processes_do_what_one_does(folder: Path, tmp_path: Path) -> None:
    """They hold out the same clips, keep the same heads and measure the same parent."""
    given = ["epochs=1", "batch.micro_seconds=1.5", "data.missing_heads=keep", "data.hold_out=0.3"]
    options = [part for item in [*BESIDE, *given] for part in ("--set", item)]
    arguments = [
        "train",
        "--init",
        str(folder / "parent"),
        "--data",
        str(folder / "mine" / "data.jsonl"),
        *options,
    ]
    ended = {}
    for processes in (1, 2):
        launcher = (
            ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"] if processes > 1 else []
        )
        out = tmp_path / str(processes)
        done = subprocess.run(
            [sys.executable, *launcher, "-m", "sqa_cli", *arguments, "--out", str(out)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("best checkpoint") == 1
        ended[processes] = lines(out), extra(out / "last"), load(out / "last")
    (one, told, model), (other, also, copy) = ended[1], ended[2]
    assert told["data"] == also["data"]
    for a, b in zip(one, other, strict=True):
        assert a["update"] == b["update"]
        assert a.get("loss", 0) == pytest.approx(b.get("loss", 0), rel=1e-4)
    assert model.config.names == copy.config.names == ("mos", "pesq")
    assert torch.allclose(model.metrics.weight, copy.metrics.weight, atol=1e-5)
