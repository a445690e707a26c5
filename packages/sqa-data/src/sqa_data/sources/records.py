"""Notes beside archives and manifests: what came, what was accepted and verified; so how far each corpus is.

RAW/NAME/downloads.json                where each file came from, and its SHA-256
RAW/NAME/licence.json                  the licence that the user accepted
OUT/NAME/SPLIT/.data.jsonl.verified    size and time of a manifest that was found right
"""

import json
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sqa_data.atomic import atomic_write, lock, sweep
from sqa_data.corpus import Corpus, expanded, get_corpus
from sqa_data.errors import DataError, FullDiskError
from sqa_data.sources.answers import FileRecord


def read_json(file: Path) -> Any:
    """What a small JSON file of ours holds; None if it is not there."""
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: cannot be read as JSON ({error}); move it away and run again") from error


def write_json(file: Path, content: Any) -> None:
    """Write a small JSON file of ours, the same bytes for the same content."""
    with atomic_write(file) as out:
        out.write(json.dumps(content, indent=1, sort_keys=True).encode() + b"\n")


def read_records(folder: Path) -> dict[str, FileRecord]:
    """File name -> what was recorded of it; empty where nothing came yet."""
    file = folder / "downloads.json"
    try:
        return {name: FileRecord(**facts) for name, facts in (read_json(file) or {}).items()}
    except (TypeError, AttributeError) as error:
        raise DataError(
            f"{file}: not a record of downloads ({error}); move it away and download again"
        ) from error


def remember(folder: Path, name: str, record: FileRecord) -> None:
    """Add one file to downloads.json."""
    with lock(folder / ".downloads"):
        sweep(folder, "downloads.json")
        records = read_records(folder) | {name: record}
        write_json(folder / "downloads.json", {name: asdict(record) for name, record in records.items()})


def licences_to_accept(corpora: Iterable[Corpus], raw: str | Path) -> list[Corpus]:
    """Those whose licence asks for consent that has not been given for this `raw` yet."""
    return [
        corpus
        for corpus in corpora
        if corpus.licence.ask and read_json(_licence_file(corpus, raw)) != _accepted(corpus)
    ]


def accepted_names(licence_ok: Iterable[str]) -> set[str]:
    """The corpora whose licence a user accepts, by their own names, and "all"; DataError for what is neither.

    >>> sorted(accepted_names(["BVCC", "vmc2026-track1", "all"]))
    ['all', 'bvcc', 'vmc2026-track1-dev', 'vmc2026-track1-test']
    """
    return {name if name == "all" else get_corpus(name).name for name in expanded(licence_ok)}


def require_licences(corpora: Iterable[Corpus], raw: str | Path, licence_ok: Iterable[str]) -> None:
    """Remember what is accepted; DataError that shows what is not yet."""
    accepted, still_open = accepted_names(licence_ok), []
    for corpus in licences_to_accept(corpora, raw):
        if accepted & {corpus.name, "all"}:
            write_json(_licence_file(corpus, raw), _accepted(corpus))
        else:
            still_open.append(corpus)
    if still_open:
        lines = [f"  {c.name}: {c.licence.name}, {c.licence.note} ({c.licence.url})" for c in still_open]
        names = " ".join(f"--licence-ok {corpus.name}" for corpus in still_open)
        raise DataError(
            "these licences must be accepted once:\n" + "\n".join(lines) + f"\nTo accept: {names}"
        )


def _licence_file(corpus: Corpus, raw: str | Path) -> Path:
    return Path(raw) / corpus.name / "licence.json"


def _accepted(corpus: Corpus) -> dict[str, str]:
    return {"accepted": corpus.licence.name, "url": corpus.licence.url}


def here(corpus: Corpus, raw: str | Path, out: str | Path) -> dict[str, str]:
    """split -> "", "part", "downloaded", "unpacked", "prepared" or "verified": the farthest step that is done."""
    result = dict.fromkeys(corpus.splits, state(corpus, raw))
    for split in corpus.splits:
        manifest = Path(out) / corpus.name / split / "data.jsonl"
        if manifest.is_file():
            result[split] = "verified" if is_noted(_verified(manifest), manifest) else "prepared"
    return result


def state(corpus: Corpus, raw: str | Path) -> str:
    """What is here of a corpus: "", "part", "downloaded" or "unpacked"."""
    folder = Path(raw) / corpus.name
    if (folder / "unpacked").is_dir() or any(folder.glob("audio/*/.*.done")):
        return "unpacked"
    archives, brought = {archive.name for archive in corpus.files}, set(read_records(folder))
    names = archives | brought if corpus.hub else archives
    here = [name for name in names if (folder / name).is_file()]
    loading = any(folder.glob("*.part")) or any(folder.glob("*/*.part"))
    # of a data set only its server knows all files; what was brought of it stands in the records
    if names and len(here) == len(names) and not loading and (not corpus.hub or brought - archives):
        return "downloaded"
    return "part" if here or loading else ""


def remember_verified(manifest: str | Path) -> None:
    """Note beside a manifest that it was verified as it is now."""
    note(_verified(Path(manifest)), Path(manifest))


def _verified(manifest: Path) -> Path:
    return manifest.with_name(f".{manifest.name}.verified")


def note(mark: Path, file: Path) -> None:
    """Write to `mark` that `file`, as it is now, is done with."""
    write_json(mark, _stamp(file))


def is_noted(mark: Path, file: Path) -> bool:
    """Whether `mark` says so of `file` as it is now; a damaged mark says nothing."""
    try:
        return bool(read_json(mark) == _stamp(file))
    except DataError:
        return False


def _stamp(file: Path) -> dict[str, int]:
    stat = file.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def require_room(folder: Path, needed: int, what: str, margin: int = 0) -> None:
    """FullDiskError if the disk of `folder` has no room for `needed` bytes, of which `what` says why."""
    free = shutil.disk_usage(folder).free
    if needed and needed + margin > free:
        raise FullDiskError(
            f"{folder}: {needed:,} bytes {what}, but only {free:,} are free; make room and run again"
        )
