"""Reading ahead: in order, bounded by seconds, never stuck, and stopped with its reader."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from sqa_model.inference import read_ahead as module
from sqa_model.inference.read_ahead import read_ahead


def test_in_order_whatever_the_threads_do() -> None:
    def read(n: int) -> int:
        time.sleep(0.002 * (n % 3))
        return n

    assert list(read_ahead(range(100), read, lambda _: 1.0, 4)) == list(range(100))


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_long_clips_do_not_pile_up(workers: int) -> None:
    """40 clips of 10 minutes: what waits is bounded by MOST_S and one clip a worker."""
    begun: list[int] = []
    seen = 0

    def read(n: int) -> float:
        begun.append(n)
        return 600.0

    for n, _ in enumerate(read_ahead(range(40), read, lambda s: s, workers)):
        time.sleep(0.005)  # the model at work
        assert len(begun) <= n + 1 + 1 + workers
        seen += 1
    assert seen == 40
    assert sorted(begun) == list(range(40))


def test_what_was_taken_waits_no_more() -> None:
    gate = module._Gate()
    for _ in range(1_000):
        gate.put(1.0)
        gate.take(1.0)
    gate.wait(10**6)  # far ahead, yet nothing waits
    gate.put(module.MOST_S)
    gate.wait(1_000)  # the one that is wanted next
    thread = threading.Thread(target=gate.wait, args=(1_001,), daemon=True)
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    gate.open()
    thread.join(10)
    assert not thread.is_alive()


def test_a_reader_that_stops_frees_the_threads() -> None:
    before = threading.active_count()
    reading = read_ahead(range(1_000), lambda n: n, lambda _: 1e6, 3)
    assert next(reading) == 0
    reading.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_an_error_of_the_sources_is_raised() -> None:
    def sources() -> Iterator[int]:
        yield 1
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        list(read_ahead(sources(), lambda n: n, lambda _: 1.0, 2))


LEFT_OPEN = """
import time
from sqa_model.inference.read_ahead import read_ahead

reading = read_ahead(range(100), lambda n: time.sleep(0.1) or n, lambda _: 200.0, 2)
next(reading)
time.sleep(0.3)  # both threads are held back now, and nobody will take what was read
"""


def test_a_reader_that_stops_in_the_midst_lets_the_process_end() -> None:
    """As after Ctrl-C, whose traceback keeps the generator alive."""
    subprocess.run([sys.executable, "-c", LEFT_OPEN], timeout=60, check=True)
