"""Bring equal keys together in a stream of any length: sort in memory while it fits, on disk beyond that."""

import heapq
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, BinaryIO, TypeVar

Row = TypeVar("Row")
CHUNK = 50_000  # rows held in memory
BLOCK = 200  # rows of each spilled chunk held in memory while merging


def grouped(
    rows: Iterable[Row], key: Callable[[Row], Any], chunk: int = CHUNK
) -> Iterator[tuple[Any, list[Row]]]:
    """(key, its rows in the order they came) with the keys ascending; memory does not grow with the rows.

    >>> list(grouped(["b1", "a1", "b2", "c1"], key=lambda row: row[0], chunk=2))
    [('a', ['a1']), ('b', ['b1', 'b2']), ('c', ['c1'])]
    """
    buffer: list[tuple[Any, int, Row]] = []
    spills: list[BinaryIO] = []
    try:
        for number, row in enumerate(rows):
            buffer.append((key(row), number, row))
            if len(buffer) == chunk:
                buffer.sort(key=_order)
                spills.append(_spill(buffer))
                buffer = []
        buffer.sort(key=_order)
        # the running number makes the order total, and so the result independent of `chunk`
        merged = heapq.merge(*(_read(file) for file in spills), buffer, key=_order)
        for value, group in groupby(merged, key=itemgetter(0)):
            yield value, [row for _, _, row in group]
    finally:
        for file in spills:
            file.close()


_order = itemgetter(0, 1)


def _spill(rows: list[tuple[Any, int, Row]]) -> BinaryIO:
    file = tempfile.TemporaryFile(prefix="sqa-data-")  # noqa: SIM115  closed by grouped()
    for start in range(0, len(rows), BLOCK):
        pickle.dump(rows[start : start + BLOCK], file, pickle.HIGHEST_PROTOCOL)
    file.seek(0)
    return file


def _read(file: BinaryIO) -> Iterator[tuple[Any, int, Row]]:
    while True:
        try:
            rows = pickle.load(file)
        except EOFError:
            return
        yield from rows
