"""Read and join large JSON Lines score files as columns, without a Python object a row.

The fast road of `scores.pair`: same key, same coverage, same figures. A compiled scanner walks the bytes of each file
once and notes where the ids lie and what the numbers are; a hash table of the reference's keys joins the predictions.
What is not plain, clean score rows (another format, escapes, a malformed row, a row without a score, duplicate ids,
single ratings) makes `pair` return None; the plain road then reads the files again and says what is wrong and where.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numba
import numpy as np

from sqa_metrics.scores import LARGEST, Coverage, Paired

T = TypeVar("T")

_kernel = numba.njit(cache=True, nogil=True)

# What the scanner looks for in a row. Ids give (start, stop) in the file, the others a number.
KEYS = ("sample_id", "system_id", "corpus", "listener_id", "metrics", "votes", "mos_std")
SAMPLE, SYSTEM, CORPUS, LISTENER, METRICS, VOTES, STD = range(len(KEYS))
POWERS = 10.0 ** np.arange(23)  # exact in float64


@dataclass(frozen=True)
class _Columns:
    """One file: its bytes, where each row's ids lie in them, and the numbers (NaN for none)."""

    data: np.ndarray  # (bytes,) uint8
    spans: np.ndarray  # (rows, 3, 2): start and stop of sample, system, corpus; empty for none
    numbers: np.ndarray  # (rows, 3): value, votes, standard deviation

    def text(self, row: int, field: int) -> str:
        start, stop = self.spans[row, field]
        return self.data[start:stop].tobytes().decode()

    def has(self, field: int) -> bool:
        return bool((self.spans[:, field, 0] < self.spans[:, field, 1]).any())


def pair(ref_bytes: bytes, pred_bytes: dict[str, bytes], ref_metric: str, pred_metric: str) -> Paired | None:
    """`scores.pair` on file contents; None where the plain road has to look."""
    with ThreadPoolExecutor() as pool:  # the kernels release the interpreter lock
        jobs = [(ref_bytes, ref_metric), *((data, pred_metric) for data in pred_bytes.values())]
        columns = list(pool.map(lambda job: _read(*job), jobs))
    if any(c is None for c in columns):
        return None
    ref, *preds = (c for c in columns if c)
    matches = [_match(ref, pred) for pred in preds]
    if any(match is None for match in matches):
        return None
    rows = [match[0] for match in matches if match]
    keep = np.flatnonzero(np.logical_and.reduce([row >= 0 for row in rows]))
    if not keep.size:
        return None
    corpora, corpus = _names(ref, CORPUS)
    named, self_named = _own_names(ref)
    ref_systems, system = _systems(corpora, corpus, *_names(named, SYSTEM))
    systems, system = _present(ref_systems, system[keep])
    if not ref_systems:  # then those of the first prediction that names some
        for pred, row in zip(preds, rows, strict=True):
            if pred.has(SYSTEM):
                names, name = _names(_own_names(pred)[0], SYSTEM)
                systems, system = _systems(corpora, corpus[keep], names, name[row[keep]])
                self_named = ()
                break
    noise = ref.numbers[keep, 2] ** 2 / ref.numbers[keep, 1]
    return Paired(
        names=list(pred_bytes),
        ref=ref.numbers[keep, 0],
        preds=[pred.numbers[row[keep], 0] for pred, row in zip(preds, rows, strict=True)],
        system=system,
        systems=systems,
        corpus=corpus[keep],
        corpora=corpora,
        coverage=[match[1] for match in matches if match],
        ref_utterances=np.bincount(corpus).tolist(),
        ref_systems=[sum(c == name for c, _ in ref_systems) for name in corpora],
        noise=noise if np.isfinite(noise).any() else None,
        self_named=self_named,
    )


def _read(data: bytes, metric: str) -> _Columns | None:
    if (
        metric in KEYS or b"\\" in data or not (data.isascii() or _is_utf8(data))
    ):  # escapes: ids could be spelt in two ways
        return None
    buffer = np.frombuffer(data, np.uint8)
    lines = data.count(b"\n") + 1
    spans, numbers = np.zeros((lines, 3, 2), np.int64), np.full((lines, 3), np.nan)
    long = np.empty((lines, 3), np.int64)
    rows, n_long = scan(buffer, *_packed((*KEYS, metric)), POWERS, spans, numbers, long)
    if rows <= 0:
        return None
    for row, start, stop in long[:n_long].tolist():  # digits beyond float64's own arithmetic
        numbers[row, 0] = float(data[start:stop])
    if not (
        abs(numbers[:rows, 0]) <= LARGEST
    ).all():  # NaN too: a row without this metric may have it elsewhere
        return None
    return _Columns(buffer, spans[:rows], numbers[:rows])


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _match(ref: _Columns, pred: _Columns) -> tuple[np.ndarray, Coverage] | None:
    """Row of `pred` for each row of `ref` or -1, as `scores._match`; None if an id is there twice."""
    match = np.full(len(ref.spans), -1)
    n_matched = join(ref.data, _key_spans(ref, pred), pred.data, _key_spans(pred, ref), match)
    if n_matched < 0:
        return None
    n_ref, n_pred = len(ref.spans), len(pred.spans)
    return match, Coverage(n_ref, n_pred, n_ref - n_matched, n_pred - n_matched, 0)


def _key_spans(columns: _Columns, other: _Columns) -> np.ndarray:
    """The spans of `columns`, emptied where the other file lacks a field altogether: no part of the key then."""
    unused = [field for field in (SYSTEM, CORPUS) if columns.has(field) and not other.has(field)]
    if not unused:
        return columns.spans
    spans = columns.spans.copy()
    spans[:, unused] = 0
    return spans


def _names(columns: _Columns, field: int) -> tuple[list[str], np.ndarray]:
    """The distinct texts of a field, sorted, and which of them each row has."""
    if not columns.has(field):
        return [""], np.zeros(len(columns.spans), np.int64)
    first = np.empty(len(columns.spans), np.int64)
    code, n = group(columns.data, columns.spans[:, field : field + 1], first)
    texts = [columns.text(row, field) for row in first[:n].tolist()]
    order = sorted(range(n), key=texts.__getitem__)
    return [texts[k] for k in order], np.argsort(order)[code]


def _own_names(columns: _Columns) -> tuple[_Columns, tuple[str, ...]]:
    """The rule of `rows.systems`: where a corpus has systems, one that repeats its sample_id is one too.

    Such rows come with an empty system span that has a start. Also the corpora that have no other.
    """
    start, stop = columns.spans[:, SYSTEM].T
    own = (start > 0) & (start == stop)
    if not own.any():
        return columns, ()
    corpora, corpus = _names(columns, CORPUS)
    has_systems = np.bincount(corpus[start < stop], minlength=len(corpora)) > 0
    spans, counted = columns.spans.copy(), own & has_systems[corpus]
    spans[counted, SYSTEM] = spans[counted, SAMPLE]
    self_named = tuple(corpora[k] for k in np.unique(corpus[own & ~counted]).tolist())
    return replace(columns, spans=spans), self_named


def _systems(
    corpora: list[str], corpus: np.ndarray, names: list[str], name: np.ndarray
) -> tuple[list[tuple[str, str]], np.ndarray]:
    """The distinct (corpus, system) pairs, and which of them each row has, -1 for a row without a system."""
    pairs = [(c, n) for c in corpora for n in names]
    code = corpus * len(names) + name
    if "" in names:
        code[name == names.index("")] = -1
    return _present(pairs, code)


def _present(values: list[T], code: np.ndarray) -> tuple[list[T], np.ndarray]:
    """The values that some row has, and the codes counted anew; -1 stays -1."""
    used = np.bincount(code + 1, minlength=len(values) + 1)[1:] > 0
    number = np.append(np.cumsum(used) - 1, -1)
    return [v for v, u in zip(values, used.tolist(), strict=True) if u], number[code]


def _packed(texts: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
    """Texts one after the other as bytes, and where each begins and the last ends."""
    encoded = [t.encode() for t in texts]
    bounds = np.cumsum([0, *map(len, encoded)])
    return np.frombuffer(b"".join(encoded), np.uint8), bounds


def warmup() -> None:
    """Compile and cache the kernels."""
    row = b'{"sample_id": "a", "system_id": "s", "metrics": {"mos": 1.5}}\n'
    pair(row, {"pred": row}, "mos", "mos")


# --- the scanner: a recursive-descent reader of one row shape, strict JSON, positions instead of objects ----------
# Every function takes a position and returns the one after what it read, or -1 where that is not there.

QUOTE, COLON, COMMA, OPEN, CLOSE, LIST, END_LIST = (ord(c) for c in '":,{}[]')
SPACE, RETURN, NEWLINE = (ord(c) for c in " \r\n")
MINUS, PLUS, POINT, ZERO, NINE, SMALL_E, LARGE_E = (ord(c) for c in "-+.09eE")
NULL, TRUE, FALSE = (np.frombuffer(word, np.uint8) for word in (b"null", b"true", b"false"))
DEEPEST = 60  # nested values below this are left to the plain road


@_kernel
def scan(data, keys, bounds, powers, spans, numbers, long):  # type: ignore[no-untyped-def]
    """Fill spans and numbers row by row: (rows, entries in `long`), or (-1, 0) at anything unusual.

    `long` takes (row, start, stop) of metric values whose digits float64 arithmetic cannot surely turn into the
    nearest float64; the caller reads those.
    """
    at, row, n_long = 0, 0, 0
    while True:
        at = _blank(data, at)
        while at < data.size and data[at] == NEWLINE:
            at = _blank(data, at + 1)
        if at == data.size:
            return row, n_long
        at = _expect(data, at, OPEN)
        seen = 0
        while at >= 0:
            start = _blank(data, at) + 1
            stop = _string(data, start - 1) - 1
            at = _expect(data, stop + 1, COLON) if stop >= 0 else -1
            if at < 0:
                return -1, 0
            at = _blank(data, at)
            key = _which(data, start, stop, keys, bounds)
            if key >= 0:
                if seen & (1 << key):
                    return -1, 0
                seen |= 1 << key
            after = _literal(data, at, NULL) if at < data.size and data[at] == NULL[0] else -1
            if after >= 0 and key != METRICS:
                at = after
            elif key == LISTENER:
                return -1, 0
            elif 0 <= key < LISTENER:
                after = _string(data, at)
                spans[row, key, 0], spans[row, key, 1] = at + 1, after - 1
                at = after
            elif key == METRICS:
                at, start, stop = _metric(data, at, keys, bounds)
                if start >= 0:
                    numbers[row, 0], exact = _number(data, start, stop, powers)
                    if not exact:
                        long[n_long, 0], long[n_long, 1], long[n_long, 2] = row, start, stop
                        n_long += 1
            elif VOTES <= key <= STD:
                stop = _digits(data, at)
                if stop < 0:
                    return -1, 0
                numbers[row, key - METRICS], exact = _number(data, at, stop, powers)
                if not exact:
                    return -1, 0
                at = stop
            else:
                at = _value(data, at)
            if at < 0:
                return -1, 0
            at = _blank(data, at)
            if at < data.size and data[at] == CLOSE:
                break
            at = _expect(data, at, COMMA)
        if at < 0:
            return -1, 0
        at += 1
        a, n = spans[row, SAMPLE, 0], spans[row, SAMPLE, 1] - spans[row, SAMPLE, 0]
        b, m = spans[row, SYSTEM, 0], spans[row, SYSTEM, 1] - spans[row, SYSTEM, 0]
        if n == 0:
            return -1, 0
        if n == m and _same(data, a, data, b, n):
            spans[row, SYSTEM, 1] = b  # no part of the key; `_own_names` tells it from no system at all
        row += 1
        at = _blank(data, at)
        if at < data.size and data[at] != NEWLINE:
            return -1, 0


@_kernel
def _metric(data, at, keys, bounds):  # type: ignore[no-untyped-def]
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
        after = _digits(data, at) if wanted else _value(data, at)
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


@_kernel
def _blank(data, at):  # type: ignore[no-untyped-def]
    while at < data.size and (data[at] == SPACE or data[at] == RETURN):
        at += 1
    return at


@_kernel
def _expect(data, at, character):  # type: ignore[no-untyped-def]
    at = _blank(data, at)
    return at + 1 if at < data.size and data[at] == character else -1


@_kernel
def _string(data, at):  # type: ignore[no-untyped-def]
    """A string without escapes (`_read` has seen to that) or control characters."""
    if at >= data.size or data[at] != QUOTE:
        return -1
    at += 1
    while at < data.size and data[at] >= 32:
        if data[at] == QUOTE:
            return at + 1
        at += 1
    return -1


@_kernel
def _literal(data, at, word):  # type: ignore[no-untyped-def]
    return at + word.size if at + word.size <= data.size and _same(data, at, word, 0, word.size) else -1


@_kernel
def _value(data, at):  # type: ignore[no-untyped-def]
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


@_kernel
def _key(data, at):  # type: ignore[no-untyped-def]
    at = _string(data, _blank(data, at))
    return _expect(data, at, COLON) if at >= 0 else -1


@_kernel
def _scalar(data, at):  # type: ignore[no-untyped-def]
    if at < data.size and data[at] == QUOTE:
        return _string(data, at)
    for word in (NULL, TRUE, FALSE):
        after = _literal(data, at, word)
        if after >= 0:
            return after
    return _digits(data, at)


@_kernel
def _which(data, start, stop, keys, bounds):  # type: ignore[no-untyped-def]
    """Which of the packed keys the bytes [start, stop) are, the last one first; -1 for none."""
    for k in range(len(bounds) - 2, -1, -1):
        if bounds[k + 1] - bounds[k] == stop - start and _same(data, start, keys, bounds[k], stop - start):
            return k
    return -1


@_kernel
def _digits(data, at):  # type: ignore[no-untyped-def]
    """A number as JSON spells it: -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?"""
    if at < data.size and data[at] == MINUS:
        at += 1
    start, at = at, _run(data, at)
    if at == start or (data[start] == ZERO and at > start + 1):
        return -1
    if at < data.size and data[at] == POINT:
        start, at = at + 1, _run(data, at + 1)
        if at == start:
            return -1
    if at < data.size and (data[at] == SMALL_E or data[at] == LARGE_E):
        at += 1
        if at < data.size and (data[at] == MINUS or data[at] == PLUS):
            at += 1
        start, at = at, _run(data, at)
        if at == start:
            return -1
    return at


@_kernel
def _run(data, at):  # type: ignore[no-untyped-def]
    while at < data.size and ZERO <= data[at] <= NINE:
        at += 1
    return at


@_kernel
def _number(data, start, stop, powers):  # type: ignore[no-untyped-def]
    """(value, whether it is surely the float64 nearest to the digits) of the number in [start, stop).

    digits / 10^k, with up to 19 digits as hi + lo and a quotient of doubled precision (Dekker 1971); sure unless
    what was rounded away lies too near half a unit in the last place. Exponents, which are rare, are not tried.
    """
    negative = data[start] == MINUS
    digits, n_digits, places = np.uint64(0), 0, -1
    for at in range(start + negative, stop):
        c = data[at]
        if c == POINT:
            places = 0
        elif c == SMALL_E or c == LARGE_E:
            return np.nan, False
        else:
            digits = digits * np.uint64(10) + np.uint64(c - ZERO)
            n_digits += n_digits > 0 or c > ZERO
            places += places >= 0
    if n_digits > 19 or places > 22:
        return np.nan, False
    hi, lo = np.float64(digits), 0.0
    if digits > np.uint64(1 << 53):  # lo = digits - hi, exact: hi is a whole number, below 2^64 as tested
        lo = np.float64(np.int64(digits - np.uint64(hi))) if hi < 1.8e19 else np.nan
    value, exact = hi, lo == 0.0
    if places > 0:
        power = powers[places]
        quotient = hi / power
        product, error = _two_product(quotient, power)
        rest = (((hi - product) - error) + lo) / power
        value = quotient + rest
        away = abs((quotient - value) + rest)
        unit = abs(value) * 2.220446049250313e-16  # between one and two units in the last place
        # A value is surely right if what was rounded away is clearly under half of any unit it can mean.
        exact = bool(away < 0.2499 * unit or lo == 0.0)
    return -value if negative else value, exact


@_kernel
def _two_product(a, b):  # type: ignore[no-untyped-def]
    """a * b as product + error, exactly (Veltkamp's split; no fused multiply-add is assumed)."""
    product = a * b
    t = 134217729.0 * a
    a_hi = t - (t - a)
    t = 134217729.0 * b
    b_hi = t - (t - b)
    a_lo, b_lo = a - a_hi, b - b_hi
    return product, ((a_hi * b_hi - product) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo


# --- the join: an open-addressing hash table of row numbers, compared byte by byte --------------------------------
# Memory is far slower than arithmetic here, so each step is a loop of its own whose loads do not wait for each other:
# hash all keys, look all of them up by hash, then compare the bytes of what was found.

EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)
ROW = np.uint64(0xFFFFFFFF)  # a table entry: upper half of the key's hash, row number below


@_kernel
def join(ref, ref_spans, pred, pred_spans, match):  # type: ignore[no-untyped-def]
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


@_kernel
def _index(data, spans, hashes):  # type: ignore[no-untyped-def]
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


@_kernel
def group(data, spans, first):  # type: ignore[no-untyped-def]
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


@_kernel
def _hashes(data, spans):  # type: ignore[no-untyped-def]
    hashes = np.empty(len(spans), np.uint64)
    for row in range(len(spans)):
        hashes[row] = _hash(data, spans, row)
    return hashes


@_kernel
def _hash(data, spans, row):  # type: ignore[no-untyped-def]
    mix = np.uint64(14695981039346656037)
    for field in range(spans.shape[1]):
        for i in range(spans[row, field, 0], spans[row, field, 1]):
            mix = (mix ^ np.uint64(data[i])) * np.uint64(1099511628211)  # FNV-1a
        mix = (mix ^ np.uint64(255)) * np.uint64(1099511628211)  # no text holds byte 255: it ends a field
    return mix ^ (mix >> np.uint64(29))


@_kernel
def _probe(key, table):  # type: ignore[no-untyped-def]
    """The first row of the table whose hash begins as `key` does; -1 for none."""
    mask = np.uint64(table.size - 1)
    slot = key & mask
    while table[slot] != EMPTY:
        if table[slot] & ~ROW == key & ~ROW:
            return np.int64(table[slot] & ROW)
        slot = (slot + np.uint64(1)) & mask
    return -1


@_kernel
def _find(key, data, spans, row, other, other_spans, table):  # type: ignore[no-untyped-def]
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


@_kernel
def _equal(data, spans, row, other, other_spans, other_row):  # type: ignore[no-untyped-def]
    for field in range(spans.shape[1]):
        a, b = spans[row, field, 0], other_spans[other_row, field, 0]
        n, m = spans[row, field, 1] - a, other_spans[other_row, field, 1] - b
        if n != m or not _same(data, a, other, b, n):
            return False
    return True


@_kernel
def _same(data, a, other, b, n):  # type: ignore[no-untyped-def]
    i = 0
    while i < n and data[a + i] == other[b + i]:
        i += 1
    return i == n
