"""What is written is there whole, or what was there before is."""

import os
from pathlib import Path

import pytest
from sqa_metrics import MetricsError
from sqa_metrics.files import write_whole


def test_a_file_takes_the_place_of_another(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    for text in ("one", "two: ü"):
        write_whole(out, text)
        assert out.read_text(encoding="utf-8") == text
    assert [file.name for file in tmp_path.iterdir()] == ["out.txt"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    write_whole(out, "one")
    with pytest.raises(UnicodeEncodeError):
        write_whole(out, "two \udc80")
    assert out.read_text(encoding="utf-8") == "one"
    assert [file.name for file in tmp_path.iterdir()] == ["out.txt"]


@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_only_a_file_is_written_over(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    os.mkfifo(out) if kind == "pipe" else out.mkdir()
    with pytest.raises(MetricsError, match="out: is a folder or a device; expected the name of a file"):
        write_whole(out, "text")
    assert not out.is_file()


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(MetricsError, match=r"a/b: its folder does not exist; make it first"):
        write_whole(tmp_path / "a" / "b", "text")
