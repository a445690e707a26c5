"""Workers: one at a time fetches weights, Ctrl-C is not theirs, none outlives its parent, each has one thread."""

import os
import signal
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqa_data.annotate import workers
from sqa_data.atomic import is_locked
from sqa_data.labellers import Adapter, from_hub, signals


def test_only_weights_that_are_downloaded_wait_for_one_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lock = tmp_path / f"sqa-data-weights-{os.getuid()}"
    for module in (from_hub, signals):
        monkeypatch.setattr(module, "toy", lambda device, fast: is_locked(lock), raising=False)
    assert workers.load(Adapter(("toy",), "from_hub:toy", "numpy"), "cpu", False)
    assert not is_locked(lock)
    assert not workers.load(Adapter(("toy",), "signals:toy", "numpy"), "cpu", False)


def test_a_worker_leaves_ctrl_c_to_its_parent_and_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended, exited, codes = threading.Event(), threading.Event(), list[int]()
    monkeypatch.setattr(workers, "parent_process", lambda: SimpleNamespace(join=ended.wait))
    monkeypatch.setattr(workers.os, "_exit", lambda code: (codes.append(code), exited.set()))
    # whatever this process has inherited: a shell's background jobs ignore Ctrl-C
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        workers._start_worker()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert codes == []
        ended.set()
        assert exited.wait(10)
    finally:
        signal.signal(signal.SIGINT, before)
    assert codes == [1]


def test_the_surroundings_of_a_worker_are_ours_again_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    before = dict(os.environ)
    with workers._one_thread(), workers._ctrl_c_later():
        assert {os.environ[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")} == {"1"}
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert os.environ == before
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
