"""Single ratings: averaged per clip; a missing vote leaves the others standing."""

import io
import math
from pathlib import Path

import pytest
from sqa_metrics import MetricsError, pair, read_scores, score


def ratings(*rows: str, column: str = "listener_id") -> io.BytesIO:
    return io.BytesIO("\n".join([f"sample_id,{column},score", *rows]).encode())


def test_mean_votes_and_spread() -> None:
    scores = read_scores(ratings("a,x,1", "b,x,5", "a,y,2", "a,z,6"), role="ref")
    assert (scores.sample_id, scores.value, scores.line) == (["a", "b"], [3.0, 5.0], [2, 3])
    assert scores.votes == [3.0, 1.0]
    assert scores.std is not None
    assert scores.std[0] == pytest.approx(math.sqrt(7))
    assert math.isnan(scores.std[1])
    assert scores.notes == ()


def test_a_missing_vote_is_left_out_and_named() -> None:
    scores = read_scores(ratings("a,x,1", "a,y,", "b,x,4", "a,z,3", "b,y,nan"), role="ref")
    assert (scores.value, scores.votes) == ([2.0, 4.0], [2.0, 1.0])
    assert scores.notes == ("<file>:3: no score; the other votes of 'a' count (1 more such rows)",)


def test_without_any_vote_there_is_no_score_and_the_ratings_are_named() -> None:
    with pytest.raises(MetricsError, match=r"1 rows of <file> have no finite mos, first 'b' \(<file>:3\)"):
        pair(ratings("a,x,1", "b,x,"), {"p": io.BytesIO(b"a 1\nb 2\n")})


def test_a_listener_has_one_vote() -> None:
    scores = read_scores(ratings("a,x,1", "a,x,2", "a,y,4.5", "a,x,"))
    assert (scores.value, scores.votes) == ([3.0], [2.0])
    assert scores.notes == (
        "<file>:5: no score; the other votes of 'a' count",
        "<file>:3: 'a' is rated again by the same listener, whose ratings count as one vote, their mean",
    )


@pytest.mark.parametrize("column", ["listener", "listener_name", "worker_id", "rater_id", "annotator"])
def test_columns_that_name_the_rater(column: str) -> None:
    scores = read_scores(ratings("a,x,1", "a,y,2", column=column))
    assert (scores.sample_id, scores.value) == (["a"], [1.5])
    rows = "".join(
        f'{{"sample_id": "a", "{column}": "{who}", "score": {v}}}\n' for who, v in (("x", 1), ("y", 2))
    )
    assert read_scores(io.BytesIO(rows.encode())).value == [1.5]


def test_an_unknown_column_of_raters_is_asked_for() -> None:
    with pytest.raises(
        MetricsError, match=r"<file>:3: duplicate id 'a'.*column that names the rater: one of listener"
    ):
        pair(ratings("a,x,1", "a,y,2", column="who"), {"p": io.BytesIO(b"a 1")})


@pytest.mark.parametrize("name", ["listener_name", "listener", "worker_id", "one_vote_empty"])
def test_shared_cases(shared: Path, name: str) -> None:
    folder = shared / "cases" / "scores"
    report = score(folder / f"ratings_{name}.csv", folder / "pred_of_ratings.csv")
    assert report.n_utterances == 12
    assert (
        report.remarks[0].startswith(f"{folder}/ratings_{name}.csv:9: no score") if "empty" in name else True
    )
    assert report.notes()[: len(report.remarks)] == list(report.remarks)


def test_a_rating_comes_before_the_average_beside_it() -> None:
    rows = [
        f'{{"sample_id": "a", "listener_id": "{who}", "mos": 3, "score": {v}}}'
        for who, v in (("x", 1), ("y", 4))
    ]
    assert read_scores(io.BytesIO("\n".join(rows).encode()), role="ref").value == [2.5]


def test_who_is_not_named_is_nobody_who_rated_before() -> None:
    with pytest.raises(MetricsError, match="<file>:3: no rater; expected who gave each score"):
        read_scores(ratings("u1,a,1", "u1,,2", "u1,,3"))


def test_two_columns_of_ratings_are_ambiguous() -> None:
    rows = io.BytesIO(b"sample_id,listener_id,rating,score\nu1,a,1,2\nu1,b,3,4\n")
    with pytest.raises(MetricsError, match="mos could be each of the columns 'rating', 'score'"):
        read_scores(rows)
