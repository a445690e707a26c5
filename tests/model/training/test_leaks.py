"""Clips that are learned from and measured on: by their corpora, by path, and as copies."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqa_data import get_corpus
from sqa_data.corpus import related
from sqa_model.training.clips import Clips
from sqa_model.training.leaks import find_leaks


def clips(*paths: Path, corpus: str = "mine") -> Clips:
    n = len(paths)
    return Clips(
        paths=list(map(str, paths)),
        sample_ids=[path.stem for path in paths],
        system_ids=[None] * n,
        corpora=(corpus,),
        corpus=np.zeros(n, int),
        seconds=np.ones(n),
        labels=np.ones((n, 1), np.float32),
        votes=np.ones((n, 1), np.float32),
    )


def written(folder: Path, **contents: bytes) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def test_files_are_the_same_by_whatever_path(tmp_path: Path) -> None:
    a, b, c, d = written(tmp_path / "wavs", a=b"1", b=b"22", c=b"333", d=b"4444")
    (tmp_path / "link").symlink_to(tmp_path / "wavs")
    linked = [tmp_path / "link" / path.name for path in (b, c, d)]
    assert find_leaks(clips(a, b, c), clips(*linked)) == [
        "2 of the 3 clips for development are trained on too"
    ]
    assert find_leaks(clips(a, b, c), clips(d)) == []
    told = ["1 of the 1 clips for development are trained on too"]
    assert find_leaks(clips(tmp_path / "wavs" / "gone"), clips(tmp_path / "link" / "gone")) == told


def test_a_copy_is_the_same_and_what_agrees_in_part_is_not(tmp_path: Path) -> None:
    silence = bytes(20_000)
    (speech,) = written(tmp_path / "train", speech=b"a" + silence + b"b")
    same, other, short = written(
        tmp_path / "dev", same=b"a" + silence + b"b", other=b"a" + silence + b"c", short=silence
    )
    assert find_leaks(clips(speech), clips(other, short)) == []
    assert find_leaks(clips(speech), clips(same, other)) == [
        "1 of the 2 clips for development are trained on too"
    ]
    (again,) = written(tmp_path / "again", again=same.read_bytes())
    assert find_leaks(clips(speech), clips(same, again, other)) == [
        "2 of the 3 clips for development are trained on too"
    ]
    assert find_leaks(clips(speech, tmp_path / "gone"), clips(tmp_path / "gone too")) == []


def test_only_what_agrees_so_far_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train = written(tmp_path / "train", a=os.urandom(9000), b=os.urandom(9001))
    dev = written(tmp_path / "dev", c=os.urandom(9000))
    read: list[str] = []
    monkeypatch.setattr("sqa_model.training.leaks._digest", lambda path: read.append(path))
    assert find_leaks(clips(*train), clips(*dev)) == []
    assert read == []


def test_corpora_that_hold_each_other_leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = replace(get_corpus("nisqa"), contains=("bvcc",))
    known = (holder, get_corpus("bvcc"))
    monkeypatch.setattr("sqa_data.corpus.list_corpora", lambda: known)
    a, b = written(tmp_path / "wavs", a=b"1", b=b"22")
    told = "nisqa (learned from) and bvcc (measured on) both have clips of bvcc"
    assert find_leaks(clips(a, corpus="nisqa"), clips(b, corpus="bvcc")) == [told]
    assert find_leaks(clips(a, corpus="bvcc"), clips(b, corpus="bvcc")) == []
    assert find_leaks(clips(a, corpus="bvcc"), clips(b, corpus="mine")) == []


def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    """It would wait for ever; a clip that is none is told when it is read."""
    os.mkfifo(tmp_path / "pipe")
    (empty,) = written(tmp_path / "wavs", empty=b"")
    assert find_leaks(clips(empty), clips(tmp_path / "pipe")) == []


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("vmc24-zoomed", "bvcc", True),
        ("qualispeech", "bvcc", True),
        (
            "vmc24-zoomed",
            "qualispeech",
            True,
        ),  # the audio of the one is that of bvcc, whose clips the other holds
        ("qualispeech", "somos", False),
        ("vmc24-zoomed", "somos", False),
        ("mine", "bvcc", False),
        ("mine", "mine", True),
    ],
)
def test_which_corpora_hold_each_others_clips(a: str, b: str, expected: bool) -> None:
    assert related(a, b) is expected
    assert related(b, a) is expected


def test_a_copy_of_a_clip_that_is_shared_is_counted_too(tmp_path: Path) -> None:
    shared, copy, other = written(tmp_path / "wavs", shared=b"1234", copy=b"1234", other=b"5678")
    assert find_leaks(clips(shared), clips(shared, copy, other)) == [
        "2 of the 3 clips for development are trained on too"
    ]
