"""Arrays of scores, row by row: joined as they are, without ids or a Python object a row, by the rules of `join`."""

from collections.abc import Mapping, Sized
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqa_metrics.errors import MetricsError
from sqa_metrics.numbers import as_scores
from sqa_metrics.rows.frames import EXPECTED, plain_values
from sqa_metrics.rows.join import assembled, duplicates, not_covered, systems_of_rows
from sqa_metrics.rows.records import Coverage, Paired, Scale, Scores
from sqa_metrics.rows.table import LARGEST, of_columns

if TYPE_CHECKING:
    import numpy as np

LABELS = {"sample": "sample_id", "system": "system_id", "corpus": "corpus"}
NUMBERS = ("votes", "mos_std")


def pair(
    ref: Any,
    preds: Mapping[str, Any],
    *,
    allow_missing: bool = False,
    given: Mapping[str, Scale] | None = None,
    **labels: Any,
) -> Paired:
    """`pair.pair` of arrays of n scores each; `labels` are `sample`, `system`, `corpus`, `votes`, `mos_std`, each of n.

    Raises MetricsError: lengths or indexes that differ, what is no number, scores that are missing (see `pair.pair`).
    """
    import numpy as np

    values = {"ref": _scores("ref", ref)} | {f"pred {n}": _scores(n, pred) for n, pred in preds.items()}
    n = len(values["ref"])
    if not n:
        raise MetricsError("ref: no rows; expected one score a row")
    texts, numbers = _labels(labels, n)
    _same_rows({"ref": ref, **preds, **labels}, n)
    # without ids of their own rows have no order either
    scores = Scores(
        path="ref",
        metric="mos",
        sample_id=texts["sample"] or [""] * n,
        system_id=texts["system"],
        corpus=texts["corpus"],
        value=values["ref"].tolist(),
        line=list(range(n)),
        votes=numbers["votes"],
        std=numbers["mos_std"],
        in_memory=True,
    )
    if texts["sample"]:
        duplicates(scores)
    finite = [np.isfinite(array) for array in values.values()]
    coverage = []
    for name, array, good in zip(preds, list(values.values())[1:], finite[1:], strict=True):
        bad = np.flatnonzero(~(finite[0] & good))
        if bad.size and not allow_missing:
            here = scores if texts["sample"] else replace(scores, sample_id=list(map(str, range(n))))
            pred = replace(here, path=name, system_id=None, corpus=None, value=array.tolist())
            bad_ref, bad_pred = np.flatnonzero(~finite[0]).tolist(), np.flatnonzero(~good).tolist()
            raise not_covered(here, pred, [], [], bad_ref, bad_pred)
        coverage.append(Coverage(n, n, 0, 0, int(bad.size)))
    keep = np.flatnonzero(np.logical_and.reduce(finite))
    if not keep.size:
        raise MetricsError("no utterance to score: no row has a finite score on all sides")
    rows = keep.tolist()
    kept = {name: values[f"pred {name}"][keep] for name in preds}
    systems = systems_of_rows(scores, rows)
    paired = assembled(scores, rows, values["ref"][keep], kept, systems, coverage, given or {}, {})
    columns = {name: getattr(paired, name) for name in ("system", "corpus", "noise", "votes")}
    arrays: dict[str, Any] = {k: np.array(column) for k, column in columns.items() if column is not None}
    return replace(paired, **arrays)


def _scores(name: str, values: Any) -> "np.ndarray":
    import numpy as np

    try:
        array = np.asarray(as_scores(name, values))
    except ValueError as error:
        known = hasattr(values, "__len__") and not isinstance(values, str | bytes)
        raise MetricsError(
            str(error) if known else f"{name} is {type(values).__name__}; {EXPECTED}"
        ) from None
    large = np.isfinite(array) & (abs(array) > LARGEST)
    if large.any():
        row = int(np.flatnonzero(large)[0])
        raise MetricsError(
            f"{name}[{row}]: mos is {array[row]:g}, expected a number of at most {LARGEST:g} in size"
        )
    return array


def _labels(
    labels: Mapping[str, Any], n: int
) -> tuple[dict[str, list[str] | None], dict[str, list[float] | None]]:
    """The labels as texts and numbers; None where there are none."""
    if unknown := sorted(set(labels) - {*LABELS, *NUMBERS}):
        raise TypeError(
            f"unexpected argument {unknown[0]!r}; arrays go with {', '.join((*LABELS, *NUMBERS))}"
        )
    columns = {name: plain_values(column) for name, column in labels.items() if column is not None}
    table = of_columns(
        "", {LABELS.get(name, name): column for name, column in columns.items()}, range(n), in_memory=True
    )
    texts = {label: table.texts(name) if label in columns else None for label, name in LABELS.items()}
    if texts["sample"] and not all(texts["sample"]):
        raise MetricsError(f"sample[{texts['sample'].index('')}] is empty, expected an id")
    numbers = {name: table.amounts(name) if name in columns else None for name in NUMBERS}
    return {label: text if text and any(text) else None for label, text in texts.items()}, numbers


def require_one_each(name: str, values: Sized, n: int) -> None:
    if len(values) != n:
        raise MetricsError(
            f"{name} has {len(values)} values, ref has {n}; expected one for each score of ref"
        )


def _same_rows(arrays: Mapping[str, Any], n: int) -> None:
    """MetricsError unless each has n values and, where pandas' series have an index, that of the others."""
    first: tuple[str, Any] | None = None
    for name, array in arrays.items():
        if array is None:
            continue
        require_one_each(name, array, n)
        index = getattr(array, "index", None)
        if index is None or callable(index):
            continue
        if first and not index.equals(first[1]):
            raise MetricsError(
                f"{name} and {first[0]} have different indexes; align them, or give values (.to_numpy()) if their rows "
                "are in one order"
            )
        first = first or (name, index)
