"""Join large JSON Lines score files column by column with Arrow, making no Python object a row.

The fast road of `scores.pair`: same key, same coverage. It returns None for whatever is not plain, clean JSON Lines
(another format, a malformed row, duplicate ids, single ratings); the plain road then reads the files again and
says what is wrong and where.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from sqa_metrics.scores import Coverage, Paired

BLOCK_BYTES = 4 << 20  # a unit of work for Arrow's threads
SEPARATOR = "\x1f"  # joins the parts of a key; the ASCII unit separator does not occur in ids


@dataclass(frozen=True)
class _Columns:
    """One file: id columns as Arrow string arrays ("" for none), numbers as float64 (NaN for none)."""

    sample: Any
    system: Any | None  # None: the file names no systems
    corpus: Any | None
    value: np.ndarray
    votes: np.ndarray
    std: np.ndarray


def pair(ref_bytes: bytes, pred_bytes: dict[str, bytes], ref_metric: str, pred_metric: str) -> Paired | None:
    """`scores.pair` on file contents; None where the plain road has to look."""
    if not all(data.lstrip()[:1] == b"{" for data in (ref_bytes, *pred_bytes.values())):
        return None
    try:
        from pyarrow import ArrowException
    except ImportError:  # the extra `sqa-metrics[fast]` is not installed
        return None
    try:
        ref = _read(ref_bytes, ref_metric)
        preds = [_read(data, pred_metric) for data in pred_bytes.values()]
    except ArrowException:
        return None
    matches = [_match(ref, pred) for pred in preds]
    if any(match is None for match in matches):
        return None
    rows = [match[0] for match in matches if match]
    keep = np.flatnonzero(np.logical_and.reduce([row >= 0 for row in rows]))
    if not keep.size:
        return None
    corpus, corpora = _encode(ref.corpus, keep)
    named = [(ref, keep), *((pred, row[keep]) for pred, row in zip(preds, rows, strict=True))]
    owner, at = next(((c.system, rows) for c, rows in named if c.system is not None), (None, keep))
    system, systems = _systems(owner, at, corpus, corpora)
    every = np.arange(len(ref.value))
    ref_corpus, ref_corpora = _encode(ref.corpus, every)
    ref_systems = _systems(ref.system, every, ref_corpus, ref_corpora)[1]
    noise = ref.std[keep] ** 2 / ref.votes[keep]
    return Paired(
        names=list(pred_bytes),
        ref=ref.value[keep],
        preds=[pred.value[row[keep]] for pred, row in zip(preds, rows, strict=True)],
        system=system,
        systems=systems,
        corpus=corpus,
        corpora=corpora,
        coverage=[match[1] for match in matches if match],
        ref_utterances=[int((ref_corpus == ref_corpora.index(name)).sum()) for name in corpora],
        ref_systems=[sum(c == name for c, _ in ref_systems) for name in corpora],
        noise=noise if np.isfinite(noise).all() else None,
    )


def _read(data: bytes, metric: str) -> _Columns:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.json as pj

    schema = pa.schema(
        {
            "sample_id": pa.string(),
            "system_id": pa.string(),
            "corpus": pa.string(),
            "listener_id": pa.string(),
            "metrics": pa.struct({metric: pa.float64()}),
            "votes": pa.float64(),
            "mos_std": pa.float64(),
        }
    )
    table = pj.read_json(
        pa.BufferReader(data),
        read_options=pj.ReadOptions(block_size=BLOCK_BYTES),
        parse_options=pj.ParseOptions(explicit_schema=schema, unexpected_field_behavior="ignore"),
    )
    sample, system, corpus = (table[name].combine_chunks() for name in ("sample_id", "system_id", "corpus"))
    value = pc.struct_field(table["metrics"], 0)
    if sample.null_count or value.null_count == len(value) or table["listener_id"].null_count < len(value):
        raise pa.ArrowInvalid("not plain score rows")
    system = pc.if_else(pc.equal(system, sample), "", pc.fill_null(system, ""))  # see scores._parse
    system = pc.fill_null(system, "")
    corpus = pc.fill_null(corpus, "")
    return _Columns(
        sample=sample,
        system=system if pc.any(pc.not_equal(system, "")).as_py() else None,
        corpus=corpus if pc.any(pc.not_equal(corpus, "")).as_py() else None,
        value=value.to_numpy(),
        votes=table["votes"].to_numpy(),
        std=table["mos_std"].to_numpy(),
    )


def _match(ref: _Columns, pred: _Columns) -> tuple[np.ndarray, Coverage] | None:
    """Row of `pred` for each row of `ref` or -1, as `scores._match`; None if an id is there twice."""
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = [("sample", True), ("system", ref.system is not None and pred.system is not None)]
    columns.append(("corpus", ref.corpus is not None and pred.corpus is not None))
    names = [name for name, used in columns if used]

    def key(c: _Columns) -> Any:
        parts = [getattr(c, name) for name in names]
        return pc.binary_join_element_wise(*parts, SEPARATOR) if len(parts) > 1 else parts[0]

    n_ref, n_pred = len(ref.value), len(pred.value)
    codes = pa.chunked_array([key(ref), key(pred)]).dictionary_encode().unify_dictionaries()
    ref_code, pred_code = (chunk.indices.to_numpy() for chunk in codes.chunks)
    n_codes = len(codes.chunk(0).dictionary)
    row_of = np.full(n_codes, -1)
    row_of[pred_code] = np.arange(n_pred)
    match = row_of[ref_code]
    n_matched = int((match >= 0).sum())
    n_ref_codes = int(np.bincount(ref_code, minlength=n_codes).astype(bool).sum())
    if n_ref_codes < n_ref or int((row_of >= 0).sum()) < n_pred:
        return None
    match[~np.isfinite(ref.value) | ~np.isfinite(pred.value[match])] = -1
    n_scored = int((match >= 0).sum())
    return match, Coverage(
        n_ref, n_pred, n_ref - n_matched, n_pred - n_matched, n_matched - n_scored, n_scored
    )


def _encode(column: Any | None, rows: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """Codes of the rows taken from a string column, and the strings they stand for, sorted."""
    import pyarrow as pa

    if column is None:
        return np.zeros(len(rows), np.int64), [""]
    encoded = column.take(pa.array(rows)).dictionary_encode()
    names = encoded.dictionary.to_pylist()
    order = sorted(range(len(names)), key=names.__getitem__)
    return np.argsort(order)[encoded.indices.to_numpy()], [names[k] for k in order]


def _systems(
    system: Any | None, rows: np.ndarray, corpus: np.ndarray, corpora: list[str]
) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """Code of the (corpus, system) pair of each row, -1 without one, and the pairs."""
    if system is None:
        return np.full(len(rows), -1), []
    name_code, names = _encode(system, rows)
    pairs, code = np.unique(corpus * len(names) + name_code, return_inverse=True)
    systems = [(corpora[p // len(names)], names[p % len(names)]) for p in pairs.tolist()]
    real = np.array([name != "" for _, name in systems])
    number = np.where(real, np.cumsum(real) - 1, -1)
    return number[code], [pair for pair in systems if pair[1]]
