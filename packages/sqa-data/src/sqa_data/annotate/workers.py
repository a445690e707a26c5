"""The work on clips, here or in processes of their own: a clip that crashes a library costs no more than itself."""

import functools
import importlib
import math
import os
import signal
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import cast

from sqa_data.annotate.log import Key, Result
from sqa_data.atomic import lock
from sqa_data.audio import AudioError
from sqa_data.errors import DataError
from sqa_data.labellers import Adapter, ClipError, Score, Signals, adapter_of
from sqa_data.processes import end_with_parent

Done = list[tuple[Key, Result]]
# a worker is one thread: clips run side by side, not matrix products
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Task:
    """All that is to compute for one clip."""

    path: Path
    reference: Path | None
    results: Sequence[tuple[str, Key]]  # a label of the adapter, what its result will be known by


def run(tasks: Sequence[Task], jobs: int, device: str, fast: bool) -> Iterator[Done]:
    """The results of each task, as they are finished."""
    if jobs <= 1:
        yield from map(Listener(device, fast).measure, tasks)
        return
    queue = iter(tasks)
    while suspects := (yield from _in_pool(queue, jobs, device, fast)):
        # A worker died. One result at a time: what kills a worker of its own is to blame.
        single = [Task(task.path, task.reference, [entry]) for task in suspects for entry in task.results]
        fatal: list[Task] = []
        for task in single:
            fatal += yield from _in_pool(iter([task]), 1, device, fast)
        if len(fatal) == len(single) > 1:
            raise DataError(
                "worker processes die whatever they do (out of memory, or a broken library); what is done is "
                "kept: run the same command again, with fewer --jobs"
            )
        for task in fatal:
            [(label, key)] = task.results
            yield [(key, Result({}, f"{label}: the process died (crash, or out of memory)"))]


class Listener:
    """One process's labellers, each loaded when it is first needed."""

    def __init__(self, device: str, fast: bool) -> None:
        self._load = functools.cache(functools.partial(load, device=device, fast=fast))

    def measure(self, task: Task) -> Done:
        """All results of one clip. What a library raises about the clip is a result, never averaged over."""
        # it holds the decoded audio, so it lives no longer than this call
        clip = Signals(task.path, task.reference)
        done = []
        for label, key in task.results:
            adapter = adapter_of(label)
            score = self._load(adapter)
            try:
                values = score(clip)
                if wrong := [name for name, value in values.items() if not math.isfinite(value)]:
                    raise ClipError(f"{', '.join(wrong)}: not a finite number")
                result = Result(values, warnings=clip.warnings(adapter.needs_reference))
            except (ClipError, AudioError) as error:
                # other clips may have the same audio, and so this result
                result = Result({}, str(error).removeprefix(f"{clip.path}: "))
            except _library_errors() as error:
                # the library met a clip that it was not made for
                result = Result({}, f"{label}: {type(error).__name__}: {error}")
            done.append((key, result))
        return done


def load(adapter: Adapter, device: str, fast: bool) -> Score:
    """Make an adapter ready; `DataError` where a package, weights or the device are not there."""
    labels = ", ".join(adapter.labels)
    # of several processes of a user one downloads the weights and the others find them, not half of them
    user = os.getuid() if hasattr(os, "getuid") else ""  # Windows: the folder is the user's own
    downloading = Path(tempfile.gettempdir()) / f"sqa-data-weights-{user}"
    try:
        with lock(downloading) if adapter.module == "from_hub" else nullcontext():
            function = getattr(importlib.import_module(f"sqa_data.labellers.{adapter.module}"), adapter.name)
            return cast(Score, function(device, fast))
    except ImportError as error:
        raise DataError(f"{labels}: {error}; {adapter.install}") from error
    except OSError as error:
        raise DataError(
            f"{labels}: cannot load its weights: {error}; they come from the network once: "
            "connect, or bring the cache of a machine that has them"
        ) from error
    except (RuntimeError, AssertionError) as error:  # torch, of a device that is not there
        said = str(error).partition("\n")[0]
        raise DataError(f"{labels}: cannot run on {device!r}: {said}") from error


def _library_errors() -> tuple[type[Exception], ...]:
    """What libraries raise about their input. onnxruntime's errors have no base but `Exception`."""
    usual = (ValueError, RuntimeError, ArithmeticError, LookupError, AssertionError)
    onnxruntime = sys.modules.get("onnxruntime.capi.onnxruntime_pybind11_state")
    named = vars(onnxruntime).values() if onnxruntime else ()
    return (*usual, *(kind for kind in named if isinstance(kind, type) and issubclass(kind, Exception)))


# ---- worker processes ------------------------------------------------------------------------------


def _in_pool(queue: Iterator[Task], jobs: int, device: str, fast: bool) -> Generator[Done, None, list[Task]]:
    """Work in processes. Returns, where one of these died, the tasks that were under way."""
    waiting: dict[Future[Done], Task] = {}
    lost: list[Task] = []
    failure: BaseException | None = None
    with _one_thread():
        pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_start_worker)
        try:
            while True:
                while not lost and len(waiting) < 4 * jobs and (task := next(queue, None)) is not None:
                    try:
                        with _ctrl_c_later():
                            waiting[pool.submit(_measure, task, device, fast)] = task
                    except BrokenProcessPool:
                        lost.append(task)
                if not waiting:
                    return lost
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    task = waiting.pop(future)
                    error = future.exception()
                    if isinstance(error, BrokenProcessPool):
                        lost.append(task)
                    elif error is None:
                        yield future.result()  # also of those that end beside a failing one
                    else:
                        failure = error
                if failure is not None:
                    raise failure
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Processes that are started in the block have one thread each."""
    before = {name: os.environ[name] for name in ONE_THREAD if name in os.environ}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name in ONE_THREAD:
            del os.environ[name]
        os.environ.update(before)


@contextmanager
def _ctrl_c_later() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block: a worker that starts in it would print a traceback for it.

    The worker inherits that, so that Ctrl-C is ours alone to handle. Windows has no signal masks: there the worker
    ignores Ctrl-C from its first line on.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


_listener = functools.cache(Listener)  # of this worker process, which has one device and precision


def _measure(task: Task, device: str, fast: bool) -> Done:
    return _listener(device, fast).measure(task)
