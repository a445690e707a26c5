"""What stands in the files of a `prepare`: ratings, pairs, counts, and the first problems in the message."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from commands import rows
from sqa_data import DataError, Utterance, get_corpus
from sqa_data.audio import AudioInfo
from sqa_data.corpus import Rating, Split
from sqa_data.pairs import Pair
from sqa_data.prepare.writer import Fault, Writer

SECOND = AudioInfo(16000, 16000, 1)
SPLITS = {"a": Split(None), "b": Split(None)}


def utterance(split: str, sample_id: str) -> Utterance:
    return Utterance(f"/{sample_id}.wav", sample_id, 0, {}, split=split)


def written(
    folder: Path,
    *clips: tuple[str, str, AudioInfo | Fault],
    pairs: Iterable[Pair] = (),
    ratings: Iterable[Rating] = (),
) -> Writer:
    """What a corpus of two splits says of these clips, each of which has the ratings."""
    with ExitStack() as files:
        writer = Writer(replace(get_corpus("pstn"), splits=SPLITS, sample_rates=()), folder, files, False)
        list(writer.of_clips(pairs))
        for split, sample_id, audio in clips:
            writer.add(utterance(split, sample_id), list(ratings), audio)
        writer.finish(partial=True)
    return writer


def test_a_rating_says_what_was_asked(tmp_path: Path) -> None:
    ratings = [
        Rating("a", "x.wav", "x", "s", "l", value, label)
        for value, label in ((2.0, "mos_sig"), (3.0, "mos_bak"))
    ]
    writer = written(tmp_path, ("a", "x", SECOND), ("a", "y", SECOND), ratings=ratings)
    assert [(row["label"], row["rating"]) for row in rows(tmp_path / "a" / "ratings.jsonl")] == 2 * [
        ("mos_sig", 2.0),
        ("mos_bak", 3.0),
    ]
    assert writer.counts["a"].ratings == 4


def test_a_pair_is_of_clips_of_its_own_split(tmp_path: Path) -> None:
    pairs = [Pair("x", "y", preference="a", split=split) for split in ("a", "b")]
    clips = [("a", "x", SECOND), ("b", "x", SECOND), ("b", "y", SECOND)]
    writer = written(tmp_path, *clips, pairs=pairs)
    assert (writer.counts["a"].pairs, writer.counts["b"].pairs) == (0, 1)
    assert not (tmp_path / "a" / "pairs.jsonl").exists()
    (problem,) = rows(tmp_path / "problems.jsonl")
    assert (problem["problem"], problem["split"], problem["sample_id"]) == ("pair", "a", "y")


def test_the_first_three_problems_of_a_kind_are_told(tmp_path: Path) -> None:
    clips = [("a", f"x{i}", Fault(kind, "odd")) for kind in ("missing", "empty") for i in range(5)]
    with pytest.raises(DataError) as error:
        written(tmp_path, *clips)
    told = [line for line in str(error.value).splitlines() if ".wav" in line]
    assert told == [f"  {kind}: /x{i}.wav: odd" for kind in ("missing", "empty") for i in range(3)]
