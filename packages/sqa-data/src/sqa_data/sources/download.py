"""Bring the archives of corpora into RAW/NAME/: licences first, room first, then all files, several at once.

What came, from where and with which SHA-256 stands in RAW/NAME/downloads.json; where a publisher gives no checksum,
the one recorded at the first download is what later ones are held to.
"""

import json
import shutil
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock

from sqa_data.atomic import atomic_write
from sqa_data.corpus import Corpus, get_corpus
from sqa_data.errors import DataError
from sqa_data.sources.archives import safe_path
from sqa_data.sources.http import Fetched, Patience, Progress, Source, check_file, fetch

if TYPE_CHECKING:  # 0.6 s of imports that only a download needs
    from sqa_data.sources.hub import HubFile

HUB = "hf://"
MARGIN = 64 << 20  # bytes left free on the disk


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file to bring: its place below RAW/NAME, and the ways to it, best first.

    A way is an address (see `Archive`) or a file whose facts the hub has already told.
    """

    corpus: Corpus
    name: str
    ways: "tuple[str | HubFile, ...]"
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
    check: bool = False,
    patience: Patience | None = None,
    progress: Progress | None = None,
) -> list[Downloaded]:
    """Bring every archive of the corpora `names` into `raw`/NAME.

    licence_ok: corpora whose licence the user accepts ("all": every one); it is remembered in `raw`. prefer: which
    source comes first; the other is the fallback. base_url: a server of the user's own that has BASE/NAME/FILE, asked
    before all others. optional: also the splits that are not part of the usual set. check: hash again what is here.
    jobs: files at once.

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
    ]
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
    if corpus.hub:
        from sqa_data.sources.hub import hub_files

        parts = {
            p for s, ps in corpus.hub.splits.items() if optional or not corpus.splits[s].optional for p in ps
        }
        files = [file for file in hub_files(corpus.hub.repo) if _is_of(file.path, parts)]
        if not files:
            raise DataError(
                f"datasets/{corpus.hub.repo}: no parquet files of {', '.join(sorted(parts))} there"
            )
        return [Wanted(corpus, f.path, (f,), f.size) for f in files]
    found = []
    for archive in corpus.archives:
        sources = sorted(archive.sources, key=lambda url: url.startswith(HUB) == (prefer == "original"))
        if base_url:
            sources.insert(0, f"{base_url.rstrip('/')}/{corpus.name}/{archive.name}")
        found.append(Wanted(corpus, archive.name, tuple(sources), archive.size, archive.checksum))
    return found


def state(corpus: Corpus, raw: str | Path) -> str:
    """What is here of a corpus: "", "part", "downloaded" or "unpacked"."""
    folder = Path(raw) / corpus.name
    if (folder / "unpacked").is_dir() or any(folder.glob("audio/*/.*.done")):
        return "unpacked"
    names = [archive.name for archive in corpus.archives] or list(_records(folder))
    here = [name for name in names if (folder / name).is_file()]
    if names and len(here) == len(names):
        return "downloaded"
    return "part" if here or any(folder.glob("*.part")) or any(folder.glob("*/*.part")) else ""


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
    record = _records(folder).get(item.name)
    checksum = item.checksum or (f"sha256:{record['sha256']}" if record else None)
    if path.is_file():
        if record and not check and path.stat().st_size == record["size"]:
            fetched = Fetched(record["url"], record["size"], record["sha256"], record.get("etag"))
        else:
            # put here by hand, or asked to be looked at again
            fetched = check_file(path, Source(record["url"] if record else str(path), item.size, checksum))
            _remember(folder, item.name, fetched)
        return Downloaded(item.corpus.name, path, fetched.size, fetched.sha256, fetched.url, fresh=False)

    if record and (_read(folder / "unpacked.json") or {}).get(item.name) == record["size"]:
        # unpacked, and the archive dropped since
        return Downloaded(
            item.corpus.name, path, record["size"], record["sha256"], record["url"], fresh=False
        )

    def told(_: str, done: int, total: int | None) -> None:
        if progress:
            progress(f"{item.corpus.name}/{item.name}", done, total)

    reasons = []
    for way in item.ways:
        try:
            fetched = _by(resolve(way), item, checksum, path, patience, told, stop)
        except DataError as error:
            reasons.append(str(error))
            continue
        _remember(folder, item.name, fetched)
        return Downloaded(item.corpus.name, path, fetched.size, fetched.sha256, fetched.url, fresh=True)
    raise DataError("\n  then ".join(reasons))


def _by(
    way: "Source | HubFile",
    item: Wanted,
    checksum: str | None,
    path: Path,
    patience: Patience | None,
    progress: Progress | None,
    stop: threading.Event,
) -> Fetched:
    cached = None if isinstance(way, Source) else way.cached
    source = way if isinstance(way, Source) else way.source
    source = Source(source.url, source.size or item.size, checksum or source.checksum, source.headers)
    if cached is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if path.exists():
                return check_file(path, source)
            temporary = path.with_name(f"{path.name}.copy")
            shutil.copyfile(cached, temporary)
            fetched = check_file(temporary, source)
            temporary.replace(path)
            return fetched
    return fetch(source, path, patience=patience, progress=progress, stop=stop)


def resolve(way: "str | HubFile") -> "Source | HubFile":
    """Ask the hub about an `hf://` address; others are sources as they are."""
    if not isinstance(way, str):
        return way
    from sqa_data.sources.hub import hub_file

    if not way.startswith(HUB):
        return Source(way)
    owner, name, path = way.removeprefix(HUB).split("/", 2)
    return hub_file(f"{owner}/{name}", path)


def _is_of(path: str, parts: set[str]) -> bool:
    """Whether a file of a dataset repository is a parquet file of one of `parts`.

    >>> _is_of("data/blind_test_mos-00000-of-00002.parquet", {"blind_test"}), _is_of("dev/0.parquet", {"dev"})
    (False, True)
    """
    place = PurePosixPath(path)
    return place.suffix == ".parquet" and bool({place.stem.split("-")[0], place.parent.name} & parts)


def licences_to_accept(corpora: Iterable[Corpus], raw: str | Path) -> list[Corpus]:
    """Those whose licence asks for consent that has not been given for this `raw` yet."""
    return [
        corpus
        for corpus in corpora
        if corpus.licence.ask and _read(_licence_file(corpus, raw)) != _accepted(corpus)
    ]


def require_licences(corpora: Iterable[Corpus], raw: str | Path, licence_ok: Iterable[str]) -> None:
    """Remember what is accepted; DataError that shows what is not yet."""
    accepted, still_open = set(licence_ok), []
    for corpus in licences_to_accept(corpora, raw):
        if accepted & {corpus.name, "all"}:
            with atomic_write(_licence_file(corpus, raw)) as out:
                out.write(json.dumps(_accepted(corpus)).encode())
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


def _require_space(wanted: list[Wanted], raw: Path) -> None:
    missing = 0
    for item in wanted:
        path = raw / item.corpus.name / item.name
        part = path.with_name(f"{path.name}.part")
        if item.size and not path.exists():
            missing += item.size - (part.stat().st_size if part.exists() else 0)
    raw.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(raw).free
    if missing and missing + MARGIN > free:
        raise DataError(
            f"{raw}: {missing:,} bytes are to come, but only {free:,} are free; nothing was fetched"
        )


def _records(folder: Path) -> dict[str, dict[str, Any]]:
    return _read(folder / "downloads.json") or {}


def _read(file: Path) -> Any:
    return json.loads(file.read_text()) if file.is_file() else None


def _remember(folder: Path, name: str, fetched: Fetched) -> None:
    with FileLock(folder / ".downloads.lock"):
        records = _records(folder) | {name: asdict(fetched)}
        with atomic_write(folder / "downloads.json") as file:
            file.write(json.dumps(records, indent=1, sort_keys=True).encode() + b"\n")
