"""Join listeners' pairs with a prediction of pairs, or of single clips, whose difference then stands for the pair.

Two rows are the same pair if their own ids agree, where both tables have such ids, or else their clips, in either
order: (b, a) is turned, and its sign with it. Coverage is strict by default, as for single clips (`rows.join`). A table
of single clips may have more clips than the pairs need; a note counts them.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from sqa_metrics.errors import MetricsError
from sqa_metrics.pairs.rows import Clip, Key, PairRow, Pairs
from sqa_metrics.rows.fingerprint import fingerprint, shown
from sqa_metrics.rows.join import likeness
from sqa_metrics.rows.records import Coverage, Scores
from sqa_metrics.rows.scales import CCR_HIGH, kinds_of
from sqa_metrics.rows.systems import systems_of

NOWHERE = Clip("", "")
DIGITS = 13  # of a difference; the other three that a float has are noise of its own


class Ballots(NamedTuple):
    """The n votes between two systems."""

    a: list[str]  # system of the first clip
    b: list[str]
    value: list[float]  # above 0: the first is better
    # corpus and id, as ids of two corpora may be two people's; "" where not known
    listener: list[tuple[str, str]]
    clips: list[tuple[int, int]]  # codes


@dataclass(frozen=True)
class PairedPairs:
    """Listeners and a predictor on the same n pairs, in the order of the reference, its first clip first."""

    name: str
    ref: np.ndarray  # (n,): above 0 the first clip is better
    pred: np.ndarray  # (n,)
    clips: np.ndarray  # (n, 2) int: codes of the two clips, -1 where they are not told
    system: np.ndarray  # (n, 2) int: indexes `systems`, -1 for a clip without one
    systems: list[str]
    votes: np.ndarray  # (n,): how many votes, NaN where unknown
    std: np.ndarray  # (n,): their sample standard deviation
    preferences: bool  # the reference holds words, as +1, 0, -1
    coverage: Coverage
    ballots: Ballots
    notes: tuple[str, ...] = ()
    fingerprint: str = ""  # of the whole reference
    rows: Sequence[PairRow] = ()  # those of the reference that these are

    def __len__(self) -> int:
        return len(self.ref)


def as_pairs(scores: Pairs | Scores) -> Pairs:
    """A table whose rows have one id each, such as an answer list, as pairs whose clips are not told."""
    if isinstance(scores, Pairs):
        return scores
    n = len(scores)
    columns = (
        map(scores.place, range(n)),
        scores.corpus or [""] * n,
        [NOWHERE] * n,
        [NOWHERE] * n,
        scores.value,
        scores.sample_id,
        scores.votes or [math.nan] * n,
        scores.std or [math.nan] * n,
    )
    rows = [PairRow(*row) for row in zip(*columns, strict=True)]
    return Pairs(scores.path, rows, rows, False, scores.notes)


def require_pairs(listeners: Pairs | Scores) -> Pairs:
    """A reference as pairs; MetricsError if it can only be of single clips."""
    if isinstance(listeners, Scores) and all(value > 0 for value in listeners.value):
        raise MetricsError(
            f"{listeners.path}: no row names two clips, and every score is above 0; expected pairs, from -3 to 3. "
            "Scores of single clips are judged by `score`"
        )
    return as_pairs(listeners)


def split_tracks(scores: Scores) -> tuple[Scores | None, Scores]:
    """The rows of single clips and those of pairs, where ids say so as VoiceMOS 2026's do (`acr_0`, `ccr_0`)."""
    kinds = [set(kinds_of([name])) for name in scores.sample_id]
    if not all(kind in ({"ACR"}, {"CCR"}) for kind in kinds) or {"CCR"} not in kinds:
        return None, scores
    clips, pairs = (_part(scores, [kind == {name} for kind in kinds]) for name in ("ACR", "CCR"))
    return (clips if len(clips) else None), pairs


def _part(scores: Scores, keep: Sequence[bool]) -> Scores:
    names = ("sample_id", "system_id", "corpus", "value", "line", "votes", "std")
    columns = {name: column for name in names if (column := getattr(scores, name)) is not None}
    kept: dict[str, Any] = {name: list(itertools.compress(column, keep)) for name, column in columns.items()}
    return replace(scores, **kept)


def join_pairs(
    ref: Pairs,
    pred: Pairs | Scores,
    name: str = "pred",
    *,
    utt2sys: Mapping[str, str] | None = None,
    allow_missing: bool = False,
) -> PairedPairs:
    """Join pairs with predictions of the same pairs, or of their clips.

    Raises MetricsError for missing, extra and non-finite rows, with counts and the first of each, unless
    `allow_missing` keeps what both have; for duplicates always.

    >>> import io
    >>> from sqa_metrics.pairs.rows import read_pairs
    >>> ref = read_pairs(io.BytesIO(b"a,b,cmos\\nu1,u2,-1.5\\n"))
    >>> pairs, clips = io.BytesIO(b"a,b,cmos\\nu2,u1,1.25\\n"), io.BytesIO(b"u1,2.5\\nu2,3.5\\n")
    >>> [join_pairs(ref, read_pairs(file)).pred.tolist() for file in (pairs, clips)]
    [[-1.25], [-1.0]]
    """
    if isinstance(pred, Scores) and not _share_ids(ref, pred):
        found = _from_clips(ref, pred)
    else:
        found = _from_pairs(ref, as_pairs(pred))
    matched = list(zip(ref.rows, found.values, strict=True))
    n_missing = sum(value is None for value in found.values)
    kept = [(r, v) for r, v in matched if v is not None and math.isfinite(v) and math.isfinite(r.value)]
    if not allow_missing:
        _require_all(ref, pred, matched, found)
    if not kept:
        raise MetricsError(
            f"no pair to judge: {ref.path} and {pred.path} share none with a finite score in both (first pair "
            f"{ref.rows[0]}, {ref.rows[0].place})"
        )
    clips = _Clips.of(ref, utt2sys, found.systems)
    codes = clips.codes(row for row, _ in kept)
    used = np.bincount(codes[codes >= 0], minlength=1) > 0
    system = [[clips.system[code] for code in side] for side in codes.T.tolist()]
    systems = sorted({*system[0], *system[1]} - {""})
    number = {name: k for k, name in enumerate(systems)}
    return PairedPairs(
        name=name,
        ref=np.array([row.value for row, _ in kept]),
        pred=np.array([value for _, value in kept]),
        clips=np.where(codes >= 0, (np.cumsum(used) - 1)[codes], -1),
        system=np.array([[number.get(name, -1) for name in side] for side in system]).T,
        systems=systems,
        votes=np.array([row.votes for row, _ in kept]),
        std=np.array([row.std for row, _ in kept]),
        preferences=ref.preferences,
        coverage=Coverage(len(ref), len(pred), n_missing, len(found.extra), len(ref) - n_missing - len(kept)),
        ballots=clips.ballots(ref.ballots),
        notes=(*ref.notes, *pred.notes, *found.notes, *_beyond(ref)),
        fingerprint=_fingerprint(ref.rows),
        rows=[row for row, _ in kept],
    )


def ballots_of(ref: Pairs, utt2sys: Mapping[str, str] | None = None) -> Ballots:
    """The votes between two systems."""
    return _Clips.of(ref, utt2sys, {}).ballots(ref.ballots)


def _fingerprint(rows: list[PairRow]) -> str:
    """Of the pairs and their scores, in whichever order rows and their clips come."""
    ordered = [(r.a, r.b, r.value) if r.a <= r.b else (r.b, r.a, -r.value) for r in rows]
    names = [
        row.pair_id or f"{a.sample_id}\0{b.sample_id}" for row, (a, b, _) in zip(rows, ordered, strict=True)
    ]
    systems = [f"{a.system_id}\0{b.system_id}" for a, b, _ in ordered]
    corpora = [row.corpus for row in rows]
    return shown(sum(fingerprint(names, systems, corpora, [value for *_, value in ordered])))


# --- matching ----------------------------------------------------------------------------------------------------


def _beyond(ref: Pairs) -> list[str]:
    """A note where comparisons leave the scale of ITU-T P.800's Annex E."""
    largest = max((abs(row.value) for row in ref.rows if math.isfinite(row.value)), default=0.0)
    if largest <= CCR_HIGH:
        return []
    return [
        f"{ref.path}: comparisons reach {largest:g}, beyond -3..3 of CCR; if that is no slip, errors are in their unit"
    ]


@dataclass(frozen=True)
class _Found:
    """What a prediction says of the reference's pairs."""

    values: list[float | None]  # one a pair of the reference; None: it is missing
    systems: dict[tuple[str, str], str]  # (corpus, sample_id) -> system, as the prediction has it
    extra: list[PairRow] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)  # clips that are missing
    notes: tuple[str, ...] = ()


def _share_ids(ref: Pairs, scores: Scores) -> bool:
    """Whether the ids of these rows are those of the pairs, and not of clips."""
    ids = {row.pair_id for row in ref.rows}
    if "" in ids:
        return False
    return not any(row.a.sample_id for row in ref.rows) or not ids.isdisjoint(scores.sample_id)


def _from_pairs(ref: Pairs, pairs: Pairs) -> _Found:
    both = (*ref.rows, *pairs.rows)
    by_id = all(row.pair_id for row in both)
    if not by_id and not all(row.a.sample_id for row in both):
        raise MetricsError(
            f"{ref.path} and {pairs.path} name their pairs in two ways, by an id and by their clips; expected one"
        )
    with_corpus = all(any(row.corpus for row in each.rows) for each in (ref, pairs))
    with_system = all(row.a.system_id and row.b.system_id for row in both)

    def clips(row: PairRow) -> tuple[Any, Any]:
        return (row.a, row.b) if with_system else (row.a.sample_id, row.b.sample_id)

    def key(row: PairRow) -> Key:
        corpus = row.corpus if with_corpus else ""
        if by_id:
            return corpus, row.pair_id
        a, b = clips(row)
        return (corpus, a, b) if a <= b else (corpus, b, a)

    ours, theirs = (_table((key(row), row.place, row) for row in each.rows) for each in (ref, pairs))
    values = []
    for wanted, row in ours.items():
        found = theirs.get(wanted)
        # an id stands for one order, unless both tables say which
        told = found is not None and bool(row.a.sample_id and found.a.sample_id)
        turned = told and found is not None and clips(found) != clips(row)
        if found is not None and turned and clips(found)[::-1] != clips(row):
            raise MetricsError(f"{found.place}: pair {found} is of other clips than at {row.place}")
        values.append(None if found is None else -found.value if turned else found.value)
    systems = {(row.corpus, c.sample_id): c.system_id for row in pairs.rows for c in (row.a, row.b)}
    return _Found(values, systems, [row for wanted, row in theirs.items() if wanted not in ours])


def _from_clips(ref: Pairs, scores: Scores) -> _Found:
    n = len(scores)
    corpora, names = scores.corpus or [""] * n, scores.system_id or [""] * n
    with_corpus = bool(scores.corpus) and any(row.corpus for row in ref.rows)
    with_system = all(names) and all(c.system_id for row in ref.rows for c in (row.a, row.b))

    def key(corpus: str, clip: Clip) -> Key:
        return corpus if with_corpus else "", clip.system_id if with_system else "", clip.sample_id

    rows = list(zip(corpora, map(Clip, names, scores.sample_id), scores.value, strict=True))
    value_of = _table(
        (key(corpus, clip), scores.place(k), value) for k, (corpus, clip, value) in enumerate(rows)
    )
    wanted = [[key(row.corpus, clip) for clip in (row.a, row.b)] for row in ref.rows]
    digits = _digits(scores.value)
    values = [
        round(value_of[a] - value_of[b], digits) if a in value_of and b in value_of else None
        for a, b in wanted
    ]
    used = {clip for pair in wanted for clip in pair}
    unused, absent = len(value_of.keys() - used), [str(clip[-1]) for clip in used - value_of.keys()]
    note = (f"{scores.path}: {unused} of {n} clips are in no pair",) if unused else ()
    systems = {(corpus, clip.sample_id): clip.system_id for corpus, clip, _ in rows}
    return _Found(values, systems, absent=sorted(absent), notes=note)


def _digits(values: Iterable[float]) -> int:
    """The decimals that differences are rounded to, so that 3.3 - 3.1 and 2.2 - 2.0 tie: 13 digits of the largest."""
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    return DIGITS - math.ceil(math.log10(largest)) if largest else DIGITS


def _table(rows: Iterable[tuple[Key, str, Any]]) -> dict[Key, Any]:
    """Key -> value of (key, place, value), or an error for the first duplicate."""
    table: dict[Key, tuple[str, Any]] = {}
    for key, place, value in rows:
        here = (place, value)
        if (first := table.setdefault(key, here)) is not here:
            raise MetricsError(
                f"{place}: {key[-1]!r} is there again, first at {first[0]}; expected each once, told apart by "
                "systems or corpora that both tables have"
            )
    return {key: value for key, (_, value) in table.items()}


def _require_all(
    ref: Pairs, pred: Pairs | Scores, matched: list[tuple[PairRow, float | None]], found: _Found
) -> None:
    """Raise MetricsError where anything is missing, extra or not finite, with counts and the first of each."""
    present = [(row, value) for row, value in matched if value is not None]
    kinds = (
        ([row for row, value in matched if value is None], f"of {len(ref)} pairs of {ref.path} are missing"),
        (found.extra, f"of {len(pred)} pairs are not in {ref.path}"),
        (
            [row for row, _ in present if not math.isfinite(row.value)],
            f"pairs of {ref.path} have no finite score",
        ),
        (
            [row for row, value in present if not math.isfinite(value)],
            f"pairs of {pred.path} have no finite score",
        ),
    )
    problems = [f"{len(some)} {text}, first {some[0]} ({some[0].place})" for some, text in kinds if some]
    if found.absent:
        problems.append(f"{len(found.absent)} of their clips have no row, first {found.absent[0]!r}")
    if problems:
        problems += _alike(pred, kinds[0][0], found)
    if problems:
        raise MetricsError(
            f"{pred.path} does not cover {ref.path}:\n  "
            + "\n  ".join(problems)
            + "\nComplete the predictions, or judge what both have with --allow-missing (allow_missing=True)."
        )


def _alike(pred: Pairs | Scores, missing: list[PairRow], found: _Found) -> list[str]:
    if isinstance(pred, Scores) and found.absent:
        return likeness(found.absent, set(pred.sample_id))
    lost, extra = (
        {name for row in rows for name in (row.pair_id, row.a.sample_id, row.b.sample_id) if name}
        for rows in (missing, found.extra)
    )
    return likeness(sorted(lost - extra), extra - lost)


class _Clips(NamedTuple):
    """The clips of a reference, numbered by their names, -1 for one that is not told, and the system of each."""

    number: dict[tuple[str, Clip], int]
    system: list[str]  # "" for none, also last, for the clip -1

    @staticmethod
    def of(ref: Pairs, utt2sys: Mapping[str, str] | None, theirs: Mapping[tuple[str, str], str]) -> "_Clips":
        """Systems are those of utt2sys, of the reference, or of the prediction."""
        each = dict.fromkeys((row.corpus, clip) for row in ref.rows for clip in (row.a, row.b))
        # by one string each: many times as quick to sort as nested tuples
        keys = sorted((key for key in each if key[1].sample_id), key=lambda key: "\0".join((key[0], *key[1])))
        samples = [clip.sample_id for _, clip in keys]
        if utt2sys is not None:
            lost = next((name for name in samples if name not in utt2sys), None)
            if lost is not None:
                raise MetricsError(
                    f"{ref.path}: no system is given for clip {lost!r}; expected one for every clip"
                )
            names = [utt2sys[name] for name in samples]
        elif any(clip.system_id for _, clip in keys):
            names = [clip.system_id for _, clip in keys]
        else:
            names = [theirs.get((corpus, clip.sample_id), "") for corpus, clip in keys]
        corpora = [corpus for corpus, _ in keys]
        found, _ = systems_of(names, samples, corpora)
        system = [f"{c}/{name}" if name and c else name for c, name in zip(corpora, found, strict=True)]
        return _Clips({key: k for k, key in enumerate(keys)}, [*system, ""])

    def codes(self, rows: Iterable[PairRow]) -> np.ndarray:
        """(n, 2) int: the two clips of each row."""
        number = self.number
        flat = [number.get((row.corpus, clip), -1) for row in rows for clip in (row.a, row.b)]
        return np.array(flat, dtype=np.int64).reshape(-1, 2)

    def ballots(self, votes: Sequence[PairRow]) -> Ballots:
        """Those that are between two systems and have a score."""
        rows = [
            (a, b, row.value, (row.corpus, row.listener), (i, j))
            for row, (i, j) in zip(votes, self.codes(votes).tolist(), strict=True)
            if (a := self.system[i]) and (b := self.system[j]) and a != b and math.isfinite(row.value)
        ]
        return Ballots(*map(list, zip(*rows, strict=True))) if rows else Ballots([], [], [], [], [])
