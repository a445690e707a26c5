"""Arrays of scores, row by row: joined as they are, without ids or a Python object a row, by the rules of `join`."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqa_metrics.errors import MetricsError
from sqa_metrics.numbers import as_scores
from sqa_metrics.rows.frames import EXPECTED, plain_values
from sqa_metrics.rows.join import codes, duplicates, not_covered, origin_of, require_one_scale
from sqa_metrics.rows.records import Coverage, Paired, Scale, Scores
from sqa_metrics.rows.scales import settle
from sqa_metrics.rows.systems import systems_of
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
    scores = Scores(
        path="ref",
        metric="mos",
        sample_id=texts["sample"] or list(map(str, range(n))),
        system_id=texts["system"],
        corpus=texts["corpus"],
        value=values["ref"].tolist(),
        line=list(range(n)),
        in_memory=True,
    )
    if texts["sample"]:
        duplicates(scores)
    finite = [np.isfinite(array) for array in values.values()]
    coverage = []
    for name, array, good in zip(preds, list(values.values())[1:], finite[1:], strict=True):
        bad = np.flatnonzero(~(finite[0] & good))
        if bad.size and not allow_missing:
            pred = Scores(
                name, "mos", scores.sample_id, None, None, array.tolist(), scores.line, in_memory=True
            )
            bad_ref, bad_pred = np.flatnonzero(~finite[0]).tolist(), np.flatnonzero(~good).tolist()
            raise not_covered(scores, pred, [], [], bad_ref, bad_pred)
        coverage.append(Coverage(n, n, 0, 0, int(bad.size)))
    keep = np.flatnonzero(np.logical_and.reduce(finite))
    if not keep.size:
        raise MetricsError("no utterance to score: no row has a finite score on all sides")
    return _paired(
        scores,
        texts["sample"],
        [values[f"pred {n}"] for n in preds],
        list(preds),
        keep,
        coverage,
        numbers,
        given or {},
    )


def _paired(
    ref: Scores,
    sample: list[str] | None,
    preds: list["np.ndarray"],
    names: list[str],
    keep: "np.ndarray",
    coverage: list[Coverage],
    numbers: dict[str, "np.ndarray | None"],
    given: Mapping[str, Scale],
) -> Paired:
    import numpy as np

    rows = keep.tolist()
    corpus = ref.corpus or [""] * len(ref)
    corpora = sorted(set(corpus))
    number = {name: k for k, name in enumerate(corpora)}
    found, self_named = systems_of(ref.system_id, sample or [""] * len(ref), corpus)
    kept_corpus = [corpus[row] for row in rows]
    system, systems = codes([found[row] for row in rows], kept_corpus)
    ref_systems = {pair for pair in zip(corpus, found, strict=True) if pair[1]}
    require_one_scale(ref, rows, given.get("ref"))
    kept_ref = np.array(ref.value)[keep]
    kept, apart, notes = settle(
        kept_ref, {name: pred[keep] for name, pred in zip(names, preds, strict=True)}, given, {}
    )
    votes, std = (None if column is None else column[keep] for column in map(numbers.get, NUMBERS))
    return Paired(
        names=names,
        ref=kept_ref,
        preds=list(kept.values()),
        system=np.array(system),
        systems=systems,
        corpus=np.array([number[name] for name in kept_corpus]),
        corpora=corpora,
        coverage=coverage,
        ref_utterances=[corpus.count(name) for name in corpora],
        ref_systems=[sum(c == name for c, _ in ref_systems) for name in corpora],
        noise=None if votes is None or std is None else noise_of(votes, std),
        votes=votes,
        # without ids of their own rows have no order either
        origin=origin_of(ref if sample else replace(ref, sample_id=[""] * len(ref)), rows),
        self_named=self_named,
        notes=tuple(notes),
        scale=given.get("ref"),
        apart=tuple(apart),
    )


def noise_of(votes: "np.ndarray", std: "np.ndarray") -> "np.ndarray | None":
    """Variance (n,) of each MOS as a mean of ratings, NaN where unknown; None if it always is."""
    import numpy as np

    noise = np.divide(std**2, votes, out=np.full(len(votes), math.nan), where=votes > 0)
    return noise if np.isfinite(noise).any() else None


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
) -> tuple[dict[str, list[str] | None], dict[str, "np.ndarray | None"]]:
    """The labels as texts and numbers; None where there are none."""
    import numpy as np

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
    numbers = {name: np.array(table.amounts(name)) if name in columns else None for name in NUMBERS}
    return {label: text if text and any(text) else None for label, text in texts.items()}, numbers


def _same_rows(arrays: Mapping[str, Any], n: int) -> None:
    """MetricsError unless each has n values and, where pandas' series have an index, that of the others."""
    first: tuple[str, Any] | None = None
    for name, array in arrays.items():
        if array is None:
            continue
        if len(array) != n:
            raise MetricsError(
                f"{name} has {len(array)} values, ref has {n}; expected one for each score of ref"
            )
        index = getattr(array, "index", None)
        if index is None or callable(index):
            continue
        if first and not index.equals(first[1]):
            raise MetricsError(
                f"{name} and {first[0]} have different indexes; align them, or give values (.to_numpy()) if their rows "
                "are in one order"
            )
        first = first or (name, index)
