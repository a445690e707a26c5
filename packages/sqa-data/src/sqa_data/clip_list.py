"""Which clips: files, folders, globs, manifests, wav.scp lists and lines of text become one list of named clips.

Nothing is lost without a word: what a folder holds besides audio is counted and named in `passed_over`, and a file that
is given by name is a clip, be it readable or not, so that whoever reads it can say so.
"""

# ruff: noqa: PTH112, PTH118, PTH206  (strings: a Path object for each of a million files costs more than the rest)

import glob
import io
import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path

from sqa_data.errors import DataError
from sqa_data.ids import SUFFIXES, clip_ids
from sqa_data.lines import (
    JsonObject,
    Wrong,
    id_text,
    open_lines,
    parse_object,
    paths_of,
    sample_id_of,
    split_line,
    text_lines,
    text_of,
)

Key = tuple[str | None, str | None, str]


@dataclass(frozen=True, slots=True)
class ClipEntry:
    """One clip and the names it goes by in results."""

    audio_path: str
    sample_id: str
    system_id: str | None = None
    corpus: str | None = None

    @property
    def key(self) -> Key:
        """What makes a row of results unique."""
        return self.corpus, self.system_id, self.sample_id


@dataclass
class PassedOver:
    """What folders hold and the list does not: how many of each kind, and the first names."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, path: str) -> None:
        self.counts[kind] += 1
        names = self.examples.setdefault(kind, [])
        if len(names) < 3:
            names.append(path)

    def __bool__(self) -> bool:
        return bool(self.counts)

    def __str__(self) -> str:
        """One line for people; "" if nothing was passed over.

        >>> over = PassedOver()
        >>> for name in ("a.txt", "b.txt", "c.lab", "d.md"): over.add("not audio", name)
        >>> over.add("hidden", "._a.wav")
        >>> str(over)
        'passed over: 4 not audio (a.txt, b.txt, c.lab, ...), 1 hidden (._a.wav)'
        """
        kinds = [
            f"{n:,} {kind} ({', '.join(self.examples[kind])}{', ...' if n > len(self.examples[kind]) else ''})"
            for kind, n in self.counts.items()
        ]
        return f"passed over: {', '.join(kinds)}" if kinds else ""


@dataclass(frozen=True)
class ClipList:
    """The clips that were asked for, in order, and what was passed over on the way to them."""

    entries: list[ClipEntry]
    passed_over: PassedOver = field(default_factory=PassedOver)


def list_clips(arguments: Sequence[str | os.PathLike[str]]) -> ClipList:
    """The clips that the arguments name, in their order.

    An argument is an audio file, a folder (all audio inside, sorted; links are followed, hidden files are not), a glob
    pattern, a `.jsonl` manifest (`audio_path` and optionally `sample_id` or `uid`, `system_id`, `corpus`; two
    `audio_paths` are two clips, each once a file) or a `.scp` list (`sample_id path`). Relative paths in a list are
    taken from its folder, or from the working directory where only that has the file.

    Clips without a name get their ids from their paths (`sqa_data.ids.clip_ids`).

    Raises `DataError` where nothing is found, a list is malformed, or two clips would have the same name.
    """
    entries: list[ClipEntry] = []
    passed_over = PassedOver()
    for given in arguments:
        argument = os.fspath(given)
        found = list(_expand(argument, passed_over))
        if not found and os.path.isfile(argument):  # noqa: PTH113
            raise DataError(f"{argument}: no clip; expected one a line: the file was cut, or is another one")
        if not found:
            said = f" ({passed_over})" if passed_over else ""
            raise DataError(
                f"{argument}: no audio found; expected files such as .wav, .flac, .ogg or .mp3{said}"
            )
        entries += found
    return ClipList(_named(entries), passed_over)


def clips_of_text(content: bytes) -> ClipList:
    """The clips of lines such as `find` or a manifest gives on standard input: each a path or an object."""
    entries: list[ClipEntry] = []
    pairs: set[str] = set()
    for number, line in text_lines(io.BytesIO(content), "-"):
        if line.lstrip().startswith(b"{"):
            entries += _of_row(line, f"-:{number}", "", pairs)
        else:
            entries.append(ClipEntry(text_of(line), ""))
    return ClipList(_named(entries))


def _expand(argument: str, passed_over: PassedOver) -> Iterator[ClipEntry]:
    if os.path.isdir(argument):
        yield from (ClipEntry(path, "") for path in _walk(argument, passed_over))
    elif argument.endswith(".jsonl"):
        base, pairs = os.path.dirname(argument), set[str]()  # noqa: PTH120
        for number, line in open_lines(argument):
            yield from _of_row(line, f"{argument}:{number}", base, pairs)
    elif argument.endswith(".scp"):
        base = os.path.dirname(argument)  # noqa: PTH120
        for number, line in open_lines(argument):
            yield _of_scp(line, f"{argument}:{number}", base)
    elif not os.path.lexists(argument) and glob.has_magic(argument):
        seen: set[str] = set()  # "**" matches a folder and what is in it
        for match in sorted(glob.glob(argument, recursive=True)):  # noqa: PTH207  Path.glob wants it relative
            paths = _walk(match, passed_over) if os.path.isdir(match) else [match]
            yield from (ClipEntry(path, "") for path in paths if path not in seen)
            seen.update(paths)
    else:
        yield ClipEntry(argument, "")  # a missing file becomes an error row, so that the rest is scored


def _walk(folder: str, passed_over: PassedOver) -> list[str]:
    """All audio in a folder, sorted; linked folders are entered after the others, and no folder twice."""
    start = "" if str(Path(folder)) == "." else str(Path(folder))
    found: list[str] = []
    entered: set[tuple[int, int]] = set()
    waiting, linked = deque([start]), deque[str]()
    while waiting or linked:
        here = (waiting or linked).popleft()
        try:
            status = os.stat(here or ".")  # noqa: PTH116
            with os.scandir(here or ".") as listing:
                items = sorted(listing, key=attrgetter("name"))
        except OSError as error:
            passed_over.add(f"unreadable: {error.strerror}", here)
            continue
        # by device and number, which some file systems of Windows do not give
        place = (status.st_dev, status.st_ino)
        if status.st_ino and place in entered:
            passed_over.add("folder met before", here)
            continue
        entered.add(place)
        for item in items:
            path, is_link = os.path.join(here, item.name), item.is_symlink()
            if item.name.startswith("."):
                passed_over.add("hidden", path)
            elif os.path.isdir(path) if is_link else item.is_dir():
                (linked if is_link else waiting).append(path)
            elif os.path.splitext(item.name)[1].lower() not in SUFFIXES:  # noqa: PTH122
                passed_over.add("not audio", path)
            elif os.path.isfile(path) if is_link else item.is_file():  # noqa: PTH113
                found.append(path)
            else:
                passed_over.add("link to nothing" if is_link else "not a regular file", path)
    return sorted(found, key=lambda path: path.split(os.sep))


def _of_row(line: bytes, where: str, base: str, pairs: set[str]) -> list[ClipEntry]:
    """The clips of a row of a manifest; of pairs those that are not in `pairs` yet."""
    try:
        row: JsonObject = parse_object(line)
        paths = [resolve(path, base) for path in paths_of(row)]
        corpus = id_text("corpus", row.get("corpus"))
        if len(paths) == 1:
            system = id_text("system_id", row.get("system_id"))
            return [ClipEntry(paths[0], sample_id_of(row) or "", system, corpus)]
    except Wrong as error:
        raise DataError(f"{where}: {error}") from None
    new = [path for path in dict.fromkeys(paths) if path not in pairs]
    pairs.update(new)
    return [ClipEntry(path, "", corpus=corpus) for path in new]


def _of_scp(line: bytes, where: str, base: str) -> ClipEntry:
    """The clip of a line of a Kaldi wav.scp; commands (a path that ends in |) are not run."""
    sample_id, path = split_line(line, where)
    if path.endswith("|"):
        raise DataError(
            f"{where}: a command, {path!r}; commands are not run, write its output to a file first"
        )
    return ClipEntry(resolve(path, base), sample_id)


def resolve(path: str, base: str) -> str:
    """A path of a list: below the list's folder, or from the working directory if only that exists."""
    beside = os.path.join(base, path)
    return path if beside != path and not os.path.exists(beside) and os.path.exists(path) else beside  # noqa: PTH110


def _named(entries: list[ClipEntry]) -> list[ClipEntry]:
    """The entries with a name for each; `DataError` where two have the same."""
    names = iter(clip_ids([entry.audio_path for entry in entries if not entry.sample_id]))
    named = [entry if entry.sample_id else replace(entry, sample_id=next(names)) for entry in entries]
    if len({entry.key for entry in named}) < len(named):
        counts = Counter(entry.key for entry in named)
        key, count = counts.most_common(1)[0]
        paths = sorted({entry.audio_path for entry in named if entry.key == key})
        raise DataError(
            f"{count} clips are called {key[2]!r}: {', '.join(paths[:3])}; names must differ: give a manifest with a "
            "sample_id for each, or name each clip once"
        )
    return named
