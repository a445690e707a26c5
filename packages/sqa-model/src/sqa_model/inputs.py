"""What to score: files, folders, globs, manifests and wav.scp lists become one list of named clips."""

import glob
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqa_model.errors import ModelError

EXTENSIONS = frozenset(
    {".aif", ".aiff", ".au", ".caf", ".flac", ".mp3", ".ogg", ".opus", ".sph", ".w64", ".wav"}
)


@dataclass(frozen=True)
class Item:
    """One clip to score and the names it goes by in score files."""

    audio_path: str
    sample_id: str
    system_id: str | None = None
    corpus: str | None = None

    @property
    def key(self) -> tuple[str | None, str | None, str]:
        """What makes a row of a score file unique."""
        return self.corpus, self.system_id, self.sample_id


def find_items(arguments: Sequence[str | os.PathLike[str]]) -> list[Item]:
    """The clips that the arguments name, in their order.

    An argument is an audio file, a folder (all audio inside, sorted), a glob pattern, a `.jsonl` manifest
    (`audio_path` and optionally `sample_id`, `system_id`, `corpus`) or a `.scp` list (`sample_id path`).
    Relative paths in a list are taken from its folder, or from the working directory where that has the file.

    Names of files are their stems where these differ, else their paths below the common folder.

    Raises: ModelError where nothing is found, a list is malformed, or two clips would have the same name.
    """
    items: list[Item] = []
    for argument in arguments:
        found = list(_expand(os.fspath(argument)))
        if not found:
            raise ModelError(f"{argument}: no audio found; expected files such as .wav, .flac, .ogg or .mp3")
        items += found
    items = _name(items)
    for key, count in Counter(item.key for item in items).items():
        if count > 1:
            paths = sorted({i.audio_path for i in items if i.key == key})
            raise ModelError(
                f"{count} clips are called {key[2]!r}: {', '.join(paths[:3])}; names must differ"
            )
    return items


def _expand(argument: str) -> Iterator[Item]:
    path = Path(argument)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
        yield from (Item(str(p), "") for p in files)
    elif path.suffix in (".jsonl", ".scp"):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{path}: cannot be read as a list of clips: {error}") from error
        parse = _manifest_line if path.suffix == ".jsonl" else _scp_line
        yield from (
            parse(line, f"{path}:{n}", path.parent) for n, line in enumerate(lines, 1) if line.strip()
        )
    elif not path.exists() and glob.has_magic(argument):
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 (Path.glob wants it relative)
        yield from (Item(m, "") for m in matches if Path(m).is_file())
    else:
        yield Item(argument, "")  # a missing file becomes an error row, so that the rest is scored


def read_lines(lines: Iterable[str]) -> list[Item]:
    """Items of lines of text: each a JSON object as in a manifest, or a path."""
    items = []
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("{"):
            items.append(_manifest_line(line, f"-:{number}", Path()))
        elif line.strip():
            items.append(Item(line.strip(), ""))
    return _name(items)


def _manifest_line(line: str, where: str, base: Path) -> Item:
    """One line of a JSON Lines manifest."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise ModelError(f"{where}: not JSON: {error}") from error
    if not isinstance(row, dict) or not isinstance(row.get("audio_path"), str) or not row["audio_path"]:
        raise ModelError(f'{where}: no \'audio_path\'; expected an object such as {{"audio_path": "a.wav"}}')
    names = {k: row.get(k) for k in ("sample_id", "system_id", "corpus")}
    for key, value in names.items():
        if value is not None and not isinstance(value, str | int):
            raise ModelError(f"{where}: {key} is {value!r}; expected text")
    sample_id, system_id, corpus = (None if v is None else str(v) for v in names.values())
    return Item(_resolve(row["audio_path"], base), sample_id or "", system_id, corpus)


def _scp_line(line: str, where: str, base: Path) -> Item:
    """One line of a Kaldi wav.scp: `sample_id path`; commands (a path that ends in |) are not run."""
    sample_id, _, path = line.strip().partition(" ")
    path = path.strip()
    if not path:
        raise ModelError(f"{where}: found {line.strip()!r}; expected 'sample_id path'")
    if path.endswith("|"):
        raise ModelError(
            f"{where}: a command, {path!r}; commands are not run, write its output to a file first"
        )
    return Item(_resolve(path, base), sample_id)


def _resolve(path: str, base: Path) -> str:
    """A path of a list: below the list's folder, or from the working directory if only that exists."""
    beside = base / path
    return path if not beside.exists() and Path(path).exists() else str(beside)


def _name(items: list[Item]) -> list[Item]:
    """Name the clips that came without one: stem, else path below the common folder, else with extension."""
    unnamed = [i.audio_path for i in items if not i.sample_id]
    if not unnamed:
        return items
    paths = [Path.cwd() / p for p in unnamed]
    common = os.path.commonpath([p.parent for p in paths])
    below = [Path(os.path.relpath(p, common)) for p in paths]
    candidates: list[list[str]] = [
        [p.stem for p in below],
        [p.with_suffix("").as_posix() for p in below],
        [p.as_posix() for p in below],
    ]
    names = iter(next((c for c in candidates if len(set(c)) == len(c)), candidates[-1]))
    return [i if i.sample_id else replace(i, sample_id=next(names)) for i in items]
