"""Which corpora have systems: the one rule, for `score` and for training.

A corpus is without systems only if every row of it has none, or one that repeats its own `sample_id`: the published
baseline's way to say "no system" (PSTN, Tencent). If one row names another system, then all ids of that corpus are
systems, also that of a system `clean` whose only clip is called `clean`. Six systems of one clip each are six systems.
"""

from collections.abc import Sequence


def systems_of(
    system: Sequence[str | None] | None, sample: Sequence[str], corpus: Sequence[str] | None = None
) -> tuple[list[str], tuple[str, ...]]:
    """System of each row ("" for none), and the corpora whose system ids only repeat their sample ids.

    >>> systems_of(["A", "clean", None], ["a1", "clean", "x"])
    (['A', 'clean', ''], ())
    >>> systems_of(["u1", "u2"], ["u1", "u2"], ["pstn", "pstn"])
    (['', ''], ('pstn',))
    """
    if system is None:
        return [""] * len(sample), ()
    corpus = corpus or [""] * len(sample)
    rows = list(zip(system, sample, corpus, strict=True))
    having = {c for s, u, c in rows if s and s != u}
    self_named = {c for s, _, c in rows if s} - having
    return [s if s and c in having else "" for s, _, c in rows], tuple(sorted(self_named))


def names_systems(system: Sequence[str | None] | None, sample: Sequence[str]) -> bool:
    """Whether any row names a system that is not its own `sample_id`.

    >>> names_systems(["u1", None], ["u1", "u2"]), names_systems(["A", None], ["u1", "u2"])
    (False, True)
    """
    return system is not None and any(s and s != u for s, u in zip(system, sample, strict=True))
