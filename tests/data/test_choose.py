"""Choosing, merging, drawing."""

import random
from pathlib import Path

import pytest
from sqa_data import DataError, Utterance, write_manifest
from sqa_data.choose import Condition, merged, rescaled, sampled
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
        language=("en", "zh", None, "de")[i % 4],
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
        (Condition(languages=("en", "de")), lambda u: u.language in ("en", "de")),
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


def test_a_scale_is_mapped_to_the_usual_one() -> None:
    """Ends become ends, also of two scales and labels at once; a label that is asked for alone is mapped alone."""
    scales: dict[str, tuple[float, float]] = {"mos": (-2, 2), "mos_sig": (0, 100)}
    low = Utterance("a", "a", 1, {"mos": -2, "mos_sig": 0}, mos_std=1.5, scales=scales)
    high = Utterance("b", "b", 1, {"mos": 2, "mos_sig": 100, "utmos": 2}, mos_std=None, scales=scales)
    usual = Utterance("c", "c", 1, {"mos": 4}, mos_std=0.5)
    both = list(rescaled([low, high, usual], ["mos", "mos_sig"]))
    assert [u.metrics for u in both] == [
        {"mos": 1, "mos_sig": 1},
        {"mos": 5, "mos_sig": 5, "utmos": 2},
        {"mos": 4},
    ]
    assert [u.mos_std for u in both] == [1.5, None, 0.5]
    assert [u.scales for u in both] == [{}, {}, {}]
    (alone,) = rescaled([low], ["mos_sig"])
    assert (alone.metrics, alone.mos_std) == ({"mos": -2, "mos_sig": 1}, 1.5)
    assert alone.scales == {"mos": (-2, 2)}


def test_a_clip_without_the_label_that_is_mapped() -> None:
    """As a line says it whose label is null: its scale goes too. A label that no clip has is a mistake."""
    bare = Utterance("a", "a", 1, {}, scales={"mos": (0, 100)})
    rated = Utterance("b", "b", 1, {"mos": 50}, scales={"mos": (0, 100)})
    found = list(rescaled([bare, rated], ["mos"]))
    assert [(u.metrics, u.scales) for u in found] == [({}, {}), ({"mos": 3}, {})]
    with pytest.raises(DataError, match="no utterance has the label moss, which is to be mapped"):
        list(rescaled([bare, rated], ["mos", "moss"]))
    mine = Utterance("c", "c", 1, {"mine": 5}, scales={"mine": (0, 10)})
    with pytest.raises(DataError, match=r"mine has no usual scale to map 0\.\.10 to"):
        list(rescaled([mine], ["mine"]))
