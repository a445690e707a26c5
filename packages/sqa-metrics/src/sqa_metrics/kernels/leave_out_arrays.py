"""The loops of `leave_out` in NumPy, which say what the compiled ones (`leave_out_loops`) compute."""

from typing import NamedTuple, TypeAlias

import numpy as np

Kind: TypeAlias = type[np.int64] | type[np.float64]


class Path(NamedTuple):
    """All items in the order of a prediction, as int32: their levels on both sides, and whose they are."""

    x: np.ndarray  # (n,) dense rank in the reference
    y: np.ndarray  # (n,) dense rank in the prediction, ascending
    owner: np.ndarray  # (n,) cluster, counting those of several items; -1 for others


def reordered(order: np.ndarray, code: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The items of `order` (n,) sorted stably by their code, each of which has so many items."""
    found: np.ndarray = order[np.argsort(code[order], kind="stable")]
    return found


def walks(ref: Path, paths: list[Path], sizes: np.ndarray, kind: Kind) -> np.ndarray:
    """Sum over all items of what a cluster lends them in x, times the same in y: (m, clusters), of this kind.

    A cluster lends an item 1 for each of its own that is below, and -1 for each above. ref: the path in the order of x.
    """
    return np.array([[_walk(path, k, kind) for k in range(sizes.size)] for path in paths], kind)


def _walk(path: Path, cluster: int, kind: Kind) -> float:
    mine, product = path.owner == cluster, np.ones(path.x.size, kind)
    for code in (path.x, path.y):
        count = np.bincount(code[mine], minlength=int(code.max()) + 1)
        product *= (2 * np.cumsum(count) - count - count.sum())[code]
    total: float = product.sum()
    return total


def inversions_of_each(permutation: np.ndarray) -> np.ndarray:
    """For each item of a permutation of 0..n-1: the pairs out of order that it is in, (n,).

    A radix sort from the top bit as in `arrays.inversions`: in each group of values with the same upper bits, a zero
    is out of order with the ones before it, a one with the zeros after it.
    """
    n = permutation.size
    bits = max(1, (n - 1).bit_length())
    values = np.arange(1 << bits)
    values[:n] = permutation
    count = np.zeros(values.size, np.int64)  # by value
    for bit in reversed(range(bits)):
        half = 1 << bit
        groups = values.reshape(-1, 2 * half)
        ones = (groups & half).astype(bool)
        before = np.cumsum(ones, axis=1)
        zeros_ahead = half - (np.arange(2 * half) + 1 - before)
        count[groups] += np.where(ones, zeros_ahead, before)
        values = np.concatenate(
            [groups[~ones].reshape(-1, half), groups[ones].reshape(-1, half)], axis=1
        ).ravel()
    counted: np.ndarray = count[permutation]
    return counted
