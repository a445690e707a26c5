"""Ogg pages: whether the last one is there, and what can be saved of one that is cut.

A page is 27 bytes, a table of lengths ("laces", of which each below 255 ends a packet), and the packets. Libraries drop
a page that is cut, which is a second of speech or all of a short file; its first packets may be whole.
Source: RFC 3533.
"""

import zlib
from typing import NamedTuple

from sqa_data.audio.decoder import Splice
from sqa_data.audio.source import Opened

HEADER = 27  # bytes of a page before its table
LONGEST = 65_307  # bytes of a page
LAST = 4  # the flag of the last page of a stream
MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class Page(NamedTuple):
    """The last page of a file."""

    offset: int
    content: bytes  # header, table and as much of the packets as there is
    laces: bytes

    @property
    def missing(self) -> int:
        """Bytes that it should have and has not."""
        return HEADER + len(self.laces) + sum(self.laces) - len(self.content)


def is_ogg(sound: Opened) -> bool:
    """Whether the file starts as Ogg does."""
    return sound.head[:4] == b"OggS"


def ends(sound: Opened) -> bool:
    """Whether the last page is whole and says that it is the last."""
    page = _last_page(sound)
    return page is not None and page.missing <= 0 and bool(page.content[5] & LAST)


def shortened(sound: Opened) -> Splice | None:
    """The last page without the packets that the end of the file cuts off; None if it needs no mending."""
    page = _last_page(sound)
    if page is None or page.missing <= 0:
        return None
    room = len(page.content) - HEADER - len(page.laces)
    kept = size = total = 0
    for number, lace in enumerate(page.laces, start=1):
        total += lace
        if total <= room and lace < 255:
            kept, size = number, total
    packets = page.content[HEADER + len(page.laces) :][:size]
    whole = bytearray(page.content[:26] + bytes([kept]) + page.laces[:kept] + packets)
    whole[22:26] = bytes(4)  # the check sum is that of the page with zeros in its place
    whole[22:26] = _check_sum(whole)
    return Splice(page.offset, bytes(whole))


def _last_page(sound: Opened) -> Page | None:
    start = max(0, sound.size - LONGEST)
    tail = sound.read_at(start, LONGEST)
    at = tail.rfind(b"OggS")
    content = tail[at:]
    if at < 0 or len(content) < HEADER or len(content) < HEADER + content[26]:
        return None
    return Page(start + at, content, content[HEADER : HEADER + content[26]])


def _check_sum(content: bytes | bytearray) -> bytes:
    """The CRC of a page, as it stands there: polynomial 0x04c11db7 from zero, the most significant bit first.

    That is zlib's CRC with the bits of all bytes the other way round.
    """
    value = zlib.crc32(content.translate(MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return value.to_bytes(4, "big").translate(MIRRORED)
