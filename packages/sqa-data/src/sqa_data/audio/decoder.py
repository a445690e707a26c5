"""libsndfile, given a source that may need mending, and made to say what went wrong."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import soundfile

from sqa_data.audio.source import Opened
from sqa_data.errors import AudioError

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
