"""Workers: one at a time fetches weights, Ctrl-C is not theirs, none outlives its parent, each has one thread."""

import os
import signal
import tempfile
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqa_data import processes
from sqa_data.annotate import workers
from sqa_data.annotate.log import Result
from sqa_data.atomic import is_locked
from sqa_data.errors import DataError
from sqa_data.labellers import LABELS, Adapter, from_hub, signals


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
    monkeypatch.setattr(processes, "parent_process", lambda: SimpleNamespace(join=ended.wait))
    monkeypatch.setattr(processes.os, "_exit", lambda code: (codes.append(code), exited.set()))
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


def test_what_kills_a_worker_of_its_own_is_to_blame_unless_all_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def pool(
        queue: Iterator[workers.Task], jobs: int, device: str, fast: bool
    ) -> Generator[workers.Done, None, list[workers.Task]]:
        tasks = list(queue)
        deadly = [task for task in tasks if any(label == "deadly" for label, _ in task.results)]
        for task in tasks:
            if task not in deadly:
                yield [(key, Result({"x": 1.0})) for _, key in task.results]
        return deadly

    def results(*clips: tuple[str, ...]) -> dict[workers.Key, str | None]:
        tasks = [
            workers.Task(Path(str(i)), None, [(label, (str(i), "", label)) for label in labels])
            for i, labels in enumerate(clips)
        ]
        return {key: result.error for done in workers.run(tasks, 2, "cpu", False) for key, result in done}

    monkeypatch.setattr(workers, "_in_pool", pool)
    died = "deadly: the process died (crash, or out of memory)"
    assert results(("deadly",)) == {("0", "", "deadly"): died}
    assert results(("deadly", "lsd"), ("lsd",)) == {
        ("0", "", "deadly"): died,
        ("0", "", "lsd"): None,
        ("1", "", "lsd"): None,
    }
    with pytest.raises(DataError, match="worker processes die whatever they do"):
        results(("deadly",), ("deadly",))


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_label_that_is_no_finite_number_is_an_error(value: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "toy", lambda *_: lambda clip: {"toy": value}, raising=False)
    monkeypatch.setitem(LABELS, "toy", Adapter(("toy",), "signals:toy", "numpy"))
    task = workers.Task(Path("a.wav"), None, [("toy", ("a", "", "v"))])
    assert list(workers.run([task], 1, "cpu", False)) == [
        [(("a", "", "v"), Result({}, "toy: not a finite number"))]
    ]
