"""Map over items in threads, where the work lets go of the interpreter lock, as the kernels and np.sort do."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

WORTH = 100_000  # numbers to work on, in all, from which threads pay


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], size: int) -> list[Result]:
    """`work` of every item, in order; in threads if the items, of `size` numbers each, are worth it."""
    threads = os.cpu_count() or 1
    if len(items) * size < WORTH or threads == 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))
