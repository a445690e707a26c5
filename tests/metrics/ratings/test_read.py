"""Ratings from files and columns: what is read, averaged, counted and refused."""

import io
import math
from pathlib import Path

import numpy as np
import pytest
from sqa_metrics import MetricsError, read_scores
from sqa_metrics.ratings import Ratings, ratings_of, read_ratings

HEAD = "sample_id,listener_id,score\n"


def read(text: str, **options: object) -> Ratings:
    return read_ratings(io.BytesIO(text.encode()), **options)  # type: ignore[arg-type]


def test_a_file_gives_what_score_reads_of_it(shared: Path) -> None:
    for file in sorted((shared / "cases" / "scores").glob("ratings_*.csv")):
        found, expected = read_ratings(file), read_scores(file, role="ref")
        assert [name for _, name in found.clips] == expected.sample_id
        assert found.votes.mos.tolist() == pytest.approx(expected.value)
        assert found.votes.of_clip.tolist() == expected.votes
        assert np.sqrt(found.votes.variance).tolist() == pytest.approx(expected.std)


def test_columns_as_published(shared: Path) -> None:
    found = read_ratings(shared / "data" / "labels" / "vmc24_track3_listener_wise.csv", "ovr")
    assert (len(found.votes), len(found.raters), len(found.clips)) == (1400, 10, 280)


def test_json_lines_with_systems_and_corpora() -> None:
    rows = ['{"corpus": "a", "system_id": "s1", "sample_id": "u1", "listener_id": 7, "rating": 3}']
    rows += ['{"corpus": "b", "system_id": "s1", "sample_id": "u1", "listener_id": 7, "rating": 5}']
    found = read("\n".join(rows))
    assert found.clips == [("a", "u1"), ("b", "u1")]
    assert found.systems == [("a", "s1"), ("b", "s1")]
    # 7 may be two people, as tests number their listeners
    assert (found.system.tolist(), found.raters) == ([0, 1], ["a/7", "b/7"])
    assert read(rows[0]).raters == ["7"]


def test_order_of_rows_changes_nothing_but_the_order() -> None:
    rows = [f"u{c},r{r},{1 + (3 * c + r) % 5}" for c in range(7) for r in range(4)]
    mixed = np.random.default_rng(0).permutation(rows).tolist()
    one, other = read(HEAD + "\n".join(rows)), read(HEAD + "\n".join(mixed))
    means = [dict(zip(r.clips, r.votes.mos, strict=True)) for r in (one, other)]
    assert means[0] == means[1]
    assert [c for _, c in other.clips] == list(dict.fromkeys(row.split(",")[0] for row in mixed))


def test_again_is_one_vote_and_kept() -> None:
    found = read(HEAD + "u1,a,3\nu1,b,1\nu1,a,4\nu2,a,2\nu1,a,5\n")
    assert (found.votes.mos.tolist(), found.votes.of_clip.tolist()) == ([2.5, 2], [2, 1])
    assert found.again.tolist() == [[3, 4]]
    assert found.again_variance == pytest.approx(np.var([3, 4, 5], ddof=1))
    assert "2 ratings are of a clip that the rater had scored before" in found.notes[0]


def test_missing_scores_are_counted() -> None:
    found = read(HEAD + "u1,a,3\nu1,b,\nu2,a,\nu1,c,nan\n")
    assert found.votes.of_clip.tolist() == [1, 0]
    assert "3 of 4 ratings have no score, the first of 'u1' by 'b'" in found.notes[0]
    assert "1 of 2 clips have no score at all" in found.notes[1]


def test_systems_by_utt2sys() -> None:
    found = read(HEAD + "u1.wav,a,3\nu2,a,4\n", utt2sys={"u1": "x", "u2": "y", "u1.wav": "x"})
    assert [system for _, system in found.systems] == ["x", "y"]
    with pytest.raises(MetricsError, match="<file>:3: sample_id 'u2' is not in utt2sys"):
        read(HEAD + "u1,a,3\nu2,a,4\n", utt2sys={"u1": "x"})


def test_systems_that_repeat_the_clip_are_none() -> None:
    found = read("sample_id,system_id,listener_id,score\nu1,u1,a,3\nu2,u2,a,4\n")
    assert (found.systems, found.system.tolist()) == ([], [-1, -1])
    assert "system_id only repeats sample_id" in found.notes[0]


@pytest.mark.parametrize(
    ("scores", "scale"),
    [("12345", (1, 5)), ("01", (0, 1)), ("17", (1, 7)), ("33", (1, 5))],
)
def test_scale_is_found(scores: str, scale: tuple[float, float]) -> None:
    assert read(HEAD + "".join(f"u{k},a,{s}\n" for k, s in enumerate(scores))).scale == scale


def test_scale_is_given() -> None:
    assert read(HEAD + "u1,a,3\n", scale=(0, 10)).scale == (0, 10)
    assert read(HEAD + "u1,a,63.5\n").scale == (0, 100)
    assert read(HEAD + "u1,a,-2\n").scale == (-3, 3)


def test_a_slip_that_widens_the_scale_is_told() -> None:
    votes = "".join(f"u{k % 5},r{k},{1 + k % 5}\n" for k in range(39))
    found = read(HEAD + votes + "u1,r40,44\n")
    assert found.scale == (0, 100)
    assert found.notes[-1] == (
        "<file>: 1 of 40 scores are off 1..5, the first 44 of 'u1' by 'r40', so the scale is taken to be 0..100; "
        "--scale LOW..HIGH names it"
    )
    assert read(HEAD + votes + "u1,r40,44\n", scale="0..100").notes == ()
    # many such scores are no slips
    assert read(HEAD + votes[:90] + "".join(f"u1,s{k},44\n" for k in range(3))).notes == ()


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "<file>: no rows"),
        (HEAD, {}, "<file>: no rows"),
        (
            "u1,3\nu2,4\n",
            {},
            "<file>:1: no rater; expected who gave each score, in one of the columns listener_id",
        ),
        (HEAD + "u1,a,3\nu1,,4\n", {}, "<file>:3: no rater; expected who gave each score$"),
        (HEAD + "u1,a,good\n", {}, "<file>:2: score is 'good', expected a number"),
        (HEAD + "u1,a,\n", {}, "<file>: none of 1 ratings has a score"),
        (HEAD + "u1,a,7\n", {"scale": (1, 5)}, r"<file>: scores from 7 to 7; expected 1\.\.5"),
        (HEAD + "u1,a,-5\nu1,b,3\n", {}, "<file>: scores from -5 to 3; expected .* --scale LOW..HIGH"),
        (HEAD + "u1,a,3\n", {"scale": (5, 1)}, r"scale is \(5, 1\); expected LOW\.\.HIGH"),
        (
            HEAD + "u1,a,3\n",
            {"scale": "pred:1..5"},
            r"scale is 'pred:1..5'; expected LOW\.\.HIGH .* no predictions",
        ),
        (HEAD + "u1,a,3\n", {"metric": "sig"}, "no metric"),
    ],
)
def test_refused(text: str, options: dict[str, object], message: str) -> None:
    if options.get("metric"):
        text = text.replace("score", "ovr")
    with pytest.raises(MetricsError, match=message):
        read(text, **options)


def test_columns_in_memory() -> None:
    found = ratings_of(
        ["u1", "u2"], ["a", "a"], np.array([3.0, math.nan]), system=["x", "y"], corpus=["c", "c"]
    )
    assert (found.clips, found.systems) == ([("c", "u1"), ("c", "u2")], [("c", "x"), ("c", "y")])
    arrays = [np.array(column) for column in (["u1", "u2"], ["a", "b"], [3.0, 4.0], ["x", "y"])]
    assert ratings_of(*arrays[:3], system=arrays[3]).systems == [("", "x"), ("", "y")]  # type: ignore[arg-type]
    with pytest.raises(MetricsError, match="listener has 1 rows, score has 2"):
        ratings_of(["u1", "u2"], ["a"], [3, 4])
    with pytest.raises(ValueError, match=r"score\[1\] is None"):
        ratings_of(["u1", "u2"], ["a", "a"], [3, None])  # type: ignore[list-item]
