"""JSON Lines: what ends a line, what is refused with its place, and names that are not UTF-8 both ways."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqa_data import DataError
from sqa_data import lines as module
from sqa_data.lines import (
    Wrong,
    id_text,
    json_line,
    open_lines,
    parse_object,
    paths_of,
    sample_id_of,
    spaced_json_line,
)


def lines(path: Path, content: bytes) -> list[tuple[int, bytes]]:
    path.write_bytes(content)
    return list(open_lines(path))


def test_what_ends_a_line(tmp_path: Path) -> None:
    path = tmp_path / "x"
    assert lines(path, b"a\r\n\n  \t\nb\rc\x0b\x0c\xe2\x80\xa8d\n\x1ce") == [
        (1, b"a\r\n"),
        (4, b"b\rc\x0b\x0c\xe2\x80\xa8d\n"),
        (5, b"\x1ce"),
    ]
    assert lines(path, b"") == []
    assert lines(path, b"\xef\xbb\xbfa\n\xef\xbb\xbfb") == [(1, b"a\n"), (2, b"b")]
    assert lines(path, b"\xef\xbb\xbf\n\xef\xbb\xbf") == []


def test_a_line_without_end_is_no_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LONGEST", 8)
    assert lines(tmp_path / "x", b"1234567\n123456\n") == [(1, b"1234567\n"), (2, b"123456\n")]
    with pytest.raises(DataError, match=r"x:2: a line of over 8 bytes"):
        lines(tmp_path / "x", b"1\n12345678\n")


def test_lines_may_have_64_mebibytes(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    os.truncate(tmp_path / "x", (64 << 20) + 1)
    with pytest.raises(DataError, match=r"x:1: a line of over 67,108,864 bytes; expected a text file"):
        next(open_lines(tmp_path / "x"))
    os.truncate(tmp_path / "x", 64 << 20)
    assert next(open_lines(tmp_path / "x"))[0] == 1


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """B8: an error at once, where reading would never end."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path / "link"):
        with pytest.raises(DataError, match=f"{path}: not a regular file; expected a file of lines"):
            next(open_lines(path))
    for name, said in (("none", "No such file"), ("", "Is a directory"), ("n" * 300, "File name too long")):
        with pytest.raises(DataError, match=f"{name}: cannot be read: {said}"):
            next(open_lines(tmp_path / name))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"", "not JSON"),
        (b'{"a": 1} x', "not JSON"),
        (b"[1]", "found list; expected a JSON object"),
        (b"null", "found NoneType"),
        (b"NaN", "found float"),
        (b'{"a": ' + b"9" * 5000 + b", NaN}", "not JSON"),
        (b'{"a": \xff}', "not UTF-8 text \\(byte 7 of the line\\)"),
        (b"\xff\xfe{\0}\0", "not UTF-8 text \\(byte 1 "),
        (b'{"a": "\\ud800"}', "a lone surrogate, \\\\ud800, stands for no character"),
        (b'{"a": {"b": ["\\uDFFF"]}}', "a lone surrogate, \\\\udfff"),
        (b'{"\\udc7f": 1}', "a lone surrogate, \\\\udc7f"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_object(line: bytes, message: str) -> None:
    with pytest.raises(Wrong, match=message):
        parse_object(line)


def test_what_is_read_although_it_is_not_json() -> None:
    said: list[str] = []
    row = parse_object(b'{"a": NaN, "b": [-Infinity, Infinity, NaN]}', said.append)
    assert row["a"] != row["a"]
    assert row["b"][:2] == [-np.inf, np.inf]
    assert said == [
        "-Infinity, Infinity, NaN is not JSON; expected null, or no entry, where there is no value"
    ]
    assert parse_object(b'{"a": "\\udce4"}', said.append) == {"a": "\udce4"}  # a byte of a file's name
    assert parse_object(b'{"a": "\\ud83d\\ude00"}', said.append) == {"a": "\U0001f600"}
    assert len(said) == 1
    assert parse_object(b'{"a": 1, "a": 2}') == {"a": 2}  # of doubled keys the last, as everywhere


@settings(deadline=None)
@given(st.binary(max_size=12), st.text(max_size=5))
def test_every_file_name_survives(name: bytes, text: str) -> None:
    row = {"audio_path": os.fsdecode(name), text: [1, None, {"ü": text}]}
    for line in (json_line(row), spaced_json_line(row)):
        assert line.endswith(b"\n")
        assert line.count(b"\n") == 1
        assert line.decode("utf-8")
        assert json.loads(line) == row
        again = parse_object(line)
        assert again == row
        assert os.fsencode(again["audio_path"]) == name


def test_what_is_written() -> None:
    assert json_line({"a": np.float64(1.5), "b": np.int64(3)}) == b'{"a":1.5,"b":3}\n'
    assert json_line({"a": 10**30}) == b'{"a":1000000000000000000000000000000}\n'
    assert spaced_json_line({"a": "ü\u2028", "b": 1}) == '{"a": "ü\u2028", "b": 1}\n'.encode()
    deep: list[object] = []
    for _ in range(500):  # more levels than orjson writes, fewer than it reads
        deep = [deep]
    assert parse_object(json_line({"a": deep})) == {"a": deep}
    for wrong in ({"sample_id": "s", "a": float("nan")}, {"sample_id": "s", "a": object()}):
        with pytest.raises(DataError, match="'s': cannot be written as JSON"):
            spaced_json_line(wrong)


def test_ids() -> None:
    assert [id_text("k", value) for value in (None, "", "015", 15, -1, 10**19)] == [
        None,
        None,
        "015",
        "15",
        "-1",
        "10000000000000000000",
    ]
    for value in (True, 1.5, [], {}):
        with pytest.raises(Wrong, match=r"k is .*; expected a string"):
            id_text("k", value)
    assert sample_id_of({"sample_id": "s", "uid": "u"}) == "s"
    assert sample_id_of({"sample_id": 15}) == "15"
    assert sample_id_of({"sample_id": None, "uid": 7}) == sample_id_of({"sample_id": "", "uid": 7}) == "7"
    assert sample_id_of({}) is sample_id_of({"sample_id": ""}) is None


def test_paths() -> None:
    assert paths_of({"audio_path": "a", "audio_paths": 3}) == ["a"]
    assert paths_of({"audio_paths": ["a", "b"]}) == ["a", "b"]
    for row, said in (
        ({}, "no 'audio_path'"),
        ({"audio_path": ""}, "audio_path is ''"),
        ({"audio_path": "a\0"}, "audio_path is "),
        ({"audio_paths": ["a", None]}, "audio_paths is None; expected a path"),
        ({"audio_paths": ["a", "b", "c"]}, "expected two paths"),
        ({"audio_paths": "ab"}, "expected two paths"),
    ):
        with pytest.raises(Wrong, match=said):
            paths_of(row)


def test_a_regular_file_is_closed_again(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"a\nb\n")
    reader = open_lines(tmp_path / "x")
    next(reader)
    reader.close()
    held = [fd for fd in Path("/proc/self/fd").iterdir() if os.path.realpath(fd) == str(tmp_path / "x")]
    assert not held
