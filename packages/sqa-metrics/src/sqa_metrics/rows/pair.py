"""From sources of any kind to predictions joined with their reference: the one way in, which all commands share.

Files are read by the compiled road where that pays (`columns`), tables row by row (`read`, `join`), arrays as they are
(`arrays`); all by the same rules.
"""

from collections.abc import Mapping
from typing import Any

from sqa_metrics.errors import MetricsError
from sqa_metrics.kernels import choose
from sqa_metrics.rows import formats
from sqa_metrics.rows.join import join
from sqa_metrics.rows.names import Named, checked
from sqa_metrics.rows.read import content_of, is_file, name_of, scores_of, table_of
from sqa_metrics.rows.records import Paired, Scale, Source
from sqa_metrics.rows.scales import Given, parsed

# From this many bytes of input on the compiled reader is quicker, once it has repaid its load (`choose`).
COMPILED_FROM_BYTES = 1_000_000
BYTE_SECONDS = 6e-8  # of processor time to read a byte without it


def pair(
    ref: Source,
    preds: dict[str, Source],
    *,
    ref_metric: str = "mos",
    pred_metric: str = "mos",
    utt2sys: dict[str, str] | None = None,
    allow_missing: bool = False,
    columns: Named | None = None,
    scale: Given | None = None,
    **labels: Any,
) -> Paired:
    """Read a reference and one or more predictions (name -> source) and join them.

    A source is a path, "-", an open file, a data frame (pandas, Polars, Arrow), a dict of columns, a list of dicts or a
    dict of scores by sample_id. `columns` names columns that are called otherwise ({"mos": "SIG", "ref:sample_id":
    "file"}, "" for none); `scale` says which scale scores are on ((1, 5), or {"ref": (0, 100), "pred": (1, 5)},
    which maps the predictions). Beside arrays of n scores, `sample`, `system`, `corpus`, `votes` and `mos_std` may be
    arrays of n too.

    Strict by default: missing, extra or non-finite rows raise MetricsError with counts and the first id of each;
    duplicate ids always do. With `allow_missing` the utterances that every file has are kept, and `coverage` says
    how many that are.

    >>> paired = pair([1, 2, 4], {"a": [1.5, 2.5, 3.0], "b": [3, 4, 5]}, system=["s", "s", "t"])
    >>> paired.systems, paired.preds[0].tolist()
    ([('', 's'), ('', 't')], [1.5, 2.5, 3.0])
    >>> frame = {"sample_id": ["u1", "u2"], "mos": [1.0, 2.0]}
    >>> pair(frame, {"a": {"u2": 2.5, "u1": 1.5}}).preds
    [[1.5, 2.5]]
    """
    if not isinstance(preds, Mapping) or not preds:
        raise MetricsError(
            f"preds is {type(preds).__name__}; expected one or more predictions, name -> source"
        )
    named, given = checked(columns or {}), parsed(scale)
    sources = {
        "ref": ref,
        **{f"pred {name!r}" if name == "ref" else name: source for name, source in preds.items()},
    }
    memory = {name: source for name, source in sources.items() if not is_file(source)}
    arrays = _arrays(memory) if memory else []
    if arrays and len(arrays) == len(sources) and not named and utt2sys is None:
        from sqa_metrics.rows import arrays as array_road

        return array_road.pair(ref, preds, allow_missing=allow_missing, given=given, **labels)
    if arrays or labels:
        raise _mixed_roads(arrays, sources, labels)
    metrics = (ref_metric, pred_metric)
    return _pair_tables(sources, list(preds), metrics, utt2sys, allow_missing, named, given)


def as_paired(ref: Paired | Source, preds: Mapping[str, Source] | None, reading: Mapping[str, Any]) -> Paired:
    """What `compare` and `rank` are given: a `Paired`, or a reference, predictions and arguments as for `pair`."""
    if not isinstance(ref, Paired):
        return pair(ref, preds, **reading)  # type: ignore[arg-type]  # None is refused there
    if preds is not None or reading:
        raise MetricsError(
            "a Paired has its predictions already; give a reference instead, or nothing beside it"
        )
    return ref


def _arrays(memory: Mapping[str, Any]) -> list[str]:
    """The names of those sources in memory that are arrays."""
    # here and not above: files do without it
    from sqa_metrics.rows.frames import is_table

    return [name for name, source in memory.items() if not is_table(source, name)]


def _mixed_roads(arrays: list[str], sources: Mapping[str, Any], labels: Mapping[str, Any]) -> MetricsError:
    if not arrays:
        return MetricsError(
            f"{', '.join(f'{label}=' for label in labels)} go with arrays; tables and files have columns "
            "(sample_id, system_id, corpus, votes, mos_std)"
        )
    if len(arrays) == len(sources):
        return MetricsError(
            "columns= and utt2sys= go with tables; with arrays give sample=, system= and corpus="
        )
    return MetricsError(
        f"{', '.join(arrays)}: an array has no ids to join a table or file by; expected arrays on all sides, or "
        "{'sample_id': ..., 'mos': ...} for each"
    )


def _pair_tables(
    sources: Mapping[str, Source],
    names: list[str],
    metrics: tuple[str, str],
    utt2sys: dict[str, str] | None,
    allow_missing: bool,
    columns: Named,
    given: dict[str, Scale],
) -> Paired:
    """`pair` of tables and files; these by the compiled road if that pays."""
    contents: dict[str, bytes] = {}
    if utt2sys is None and not columns and all(map(is_file, sources.values())):
        contents = {name: content_of(source) for name, source in sources.items()}
    size = sum(map(len, contents.values()))
    if size >= COMPILED_FROM_BYTES and choose.repaid(size * BYTE_SECONDS):
        from sqa_metrics.rows import columns as compiled

        # None: not plain JSON Lines, or something is wrong with a row; below we find out what and where.
        ref_bytes, *others = contents.values()
        paired = compiled.pair(ref_bytes, dict(zip(names, others, strict=True)), *metrics, given)
        if paired and (allow_missing or all(c.complete for c in paired.coverage)):
            return paired
    tables = [
        formats.table_of(contents[name], name_of(source)) if contents else table_of(source, name)
        for name, source in sources.items()
    ]
    ref = scores_of(tables[0], metrics[0], "ref", utt2sys, columns, scale_given="ref" in given)
    preds = {
        name: scores_of(table, metrics[1], "pred", None, columns, scale_given="pred" in given)
        for name, table in zip(names, tables[1:], strict=True)
    }
    for key, name in columns.items():
        if not any(key in scores.found for scores in (ref, *preds.values())):
            listed = "; ".join(f"{s.path} has {', '.join(s.names) or 'none'}" for s in (ref, *preds.values()))
            raise MetricsError(f"columns: no column {name!r} for {key}; {listed}")
    return join(ref, preds, allow_missing=allow_missing, scale=given)
