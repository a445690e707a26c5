"""The votes of a listening test as columns: which clip, which rater, what score; one vote a clip and rater.

Everything else in this folder computes from these columns by sums over the votes of a clip or of a rater, so a design
may be incomplete: not every rater need hear every clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

ROUNDING = 1e-9  # of scores: smaller differences are none


@dataclass(frozen=True, eq=False)
class Votes:
    """n votes in order of clip and rater; a clip or rater without votes keeps its number."""

    clip: Codes  # (n,) in 0..n_clips-1, ascending
    rater: Codes  # (n,) in 0..n_raters-1
    score: Floats  # (n,)
    n_clips: int
    n_raters: int

    def __len__(self) -> int:
        return len(self.score)

    @staticmethod
    def of_matrix(rows: Sequence[Sequence[float]]) -> "Votes":
        """Votes from a table with one row a rater and one column a clip; NaN where there is none.

        >>> len(Votes.of_matrix([[1, 3], [2, float("nan")]]))
        3
        """
        table = np.asarray(rows, float).T
        clip, rater = np.nonzero(~np.isnan(table))
        return Votes(clip, rater, table[clip, rater], *table.shape)

    def per_clip(self, values: Floats | None = None) -> Floats:
        """Sum of `values` (n,), or the number of votes, over each clip: (n_clips,)."""
        return counted(self.clip, self.n_clips, values)

    def per_rater(self, values: Floats | None = None) -> Floats:
        """Sum of `values` (n,), or the number of votes, over each rater: (n_raters,)."""
        return counted(self.rater, self.n_raters, values)

    @cached_property
    def of_clip(self) -> Floats:
        """Votes of each clip."""
        return self.per_clip()

    @cached_property
    def of_rater(self) -> Floats:
        """Votes of each rater."""
        return self.per_rater()

    @cached_property
    def complete(self) -> bool:
        """Whether every rater rated every clip, of those that there are."""
        return len(self) == np.count_nonzero(self.of_clip) * np.count_nonzero(self.of_rater)

    @cached_property
    def mos(self) -> Floats:
        """Mean of each clip's votes; NaN where it has none."""
        return divide(self.per_clip(self.score), self.of_clip)

    @cached_property
    def off(self) -> Floats:
        """Each vote minus the MOS of its clip, (n,)."""
        off = self.score - self.mos[self.clip]
        # equal votes differ from their mean by rounding, which is no spread
        return np.where(np.abs(off) < ROUNDING, 0.0, off)

    @cached_property
    def variance(self) -> Floats:
        """Sample variance (n - 1) of each clip's votes; NaN below two."""
        return divide(self.per_clip(self.off**2), self.of_clip - 1)

    def keep(self, which: Flags) -> "Votes":
        """The votes where `which` (n,) is true, of clips and raters numbered as before."""
        return Votes(
            self.clip[which],
            self.rater[which],
            self.score[which],
            n_clips=self.n_clips,
            n_raters=self.n_raters,
        )

    def scored(self, score: Floats) -> "Votes":
        """The same votes with other scores."""
        return replace(self, score=score)


def counted(code: Codes, n: int, values: Floats | None = None) -> Floats:
    """Sum of `values`, or the number of rows, over each code: (n,)."""
    return np.bincount(code, values, n).astype(np.float64, copy=False)


def summed(code: Codes, values: Floats, above: int) -> tuple[Codes, Floats]:
    """The codes below `above` that occur, ascending, and the sum of `values` over the rows of each."""
    if above > 4 * len(code) + 1000:
        present, _, which = distinct(code)
        return present, counted(which, len(present), values)
    # pairs of few systems and raters: counting is quicker than sorting
    present = np.flatnonzero(np.bincount(code, minlength=above)).astype(np.int64, copy=False)
    return present, counted(code, above, values)[present]


def over_systems(values: Floats, system: Codes, n: int) -> Floats:
    """Mean over each of n systems of what is known of its clips; `system` (clips,) is -1 for a clip without one."""
    known = (system >= 0) & ~np.isnan(values)
    return divide(counted(system[known], n, values[known]), counted(system[known], n))


def distinct(values: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Codes, Codes]:
    """The values that occur, ascending, the first row of each, and which of them each row holds.

    NumPy's `unique` and `median` load its masked arrays, a fifth of a short run.
    """
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    new = np.ones(len(values), bool)
    new[1:] = ordered[1:] != ordered[:-1]
    which = np.empty(len(values), np.int64)
    which[order] = np.cumsum(new) - 1
    return ordered[new], order[new], which


def median(values: Floats) -> float:
    """Middle of one value or more."""
    ordered = np.sort(values)
    return float(ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2


def dot(one: Floats, other: Floats) -> float:
    """Sum of products, without the threads of BLAS, which wait for each other where other programs run."""
    return float(np.sum(one * other))


def divide(above: Floats, below: Floats) -> Floats:
    """Ratio of two arrays; NaN where `below` is not above zero."""
    ratio: Floats = np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0)
    return ratio


@dataclass(frozen=True, eq=False)
class Ratings:
    """A listening test: its votes, and the names behind their numbers."""

    votes: Votes
    clips: list[tuple[str, str]]  # (corpus, sample_id), in the order of the file
    raters: list[str]
    system: Codes  # (clips,) index into systems, -1: the clip has none
    systems: list[tuple[str, str]]  # (corpus, system_id), sorted
    scale: tuple[float, float]  # lowest and highest score that could be given
    again: Floats  # (m, 2): first and second score where a rater scored a clip again
    again_variance: float = float("nan")  # of a rater's scores of one clip, pooled
    notes: tuple[str, ...] = ()  # what was left out or averaged in reading, a sentence each
