"""Scores gathered batch by batch, in one process or several, and judged at the end.

As users of torchmetrics know it: `update` in the loop, `merge` what other processes gathered, `compute`, `reset`. What
is kept are the scores themselves: rank figures, systems and corpora need all of them. The order of updates and merges
does not matter, to the last digit.
"""

from collections.abc import Sequence
from typing import Any

from sqa_metrics.errors import MetricsError
from sqa_metrics.numbers import as_scores
from sqa_metrics.report import Report, evaluate
from sqa_metrics.rows.arrays import require_one_each
from sqa_metrics.rows.frames import plain_values
from sqa_metrics.rows.pair import pair
from sqa_metrics.rows.records import Paired
from sqa_metrics.rows.scales import Given

LABELS = ("sample", "system", "corpus")
COLUMNS = ("corpus", "system", "sample", "ref", "pred")


class Scorer:
    """Gathers reference and predicted scores and reports their agreement as `score` does.

    `allow_missing` and `scale` are those of `pair`. A scorer can be pickled and sent between processes. A row that
    comes twice with one `sample` id and the same scores, as samplers pad the last batch, counts once, with a note.

    >>> scorer = Scorer()
    >>> for ref, pred, system in [([1, 2], [1.5, 1.0], ["A", "A"]), ([4], [3.5], ["B"])]:
    ...     scorer.update(ref, pred, system=system)
    >>> len(scorer), scorer.compute().system["srcc"]
    (3, 1.0)
    """

    def __init__(self, *, allow_missing: bool = False, scale: Given | None = None) -> None:
        self.allow_missing, self.scale = allow_missing, scale
        self._rows: list[tuple[Any, ...]] = []  # as COLUMNS
        self._given: frozenset[str] | None = None  # which labels all updates bring

    def __len__(self) -> int:
        return len(self._rows)

    def update(
        self,
        ref: Any,
        pred: Any,
        *,
        sample: Sequence[Any] | Any = None,
        system: Sequence[Any] | Any = None,
        corpus: Sequence[Any] | Any = None,
    ) -> None:
        """Add a batch: arrays, lists or tensors of n scores each, reference first, or one score each.

        `sample`, `system`, `corpus`: texts or whole numbers, one for each score, or one for all of the batch; every
        update of a scorer brings the same ones. Raises MetricsError for other lengths, and for what is no number.
        """
        scores = [_scores(name, values) for name, values in (("ref", ref), ("pred", pred))]
        n = len(scores[0])
        require_one_each("pred", scores[1], n)
        labels = {"sample": sample, "system": system, "corpus": corpus}
        self._agree(frozenset(name for name, values in labels.items() if values is not None))
        texts = [_labels(name, labels[name], n) for name in ("corpus", "system", "sample")]
        self._rows += zip(*texts, *scores, strict=True)

    def merge(self, *others: "Scorer") -> "Scorer":
        """Add what other scorers have gathered, which stay as they are; returns this one."""
        for other in others:
            if other._given is not None:
                self._agree(other._given)
            self._rows += list(other._rows)
        return self

    def reset(self) -> None:
        """Forget all scores."""
        self._rows, self._given = [], None

    def paired(self, name: str = "pred") -> Paired:
        """All scores joined, for `compare`, `rank` and `with_uncertainty`; `name` is the predictor's."""
        if not self._rows:
            raise MetricsError("nothing to score: update was never called, or with empty batches alone")
        rows, again = self._in_order()
        columns = dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True))
        labels: dict[str, Any] = {label: columns[label] for label in LABELS if label in (self._given or ())}
        paired = pair(
            columns["ref"],
            {name: columns["pred"]},
            allow_missing=self.allow_missing,
            scale=self.scale,
            **labels,
        )
        if again:
            from dataclasses import replace

            note = f"{again} rows came twice with the same sample and scores, and count once"
            paired = replace(paired, notes=(note, *paired.notes))
        return paired

    def compute(self) -> Report:
        """The report on all scores so far. Raises MetricsError as `score` does, and where there are no scores."""
        return evaluate(self.paired())

    def _in_order(self) -> tuple[list[tuple[Any, ...]], int]:
        """The rows, of no order of updates, without those that came twice; and how many did."""
        # not a number sorts nowhere: as text it does
        rows = sorted(self._rows, key=lambda row: (*row[:3], *(repr(float(score)) for score in row[3:])))
        if "sample" not in (self._given or ()):
            return rows, 0
        kept = [row for k, row in enumerate(rows) if not k or repr(row) != repr(rows[k - 1])]
        return kept, len(rows) - len(kept)

    def _agree(self, given: frozenset[str]) -> None:
        if self._given not in (None, given):
            here, before = (", ".join(sorted(names)) or "no labels" for names in (given, self._given or ()))
            raise MetricsError(f"this update brings {here}, others {before}; expected the same in all")
        self._given = given


def _scores(name: str, values: Any) -> list[float]:
    """Scores of a batch, or one score, as a list."""
    if getattr(values, "shape", None) == () or isinstance(values, int | float):
        values = [values]
    try:
        return [float(value) for value in as_scores(name, values)]
    except ValueError as error:
        raise MetricsError(str(error)) from None


def _labels(name: str, values: Any, n: int) -> list[Any]:
    """The label of each score as text; "" where there is none."""
    if values is None or isinstance(values, str | int):
        values = [values] * n
    texts = ["" if value is None else value for value in plain_values(values)]
    require_one_each(name, texts, n)
    for k, text in enumerate(texts):
        if isinstance(text, bool) or not isinstance(text, str | int):
            raise MetricsError(f"{name}[{k}] is {text!r}, expected text or a 64-bit integer")
    return list(map(str, texts))
