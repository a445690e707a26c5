"""Ratings from a file or from columns in memory: who scored what, each rater having one vote a clip.

A rating without a score is left out and counted. Who scores a clip again has one vote, the mean, and the repetition
is kept: it shows how far a rater repeats a score, which is no error.
"""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from sqa_metrics.collector import collector_off
from sqa_metrics.errors import MetricsError
from sqa_metrics.numbers import as_scores
from sqa_metrics.ratings.votes import Codes, Flags, Floats, Ratings, Votes, distinct
from sqa_metrics.rows.names import Named, one_side
from sqa_metrics.rows.pick import pick, raters
from sqa_metrics.rows.read import by_utt2sys, table_of
from sqa_metrics.rows.records import Scale, Source
from sqa_metrics.rows.scales import KNOWN, PERCENT, Given, one_scale
from sqa_metrics.rows.systems import systems_of

# Scales that a test may have, the usual ones first: the first that holds all scores is taken.
SCALES = (*KNOWN, PERCENT)
Name = TypeVar("Name", bound=Hashable)
FEW_SLIPS = 0.05  # of the scores: so few off a scale may be slips of the hand


@collector_off()
def read_ratings(
    source: Source,
    metric: str = "mos",
    *,
    scale: Given | None = None,
    utt2sys: dict[str, str] | None = None,
    columns: Named | None = None,
) -> Ratings:
    """Read single ratings, a row each: the files, frames, dicts and lists that `score` takes as a reference of ratings.

    `metric` names the column of scores where there are several, `columns` others as in `pair`, `scale` the lowest and
    highest score that could be given (found where it is usual), `utt2sys` the system of each sample_id. Raises
    MetricsError naming file and line.

    >>> import io
    >>> ratings = read_ratings(io.BytesIO(b"sample_id,listener,score\\nu1,a,3\\nu1,b,4\\nu1,b,5\\n"))
    >>> ratings.votes.score.tolist(), ratings.raters, ratings.scale, ratings.again.tolist()
    ([3.0, 4.5], ['a', 'b'], (1.0, 5.0), [[4.0, 5.0]])
    """
    given = one_scale(scale)
    columns = one_side(columns, "ref")
    scores = pick(table_of(source, "ratings"), metric, "ref", columns, scale_given=given is not None)
    ratings = ratings_of(
        scores.sample_id,
        raters(scores),
        scores.value,
        system=scores.system_id if utt2sys is None else by_utt2sys(scores.sample_id, utt2sys, scores.place),
        corpus=scores.corpus,
        scale=given or scores.scale,
        name=scores.path,
    )
    return replace(ratings, notes=(*ratings.notes, *scores.notes))


def ratings_of(
    sample: Sequence[str],
    listener: Sequence[str],
    score: Sequence[float] | np.ndarray,
    *,
    system: Sequence[str] | None = None,
    corpus: Sequence[str] | None = None,
    scale: Scale | None = None,
    name: str = "ratings",
) -> Ratings:
    """Ratings from columns of equal length, a row a rating; NaN where a rater gave no score. `name` is for messages.

    A listener of two corpora counts as two, since ids such as 1 to 40 come again in other tests: `corpus/listener`.

    >>> ratings_of(["u1", "u1"], ["a", "b"], [3, 4]).votes.mos.tolist()
    [3.5]
    """
    values = np.asarray(as_scores("score", score), float)
    for column, given in {"sample": sample, "listener": listener, "system": system, "corpus": corpus}.items():
        if given is not None and len(given) != len(values):
            raise MetricsError(
                f"{name}: {column} has {len(given)} rows, score has {len(values)}; expected as many"
            )
    # a series is indexed by its labels, a list by its places
    sample, listener = list(sample), list(listener)
    system, corpus = (None if column is None else list(column) for column in (system, corpus))
    (clip, first), (rater, raters) = _clips(sample, system, corpus), _people(listener, corpus)
    there = np.isfinite(values)
    if not there.any():
        raise MetricsError(f"{name}: none of {len(values)} ratings has a score; expected numbers")
    found = scale_of(values[there], scale, name)
    votes, again, variance = _one_vote_each(
        clip[there], rater[there], values[there], (len(first), len(raters))
    )
    names = [sample[row] for row in first]
    corpora = [corpus[row] if corpus else "" for row in first]
    owners, self_named = systems_of([system[row] for row in first] if system else None, names, corpora)
    keys = [(c, s) if s else None for c, s in zip(corpora, owners, strict=True)]
    known = sorted({key for key in keys if key})
    number = {key: k for k, key in enumerate(known)}
    return Ratings(
        votes=votes,
        clips=list(zip(corpora, names, strict=True)),
        raters=raters,
        system=np.array([number[key] if key else -1 for key in keys], np.int64),
        systems=known,
        scale=found,
        again=again,
        again_variance=variance,
        notes=(
            *_notes(name, sample, listener, there, votes, self_named),
            *(_slips(name, values, sample, listener, found) if scale is None else ()),
        ),
    )


def _notes(
    name: str,
    sample: Sequence[str],
    listener: Sequence[str],
    there: Flags,
    votes: Votes,
    self_named: tuple[str, ...],
) -> Iterator[str]:
    """What was left out or averaged, a sentence each."""
    if missing := np.flatnonzero(~there).tolist():
        yield (
            f"{name}: {len(missing)} of {len(there)} ratings have no score, the first of {sample[missing[0]]!r} by "
            f"{listener[missing[0]]!r}; the others count"
        )
    if again := len(there) - len(missing) - len(votes):
        yield (
            f"{name}: {again} ratings are of a clip that the rater had scored before; these count as one vote, "
            "their mean"
        )
    if empty := int(np.count_nonzero(votes.of_clip == 0)):
        yield f"{name}: {empty} of {votes.n_clips} clips have no score at all, and so no MOS"
    if self_named:
        of = ", ".join(filter(None, self_named))
        yield f"{name}: system_id only repeats sample_id{of and f' in {of}'}, so there are no systems"


def _slips(
    name: str, values: Floats, sample: Sequence[str], listener: Sequence[str], found: Scale
) -> Iterator[str]:
    """That a few scores alone are why the scale was found to be no smaller one."""
    for low, high in SCALES[: SCALES.index(found)]:
        beyond = np.flatnonzero((values < low) | (values > high))
        if beyond.size <= FEW_SLIPS * np.count_nonzero(np.isfinite(values)):
            row = int(beyond[0])
            yield (
                f"{name}: {beyond.size} of {len(values)} scores are off {low:g}..{high:g}, the first {values[row]:g} "
                f"of {sample[row]!r} by {listener[row]!r}, so the scale is taken to be {found[0]:g}..{found[1]:g}; "
                "--scale LOW..HIGH names it"
            )
            return


def scale_of(scores: Floats, given: Scale | None, name: str) -> Scale:
    """The scale of finite scores: the one given, which must hold them all, or the first usual one that does."""
    low, high = float(scores.min()), float(scores.max())
    if given is not None and not given[0] < given[1]:
        raise MetricsError(
            f"scale is {given[0]:g}..{given[1]:g}; expected the lowest score before the highest"
        )
    for scale in SCALES if given is None else (given,):
        if scale[0] <= low and high <= scale[1]:
            return scale
    wanted = " or ".join(f"{a:g}..{b:g}" for a, b in (SCALES if given is None else (given,)))
    raise MetricsError(
        f"{name}: scores from {low:g} to {high:g}; expected {wanted}. Another scale is named by --scale LOW..HIGH"
    )


def _codes(names: Sequence[Name]) -> tuple[Codes, list[Name]]:
    """Number of each name in the order of their first appearance, and the names."""
    number = {name: k for k, name in enumerate(dict.fromkeys(names))}
    return np.fromiter(map(number.__getitem__, names), np.int64, len(names)), list(number)


def _people(listener: list[str], corpus: list[str] | None) -> tuple[Codes, list[str]]:
    """Number of each row's rater, told apart by corpus where there are several, and what raters are called."""
    if not corpus or corpus.count(corpus[0]) == len(corpus):
        return _codes(listener)
    code, names = _codes(list(zip(corpus, listener, strict=True)))
    return code, [f"{own}/{name}" if own else name for own, name in names]


def _clips(sample: list[str], system: list[str] | None, corpus: list[str] | None) -> tuple[Codes, Codes]:
    """Clip of each row, told apart by corpus, system and sample_id; and the first row of each clip."""
    code, _ = _codes(sample)
    for column in (system, corpus):
        if column and column.count(column[0]) < len(column):
            other, names = _codes(column)
            code = code * len(names) + other
    _, first, code = distinct(code)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return place[code], first[order]


def _one_vote_each(
    clip: Codes, rater: Codes, score: Floats, sizes: tuple[int, int]
) -> tuple[Votes, Floats, float]:
    """Votes in order, the first two scores where there are several of one rater and clip, and their pooled variance."""
    key = clip * sizes[1] + rater
    if (key[1:] < key[:-1]).any():
        order = np.argsort(key, kind="stable")
        key, clip, rater, score = key[order], clip[order], rater[order], score[order]
    start = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    size = np.diff(np.append(start, len(key)))
    if len(start) == len(key):
        return Votes(clip, rater, score, *sizes), np.zeros((0, 2)), float("nan")
    mean = np.add.reduceat(score, start) / size
    twice = start[size > 1]
    variance = float(np.sum((score - np.repeat(mean, size)) ** 2)) / (len(key) - len(start))
    votes = Votes(clip[start], rater[start], mean, *sizes)
    return votes, np.column_stack([score[twice], score[twice + 1]]), variance
