"""Joining a reference with predictions: the key, coverage, systems, noise."""

import io
import json
import math

import pytest
from sqa_metrics import MetricsError, pair


def jsonl(rows: list[dict[str, object]]) -> io.BytesIO:
    return io.BytesIO("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode())


def row(sample: str, mos: object = 3.0, **more: object) -> dict[str, object]:
    return {"sample_id": sample, "metrics": {"mos": mos}} | more


def test_strict_coverage_names_counts_and_first_ids() -> None:
    ref = jsonl([row("a"), row("b"), row("c"), row("d")])
    pred = jsonl([row("x"), row("b"), row("c", float("nan"))])
    with pytest.raises(MetricsError) as caught:
        pair(ref, {"p": pred})
    message = str(caught.value)
    assert "2 of 4 ids of <file> are missing, first 'a' (<file>:1)" in message
    assert "1 of 3 ids are not in <file>, first 'x' (<file>:1)" in message
    assert "1 rows of <file> have no finite mos, first 'c' (<file>:3)" in message
    assert "--allow-missing" in message


def test_allow_missing_scores_what_all_have() -> None:
    ref = jsonl([row("a", 1), row("b", 2), row("c", 3), row("d", None)])
    one = jsonl([row("d", 4), row("c", 3), row("b", 2), row("x", 1)])
    two = jsonl([row("a", 1), row("b", 2.5), row("c", float("inf"))])
    paired = pair(ref, {"one": one, "two": two}, allow_missing=True)
    assert (paired.ref, paired.preds) == ([2.0], [[2.0], [2.5]])
    first = paired.coverage[0]
    assert (first.n_missing, first.n_extra, first.n_non_finite) == (1, 1, 1)


def test_error_rows_of_predict_are_not_scores() -> None:
    ref = jsonl([row("a"), row("b")])
    pred = jsonl([row("a"), {"sample_id": "b", "error": "not audio"}])
    with pytest.raises(MetricsError, match="1 rows of <file> have no finite mos, first 'b'"):
        pair(ref, {"p": pred})


def test_duplicates_are_errors_even_with_allow_missing() -> None:
    ref = jsonl([row("a"), row("b"), row("a")])
    with pytest.raises(MetricsError, match=r"<file>:3: duplicate id 'a', first seen on line 1"):
        pair(ref, {"p": jsonl([row("a"), row("b")])}, allow_missing=True)


def test_nothing_in_common() -> None:
    with pytest.raises(MetricsError, match="share no id"):
        pair(jsonl([row("a")]), {"p": jsonl([row("b")])}, allow_missing=True)


def test_corpus_and_system_are_part_of_the_key() -> None:
    ref = [
        row("u", k, system_id=s, corpus=c) for k, (c, s) in enumerate([("x", "1"), ("x", "2"), ("y", "1")])
    ]
    pred = [
        row("u", k, system_id=s, corpus=c) for k, (c, s) in enumerate([("y", "1"), ("x", "1"), ("x", "2")])
    ]
    paired = pair(jsonl(ref), {"p": jsonl(pred)})
    assert paired.preds == [[1.0, 2.0, 0.0]]
    assert paired.corpora == ["x", "y"]
    assert paired.systems == [("x", "1"), ("x", "2"), ("y", "1")]


def test_a_prediction_without_systems_cannot_tell_equal_ids_apart() -> None:
    ref = jsonl([row("u", system_id="1"), row("u", system_id="2")])
    with pytest.raises(
        MetricsError, match="duplicate id 'u', first seen on line 1; <file> has no system_id to"
    ):
        pair(ref, {"p": io.BytesIO(b"u 3\n")})


def test_systems_come_from_the_prediction_if_the_reference_has_none() -> None:
    paired = pair(
        io.BytesIO(b"a,1\nb,2\n"), {"p": jsonl([row("b", system_id="s2"), row("a", system_id="s1")])}
    )
    assert [paired.systems[s] for s in paired.system] == [("", "s1"), ("", "s2")]


def test_system_equal_to_sample_is_no_system() -> None:
    ref = [row("a", system_id="a", corpus="pstn"), row("b", system_id="s", corpus="nisqa")]
    pred = [row("a", corpus="pstn"), row("b", system_id="s", corpus="nisqa")]
    paired = pair(jsonl(ref), {"p": jsonl(pred)})
    assert paired.system == [-1, 0]
    assert paired.systems == [("nisqa", "s")]


def test_noise_of_the_reference() -> None:
    ref = jsonl([row("a", votes=4, mos_std=1.0), row("b", votes=8, mos_std=2.0)])
    assert pair(ref, {"p": io.BytesIO(b"a 1\nb 2\n")}).noise == [0.25, 0.5]


def test_no_votes_give_no_noise() -> None:
    ref = jsonl([row("a", votes=0, mos_std=1.0), row("b", votes=8, mos_std=2.0)])
    noise = pair(ref, {"p": io.BytesIO(b"a 1\nb 2\n")}).noise
    assert noise is not None
    assert math.isnan(noise[0])
    assert noise[1] == 0.5
    assert pair(jsonl([row("a", votes=0, mos_std=1.0)]), {"p": io.BytesIO(b"a 1\n")}).noise is None


def test_averaged_ratings_are_told_of_no_column_for_raters() -> None:
    ref = io.BytesIO(b"sample_id,system_id,listener_id,score\nu,1,a,1\nu,2,a,2\n")
    with pytest.raises(
        MetricsError, match=r"'u', first seen on line 2; .* has no system_id to tell .*apart$"
    ):
        pair(ref, {"p": io.BytesIO(b"u,1\n")})
