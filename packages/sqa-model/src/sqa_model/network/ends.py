"""What a clip begins and ends with where nothing is said: left out before a model listens."""

from torch import Tensor

FLOOR = 1e-3  # of the peak: 60 dB below it
SHORTEST = 400  # samples that stay at least: what an encoder needs at 16 kHz


def without_silent_ends(clip: Tensor) -> Tensor:
    """The clip from its first to its last sample above a thousandth of its peak; a silent clip as it is.

    Digital silence around speech, however long, then changes no score at all. A recording's own background is hardly
    ever so quiet, and stays. (samples,) -> (samples,); differentiable, as a slice is.

    >>> import torch
    >>> clip = torch.cat([torch.zeros(9000), torch.ones(500), torch.full((800,), 1e-4)])
    >>> without_silent_ends(clip).shape
    torch.Size([500])
    """
    size = clip.detach().abs()
    heard = (size > FLOOR * size.amax()).nonzero()
    if not len(heard):
        return clip
    start = min(int(heard[0]), max(0, len(clip) - SHORTEST))
    return clip[start : max(int(heard[-1]) + 1, start + SHORTEST)]
