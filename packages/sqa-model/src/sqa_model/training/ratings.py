"""What single listeners said of the training clips: from files of ratings to columns of votes.

A rating names its clip by sample_id. The clip is that of the manifest `data.jsonl` beside the file of ratings; where
there is none, that of the manifests that the config names. Ratings of clips that are not learned from are left out, so
a file of ratings may stay as it is when its manifest is filtered.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sqa_data.corpus import ROUNDING
from sqa_data.labels import ROUNDING as DIGITS
from sqa_data.labels import is_uncertainty, valid_range
from sqa_data.manifest import Utterance
from sqa_data.ratings import iter_ratings

from sqa_model.errors import ModelError
from sqa_model.training.clips import SHOWN, Clips, Rows, find_manifests
from sqa_model.training.config import DataConfig
from sqa_model.training.pairs import clips_beside, file_of

NOBODY = -1  # the listener of a vote whose listener is not known
Named = Mapping[str, Sequence[tuple[str, Utterance]]]  # sample_id -> clips, each with its corpus


@dataclass(frozen=True)
class Ratings:
    """Votes by column, in the order of their clips; row i of each is vote i, one a listener, clip and head."""

    clip: np.ndarray  # (votes,) int, ascending: index into the table of clips
    head: np.ndarray  # (votes,) int: index of the head
    listener: np.ndarray  # (votes,) int: index into `listeners`, or NOBODY
    value: np.ndarray  # (votes,) float32
    listeners: tuple[tuple[str, str], ...] = ()  # corpus and id of each

    def __len__(self) -> int:
        return len(self.clip)

    def of(self, clips: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The votes of these clips, by their rows; and the place in `clips` of each."""
        first, last = (np.searchsorted(self.clip, clips, side) for side in ("left", "right"))
        places = np.repeat(np.arange(len(first)), last - first)
        rows = [np.arange(a, b) for a, b in zip(first, last, strict=True)]
        return np.concatenate(rows) if rows else places, places

    def counts(self, clips: int, heads: int) -> np.ndarray:
        """How many votes each clip has for each head, (clips, heads)."""
        return np.bincount(self.clip * heads + self.head, minlength=clips * heads).reshape(clips, heads)


_NONE = np.zeros(0, dtype=np.int64)
NO_RATINGS = Ratings(_NONE, _NONE, _NONE, _NONE.astype(np.float32))


def read_ratings(
    patterns: Sequence[str], rows: Rows, heads: Sequence[str], data: DataConfig
) -> tuple[Ratings, list[str]]:
    """The votes on `rows`, clip by clip, for those of `heads` that they are for; and what there is to tell.

    Raises `ModelError` for a pattern without a file, a clip that two corpora have, ratings that no listener can give
    (unless `data.out_of_range` says otherwise), and where no rating is left; `DataError` for a line that is none.
    """
    if not patterns:
        return NO_RATINGS, []
    column = {head: i for i, head in enumerate(heads) if not is_uncertainty(head)}
    places = {file_of(row): i for i, row in reversed(list(enumerate(rows.utterances)))}
    named: dict[str, list[tuple[str, Utterance]]] = {}
    for row, corpus in zip(rows.utterances, rows.corpora, strict=True):
        named.setdefault(row.sample_id, []).append((corpus, row))
    number: dict[tuple[str, str], int] = {}
    votes: list[tuple[int, int, int, float]] = []
    wrong: list[str] = []
    elsewhere = 0
    for path in find_manifests(patterns, "data.ratings"):
        beside = clips_beside(Path(path))
        for line, said in iter_ratings(path):
            if said.label not in column or math.isnan(said.value):
                continue
            found = _clip(beside or named, said.sample_id, said.corpus, f"{path}:{line}")
            clip = places.get(file_of(found[1])) if found else None
            if found is None or clip is None:
                elsewhere += 1
                continue
            low, high = valid_range(said.label)
            value = said.value
            if not low - DIGITS <= value <= high + DIGITS:
                wrong.append(
                    f"{path}:{line}: {said.label} is {value:g}, a listener gives {low:g} to {high:g}"
                )
                if data.out_of_range == "mask":
                    continue
                value = min(max(value, low), high)
            who = said.listener_id
            listener = NOBODY if who is None else number.setdefault((found[0], who), len(number))
            votes.append((clip, column[said.label], listener, value))
    if wrong and data.out_of_range == "error":
        raise ModelError(
            f"data.ratings: {len(wrong)} ratings out of range, the first:\n  "
            + "\n  ".join(wrong[:SHOWN])
            + '\ncorrect them, or set data.out_of_range to "mask" (ignore them) or "clip"'
        )
    if not votes:
        raise ModelError(
            f"data.ratings: no rating of a clip that is learned from for {', '.join(column)}; found {elsewhere} of "
            "other clips"
        )
    ratings = _columns(votes, tuple(number))
    told = [f"{len(ratings):,} ratings by {len(number):,} listeners"]
    if elsewhere:
        told.append(f"{elsewhere:,} ratings are left out: their clips are not learned from")
    return ratings, told


def _clip(named: Named, sample_id: str, corpus: str | None, where: str) -> tuple[str, Utterance] | None:
    """The clip of a rating and its corpus; None where there is no such clip."""
    found = {file_of(row): (name, row) for name, row in named.get(sample_id, ()) if corpus in (None, name)}
    if len(found) > 1:
        corpora = ", ".join(sorted({name for name, _ in found.values()}))
        raise ModelError(
            f"{where}: {len(found)} clips are called {sample_id!r} (corpus {corpora}); name the corpus in the "
            "rating's key `corpus`, or put the manifest beside the file"
        )
    return next(iter(found.values()), None)


def _columns(votes: Sequence[tuple[int, int, int, float]], listeners: tuple[tuple[str, str], ...]) -> Ratings:
    """Votes in order; those of one listener for one clip and head become their mean."""
    clip, head, listener = np.array([vote[:3] for vote in votes]).T
    value = np.array([vote[3] for vote in votes])
    # who is nobody may be several
    apart = np.where(listener == NOBODY, np.arange(len(votes)), -1)
    _, first, same = np.unique(
        np.stack([clip, head, listener, apart]), axis=1, return_index=True, return_inverse=True
    )
    mean = np.bincount(same.ravel(), value) / np.bincount(same.ravel())
    return Ratings(clip[first], head[first], listener[first], mean.astype(np.float32), listeners)


def with_votes(clips: Clips, ratings: Ratings) -> tuple[Clips, list[str]]:
    """The clips with the mean of their ratings as labels, and how many votes made each; and what there is to tell."""
    shape = clips.labels.shape
    counts = ratings.counts(*shape)
    sums = np.bincount(ratings.clip * shape[1] + ratings.head, ratings.value, clips.labels.size)
    with np.errstate(invalid="ignore"):
        means = (sums.reshape(shape) / counts).astype(np.float32)
    other = int((np.abs(means - clips.labels) > ROUNDING).sum())
    told = [f"{other:,} labels are not the mean of their ratings; the ratings count"] if other else []
    rated = counts > 0
    return replace(
        clips, labels=np.where(rated, means, clips.labels), votes=np.where(rated, counts, clips.votes)
    ), told
