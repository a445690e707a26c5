"""What a clip begins and ends with where nothing is said: left out before a model listens."""

from collections.abc import Iterable

from torch import Tensor

FLOOR = 1e-3  # of the peak: 60 dB below it
SHORTEST = 400  # samples that stay at least: what an encoder needs at 16 kHz
BLOCK = 4096  # samples that are looked at together, from either end until there is sound


def without_silent_ends(clip: Tensor) -> Tensor:
    """The clip from its first to its last sample above a thousandth of its peak; a silent clip as it is.

    Digital silence around speech, however long, then changes no score at all. A recording's own background is hardly
    ever so quiet, and stays. (samples,) -> (samples,); differentiable, as a slice is.

    >>> import torch
    >>> clip = torch.cat([torch.zeros(9000), torch.ones(500), torch.full((800,), 1e-4)])
    >>> without_silent_ends(clip).shape
    torch.Size([500])
    """
    samples, starts = clip.detach(), range(0, len(clip), BLOCK)
    low, high = samples.aminmax()
    floor = FLOOR * max(-float(low), float(high))
    first, _ = _sound(samples, floor, starts)
    _, last = _sound(samples, floor, reversed(starts))
    start = min(first, max(0, len(clip) - SHORTEST))
    return clip[start : max(last + 1, start + SHORTEST)]


def _sound(samples: Tensor, floor: float, starts: Iterable[int]) -> tuple[int, int]:
    """The first and the last sample above a floor in the first of these blocks that has one; else both ends."""
    for start in starts:
        heard = (samples[start : start + BLOCK].abs() > floor).nonzero()
        if len(heard):
            return start + int(heard[0]), start + int(heard[-1])
    return 0, len(samples) - 1
