"""The one way in: every pair of sources, one error for each wrong combination."""

import io

import pytest
from sqa_metrics import MetricsError, compare, evaluate, pair, rank, score


def test_sources_of_different_kinds_are_joined() -> None:
    preds = {
        "file": io.BytesIO(b"b 2.5\na 1.5\n"),
        "dict": {"a": 1, "b": 2},
        "ref": [{"sample_id": "b", "mos": 3}, {"utt": "a"}],
    }
    with pytest.raises(MetricsError, match=r"pred 'ref'\[1\]: no sample_id"):
        pair({"sample_id": ["a", "b"], "mos": [1, 2]}, preds)
    preds["ref"] = [{"sample_id": "b", "mos": 3}, {"sample_id": "a", "mos": 4}]
    preds["file"] = io.BytesIO(b"b 2.5\na 1.5\n")
    paired = pair({"sample_id": ["a", "b"], "mos": [1, 2]}, preds)
    assert paired.preds == [[1.5, 2.5], [1.0, 2.0], [4.0, 3.0]]
    assert paired.names == ["file", "dict", "ref"]


def test_score_and_evaluate_are_one() -> None:
    ref, pred = {"a": 1, "b": 2, "c": 4}, {"a": 1.5, "b": 2, "c": 3}
    assert evaluate(ref, pred) == score(ref, pred) == evaluate(pair(ref, {"pred": pred}))


def test_compare_and_rank_take_what_pair_takes() -> None:
    ref, preds = [1, 2, 3, 4, 5, 3], {"a": [1, 2, 3, 5, 5, 3], "b": [2, 2, 3, 3, 5, 1]}
    paired = pair(ref, preds, corpus=["x"] * 6)
    assert repr(compare(ref, preds, corpus=["x"] * 6)) == repr(compare(paired))
    assert [p.name for p in rank(ref, preds)] == ["a", "b"]
    with pytest.raises(MetricsError, match="a Paired has its predictions already"):
        compare(paired, preds)
    with pytest.raises(MetricsError, match="preds is NoneType; expected one or more predictions"):
        rank(ref)


def test_utt2sys_serves_tables() -> None:
    systems = {"a": "s", "b": "s", "c": "t"}
    assert score({"a": 1, "b": 2, "c": 4}, {"a": 1, "b": 2, "c": 3}, utt2sys=systems).n_systems == 2
