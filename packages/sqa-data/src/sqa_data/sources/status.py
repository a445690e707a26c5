"""What is here of each corpus: archives under RAW, manifests under OUT, and whether these were verified."""

import json
from pathlib import Path

from sqa_data.atomic import atomic_write
from sqa_data.corpus import Corpus
from sqa_data.errors import DataError
from sqa_data.sources.records import read_json, read_records


def here(corpus: Corpus, raw: str | Path, out: str | Path) -> dict[str, str]:
    """split -> "", "part", "downloaded", "unpacked", "prepared" or "verified": the farthest step that is done."""
    archives = state(corpus, raw)
    result = {}
    for split in corpus.splits:
        manifest = Path(out) / corpus.name / split / "data.jsonl"
        result[split] = archives
        if manifest.is_file():
            result[split] = "verified" if _read_mark(manifest) == _stamp(manifest) else "prepared"
    return result


def remember_verified(manifest: str | Path) -> None:
    """Note beside a manifest that it was verified as it is now."""
    manifest = Path(manifest)
    with atomic_write(_mark(manifest)) as file:
        file.write(json.dumps(_stamp(manifest)).encode())


def _mark(manifest: Path) -> Path:
    return manifest.with_name(f".{manifest.name}.verified")


def _read_mark(manifest: Path) -> object:
    try:
        return read_json(_mark(manifest))
    except DataError:
        return None  # a damaged note is no note: verify again


def _stamp(manifest: Path) -> dict[str, int]:
    stat = manifest.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def state(corpus: Corpus, raw: str | Path) -> str:
    """What is here of a corpus: "", "part", "downloaded" or "unpacked"."""
    folder = Path(raw) / corpus.name
    if (folder / "unpacked").is_dir() or any(folder.glob("audio/*/.*.done")):
        return "unpacked"
    names = [archive.name for archive in corpus.archives] or list(read_records(folder))
    here = [name for name in names if (folder / name).is_file()]
    if names and len(here) == len(names):
        return "downloaded"
    return "part" if here or any(folder.glob("*.part")) or any(folder.glob("*/*.part")) else ""
