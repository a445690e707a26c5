"""Files of ratings become votes on the right clips, one a listener, clip and head."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from sqa_data import DataError
from sqa_data.ratings import SingleRating, to_line
from sqa_model.errors import ModelError
from sqa_model.training.clips import Rows, clips_of, read_rows
from sqa_model.training.config import DataConfig
from sqa_model.training.ratings import NO_RATINGS, NOBODY, Ratings, read_ratings, with_votes

HEADS = ("mos", "mos_std", "mos_sig")


def write(folder: Path, ids: str, *ratings: SingleRating, corpus: str | None = None) -> Path:
    """A manifest of clips of these names and a file of ratings beside it; returns the latter."""
    folder.mkdir(parents=True)
    with (folder / "data.jsonl").open("w") as file:
        for name in ids:
            row = {"audio_path": f"{name}.wav", "sample_id": name, "duration": 1, "metrics": {"mos": 3.0}}
            file.write(json.dumps(row | ({"corpus": corpus} if corpus else {"votes": 9})) + "\n")
    path = folder / "ratings.jsonl"
    path.write_bytes(b"".join(map(to_line, ratings)))
    return path


def said(name: str, value: float, who: str | None, label: str = "mos") -> SingleRating:
    return SingleRating(name, value, label, who)


def rows_of(*files: Path) -> Rows:
    return read_rows([str(file.with_name("data.jsonl")) for file in files], "data.train")


def read(*files: Path, rows: Rows | None = None, **data: str) -> tuple[Ratings, list[str]]:
    chosen = rows_of(*files) if rows is None else rows
    return read_ratings([str(file) for file in files], chosen, HEADS, DataConfig(**data))  # type: ignore[arg-type]


def table(ratings: Ratings) -> list[tuple[int, int, str, float]]:
    """Votes with the names of their listeners."""
    names = ["/".join(listener) for listener in ratings.listeners]
    columns = zip(ratings.clip, ratings.head, ratings.listener, ratings.value, strict=True)
    return [(int(c), int(h), "" if k == NOBODY else names[k], float(v)) for c, h, k, v in columns]


def test_votes_are_in_the_order_of_clips_and_one_a_listener(tmp_path: Path) -> None:
    file = write(
        tmp_path / "bvcc" / "train",
        "abc",
        said("c", 2, "L1"),
        said("a", 4, "L2"),
        said("a", 1, "L1"),
        said("a", 2, "L1"),  # again: its mean counts
        said("a", 5, "L2", "mos_sig"),
        said("a", 5, None),
        said("a", 5, None),  # perhaps another one
        said("a", math.nan, "L3"),
        said("b", 3, "L2", "mos_bak"),  # no head
    )
    ratings, told = read(file)
    assert sorted(table(ratings)) == [
        (0, 0, "", 5.0),
        (0, 0, "", 5.0),
        (0, 0, "bvcc/L1", 1.5),
        (0, 0, "bvcc/L2", 4.0),
        (0, 2, "bvcc/L2", 5.0),
        (2, 0, "bvcc/L1", 2.0),
    ]
    assert (np.diff(ratings.clip) >= 0).all()
    assert told == ["6 ratings by 2 listeners"]
    assert ratings.counts(4, 3).tolist() == [[4, 0, 1], [0, 0, 0], [1, 0, 0], [0, 0, 0]]


def test_the_votes_of_some_clips(tmp_path: Path) -> None:
    file = write(tmp_path / "x" / "train", "abc", *(said(n, v, f"L{v}") for n in "ac" for v in (1, 2)))
    ratings, _ = read(file)
    rows, places = ratings.of([2, 1, 0, 2])
    assert places.tolist() == [0, 0, 2, 2, 3, 3]
    assert ratings.clip[rows].tolist() == [2, 2, 0, 0, 2, 2]
    assert [len(part) for part in ratings.of([1])] == [0, 0]
    assert [len(part) for part in ratings.of([])] == [0, 0]


def test_files_know_their_clips_though_names_come_again(tmp_path: Path) -> None:
    """Two corpora with clips of one name and listeners of one name."""
    files = [write(tmp_path / c / "train", "ab", said("a", v, "1")) for c, v in (("x", 2), ("y", 4))]
    ratings, _ = read(*files)
    assert table(ratings) == [(0, 0, "x/1", 2.0), (2, 0, "y/1", 4.0)]
    # y is not trained on: its ratings must not go to clips of x
    left, told = read(files[0], files[1], rows=rows_of(files[0]))
    assert table(left) == [(0, 0, "x/1", 2.0)]
    assert told[1] == "1 ratings are left out: their clips are not learned from"
    # a file that two manifests have is one clip: the first one
    assert table(read(files[0], rows=rows_of(files[0]).take([1, 0, 0]))[0]) == [(1, 0, "x/1", 2.0)]


def test_without_a_manifest_beside_names_must_do(tmp_path: Path) -> None:
    files = [write(tmp_path / c / "train", "ab", said("a", v, "1")) for c, v in (("x", 2), ("y", 4))]
    alone = tmp_path / "mine.jsonl"
    alone.write_bytes(to_line(said("b", 5, "2")))
    rows = rows_of(*files)
    with pytest.raises(ModelError, match=r"mine\.jsonl:1: 2 clips are called 'b' \(corpus x, y\); name the"):
        read(alone, rows=rows)
    alone.write_bytes(to_line(SingleRating("b", 5.0, listener_id="2", corpus="y")))
    assert table(read(alone, rows=rows)[0]) == [(3, 0, "y/2", 5.0)]


def test_what_no_listener_can_give(tmp_path: Path) -> None:
    file = write(tmp_path / "x" / "train", "ab", said("a", 6, "1"), said("a", 2, "2"))
    with pytest.raises(
        ModelError, match=r"1 ratings out of range.*\n.*ratings\.jsonl:1: mos is 6, a listener"
    ):
        read(file)
    assert [vote[3] for vote in table(read(file, out_of_range="mask")[0])] == [2.0]
    assert [vote[3] for vote in table(read(file, out_of_range="clip")[0])] == [5.0, 2.0]
    rounded = write(tmp_path / "y" / "train", "a", said("a", 5 + 5e-7, "1"), said("a", 1 - 5e-7, "2"))
    assert [vote[3] for vote in table(read(rounded)[0])] == pytest.approx([5, 1])


def test_nothing_to_learn_from_is_an_error(tmp_path: Path) -> None:
    file = write(tmp_path / "x" / "train", "ab", said("z", 3, "1"))
    with pytest.raises(
        ModelError, match=r"no rating of a clip that is learned from for mos, mos_sig; found 1"
    ):
        read(file)
    file.write_text("{}\n")
    with pytest.raises(DataError, match=r"ratings\.jsonl:1: no 'sample_id'"):
        read(file)
    with pytest.raises(ModelError, match=r"data\.ratings: no file matches"):
        read_ratings([str(tmp_path / "none*.jsonl")], rows_of(file), HEADS, DataConfig())
    assert read_ratings([], rows_of(file), HEADS, DataConfig()) == (NO_RATINGS, [])


def test_labels_know_their_votes(tmp_path: Path) -> None:
    file = write(
        tmp_path / "x" / "train", "ab", said("a", 4, "1"), said("a", 2, None), said("b", 5, "1", "mos_sig")
    )
    rows = rows_of(file)
    clips = clips_of(rows, HEADS, DataConfig(), name="data.train", needed=["mos"])
    nan = pytest.approx(math.nan, nan_ok=True)
    assert clips.votes.tolist() == [[9, nan, nan], [9, nan, nan]]
    counted, told = with_votes(clips, read(file)[0])
    assert counted.votes.tolist() == [[2, nan, nan], [9, nan, 1]]
    assert counted.labels.tolist() == [[3, nan, nan], [3, nan, 5]]
    assert told == []
    assert np.array_equal(with_votes(clips, NO_RATINGS)[0].labels, clips.labels, equal_nan=True)


def test_ratings_whose_mean_is_another_one_count_and_are_told(tmp_path: Path) -> None:
    file = write(tmp_path / "x" / "train", "ab", said("a", 4, "1"), said("a", 3, None), said("b", 3.04, "1"))
    rows = rows_of(file)
    clips = clips_of(rows, ["mos"], DataConfig(), name="data.train")
    counted, told = with_votes(clips, read_ratings([str(file)], rows, ["mos"], DataConfig())[0])
    assert counted.labels[:, 0].tolist() == pytest.approx([3.5, 3.04])
    assert told == ["1 labels are not the mean of their ratings; the ratings count"]
