"""An open run: what it tells, when it saves, and what a signal leaves."""

import dataclasses
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from sqa_model.training import run
from sqa_model.training.config import TrainConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.journal import Event
from sqa_model.training.loop import train
from sqa_model.training.processes import Processes
from sqa_model.training.source import ClipReader, MicroBatch
from sqa_model.training.state import Learner
from tiny_training import TINY, lines, same, write_corpus

Configure = Callable[..., TrainConfig]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train/data.jsonl and dev/data.jsonl."""
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder / "train", 30, seed=0)
    write_corpus(folder / "dev", 12, seed=1)
    return folder


@pytest.fixture
def configure(corpus: Path) -> Configure:
    def make(*overrides: str) -> TrainConfig:
        data = [f"data.train={corpus}/train/data.jsonl", f"data.dev={corpus}/dev/data.jsonl"]
        return load_config("mini", overrides=[*TINY, "run.threads=1", *data, *overrides])

    return make


def test_watch_gets_all_that_the_run_writes_and_its_start_and_end(
    configure: Configure, tmp_path: Path
) -> None:
    config, seen = configure(), list[Event]()
    result = train(config, tmp_path / "run", watch=seen.append)
    first, *middle, last = seen
    assert (first.kind, first.update, first.row) == ("start", 0, dataclasses.asdict(config))
    assert (last.kind, last.update, last.row) == ("end", result.updates, dataclasses.asdict(result))
    assert [{"update": event.update, **event.row} for event in middle] == lines(tmp_path / "run")
    assert [event.kind for event in middle] == [
        "update" if "loss" in event.row else "evaluation" for event in middle
    ]
    assert all(event.total == result.updates for event in seen)
    assert [event.left_s > 0 for event in middle] == [event.update < event.total for event in middle]
    again: list[Event] = []
    train(config, tmp_path / "run", watch=again.append)
    assert [(event.kind, event.update) for event in again] == [
        ("start", result.updates),
        ("end", result.updates),
    ]


def test_a_tracker_is_one_line(configure: Configure, tmp_path: Path) -> None:
    """As Weights & Biases and trackio are called: log({name: number}, step=int), steps that never go back."""

    class Tracker:
        def __init__(self) -> None:
            self.points: dict[int, dict[str, float]] = {}

        def log(self, data: dict[str, float], step: int | None = None) -> None:
            assert step is not None
            assert step >= max(self.points, default=0)
            assert all(type(value) is float for value in data.values())
            self.points.setdefault(step, {}).update(data)

    tracker = Tracker()
    result = train(
        configure(), tmp_path / "run", watch=lambda event: tracker.log(event.numbers, step=event.update)
    )
    srcc = "dev/a/mos/utterance_srcc"
    assert tracker.points[0] == {}
    assert tracker.points[result.updates][srcc] == result.last["a"]["mos"]["utterance_srcc"]
    assert [u for u, point in tracker.points.items() if "loss" in point] == list(range(1, result.updates + 1))
    for row in lines(tmp_path / "run"):
        if "loss" in row:
            assert tracker.points[row["update"]]["loss"] == row["loss"]


def test_a_run_is_saved_every_so_many_minutes(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, saved = [time.monotonic()], list[int]()
    state = tmp_path / "run" / "last" / "training.json"

    def watch(at: Event) -> None:
        if at.kind == "update":
            clock[0] += 40  # seconds an update
            saved.append(json.loads(state.read_text())["update"] if state.exists() else 0)

    monkeypatch.setattr(run, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    train(configure("run.save_minutes=1", "epochs=1", "eval.every=none"), tmp_path / "run", watch=watch)
    assert saved[:4] == [0, 0, 2, 2]


@pytest.mark.parametrize("able", [True, False])
def test_products_that_the_processor_lacks_are_told_before_they_are_waited_for(
    configure: Configure,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    able: bool,
) -> None:
    monkeypatch.setattr(run, "has_bfloat16", lambda _: able)
    run.prepare(configure("precision=bf16"), Processes(0, 1, torch.device("cpu")), tmp_path)
    assert ("set precision=fp32" in caplog.text) == (not able)


@pytest.mark.parametrize("when", ["within the run", "after the last update"])
def test_sigterm_during_an_evaluation_leaves_it_for_the_next_time(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Nothing is measured to its end that would be killed meanwhile; the same command measures first."""
    config = configure("eval.every=3", "run.save_minutes=60")
    total = train(config, tmp_path / "whole").updates
    update = 3 if when == "within the run" else total
    with monkeypatch.context() as patch:
        real = Learner.forward

        def forward(learner: Learner, batch: MicroBatch, reader: ClipReader) -> torch.Tensor:
            if learner.state.update == update:
                signal.raise_signal(signal.SIGTERM)
            return real(learner, batch, reader)

        patch.setattr(Learner, "forward", forward)
        stopped = train(config, tmp_path / "run")
    assert (stopped.finished, stopped.updates) == (False, update)
    before = -1 if update == 3 else (total - 1) // 3 * 3
    assert json.loads((tmp_path / "run/last/training.json").read_text())["evaluated"] == before
    assert [row for row in lines(tmp_path / "run") if row["update"] == update and "dev" in row] == []
    assert train(config, tmp_path / "run").finished
    assert same(tmp_path / "whole", tmp_path / "run")
    timing = ("audio_per_s", "read_wait")
    whole, run = (
        [{k: v for k, v in row.items() if k not in timing} for row in lines(tmp_path / name)]
        for name in ("whole", "run")
    )
    assert whole == run
