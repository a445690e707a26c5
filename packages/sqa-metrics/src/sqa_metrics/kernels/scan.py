# mypy: disable-error-code="arg-type, assignment, call-arg, no-any-return, return-value"
"""Score rows of a JSON Lines file, compiled: a recursive-descent reader of one row shape, positions instead of objects.

Strict JSON. Every function takes a position and returns the one after what it read, or -1 where that is not there.
"""

import numpy as np
from numpy import ndarray as Array

from sqa_metrics.kernels.compiled import compiled, compiled_inline
from sqa_metrics.kernels.hashing import same

# What the scanner looks for in a row. Ids give (start, stop) in the file, the others a number.
KEYS = ("sample_id", "system_id", "corpus", "listener_id", "metrics", "votes", "mos_std")
SAMPLE, SYSTEM, CORPUS, LISTENER, METRICS, VOTES, STD = range(len(KEYS))

QUOTE, COLON, COMMA, OPEN, CLOSE, LIST, END_LIST = (ord(c) for c in '":,{}[]')
SPACE, RETURN, NEWLINE = (ord(c) for c in " \r\n")
NULL, TRUE, FALSE = (np.frombuffer(word, np.uint8) for word in (b"null", b"true", b"false"))
MINUS, PLUS, POINT, ZERO, NINE, SMALL_E, LARGE_E = (ord(c) for c in "-+.09eE")
POWERS = 10.0 ** np.arange(23)  # exact in float64
STRANGE = 33  # one more than the keys of rows that nobody asked for: with more the plain road has to look
DEEPEST = 60  # nested values below this are left to the plain road


@compiled
def scan(
    data: Array, keys: Array, bounds: Array, spans: Array, numbers: Array, long: Array, strange: Array
) -> int:
    """Fill spans and numbers row by row: how many rows, or -1 at anything unusual.

    `long` takes (row, start, stop) of metric values whose digits float64 arithmetic cannot surely turn into the
    nearest float64; the caller reads those. `strange` takes (start, stop) of each other key that rows have, once; the
    caller knows whether one of them means something. The first entry of each says how many follow.
    """
    at, row = 0, 0
    while True:
        at = _blank(data, at)
        while at < data.size and data[at] == NEWLINE:
            at = _blank(data, at + 1)
        if at == data.size:
            return row
        at = _row(data, at, keys, bounds, row, spans, numbers, long, strange)
        if at < 0 or (at < data.size and data[at] != NEWLINE):
            return -1
        row += 1


@compiled_inline
def _row(
    data: Array,
    at: int,
    keys: Array,
    bounds: Array,
    row: int,
    spans: Array,
    numbers: Array,
    long: Array,
    strange: Array,
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
        elif not _noted(data, start, stop, strange):
            return -1
        at = _field(data, at, key, keys, bounds, row, spans, numbers, long)
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


@compiled
def _noted(data: Array, start: int, stop: int, strange: Array) -> bool:
    """Keep the key [start, stop) if it is new; False if there is no room."""
    n = strange[0, 0]
    for k in range(1, n + 1):
        first, last = strange[k, 0], strange[k, 1]
        if last - first == stop - start and same(data, first, data, start, stop - start):
            return True
    if n + 1 >= len(strange):
        return False
    strange[0, 0], strange[n + 1, 0], strange[n + 1, 1] = n + 1, start, stop
    return True


@compiled_inline
def _field(
    data: Array,
    at: int,
    key: int,
    keys: Array,
    bounds: Array,
    row: int,
    spans: Array,
    numbers: Array,
    long: Array,
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
            numbers[row, 0], exact = number_at(data, start, stop)
            if not exact:
                long[0, 0] += 1
                entry = long[long[0, 0]]
                entry[0], entry[1], entry[2] = row, start, stop
        return at
    if VOTES <= key <= STD:
        stop = end_of_number(data, at)
        if stop < 0:
            return -1
        numbers[row, key - METRICS], exact = number_at(data, at, stop)
        return stop if exact else -1
    return _value(data, at)


@compiled
def _metric(data: Array, at: int, keys: Array, bounds: Array) -> tuple[int, int, int]:
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
def _blank(data: Array, at: int) -> int:
    while at < data.size and (data[at] == SPACE or data[at] == RETURN):
        at += 1
    return at


@compiled
def _expect(data: Array, at: int, character: int) -> int:
    at = _blank(data, at)
    return at + 1 if at < data.size and data[at] == character else -1


@compiled
def _string(data: Array, at: int) -> int:
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
def _literal(data: Array, at: int, word: Array) -> int:
    return at + word.size if at + word.size <= data.size and same(data, at, word, 0, word.size) else -1


@compiled
def _value(data: Array, at: int) -> int:
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
def _key(data: Array, at: int) -> int:
    at = _string(data, _blank(data, at))
    return _expect(data, at, COLON) if at >= 0 else -1


@compiled
def _scalar(data: Array, at: int) -> int:
    if at < data.size and data[at] == QUOTE:
        return _string(data, at)
    for word in (NULL, TRUE, FALSE):
        after = _literal(data, at, word)
        if after >= 0:
            return after
    return end_of_number(data, at)


@compiled
def _which(data: Array, start: int, stop: int, keys: Array, bounds: Array) -> int:
    """Which of the packed keys the bytes [start, stop) are, the last one first; -1 for none."""
    for k in range(len(bounds) - 2, -1, -1):
        if bounds[k + 1] - bounds[k] == stop - start and same(data, start, keys, bounds[k], stop - start):
            return k
    return -1


# --- numbers ---------------------------------------------------------------------------------------------------------


@compiled
def end_of_number(data: Array, at: int) -> int:
    """A number as JSON spells it: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?"""
    if at < data.size and data[at] == MINUS:
        at += 1
    start, at = at, _digits(data, at)
    if at == start or (data[start] == ZERO and at > start + 1):
        return -1
    if at < data.size and data[at] == POINT:
        start, at = at + 1, _digits(data, at + 1)
        if at == start:
            return -1
    if at < data.size and (data[at] == SMALL_E or data[at] == LARGE_E):
        at += 1
        if at < data.size and (data[at] == MINUS or data[at] == PLUS):
            at += 1
        start, at = at, _digits(data, at)
        if at == start:
            return -1
    return at


@compiled
def _digits(data: Array, at: int) -> int:
    while at < data.size and ZERO <= data[at] <= NINE:
        at += 1
    return at


@compiled
def number_at(data: Array, start: int, stop: int) -> tuple[float, bool]:
    """(value, whether it is surely the float64 nearest to the digits) of the number in [start, stop).

    digits / 10^k, with up to 19 digits as hi + lo and a quotient of doubled precision (Dekker 1971); sure unless
    what was rounded away lies too near half a unit in the last place. Exponents, which are rare, are not tried.
    """
    negative = data[start] == MINUS
    digits, significant, places = np.uint64(0), 0, -1
    for at in range(start + negative, stop):
        c = data[at]
        if c == POINT:
            places = 0
        elif c == SMALL_E or c == LARGE_E:
            return np.nan, False
        else:
            digits = digits * np.uint64(10) + np.uint64(c - ZERO)
            significant += significant > 0 or c > ZERO
            places += places >= 0
    if significant > 19 or places > 22:
        return np.nan, False
    hi, lo = np.float64(digits), 0.0
    if digits > np.uint64(1 << 53):  # lo = digits - hi, exact: hi is a whole number, below 2^64 as tested
        lo = np.float64(np.int64(digits - np.uint64(hi))) if hi < 1.8e19 else np.nan
    value, exact = hi, lo == 0.0
    if places > 0:
        power = POWERS[places]
        quotient = hi / power
        product, error = _two_product(quotient, power)
        rest = (((hi - product) - error) + lo) / power
        value = quotient + rest
        away = abs((quotient - value) + rest)
        unit = abs(value) * 2.220446049250313e-16  # between one and two units in the last place
        # A value is surely right if what was rounded away is clearly under half of any unit it can mean.
        exact = bool(away < 0.2499 * unit or lo == 0.0)
    return -value if negative else value, exact


@compiled
def _two_product(a: float, b: float) -> tuple[float, float]:
    """a * b as product + error, exactly (Veltkamp's split; no fused multiply-add is assumed)."""
    product = a * b
    t = 134217729.0 * a
    a_hi = t - (t - a)
    t = 134217729.0 * b
    b_hi = t - (t - b)
    a_lo, b_lo = a - a_hi, b - b_hi
    return product, ((a_hi * b_hi - product) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo
