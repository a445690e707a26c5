"""MP3 without a length: one that does not say how many frames it has, so that libraries guess from the first one.

Where the bit rate varies, the guess is wrong either way, and libsndfile ends there: speech that begins loud loses most
of what follows. A frame that promises more than there can be, put in front, makes it decode to the real end.
Source: ISO 11172-3, 13818-3 for frames; the Xing tag (in a first frame without sound) by its widely known layout.
"""

from sqa_data.audio.decoder import Splice
from sqa_data.audio.source import Opened

RATES = {
    3: (44_100, 48_000, 32_000),
    2: (22_050, 24_000, 16_000),
    0: (11_025, 12_000, 8_000),
}  # Hz, by version
VERSION_1, LAYER_3, MONO = 3, 1, 3  # as the header's bits say it
TAG_REACH = 64  # bytes of a first frame in which the tag begins


def is_mp3(sound: Opened) -> bool:
    """Whether the file starts with a frame of layer I to III, or with a tag before one."""
    return sound.head[:3] == b"ID3" or _is_frame(sound.head[:4])


def is_guess(sound: Opened) -> bool:
    """Whether the length that libsndfile names is a guess."""
    begin = sound.read_at(_first_frame(sound), TAG_REACH)
    at = max(begin.find(b"Xing"), begin.find(b"Info"))
    return (
        at < 0 or len(begin) < at + 8 or not begin[at + 7] & 1
    )  # the flag of "the number of frames follows"


def with_length(sound: Opened) -> Splice | None:
    """A first frame that promises more than the file can hold; None if it says its length, or is of another layer."""
    first = _first_frame(sound)
    header = sound.read_at(first, 4)
    if not _is_frame(header) or header[1] >> 1 & 3 != LAYER_3 or not is_guess(sound):
        return None
    version = header[1] >> 3 & 3
    rate = RATES[version][header[2] >> 2 & 3]
    # the ninth bit rate is 128 kbit/s in version 1, of 1,152 samples a frame, and 80 kbit/s in the others, of 576
    size = 144 * 128_000 // rate if version == VERSION_1 else 72 * 80_000 // rate
    stereo = header[3] >> 6 != MONO
    side = (17, 32)[stereo] if version == VERSION_1 else (9, 17)[stereo]
    start = bytes([255, header[1] | 1, 9 << 4 | header[2] & 0x0C, header[3]])
    frames = min(sound.size // 24 + 1, 0xFFFFFFFF)  # the shortest frame has 24 bytes
    tag = b"Xing" + (1).to_bytes(4, "big") + frames.to_bytes(4, "big")
    return Splice(0, (start + bytes(side) + tag).ljust(size, b"\0"), first)


def _first_frame(sound: Opened) -> int:
    """Where the first frame begins: after the ID3v2 tags."""
    at = 0
    for _ in range(8):
        head = sound.read_at(at, 10)
        if head[:3] != b"ID3" or len(head) < 10:
            break
        length = 0
        for byte in head[6:]:
            length = length << 7 | byte & 0x7F
        at += 10 + length + (10 if head[5] & 0x10 else 0)
    return at


def _is_frame(header: bytes) -> bool:
    """Whether four bytes are the header of a frame."""
    if len(header) < 4 or header[0] != 255 or header[1] & 0xE0 != 0xE0:
        return False
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    return version != 1 and layer != 0 and header[2] >> 4 not in (0, 15) and header[2] >> 2 & 3 != 3
