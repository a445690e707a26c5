# mypy: disable-error-code="arg-type, assignment, call-arg, no-any-return, return-value"
"""The two loops of `leave_out` that go over all items many times, compiled."""

import numpy as np

from sqa_metrics.kernels.compiled import compiled

BLOCK = 8  # clusters walked at a time: one look at an item's place serves them all


@compiled
def walk(x: np.ndarray, y: np.ndarray, starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """As `leave_out._walk`: x, y (n,) dense ranks; starts, sizes (k,) of clusters -> (k,)."""
    found = np.zeros(starts.size, np.int64)
    lent_x = np.empty((x.max() + 1, BLOCK), np.int32)
    lent_y = np.empty((y.max() + 1, BLOCK), np.int32)
    total = np.empty(BLOCK, np.int64)
    for first in range(0, starts.size, BLOCK):
        block = min(BLOCK, starts.size - first)
        for code, lent in ((x, lent_x), (y, lent_y)):
            lent[:] = 0
            for b in range(block):
                start = starts[first + b]
                for i in range(start, start + sizes[first + b]):
                    lent[code[i], b] += 1
            below = np.zeros(BLOCK, np.int32)
            for level in range(lent.shape[0]):
                for b in range(BLOCK):
                    here = lent[level, b]
                    lent[level, b] = 2 * below[b] + here
                    below[b] += here
            for level in range(lent.shape[0]):
                for b in range(BLOCK):
                    lent[level, b] -= below[b]
        total[:] = 0
        for i in range(x.size):
            row_x, row_y = lent_x[x[i]], lent_y[y[i]]
            for b in range(BLOCK):
                total[b] += np.int64(row_x[b]) * np.int64(row_y[b])
        for b in range(block):
            found[first + b] = total[b]
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
