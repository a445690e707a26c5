"""Dropout with one random byte a value: on a CPU almost twice as fast as torch's, whose draws cost most of it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def dropout(x: Tensor, p: float, training: bool) -> Tensor:
    """Zero values of `x` with a probability of `p`, to 1/256, and scale up the others so that the mean stays.

    >>> kept = dropout(torch.ones(100_000), 0.1, training=True)
    >>> bool(abs(kept.mean() - 1) < 0.01), round(float((kept == 0).float().mean()), 1)
    (True, 0.1)
    """
    if not training or p == 0:
        return x
    if x.device.type != "cpu":
        return F.dropout(x, p, training)  # fused on GPUs
    dropped = min(255, max(1, round(256 * p)))
    words = torch.empty(-(-x.numel() // 8), dtype=torch.int64, device=x.device).random_(-(2**63), None)
    keep = words.view(torch.uint8)[: x.numel()].view(x.shape) >= dropped
    return x * keep.to(x.dtype).mul_(256 / (256 - dropped))


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` by `dropout`."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape, and the same shape back."""
        return dropout(x, self.p, self.training)
