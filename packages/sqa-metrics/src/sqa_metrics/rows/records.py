"""What rows become: one score file as columns (`Scores`), and files joined on their utterances (`Paired`)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple, TypeAlias

from sqa_metrics.rows.fingerprint import Origin
from sqa_metrics.rows.table import place

Role: TypeAlias = Literal["ref", "pred"]
# A path, "-" for standard input, an open file, a data frame (pandas, Polars, Arrow), a dict of columns, a list of
# dicts, a dict of scores by sample_id, or an array of scores: see `pair`.
Source: TypeAlias = Any
Scale: TypeAlias = tuple[float, float]  # lowest and highest possible score


@dataclass(frozen=True, eq=False, repr=False)
class Scores:
    """One score file as columns of equal length; `value` is NaN where the row has no finite score."""

    path: str
    metric: str
    sample_id: list[str]
    system_id: list[str] | None  # as the file gives them; None: it names no systems
    corpus: list[str] | None
    value: list[float]
    line: Sequence[int]  # of the file, 1-based, or the row in memory, 0-based: for messages
    votes: list[float] | None = None  # ratings behind each value
    std: list[float] | None = None  # sample standard deviation of those ratings
    notes: tuple[str, ...] = ()  # what was recognised or left out in reading, a sentence each
    in_memory: bool = False
    found: frozenset[str] = frozenset()  # which of the columns asked for by name it has
    names: tuple[str, ...] = ()  # of all columns of the source, for messages
    scale: Scale | None = None  # as its rows declare it
    # whose single rating each row is, until they are averaged; None: these are no single ratings
    listener: list[str] | None = None
    # the text of each sample_id, where that may be a path; else it stands as it is
    made_from: list[str] | None = None
    # the votes behind each value, where rows were single ratings
    by_rater: list[dict[str, float]] | None = None

    def __len__(self) -> int:
        return len(self.value)

    def place(self, row: int) -> str:
        """Where a row is: `ref.csv:12` in a file, `ref[11]` in memory."""
        return place(self.path, self.line[row], self.in_memory)


class Coverage(NamedTuple):
    """How the rows of one prediction file and the reference meet, in rows."""

    n_ref: int
    n_pred: int
    n_missing: int  # in the reference, not in the prediction
    n_extra: int  # in the prediction, not in the reference
    n_non_finite: int  # in both, but one of the two has no finite score

    @property
    def complete(self) -> bool:
        return self.n_missing == self.n_extra == self.n_non_finite == 0


@dataclass(frozen=True, eq=False, repr=False)
class Paired:
    """Reference and predictions on the same utterances, in the order of the reference.

    `ref` and each of `preds` hold n values; `system[i]` indexes `systems` (sorted) and is -1 for an utterance of a
    corpus without systems (see `rows.systems`); `corpus[i]` indexes `corpora` (all of the reference's, sorted).
    `noise[i]` is the variance of the i-th reference MOS as the mean of its ratings (std^2 / votes), `votes[i]` how many
    these are; NaN where the reference does not say. Plain lists for small inputs, NumPy arrays for large ones.
    """

    names: list[str]  # one a prediction
    ref: Any  # (n,)
    preds: list[Any]  # each (n,)
    system: Any  # (n,) int
    systems: list[tuple[str, str]]  # (corpus, system_id)
    corpus: Any  # (n,) int
    corpora: list[str]
    coverage: list[Coverage]  # one a prediction
    ref_utterances: list[int]  # a corpus: utterances in the whole reference, scored or not
    ref_systems: list[int]  # a corpus: systems likewise
    noise: Any | None = None  # (n,)
    votes: Any | None = None  # (n,)
    by_rater: list[dict[str, float]] | None = None  # n times the votes by listener; None: no single ratings
    origin: Origin | None = None  # of the reference, for signatures
    align: str = ""  # how corpora were moved to one level, if they were
    self_named: tuple[str, ...] = ()  # corpora whose system ids only repeat the sample ids: no systems
    notes: tuple[str, ...] = ()  # what was recognised or left out in reading the files
    scale: Scale | None = None  # of the reference, where it is given or declared
    apart: tuple[str, ...] = ()  # predictions on another scale than the reference: their errors mean nothing

    def __len__(self) -> int:
        return len(self.ref)

    def take(self, rows: Any) -> "Paired":
        """The same of some of the utterances."""

        def of(column: Any) -> Any:
            return [column[i] for i in rows] if isinstance(column, list) else column[rows]

        return replace(
            self,
            ref=of(self.ref),
            preds=[of(pred) for pred in self.preds],
            system=of(self.system),
            corpus=of(self.corpus),
            noise=None if self.noise is None else of(self.noise),
            votes=None if self.votes is None else of(self.votes),
            by_rater=None if self.by_rater is None else of(self.by_rater),
        )
