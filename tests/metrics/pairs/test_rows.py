"""Rows of pairs: all ways to write them give one reading, and each kind of wrong row one sentence."""

import io
import json
import math

import numpy as np
import pandas as pd
import pytest
from sqa_metrics import MetricsError, read_pairs
from sqa_metrics.pairs.rows import Pairs
from sqa_metrics.rows.records import Scores


def read(text: str, metric: str | None = None) -> Pairs:
    file = io.BytesIO(text.encode())
    file.name = "pairs"
    found = read_pairs(file, metric)
    assert isinstance(found, Pairs)
    return found


def seen(pairs: Pairs) -> list[tuple[str, str, float]]:
    return [(row.a.sample_id, row.b.sample_id, row.value) for row in pairs.rows]


WAYS = [
    '{"a": "u1", "b": "u2", "metrics": {"cmos": 1.5}}\n{"a": "u1", "b": "u3", "metrics": {"cmos": -2}}',
    '{"a": "u1", "b": "u2", "cmos": 1.5}\n\n{"a": "u1", "b": "u3", "cmos": -2}\n',
    '{"a": {"sample_id": "u1"}, "b": {"uid": "u2", "sample_id": "u2"}, "metrics": {"cmos": 1.5}}\n'
    '{"a": {"sample_id": "u1"}, "b": {"sample_id": "u3"}, "metrics": {"cmos": -2}}',
    '{"audio_paths": ["x/u1.wav", "y/u2.flac"], "metrics": {"mos_overall": 1.5}, "durations": [1, 2]}\n'
    '{"audio_paths": ["x/u1.wav", "y/u3.wav"], "metrics": {"mos_overall": -2}, "durations": [1, 2]}',
    "a,b,cmos\nu1,u2,1.5\nu1,u3,-2\n",
    "audio_a;audio_b;score\nx/u1.wav;x/u2.wav;1,5\nx/u1.wav;x/u3.wav;-2\n",
    "audio_a\taudio_b\tpred_score\r\nu1.wav\tu2.wav\t1.5\r\nu1.wav\tu3.wav\t-2\r\n",
]


@pytest.mark.parametrize("text", WAYS)
def test_all_ways_give_one_reading(text: str) -> None:
    assert seen(read(text)) == [("u1", "u2", 1.5), ("u1", "u3", -2.0)]


def test_a_frame_is_read_as_a_file_is() -> None:
    frame = pd.DataFrame({"a": ["u1"], "b": ["u2"], "cmos": [0.5], "system_a": ["A"], "system_b": ["B"]})
    found = read_pairs(frame)
    assert isinstance(found, Pairs)
    assert found.rows[0].a == ("A", "u1")


def test_preferences_are_words() -> None:
    found = read('{"a": "u1", "b": "u2", "preference": "Tie"}\n{"a": "u1", "b": "u3", "preference": "b"}')
    assert [row.value for row in found.rows] == [0, -1]
    assert found.preferences
    both = read('{"a": "u1", "b": "u2", "preference": "a", "metrics": {"cmos": 0.5}, "votes": 4}')
    assert (both.rows[0].value, both.rows[0].votes, both.preferences) == (0.5, 4, False)


def test_systems_and_corpora_are_read() -> None:
    row = {
        "corpus": "c",
        "a": {"sample_id": "u1", "system_id": "A"},
        "b": {"sample_id": "u1", "system_id": "B"},
    }
    found = read(json.dumps(row | {"metrics": {"cmos": 1}}))
    assert (found.rows[0].corpus, found.rows[0].a, found.rows[0].b) == ("c", ("A", "u1"), ("B", "u1"))
    assert read("a,b,cmos,system_a,system_b\nu1,u1,1,A,B\n").rows[0].b == ("B", "u1")


def test_clips_of_one_name_in_two_folders_are_told_apart() -> None:
    found = read('{"audio_paths": ["/d/x/u1.wav", "/d/y/u1.wav"], "metrics": {"mos_overall": 1}}')
    assert seen(found) == [("x/u1", "y/u1", 1.0)]


def test_votes_on_one_pair_are_averaged_in_whichever_order() -> None:
    found = read("a,b,cmos,listener\nu1,u2,2,L1\nu2,u1,1,L2\nu2,u1,-3,L3\nu1,u2,,L4\nu1,u2,1,L1\n")
    (row,) = found.rows
    assert (row.a.sample_id, row.value, row.votes) == ("u1", pytest.approx((1.5 - 1 + 3) / 3), 3)
    assert row.std == pytest.approx(pd.Series([1.5, -1, 3]).std())
    assert len(found.ballots) == 4
    assert any("no score; the other votes" in note and "pairs:5" in note for note in found.notes)
    assert any("judged again by the same listener" in note and "pairs:6" in note for note in found.notes)


def test_rows_with_one_id_are_scores() -> None:
    for text in (
        "sample_id,pred_score\nccr_0,-0.6\nccr_1,1.4\n",
        "ccr_0 -0.6\nccr_1 1.4\n",
        "ccr_0,-0.6\nccr_1,1.4\n",
    ):
        found = read_pairs(io.BytesIO(text.encode()))
        assert isinstance(found, Scores)
        assert found.value == [-0.6, 1.4]
    own = read("sample_id,audio_a,audio_b,cmos\nccr_0,a.wav,b.wav,1\nccr_1,b.wav,a.wav,1\n")
    assert [row.pair_id for row in own.rows] == ["ccr_0", "ccr_1"]


WRONG = [
    ('{"a": "u1", "metrics": {"cmos": 1}}', "clip b is missing; found a"),
    ('{"a": "u1", "b": "u2", "cmos": 1}\n{"a": "u1", "cmos": 1}', "pairs:2: clip b is missing"),
    ("a,b,cmos\nu1,,1\n", "pairs:2: clip b is missing"),
    ('{"audio_paths": ["x.wav"], "cmos": 1}', "pairs:1: audio_paths is"),
    ('{"audio_paths": "x.wav", "cmos": 1}', "pairs:1: audio_paths is"),
    ("a,b,cmos\nu1,u2,1\nu3,u3,1\n", "pairs:3: clip 'u3' is paired with itself"),
    ("a,b,cmos\nu1,u2,1\nu2,u1,-1\n", "pairs:3: pair 'u2' and 'u1' of pairs:2 is there again; expected"),
    ("a,b,cmos\nu1,u2,1\nu2,u1,1\n", r"is there again with another answer \(1, then -1\)"),
    ("a,b,cmos\nu1,u2,nan\nu2,u1,nan\n", "pairs:3: pair 'u2' and 'u1' of pairs:2 is there again; expected"),
    ('{"a": "u1", "b": "u2", "preference": "left"}', "pairs:1: preference is 'left'; expected a, b or tie"),
    ('{"a": "u1", "b": "u2", "preference": 1}', "pairs:1: preference is 1"),
    (
        '{"a": "u1", "b": "u2", "cmos": 1}\n{"a": "u1", "b": "u3", "preference": "a"}',
        "pairs:2: a preference among rows with cmos",
    ),
    ("a,b,quality\nu1,u2,1\n", "no cmos; found"),
    ("a,b,cmos\nu1,u2,much\n", "pairs:2: cmos is 'much', expected a number"),
    (
        "sample_id,a,b,cmos,listener\np,u1,u2,1,L1\np,u1,u3,1,L2\n",
        "pairs:3: pair 'p' is of other clips than at pairs:2",
    ),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_wrong_rows_are_one_sentence(text: str, message: str) -> None:
    with pytest.raises(MetricsError, match=message):
        read(text)


def test_a_pair_without_a_score_is_kept_for_the_join_to_tell() -> None:
    (row,) = read("a,b,cmos\nu1,u2,\n").rows
    assert math.isnan(row.value)


def test_the_lists_of_a_frame_may_be_arrays() -> None:
    """Lists in Parquet come as arrays of NumPy."""
    frame = pd.DataFrame({"audio_paths": [np.array(["x", "y"]), ["z", "w"]], "mos_overall": [1.0, -2]})
    assert seen(read_pairs(frame)) == [("x", "y", 1.0), ("z", "w", -2.0)]
