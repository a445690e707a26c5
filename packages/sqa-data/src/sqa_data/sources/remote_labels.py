"""Read just the label files of a corpus out of archives that stay where they are, by byte ranges.

The index of a zip stands at its end and tells where each member lies; parquet files are built the same way. Needs a
server that honours `Range`.
"""

import io
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

import httpx2 as httpx

from sqa_data.atomic import atomic_write
from sqa_data.corpus import Corpus
from sqa_data.errors import DataError
from sqa_data.sources.answers import AskAgain, PartState, RemoteFile, judge
from sqa_data.sources.archives import safe_path
from sqa_data.sources.download import Wanted, resolve, wanted_files
from sqa_data.sources.http import download_file
from sqa_data.sources.parquet import write_without_audio

BUFFER = 1 << 18  # bytes asked for at once
RETRY_WAITS_S = (0.5, 2.0, 8.0)


class RangeFile(io.RawIOBase):
    """A remote file, read in ranges; DataError if the server does not serve them or the file changes meanwhile."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        self.client, self.url, self.at = client, url, 0
        self.etag: str | None = None
        self.size = 0
        self._get(0, 0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self.at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence]
        return self.at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        length = min(len(buffer), self.size - self.at)
        if length <= 0:
            return 0
        content = self._get(self.at, self.at + length - 1)
        buffer[: len(content)] = content
        self.at += len(content)
        return len(content)

    def _get(self, first: int, last: int) -> bytes:
        waits_s = list(RETRY_WAITS_S)
        while True:
            try:
                return self._ask(first, last)
            except (httpx.HTTPError, AskAgain) as error:
                if not waits_s or not isinstance(error, httpx.TransportError | AskAgain):
                    raise DataError(f"{self.url}: {type(error).__name__}: {error}") from error
                time.sleep(waits_s.pop(0))

    def _ask(self, first: int, last: int) -> bytes:
        with self.client.stream("GET", self.url, headers={"Range": f"bytes={first}-{last}"}) as response:
            action, state, why = judge(response.status_code, response.headers, first, PartState(self.url))
            if action == "restart":
                raise DataError(f"{self.url}: the server does not serve ranges; download the whole archive")
            if action == "wait":
                raise AskAgain(why)
            if action != "append":
                raise DataError(f"{self.url}: {why} {response.reason_phrase}".rstrip())
            if state.size is None:
                raise DataError(f"{self.url}: the server does not say how long the file is")
            if self.size and (state.etag != self.etag or state.size != self.size):
                raise DataError(f"{self.url}: changed on the server while it was read; run again")
            self.size, self.etag = state.size, state.etag
            content = b"".join(response.iter_raw())
        if len(content) != last - first + 1:
            raise AskAgain(f"{len(content)} of {last - first + 1} bytes came")
        return content


def download_labels(
    corpus: Corpus, raw: str | Path, prefer: str = "original", base_url: str | None = None
) -> list[Path]:
    """Fetch only the label files of `corpus` into RAW/NAME/labels; returns them.

    They are read out of zip archives and parquet files, or are files of their own. DataError where they are in a tar
    archive, or in a file that only the user can fetch.
    """
    folder = Path(raw) / corpus.name / "labels"
    written: list[Path] = []
    for item in wanted_files(corpus, prefer, base_url=base_url):
        if not item.ways or not (
            item.name.endswith((".zip", ".parquet")) or _is_label_file(corpus, item.name)
        ):
            continue
        reasons: list[str] = []
        for way in item.ways:
            try:
                remote = resolve(way)
                if not item.name.endswith((".zip", ".parquet")):
                    download_file(remote, folder / item.name)
                    written.append(folder / item.name)
                    break
                with remote_file(remote) as file:
                    written += _members(corpus, item, file, folder)
                break
            except DataError as error:
                reasons.append(str(error))
        else:
            raise DataError("\n  then ".join(reasons))
    missing = [name for name in corpus.label_files if not any(path.match(name) for path in written)]
    if missing:
        raise DataError(
            f"{corpus.name}: {', '.join(missing)} cannot be read alone: a tar archive has no index, and what is "
            f"fetched by hand is on no server; `sqa-cli data download {corpus.name}` brings the corpus"
        )
    return written


def _is_label_file(corpus: Corpus, name: str) -> bool:
    return any(PurePosixPath(name).match(pattern) for pattern in corpus.label_files)


@contextmanager
def remote_file(remote: RemoteFile) -> Iterator[BinaryIO]:
    """Open a remote file for reading at any place."""
    with httpx.Client(
        follow_redirects=True, timeout=30, headers={"Accept-Encoding": "identity", **remote.headers}
    ) as client:
        raw = RangeFile(client, remote.url)
        with io.BufferedReader(raw, BUFFER) as file:
            yield cast(BinaryIO, file)


def _members(corpus: Corpus, item: Wanted, file: BinaryIO, folder: Path) -> Iterator[Path]:
    if item.name.endswith(".parquet"):
        target = folder / item.name.removeprefix("data/")  # two parts can have files of one name
        with atomic_write(target) as sink:
            write_without_audio(file, sink, corpus.hub.audio if corpus.hub else ())
        yield target
        return
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                path = safe_path(info.filename, Path(item.name))
                if path is None or not _is_label_file(corpus, str(path)):
                    continue
                with atomic_write(folder / path) as sink:
                    sink.write(archive.read(info))
                yield folder / path
    except zipfile.BadZipFile as error:
        raise DataError(f"{item.name}: damaged archive ({error})") from error
