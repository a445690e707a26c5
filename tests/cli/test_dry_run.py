"""`sqa-cli train --dry-run`: for people, for programs, and stopped."""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqa_cli.dry_run import _memory, _span
from sqa_cli.main import main
from sqa_model.training.dry_run import Estimate, Memory, Piece
from tiny_training import TINY, write_corpus

Call = Callable[..., Result]


@pytest.fixture
def call(tmp_path: Path) -> Call:
    for name, seed in (("train", 0), ("dev", 1)):
        write_corpus(tmp_path / name, 12, seed=seed)

    def run(*more: str) -> Result:
        data = ["--data", f"{tmp_path}/train/data.jsonl", "--dev", f"{tmp_path}/dev/data.jsonl"]
        small = (part for item in [*TINY, "run.threads=1"] for part in ("--set", item))
        arguments = [
            "train",
            "--preset",
            "mini",
            "--out",
            f"{tmp_path}/run",
            "--dry-run",
            *data,
            *small,
            *more,
        ]
        return CliRunner().invoke(main, arguments)

    return run


def test_for_people(call: Call, tmp_path: Path) -> None:
    result = call()
    assert result.exit_code == 0, result.output
    for text in (
        "times an epoch",
        "plan ",
        "updates in 2 epochs; 2 evaluations",
        "memory ",
        "activations",
        "time  ",
    ):
        assert text in result.stdout
    assert not (tmp_path / "run").exists()


def test_for_programs(call: Call, tmp_path: Path) -> None:
    found = json.loads(call("--json").stdout)
    assert (found["epochs"], found["evaluations"], found["device"]) == (2, 2, "cpu")
    parts = sum(found["memory"][name] for name in ("weights", "gradients", "optimizer", "averages"))
    assert found["memory"]["total"] > parts
    assert found["time"]["total"] > 0
    assert not (tmp_path / "run").exists()


def test_other_processes_of_torchrun_say_and_do_nothing(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = call()
    assert (result.exit_code, result.output) == (0, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_leaves_nothing(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    monkeypatch.setattr("sqa_model.training.dry_run.Rehearsal._step", lambda *_: signal.raise_signal(number))
    result = call()
    signal.signal(signal.SIGINT, handler)
    assert result.exit_code == 130
    assert "stopped" in result.stderr
    assert not (tmp_path / "run").exists()


def test_what_does_not_fit_names_the_remedy() -> None:
    piece = Piece(8, 40.0, 3_000_000_000, 2)
    memory = Memory(10**9, 10**9, 2 * 10**9, 0, training=piece, evaluation=None, free=4 * 10**9)
    none = Estimate({}, {}, 0, 0, 1, 1, 0, 1, 2, "cuda:0", 1, 1, memory, None, None, ())
    lines = " ".join(" ".join(_memory(memory, none)).split())
    assert (
        "memory 7.0 GB in each process: weights 1.0 GB, gradients 1.0 GB, optimizer 2.0 GB, activations 3.0 GB"
        in lines
    )
    assert "3.0 GB for 8 clips (40.0 s), carried on from the first 2 of them" in lines
    assert "does not fit: there are 6.0 GB; lower batch.micro_seconds" in lines
    unmeasured = replace(memory, training=None)
    assert "activations were not measured" in " ".join(_memory(unmeasured, none))


def test_times() -> None:
    spans = {0.25: "0.25 s", 12.3: "12 s", 75: "1 min 15 s", 9000: "2 h 30 min", 200_000: "2 d 7 h"}
    assert {seconds: _span(seconds) for seconds in spans} == spans
