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


class Splice(NamedTuple):
    """Bytes that take the place of a part of a file, such as the size that a header should have said."""

    offset: int
    content: bytes
    resume: int | None = None  # where in the file what follows begins; None: nothing follows


class Decoder(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """A sound file that is read straight on.

    After each block soundfile seeks to where the file already stands, if it can. An MP3 decoder loses its past by that,
    and a FLAC of unknown length fails at its end.
    """

    def seekable(self) -> bool:
        return False

    def can_seek(self) -> bool:
        """Whether the file can be entered in the middle; an MP3 decoder needs what came before."""
        return bool(super().seekable()) and self.format != "MP3"


@contextmanager
def decoding(sound: Opened, splice: Splice | None = None) -> Iterator[Decoder]:
    """libsndfile's view of an open source, with a part of it replaced; what it refuses is an `AudioError`."""
    view = None
    try:
        if sound.descriptor is not None and splice is None:
            sound.file.seek(0)
            file = Decoder(sound.descriptor, closefd=False)
        else:
            view = _View(sound, splice)
            file = Decoder(view)
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

    def __init__(self, sound: Opened, splice: Splice | None) -> None:
        self.file = sound.file
        self.splice = splice or Splice(sound.size, b"")
        self.inserted = self.splice.offset + len(self.splice.content)  # where what was inserted ends
        self.resume = sound.size if self.splice.resume is None else self.splice.resume
        self.size = self.inserted + max(0, sound.size - self.resume)
        self.position = 0
        self.failure: BaseException | None = None

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = 0) -> int:
        self.position = max(0, offset + (0, self.position, self.size)[whence])
        return self.position

    def read(self, size: int) -> bytes:
        parts = []
        try:
            while size > 0 and (part := self._part(size)):
                parts.append(part)
                size -= len(part)
                self.position += len(part)
        except BaseException as error:
            self.failure = self.failure or error
        return b"".join(parts)

    def _part(self, size: int) -> bytes:
        """At most `size` bytes at the position, of one origin."""
        at, splice = self.position, self.splice
        if splice.offset <= at < self.inserted:
            return splice.content[at - splice.offset :][:size]
        before = at < splice.offset
        self.file.seek(at if before else at - self.inserted + self.resume)
        return self.file.read(min(size, (splice.offset if before else self.size) - at)) or b""

    def raise_failure(self, where: str) -> None:
        """Raise what went wrong in a callback."""
        if isinstance(self.failure, Exception):
            raise AudioError(f"{where}cannot be read: {self.failure}") from self.failure
        if self.failure is not None:
            raise self.failure
