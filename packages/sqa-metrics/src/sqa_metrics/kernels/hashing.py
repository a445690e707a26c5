# mypy: disable-error-code="arg-type, assignment, call-arg, no-any-return, return-value"
"""Join and group rows by their ids, compiled: an open-addressing hash table of row numbers, compared byte by byte.

Memory is far slower than arithmetic here, so each step is a loop of its own whose loads do not wait for each other:
hash all keys, look all of them up by hash, then compare the bytes of what was found.
"""

from typing import Any

import numpy as np
from numpy import ndarray as Array

from sqa_metrics.kernels.compiled import compiled

EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
ROW = np.uint64(0xFFFFFFFF)  # a table entry: upper half of the key's hash, row number below


@compiled
def join(ref: Array, ref_spans: Array, pred: Array, pred_spans: Array, match: Array) -> int:
    """match[row of ref] = row of pred with the same key, where there is one; how many, or -1 for a duplicate."""
    table = _index(ref, ref_spans, _hashes(ref, ref_spans))
    if table.size == 0:
        return -1
    hashes = _hashes(pred, pred_spans)
    candidates = np.empty(len(hashes), np.int64)
    for row in range(len(hashes)):
        candidates[row] = _probe(hashes[row], table)
    n_matched = 0
    for row in range(len(hashes)):
        found = candidates[row]
        if found >= 0 and not _equal(pred, pred_spans, row, ref, ref_spans, found):  # as good as never
            found = _find(hashes[row], pred, pred_spans, row, ref, ref_spans, table)[1]
        if found >= 0:
            if match[found] >= 0:
                return -1
            match[found] = row
            n_matched += 1
    # Rows that the reference does not know may be there only once, too.
    if n_matched < len(hashes) and _index(pred, pred_spans, hashes).size == 0:
        return -1
    return n_matched


@compiled
def _index(data: Array, spans: Array, hashes: Array) -> Array:
    """Hash table of all rows; empty if two have the same key."""
    size = 16
    while size < 2 * len(spans):
        size *= 2
    table = np.full(size, EMPTY)
    for row in range(len(spans)):
        slot, found = _find(hashes[row], data, spans, row, data, spans, table)
        if found >= 0:
            return table[:0]
        table[slot] = hashes[row] & ~ROW | np.uint64(row)
    return table


@compiled
def group(data: Array, spans: Array, first: Array) -> tuple[Array, int]:
    """Number the distinct keys by first appearance: (code of each row, how many); first[code] = its first row."""
    code, n = np.empty(len(spans), np.int64), 0
    table = np.full(1024, EMPTY)
    for row in range(len(spans)):
        if row > 0 and _equal(data, spans, row, data, spans, row - 1):  # files are often in order of system
            code[row] = code[row - 1]
            continue
        key = _hash(data, spans, row)
        slot, found = _find(key, data, spans, row, data, spans, table)
        if found >= 0:
            code[row] = code[found]
            continue
        table[slot] = key & ~ROW | np.uint64(row)
        first[n], code[row] = row, n
        n += 1
        if 2 * n > table.size:
            table = np.full(4 * table.size, EMPTY)
            for k in range(n):
                key = _hash(data, spans, first[k])
                slot, found = _find(key, data, spans, first[k], data, spans, table)
                table[slot] = key & ~ROW | np.uint64(first[k])
    return code, n


@compiled
def _hashes(data: Array, spans: Array) -> Array:
    hashes = np.empty(len(spans), np.uint64)
    for row in range(len(spans)):
        hashes[row] = _hash(data, spans, row)
    return hashes


@compiled
def _hash(data: Array, spans: Array, row: int) -> Any:
    mix = np.uint64(14695981039346656037)
    for field in range(spans.shape[1]):
        for i in range(spans[row, field, 0], spans[row, field, 1]):
            mix = (mix ^ np.uint64(data[i])) * np.uint64(1099511628211)  # FNV-1a
        mix = (mix ^ np.uint64(255)) * np.uint64(1099511628211)  # no text holds byte 255: it ends a field
    return mix ^ (mix >> np.uint64(29))


@compiled
def _probe(key: Any, table: Array) -> int:
    """The first row of the table whose hash begins as `key` does; -1 for none."""
    mask = np.uint64(table.size - 1)
    slot = key & mask
    while table[slot] != EMPTY:
        if table[slot] & ~ROW == key & ~ROW:
            return np.int64(table[slot] & ROW)
        slot = (slot + np.uint64(1)) & mask
    return -1


@compiled
def _find(
    key: Any, data: Array, spans: Array, row: int, other: Array, other_spans: Array, table: Array
) -> tuple[Any, int]:
    """(slot, row of `other` with the very key of `row`), or the empty slot where it belongs and -1."""
    mask = np.uint64(table.size - 1)
    slot = key & mask
    while table[slot] != EMPTY:
        if table[slot] & ~ROW == key & ~ROW:
            found = np.int64(table[slot] & ROW)
            if _equal(data, spans, row, other, other_spans, found):
                return slot, found
        slot = (slot + np.uint64(1)) & mask
    return slot, -1


@compiled
def _equal(data: Array, spans: Array, row: int, other: Array, other_spans: Array, other_row: int) -> bool:
    for field in range(spans.shape[1]):
        a, b = spans[row, field, 0], other_spans[other_row, field, 0]
        n, m = spans[row, field, 1] - a, other_spans[other_row, field, 1] - b
        if n != m or not same(data, a, other, b, n):
            return False
    return True


@compiled
def same(data: Array, a: int, other: Array, b: int, n: int) -> bool:
    i = 0
    while i < n and data[a + i] == other[b + i]:
        i += 1
    return i == n
