# mypy: disable-error-code="arg-type, assignment, call-arg, no-any-return, return-value"
"""Score rows of a JSON Lines file, compiled: a recursive-descent reader of one row shape, positions instead of objects.

Strict JSON. Every function takes a position and returns the one after what it read, or -1 where that is not there.
"""

import numpy as np

from sqa_metrics.kernels.compiled import compiled, compiled_inline
from sqa_metrics.kernels.digits import end_of_number, number_at
from sqa_metrics.kernels.hashing import same

# What the scanner looks for in a row. Ids give (start, stop) in the file, the others a number.
KEYS = ("sample_id", "system_id", "corpus", "listener_id", "metrics", "votes", "mos_std")
SAMPLE, SYSTEM, CORPUS, LISTENER, METRICS, VOTES, STD = range(len(KEYS))

QUOTE, COLON, COMMA, OPEN, CLOSE, LIST, END_LIST = (ord(c) for c in '":,{}[]')
SPACE, RETURN, NEWLINE = (ord(c) for c in " \r\n")
NULL, TRUE, FALSE = (np.frombuffer(word, np.uint8) for word in (b"null", b"true", b"false"))
DEEPEST = 60  # nested values below this are left to the plain road


@compiled
def scan(
    data: np.ndarray,
    keys: np.ndarray,
    bounds: np.ndarray,
    powers: np.ndarray,
    spans: np.ndarray,
    numbers: np.ndarray,
    long: np.ndarray,
) -> int:
    """Fill spans and numbers row by row: how many rows, or -1 at anything unusual.

    `long` takes (row, start, stop) of metric values whose digits float64 arithmetic cannot surely turn into the
    nearest float64; the caller reads those. Its first entry says how many follow.
    """
    at, row = 0, 0
    while True:
        at = _blank(data, at)
        while at < data.size and data[at] == NEWLINE:
            at = _blank(data, at + 1)
        if at == data.size:
            return row
        at = _row(data, at, keys, bounds, powers, row, spans, numbers, long)
        if at < 0 or (at < data.size and data[at] != NEWLINE):
            return -1
        row += 1


@compiled_inline
def _row(
    data: np.ndarray,
    at: int,
    keys: np.ndarray,
    bounds: np.ndarray,
    powers: np.ndarray,
    row: int,
    spans: np.ndarray,
    numbers: np.ndarray,
    long: np.ndarray,
) -> int:
    """One object: the place after it and the blanks that follow."""
    at, seen = _expect(data, at, OPEN), 0
    while at >= 0:
        start = _blank(data, at) + 1
        stop = _string(data, start - 1) - 1
        at = _expect(data, stop + 1, COLON) if stop >= 0 else -1
        if at < 0:
            return -1
        at = _blank(data, at)
        key = _which(data, start, stop, keys, bounds)
        if key >= 0:
            if seen & (1 << key):
                return -1
            seen |= 1 << key
        at = _field(data, at, key, keys, bounds, powers, row, spans, numbers, long)
        if at < 0:
            return -1
        at = _blank(data, at)
        if at < data.size and data[at] == CLOSE:
            break
        at = _expect(data, at, COMMA)
    if at < 0:
        return -1
    a, n = spans[row, SAMPLE, 0], spans[row, SAMPLE, 1] - spans[row, SAMPLE, 0]
    b, m = spans[row, SYSTEM, 0], spans[row, SYSTEM, 1] - spans[row, SYSTEM, 0]
    if n == 0:
        return -1
    if n == m and same(data, a, data, b, n):
        spans[row, SYSTEM, 1] = b  # no part of the key; `columns._own_names` tells it from no system at all
    return _blank(data, at + 1)


@compiled_inline
def _field(
    data: np.ndarray,
    at: int,
    key: int,
    keys: np.ndarray,
    bounds: np.ndarray,
    powers: np.ndarray,
    row: int,
    spans: np.ndarray,
    numbers: np.ndarray,
    long: np.ndarray,
) -> int:
    """The value of one key of a row: keep it if it was asked for, and return the place after it."""
    if at < data.size and data[at] == NULL[0] and key != METRICS:
        after = _literal(data, at, NULL)
        if after >= 0:
            return after
    if key == LISTENER:
        return -1
    if 0 <= key < LISTENER:
        after = _string(data, at)
        spans[row, key, 0], spans[row, key, 1] = at + 1, after - 1
        return after
    if key == METRICS:
        at, start, stop = _metric(data, at, keys, bounds)
        if start >= 0:
            numbers[row, 0], exact = number_at(data, start, stop, powers)
            if not exact:
                long[0, 0] += 1
                entry = long[long[0, 0]]
                entry[0], entry[1], entry[2] = row, start, stop
        return at
    if VOTES <= key <= STD:
        stop = end_of_number(data, at)
        if stop < 0:
            return -1
        numbers[row, key - METRICS], exact = number_at(data, at, stop, powers)
        return stop if exact else -1
    return _value(data, at)


@compiled
def _metric(data: np.ndarray, at: int, keys: np.ndarray, bounds: np.ndarray) -> tuple[int, int, int]:
    """The object of metrics at `at`: (position after it, start and stop of the wanted number or -1, -1)."""
    start, stop = -1, -1
    at = _expect(data, at, OPEN)
    while at >= 0:
        at = _blank(data, at)
        name = at + 1
        at = _string(data, at)
        if at < 0:
            break
        wanted = _which(data, name, at - 1, keys, bounds) == len(bounds) - 2
        at = _expect(data, at, COLON)
        if at < 0:
            break
        at = _blank(data, at)
        after = end_of_number(data, at) if wanted else _value(data, at)
        if wanted:
            if start >= 0:
                return -1, -1, -1
            start, stop = at, after
        at = after
        if at < 0:
            break
        at = _blank(data, at)
        if at < data.size and data[at] == CLOSE:
            return at + 1, start, stop
        at = _expect(data, at, COMMA)
    return -1, -1, -1


@compiled
def _blank(data: np.ndarray, at: int) -> int:
    while at < data.size and (data[at] == SPACE or data[at] == RETURN):
        at += 1
    return at


@compiled
def _expect(data: np.ndarray, at: int, character: int) -> int:
    at = _blank(data, at)
    return at + 1 if at < data.size and data[at] == character else -1


@compiled
def _string(data: np.ndarray, at: int) -> int:
    """A string without escapes (`_read` has seen to that) or control characters."""
    if at >= data.size or data[at] != QUOTE:
        return -1
    at += 1
    while at < data.size and data[at] >= 32:
        if data[at] == QUOTE:
            return at + 1
        at += 1
    return -1


@compiled
def _literal(data: np.ndarray, at: int, word: np.ndarray) -> int:
    return at + word.size if at + word.size <= data.size and same(data, at, word, 0, word.size) else -1


@compiled
def _value(data: np.ndarray, at: int) -> int:
    """A value that nobody asked for. `open_` has a bit for each open list (0) and object (1), the innermost last."""
    open_, depth = 0, 0
    while True:
        at = _blank(data, at)
        if at < data.size and (data[at] == OPEN or data[at] == LIST) and depth < DEEPEST:
            open_, depth = 2 * open_ + (data[at] == OPEN), depth + 1
            at = _blank(data, at + 1)
            if at >= data.size or data[at] != (CLOSE if open_ & 1 else END_LIST):
                if open_ & 1:
                    at = _key(data, at)
                    if at < 0:
                        return -1
                continue
        else:
            at = _scalar(data, at)
            if at < 0:
                return -1
        # A value has ended: close what ends with it, then there is another one, or this was all.
        while depth > 0:
            at = _blank(data, at)
            if at >= data.size or data[at] != (CLOSE if open_ & 1 else END_LIST):
                break
            open_, depth, at = open_ // 2, depth - 1, at + 1
        if depth == 0:
            return at
        at = _expect(data, at, COMMA)
        if at >= 0 and open_ & 1:
            at = _key(data, at)
        if at < 0:
            return -1


@compiled
def _key(data: np.ndarray, at: int) -> int:
    at = _string(data, _blank(data, at))
    return _expect(data, at, COLON) if at >= 0 else -1


@compiled
def _scalar(data: np.ndarray, at: int) -> int:
    if at < data.size and data[at] == QUOTE:
        return _string(data, at)
    for word in (NULL, TRUE, FALSE):
        after = _literal(data, at, word)
        if after >= 0:
            return after
    return end_of_number(data, at)


@compiled
def _which(data: np.ndarray, start: int, stop: int, keys: np.ndarray, bounds: np.ndarray) -> int:
    """Which of the packed keys the bytes [start, stop) are, the last one first; -1 for none."""
    for k in range(len(bounds) - 2, -1, -1):
        if bounds[k + 1] - bounds[k] == stop - start and same(data, start, keys, bounds[k], stop - start):
            return k
    return -1
