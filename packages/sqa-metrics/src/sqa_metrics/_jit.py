# mypy: disable-error-code="assignment, call-arg, return-value"
"""The compiled loops beneath `_kernels`: arrays in, integers and arrays out. Each says how it works.

A rank statistic is a sum over pairs, hence an integer. Sums that may leave 64 bits (cubes, products of
ranks) are kept as halves: high + low = sum of (v >> 24), and of (v & 0xFFFFFF).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numba.extending import intrinsic

U = np.uint64
BYTES = U(0x0101010101010101)  # one in every byte
TIED = np.uint32(1 << 31)  # mark on a rank that several items share
INFINITE = np.int64(0x7FF0000000000000)  # the order-preserving key of +infinity
LEVELS = 256  # at most so many distinct values count as discrete


def _kernel(function: Callable[..., Any]) -> Any:
    """Compile on first call, keep the machine code on disk, release the interpreter lock."""
    return numba.njit(nogil=True, cache=True, error_model="numpy")(function)


def _summing_kernel(function: Callable[..., Any]) -> Any:
    """The same, with float sums in any order, so that they vectorise."""
    return numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"})(function)


# ---------------------------------------------------------------- inversions of a permutation


@intrinsic
def popcount(typing_context: Any, value: Any) -> Any:
    """Number of set bits: one machine instruction that Numba does not offer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return numba.uint64(numba.uint64), generate


@_kernel
def flush(high: Any, low: np.ndarray, total: np.ndarray, octets: int) -> None:
    """Add the byte counters of a block to the first 8 * octets wide ones, and clear them."""
    for h in range(octets):
        above = np.int64((high >> U(8 * h)) & U(255))
        packed = low[h]
        low[h] = U(0)
        row = total[8 * h : 8 * h + 8]
        for t in range(row.size):
            row[t] += above + np.int64((packed >> U(8 * t)) & U(255))


@_kernel
def split(source: Any, target: Any, shift: int, mask: Any, place: Any, low: Any, total: Any) -> int:
    """Move one segment's values to 64 buckets by a digit; return the inversions between buckets.

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
            inversions += total[digit] + np.int64(((high >> bits_h) & U(255)) + ((packed >> bits_l) & U(255)))
            high += BYTES & ((U(1) << bits_h) - U(1))
            low[h] = packed + (BYTES & ((U(1) << bits_l) - U(1)))
            p = place[digit]
            place[digit] = p + 1
            target[p] = value
        flush(high, low, total, 8)
    return inversions


@_kernel
def leaf(source: Any, seen: Any, low: Any, total: Any) -> int:
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
            inversions += total[word] + np.int64(bytes_ + popcount(here >> bit))
            high += BYTES & ((U(1) << bits_h) - U(1))
            low[h] = packed + (BYTES & ((U(1) << bits_l) - U(1)))
            seen[word] = here | (U(1) << bit)
        flush(high, low, total, octets)
    return inversions


@_kernel
def inversions(values: np.ndarray, spare: np.ndarray) -> int:
    """Pairs out of order in a permutation of 0..n-1 (uint32, overwritten; spare is alike): O(n log n).

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
            count += split(values[s : s + (1 << shift)], spare, down, mask, place, low, total)
        values, spare = spare, values
        shift = down
    for s in range(0, n, 4096):
        count += leaf(values[s : s + 4096], seen, low, total)
    return count


# ---------------------------------------------------------------- sorting by packed keys


@_kernel
def ordered(value: float) -> int:
    """The float's bits as an integer of the same order: the magnitude's, with the sign. -0.0 and 0.0 are alike."""
    bits = np.float64(value).view(np.int64)
    negative = bits >> 63  # 0 or -1
    return (bits ^ (negative & 0x7FFFFFFFFFFFFFFF)) - negative


@_kernel
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


@_kernel
def pack(values: np.ndarray, index_bits: int, out: np.ndarray) -> int:
    """out[i] = (key of values[i], shortened) << index_bits | i: sorting it sorts values and carries i."""
    lowest, shift, status = span(values, 64 - index_bits)
    if status < 2:
        for i in range(values.size):
            key = (U(ordered(values[i])) - U(lowest)) >> U(shift)
            out[i] = (key << U(index_bits)) | U(i)
    return status


@_kernel
def value_of(payload: Any, values: np.ndarray, order: np.ndarray, mask: Any) -> float:
    return values[order[payload] & mask] if order.size else values[payload]


@_kernel
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


# ---------------------------------------------------------------- the sums over one pair of arrays


@_kernel
def groups(
    first: np.ndarray, x: np.ndarray, lossy: bool, bits: int, rank: Any, begin: Any
) -> tuple[int, int, int]:
    """Groups of equal x along the sorted positions [b, e): rank[p] = b + e, marked TIED where e - b > 1.

    begin[(b + e) // 2] = b: a slot that no other group has. Returns `_ties` of the groups.
    """
    n, mask = first.size, (U(1) << U(bits)) - U(1)
    start, tied, cube_high, cube_low = 0, 0, 0, 0
    for stop in range(1, n + 1):
        if (
            stop < n
            and (first[stop] >> U(bits)) == (first[start] >> U(bits))
            and (not lossy or x[first[stop] & mask] == x[first[start] & mask])
        ):
            continue
        t = stop - start
        tied += t * (t - 1) // 2
        cube_high += t * ((t * t) >> 24)
        cube_low += t * ((t * t) & 0xFFFFFF)
        begin[(start + stop) >> 1] = start
        value = np.uint32(start + stop) | (TIED if t > 1 else np.uint32(0))
        for p in range(start, stop):
            rank[p] = value
        start = stop
    return tied, cube_high, cube_low


@_kernel
def gather(first: np.ndarray, y: np.ndarray, bits: int, out: np.ndarray) -> int:
    """out[p] = (key of y at the p-th smallest x, shortened) << bits | p."""
    lowest, shift, status = span(y, 64 - bits)
    mask = (U(1) << U(bits)) - U(1)
    if status < 2:
        for p in range(first.size):
            key = (U(ordered(y[first[p] & mask])) - U(lowest)) >> U(shift)
            out[p] = (key << U(bits)) | U(p)
    return status


@_kernel
def repeats(packed: np.ndarray, bits: int) -> bool:
    """True if two neighbours of a sorted array share a key: there are ties, or there may be."""
    count = 0
    before, after = packed[:-1], packed[1:]
    for i in range(before.size):
        count += np.int64(((before[i] ^ after[i]) >> U(bits)) == 0)
    return count > 0


@_kernel
def distinct_sums(second: np.ndarray, bits: int, perm: np.ndarray) -> tuple[int, int]:
    """Without ties: unpack the permutation, and sum the rank products as (high, low) halves."""
    n, mask = second.size, (U(1) << U(bits)) - U(1)
    high, low = 0, 0
    for i in range(n):
        p = np.int64(second[i] & mask)
        perm[i] = p
        product = (2 * i + 1 - n) * (2 * p + 1 - n)
        high += product >> 24
        low += product & 0xFFFFFF
    return high, low


@_kernel
def tied_sums(
    second: Any, first: Any, y: Any, lossy: bool, bits: int, rank: Any, begin: Any, perm: Any
) -> Any:
    """Walk the items in order of (y, x): tied pairs, rank products, and what is left to count inversions of.

    The payload of `second` indexes `rank` (`groups`; empty: x has no ties). A tied group's items take its
    places in turn (`begin`, overwritten), so that ties never look inverted; without `begin` perm is the
    payload. A run of equal keys is a tie in y. Returns pairs tied in y, in both, then (high, low) halves of
    the cubed tie sizes and of the rank products.
    """
    n, mask = second.size, (U(1) << U(bits)) - U(1)
    tied_y, tied_both, cube_high, cube_low, high, low = 0, 0, 0, 0, 0, 0
    start, run_key, run_rank, previous, equal = 0, second[0] >> U(bits), 0, np.int64(-1), 0
    for j in range(n + 1):
        same = j < n and (second[j] >> U(bits)) == run_key
        if same and lossy:
            same = y[first[second[j] & mask] & mask] == y[first[second[start] & mask] & mask]
        if not same:  # the run [start, j) ends: run_rank is the sum of its ranks of x
            t, rank_y = j - start, start + j - n
            high += rank_y * (run_rank >> 24)
            low += rank_y * (run_rank & 0xFFFFFF)
            tied_y += t * (t - 1) // 2
            cube_high += t * ((t * t) >> 24)
            cube_low += t * ((t * t) & 0xFFFFFF)
            if j == n:
                break
            start, run_key, run_rank, previous, equal = j, second[j] >> U(bits), 0, np.int64(-1), 0
        p = np.int64(second[j] & mask)
        r = 2 * p + 1
        if rank.size:
            r = np.int64(rank[p])
            if r & TIED:
                r ^= TIED
                if begin.size:
                    p = np.int64(begin[r >> 1])
                    begin[r >> 1] = p + 1
        perm[j] = p
        equal = equal + 1 if r == previous else 0
        tied_both += equal
        previous = r
        run_rank += r - n
    return tied_y, tied_both, cube_high, cube_low, high, low


# ---------------------------------------------------------------- one side discrete


@_kernel
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


@_kernel
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


@_kernel
def code_ranks(sizes: np.ndarray, rank: np.ndarray, place: np.ndarray) -> tuple[int, int, int]:
    """As `groups`, for codes that occur sizes[c] times: rank[c], and place[c], where they begin."""
    start, tied, cube_high, cube_low = 0, 0, 0, 0
    for c in range(sizes.size):
        t = sizes[c]
        rank[c], place[c] = start + start + t, start
        tied += t * (t - 1) // 2
        cube_high += t * ((t * t) >> 24)
        cube_low += t * ((t * t) & 0xFFFFFF)
        start += t
    return tied, cube_high, cube_low


@_kernel
def coded_sums(second: np.ndarray, bits: int, rank: np.ndarray, perm: np.ndarray) -> tuple[int, int]:
    """As `distinct_sums`, for codes as payload: unpack them, and sum the rank products."""
    n, mask = second.size, (U(1) << U(bits)) - U(1)
    high, low = 0, 0
    for i in range(n):
        code = second[i] & mask
        perm[i] = code
        product = (2 * i + 1 - n) * (np.int64(rank[code]) - n)
        high += product >> 24
        low += product & 0xFFFFFF
    return high, low


@_kernel
def code_inversions(codes: np.ndarray, spare: np.ndarray, place: np.ndarray) -> int:
    """Pairs out of order in codes below 64, of which code c begins at place[c]: one radix step."""
    total, low = np.empty(64, np.int64), np.zeros(8, np.uint64)
    return split(codes, spare, 0, U(63), place, low, total)


# ---------------------------------------------------------------- few items


@_kernel
def cosine(xy: float, xx: float, yy: float) -> float:
    """As `_plain.cosine`; NaN if either square is zero."""
    if xx == 0 or yy == 0:
        return np.nan
    if xx == yy and abs(xy) == xx:
        return 1.0 if xy > 0 else -1.0
    return max(-1.0, min(1.0, np.float64(xy) / math.sqrt(np.float64(xx) * np.float64(yy))))


@_kernel
def all_pairs(x: np.ndarray, y: np.ndarray, rank_x: np.ndarray, rank_y: np.ndarray) -> Any:
    """Compare every two items: the six numbers of `Counts`; untied_x is -1 if a value is not finite.

    With a, b = sign of the differences in x and y, sums of a b, a a, b b over the pairs are the first three;
    over the pairs of one item, a sums to its doubled centred mid-rank. The inner loop is vectorised.
    """
    n = x.size
    concordance, untied_x, untied_y, finite = 0, 0, 0, True
    for i in range(n):
        xi, yi = x[i], y[i]
        finite &= (abs(xi) < np.inf) & (abs(yi) < np.inf)
        before_x, before_y, ranks_x, ranks_y = x[:i], y[:i], rank_x[:i], rank_y[:i]
        sum_a, sum_b = 0, 0
        for j in range(before_x.size):
            a = np.int64(before_x[j] < xi) - np.int64(before_x[j] > xi)
            b = np.int64(before_y[j] < yi) - np.int64(before_y[j] > yi)
            concordance += a * b
            untied_x += a * a
            untied_y += b * b
            sum_a += a
            sum_b += b
            ranks_x[j] -= a
            ranks_y[j] -= b
        rank_x[i], rank_y[i] = sum_a, sum_b
    xy, xx, yy = 0, 0, 0
    for i in range(n):
        xy += rank_x[i] * rank_y[i]
        xx += rank_x[i] * rank_x[i]
        yy += rank_y[i] * rank_y[i]
    return concordance, untied_x if finite else -1, untied_y, xy, xx, yy


@_kernel
def small_tau(x: np.ndarray, y: np.ndarray) -> float:
    """Tau-b by comparing every two items, ranks left out; 2 if a value is not finite, NaN if undefined."""
    untied_x, untied_y, untied, opposed, finite = 0, 0, 0, 0, True
    for i in range(x.size):
        xi, yi = x[i], y[i]
        finite &= (abs(xi) < np.inf) & (abs(yi) < np.inf)
        before_x, before_y = x[:i], y[:i]
        for j in range(before_x.size):
            a, b = np.int64(before_x[j] != xi), np.int64(before_y[j] != yi)
            untied_x += a
            untied_y += b
            untied += a & b
            opposed += a & b & (np.int64(before_x[j] < xi) ^ np.int64(before_y[j] < yi))
    return cosine(untied - 2 * opposed, untied_x, untied_y) if finite else 2.0


# ---------------------------------------------------------------- sums of the scores themselves


@_summing_kernel
def moments(x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, float]:
    """Sum of (x - y)^2, and the centred sums xx, yy, xy (zero for a constant), in blocks of 1,024 items.

    Inside a block the additions are vectorised; the blocks' sums are then added, so that rounding errors
    grow with n / 1024 and not with n. First the means, then the deviations.
    """
    n = x.size
    sum_x, sum_y, error = 0.0, 0.0, 0.0
    same_x, same_y = True, True
    for s in range(0, n, 1024):
        bx, by = x[s : s + 1024], y[s : s + 1024]
        sx, sy, se = 0.0, 0.0, 0.0
        for i in range(bx.size):
            sx += bx[i]
            sy += by[i]
            se += (bx[i] - by[i]) * (bx[i] - by[i])
            same_x &= bx[i] == x[0]
            same_y &= by[i] == y[0]
        sum_x += sx
        sum_y += sy
        error += se
    mean_x, mean_y = sum_x / n, sum_y / n
    xx, yy, xy = 0.0, 0.0, 0.0
    for s in range(0, n, 1024):
        bx, by = x[s : s + 1024], y[s : s + 1024]
        sxx, syy, sxy = 0.0, 0.0, 0.0
        for i in range(bx.size):
            dx, dy = bx[i] - mean_x, by[i] - mean_y
            sxx += dx * dx
            syy += dy * dy
            sxy += dx * dy
        xx += sxx
        yy += syy
        xy += sxy
    return error, 0.0 if same_x else xx, 0.0 if same_y else yy, xy


# ---------------------------------------------------------------- resampling


@_kernel
def count(index: np.ndarray, counts: np.ndarray) -> bool:
    """counts[r, i] = how often resample r holds item i; -1 is nothing. False if an index is out of range."""
    for r in range(index.shape[0]):
        row, out = index[r], counts[r]
        for j in range(row.size):
            i = row[j]
            if i >= 0:
                if i >= out.size:
                    return False
                out[i] += 1
    return True


@_summing_kernel
def reweighted(
    counts: np.ndarray,  # (r, n) how often each resample holds each item
    item: np.ndarray,  # (n,) items in order of (x, y)
    x: np.ndarray,  # (n,) in that order, near 1: squares stay in range
    y: np.ndarray,
    squared_error: np.ndarray,  # (n,) of the unscaled values
    level_x: np.ndarray,  # (n,) dense rank of x, in that order
    level_y: np.ndarray,
    out: np.ndarray,  # (r, 4)
) -> None:
    """The four metrics of every resample of one pair, without sorting: the order of its items never changes.

    Counts per level of x and y give ties and mid-ranks; walking the items in order of (x, y), each sends
    its copies to the next places of its y level: a permutation, whose inversions are the discordant pairs.
    """
    n = item.size
    weight, size_x, size_y = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    place, perm, spare = np.empty(n, np.int64), np.empty(n, np.uint32), np.empty(n, np.uint32)
    for r in range(counts.shape[0]):
        count = counts[r]
        size_x[:] = 0
        size_y[:] = 0
        total = 0
        for p in range(n):
            w = np.int64(count[item[p]])
            weight[p] = w
            total += w
            size_x[level_x[p]] += w
            size_y[level_y[p]] += w
        if total + 4 > perm.size:
            perm, spare = np.empty(total + 4, np.uint32), np.empty(total + 4, np.uint32)

        # From here size_x, size_y become doubled centred mid-ranks.
        tied_x, xx = level_ranks(size_x, total, place)
        tied_y, yy = level_ranks(size_y, total, place)
        tied_both, same, xy, filled, last_x, last_y = 0, 0, 0, 0, -1, -1
        for p in range(n):
            w, a, b = weight[p], level_x[p], level_y[p]
            same = same + w if (a == last_x) & (b == last_y) else w
            tied_both += w * (same - w) + w * (w - 1) // 2
            last_x, last_y = a, b
            xy += w * size_x[a] * size_y[b]
            q = place[b]
            place[b] = q + w
            for c in range(4):  # four copies at once, more only where needed: no branch to mispredict
                perm[filled + c] = q + c
            for c in range(4, w):
                perm[filled + c] = q + c
            filled += w
        pairs = total * (total - 1) // 2
        discordant = inversions(perm[:total], spare[:total])
        concordance = pairs - tied_x - tied_y + tied_both - 2 * discordant
        out[r, 2] = cosine(xy, xx, yy)
        out[r, 3] = cosine(concordance, pairs - tied_x, pairs - tied_y)

        sum_x, sum_y, error = 0.0, 0.0, 0.0
        for p in range(n):
            sum_x += weight[p] * x[p]
            sum_y += weight[p] * y[p]
            error += weight[p] * squared_error[p] if weight[p] else 0.0  # it may be infinite
        mean_x, mean_y = sum_x / total, sum_y / total
        sxx, syy, sxy = 0.0, 0.0, 0.0
        for p in range(n):
            dx, dy = x[p] - mean_x, y[p] - mean_y
            sxx += weight[p] * dx * dx
            syy += weight[p] * dy * dy
            sxy += weight[p] * dx * dy
        out[r, 0] = error / total
        out[r, 1] = cosine(sxy, sxx, syy) if xx and yy else np.nan


@_kernel
def level_ranks(sizes: np.ndarray, total: int, place: np.ndarray) -> tuple[int, int]:
    """Turn level sizes into doubled centred mid-ranks, place into starts; -> tied pairs, sum of squares."""
    before, tied, squares = 0, 0, 0
    for level in range(sizes.size):
        size = sizes[level]
        rank = 2 * before + size - total
        place[level] = before
        sizes[level] = rank
        tied += size * (size - 1) // 2
        squares += size * rank * rank
        before += size
    return tied, squares


GOLDEN = U(0x9E3779B97F4A7C15)  # the step of SplitMix64 (Steele, Lea & Flood 2014)


@_kernel
def mix(state: Any) -> Any:
    """SplitMix64's output function (Steele, Lea & Flood 2014)."""
    state = (state ^ (state >> U(30))) * U(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> U(27))) * U(0x94D049BB133111EB)
    return state ^ (state >> U(31))


@_kernel
def _below(state: Any, k: int) -> int:
    """A number below k from a state of SplitMix64: the high half of 32 random bits times k."""
    return np.int64(((mix(state) >> U(32)) * U(k)) >> U(32))


@_kernel
def draw(starts: np.ndarray, seed: Any, first: int, counts: np.ndarray) -> None:
    """Draw resamples first..first + r: systems with replacement, then utterances inside each drawn one.

    starts (s + 1,) bounds the systems; counts (r, n), zero, receives how often each utterance was drawn. Resample t
    has two SplitMix64 streams, started at mix(mix(seed) + t) for the systems and at that mixed once more for the
    utterances: the same draws in any order and on any number of threads, the same systems whatever their sizes.
    """
    systems = starts.size - 1
    for r in range(counts.shape[0]):
        state = mix(mix(U(seed)) + U(first + r))
        inside = mix(state)
        for _ in range(systems):
            state += GOLDEN
            c = _below(state, systems)
            begin, size = starts[c], starts[c + 1] - starts[c]
            for _ in range(size):
                inside += GOLDEN
                counts[r, begin + _below(inside, size)] += 1
