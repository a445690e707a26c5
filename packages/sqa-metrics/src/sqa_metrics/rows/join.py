"""Join a reference with its predictions, row by row, losing none.

Two rows are the same utterance if (corpus, system_id, sample_id) agree; a column that one of the two files lacks
altogether is left out of the key. Coverage is strict by default: a predictor that omits its bad items would look
better than it is.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from sqa_metrics.errors import MetricsError
from sqa_metrics.kernels import choose
from sqa_metrics.rows.fingerprint import MODULUS, Origin, fingerprint
from sqa_metrics.rows.formats import LISTENER_COLUMNS
from sqa_metrics.rows.ids import clip_id
from sqa_metrics.rows.read import content_of, name_of, parse
from sqa_metrics.rows.records import Coverage, Paired, Scores, Source
from sqa_metrics.rows.systems import names_systems, systems_of

# From this many bytes of input on the compiled reader is quicker, once it has repaid its load (`choose`).
COMPILED_FROM_BYTES = 1_000_000
BYTE_SECONDS = 6e-8  # of processor time to read a byte without it

OTHER_SCALE = 4  # times larger: then the two files can hardly mean the same scale

Key: TypeAlias = str | tuple[str, ...]


def pair(
    ref: Source,
    preds: dict[str, Source],
    *,
    ref_metric: str = "mos",
    pred_metric: str = "mos",
    utt2sys: dict[str, str] | None = None,
    allow_missing: bool = False,
) -> Paired:
    """Read a reference and one or more prediction files (name -> source) and join them.

    Strict by default: missing, extra or non-finite rows raise MetricsError with counts and the first id of each;
    duplicate ids always do. With `allow_missing` the utterances that every file has are kept, and `coverage` says
    how many that are.

    >>> import io
    >>> preds = {"a": io.BytesIO(b"u2 2.5\\nu1 1.5"), "b": io.BytesIO(b"u1 3\\nu2 4")}
    >>> paired = pair(io.BytesIO(b"u1 1\\nu2 2"), preds)
    >>> paired.ref, paired.preds
    ([1.0, 2.0], [[1.5, 2.5], [3.0, 4.0]])
    """
    ref_bytes, pred_bytes = content_of(ref), {name: content_of(source) for name, source in preds.items()}
    size = len(ref_bytes) + sum(map(len, pred_bytes.values()))
    if utt2sys is None and size >= COMPILED_FROM_BYTES and choose.repaid(size * BYTE_SECONDS):
        from sqa_metrics.rows import columns

        # None: not plain JSON Lines, or something is wrong with a row; below we find out what and where.
        paired = columns.pair(ref_bytes, pred_bytes, ref_metric, pred_metric)
        if paired and (allow_missing or all(c.complete for c in paired.coverage)):
            return paired
    return join(
        parse(ref_bytes, name_of(ref), ref_metric, "ref", utt2sys),
        {n: parse(b, name_of(preds[n]), pred_metric, "pred", None) for n, b in pred_bytes.items()},
        allow_missing=allow_missing,
    )


def join(ref: Scores, preds: dict[str, Scores], *, allow_missing: bool = False) -> Paired:
    """Join score columns on (corpus, system_id, sample_id); see `pair` for the rules.

    >>> ref = Scores("ref", "mos", ["a", "b"], ["s", "s"], None, [1.0, 2.0], [1, 2])
    >>> pred = Scores("pred", "mos", ["b", "a"], None, None, [2.5, 1.5], [1, 2])
    >>> join(ref, {"p": pred}).preds
    [[1.5, 2.5]]
    """
    rows: list[list[int]] = []  # one a prediction: its row for each row of ref, or -1
    coverage = []
    for pred in preds.values():
        match, report = _match(ref, pred, allow_missing)
        rows.append(match)
        coverage.append(report)
    keep = [i for i in range(len(ref)) if all(match[i] >= 0 for match in rows)]
    if not keep:
        raise MetricsError(
            f"no utterance to score: {ref.path} and {', '.join(p.path for p in preds.values())} share no id "
            f"with a finite score in both ({_first(ref, [0])}). Predictors that scored different utterances of "
            "the same systems: compare them with --unpaired (compare_unpaired)."
        )
    ref_corpus = ref.corpus or [""] * len(ref)
    corpora = sorted(set(ref_corpus))
    code = {name: k for k, name in enumerate(corpora)}
    corpus_names = [ref_corpus[i] for i in keep]
    ref_systems, names, self_named = _systems_of(ref, keep, list(preds.values()), rows)
    system, systems = _codes(names, corpus_names)
    kept_ref = [ref.value[i] for i in keep]
    kept_preds = [[p.value[match[i]] for i in keep] for p, match in zip(preds.values(), rows, strict=True)]
    spans = [(min(values), max(values)) for values in (kept_ref, *kept_preds)]
    scales = [note_of_scale(name, spans[0], span) for name, span in zip(preds, spans[1:], strict=True)]
    return Paired(
        names=list(preds),
        ref=kept_ref,
        preds=kept_preds,
        system=system,
        systems=systems,
        corpus=[code[name] for name in corpus_names],
        corpora=corpora,
        coverage=coverage,
        ref_utterances=[ref_corpus.count(name) for name in corpora],
        ref_systems=[sum(c == name for c, _ in ref_systems) for name in corpora],
        noise=_noise(ref, keep),
        votes=None if ref.votes is None else [ref.votes[i] for i in keep],
        origin=_origin(ref, keep),
        self_named=self_named,
        notes=(*ref.notes, *(note for p in preds.values() for note in p.notes), *filter(None, scales)),
    )


def note_of_scale(name: str, ref: tuple[float, float], pred: tuple[float, float]) -> str:
    """A sentence if two ranges can hardly be on one scale, as 0..100 and 1..5 are not; else nothing."""
    largest = [max(-low, high) for low, high in (ref, pred)]
    if OTHER_SCALE * min(largest) > max(largest) or min(largest) == 0:
        return ""
    spans = [f"{low:g} to {high:g}" for low, high in (ref, pred)]
    return (
        f"other scales? the reference holds {spans[0]}, {name} {spans[1]}; the errors mean nothing then, "
        "the correlations hold"
    )


def _keys(scores: Scores, with_corpus: bool, with_system: bool, other: Scores) -> dict[Key, int]:
    """Key of each row -> row, or an error naming both lines of the first duplicate."""
    columns: list[Sequence[str]] = [scores.sample_id]
    if with_system and scores.system_id:
        # a system that repeats its sample_id adds nothing, and the other file may leave it out
        pairs = zip(scores.system_id, scores.sample_id, strict=True)
        columns.insert(0, ["" if system == sample else system for system, sample in pairs])
    if with_corpus and scores.corpus:
        columns.insert(0, scores.corpus)
    keys: Iterable[Key] = zip(*columns, strict=True) if len(columns) > 1 else columns[0]
    table: dict[Key, int] = {}
    for row, key in enumerate(keys):
        first = table.setdefault(key, row)
        if first != row:
            dropped = [n for n, used in (("corpus", with_corpus), ("system_id", with_system)) if not used]
            hint = f"; {other.path} has no {' and no '.join(dropped)} to tell them apart" if dropped else ""
            raise MetricsError(
                f"{scores.path}:{scores.line[row]}: duplicate id {_show(key)}, first seen on line "
                f"{scores.line[first]}{hint}. Single ratings need a column that names the rater: one of "
                f"{', '.join(LISTENER_COLUMNS)}"
            )
    return table


def _match(ref: Scores, pred: Scores, allow_missing: bool) -> tuple[list[int], Coverage]:
    """Row of `pred` for each row of `ref` (-1 where there is none or a score is not finite), and the coverage."""
    with_corpus = bool(ref.corpus and pred.corpus)
    with_system = all(names_systems(s.system_id, s.sample_id) for s in (ref, pred))
    ref_keys = _keys(ref, with_corpus, with_system, pred)
    pred_keys = _keys(pred, with_corpus, with_system, ref)
    match = [pred_keys.get(key, -1) for key in ref_keys]
    missing = [row for row, found in enumerate(match) if found < 0]
    extra = [row for key, row in pred_keys.items() if key not in ref_keys]
    bad_ref = [r for r, p in enumerate(match) if p >= 0 and not math.isfinite(ref.value[r])]
    bad_pred = [p for p in match if p >= 0 and not math.isfinite(pred.value[p])]
    if not allow_missing and (missing or extra or bad_ref or bad_pred):
        raise _not_covered(ref, pred, missing, extra, bad_ref, bad_pred)
    for row in bad_ref:
        match[row] = -1
    match = [p if p >= 0 and math.isfinite(pred.value[p]) else -1 for p in match]
    non_finite = len(ref) - len(missing) - sum(p >= 0 for p in match)
    return match, Coverage(len(ref), len(pred), len(missing), len(extra), non_finite)


def _not_covered(
    ref: Scores, pred: Scores, missing: list[int], extra: list[int], bad_ref: list[int], bad_pred: list[int]
) -> MetricsError:
    problems = []
    if missing:
        problems.append(f"{len(missing)} of {len(ref)} ids of {ref.path} are missing, {_first(ref, missing)}")
    if extra:
        problems.append(f"{len(extra)} of {len(pred)} ids are not in {ref.path}, {_first(pred, extra)}")
    for scores, bad in ((ref, bad_ref), (pred, bad_pred)):
        if bad:
            problems.append(
                f"{len(bad)} rows of {scores.path} have no finite {scores.metric}, {_first(scores, bad)}"
            )
    if missing and extra:
        problems += _likeness([ref.sample_id[r] for r in missing], {pred.sample_id[p] for p in extra})
    return MetricsError(
        f"{pred.path} does not cover {ref.path}:\n  "
        + "\n  ".join(problems)
        + "\nComplete what is missing, or score what both have with --allow-missing (allow_missing=True)."
    )


def _composed(name: str) -> str:
    import unicodedata

    return unicodedata.normalize("NFC", name)


# Ways in which two tools write one id: what is said, and what makes them equal.
LIKENESSES: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("are the same but for their Unicode form (NFC, NFD); write both in one", _composed),
    ("are the same but for folder and audio suffix; name the clips alike", clip_id),
    ("are the same but for upper and lower case; write both alike", str.casefold),
)


def _likeness(missing: list[str], extra: set[str]) -> list[str]:
    for what, form in LIKENESSES:
        extras = {form(name): name for name in extra}
        found = [(name, extras[form(name)]) for name in missing if form(name) in extras]
        if found:
            return [f"{len(found)} of these ids {what}: {found[0][0]!a} and {found[0][1]!a}"]
    return []


def _systems_of(
    ref: Scores, keep: list[int], preds: list[Scores], rows: list[list[int]]
) -> tuple[set[tuple[str, str]], list[str], tuple[str, ...]]:
    """The reference's (corpus, system) pairs, the system of each kept row, and the self-named corpora.

    A reference that names no systems takes those of the first prediction that names some.
    """
    names, self_named = systems_of(ref.system_id, ref.sample_id, ref.corpus)
    if any(names):
        pairs = zip(ref.corpus or [""] * len(ref), names, strict=True)
        return {pair for pair in pairs if pair[1]}, [names[i] for i in keep], self_named
    for pred, match in zip(preds, rows, strict=True):
        theirs, _ = systems_of(pred.system_id, pred.sample_id, pred.corpus)
        if any(theirs):
            return set(), [theirs[match[i]] for i in keep], ()
    return set(), [""] * len(keep), self_named


def _codes(system: list[str], corpus: list[str]) -> tuple[list[int], list[tuple[str, str]]]:
    """The distinct (corpus, system) pairs, sorted, and which of them each utterance has, -1 without a system."""
    pairs = list(zip(corpus, system, strict=True))
    systems = sorted({pair for pair in pairs if pair[1]})
    number = {pair: k for k, pair in enumerate(systems)}
    return [number.get(pair, -1) for pair in pairs], systems


def _origin(ref: Scores, keep: list[int]) -> Origin:
    squares = fingerprint(ref.sample_id, ref.system_id, ref.corpus, ref.value)
    return Origin(ref.metric, sum(squares) % MODULUS, sum(squares[i] for i in keep) % MODULUS)


def _noise(ref: Scores, keep: list[int]) -> list[float] | None:
    """Variance of each kept reference MOS as a mean of ratings, NaN where unknown; None if it always is."""
    if not ref.votes or not ref.std:
        return None
    noise = [ref.std[i] ** 2 / ref.votes[i] if ref.votes[i] > 0 else math.nan for i in keep]
    return noise if any(map(math.isfinite, noise)) else None


def _first(scores: Scores, rows: list[int]) -> str:
    return f"first {_id(scores, rows[0])} ({scores.path}:{scores.line[rows[0]]})"


def _id(scores: Scores, row: int) -> str:
    return _show(tuple(c[row] for c in (scores.corpus, scores.system_id, scores.sample_id) if c))


def _show(key: Key) -> str:
    return repr("/".join(k for k in key if k) if isinstance(key, tuple) else key)
