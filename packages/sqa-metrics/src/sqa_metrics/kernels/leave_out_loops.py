# mypy: disable-error-code="arg-type, assignment, call-arg, no-any-return, return-value"
"""The two loops of `leave_out` that go over all items many times, compiled."""

import numpy as np

from sqa_metrics.kernels.compiled import compiled

BLOCK = 8  # clusters walked at a time: one look at an item's place serves them all


@compiled
def lend(x: np.ndarray, starts: np.ndarray, size: np.ndarray, lent: np.ndarray) -> None:
    """For each level of x and cluster of a block: its items below the level less those above, (levels, BLOCK)."""
    lent[:] = 0
    for b in range(starts.size):
        for i in range(starts[b], starts[b] + size[b]):
            lent[x[i], b] += 1
    below = np.zeros(BLOCK, np.int64)
    for level in range(lent.shape[0]):
        row = lent[level]
        for b in range(BLOCK):
            count = row[b]
            row[b] = 2 * below[b] + count - size[b]
            below[b] += count


@compiled
def walk(x: np.ndarray, y: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """As `leave_out._walk`: x, y (n,) dense ranks; starts, sizes (k,) of clusters -> (k,).

    The items are walked in the order of y, where what a cluster lends in y is a running count; only that in x is looked
    up. Items of equal y are added first, and then multiplied with what they share.
    """
    n = x.size
    order = np.argsort(y)
    owner = np.full(n, -1, np.int64)
    for k in range(starts.size):
        owner[starts[k] : starts[k] + sizes[k]] = k
    in_x, in_y, owner = x[order], y[order], owner[order]
    found = np.zeros(starts.size, np.int64)
    lent = np.empty((x.max() + 1, BLOCK), np.int32)
    size, below, here = np.zeros(BLOCK, np.int64), np.zeros(BLOCK, np.int64), np.zeros(BLOCK, np.int64)
    run, total = np.zeros(BLOCK, np.int64), np.zeros(BLOCK, np.int64)
    for first in range(0, starts.size, BLOCK):
        block = min(BLOCK, starts.size - first)
        size[:] = 0
        size[:block] = sizes[first : first + block]
        lend(x, starts[first : first + block], size, lent)
        below[:] = 0
        here[:] = 0
        run[:] = 0
        total[:] = 0
        for i in range(n):
            if i and in_y[i] != in_y[i - 1]:
                for b in range(BLOCK):
                    total[b] += run[b] * (2 * below[b] + here[b] - size[b])
                    below[b] += here[b]
                    here[b] = 0
                    run[b] = 0
            row = lent[in_x[i]]
            for b in range(BLOCK):
                run[b] += row[b]
            if first <= owner[i] < first + block:
                here[owner[i] - first] += 1
        for b in range(block):
            found[first + b] = total[b] + run[b] * (2 * below[b] + here[b] - size[b])
    return found


@compiled
def inversions_of_each(permutation: np.ndarray) -> np.ndarray:
    """As `leave_out.inversions_of_each`, by merging runs that grow: in (n,), out (n,)."""
    n = permutation.size
    count = np.zeros(n, np.int64)  # by value
    source, target = permutation.copy(), np.empty(n, np.int64)
    width = 1
    while width < n:
        for low in range(0, n, 2 * width):
            middle, high = min(low + width, n), min(low + 2 * width, n)
            a, b = low, middle
            for k in range(low, high):
                if b == high or (a < middle and source[a] < source[b]):
                    # those of the right run that went before are out of order with it
                    count[source[a]] += b - middle
                    target[k] = source[a]
                    a += 1
                else:
                    count[source[b]] += middle - a
                    target[k] = source[b]
                    b += 1
        source, target = target, source
        width *= 2
    found = np.empty(n, np.int64)
    for i in range(n):
        found[i] = count[permutation[i]]
    return found
