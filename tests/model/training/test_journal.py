"""What is told of a run: lines of metrics.jsonl, a log, a pace."""

import json
import logging
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqa_model.errors import ModelError
from sqa_model.training import journal
from sqa_model.training.config import TrainConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.journal import Event, Journal, Pace, Watch, log, rewind_metrics


@pytest.fixture
def config() -> TrainConfig:
    return load_config(overrides=["run.tensorboard=false"])


def journal_of(
    folder: Path | None, config: TrainConfig, done: int, watch: Watch = lambda event: None
) -> Journal:
    return Journal(folder, config, done, 10, watch)


def test_rewinding_drops_later_and_torn_lines(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"update": u}) + "\n" for u in (1, 2, 3)) + '{"upd')
    rewind_metrics(path, 2)
    assert [json.loads(line)["update"] for line in path.read_text().splitlines()] == [1, 2]
    rewind_metrics(tmp_path / "absent.jsonl", 2)


def test_a_journal_goes_on_after_the_last_update(tmp_path: Path, config: TrainConfig) -> None:
    for done, rows in ((0, (1, 2, 3)), (2, (3, 4))):
        made = journal_of(tmp_path, config, done)
        for update in rows:
            made.record("update", update, {"loss": update / 2, "dev": {"a": {"mos": None}}})
        made.close()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["update"] for line in lines] == [1, 2, 3, 4]
    assert lines[0] == {"update": 1, "loss": 0.5, "dev": {"a": {"mos": None}}}


def test_what_was_measured_before_the_first_update_is_written_once(
    tmp_path: Path, config: TrainConfig
) -> None:
    for done, rows in ((0, (0, 1)), (0, (0, 1, 2)), (2, (3,))):
        made = journal_of(tmp_path, config, done)
        for update in rows:
            made.record("update", update, {})
        made.close()
    lines = [json.loads(line)["update"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [0, 1, 2, 3]


def test_all_of_training_is_copied_to_the_log_while_the_journal_is_open(
    tmp_path: Path, config: TrainConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sqa_model.training")
    made = journal_of(tmp_path, config, 0)
    log.info("one")
    logging.getLogger("sqa_model.training.source").warning("two")
    made.close()
    log.info("three")
    text = (tmp_path / "log.txt").read_text()
    assert "INFO one" in text
    assert "WARNING two" in text
    assert "three" not in text


def test_an_earlier_log_is_gone_on_with_and_a_line_is_there_at_once(
    tmp_path: Path, config: TrainConfig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "sqa_model.training")
    for update, word in enumerate(("one", "two"), start=1):
        made = journal_of(tmp_path, config, update - 1)
        log.info(word)
        made.record("update", update, {"loss": 1.0})
        assert (tmp_path / "metrics.jsonl").read_text().count("\n") == update
        made.close()
    assert [line.split()[-1] for line in (tmp_path / "log.txt").read_text().splitlines()] == ["one", "two"]


def test_every_number_is_a_point_of_its_update(
    tmp_path: Path, config: TrainConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[object, ...]] = []

    class Board:
        """Stands for TensorBoard's writer."""

        def __init__(self, folder: str, purge_step: int) -> None:
            told.append((folder, purge_step))

        def add_scalar(self, name: str, value: float, update: int) -> None:
            told.append((name, value, update))

        def close(self) -> None:
            told.append(("closed",))

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Board))
    made = journal_of(tmp_path, replace(config, run=replace(config.run, tensorboard=True)), 6)
    made.record("update", 7, {"loss": 0.5, "epoch": 2, "dev": {"a": {"mos": {"mse": 0.25, "srcc": None}}}})
    made.close()
    assert told == [
        (str(tmp_path), 7),  # points that a killed run wrote after update 6 are dropped
        ("loss", 0.5, 7),
        ("epoch", 2.0, 7),
        ("dev/a/mos/mse", 0.25, 7),
        ("closed",),
    ]


def test_other_processes_say_nothing(tmp_path: Path, config: TrainConfig) -> None:
    seen: list[Event] = []
    made = journal_of(None, config, 0, seen.append)
    made.record("update", 1, {"loss": 1.0})
    made.tell("end", 1, {})
    made.close()
    assert list(tmp_path.iterdir()) == []
    assert seen == []


def test_an_event_has_the_numbers_of_its_row_but_no_settings_and_no_answers(
    tmp_path: Path, config: TrainConfig
) -> None:
    seen: list[Event] = []
    made = journal_of(tmp_path, config, 3, seen.append)
    made.record("evaluation", 4, {"dev": {"a": {"mos": {"mse": 0.25, "srcc": None, "clips": 3}}}})
    made.tell("end", 4, {"finished": True, "updates": 4, "folder": tmp_path})
    made.close()
    assert [(event.kind, event.update, event.total) for event in seen] == [
        ("start", 3, 10),
        ("evaluation", 4, 10),
        ("end", 4, 10),
    ]
    assert seen[0].row["optim"]["lr"] == config.optim.lr
    assert [event.numbers for event in seen] == [
        {},
        {"dev/a/mos/mse": 0.25, "dev/a/mos/clips": 3.0},
        {"updates": 4.0},
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_one_line_with_the_place(tmp_path: Path, config: TrainConfig) -> None:
    (tmp_path / "log.txt").symlink_to("/dev/full")
    made = journal_of(tmp_path, config, 0)
    assert made._file is not None
    made._file.close()
    made._file = open("/dev/full", "a")  # noqa: PTH123, SIM115
    log.warning("a line that is lost without a traceback")
    with pytest.raises(ModelError, match=r"cannot write metrics\.jsonl.*No space left on device.*goes on"):
        made.record("update", 1, {"loss": 1.0})
    made.close()


def test_the_pace_tells_waiting_from_computing(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(
        float(t) for t in (0, 3, 10, 10, 11, 20, 30)
    )  # asked, there, computed; asked, there, computed; asked
    monkeypatch.setattr(journal, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    pace = Pace()
    found = []
    for batch in pace.over(["one", "two"]):
        pace.computed(50.0 if batch == "one" else 100.0)
        found.append((pace.audio_per_s, pace.wait_share, pace.left_s(2)))
    assert found[0] == (5.0, 0.3, 20.0)
    assert found[1] == pytest.approx((55 / 10, 2.8 / 10, 20.0))  # one tenth of the new, nine of the old
