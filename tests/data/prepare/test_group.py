"""The external sort equals a plain dictionary, whatever the chunk; its memory does not grow."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st
from sqa_data.prepare.group import grouped


@given(st.lists(st.tuples(st.integers(0, 9), st.integers())), st.integers(1, 7))
def test_equals_a_dictionary(rows: list[tuple[int, int]], chunk: int) -> None:
    plain: dict[int, list[tuple[int, int]]] = {}
    for row in rows:
        plain.setdefault(row[0], []).append(row)
    assert list(grouped(rows, key=lambda row: row[0], chunk=chunk)) == sorted(plain.items())


def test_memory_is_flat() -> None:
    def peak(n: int) -> int:
        tracemalloc.start()
        rows = ((i * 7919 % n, f"{i:0200}") for i in range(n))
        assert sum(len(group) for _, group in grouped(rows, key=lambda row: row[0], chunk=5000)) == n
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    # sorting all in memory needs four times as much
    assert peak(40_000) < 1.5 * peak(10_000)
