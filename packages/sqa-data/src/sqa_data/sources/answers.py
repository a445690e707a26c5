"""What a server's answer means: one function without side effects, `judge`, and the records it works on."""

import email.utils
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """Where a file is, and what is known of it beforehand."""

    url: str
    size: int | None = None  # bytes
    checksum: str | None = None  # "md5:..." or "sha256:..."
    headers: Mapping[str, str] = field(default_factory=dict)
    cached: Path | None = None  # the same file on this machine already


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file that is here and right, as downloads.json keeps it."""

    url: str
    size: int
    sha256: str
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class PartState:
    """What a .part file is a part of."""

    url: str
    size: int | None = None
    etag: str | None = None
    last_modified: str | None = None

    @property
    def validator(self) -> str | None:
        """What `If-Range` may carry: a strong ETag, else the date."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified


class AskAgain(Exception):
    """Control flow, not an error: this attempt failed in a way that another may not.

    It never leaves `sqa_data.sources`. `wait_s` is what the server asked for.
    """

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


Action = Literal["append", "restart", "whole", "again", "wait", "refuse"]


def judge(
    status: int, headers: Mapping[str, str], have: int, state: PartState
) -> tuple[Action, PartState, str]:
    """What to do with an answer, when `have` bytes of the file that `state` describes are here.

    append: write the body after them     restart: write the body from the start
    whole: nothing is missing             again: throw the part away and ask anew
    wait: ask again later                 refuse: this server will not give the file
    Returned with it: the state that holds from now on, and a word on why.

    >>> judge(206, {"content-range": "bytes 10-99/100"}, 10, PartState("u", 100))[0]
    'append'
    >>> judge(206, {"content-range": "bytes 10-99/120"}, 10, PartState("u", 100))[0]
    'again'
    >>> judge(416, {"content-range": "bytes */100"}, 100, PartState("u"))[0]
    'whole'
    """
    known = PartState(state.url, None, headers.get("etag"), headers.get("last-modified"))
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
        if headers.get("content-type", "").lower().startswith("text/html"):
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


def retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date.

    >>> retry_after("7"), retry_after(None), retry_after("soon")
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
