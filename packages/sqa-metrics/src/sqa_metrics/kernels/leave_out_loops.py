# mypy: disable-error-code="arg-type, assignment, call-arg, no-any-return, return-value"
"""The loops of `leave_out_arrays`, compiled."""

import numpy as np

from sqa_metrics.kernels.compiled import compiled
from sqa_metrics.kernels.inversions import inversions
from sqa_metrics.kernels.leave_out_arrays import Kind, Path
from sqa_metrics.kernels.threads import in_threads

BLOCK = 8  # clusters walked at a time: one look at an item's place serves them all


def reordered(order: np.ndarray, code: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """As `leave_out_arrays.reordered`."""
    return spread(order, code, np.cumsum(sizes) - sizes)


@compiled
def spread(order: np.ndarray, code: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Each item of `order` to the next place of its code: a sort by counting; `place` is overwritten."""
    target = np.empty_like(order)
    for i in range(order.size):
        item = order[i]
        at = place[code[item]]
        target[at] = item
        place[code[item]] = at + 1
    return target


def inversions_of_each(permutation: np.ndarray) -> np.ndarray:
    """As `leave_out_arrays.inversions_of_each`."""
    values = permutation.astype(np.uint32)
    ahead = np.zeros(values.size, np.int64)  # by value, larger ones before it
    inversions(values, np.empty_like(values), ahead)
    # v - i of an item's value and place are the smaller ones behind it, less the larger ones before it
    found: np.ndarray = 2 * ahead[permutation] + permutation - np.arange(values.size)
    return found


def walks(ref: Path, paths: list[Path], sizes: np.ndarray, kind: Kind) -> np.ndarray:
    """As `leave_out_arrays.walks`, by blocks of clusters, so that what they lend stays near the processor."""
    n = ref.x.size
    found: np.ndarray = np.zeros((len(paths), sizes.size), kind)

    def walk_block(first: int) -> None:
        size = np.zeros(BLOCK, np.int64)
        size[: sizes.size - first] = sizes[first : first + BLOCK]
        levels = int(ref.x[-1]) + 1
        rows = 2 * min(int(size.sum()), levels) + 1
        step = np.empty(levels, np.uint16 if rows < 2**16 else np.int32)
        lent = np.empty((rows, BLOCK), np.int32)
        lend(ref.x, ref.owner, first, size, step, lent)
        in_threads(lambda k: walk(step, lent, *paths[k], first, size, found[k]), range(len(paths)), n * BLOCK)

    for first in range(0, sizes.size, BLOCK):
        walk_block(first)
    return found


@compiled
def lend(
    x: np.ndarray, owner: np.ndarray, first: int, size: np.ndarray, step: np.ndarray, lent: np.ndarray
) -> None:
    """What the clusters from `first` on lend: the row of each level (levels,), and the rows (rows, BLOCK).

    x and owner (n,) are in the order of x. Levels between two of the block's items share a row.
    """
    below, here = np.zeros(BLOCK, np.int64), np.zeros(BLOCK, np.int64)
    row, mine = 0, False
    lent[0] = -size
    for i in range(x.size):
        k = owner[i] - first
        if 0 <= k < BLOCK:
            here[k] += 1
            mine = True
        if i + 1 == x.size or x[i + 1] != x[i]:
            step[x[i]] = row + mine
            if mine:
                lent[row + 1] = 2 * below + here - size
                below += here
                lent[row + 2] = 2 * below - size
                here[:] = 0
                row, mine = row + 2, False


@compiled
def walk(
    step: np.ndarray,
    lent: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    owner: np.ndarray,
    first: int,
    size: np.ndarray,
    found: np.ndarray,
) -> None:
    """Add the block's products to `found` (clusters,), walking the items in the order of y.

    What an item of the cluster lends in y is -1 to those before it and 1 to those behind it: the product is the sum
    over the cluster's items of all that is lent in x behind them, less all that is before them.
    """
    n = x.size
    run = np.zeros(BLOCK, np.int64)  # lent in x to the items so far
    begin = 0
    while begin < n:
        end = begin + 1
        while end < n and y[end] == y[begin]:
            end += 1
        if end == begin + 1:  # the same as below, twice as quick
            row = lent[step[x[begin]]]
            k = owner[begin] - first
            if 0 <= k < BLOCK:
                found[owner[begin]] -= 2 * run[k] + row[k]
            for b in range(BLOCK):
                run[b] += row[b]
        else:
            settle(owner[begin:end], first, run, found)
            for i in range(begin, end):
                row = lent[step[x[i]]]
                for b in range(BLOCK):
                    run[b] += row[b]
            settle(owner[begin:end], first, run, found)
        begin = end
    for b in range(min(BLOCK, found.size - first)):
        found[first + b] += size[b] * run[b]


@compiled
def settle(owner: np.ndarray, first: int, run: np.ndarray, found: np.ndarray) -> None:
    """For each item of the block among these: take off what is before it."""
    for cluster in owner:
        if first <= cluster < first + BLOCK:
            found[cluster] -= run[cluster - first]


def warmup() -> None:
    """Compile and cache every loop."""
    order = np.arange(4)
    path = Path(*np.zeros((3, 4), np.int32))
    reordered(order, order, np.ones(4, np.int64))
    inversions_of_each(order)
    for kind in (np.int64, np.float64):
        walks(path, [path], np.array([4]), kind)
