"""Clips read by threads ahead of the model, bounded by the seconds of audio that wait, not by their number."""

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

In = TypeVar("In")
Out = TypeVar("Out")

MOST_CLIPS = 32  # that are asked for ahead
MOST_S = 300.0  # of audio that may wait: 20 MB at 16 kHz


def read_ahead(
    sources: Iterable[In], read: Callable[[In], Out], seconds: Callable[[Out], float], workers: int
) -> Iterator[Out]:
    """`read(source)` for each source, in order, computed by threads.

    No clip is begun while more than `MOST_S` seconds wait, except the one that is wanted next: so what waits is bounded
    by that and one clip a worker, and nobody waits for ever.
    """
    gate = _Gate()

    def attempt(number: int, source: In) -> Out:
        gate.wait(number)
        out = read(source)
        gate.put(seconds(out))
        return out

    ahead: deque[Future[Out]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="sqa-read")

    def take() -> Out:
        out = ahead.popleft().result()
        gate.take(seconds(out))
        return out

    try:
        for number, source in enumerate(sources):
            ahead.append(pool.submit(attempt, number, source))
            while ahead and (len(ahead) >= MOST_CLIPS or ahead[0].done()):
                yield take()
        while ahead:
            yield take()
    finally:
        gate.open()
        pool.shutdown(cancel_futures=True)


class _Gate:
    """Counts the seconds that were read and not yet taken; holds back those who would read more."""

    def __init__(self) -> None:
        _GATES.add(self)
        self.changed = threading.Condition()
        self.waiting_s, self.next, self.is_open = 0.0, 0, False

    def wait(self, number: int) -> None:
        """Wait until clip `number` may be read."""
        with self.changed:
            self.changed.wait_for(lambda: self.is_open or self.waiting_s < MOST_S or number <= self.next)

    def put(self, seconds: float) -> None:
        """So many seconds were read."""
        with self.changed:
            self.waiting_s += seconds

    def take(self, seconds: float) -> None:
        """The clip that was wanted next was taken."""
        with self.changed:
            self.waiting_s -= seconds
            self.next += 1
            self.changed.notify_all()

    def open(self) -> None:
        """Hold nobody back any more."""
        with self.changed:
            self.is_open = True
            self.changed.notify_all()


_GATES: weakref.WeakSet[_Gate] = weakref.WeakSet()


def _open_all() -> None:
    for gate in list(_GATES):
        gate.open()


# Whoever stops in the midst, by Ctrl-C or the end of a script, may leave a generator that is never closed. Python waits
# for the threads of a pool before it ends, by this same hook; there is no public one that comes early enough.
threading._register_atexit(_open_all)  # type: ignore[attr-defined]
