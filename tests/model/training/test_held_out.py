"""Clips held out for development: whole groups, of the right kind, the same ones every time."""

import random
from collections.abc import Callable

import pytest
from sqa_data.manifest import Utterance
from sqa_model.errors import ModelError
from sqa_model.training.clips import Rows
from sqa_model.training.held_out import SYSTEMS, hold_out


def rows(count: int, of: Callable[[int], dict], corpus: str = "x") -> Rows:
    """Clips numbered by `of(number)`: their system and what else their rows say."""
    made = [
        Utterance(f"{i}.wav", str(i), 1.0, {"mos": 3.0}, system_id=about.pop("system", None), extra=about)
        for i, about in ((i, dict(of(i))) for i in range(count))
    ]
    return Rows(made, [corpus] * count)


def both(one: Rows, other: Rows) -> Rows:
    return Rows(one.utterances + other.utterances, one.corpora + other.corpora)


def named(found: Rows, key: str) -> set[object]:
    return {row.system_id if key == "system" else row.extra.get(key) for row in found.utterances}


@pytest.mark.parametrize(
    ("key", "other", "groups"),
    [("talker", "reference_id", 10), ("reference_id", "", 10), ("system", "", SYSTEMS)],
)
def test_whole_groups_are_held_out(key: str, other: str, groups: int) -> None:
    """No talker, or reference, or system is on both sides, and what comes later in this order may be."""
    given = rows(
        10 * groups, lambda i: {key: f"g{i % groups}", "system": f"s{i % groups}", other: f"r{i // groups}"}
    )
    left, held, told = hold_out(given, 0.2, 1, "mos")
    assert len(held) == 2 * groups
    assert len(left) + len(held) == len(given)
    assert not named(left, key) & named(held, key)
    kind = {"reference_id": "reference"}.get(key, key)
    assert told == [f"x: {2 * groups} of {10 * groups} clips, {groups // 5} of {groups} {kind}s"]


def test_where_systems_are_few_or_talkers_not_all_known_clips_are_held_out() -> None:
    few = rows(100, lambda i: {"system": f"s{i % (SYSTEMS - 1)}"} | ({"talker": "a"} if i else {}))
    left, held, told = hold_out(few, 0.2, 1, "mos")
    assert len(held) == 20
    assert told == ["x: 20 of 100 clips"]
    assert named(held, "system") <= named(left, "system")
    one_talker = rows(10, lambda i: {"talker": "a", "system": str(i)})  # names its own sample_id: no systems
    assert hold_out(one_talker, 0.2, 1, "mos")[2] == ["x: 2 of 10 clips"]


def test_the_choice_depends_on_the_seed_alone() -> None:
    given = rows(60, lambda i: {"talker": f"t{i % 12}"})
    order = list(range(60))
    random.Random(0).shuffle(order)

    def chosen(found: Rows, seed: int) -> set[str]:
        return {row.sample_id for row in hold_out(found, 0.2, seed, "mos")[1].utterances}

    first = chosen(given, 1)
    assert chosen(given.take(order), 1) == first
    assert any(chosen(given, seed) != first for seed in range(2, 6))
    _, beside, _ = hold_out(both(rows(40, lambda i: {}, "a"), given), 0.2, 1, "mos")
    assert {row.sample_id for row in beside.utterances if row.extra} == first
    # talkers of one name in two corpora are two
    twice = both(given, rows(60, lambda i: {"talker": f"t{i % 12}"}, "y"))
    _, held, _ = hold_out(twice, 0.2, 1, "mos")
    assert {row.sample_id for row in held.take(range(10)).utterances} == first
    assert {row.sample_id for row in held.take(range(10, 20)).utterances} != first


def test_no_more_than_the_share_unless_the_smallest_group_is_larger() -> None:
    unequal = rows(100, lambda i: {"talker": "long" if i < 90 else f"t{i % 5}"})
    for seed in range(8):
        _, held, _ = hold_out(unequal, 0.05, seed, "mos")
        assert len(held) <= 5
    two = rows(20, lambda i: {"talker": f"t{i % 2}"})
    assert len(hold_out(two, 0.2, 1, "mos")[1]) == 10
    for seed in range(4):
        three = rows(20, lambda i: {"talker": "ab"[i % 2] if i < 14 else "c"})
        assert named(hold_out(three, 0.2, seed, "mos")[1], "talker") == {"c"}


def test_a_corpus_without_the_label_gives_none_and_nothing_at_all_is_an_error() -> None:
    given = both(rows(10, lambda i: {}), rows(10, lambda i: {}, "y"))
    for row in given.utterances[10:]:
        row.metrics.clear()  # type: ignore[attr-defined]
    given.utterances[0].metrics.clear()  # type: ignore[attr-defined]
    _, held, told = hold_out(given, 0.2, 1, "mos")
    assert set(held.corpora) == {"x"}
    assert len(told) == 1
    for bad in (given.take(range(10, 20)), rows(1, lambda i: {})):
        with pytest.raises(
            ModelError, match=r"data\.hold_out: no corpus has two clips.*'mos'.*give data\.dev"
        ):
            hold_out(bad, 0.2, 1, "mos")
