"""One line for each thing that clips are warned of, however many clips there are."""

import sys

from sqa_model.inference.warned import Warned


def test_twenty_thousand_equal_warnings_are_one_line_and_few_names() -> None:
    warned = Warned()
    for i in range(20_000):
        warned.add(f"clip{i}", ["short: 0.2 s", "dc: 0.1"] if i == 7 else ["short: 0.2 s"])
    assert warned.lines("warning: ") == [
        "clip0: warning: short: 0.2 s (short in 19,999 more: clip1, clip2, clip3, ...)",
        "clip7: warning: dc: 0.1",
    ]
    assert sys.getsizeof(warned.names["short"]) < 200


def test_three_more_are_all_named_and_none_more_is_not_counted() -> None:
    warned = Warned()
    for name in ("a", "b", "c", "d"):
        warned.add(name, ["quiet: -60 dB"])
    warned.add("e", [])
    assert warned.lines() == ["a: quiet: -60 dB (quiet in 3 more: b, c, d)"]


def test_a_clip_without_a_name_is_told_by_its_text() -> None:
    warned = Warned()
    warned.add("", ["dc: 0.1"])
    assert warned.lines("warning: ") == ["warning: dc: 0.1"]
