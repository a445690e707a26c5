"""Long clips are cut into equal overlapping windows, and each window stands for a share of the clip."""

import itertools
import math


def cut(length: int, window: int) -> list[slice]:
    """Windows over `length` samples: one if it fits, else equally long, evenly spaced, overlapping by >= 1/6.

    >>> cut(100, 60)
    [slice(0, 60, None), slice(40, 100, None)]
    """
    if length <= window:
        return [slice(0, length)]
    step = window - window // 6
    count = 1 + math.ceil((length - window) / step)
    starts = [round(i * (length - window) / (count - 1)) for i in range(count)]
    return [slice(start, start + window) for start in starts]


def nearest_parts(windows: list[slice], length: int) -> list[slice]:
    """The samples that each window stands for: up to the middle of its overlaps.

    >>> nearest_parts([slice(0, 60), slice(40, 100)], 100)
    [slice(0, 50, None), slice(50, 100, None)]
    """
    middles = [(a.stop + b.start) // 2 for a, b in itertools.pairwise(windows)]
    return [slice(a, b) for a, b in itertools.pairwise([0, *middles, length])] if windows else []


def at_other_rate(windows: list[slice], rate: int, wanted: int, length: int) -> list[slice]:
    """The same stretches of a clip that was resampled from `rate` to `wanted` Hz, `length` samples in all.

    >>> at_other_rate([slice(0, 16), slice(8, 24)], 16_000, 48_000, 71)
    [slice(0, 48, None), slice(24, 71, None)]
    """
    # rounded up, as the length is: what is there stays there
    ends = [-(-w.stop * wanted // rate) for w in windows]
    return [slice(w.start * wanted // rate, min(end, length)) for w, end in zip(windows, ends, strict=True)]
