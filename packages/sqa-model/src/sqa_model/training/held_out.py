"""Where there is no development set, whole groups of training clips are held out to be one.

In each corpus these are groups of the first kind that tells its clips apart: talkers, else references, where every
row names one; else systems, where there are enough of them; else single clips. They are drawn by a hash of seed, corpus
and name, so the choice depends neither on the order of the rows nor on when it is made: a resumed run holds out the
same clips.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from sqa_data.groups import reference_of, talker_of
from sqa_data.ids import short_hash
from sqa_data.manifest import Utterance
from sqa_metrics.rows.systems import systems_of

from sqa_model.errors import ModelError
from sqa_model.training.clips import Rows

SYSTEMS = 20  # with fewer, those held out would be too few to rank


def hold_out(rows: Rows, share: float, seed: int, head: str) -> tuple[Rows, Rows, list[str]]:
    """(the rows that are left, those held out, a sentence for each corpus that says how many and by what rule).

    Groups are taken in the order of their hashes as long as at most `share` of the corpus is held out, but at least
    one; a corpus without a label for `head` gives none. Raises `ModelError` where nothing can be held out.
    """
    held: set[int] = set()
    told = []
    for corpus in sorted(set(rows.corpora)):
        members = [i for i, name in enumerate(rows.corpora) if name == corpus]
        utterances = [rows.utterances[i] for i in members]
        if not any(head in row.metrics for row in utterances):
            continue
        kind, names = _groups(utterances)
        chosen = _drawn(Counter(names), share, seed, corpus)
        if not chosen:
            continue
        mine = [i for i, name in zip(members, names, strict=True) if name in chosen]
        held.update(mine)
        groups = "" if kind == "clip" else f", {len(chosen)} of {len(set(names))} {kind}s"
        told.append(f"{corpus}: {len(mine):,} of {len(members):,} clips{groups}")
    if not held:
        raise ModelError(
            f"data.hold_out: no corpus has two clips, one of them labelled {head!r}, so none can be held out; "
            "give data.dev"
        )
    left = [i for i in range(len(rows)) if i not in held]
    return rows.take(left), rows.take(sorted(held)), told


def _groups(rows: Sequence[Utterance]) -> tuple[str, list[str]]:
    """What is held out together: its kind, and the group of each row."""
    for kind, names in _kinds(rows):
        known = [name for name in names if name]
        if len(known) == len(rows) and len(set(known)) >= (SYSTEMS if kind == "system" else 2):
            return kind, known
    return "clip", [row.sample_id for row in rows]


def _kinds(rows: Sequence[Utterance]) -> Iterator[tuple[str, Sequence[str | None]]]:
    yield "talker", [talker_of(row) for row in rows]
    yield "reference", [reference_of(row) for row in rows]
    yield "system", systems_of([row.system_id for row in rows], [row.sample_id for row in rows])[0]


def _drawn(sizes: Counter[str], share: float, seed: int, corpus: str) -> set[str]:
    """The groups to hold out; none where there is only one."""
    if len(sizes) < 2:
        return set()
    most, count = share * sizes.total(), 0
    chosen: set[str] = set()
    for name in sorted(sizes, key=lambda name: short_hash(seed, corpus, name)):
        if count + sizes[name] <= most:
            chosen.add(name)
            count += sizes[name]
    return chosen or {min(sizes, key=lambda name: (sizes[name], short_hash(seed, corpus, name)))}
