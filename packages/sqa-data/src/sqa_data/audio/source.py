"""A path or a file object, opened so that nothing can hang, lie about its size or be read twice in memory."""

import errno
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, Protocol, Self

import soundfile

from sqa_data.errors import AudioError

Source = str | os.PathLike[str] | BinaryIO

HEAD = 4096  # bytes that are read at once: they hold the header of nearly every file
STREAM_CAP = 1 << 30  # bytes of a stream that cannot seek (a pipe) that are kept in memory at the most


EXPECTED = "expected WAV, FLAC, Ogg, MP3, AIFF or AU"
# how files begin that hold, or hide, audio which libsndfile does not read: (offset, bytes) -> what they are
FOREIGN = {
    (4, b"ftyp"): "MP4 or M4A",
    (0, b"\xff\xf1"): "AAC",
    (0, b"\xff\xf9"): "AAC",
    (0, b"\x1aE\xdf\xa3"): "Matroska or WebM",
    (0, b"0&\xb2u"): "WMA",
    (0, b"#!AMR"): "AMR",
    (0, b"wvpk"): "WavPack",
    (0, b"MAC "): "Monkey's Audio",
    (0, b"PK\3\4"): "a ZIP archive",
    (0, b"\x1f\x8b"): "packed by gzip",
    (0, b"version https://git-lfs"): "a pointer of Git LFS",
    (0, b"<!"): "HTML",
    (0, b"<html"): "HTML",
    (0, b"<?xml"): "XML",
}


class Patch(NamedTuple):
    """Bytes that take the place of those at an offset: the size that a header should have said."""

    offset: int
    content: bytes
    is_end: bool = False  # nothing follows


class Seekable(Protocol):
    """What is asked of a file object."""

    def read(self, size: int, /) -> bytes | None: ...
    def seek(self, offset: int, whence: int = 0, /) -> object: ...
    def tell(self) -> int: ...


@dataclass(slots=True)
class Opened:
    """An open source whose size is known; leaving it closes the file, or puts a file object where it stood."""

    where: str  # what a message about it starts with: "a.wav: ", or nothing for a file object
    file: Seekable
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


def _open_object(file: Seekable) -> Opened:
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
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, OSError) and error.errno == errno.ENXIO:
        return "is a socket or a device; expected a regular file"
    if isinstance(error, IsADirectoryError) or (isinstance(error, OSError) and os.path.isdir(path)):  # noqa: PTH112
        return "is a folder; expected a file"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    return str(error)


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


@contextmanager
def decoding(sound: Opened, patch: Patch | None = None) -> Iterator[soundfile.SoundFile]:
    """libsndfile's view of an open source, with a part of its header replaced; what it refuses is an `AudioError`."""
    view = None
    try:
        if sound.descriptor is not None and patch is None:
            sound.file.seek(0)
            file = soundfile.SoundFile(sound.descriptor, closefd=False)
        else:
            view = _View(sound, patch)
            file = soundfile.SoundFile(view)
        with file:
            yield file
    except (soundfile.SoundFileError, OSError, ValueError, TypeError) as error:
        raise AudioError(f"{sound.where}not readable as audio: {_refusal(sound, error)}") from error
    finally:
        if view is not None:
            view.raise_failure(sound.where)


def reason_of(error: Exception) -> str:
    """What libsndfile says, without its punctuation."""
    return str(getattr(error, "error_string", error)).strip().removeprefix("Error : ").rstrip(".")


def _refusal(sound: Opened, error: Exception) -> str:
    """Why a file cannot be decoded, and what to do where that is plain."""
    for (offset, begin), kind in FOREIGN.items():
        if sound.head.startswith(begin, offset):
            return f"it is {kind}; {EXPECTED}"
    reason = reason_of(error)
    return f"{reason[0].lower()}{reason[1:]}; {EXPECTED}" if "recognised" in reason else reason


class _View:
    """A source as libsndfile's callbacks want it.

    An exception in a callback would only be printed, and the audio would silently end there, so it is kept.
    """

    def __init__(self, sound: Opened, patch: Patch | None) -> None:
        self.file, self.patch = sound.file, patch
        self.size = patch.offset + len(patch.content) if patch and patch.is_end else sound.size
        self.position = 0
        self.failure: BaseException | None = None

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = max(0, offset + (0, self.position, self.size)[whence])
        return self.position

    def read(self, size: int) -> bytes:
        try:
            self.file.seek(self.position)
            content = self.file.read(min(size, self.size - self.position)) or b""
        except BaseException as error:
            self.failure = self.failure or error
            return b""
        start, self.position = self.position, self.position + len(content)
        if (
            self.patch
            and self.patch.offset < self.position
            and start < self.patch.offset + len(self.patch.content)
        ):
            content = _patched(content, self.patch, start)
        return content

    def raise_failure(self, where: str) -> None:
        """Raise what went wrong in a callback."""
        if isinstance(self.failure, Exception):
            raise AudioError(f"{where}cannot be read: {self.failure}") from self.failure
        if self.failure is not None:
            raise self.failure


def _patched(content: bytes, patch: Patch, start: int) -> bytes:
    """`content`, which starts at `start` of a file, as far as `patch` touches it.

    >>> _patched(b"cdef", Patch(1, b"BCD"), 2)
    b'CDef'
    """
    mended = bytearray(content)
    for offset, byte in enumerate(patch.content, patch.offset - start):
        if 0 <= offset < len(mended):
            mended[offset] = byte
    return bytes(mended)
