"""The row of a clip: what is known of it, and nothing that goes without saying."""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from sqa_data import DataError
from sqa_data.clip_list import ClipEntry
from sqa_data.lines import open_lines
from sqa_data.results import Row, read_results, result_line, write_results
from sqa_model import Prediction
from sqa_model.inference.score_file import make_row, rows_of_clips, rows_to_file


def test_a_row_says_what_is_known() -> None:
    clip = ClipEntry("s1/a.wav", "a", "s1", "vcc")
    prediction = Prediction({"mos": 3.5}, 61.23456, ("quiet: -60 dB of full scale",), windows=3)
    assert make_row(clip, prediction, "0123abcd/float32") == {
        "sample_id": "a",
        "system_id": "s1",
        "corpus": "vcc",
        "metrics": {"mos": 3.5},
        "audio_path": "s1/a.wav",
        "duration": 61.2346,
        "model": "0123abcd/float32",
        "windows": 3,
        "warnings": ["quiet: -60 dB of full scale"],
    }


def test_a_short_clip_and_an_error_say_less() -> None:
    row = make_row(ClipEntry("a.wav", "a"), Prediction({"mos": 3.5}, 2.0), "m")
    assert row.keys() == {"sample_id", "metrics", "audio_path", "duration", "model"}
    row = make_row(ClipEntry("a.wav", "a"), Prediction(error="a.wav: no such file"), "m")
    assert row["error"] == "a.wav: no such file"
    assert "metrics" not in row


class Threes:
    """Stands for a predictor: every clip has a MOS of 3."""

    mark = "m/float32"

    def stream(self, clips: Sequence[ClipEntry]) -> Iterator[Prediction]:
        return (Prediction({"mos": 3.0}, 1.0) for _ in clips)


CLIPS = [ClipEntry(f"{name}.wav", name) for name in "abc"]


def resume(path: Path, count: int = 9) -> list[Any]:
    """The rows of a resume that is stopped after `count` of them."""
    threes: Any = Threes()
    found = rows_to_file(CLIPS, lambda some: rows_of_clips(some, threes), threes.mark, path, resume=True)
    return list(islice(found, count))


def test_a_resume_that_is_stopped_leaves_one_row_a_clip(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    failed = [make_row(clip, Prediction(error="no"), "m/float32") for clip in CLIPS]
    write_results(path, failed)
    resume(path, count=1)
    assert [row["sample_id"] for row in read_results(path)] == ["a"]
    assert [row["sample_id"] for row in resume(path)] == ["b", "c"]
    assert [row["sample_id"] for row in read_results(path)] == ["a", "b", "c"]


def test_a_resume_reads_once_and_writes_anew_only_what_must_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, read = tmp_path / "r.jsonl", []
    monkeypatch.setattr(
        "sqa_data.results.open_lines", lambda path: read.append(path) or open_lines(path), raising=True
    )
    good = [make_row(clip, Prediction({"mos": 2.0}), "m/float32") for clip in CLIPS]

    def after(*rows: Row, end: bytes = b"") -> tuple[int, bool]:
        """How often a resume after these rows reads the file, and whether it is another file then."""
        write_results(path, rows)
        path.write_bytes(path.read_bytes() + end)
        read.clear()
        with path.open("rb"):  # else its number may come again
            before = path.stat().st_ino
            resume(path)
            after = path.stat().st_ino
        assert [row["sample_id"] for row in read_results(path)] == ["a", "b", "c"]
        return len(read) - 1, before != after

    assert after(*good) == (1, False)
    assert after(*good[:2]) == (1, False)
    assert after(*good[1:]) == (1, True)  # out of order in the end
    assert after(*good, end=b'{"sample') == (2, True)
    assert after(good[0], *good) == (2, True)
    assert after(good[0], make_row(CLIPS[1], Prediction(error="no"), "m/float32")) == (2, True)


def test_a_last_row_without_its_end_is_held_to_the_same_rules(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    line = result_line(make_row(CLIPS[0], Prediction({"mos": 2.0}), "m/float32")).rstrip()
    path.write_bytes(line)
    assert [row["sample_id"] for row in resume(path)] == ["b", "c"]
    assert [row["metrics"]["mos"] for row in read_results(path)] == [2.0, 3.0, 3.0]
    foreign = line.replace(b"m/float32", b"x/float32")
    path.write_bytes(foreign)
    with pytest.raises(DataError, match="was scored by model x/float32"):
        resume(path)
    assert path.read_bytes() == foreign
