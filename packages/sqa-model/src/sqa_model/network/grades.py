"""A head that says how likely a listener gives each grade; its score is the mean.

The head's own number z (a row of `MosModel.metrics`, as of any head) says how good the clip is; what is here makes a
distribution over five grades of it, evenly spaced from one end of the head's range to the other.

`ordinal`: P(above grade k) = sigmoid(z - threshold k), thresholds in order, learned (the cumulative link model of
McCullagh, "Regression models for ordinal data", 1980). `categorical`: a softmax of z times the grade plus five numbers
that the clip's vector gives, so that two peaks are possible, too.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GRADES = 5  # of absolute category rating, ITU-T P.800
# the least that a mean is off an end of the scale, as a share of it: its logit stays finite
CLOSEST = 1e-6


class Ordinal(nn.Module):
    """z and thresholds -> probabilities."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        first = torch.tensor([-(GRADES - 2) / 2])
        # softplus of the steps is what lies between two thresholds: 1 at first
        steps = torch.full((GRADES - 2,), 1.0).expm1().log()
        self.thresholds = nn.Parameter(torch.cat([first, steps]))

    def forward(self, z: Tensor, pooled: Tensor) -> Tensor:
        """z: (batch,), pooled: (batch, dim) -> log-probabilities (batch, GRADES), from the lowest grade up."""
        thresholds = torch.cat([self.thresholds[:1], F.softplus(self.thresholds[1:])]).cumsum(0)
        above = z[:, None] - thresholds  # logits of "above grade k", falling in k
        # between two of them: sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a))
        between = F.logsigmoid(above[:, :-1]) + F.logsigmoid(-above[:, 1:])
        between = between + torch.log(-torch.expm1(above[:, 1:] - above[:, :-1]))
        return torch.cat([F.logsigmoid(-above[:, :1]), between, F.logsigmoid(above[:, -1:])], 1)


class Categorical(nn.Module):
    """z and the clip's vector -> probabilities."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.shape = nn.Linear(dim, GRADES)
        nn.init.zeros_(self.shape.weight)
        nn.init.zeros_(self.shape.bias)

    def forward(self, z: Tensor, pooled: Tensor) -> Tensor:
        """z: (batch,), pooled: (batch, dim) -> log-probabilities (batch, GRADES), from the lowest grade up."""
        grades = torch.arange(GRADES, dtype=z.dtype, device=z.device) - (GRADES - 1) / 2
        shape: Tensor = self.shape(pooled.to(self.shape.weight.dtype)).float()
        return (z[:, None] * grades + shape).log_softmax(1)


KINDS: dict[str, Callable[[int], nn.Module]] = {"ordinal": Ordinal, "categorical": Categorical}


def mean_logit(log_probabilities: Tensor) -> Tensor:
    """(batch, GRADES) -> (batch,): the number whose sigmoid is the mean grade, 0 the lowest and 1 the highest.

    >>> round(abs(mean_logit(torch.full((1, 5), 0.2).log()).item()), 5)
    0.0
    """
    grades = torch.arange(GRADES, dtype=torch.float32, device=log_probabilities.device) / (GRADES - 1)
    mean = (log_probabilities.exp() * grades).sum(1)
    return mean.clamp(CLOSEST, 1 - CLOSEST).logit()


def spread_over(values: Tensor, low: float, high: float) -> Tensor:
    """(n,) -> (n, GRADES): weights of the two grades beside each value, whose mean it is; ends where it is beyond.

    >>> spread_over(torch.tensor([3.25, 5.5]), 1.0, 5.0)
    tensor([[0.0000, 0.0000, 0.7500, 0.2500, 0.0000],
            [0.0000, 0.0000, 0.0000, 0.0000, 1.0000]])
    """
    place = ((values - low) / (high - low) * (GRADES - 1)).clamp(0, GRADES - 1)
    grades = torch.arange(GRADES, dtype=place.dtype, device=place.device)
    return (1 - (place[:, None] - grades).abs()).clamp(min=0)
