"""Single ratings: written, read back, read as prepare and people write them, and refused where they are none."""

import math
from pathlib import Path

import pytest
from sqa_data import DataError
from sqa_data.ratings import SingleRating, iter_ratings, to_line


@pytest.mark.parametrize(
    "rating",
    [
        SingleRating("a", 4.0, "mos_sig", "L07", "s1", "c"),
        SingleRating("a", 2.5),
    ],
)
def test_what_is_written_is_read(rating: SingleRating, tmp_path: Path) -> None:
    path = tmp_path / "ratings.jsonl"
    path.write_bytes(to_line(rating))
    assert list(iter_ratings(path)) == [(1, rating)]


def test_what_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "ratings.jsonl"
    path.write_text('{"uid": "a", "rating": 3}\n{"sample_id": "b", "listener_id": 7, "rating": null}\n')
    (_, one), (_, other) = iter_ratings(path)
    assert one == SingleRating("a", 3.0)
    assert (other.listener_id, other.label) == ("7", "mos")
    assert math.isnan(other.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"rating": 3}', "no 'sample_id'"),
        ('{"sample_id": "a", "score": 3}', "no 'rating'; expected sample_id, listener_id, label, rating"),
        ('{"sample_id": "a", "rating": "3"}', "rating is '3'; expected a number"),
        ('{"sample_id": "a", "rating": true}', "rating is True"),
        ('{"sample_id": "a", "rating": Infinity}', "rating is inf"),
        ('{"sample_id": "a", "rating": 3, "listener_id": 1.5}', "listener_id is 1.5"),
        ("[3]", "found list"),
    ],
)
def test_what_is_no_rating_is_an_error_with_its_line(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "ratings.jsonl"
    path.write_text('{"sample_id": "a", "rating": 3}\n' + line)
    with pytest.raises(DataError, match=rf"ratings\.jsonl:2: .*{message}"):
        list(iter_ratings(path))
