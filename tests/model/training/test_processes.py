"""Verbs of processes cost nothing alone; signals ask once and interrupt the second time."""

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from sqa_model.errors import ModelError
from sqa_model.training.processes import Processes, processes, stop_signals


def test_alone_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    with processes("cpu") as group:
        assert group == Processes(0, 1, torch.device("cpu"))
        assert group.first
        values = torch.tensor([1.0, 2.0])
        assert group.sum(values) is values
        assert group.gather("a") == ["a"]
        group.wait()


JOIN = """
import json, os, sys
import torch.distributed
from sqa_model.training.processes import processes
rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
torch.distributed.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=rank, world_size=size)
with processes("cpu") as group:
    group.wait()
    total = group.sum(torch.tensor([1.0, float(rank)])).tolist()
    print(json.dumps([group.rank, group.size, group.first, total, group.gather(f"from {rank}")]))
torch.distributed.destroy_process_group()
"""


@pytest.mark.slow
def test_two_add_up_and_hear_each_other(tmp_path: Path) -> None:
    command = [sys.executable, "-c", JOIN, str(tmp_path / "store")]
    started = [
        subprocess.Popen(
            command, env={**os.environ, "RANK": str(rank), "WORLD_SIZE": "2"}, stdout=subprocess.PIPE
        )
        for rank in range(2)
    ]
    found = [json.loads(process.communicate(timeout=120)[0]) for process in started]
    both = [[2.0, 1.0], ["from 0", "from 1"]]
    assert found == [[0, 2, True, *both], [1, 2, False, *both]]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"run\.device: found 'cuda:1', but this machine has no usable CUDA"):
        processes("cuda:1").__enter__()
    with processes("auto") as group:
        assert group.device.type == "cpu"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_interrupts(number: int) -> None:
    before = signal.getsignal(number)
    with stop_signals() as stop:
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_another_thread_than_the_main_one_gets_an_event_that_nobody_sets() -> None:
    found: list[bool] = []

    def inside() -> None:
        with stop_signals() as stop:
            found.append(stop.is_set())

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert found == [False]
