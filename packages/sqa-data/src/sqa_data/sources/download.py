"""Bring the archives of corpora into RAW/NAME/: licences first, room first, then all files, several at once.

What came, from where and with which SHA-256 stands in RAW/NAME/downloads.json; where a publisher gives no checksum,
the one recorded at the first download is what later ones are held to.
"""

import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Literal

from sqa_data.corpus import Corpus, get_corpus
from sqa_data.errors import DataError, FullDiskError
from sqa_data.sources.answers import FileRecord, RemoteFile
from sqa_data.sources.archives import is_packed, safe_path, unpacked_from
from sqa_data.sources.folder import find_corpus_folder
from sqa_data.sources.http import Patience, Progress, download_file, parts_of, told_sizes
from sqa_data.sources.picked import is_picked
from sqa_data.sources.records import read_records, remember, require_licences, require_room

HUB = "hf://"
MARGIN = 64 << 20  # bytes left free on the disk


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to bring: its place below RAW/NAME, and the ways to it, best first.

    A way is an address (see `Archive`) or a file whose facts the hub has already told.
    """

    corpus: Corpus
    name: str
    ways: tuple[str | RemoteFile, ...]
    size: int | None = None
    checksum: str | None = None


@dataclass(frozen=True, slots=True)
class Downloaded:
    """One file that is here."""

    corpus: str
    path: Path
    size: int
    sha256: str
    url: str
    fresh: bool  # brought now, not found here


def download(
    names: Sequence[str],
    raw: str | Path,
    *,
    licence_ok: Iterable[str] = (),
    jobs: int = 3,
    prefer: Literal["original", "mirror"] = "original",
    base_url: str | None = None,
    optional: bool = False,
    only: str | None = None,
    check: bool = False,
    patience: Patience | None = None,
    progress: Progress | None = None,
) -> list[Downloaded]:
    """Bring every archive of the corpora `names` into `raw`/NAME.

    Archives from which only single clips are taken are left out where these clips are here already.

    licence_ok: corpora whose licence the user accepts ("all": every one); it is remembered in `raw`. prefer: which
    source comes first; the other is the fallback. base_url: a server of the user's own that has BASE/NAME/FILE, asked
    before all others. optional: also the splits that are not part of the usual set. only: a pattern of the names of
    files to bring (`main*`). check: hash again what is here. jobs: files at once.

    Raises DataError: a licence that was not accepted, no room, or (after all others are done) the files that could
    not be brought.
    """
    corpora = [get_corpus(name) for name in ([names] if isinstance(names, str) else names)]
    raw = Path(raw)
    require_licences(corpora, raw, licence_ok)
    wanted = [
        item
        for corpus in corpora
        for item in wanted_files(corpus, prefer, base_url=base_url, optional=optional)
        if only is None or fnmatchcase(item.name, only)
    ]
    if only and not wanted:
        raise DataError(f"no file of {', '.join(c.name for c in corpora)} is called {only!r}")
    wanted = [item for item in wanted if not _is_done_with(item, raw)]
    _require_space(wanted, raw)
    stop = threading.Event()
    done: list[Downloaded] = []
    failed: list[str] = []
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        tasks = [pool.submit(_bring, item, raw, check, patience, progress, stop) for item in wanted]
        try:
            for task in as_completed(tasks):
                try:
                    done.append(task.result())
                except DataError as error:
                    failed.append(str(error))
        except BaseException:
            stop.set()  # each download ends at its next chunk, its part kept
            pool.shutdown(cancel_futures=True)
            raise
    if failed:
        raise DataError(
            f"{len(failed)} of {len(wanted)} files could not be brought:\n" + "\n".join(sorted(failed))
        )
    return sorted(done, key=lambda item: item.path)


def wanted_files(
    corpus: Corpus, prefer: str = "original", *, base_url: str | None = None, optional: bool = False
) -> list[Wanted]:
    """The files that `download` brings for a corpus."""
    found = []
    if corpus.hub:
        from sqa_data.sources.hub import hub_files

        parts = {
            p for s, ps in corpus.hub.splits.items() if optional or not corpus.splits[s].optional for p in ps
        }
        files = {
            path: file
            for path, file in hub_files(corpus.hub.repo).items()
            if _is_of(path, parts) or any(fnmatchcase(path, pattern) for pattern in corpus.hub.files)
        }
        if not files:
            raise DataError(
                f"datasets/{corpus.hub.repo}: no files {', '.join([*sorted(parts), *corpus.hub.files])} there"
            )
        found += [Wanted(corpus, path, (file,), file.size) for path, file in files.items()]
    for archive in corpus.files:
        sources = sorted(archive.sources, key=lambda url: url.startswith(HUB) == (prefer == "original"))
        if base_url:
            sources.insert(0, f"{base_url.rstrip('/')}/{corpus.name}/{archive.name}")
        found.append(Wanted(corpus, archive.name, tuple(sources), archive.size, archive.checksum))
    return found


def _bring(
    item: Wanted,
    raw: Path,
    check: bool,
    patience: Patience | None,
    progress: Progress | None,
    stop: threading.Event,
) -> Downloaded:
    folder = raw / item.corpus.name
    if safe_path(item.name, folder) is None:
        raise DataError(f"{item.corpus.name}: {item.name!r} is no file name")
    path = folder / item.name
    before = read_records(folder).get(item.name)
    checksum = item.checksum or (f"sha256:{before.sha256}" if before else None)

    def downloaded(record: FileRecord, fresh: bool = False) -> Downloaded:
        return Downloaded(item.corpus.name, path, record.size, record.sha256, record.url, fresh)

    def report(_: str, done: int, total: int | None) -> None:
        if progress:
            progress(f"{item.corpus.name}/{item.name}", done, total)

    if path.is_file():
        if before and not check and path.stat().st_size == before.size:
            return downloaded(before)
        # put here by hand, or asked to be looked at again
        found = download_file(RemoteFile(before.url if before else str(path), item.size, checksum), path)
        remember(folder, item.name, found)
        return downloaded(found)
    if before and (unpacked_from(folder / "unpacked") or {}).get(item.name) == before.size:
        return downloaded(before)  # unpacked, and the archive dropped since

    reasons = []
    for way in item.ways:
        try:
            told = resolve(way)
            remote = replace(told, size=told.size or item.size, checksum=checksum or told.checksum)
            found = download_file(remote, path, patience=patience, progress=report, stop=stop)
        except FullDiskError:  # another source needs the same room, and would take what came of this one
            raise
        except DataError as error:
            reasons.append(str(error))
            continue
        remember(folder, item.name, found)
        return downloaded(found, fresh=True)
    if not item.ways:
        size = f", {item.size:,} bytes" if item.size else ""
        reasons.append(
            f"{path}: put the file here{size}; `sqa-cli data show {item.corpus.name}` says where it is"
        )
    raise DataError("\n  then ".join(reasons))


def resolve(way: str | RemoteFile) -> RemoteFile:
    """Ask the hub about an `hf://` address; others are sources as they are."""
    if not isinstance(way, str):
        return way
    if not way.startswith(HUB):
        return RemoteFile(way)
    # 0.6 s of imports that only the hub needs
    from sqa_data.sources.hub import hub_file

    plain = way.removeprefix(HUB)
    owner, name, path = plain.removeprefix("models/").split("/", 2)
    return hub_file(f"{owner}/{name}", path, "model" if plain.startswith("models/") else "dataset")


def _is_of(path: str, parts: set[str]) -> bool:
    """Whether a file of a dataset repository is a parquet file of one of `parts`.

    >>> _is_of("data/blind_test_mos-00000-of-00002.parquet", {"blind_test"}), _is_of("dev/0.parquet", {"dev"})
    (False, True)
    """
    place = PurePosixPath(path)
    return place.suffix == ".parquet" and bool({place.stem.split("-")[0], place.parent.name} & parts)


def _is_done_with(item: Wanted, raw: Path) -> bool:
    """Whether an archive holds nothing but clips that were taken out of it, or made by hand."""
    folder = raw / item.corpus.name
    return (
        item.corpus.picked is not None
        and not (folder / item.name).exists()
        and is_picked(item.corpus, find_corpus_folder(item.corpus, folder), item.name)
    )


def _require_space(wanted: list[Wanted], raw: Path) -> None:
    """Room for all files together, so far as their sizes are known or the servers of archives tell them."""
    away = [item for item in wanted if not (raw / item.corpus.name / item.name).exists()]
    # files of a hub are told with their sizes; single clips and tables fit into the margin, and can be hundreds
    large = [item for item in away if not item.size and is_packed(item.name)]
    asked = [way for item in large for way in item.ways[:1] if isinstance(way, str)]
    # room for one is asked for when it starts
    told = told_sizes(asked) if len(asked) > 1 else {}
    missing = 0
    for item in away:
        path = raw / item.corpus.name / item.name
        part, _ = parts_of(path)
        size = item.size or sum(told.get(way, 0) for way in item.ways[:1] if isinstance(way, str))
        missing += max(0, size - (part.stat().st_size if part.exists() else 0))
    raw.mkdir(parents=True, exist_ok=True)
    require_room(raw, missing, "are to come", MARGIN)
