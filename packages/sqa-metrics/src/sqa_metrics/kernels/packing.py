# mypy: disable-error-code="arg-type, assignment, call-arg, no-any-return, return-value"
"""Sorting scores with their places as packed 64-bit integers, compiled: order-preserving keys above, an index below."""

from typing import Any

import numpy as np

from sqa_metrics.kernels.compiled import compiled

U = np.uint64
INFINITE = np.int64(0x7FF0000000000000)  # the order-preserving key of +infinity
LEVELS = 256  # at most so many distinct values count as discrete


@compiled
def ordered(value: float) -> int:
    """The float's bits as an integer of the same order: the magnitude's, with the sign. -0.0 and 0.0 are alike."""
    bits = np.float64(value).view(np.int64)
    negative = bits >> 63  # 0 or -1
    return (bits ^ (negative & 0x7FFFFFFFFFFFFFFF)) - negative


@compiled
def span(values: np.ndarray, room: int) -> tuple[int, int, int]:
    """Lowest key, the right shift to fit key - lowest in `room` bits, and 0 exact, 1 lossy, 2 not finite.

    The low bits that all keys share carry no order: scores read from float32 have 29 of them and so pack
    exactly beside a 28-bit index. Only if that is not enough are differing bits lost.
    """
    first = ordered(values[0])
    lowest, highest, differ = first, first, np.int64(0)
    for i in range(values.size):
        key = ordered(values[i])
        lowest = min(lowest, key)
        highest = max(highest, key)
        differ |= key ^ first
    if highest >= INFINITE or lowest <= -INFINITE:
        return lowest, 0, 2
    width = 0
    distance = U(highest) - U(lowest)
    while width < 64 and (distance >> U(width)) != 0:
        width += 1
    shared = 0
    while shared < 63 and ((differ >> shared) & 1) == 0:
        shared += 1
    if width - shared <= room:
        return lowest, min(shared, 63), 0
    return lowest, width - room, 1


@compiled
def pack(values: np.ndarray, index_bits: int, out: np.ndarray) -> int:
    """out[i] = (key of values[i], shortened) << index_bits | i: sorting it sorts values and carries i."""
    lowest, shift, status = span(values, 64 - index_bits)
    if status < 2:
        for i in range(values.size):
            key = (U(ordered(values[i])) - U(lowest)) >> U(shift)
            out[i] = (key << U(index_bits)) | U(i)
    return status


@compiled
def value_of(payload: Any, values: np.ndarray, order: np.ndarray, mask: Any) -> float:
    return values[order[payload] & mask] if order.size else values[payload]


@compiled
def repair(packed: np.ndarray, values: np.ndarray, order: np.ndarray, bits: int) -> int:
    """Sort the runs of equal shortened keys by the values themselves, by insertion.

    Payload p stands for values[p], or values[order[p] & mask] when `order` is given (not empty).
    Returns 0 if no two values are equal, 1 if some are, 2 if a run is too long and disordered for this.
    """
    mask, equal = (U(1) << U(bits)) - U(1), 0
    for i in range(1, packed.size):
        item = packed[i]
        if (item >> U(bits)) != (packed[i - 1] >> U(bits)):
            continue
        value = value_of(item & mask, values, order, mask)
        k = i
        while k > 0 and (packed[k - 1] >> U(bits)) == (item >> U(bits)):
            other = value_of(packed[k - 1] & mask, values, order, mask)
            if other <= value:
                equal |= other == value
                break
            packed[k] = packed[k - 1]
            k -= 1
            if i - k > 64:
                return 2
        packed[k] = item
    return np.int64(equal)


@compiled
def gather(first: np.ndarray, y: np.ndarray, bits: int, out: np.ndarray) -> int:
    """out[p] = (key of y at the p-th smallest x, shortened) << bits | p."""
    lowest, shift, status = span(y, 64 - bits)
    mask = (U(1) << U(bits)) - U(1)
    if status < 2:
        for p in range(first.size):
            key = (U(ordered(y[first[p] & mask])) - U(lowest)) >> U(shift)
            out[p] = (key << U(bits)) | U(p)
    return status


@compiled
def repeats(packed: np.ndarray, bits: int) -> bool:
    """True if two neighbours of a sorted array share a key: there are ties, or there may be."""
    count = 0
    before, after = packed[:-1], packed[1:]
    for i in range(before.size):
        count += np.int64(((before[i] ^ after[i]) >> U(bits)) == 0)
    return count > 0


@compiled
def levels(values: np.ndarray, codes: np.ndarray, level: np.ndarray, rank: np.ndarray) -> int:
    """Number the distinct values in order of appearance by a hash table; -1 once there are more than LEVELS.

    Continuous input is given up after LEVELS items or so, at no cost; with few levels the table stays in
    the first cache. Slots are found by multiplying the bits and stepping on. Then rank[code] is the
    place of each level among the others, by counting the smaller ones.
    """
    slots = np.zeros(4 * LEVELS, np.int64)
    count = 0
    for i in range(values.size):
        value = values[i] + 0.0
        h = (U(np.float64(value).view(np.int64)) * U(0x9E3779B97F4A7C15)) >> U(54)
        while slots[h] and level[slots[h] - 1] != value:
            h = (h + U(1)) & U(4 * LEVELS - 1)
        if slots[h] == 0:
            if count == level.size:
                return -1
            level[count] = value
            count += 1
            slots[h] = count
        codes[i] = slots[h] - 1
    for c in range(count):
        smaller = 0
        for other in level[:count]:
            smaller += np.int64(other < level[c])
        rank[c] = smaller
    return count


@compiled
def pack_codes(
    values: np.ndarray, codes: np.ndarray, rank: np.ndarray, bits: int, out: Any, sizes: Any
) -> int:
    """out[i] = (key of values[i], shortened) << bits | rank[codes[i]]; counts the items of each rank."""
    lowest, shift, status = span(values, 64 - bits)
    if status < 2:
        for i in range(values.size):
            code = rank[codes[i]]
            sizes[code] += 1
            out[i] = (((U(ordered(values[i])) - U(lowest)) >> U(shift)) << U(bits)) | U(code)
    return status
