"""From arguments to named clips."""

from pathlib import Path

import pytest
from sqa_model import ModelError
from sqa_model.inputs import find_items, read_lines


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b/x.wav", "b/y.FLAC", "a/z.mp3", "a/notes.txt", "a b/ü.wav"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*arguments: str) -> list[str]:
    return [i.sample_id for i in find_items(arguments)]


def test_files_folders_and_globs_keep_their_order(tree: Path) -> None:
    assert names("b/y.FLAC", "b/x.wav") == ["y", "x"]
    assert names("b", "a") == ["x", "y", "z"]
    assert names(str(tree)) == ["z", "ü", "x", "y"]
    assert names("*/*.wav") == ["ü", "x"]
    assert names("absent.wav", "b/x.wav") == ["absent", "x"]  # becomes an error row later


def test_equal_stems_are_told_apart(tree: Path) -> None:
    (tree / "a/x.wav").touch()
    assert names("a/x.wav", "b/x.wav") == ["a/x", "b/x"]
    (tree / "a/x.flac").touch()
    assert names("a/x.wav", "a/x.flac") == ["x.wav", "x.flac"]
    with pytest.raises(ModelError, match="2 clips are called"):
        find_items(["a/x.wav", "a/x.wav"])


def test_manifest(tree: Path) -> None:
    (tree / "m.jsonl").write_text(
        '{"audio_path": "b/x.wav", "sample_id": "s1", "system_id": "sys", "corpus": "c", "metrics": {"mos": 3}}\n'
        '\n{"audio_path": "/abs/q.wav"}\n',
        encoding="utf-8",
    )
    first, second = find_items(["m.jsonl"])
    assert (first.key, first.audio_path) == (("c", "sys", "s1"), "b/x.wav")
    assert (second.key, second.audio_path) == ((None, None, "q"), "/abs/q.wav")


def test_list_paths_are_relative_to_the_list_or_to_here(tree: Path) -> None:
    (tree / "b/wav.scp").write_text("one x.wav\ntwo a/z.mp3\nthree a b/ü.wav\n", encoding="utf-8")
    assert [(i.sample_id, i.audio_path) for i in find_items(["b/wav.scp"])] == [
        ("one", "b/x.wav"),
        ("two", "a/z.mp3"),
        ("three", "a b/ü.wav"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.jsonl", "{", "m.jsonl:1: not JSON"),
        ("m.jsonl", '\n{"path": "x.wav"}', "m.jsonl:2: no 'audio_path'"),
        ("m.jsonl", '{"audio_path": "a", "sample_id": []}', "sample_id is"),
        ("m.jsonl", "", "no audio found"),
        (
            "m.jsonl",
            '{"audio_path": "a", "sample_id": "s"}\n{"audio_path": "b", "sample_id": "s"}',
            "2 clips",
        ),
        ("w.scp", "only-an-id", "expected 'sample_id path'"),
        ("w.scp", "id sox in.wav -t wav - |", "commands are not run"),
    ],
)
def test_bad_lists(tree: Path, name: str, text: str, message: str) -> None:
    (tree / name).write_text(text, encoding="utf-8")
    with pytest.raises(ModelError, match=message):
        find_items([name])


def test_bad_arguments(tree: Path) -> None:
    (tree / "empty").mkdir()
    for argument in ("empty", "*.nothing", "absent.jsonl"):
        with pytest.raises(ModelError, match=argument.replace("*", r"\*")):
            find_items([argument])


def test_lines_of_text(tree: Path) -> None:
    items = read_lines(["b/x.wav\n", "\n", '{"audio_path": "a/z.mp3", "sample_id": "named"}\n'])
    assert [i.sample_id for i in items] == ["x", "named"]
