"""What a header promises, before anybody believes it: where the sound lies and how long it is said to be."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sqa_data.audio.decoder import Splice
from sqa_data.audio.source import Opened

NEVER_WRITTEN = (1 << 31) - (1 << 16)  # writers to a pipe promise about 2 or 4 GiB, having no better idea
MOST_CHUNKS = 200  # that are looked at before the sound: a file of zeros is a chain without an end


class Container(NamedTuple):
    """A file made of chunks: a name, a size, content."""

    chunk: struct.Struct  # of a name and a size
    code: str  # of the size alone
    first: int  # where the first chunk begins
    align: int  # chunks begin at multiples of it
    sound: bytes  # the first four letters of the chunk that holds the sound
    preamble: int = 0  # bytes of that chunk before the sound
    counts_itself: bool = False  # whether the size includes name and size


class Field(NamedTuple):
    """A number in a header."""

    offset: int
    code: str  # as `struct` writes it
    value: int


CONTAINERS = {
    b"RIFF": Container(struct.Struct("<4sI"), "<I", 12, 2, b"data"),
    b"RIFX": Container(struct.Struct(">4sI"), ">I", 12, 2, b"data"),
    b"RF64": Container(struct.Struct("<4sI"), "<I", 12, 2, b"data"),
    b"riff": Container(struct.Struct("<16sQ"), "<Q", 40, 8, b"data", counts_itself=True),
    b"FORM": Container(struct.Struct(">4sI"), ">I", 12, 2, b"SSND", preamble=8),
    b"caff": Container(struct.Struct(">4sQ"), ">Q", 8, 1, b"data", preamble=4),
}


@dataclass(frozen=True, slots=True)
class Header:
    """Where a container says that its sound lies. Sizes in bytes."""

    promised: int | None  # None: the length was never written
    there: int  # from the start of the sound to the end of the file
    mended: Splice | None  # the size that lets libsndfile read the sound that is there
    pcm: tuple[int, int, int] | None = None  # of plain WAV: rate in Hz, channels, bytes a frame

    @property
    def is_short(self) -> bool:
        """Whether the file ends before it should."""
        return self.promised is not None and self.promised > self.there


def read_header(sound: Opened) -> Header | None:
    """What the container promises; None where there is none of a known kind, or no sound in it."""
    kind = CONTAINERS.get(sound.head[:4])
    if kind is not None:
        return _in_chunks(sound, kind)
    if sound.head[:4] == b".snd" and len(sound.head) >= 24:
        start, promised = struct.unpack_from(">II", sound.head, 4)
        return _judged(sound, start, Field(8, ">I", promised))
    if sound.head[:7] == b"NIST_1A":
        return _sphere(sound)
    return None


def _in_chunks(sound: Opened, kind: Container) -> Header | None:
    itself = kind.chunk.size if kind.counts_itself else 0
    long_size, pcm = None, None
    for name, start, size in _chunks(sound, kind):
        if name == b"fmt " and kind.code == "<I":
            pcm = _pcm(sound.read_at(start, 16))
        elif name == b"ds64":
            long_size = Field(start + 8, "<Q", int.from_bytes(sound.read_at(start + 8, 8), "little"))
        elif name == kind.sound:
            if size == 0 and start < sound.size and _ends_in_chunks(sound, kind, start):
                return Header(0, sound.size - start, None, pcm)
            field = Field(start - struct.calcsize(kind.code), kind.code, size + itself)
            if long_size and size == 0xFFFFFFFF:
                field = long_size
            return _judged(sound, start + kind.preamble, field, kind.preamble + itself, pcm)
    return None


def _chunks(sound: Opened, kind: Container, at: int | None = None) -> Iterator[tuple[bytes, int, int]]:
    """(first four letters of the name, start of the content, promised size of the content) of each chunk."""
    at = kind.first if at is None else at
    for _ in range(MOST_CHUNKS):
        head = sound.read_at(at, kind.chunk.size)
        if len(head) < kind.chunk.size:
            return
        name, size = kind.chunk.unpack(head)
        start = at + kind.chunk.size
        size = max(0, size - kind.chunk.size) if kind.counts_itself else size
        yield name[:4], start, size
        at = -(-(start + size) // kind.align) * kind.align


def _ends_in_chunks(sound: Opened, kind: Container, at: int) -> bool:
    """Whether chunks, and nothing but chunks, fill the file from `at`: then an empty one before them is truly empty."""
    end = at
    for name, start, size in _chunks(sound, kind, at):
        if not re.fullmatch(rb"[ -~]{4}", name) or start + size > sound.size:
            return False
        end = start + size
    return sound.size - end < kind.align


def _judged(
    sound: Opened, start: int, field: Field, overhead: int = 0, pcm: tuple[int, int, int] | None = None
) -> Header:
    """A promise held against the file: the sound begins at `start`; the size in `field` counts `overhead` too."""
    there, promised = max(0, sound.size - start), field.value - overhead
    if 0 < promised <= there:
        return Header(promised, there, None, pcm)
    was_written = 0 < promised < (NEVER_WRITTEN if field.code[-1] == "I" else 1 << 63)
    longest = (1 << 8 * struct.calcsize(field.code)) - 1
    size = struct.pack(field.code, min(there + overhead, longest))
    mended = Splice(field.offset, size, field.offset + len(size))
    return Header(promised if was_written else None, there, mended, pcm)


def _pcm(fmt: bytes) -> tuple[int, int, int] | None:
    """Rate, channels and bytes a frame of a WAV's format chunk, None if it is not plain PCM, integer or float."""
    if len(fmt) < 16:
        return None
    kind, channels, rate, _, frame_bytes, bits = struct.unpack("<HHIIHH", fmt)
    plain = kind in (1, 3, 0xFFFE) and rate and 0 < frame_bytes == channels * -(-bits // 8)
    return (rate, channels, frame_bytes) if plain else None


def _sphere(sound: Opened) -> Header | None:
    """A NIST Sphere header, lines of text: the sound begins after the size on the second line."""
    said = dict(re.findall(rb"(\w+) -i (\d+)", sound.head))
    start = re.match(rb"NIST_1A\n\s*(\d+)\n", sound.head)
    if start is None or not said.keys() >= {b"sample_count", b"sample_n_bytes"} or b"shorten" in sound.head:
        return None
    promised = int(said[b"sample_count"]) * int(said[b"sample_n_bytes"]) * int(said.get(b"channel_count", 1))
    return Header(promised, max(0, sound.size - int(start[1])), None)


def flac_info(head: bytes) -> tuple[int, int, int] | None:
    """(frames, rate, channels) of the block that starts every FLAC; frames are 0 where the writer did not know them."""
    if head[:4] != b"fLaC" or len(head) < 42 or head[4] & 0x7F:
        return None
    packed = int.from_bytes(head[18:26], "big")  # 20 bits rate, 3 channels, 5 bits a sample, 36 length
    return packed & ((1 << 36) - 1), packed >> 44, (packed >> 41 & 7) + 1
