"""JSON Lines, the form of manifests, lists, results and logs: one object a line, read and written here alone.

Lines end with \\n or \\r\\n and with nothing else: U+2028 and its kin may stand in a name. Names of files are bytes,
and some are not UTF-8: what Python makes of such a byte (U+DC80..U+DCFF, `surrogateescape`) is written as the escape
`\\udcXX`, which is JSON, and comes back as it was. Any other lone surrogate stands for nothing and is refused.
"""

import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import IO, Any

import orjson

from sqa_data.errors import DataError

BOM = b"\xef\xbb\xbf"  # some editors of Windows begin a file with it
LONGEST = 1 << 26  # bytes of a line; what is longer is no list but some other file

JsonObject = dict[str, Any]


class Wrong(Exception):
    """What is wrong with a line: what was found and what was expected, without the place."""


def open_lines(path: str | Path) -> Iterator[tuple[int, bytes]]:
    """`text_lines` of a file; `DataError` if it cannot be read, or is not regular: a pipe or a device may never end."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise DataError(f"{path}: not a regular file; expected a file of lines of text")
            yield from text_lines(file, path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def text_lines(file: IO[bytes], where: str | Path) -> Iterator[tuple[int, bytes]]:
    """(number from 1, line with its end) of every line that is not blank; memory does not grow with the file.

    A byte order mark is not part of a line. Raises `DataError` for a line without end.
    """
    for number, line in enumerate(iter(partial(file.readline, LONGEST + 1), b""), start=1):
        if line.startswith(BOM):  # also where a file with one was appended to another
            line = line.removeprefix(BOM)
        if len(line) > LONGEST:
            raise DataError(f"{where}:{number}: a line of over {LONGEST:,} bytes; expected a text file")
        if line and not line.isspace():
            yield number, line


def drop_torn_end(path: Path) -> None:
    """Cut a last line that has no end, since a run was killed while writing it."""
    if path.is_file():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(path, whole)


def _at_once(path: str, flags: int) -> int:
    """Open without waiting for somebody to write into a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def parse_object(line: bytes, odd: Callable[[str], object] | None = None) -> JsonObject:
    """The JSON object of a line; `Wrong` for anything else.

    NaN and Infinity are read, since the baseline writes them, although they are not JSON; `odd` is told of them.
    """
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        row = _by_python(line, odd)
    if not isinstance(row, dict):
        raise Wrong(f"found {type(row).__name__}; expected a JSON object")
    return row


def _by_python(line: bytes, odd: Callable[[str], object] | None) -> object:
    """What orjson refuses: NaN, and the surrogates of file names."""

    constants: set[str] = set()

    def constant(name: str) -> float:
        constants.add(name)
        return float(name.replace("Infinity", "inf"))

    try:
        row = json.loads(line.decode("utf-8"), parse_constant=constant)
        if b"\\ud" in line.lower():
            json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        found = f"\\u{ord(error.object[error.start]):04x}"
        raise Wrong(f"a lone surrogate, {found}, stands for no character; expected UTF-8 text") from None
    except UnicodeDecodeError as error:
        raise Wrong(f"not UTF-8 text (byte {error.start + 1} of the line); expected JSON in UTF-8") from None
    except ValueError as error:
        raise Wrong(f"not JSON ({error}); expected one JSON object a line") from None
    except RecursionError:
        raise Wrong("nested too deeply; expected one JSON object a line") from None
    if constants and odd is not None:
        odd(
            f"{', '.join(sorted(constants))} is not JSON; expected null, or no entry, where there is no value"
        )
    return row


def json_line(row: Mapping[str, object]) -> bytes:
    """The line of an object, end included, in UTF-8; `DataError` for what JSON cannot hold.

    >>> json_line({"sample_id": "ü", "audio_path": "\\udce4.wav"})
    b'{"sample_id":"\\xc3\\xbc","audio_path":"\\\\udce4.wav"}\\n'
    """
    try:
        return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:  # surrogates, integers beyond 64 bits, over 254 levels
        return spaced_json_line(row, (",", ":"))


def spaced_json_line(row: Mapping[str, object], separators: tuple[str, str] = (", ", ": ")) -> bytes:
    """`json_line` laid out as Python's `json` does it, which results files are."""
    try:
        text = json.dumps(row, ensure_ascii=False, allow_nan=False, separators=separators)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(f"{row.get('sample_id')!r}: cannot be written as JSON: {error}") from error
    # only surrogates are not UTF-8, and the escape that this makes of one is JSON's
    return text.encode("utf-8", "backslashreplace") + b"\n"


def text_of(line: bytes) -> str:
    """A line of a list as text; bytes that are not UTF-8 are a file's name as the system has it."""
    return line.decode("utf-8", "surrogateescape").strip(" \t\r\n")


def split_line(line: bytes, where: str) -> tuple[str, str]:
    """The key and the rest of a line of one of Kaldi's tables, such as `utt1 wav/utt 1.wav`; DataError without both.

    >>> split_line(b"utt1\\twav/utt 1.wav\\n", "wav.scp:1")
    ('utt1', 'wav/utt 1.wav')
    """
    text = text_of(line)
    key, *rest = re.split(r"[ \t]+", text, maxsplit=1)
    if not rest or "\0" in text:
        raise DataError(f"{where}: found {text!r}; expected an id and a value, such as 'utt1 wav/utt1.wav'")
    return key, rest[0]


def id_text(key: str, value: object) -> str | None:
    """The text of an id, None where there is none or an empty one; numbers are read as they are written.

    >>> id_text("system_id", 15), id_text("system_id", "015"), id_text("system_id", None)
    ('15', '015', None)
    """
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, bool) or not isinstance(value, int):
        raise Wrong(f"{key} is {value!r}; expected a string")
    return str(value)


def sample_id_of(row: Mapping[str, object]) -> str | None:
    """The id of the clip in a row: its `sample_id`, or its `uid` in files of UrgentMOS; None without one."""
    return id_text("sample_id", row.get("sample_id")) or id_text("uid", row.get("uid"))


def paths_of(row: Mapping[str, object]) -> list[str]:
    """The audio of a row: its `audio_path`, or both of its `audio_paths` in pairs of UrgentMOS."""
    path, paths = row.get("audio_path"), row.get("audio_paths")
    if path is None and isinstance(paths, list) and len(paths) == 2:
        return [_path("audio_paths", path) for path in paths]
    if path is None and paths is not None:
        raise Wrong(f"audio_paths is {paths!r}; expected two paths")
    if path is None:
        raise Wrong('no \'audio_path\'; expected an object such as {"audio_path": "a.wav"}')
    return [_path("audio_path", path)]


def below(base: str, path: str) -> str:
    """A path of a list, if relative taken from the folder `base`."""
    # strings: a Path object for each of a million lines costs more than the rest
    return path if os.path.isabs(path) else os.path.normpath(os.path.join(base, path))  # noqa: PTH117, PTH118


def _path(key: str, path: object) -> str:
    if not isinstance(path, str) or not path or "\0" in path:
        raise Wrong(f"{key} is {path!r}; expected a path")
    return path
