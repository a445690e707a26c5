# mypy: disable-error-code="arg-type, assignment, call-arg, no-any-return, return-value"
"""Inversions of a permutation, compiled: a radix sort that counts what it moves. Discordant pairs of tau-b."""

from typing import Any

import numba
import numpy as np
from numba.extending import intrinsic

from sqa_metrics.kernels.compiled import JIT_OFF, compiled

U = np.uint64
BYTES = U(0x0101010101010101)  # one in every byte


if JIT_OFF:

    def popcount(value: Any) -> Any:
        """Number of set bits."""
        return int(value).bit_count()

else:

    @intrinsic
    def popcount(typing_context: Any, value: Any) -> Any:
        """Number of set bits: one machine instruction that Numba does not offer."""

        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.ctpop(arguments[0])

        return numba.uint64(numba.uint64), generate


@compiled
def flush(high: Any, low: np.ndarray, total: np.ndarray, octets: int) -> None:
    """Add the byte counters of a block to the first 8 * octets wide ones, and clear them."""
    for h in range(octets):
        above = np.int64((high >> U(8 * h)) & U(255))
        packed = low[h]
        low[h] = U(0)
        row = total[8 * h : 8 * h + 8]
        for t in range(row.size):
            row[t] += above + np.int64((packed >> U(8 * t)) & U(255))


@compiled
def split(
    source: Any, target: Any, shift: int, mask: Any, place: Any, low: Any, total: Any, ahead: Any
) -> int:
    """Move one segment's values to 64 buckets by a digit; return the inversions between buckets.

    `ahead`, by value, takes what each item adds; None leaves no trace of it in the machine code.

    An item adds the number of earlier items with a larger digit. Two octal digits keep it cheap: byte t of
    `high` counts the items with first digit > t, byte t of low[h] those with first h and second > t. Bytes
    hold 255 items; `flush` then adds them to `total`. Bucket d is filled from target[place[d]] on.
    """
    inversions = 0
    total[:] = 0
    for b in range(0, source.size, 255):
        block = source[b : b + 255]
        high = U(0)
        for i in range(block.size):
            value = block[i]
            digit = (U(value) >> U(shift)) & mask
            h = digit >> U(3)
            bits_h, bits_l = h << U(3), (digit & U(7)) << U(3)
            packed = low[h]
            larger = total[digit] + np.int64(((high >> bits_h) & U(255)) + ((packed >> bits_l) & U(255)))
            inversions += larger
            if ahead is not None:
                ahead[value] += larger
            high += BYTES & ((U(1) << bits_h) - U(1))
            low[h] = packed + (BYTES & ((U(1) << bits_l) - U(1)))
            p = place[digit]
            place[digit] = p + 1
            target[p] = value
        flush(high, low, total, 8)
    return inversions


@compiled
def leaf(source: Any, seen: Any, low: Any, total: Any, ahead: Any) -> int:
    """Inversions inside a segment of 4,096 consecutive values: 64 words of 64 bits.

    Larger words are counted as in `split`; inside the word, bit b of seen[word] says that value b came
    earlier, so a shift and a population count give the larger ones.
    """
    inversions, octets = 0, (source.size + 511) >> 9  # only what so many values can reach
    total[: 8 * octets] = 0
    seen[: 8 * octets] = 0
    for b in range(0, source.size, 255):
        block = source[b : b + 255]
        high = U(0)
        for i in range(block.size):
            value = U(block[i])
            word, bit = (value >> U(6)) & U(63), value & U(63)
            h = word >> U(3)
            bits_h, bits_l = h << U(3), (word & U(7)) << U(3)
            packed, here = low[h], seen[word]
            bytes_ = ((high >> bits_h) & U(255)) + ((packed >> bits_l) & U(255))
            larger = total[word] + np.int64(bytes_ + popcount(here >> bit))
            inversions += larger
            if ahead is not None:
                ahead[value] += larger
            high += BYTES & ((U(1) << bits_h) - U(1))
            low[h] = packed + (BYTES & ((U(1) << bits_l) - U(1)))
            seen[word] = here | (U(1) << bit)
        flush(high, low, total, octets)
    return inversions


@compiled
def inversions(values: np.ndarray, spare: np.ndarray, ahead: np.ndarray | None = None) -> int:
    """Pairs out of order in a permutation of 0..n-1 (uint32, overwritten; spare is alike): O(n log n).

    `ahead` (n,) is added for each value the larger ones before it.

    A radix sort by six bits at a time from the top that counts what it moves: inversions between buckets
    in `split`, and once 12 bits are left, inside them in `leaf`. Value v ends at place v: no histogram.
    """
    n = values.size
    shift = 0
    while (1 << shift) < n:
        shift += 1
    place, total = np.empty(64, np.int64), np.empty(64, np.int64)
    low, seen = np.zeros(8, np.uint64), np.empty(64, np.uint64)
    count = 0
    while shift > 12:
        down = shift - min(6, shift - 12)
        mask = U((1 << (shift - down)) - 1)
        for s in range(0, n, 1 << shift):
            for d in range(1 << (shift - down)):
                place[d] = s + (d << down)
            count += split(values[s : s + (1 << shift)], spare, down, mask, place, low, total, ahead)
        values, spare = spare, values
        shift = down
    for s in range(0, n, 4096):
        count += leaf(values[s : s + 4096], seen, low, total, ahead)
    return count


@compiled
def code_inversions(codes: np.ndarray, spare: np.ndarray, place: np.ndarray) -> int:
    """Pairs out of order in codes below 64, of which code c begins at place[c]: one radix step."""
    total, low = np.empty(64, np.int64), np.zeros(8, np.uint64)
    return split(codes, spare, 0, U(63), place, low, total, None)
