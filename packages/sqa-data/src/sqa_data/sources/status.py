"""What is here of each corpus: archives under RAW, manifests under OUT, and whether these were verified."""

import json
from pathlib import Path
from typing import Any

from sqa_data.atomic import atomic_write
from sqa_data.corpus import Corpus
from sqa_data.sources.download import state


def here(corpus: Corpus, raw: str | Path, out: str | Path) -> dict[str, str]:
    """split -> "", "part", "downloaded", "unpacked", "prepared" or "verified": the farthest step that is done."""
    archives = state(corpus, raw)
    result = {}
    for split in corpus.splits:
        manifest = Path(out) / corpus.name / split / "data.jsonl"
        result[split] = archives
        if manifest.is_file():
            result[split] = "verified" if _read(_mark(manifest)) == _stamp(manifest) else "prepared"
    return result


def remember_verified(manifest: str | Path) -> None:
    """Note beside a manifest that it was verified as it is now."""
    manifest = Path(manifest)
    with atomic_write(_mark(manifest)) as file:
        file.write(json.dumps(_stamp(manifest)).encode())


def _mark(manifest: Path) -> Path:
    return manifest.with_name(f".{manifest.name}.verified")


def _stamp(manifest: Path) -> dict[str, int]:
    stat = manifest.stat()
    return {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _read(file: Path) -> Any:
    return json.loads(file.read_text()) if file.is_file() else None
