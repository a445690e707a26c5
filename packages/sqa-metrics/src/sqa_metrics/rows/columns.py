"""Read and join large JSON Lines score files as columns, without a Python object a row.

The fast road of `join.pair`: same key, same coverage, same figures. A compiled scanner walks the bytes of each file
once and notes where the ids lie and what the numbers are; a hash table of the reference's keys joins the predictions.
What is not plain, clean score rows (another format, escapes, a malformed row, a row without a score, duplicate ids,
single ratings, columns under other names, declared scales) makes `pair` return None; the plain road then reads the
files again and says what is wrong and where.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from sqa_metrics.kernels.checksum import TABLES, squares
from sqa_metrics.kernels.hashing import group, join
from sqa_metrics.kernels.scan import CORPUS, KEYS, SAMPLE, STD, STRANGE, SYSTEM, scan
from sqa_metrics.rows.fingerprint import DIGITS, Origin
from sqa_metrics.rows.fingerprint import LARGEST as LARGEST_CODED
from sqa_metrics.rows.names import deviation_tiers, recognised
from sqa_metrics.rows.records import Coverage, Paired, Scale
from sqa_metrics.rows.scales import mixed, settle, span_of
from sqa_metrics.rows.table import LARGEST

T = TypeVar("T")


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


def pair(
    ref_bytes: bytes,
    pred_bytes: dict[str, bytes],
    ref_metric: str,
    pred_metric: str,
    given: Mapping[str, Scale] | None = None,
) -> Paired | None:
    """`pair.pair` on file contents; None where the plain road has to look."""
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
    ref_systems, systems, system, self_named = _systems_of(ref, corpora, corpus, keep, preds, rows)
    kept, votes, std = ref.numbers[keep].T
    kept_preds = {
        name: pred.numbers[row[keep], 0] for name, pred, row in zip(pred_bytes, preds, rows, strict=True)
    }
    noise = np.divide(std**2, votes, out=np.full(len(votes), np.nan), where=votes > 0)
    given = given or {}
    if not _on_one_scale(kept, ref_bytes, ref_metric, given.get("ref")):
        return None
    kept_preds, apart, notes = settle(kept, kept_preds, given, {})
    return Paired(
        names=list(pred_bytes),
        ref=kept,
        preds=list(kept_preds.values()),
        system=system,
        systems=systems,
        corpus=corpus[keep],
        corpora=corpora,
        coverage=[match[1] for match in matches if match],
        ref_utterances=np.bincount(corpus).tolist(),
        ref_systems=[sum(c == name for c, _ in ref_systems) for name in corpora],
        noise=noise if np.isfinite(noise).any() else None,
        votes=votes if np.isfinite(ref.numbers[:, 1]).any() else None,
        origin=_origin(ref, keep, ref_metric),
        self_named=self_named,
        notes=tuple(notes),
        scale=given.get("ref"),
        apart=tuple(apart),
    )


def _origin(ref: _Columns, keep: np.ndarray, metric: str) -> Origin:
    numbers = np.rint(np.clip(ref.numbers[:, 0] * DIGITS, -LARGEST_CODED, LARGEST_CODED)).astype("<i8")
    found = squares(ref.data, ref.spans, numbers.view(np.uint8).reshape(-1, 8), TABLES)
    return Origin(metric, int(found.sum()), int(found[keep].sum()))


def _on_one_scale(ref: np.ndarray, data: bytes, metric: str, scale: Scale | None) -> bool:
    """Whether `join.assembled` surely passes."""
    span = span_of(ref)
    if scale:
        return scale[0] <= span.low and span.high <= scale[1]
    if metric == "mos" and mixed(span, ""):
        return False
    return span.low >= 1 or b"ccr" not in data.lower()


def _systems_of(
    ref: _Columns,
    corpora: list[str],
    corpus: np.ndarray,
    keep: np.ndarray,
    preds: list[_Columns],
    rows: list[np.ndarray],
) -> tuple[list[tuple[str, str]], list[tuple[str, str]], np.ndarray, tuple[str, ...]]:
    """As `join.systems_of_rows`: systems of the reference, of the kept rows, which each has, self-named corpora."""
    named, self_named = _own_names(ref)
    ref_systems, system = _systems(corpora, corpus, *_names(named, SYSTEM))
    if ref_systems:
        return ref_systems, *_present(ref_systems, system[keep]), self_named
    for pred, row in zip(preds, rows, strict=True):
        if pred.has(SYSTEM):
            names, name = _names(_own_names(pred)[0], SYSTEM)
            return [], *_systems(corpora, corpus[keep], names, name[row[keep]]), ()
    return [], [], np.full(keep.size, -1), self_named


def _read(data: bytes, metric: str) -> _Columns | None:
    # With escapes an id could be spelt in two ways.
    if metric in KEYS or b"\\" in data or not (data.isascii() or _is_utf8(data)):
        return None
    buffer = np.frombuffer(data, np.uint8)
    lines = data.count(b"\n") + 1
    spans, numbers = np.zeros((lines, 3, 2), np.int64), np.full((lines, 3), np.nan)
    long = np.zeros((lines + 1, 3), np.int64)
    strange = np.zeros((STRANGE, 2), np.int64)
    keys = (*KEYS[:STD], deviation_tiers(metric, metric == "mos")[0][0], metric)
    rows = scan(buffer, *_packed(keys), spans, numbers, long, strange)
    if rows <= 0:
        return None
    others = [data[start:stop].decode() for start, stop in strange[1 : strange[0, 0] + 1].tolist()]
    absent = [
        *(k for k, field in (("system_id", SYSTEM), ("corpus", CORPUS)) if not spans[:, field, 0].any())
    ]
    absent += [k for k, column in (("votes", 1), ("mos_std", 2)) if np.isnan(numbers[:, column]).all()]
    if any(key == "scales" or recognised(key, [*absent, "listener_id"], metric) for key in others):
        return None
    for row, start, stop in long[1 : long[0, 0] + 1].tolist():  # digits beyond float64's own arithmetic
        numbers[row, 0] = float(data[start:stop])
    # NaN too: a row without this metric may have it elsewhere.
    if not (abs(numbers[:rows, 0]) <= LARGEST).all() or (numbers[:rows, 1:] < 0).any():
        return None
    return _Columns(buffer, spans[:rows], numbers[:rows])


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _match(ref: _Columns, pred: _Columns) -> tuple[np.ndarray, Coverage] | None:
    """Row of `pred` for each row of `ref` or -1, as `join._match`; None if an id is there twice."""
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
