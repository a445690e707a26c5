"""Choosing, merging, drawing."""

import random
from pathlib import Path

import pytest
from sqa_data import DataError, Utterance, write_manifest
from sqa_data.choose import Condition, merged, sampled
from sqa_data.verify import validate

ALL = [
    Utterance(
        f"/{c}{i}.wav",
        f"u{i}",
        float(i),
        {"mos": 1 + i / 5} if i % 2 else {},
        f"s{i % 3}",
        c,
        "train",
        votes=i,
    )
    for c in ("one", "two")
    for i in range(20)
]


@pytest.mark.parametrize(
    ("condition", "plain"),
    [
        (Condition(), lambda u: True),
        (Condition(corpora=("one",)), lambda u: u.corpus == "one"),
        (Condition(splits=("dev",)), lambda u: False),
        (Condition(systems=("s1", "s2")), lambda u: u.system_id in ("s1", "s2")),
        (Condition(labels=("mos",)), lambda u: "mos" in u.metrics),
        (Condition(min_duration_s=3, max_duration_s=5), lambda u: 3 <= u.duration <= 5),
        (Condition(min_votes=7), lambda u: u.votes >= 7),
        (Condition(bounds=(("mos", 2, 3),)), lambda u: 2 <= u.metrics.get("mos", 0) <= 3),
    ],
)
def test_conditions(condition: Condition, plain) -> None:  # type: ignore[no-untyped-def]
    assert [u for u in ALL if condition.holds(u)] == [u for u in ALL if plain(u)]


def test_merged(tmp_path: Path) -> None:
    write_manifest(tmp_path / "a.jsonl", ALL[:20])
    write_manifest(tmp_path / "b.jsonl", ALL[20:])
    assert list(merged([tmp_path / "a.jsonl", tmp_path / "b.jsonl"])) == ALL
    write_manifest(tmp_path / "c.jsonl", ALL[5:6])
    with pytest.raises(DataError, match=r"c\.jsonl:1: sample_id 'u5' .* is also in .*a\.jsonl:6"):
        list(merged([tmp_path / "a.jsonl", tmp_path / "c.jsonl"]))


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    clip = Utterance("/\udcff.wav", "\udcff", 1.0, {"mos": 3.0})
    write_manifest(tmp_path / "a.jsonl", [clip])
    assert sampled(merged([tmp_path / "a.jsonl"]), 1) == [clip]
    assert validate(tmp_path / "a.jsonl").counts.keys() == {"missing"}


def test_a_draw_does_not_depend_on_the_order() -> None:
    ten = sampled(ALL, 10, seed=1)
    shuffled = random.Random(0).sample(ALL, len(ALL))
    key = str
    assert sorted(sampled(shuffled, 10, seed=1), key=key) == sorted(ten, key=key)
    assert [u for u in ALL if u in ten] == ten  # in the original order
    assert all(u in sampled(ALL, 11, seed=1) for u in ten)
    assert sampled(ALL, 10, seed=2) != ten
    assert sampled(ALL, 1000) == ALL


def test_per_system() -> None:
    found = sampled(ALL, 2, per_system=True)
    counts = {(c, s): 0 for c in ("one", "two") for s in ("s0", "s1", "s2")}
    for utterance in found:
        counts[str(utterance.corpus), str(utterance.system_id)] += 1
    assert set(counts.values()) == {2}
