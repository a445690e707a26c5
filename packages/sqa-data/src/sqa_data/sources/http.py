"""Bring one file over HTTP: resumed across cuts, kills and runs, checked while written, named only when right.

What has come so far lies in NAME.part, and in NAME.part.json what it is a part of (address, size, validators). Each
answer of the server is judged by `sqa_data.sources.answers.judge`; `download_file` does what it says.
"""

import errno
import hashlib
import json
import logging
import os
import random
import shutil
import stat
import threading
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sqa_data.atomic import atomic_path, lock, sweep
from sqa_data.errors import DataError, FullDiskError
from sqa_data.sources.answers import Action, AskAgain, FileRecord, PartState, RemoteFile, judge, retry_after
from sqa_data.sources.records import require_room, write_json

if TYPE_CHECKING:  # 0.3 s of imports that only a download needs
    import httpx2 as httpx

logger = logging.getLogger(__name__)

Progress = Callable[[str, int, int | None], None]  # (file name, bytes so far, bytes in all or None)


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to put up with a server."""

    retries: int = 6  # failures in a row without a byte gained
    stall_s: float = 30.0  # without a byte before the connection counts as dead
    backoff_s: float = 1.0  # wait after the first failure; doubles each time, with jitter
    longest_wait_s: float = 300.0  # a server that asks for more (Retry-After) is given up


class ChecksumError(DataError):
    """A file came whole, but is not the file that was expected."""


def download_file(
    remote: RemoteFile,
    path: Path,
    *,
    patience: Patience | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> FileRecord:
    """Download `remote` to `path`; one that lies in a cache is copied.

    Another process that is at it already is waited for.

    A file of the right size or checksum that exists at `path` is not downloaded again. Raises ChecksumError (after
    one attempt from scratch if the part was resumed), or DataError when the server refuses, patience ends or the disk
    is full; what came so far stays in the .part file. `stop`: set it to end early with KeyboardInterrupt.
    """
    with lock(path.with_name(f".{path.name}")):
        part, state_file = parts_of(path)
        sweep(path.parent, state_file.name)
        if path.exists():
            found = check_file(path, remote)
            for left in (part, state_file):  # of a process that was killed between the name and its end
                left.unlink(missing_ok=True)
            return found
        try:
            if remote.cached is None:
                return _Download(
                    remote, path, patience or Patience(), progress, stop or threading.Event()
                ).run()
            with atomic_path(path) as temporary:
                shutil.copyfile(remote.cached, temporary)
                return check_file(temporary, remote, name=path.name)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                copied = f" a copy of {remote.cached}" if remote.cached else ""
                raise DataError(f"{path}: cannot write{copied}: {error.strerror}") from error
            kept = "" if remote.cached else f"; what came so far is kept in {path.name}.part"
            raise FullDiskError(f"{path}: the disk is full{kept}: make room and run again") from error


def parts_of(path: Path) -> tuple[Path, Path]:
    """Where what has come of a file lies, and what it is a part of."""
    return path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.json")


def check_file(path: Path, remote: RemoteFile, *, name: str | None = None) -> FileRecord:
    """Hash a file that is here; ChecksumError, which calls it `name`, if it is not what `remote` says."""
    digests = _Digests(remote.checksum)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise DataError(f"{path}: not a regular file; expected the file that {remote.url} gives")
        digests.read(path)
    except OSError as error:
        raise DataError(f"{path}: cannot read: {error.strerror}") from error
    _require(name or path.name, remote, digests)
    return FileRecord(remote.url, digests.size, digests.sha256.hexdigest())


def told_sizes(urls: Iterable[str]) -> dict[str, int]:
    """Address -> bytes, of the web addresses among `urls` whose servers tell how much lies there.

    A server that cannot be reached is asked once.
    """
    import httpx2 as httpx

    sizes: dict[str, int] = {}
    silent: set[str] = set()
    with httpx.Client(
        follow_redirects=True,
        timeout=10.0,
        headers={"User-Agent": "sqa-data", "Accept-Encoding": "identity"},
    ) as client:
        for url in urls:
            server = urlsplit(url).netloc
            if not url.startswith(("http://", "https://")) or server in silent:
                continue
            try:
                answer = client.head(url)
                if answer.status_code == httpx.codes.OK:
                    sizes[url] = int(answer.headers["content-length"])
            except httpx.TransportError:
                silent.add(server)  # each may take the time limit; the download itself will say what is wrong
            except (httpx.HTTPError, httpx.InvalidURL, KeyError, ValueError):
                continue
    return sizes


class _Digests:
    """SHA-256 of what passes by, its size, and the hash that the publisher gives, if that is another one."""

    def __init__(self, checksum: str | None) -> None:
        self.algorithm = (checksum or "sha256:").partition(":")[0]
        self.sha256 = hashlib.sha256()
        self.published = self.sha256 if self.algorithm == "sha256" else hashlib.new(self.algorithm)
        self.size = 0

    def update(self, block: bytes) -> None:
        self.sha256.update(block)
        if self.published is not self.sha256:
            self.published.update(block)
        self.size += len(block)

    def read(self, path: Path) -> None:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                self.update(block)


def _require(name: str, remote: RemoteFile, found: _Digests) -> None:
    wanted = (remote.checksum or "").partition(":")[2]
    if remote.size is not None and found.size != remote.size:
        raise ChecksumError(
            f"{name}: has {found.size:,} bytes, expected {remote.size:,} ({remote.url}). The download was damaged "
            "or the publisher replaced the file; delete it to download it anew"
        )
    digest = found.published.hexdigest()
    if wanted and digest != wanted:
        raise ChecksumError(
            f"{name}: {found.algorithm} is {digest}, expected {wanted} ({remote.url}). The download was damaged, "
            "or the publisher replaced the file, or a proxy answered in its place"
        )


class _Download:
    """One file on its way: the part on the disk and the hashes of it, always in step."""

    def __init__(
        self,
        remote: RemoteFile,
        path: Path,
        patience: Patience,
        progress: Progress | None,
        stop: threading.Event,
    ) -> None:
        self.remote, self.path, self.patience = remote, path, patience
        self.progress, self.stop = progress, stop
        self.part, self.state_file = parts_of(path)
        known = self._read_state()
        self.state = known or PartState(remote.url)
        self.digests = _Digests(remote.checksum)
        if known and self.part.is_file():
            self.digests.read(self.part)
            self._report()
        # a part of an earlier run may be damaged: if the sum is wrong, once more from the start
        self.resumed = self.have > 0

    @property
    def have(self) -> int:
        """Bytes in the part."""
        return self.digests.size

    def run(self) -> FileRecord:
        import httpx2 as httpx

        failures, best = 0, self.have
        with httpx.Client(
            follow_redirects=True,
            timeout=httpx.Timeout(self.patience.stall_s),
            headers={"User-Agent": "sqa-data", "Accept-Encoding": "identity", **self.remote.headers},
        ) as client:
            while True:
                try:
                    self._attempt(client)
                except AskAgain as again:
                    if self.have > best:
                        failures, best = 0, self.have
                    failures += 1
                    if failures > self.patience.retries:
                        raise DataError(
                            f"{self.remote.url}: given up after {failures} failures in a row ({again}); "
                            f"{self.have:,} bytes are kept, run again to go on"
                        ) from again
                    self._wait(again, failures)
                    continue
                try:
                    return self._finish()
                except ChecksumError:
                    self._discard()
                    if not self.resumed:
                        raise
                    self.resumed = False

    def _attempt(self, client: "httpx.Client") -> None:
        """One request; returns when the part is whole."""
        import httpx2 as httpx

        if self.state.size is not None and self.have == self.state.size and self.have:
            return
        headers = {}
        if self.have:
            headers["Range"] = f"bytes={self.have}-"
            if self.state.validator:
                headers["If-Range"] = self.state.validator
        try:
            with client.stream("GET", self.remote.url, headers=headers) as response:
                action, state, why = judge(response.status_code, response.headers, self.have, self.state)
                if action == "whole":
                    self.state = state
                    return
                if action == "refuse":
                    raise DataError(f"{self.remote.url}: {why} {response.reason_phrase}".rstrip())
                if action == "wait":
                    raise AskAgain(why, retry_after(response.headers.get("retry-after")))
                if action == "again":
                    self._discard()
                    raise AskAgain(why)
                self._start(action, state)
                self._receive(response)
        except httpx.TransportError as error:
            raise AskAgain(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        except (httpx.InvalidURL, httpx.HTTPError) as error:
            raise DataError(f"{self.remote.url}: {error}") from error
        if self.state.size is not None and self.have < self.state.size:
            raise AskAgain(f"the connection ended after {self.have:,} of {self.state.size:,} bytes")

    def _start(self, action: Action, state: PartState) -> None:
        """Prepare the part for the body of this answer."""
        if self.remote.size is not None and state.size not in (None, self.remote.size):
            raise DataError(
                f"{self.remote.url}: the server's file has {state.size:,} bytes; expected {self.remote.size:,}"
            )
        if action == "restart" or not self.have:  # what lies there may be of another source
            self._discard()
            self.resumed = False
        self.state = replace(state, size=state.size if state.size is not None else self.remote.size)
        missing = max(0, (self.state.size or 0) - self.have)
        require_room(self.path.parent, missing, f"of {self.path.name} are still to come")
        write_json(self.state_file, asdict(self.state))

    def _receive(self, response: "httpx.Response") -> None:
        with self.part.open("ab", buffering=0) as file:
            for chunk in response.iter_raw():  # as they come: fixed chunks would lose the last bytes of a cut
                if self.stop.is_set():
                    raise KeyboardInterrupt
                view = memoryview(chunk)
                while view:
                    view = view[file.write(view) or 0 :]
                self.digests.update(chunk)
                if self.state.size is not None and self.have > self.state.size:
                    size = self.state.size
                    self._discard()
                    raise AskAgain(f"the server sent more than the {size:,} bytes that it announced")
                self._report()

    def _finish(self) -> FileRecord:
        _require(self.path.name, self.remote, self.digests)
        # "ab" also makes the part of a file of no bytes; Windows syncs only what is open for writing
        with self.part.open("ab") as file:
            os.fsync(file.fileno())
        self.part.replace(self.path)
        self.state_file.unlink(missing_ok=True)
        return FileRecord(self.remote.url, self.have, self.digests.sha256.hexdigest(), self.state.etag)

    def _wait(self, again: AskAgain, failures: int) -> None:
        seconds = again.wait_s
        if seconds is None:
            seconds = self.patience.backoff_s * 2 ** (failures - 1) * random.uniform(0.5, 1.5)
            seconds = min(seconds, self.patience.longest_wait_s)
        elif seconds > self.patience.longest_wait_s:
            raise DataError(
                f"{self.remote.url}: the server asks to wait {seconds:.0f} s ({again}); run again after that"
            ) from again
        logger.warning(
            "%s: %s; asking again in %.0f s (%d of %d)",
            self.remote.url, again, seconds, failures, self.patience.retries,
        )  # fmt: skip
        if self.stop.wait(seconds):
            raise KeyboardInterrupt

    def _read_state(self) -> PartState | None:
        """Of the .part here, if it is a part of this file; another source of the same checksum is as good.

        None: it is of no use here. Until this source has an answer, it stays for the source that it came from.
        """
        try:
            stored = PartState(**json.loads(self.state_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None
        if stored.url == self.remote.url:
            return stored
        return PartState(self.remote.url, stored.size) if self.remote.checksum else None

    def _report(self) -> None:
        if self.progress and self.have:
            self.progress(self.path.name, self.have, self.state.size)

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.state_file.unlink(missing_ok=True)
        self.state = PartState(self.remote.url)
        self.digests = _Digests(self.remote.checksum)
