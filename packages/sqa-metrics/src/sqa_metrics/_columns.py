"""Read and join large JSON Lines score files as columns, without a Python object a row.

The fast road of `scores.pair`: same key, same coverage, same figures. A compiled scanner walks the bytes of each file
once and notes where the ids lie and what the numbers are; a hash table of the reference's keys joins the predictions.
What is not plain, clean score rows (another format, escapes in ids, a malformed row, duplicate ids, single ratings)
makes `pair` return None; the plain road then reads the files again and says what is wrong and where.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numba
import numpy as np

from sqa_metrics.scores import Coverage, Paired

T = TypeVar("T")

_kernel = numba.njit(cache=True, nogil=True)

# What the scanner looks for in a row. Ids give (start, stop) in the file, the others a number.
KEYS = ("sample_id", "system_id", "corpus", "listener_id", "metrics", "votes", "mos_std")
SAMPLE, SYSTEM, CORPUS, LISTENER, METRICS, VOTES, STD = range(len(KEYS))
VALUE = METRICS  # the metric's number has the place of the object it is found in
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
    ref_utterances = dict(zip(corpora, np.bincount(corpus).tolist(), strict=True))
    ref_systems, system = _systems(corpora, corpus, *_names(ref, SYSTEM))
    corpora, corpus = _present(corpora, corpus[keep])
    systems, system = _present(ref_systems, system[keep])
    if not ref_systems:  # then those of the first prediction that names some
        for pred, row in zip(preds, rows, strict=True):
            if pred.has(SYSTEM):
                names, name = _names(pred, SYSTEM)
                systems, system = _systems(corpora, corpus, names, name[row[keep]])
                break
    noise = ref.numbers[keep, 2] ** 2 / ref.numbers[keep, 1]
    return Paired(
        names=list(pred_bytes),
        ref=ref.numbers[keep, 0],
        preds=[pred.numbers[row[keep], 0] for pred, row in zip(preds, rows, strict=True)],
        system=system,
        systems=systems,
        corpus=corpus,
        corpora=corpora,
        coverage=[match[1] for match in matches if match],
        ref_utterances=[ref_utterances[name] for name in corpora],
        ref_systems=[sum(c == name for c, _ in ref_systems) for name in corpora],
        noise=noise if np.isfinite(noise).all() else None,
    )


def _read(data: bytes, metric: str) -> _Columns | None:
    buffer = np.frombuffer(data, np.uint8)
    lines = data.count(b"\n") + 1
    spans, numbers = np.zeros((lines, 3, 2), np.int64), np.full((lines, 3), np.nan)
    long = np.empty((lines, 3), np.int64)
    rows, n_long = scan(buffer, *_packed((*KEYS, metric)), POWERS, spans, numbers, long)
    if rows <= 0:
        return None
    for row, start, stop in long[:n_long].tolist():  # digits beyond float64's own arithmetic
        numbers[row, 0] = float(data[start:stop])
    spans, numbers = spans[:rows], numbers[:rows]
    if np.isnan(numbers[:, 0]).all():
        return None
    return _Columns(buffer, spans, numbers)


def _match(ref: _Columns, pred: _Columns) -> tuple[np.ndarray, Coverage] | None:
    """Row of `pred` for each row of `ref` or -1, as `scores._match`; None if an id is there twice."""
    fields = [SAMPLE, *(f for f in (SYSTEM, CORPUS) if ref.has(f) and pred.has(f))]
    match = np.full(len(ref.spans), -1)
    spans = (np.ascontiguousarray(c.spans[:, fields]) for c in (ref, pred))
    n_matched = join(ref.data, next(spans), pred.data, next(spans), match)
    if n_matched < 0:
        return None
    finite = np.isfinite(ref.numbers[:, 0]) & np.isfinite(pred.numbers[match, 0])
    match[~finite] = -1
    n_ref, n_pred, n_scored = len(ref.spans), len(pred.spans), int((match >= 0).sum())
    return match, Coverage(
        n_ref, n_pred, n_ref - n_matched, n_pred - n_matched, n_matched - n_scored, n_scored
    )


def _names(columns: _Columns, field: int) -> tuple[list[str], np.ndarray]:
    """The distinct texts of a field, sorted, and which of them each row has."""
    if not columns.has(field):
        return [""], np.zeros(len(columns.spans), np.int64)
    first = np.empty(len(columns.spans), np.int64)
    code, n = group(columns.data, columns.spans[:, field : field + 1], first)
    texts = [columns.text(row, field) for row in first[:n].tolist()]
    order = sorted(range(n), key=texts.__getitem__)
    return [texts[k] for k in order], np.argsort(order)[code]


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


# --- the scanner: a recursive-descent JSON reader for one row shape, positions instead of objects ----------------

QUOTE, BACKSLASH, COLON, COMMA, NEWLINE = (ord(c) for c in '"\\:,\n')
OPEN, CLOSE, LIST, END_LIST, MINUS, POINT, NULL = (ord(c) for c in "{}[]-.n")


@_kernel
def scan(data, keys, bounds, powers, spans, numbers, long):  # type: ignore[no-untyped-def]
    """Fill spans and numbers row by row; (rows, entries in `long`), or (-1, 0) at anything unusual.

    `long` takes (row, start, stop) of metric values whose digits float64 arithmetic cannot turn into the
    nearest float64; the caller reads those.
    """
    at, end, row, n_long = 0, data.size, 0, 0
    while True:
        while at < end and data[at] <= 32:
            at += 1
        if at == end:
            return row, n_long
        if data[at] != OPEN:
            return -1, 0
        inside = False  # of the metrics object
        at = _blank(data, at + 1)
        while True:
            # one "key": value; `at` is on the key's quote, or on a closing brace
            if at >= end:
                return -1, 0
            if data[at] == CLOSE:
                at = _blank(data, at + 1)
                if not inside:
                    break
                inside = False
                if at < end and data[at] == COMMA:
                    at = _blank(data, at + 1)
                continue
            stop, plain = _string(data, at)
            if stop < 0:
                return -1, 0
            key = _which(data, at + 1, stop, keys, bounds)
            if inside:
                key = VALUE if key == len(bounds) - 2 else -1
            at = _blank(data, stop + 1)
            if at >= end or data[at] != COLON:
                return -1, 0
            at = _blank(data, at + 1)
            if at >= end:
                return -1, 0
            first = data[at]
            if key == METRICS and not inside:
                if first != OPEN:
                    return -1, 0
                inside = True
                at = _blank(data, at + 1)
                continue
            if first == QUOTE:
                stop, plain = _string(data, at)
                if stop < 0 or key >= LISTENER or (key >= 0 and not plain):
                    return -1, 0
                if key >= 0:
                    spans[row, key, 0], spans[row, key, 1] = at + 1, stop
                at = stop + 1
            elif first == NULL:
                at += 4
            elif key < LISTENER or key >= len(bounds) - 2:
                if key >= 0:  # an id that is no string
                    return -1, 0
                at = _skip(data, at)
            elif key == LISTENER:
                return -1, 0
            else:
                stop, value, exact = _number(data, at, powers)
                if stop == at:
                    return -1, 0
                numbers[row, 0 if key == VALUE else key - METRICS] = value
                if not exact:
                    if key != VALUE:
                        return -1, 0
                    long[n_long, 0], long[n_long, 1], long[n_long, 2] = row, at, stop
                    n_long += 1
                at = stop
            at = _blank(data, at)
            if at < end and data[at] == COMMA:
                at = _blank(data, at + 1)
            elif at >= end or data[at] != CLOSE:
                return -1, 0
        a, n = spans[row, SAMPLE, 0], spans[row, SAMPLE, 1] - spans[row, SAMPLE, 0]
        b, m = spans[row, SYSTEM, 0], spans[row, SYSTEM, 1] - spans[row, SYSTEM, 0]
        if n == 0:
            return -1, 0
        if n == m and _same(data, a, data, b, n):
            spans[row, SYSTEM, 1] = b  # no system: see scores._parse
        row += 1
        while at < end and data[at] <= 32 and data[at] != NEWLINE:
            at += 1
        if at < end and data[at] != NEWLINE:
            return -1, 0


@_kernel
def _blank(data, at):  # type: ignore[no-untyped-def]
    while at < data.size and data[at] == 32:
        at += 1
    return at


@_kernel
def _string(data, at):  # type: ignore[no-untyped-def]
    """(position of the closing quote of the string at `at`, whether it is free of escapes); -1 for no string."""
    plain = True
    if data[at] != QUOTE:
        return -1, plain
    at += 1
    while at < data.size and data[at] >= 32:
        if data[at] == QUOTE:
            return at, plain
        if data[at] == BACKSLASH:
            plain = False
            at += 1
        at += 1
    return -1, plain


@_kernel
def _which(data, start, stop, keys, bounds):  # type: ignore[no-untyped-def]
    """Which of the packed keys the bytes [start, stop) are, the last one first; -1 for none."""
    for k in range(len(bounds) - 2, -1, -1):
        if bounds[k + 1] - bounds[k] == stop - start:
            if _same(data, start, keys, bounds[k], stop - start):
                return k
    return -1


@_kernel
def _skip(data, at):  # type: ignore[no-untyped-def]
    """Position after a value that nobody asked for: a number, true, false, a list or an object."""
    depth = 0
    while at < data.size and data[at] != NEWLINE:
        c = data[at]
        if c == QUOTE:
            at = _string(data, at)[0]
            if at < 0:
                return data.size
        elif c == OPEN or c == LIST:
            depth += 1
        elif c == CLOSE or c == END_LIST or c == COMMA:
            if depth == 0:
                return at
            depth -= c != COMMA
        at += 1
    return at


@_kernel
def _number(data, at, powers):  # type: ignore[no-untyped-def]
    """(position after it, value, whether the value is surely the float64 nearest to the digits).

    digits / 10^k, with up to 19 digits as hi + lo and a quotient of doubled precision (Dekker 1971); sure unless
    what was rounded away lies too near half a unit in the last place.
    """
    begin, negative = at, data[at] == MINUS
    if negative:
        at += 1
    digits, n_digits, places = np.uint64(0), 0, -1
    while at < data.size:
        c = data[at]
        if 48 <= c <= 57:
            digits = digits * np.uint64(10) + np.uint64(c - 48)
            n_digits += 1 if digits > 0 else 0
            places += 1 if places >= 0 else 0
        elif c == POINT and places < 0:
            places = 0
        else:
            break
        at += 1
    if at == begin + negative:
        return begin, np.nan, False
    exact = n_digits <= 19 and places <= 22
    if at < data.size and (data[at] == 101 or data[at] == 69):  # an exponent is rare: leave it to Python
        exact = False
        at += 1
        while at < data.size and (48 <= data[at] <= 57 or data[at] == 43 or data[at] == MINUS):
            at += 1
    if not exact:
        return at, np.nan, False
    hi = np.float64(digits)
    if digits > np.uint64(1 << 53):
        # lo = digits - hi, exact: hi is a whole number below 2^64
        lo = np.float64(np.int64(digits - np.uint64(hi))) if hi < 1.8e19 else np.nan
    else:
        lo = 0.0
    value = hi
    if places > 0:
        power = powers[places]
        quotient = hi / power
        product, error = _two_product(quotient, power)
        rest = (((hi - product) - error) + lo) / power
        value = quotient + rest
        away = abs((quotient - value) + rest)
        unit = abs(value) * 2.220446049250313e-16  # between one and two units in the last place
        # A value is surely right if what was rounded away is clearly under half of any unit it can mean.
        exact = bool(away < 0.2499 * unit or digits == 0 or lo == 0.0)
    else:
        exact = lo == 0.0
    return at, -value if negative else value, exact


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
