"""From arguments to named clips: nothing lost in silence, nothing unwanted, names as the system has them."""

import os
from pathlib import Path

import pytest
from sqa_data import DataError
from sqa_data.clip_list import ClipEntry, ClipList, clips_of_text, list_clips

NOT_UTF8 = os.fsdecode(b"b\xe4r.wav")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("b/x.wav", "b/y.FLAC", "a/z.mp3", "a/notes.txt", "a b/ü.wav"):
        touch(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def names(*arguments: str) -> list[str]:
    return [clip.sample_id for clip in list_clips(arguments).entries]


def paths(listed: ClipList) -> list[str]:
    return [clip.audio_path for clip in listed.entries]


def test_files_folders_and_globs_keep_their_order(tree: Path) -> None:
    assert names("b/y.FLAC", "b/x.wav") == ["y", "x"]
    assert names("b", "a") == ["x", "y", "z"]
    assert names(str(tree)) == ["z", "ü", "x", "y"]
    assert paths(list_clips(["."])) == ["a/z.mp3", "a b/ü.wav", "b/x.wav", "b/y.FLAC"]
    assert paths(list_clips(["./b//"])) == ["b/x.wav", "b/y.FLAC"]
    assert names("*/*.wav") == ["ü", "x"]
    assert names("absent.wav", "b/x.wav") == ["absent", "x"]  # becomes an error row later


def test_a_glob_enters_folders_and_hides_no_broken_link(tree: Path) -> None:
    (tree / "b" / "gone.wav").symlink_to("nowhere.wav")
    assert paths(list_clips(["b*"])) == ["b/x.wav", "b/y.FLAC"]
    assert paths(list_clips(["b/*"])) == ["b/gone.wav", "b/x.wav", "b/y.FLAC"]
    assert sorted(paths(list_clips(["b/**"]))) == ["b/gone.wav", "b/x.wav", "b/y.FLAC"]  # each once
    touch(tree / "[1].wav")
    assert names("[1].wav") == ["[1]"]  # a file of this name comes before a pattern


def test_what_a_folder_holds_besides_audio_is_counted_and_named(tree: Path) -> None:
    """B5: audio of every suffix, hidden files left alone, linked folders entered once, the rest told."""
    folder = tree / "f"
    for name in ("1.m4a", "2.aifc", "3.wave", "4.WAV", "sub/5.oga", "._a.wav", ".ipynb_checkpoints/6.wav"):
        touch(folder / name)
    for name in ("a.txt", "b.txt", "c.lab", "d.csv", "wav"):
        touch(folder / name)
    touch(tree / "far" / "7.wav")
    (folder / "0far").symlink_to(tree / "far")
    (folder / "again").symlink_to(tree / "far")
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "gone.wav").symlink_to("nowhere.wav")
    (folder / "self.wav").symlink_to("self.wav")
    os.mkfifo(folder / "pipe.wav")
    listed = list_clips(["f"])
    assert paths(listed) == [
        "f/0far/7.wav",
        *(f"f/{n}" for n in ("1.m4a", "2.aifc", "3.wave", "4.WAV", "sub/5.oga")),
    ]
    over = listed.passed_over
    assert dict(over.counts) == {
        "hidden": 2,
        "not audio": 5,
        "link to nothing": 2,
        "not a regular file": 1,
        "folder met before": 2,
    }
    assert "5 not audio (f/a.txt, f/b.txt, f/c.lab, ...)" in str(over)
    assert "2 hidden (f/._a.wav, f/.ipynb_checkpoints)" in str(over)
    assert "2 folder met before (f/again, f/sub/up)" in str(over)
    assert not list_clips(["b"]).passed_over
    assert str(list_clips(["b"]).passed_over) == ""


def test_a_folder_given_twice_by_link_goes_by_its_own_name(tree: Path) -> None:
    """What 0.1.0, which entered no links, has called the clips of the real folder is what they are called."""
    (tree / "0").symlink_to("b")
    assert paths(list_clips(["."])) == ["a/z.mp3", "a b/ü.wav", "b/x.wav", "b/y.FLAC"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_read_is_named(tree: Path) -> None:
    (tree / "b").chmod(0)
    over = list_clips(["."]).passed_over
    (tree / "b").chmod(0o755)
    assert "1 unreadable: Permission denied (b)" in str(over)


def test_names_that_are_not_utf8(tree: Path) -> None:
    """B4: they are found, and listed by text, as the bytes that they are."""
    touch(tree / "n" / NOT_UTF8)
    assert list_clips(["n"]).entries == [ClipEntry(f"n/{NOT_UTF8}", NOT_UTF8[:-4])]
    (tree / "wav.scp").write_bytes(b"id\xe4 n/b\xe4r.wav\n")
    assert list_clips(["wav.scp"]).entries == [ClipEntry(f"n/{NOT_UTF8}", os.fsdecode(b"id\xe4"))]
    assert clips_of_text(b"n/b\xe4r.wav\n").entries == list_clips(["n"]).entries
    (tree / "m.jsonl").write_text('{"audio_path": "n/b\\udce4r.wav"}\n')
    assert list_clips(["m.jsonl"]).entries == list_clips(["n"]).entries


def test_equal_stems_are_told_apart(tree: Path) -> None:
    touch(tree / "a/x.wav")
    assert names("a/x.wav", "b/x.wav") == names("a", "b/x.wav")[::2] == ["a/x", "b/x"]
    touch(tree / "a/x.flac")
    assert names("a/x.wav", "a/x.flac") == ["x.wav", "x.flac"]
    path = "a/x.wav"
    with pytest.raises(DataError, match=r"2 clips are called 'x.wav': a/x.wav; names must differ"):
        list_clips([path, path])


def test_manifest(tree: Path) -> None:
    (tree / "m.jsonl").write_text(
        '{"audio_path": "b/x.wav", "sample_id": "s1", "system_id": 15, "corpus": "c", "metrics": {"mos": 3}}\n'
        '\n{"audio_path": "/abs/q.wav", "sample_id": ""}\r\n{"audio_path": "c/v.wav", "uid": "c0:f1"}',
        encoding="utf-8",
    )
    first, second, third = list_clips(["m.jsonl"]).entries
    assert (first.key, first.audio_path) == (("c", "15", "s1"), "b/x.wav")
    assert (second.key, second.audio_path) == ((None, None, "q"), "/abs/q.wav")
    assert third == ClipEntry("c/v.wav", "c0:f1")


def test_the_files_of_urgentmos(shared: Path) -> None:
    folder = shared / "cases" / "lists"
    assert names(str(folder / "urgentmos_uid.jsonl")) == ["c0:f1", "c1:f2"]
    pair = list_clips([str(folder / "urgentmos_pairs.jsonl")])
    assert paths(pair) == [str(folder / "c0_f1.wav"), str(folder / "c1_f1.wav")]
    assert [clip.sample_id for clip in pair.entries] == ["c0_f1", "c1_f1"]


def test_the_clips_of_pairs_are_listed_once(tree: Path) -> None:
    rows = (
        '{"audio_paths": ["s0/f.wav", "s1/f.wav"], "corpus": "c"}\n'
        '{"audio_paths": ["s1/f.wav", "s2/f.wav"], "corpus": "c"}\n'
    )
    (tree / "p.jsonl").write_text(rows)
    entries = [ClipEntry(f"s{i}/f.wav", f"s{i}/f", corpus="c") for i in range(3)]
    assert list_clips(["p.jsonl"]).entries == entries
    assert clips_of_text(rows.encode()).entries == entries


def test_list_paths_are_relative_to_the_list_or_to_here(tree: Path) -> None:
    touch(tree / "x.wav")  # the one beside the list comes first
    (tree / "b/wav.scp").write_text(
        "one x.wav\ntwo a/z.mp3\nthree a b/ü.wav\nfour gone.wav\n", encoding="utf-8"
    )
    assert [(i.sample_id, i.audio_path) for i in list_clips(["b/wav.scp"]).entries] == [
        ("one", "b/x.wav"),
        ("two", "a/z.mp3"),
        ("three", "a b/ü.wav"),
        ("four", "b/gone.wav"),
    ]


def test_marks_tabs_and_line_ends(shared: Path, tree: Path) -> None:
    """B19, and U+2028 in an id, which ends no line."""
    folder = shared / "cases" / "lists"
    assert names(str(folder / "bom.scp")) == ["id1", "id2"]
    assert names(str(folder / "bom.jsonl")) == ["id1"]
    assert names(str(folder / "tab.scp")) == ["id1"]
    assert names(str(folder / "line_separator_in_id.jsonl")) == ["a\u2028b"]
    (tree / "w.scp").write_bytes(b"\xef\xbb\xbfone\t b/x y.wav \r\n\r\ntwo\xc2\xa0\xe2\x80\xa8 b/y.FLAC")
    assert [(c.sample_id, c.audio_path) for c in list_clips(["w.scp"]).entries] == [
        ("one", "b/x y.wav"),
        ("two\u00a0\u2028", "b/y.FLAC"),
    ]
    assert clips_of_text(b"\xef\xbb\xbfb/x.wav\r\n").entries == [ClipEntry("b/x.wav", "x")]


DEEP = '{"audio_path": "a", "x": ' + "[" * 100_000 + "]" * 100_000 + "}"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.jsonl", "{", "m.jsonl:1: not JSON"),
        ("m.jsonl", "[]", "m.jsonl:1: found list"),
        ("m.jsonl", '\n{"path": "x.wav"}', "m.jsonl:2: no 'audio_path'"),
        ("m.jsonl", '{"audio_path": "a", "sample_id": []}', "m.jsonl:1: sample_id is"),
        ("m.jsonl", '{"audio_path": "a", "sample_id": 1.5}', "m.jsonl:1: sample_id is 1.5"),
        ("m.jsonl", '{"audio_path": "a", "system_id": true}', "m.jsonl:1: system_id is True"),
        ("m.jsonl", '{"audio_path": 3}', "m.jsonl:1: audio_path is 3; expected a path"),
        ("m.jsonl", '{"audio_path": "a\\u0000b"}', r"m.jsonl:1: audio_path is 'a\\x00b'; expected a path"),
        ("m.jsonl", '{"audio_path": "\\ud800.wav"}', r"m.jsonl:1: a lone surrogate, \\ud800"),
        ("m.jsonl", '{"audio_paths": ["a"]}', r"m.jsonl:1: audio_paths is \['a'\]; expected two"),
        ("m.jsonl", DEEP, "m.jsonl:1: nested too deeply"),
        ("m.jsonl", "", "m.jsonl: no clip; expected one a line: the file was cut"),
        (
            "m.jsonl",
            '{"audio_path": "a", "sample_id": "s"}\n{"audio_path": "b", "sample_id": "s"}',
            "2 clips are called 's': a, b",
        ),
        ("w.scp", "only-an-id", "w.scp:1: found 'only-an-id'; expected an id and a value"),
        ("w.scp", "id a\0b", "w.scp:1: found"),
        ("w.scp", "id sox in.wav -t wav - |", "w.scp:1: a command, .* commands are not run"),
    ],
)
def test_bad_lists(tree: Path, name: str, text: str, message: str) -> None:
    (tree / name).write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        list_clips([name])


def test_bad_arguments(tree: Path) -> None:
    (tree / "empty").mkdir()
    os.mkfifo(tree / "pipe.jsonl")
    for argument in ("empty", "*.nothing", "absent.jsonl", "pipe.jsonl"):
        with pytest.raises(DataError, match=argument.replace("*", r"\*")):
            list_clips([argument])
    touch(tree / "texts" / "a.txt")
    with pytest.raises(
        DataError, match=r"texts: no audio found; .* \(passed over: 1 not audio \(texts/a.txt\)\)"
    ):
        list_clips(["texts"])


def test_lines_of_text(tree: Path) -> None:
    listed = clips_of_text(b'b/x.wav\n\n{"audio_path": "a/z.mp3", "sample_id": "named"}\n')
    assert [clip.sample_id for clip in listed.entries] == ["x", "named"]
    with pytest.raises(DataError, match="-:2: not JSON"):
        clips_of_text(b"a.wav\n{")
