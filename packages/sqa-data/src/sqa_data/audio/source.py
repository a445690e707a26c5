"""A path or a file object, opened: only regular files, without waiting, and nothing larger than it can be."""

import errno
import io
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Self

from sqa_data.errors import AudioError

Source = str | os.PathLike[str] | BinaryIO

HEAD = 4096  # bytes that are read at once: they hold the header of nearly every file
STREAM_CAP = 1 << 30  # bytes of a stream that cannot seek (a pipe) that are kept in memory at the most


@dataclass(slots=True)
class Opened:
    """An open source whose size is known; leaving it closes the file, or puts a file object where it stood."""

    where: str  # what a message about it starts with: "a.wav: ", or nothing for a file object
    file: BinaryIO
    size: int  # bytes
    head: bytes  # its first `HEAD` bytes
    descriptor: int | None  # of a regular file that libsndfile can read by itself
    leave: Callable[[], object]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.leave()

    def read_at(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`, fewer at the end."""
        if offset + size <= len(self.head):
            return self.head[offset : offset + size]
        if offset >= self.size:
            return b""
        try:
            self.file.seek(offset)
            return self.file.read(size) or b""
        except (OSError, EOFError) as error:
            raise AudioError(f"{self.where}cannot be read: {error}") from error


def opened(source: Source) -> Opened:
    """Open a source, for a `with` statement; a file object is read from its start."""
    if isinstance(source, str | os.PathLike):
        sound = _open_path(os.fspath(source))
    elif hasattr(source, "read"):
        sound = _open_object(_in_memory(source) if _is_stream(source) else source)
    else:
        raise AudioError(f"cannot hear {type(source).__name__}; expected a path or a file object")
    if not sound.size:
        sound.leave()
        raise AudioError(f"{sound.where}the file is empty (0 bytes)")
    return sound


def _open_path(path: str) -> Opened:
    """A regular file, opened without waiting: to open a pipe that nobody writes to would hang."""
    try:
        file = io.FileIO(path, "r", opener=_without_waiting)
    except (OSError, ValueError) as error:
        raise AudioError(f"{path}: {_reason(path, error)}") from error
    try:
        descriptor = file.fileno()
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise AudioError(f"{path}: is {_kind(status.st_mode)}; expected a regular file")
        head = file.read(HEAD)
    except OSError as error:
        file.close()
        raise AudioError(f"{path}: cannot be read: {error.strerror}") from error
    except AudioError:
        file.close()
        raise
    # on Windows libsndfile has file numbers of its own, so Python reads for it there
    own = None if sys.platform == "win32" else descriptor
    return Opened(f"{path}: ", file, status.st_size, head, own, file.close)


def _open_object(file: BinaryIO) -> Opened:
    try:
        stood = file.tell()
        file.seek(0, os.SEEK_END)
        size = file.tell()
        file.seek(0)
        head = file.read(HEAD)
    except (OSError, EOFError, ValueError) as error:
        raise AudioError(f"the file object cannot be read: {error}") from error
    if isinstance(head, bytes):
        return Opened("", file, size, head, None, lambda: file.seek(stood))
    file.seek(stood)
    raise AudioError("the file object gives text; open it with mode 'rb'")


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _reason(path: str, error: OSError | ValueError) -> str:
    """Why `path` cannot be opened."""
    if not isinstance(error, OSError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if error.errno == errno.ENXIO:
        return "is a socket or a device; expected a regular file"
    if os.path.isdir(path):  # noqa: PTH112
        return "is a folder; expected a file"
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFIFO: "a pipe",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFDIR: "a folder",
    }
    return kinds.get(stat.S_IFMT(mode), "no file")


def _is_stream(file: BinaryIO) -> bool:
    """Whether a file object cannot go back, as a pipe; a device that never ends is an error."""
    try:
        mode = os.fstat(file.fileno()).st_mode
    except (OSError, AttributeError, TypeError, ValueError):
        mode = 0  # not a file of the system: `io.BytesIO`, a member of an archive
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise AudioError("the file object is a device; expected a file or a pipe")
    try:
        return not file.seekable()
    except AttributeError:
        return not (hasattr(file, "seek") and hasattr(file, "tell"))
    except ValueError as error:
        raise AudioError(f"the file object cannot be read: {error}") from error


def _in_memory(stream: BinaryIO) -> io.BytesIO:
    """All that a stream holds."""
    whole = io.BytesIO()
    try:
        while block := stream.read(1 << 20):
            whole.write(block)
            if whole.tell() > STREAM_CAP:
                raise AudioError(
                    f"the stream holds more than {STREAM_CAP >> 20} MiB; write it to a file and give its path"
                )
    except TypeError as error:
        raise AudioError("the file object gives text; open it with mode 'rb'") from error
    except (OSError, EOFError) as error:
        raise AudioError(f"the stream cannot be read: {error}") from error
    whole.seek(0)
    return whole
