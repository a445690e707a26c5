"""From archives to the corpus folder: what a kill left is finished, and clips are counted."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqa_data import DataError, get_corpus
from sqa_data.prepare.unpack import require_audio, unpack_corpus
from tiny_corpora import build


def test_killed_between_two_renames_of_the_folder(tmp_path: Path) -> None:
    """All is unpacked, and the archives may be gone."""
    folder = tmp_path / "ttsds2"
    build("ttsds2", folder)
    root = unpack_corpus(get_corpus("ttsds2"), tmp_path, drop_archives=True)
    (folder / "unpacked").rename(folder / ".unpacked.new")
    assert unpack_corpus(get_corpus("ttsds2"), tmp_path) == root
    assert not (folder / ".unpacked.new").exists()


def test_all_clips_are_enough(tmp_path: Path) -> None:
    (tmp_path / "wav").mkdir()
    for name in "ab":
        (tmp_path / "wav" / f"{name}.wav").touch()
    require_audio(replace(get_corpus("bc19"), wavs=2), tmp_path, tmp_path)
    with pytest.raises(DataError, match="found 2 of 3 clips of bc19"):
        require_audio(replace(get_corpus("bc19"), wavs=3), tmp_path, tmp_path)
