"""Join a reference with its predictions, row by row, losing none.

Two rows are the same utterance if (corpus, system_id, sample_id) agree; a column that one of the two files lacks
altogether is left out of the key. Coverage is strict by default: a predictor that omits its bad items would look
better than it is.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from sqa_metrics.errors import MetricsError
from sqa_metrics.rows.fingerprint import MODULUS, Origin, fingerprint
from sqa_metrics.rows.ids import clip_id
from sqa_metrics.rows.names import NAMES
from sqa_metrics.rows.records import Coverage, Paired, Scale, Scores
from sqa_metrics.rows.scales import Given, kinds_of, mixed, parsed, settle, span_of, text_of
from sqa_metrics.rows.systems import names_systems, systems_of

Key: TypeAlias = str | tuple[str, ...]
# the reference's (corpus, system) pairs, the system of each kept row, the self-named corpora
Systems: TypeAlias = tuple[set[tuple[str, str]], list[str], tuple[str, ...]]


def join(
    ref: Scores, preds: dict[str, Scores], *, allow_missing: bool = False, scale: Given | None = None
) -> Paired:
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
    return assembled(
        ref,
        keep,
        [ref.value[i] for i in keep],
        {
            name: [pred.value[match[i]] for i in keep]
            for (name, pred), match in zip(preds.items(), rows, strict=True)
        },
        systems_of_rows(ref, keep, list(preds.values()), rows),
        coverage,
        parsed(scale),
        {"": ref.scale, **{name: pred.scale for name, pred in preds.items()}},
        (*ref.notes, *(note for p in preds.values() for note in p.notes)),
    )


def assembled(
    ref: Scores,
    keep: Sequence[int],
    kept: Any,
    preds: dict[str, Any],
    systems_found: Systems,
    coverage: list[Coverage],
    given: Mapping[str, Scale],
    stated: Mapping[str, Scale | None],
    notes: tuple[str, ...] = (),
) -> Paired:
    """The rows `keep` of `ref`, whose scores are `kept`, with those of `preds`; scales as in `scales.settle`."""
    corpus = ref.corpus or [""] * len(ref)
    corpora = sorted(set(corpus))
    code = {name: k for k, name in enumerate(corpora)}
    of_rows = [corpus[i] for i in keep]
    ref_systems, names, self_named = systems_found
    system, systems = _codes(names, of_rows)
    scale = given.get("ref") or ref.scale
    _require_one_scale(ref, keep, scale)
    settled, apart, told = settle(kept, preds, given, stated)
    return Paired(
        names=list(preds),
        ref=kept,
        preds=list(settled.values()),
        system=system,
        systems=systems,
        corpus=[code[name] for name in of_rows],
        corpora=corpora,
        coverage=coverage,
        ref_utterances=[corpus.count(name) for name in corpora],
        ref_systems=[sum(c == name for c, _ in ref_systems) for name in corpora],
        noise=_noise(ref, keep),
        votes=None if ref.votes is None else [ref.votes[i] for i in keep],
        by_rater=None if ref.by_rater is None else [ref.by_rater[i] for i in keep],
        origin=_origin(ref, keep),
        self_named=self_named,
        notes=(*notes, *told),
        scale=scale,
        apart=tuple(apart),
    )


def _require_one_scale(ref: Scores, keep: Sequence[int], scale: Scale | None) -> None:
    """MetricsError where the kept scores of the reference are outside their scale, or on two."""
    values = [ref.value[i] for i in keep]
    if scale:
        for i, value in zip(keep, values, strict=True):
            if not scale[0] <= value <= scale[1]:
                raise MetricsError(
                    f"{ref.place(i)}: {ref.metric} is {value:g}, outside the scale {text_of(scale)}"
                )
        return
    span = span_of(values)
    kinds = kinds_of(ref.sample_id[i] for i in keep) if span.low < 1 else {}
    if len(kinds) > 1:
        listed = " and ".join(f"{kind} ({name!r})" for kind, name in kinds.items())
        raise MetricsError(
            f"{ref.path}: holds {listed} rows, which are on two scales; judge them apart "
            "(pairs with `sqa-metrics pairs`), or say with --scale LOW..HIGH (scale=(low, high)) that it is one"
        )
    if ref.metric == "mos" and (told := mixed(span, ref.path)):
        raise MetricsError(told)


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
            parts = (("corpus", with_corpus, scores.corpus), ("system_id", with_system, scores.system_id))
            dropped = [name for name, used, column in parts if column and not used]
            hint = f"; {other.path} has no {' and no '.join(dropped)} to tell them apart" if dropped else ""
            if scores.votes is None:
                hint += (
                    ". Single ratings need a column that names the rater: one of "
                    f"{', '.join(NAMES['listener_id'][1])} (--columns listener_id=NAME)"
                )
            raise MetricsError(
                f"{scores.place(row)}: duplicate id {_show(key)}, first seen "
                f"{'at' if scores.in_memory else 'on line'} {scores.line[first]}{hint}"
            )
    return table


def duplicates(scores: Scores) -> None:
    """MetricsError where two rows are the same utterance."""
    _keys(scores, True, names_systems(scores.system_id, scores.sample_id), scores)


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
        raise not_covered(ref, pred, missing, extra, bad_ref, bad_pred)
    for row in bad_ref:
        match[row] = -1
    match = [p if p >= 0 and math.isfinite(pred.value[p]) else -1 for p in match]
    non_finite = len(ref) - len(missing) - sum(p >= 0 for p in match)
    return match, Coverage(len(ref), len(pred), len(missing), len(extra), non_finite)


def not_covered(
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
        problems += likeness([ref.sample_id[r] for r in missing], {pred.sample_id[p] for p in extra})
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


def likeness(missing: list[str], extra: set[str]) -> list[str]:
    """A sentence where ids that are missing and ids that nobody asked for differ in their writing alone."""
    for what, form in LIKENESSES:
        extras = {form(name): name for name in extra}
        found = [(name, extras[form(name)]) for name in missing if form(name) in extras]
        if found:
            return [f"{len(found)} of these ids {what}: {found[0][0]!a} and {found[0][1]!a}"]
    return []


def systems_of_rows(
    ref: Scores, keep: Sequence[int], preds: Sequence[Scores] = (), rows: Sequence[list[int]] = ()
) -> Systems:
    """The systems of a reference; one that names none takes those of the first prediction that names some."""
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


def _origin(ref: Scores, keep: Sequence[int]) -> Origin:
    """What a signature says of the reference, of which the rows `keep` are scored."""
    squares = fingerprint(ref.sample_id, ref.system_id, ref.corpus, ref.value)
    return Origin(ref.metric, sum(squares) % MODULUS, sum(squares[i] for i in keep) % MODULUS)


def _noise(ref: Scores, keep: Sequence[int]) -> list[float] | None:
    """Variance of each kept reference MOS as a mean of ratings, NaN where unknown; None if it always is."""
    if not ref.votes or not ref.std:
        return None
    noise = [ref.std[i] ** 2 / ref.votes[i] if ref.votes[i] > 0 else math.nan for i in keep]
    return noise if any(map(math.isfinite, noise)) else None


def _first(scores: Scores, rows: list[int]) -> str:
    return f"first {_id(scores, rows[0])} ({scores.place(rows[0])})"


def _id(scores: Scores, row: int) -> str:
    return _show(tuple(c[row] for c in (scores.corpus, scores.system_id, scores.sample_id) if c))


def _show(key: Key) -> str:
    return repr("/".join(k for k in key if k) if isinstance(key, tuple) else key)
