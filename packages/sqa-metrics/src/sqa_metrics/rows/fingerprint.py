"""A fingerprint of a reference, its ids and scores: of no order of rows, format of file or road of reading.

The checksum (CRC-32) of each row, squared so that rows do not cancel out, summed over the rows modulo 2^64. It tells
references apart that differ by mistake, not those that somebody has made to agree. `kernels.checksum` computes the same
from the bytes of a file.
"""

import math
from collections.abc import Iterable, Sequence
from struct import Struct
from typing import NamedTuple
from zlib import crc32

MODULUS = 2**64
DIGITS = 1e6  # scores count to six decimals: a mean written as 3.666667 is that of the ratings
LARGEST = 2.0**62
SMALL = 1e12
NO_SCORE = -(2**63)
NUMBER = Struct("<q")


class Origin(NamedTuple):
    """What a signature says of the reference: the metric's name, and fingerprints of all rows and of those scored."""

    metric: str
    whole: int
    scored: int


def fingerprint(
    sample: Sequence[str], system: Sequence[str] | None, corpus: Sequence[str] | None, value: Iterable[float]
) -> list[int]:
    """The squared checksum of each row; a system that repeats its sample_id counts as none.

    >>> here = fingerprint(["u1", "u2"], ["s", "s"], None, [3.5, 2.0])
    >>> there = fingerprint(["u2", "u1"], ["s", "s"], None, [2.0, 3.5])
    >>> shown(sum(here)), sum(here) == sum(there)
    ('5897a4e7', True)
    """
    none = [""] * len(sample)
    rows = zip(sample, system or none, corpus or none, value, strict=True)
    checksums = [
        crc32(
            # NaN and what is large go the longer way
            NUMBER.pack(round(v * DIGITS)) if -SMALL < v < SMALL else _number(v),
            crc32(f"{u}\0{'' if s == u else s}\0{c}".encode("utf-8", "surrogatepass")),
        )
        for u, s, c, v in rows
    ]
    return [c * c for c in checksums]


def _number(score: float) -> bytes:
    inside = max(-LARGEST, min(LARGEST, score * DIGITS))
    return NUMBER.pack(NO_SCORE if math.isnan(score) else round(inside))


def shown(total: int) -> str:
    """A sum of squared checksums as eight hexadecimal digits."""
    total %= MODULUS
    return f"{(total ^ (total >> 32)) % 2**32:08x}"
