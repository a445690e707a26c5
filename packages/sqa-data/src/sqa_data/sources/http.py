"""Bring one file over HTTP: resumed across cuts, kills and runs, checked while written, named only when right.

What has come so far lies in NAME.part, and in NAME.part.json what it is a part of (address, size, validators). Each
answer of the server is judged by one function without side effects, `judge`; `fetch` does what it says.
"""

import email.utils
import errno
import hashlib
import json
import logging
import os
import random
import re
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock

from sqa_data.atomic import atomic_write
from sqa_data.errors import DataError

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


@dataclass(frozen=True, slots=True)
class Source:
    """Where a file is, and what is known of it beforehand."""

    url: str
    size: int | None = None  # bytes
    checksum: str | None = None  # "md5:..." or "sha256:..."
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is here and right."""

    url: str
    size: int
    sha256: str
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What a .part file is a part of."""

    url: str
    size: int | None = None
    etag: str | None = None
    last_modified: str | None = None

    @property
    def validator(self) -> str | None:
        """What `If-Range` may carry: a strong ETag, else the date."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified


class ChecksumError(DataError):
    """A file came whole, but is not the file that was expected."""


class _Retry(Exception):
    """This attempt failed in a way that another may not; `wait_s` is what the server asked for."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


Action = Literal["append", "restart", "whole", "again", "wait", "refuse"]


def judge(status: int, headers: Mapping[str, str], have: int, state: State) -> tuple[Action, State, str]:
    """What to do with an answer, when `have` bytes of the file that `state` describes are here.

    append: write the body after them     restart: write the body from the start
    whole: nothing is missing             again: throw the part away and ask anew
    wait: ask again later                 refuse: this server will not give the file
    Returned with it: the state that holds from now on, and a word on why.

    >>> judge(206, {"content-range": "bytes 10-99/100"}, 10, State("u", 100))[0]
    'append'
    >>> judge(206, {"content-range": "bytes 10-99/120"}, 10, State("u", 100))[0]
    'again'
    >>> judge(416, {"content-range": "bytes */100"}, 100, State("u"))[0]
    'whole'
    """
    known = State(state.url, None, headers.get("etag"), headers.get("last-modified"))
    if status == 206:
        match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", headers.get("content-range", "").strip())
        if not match or int(match[1]) != have:
            return "again", known, f"asked from byte {have}, got {headers.get('content-range')!r}"
        total = None if match[3] == "*" else int(match[3])
        changed = (
            (state.size is not None and total is not None and total != state.size)
            or (state.etag and known.etag and state.etag != known.etag)
            or (total is not None and int(match[2]) >= total)
        )
        if changed:
            return "again", known, "the file on the server changed"
        return "append", replace(known, size=total if total is not None else state.size), ""
    if status == 200:
        if headers.get("content-type", "").startswith("text/html"):
            return "refuse", state, "a web page came in place of the file"
        length = headers.get("content-length", "")
        return "restart", replace(known, size=int(length) if length.isdigit() else None), ""
    if status == 416:
        match = re.fullmatch(r"bytes \*/(\d+)", headers.get("content-range", "").strip())
        if match and int(match[1]) == have and state.size in (None, have):
            return "whole", replace(state, size=have), ""
        return "again", known, "the server's file is shorter than what is here"
    if status in (408, 425, 429, 500, 502, 503, 504):
        return "wait", state, f"HTTP {status}"
    return "refuse", state, f"HTTP {status}"


def fetch(
    source: Source,
    path: Path,
    *,
    patience: Patience | None = None,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> Fetched:
    """Download `source` to `path`; another process that is at it already is waited for.

    A file of the right size or checksum that exists at `path` is not fetched again. Raises ChecksumError (after one
    attempt from scratch if the part was resumed), or DataError when the server refuses, patience ends or the disk is
    full; what came so far stays in the .part file. `stop`: set it to end early with KeyboardInterrupt.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.exists():
            return check_file(path, source)
        download = _Download(source, path, patience or Patience(), progress, stop or threading.Event())
        try:
            return download.run()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise DataError(f"{path}: cannot write: {error.strerror}") from error
            raise DataError(
                f"{path}: the disk is full; what came so far is kept in {download.part.name}: make room and run again"
            ) from error


def check_file(path: Path, source: Source) -> Fetched:
    """Hash a file that is here; ChecksumError if it is not what `source` says it is."""
    algorithm = (source.checksum or "sha256:").partition(":")[0]
    sha256, other = hashlib.sha256(), hashlib.new(algorithm)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha256.update(block)
            if algorithm != "sha256":
                other.update(block)
    size = path.stat().st_size
    found = sha256.hexdigest() if algorithm == "sha256" else other.hexdigest()
    _require(path, source, size, found)
    return Fetched(source.url, size, sha256.hexdigest())


def _require(path: Path, source: Source, size: int, digest: str) -> None:
    algorithm, _, wanted = (source.checksum or "").partition(":")
    if source.size is not None and size != source.size:
        raise ChecksumError(
            f"{path.name}: has {size:,} bytes, expected {source.size:,} ({source.url}). The download was damaged or "
            f"the publisher replaced the file; delete it to fetch it anew"
        )
    if wanted and digest != wanted:
        raise ChecksumError(
            f"{path.name}: {algorithm} is {digest}, expected {wanted} ({source.url}). The download was damaged, or "
            "the publisher replaced the file, or a proxy answered in its place"
        )


class _Download:
    """One file on its way: the part on the disk and the hashes of it, always in step."""

    def __init__(
        self,
        source: Source,
        path: Path,
        patience: Patience,
        progress: Progress | None,
        stop: threading.Event,
    ) -> None:
        self.source, self.path, self.patience, self.progress, self.stop = (
            source,
            path,
            patience,
            progress,
            stop,
        )
        self.part = path.with_name(f"{path.name}.part")
        self.state_file = path.with_name(f"{path.name}.part.json")
        self.algorithm = (source.checksum or "sha256:").partition(":")[0]
        self.state = self._read_state()
        self.resumed = False
        self.have = 0
        self._reset_hashes()
        if self.state.url and self.part.is_file():
            self._hash_part()

    def run(self) -> Fetched:
        import httpx2 as httpx

        failures, best = 0, self.have
        with httpx.Client(
            follow_redirects=True,
            timeout=httpx.Timeout(self.patience.stall_s),
            headers={"User-Agent": "sqa-data", "Accept-Encoding": "identity", **self.source.headers},
        ) as client:
            while True:
                try:
                    self._attempt(client)
                    try:
                        return self._finish()
                    except ChecksumError:
                        self._discard()
                        if not self.resumed:
                            raise
                        self.resumed = (
                            False  # the part of an earlier run may be the culprit: once more, whole
                        )
                        continue
                except _Retry as retry:
                    if self.have > best:
                        failures, best = 0, self.have
                    failures += 1
                    if failures > self.patience.retries:
                        raise DataError(
                            f"{self.source.url}: given up after {failures} failures in a row ({retry}); "
                            f"{self.have:,} bytes are kept, run again to go on"
                        ) from retry
                    self._wait(retry, failures)

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
            with client.stream("GET", self.source.url, headers=headers) as response:
                action, state, why = judge(response.status_code, response.headers, self.have, self.state)
                if action == "whole":
                    self.state = state
                    return
                if action == "refuse":
                    raise DataError(f"{self.source.url}: {why} {response.reason_phrase}".rstrip())
                if action == "wait":
                    raise _Retry(why, _retry_after(response.headers.get("retry-after")))
                if action == "again":
                    self._discard()
                    raise _Retry(why)
                self._start(action, state)
                self._receive(response)
        except httpx.TransportError as error:
            raise _Retry(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        except (httpx.InvalidURL, httpx.HTTPError) as error:
            raise DataError(f"{self.source.url}: {error}") from error
        if self.state.size is not None and self.have < self.state.size:
            raise _Retry(f"the connection ended after {self.have:,} of {self.state.size:,} bytes")

    def _start(self, action: Action, state: State) -> None:
        """Prepare the part for the body of this answer."""
        if self.source.size is not None and state.size not in (None, self.source.size):
            raise DataError(
                f"{self.source.url}: the server's file has {state.size:,} bytes; expected {self.source.size:,}"
            )
        if action == "restart":
            self._discard()
            self.resumed = False
        self.state = replace(state, size=state.size if state.size is not None else self.source.size)
        missing = (self.state.size or 0) - self.have
        free = shutil.disk_usage(self.path.parent).free
        if missing > free:
            raise DataError(
                f"{self.path}: {missing:,} bytes are still to come, but the disk has only {free:,} free; "
                "make room and run again"
            )
        with atomic_write(self.state_file) as file:
            file.write(json.dumps(asdict(self.state)).encode())

    def _receive(self, response: "httpx.Response") -> None:
        with self.part.open("ab", buffering=0) as file:
            for chunk in response.iter_raw():  # as they come: fixed chunks would lose the last bytes of a cut
                if self.stop.is_set():
                    raise KeyboardInterrupt
                view = memoryview(chunk)
                while view:
                    view = view[file.write(view) or 0 :]
                self._update(chunk)
                if self.state.size is not None and self.have > self.state.size:
                    size = self.state.size
                    self._discard()
                    raise _Retry(f"the server sent more than the {size:,} bytes that it announced")
                if self.progress:
                    self.progress(self.path.name, self.have, self.state.size)

    def _finish(self) -> Fetched:
        digest = self.sha256.hexdigest() if self.algorithm == "sha256" else self.other.hexdigest()
        _require(self.path, self.source, self.have, digest)
        if not self.part.exists():
            self.part.touch()  # a file of no bytes
        with self.part.open("rb") as file:
            os.fsync(file.fileno())
        self.part.replace(self.path)
        self.state_file.unlink(missing_ok=True)
        return Fetched(self.source.url, self.have, self.sha256.hexdigest(), self.state.etag)

    def _wait(self, retry: _Retry, failures: int) -> None:
        seconds = retry.wait_s
        if seconds is None:
            seconds = self.patience.backoff_s * 2 ** (failures - 1) * random.uniform(0.5, 1.5)
            seconds = min(seconds, self.patience.longest_wait_s)
        elif seconds > self.patience.longest_wait_s:
            raise DataError(
                f"{self.source.url}: the server asks to wait {seconds:.0f} s ({retry}); run again after that"
            ) from retry
        logger.warning(
            "%s: %s; asking again in %.0f s (%d of %d)",
            self.source.url, retry, seconds, failures, self.patience.retries,
        )  # fmt: skip
        if self.stop.wait(seconds):
            raise KeyboardInterrupt

    def _read_state(self) -> State:
        """Of the .part here, if it is a part of this source; another source of the same checksum is as good."""
        try:
            stored = State(**json.loads(self.state_file.read_text()))
        except (OSError, ValueError, TypeError):
            self.part.unlink(missing_ok=True)  # without its state a part is worth nothing
            return State(self.source.url)
        if stored.url == self.source.url:
            return stored
        if self.source.checksum:
            return State(self.source.url, stored.size)
        self.part.unlink(missing_ok=True)
        return State(self.source.url)

    def _hash_part(self) -> None:
        with self.part.open("rb") as file:
            while block := file.read(1 << 20):
                self._update(block)
        self.resumed = self.have > 0
        if self.progress and self.have:
            self.progress(self.path.name, self.have, self.state.size)

    def _update(self, block: bytes) -> None:
        self.sha256.update(block)
        if self.algorithm != "sha256":
            self.other.update(block)
        self.have += len(block)

    def _reset_hashes(self) -> None:
        self.sha256 = hashlib.sha256()
        self.other: Any = hashlib.new(self.algorithm)

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.state_file.unlink(missing_ok=True)
        self.state = State(self.source.url)
        self.have = 0
        self._reset_hashes()


def _retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date.

    >>> _retry_after("7"), _retry_after(None), _retry_after("soon")
    (7.0, None, None)
    """
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, when.timestamp() - time.time())
