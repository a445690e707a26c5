"""What one prediction's error costs: the table that `loss.kind` chooses from.

A new loss is a function and a row. Each takes `error` (prediction minus label) and `std`, the predicted standard
deviation of that error (NaN on heads that have none; None if no head has one), both (batch, heads), and the config,
and returns the cost of every entry, (batch, heads). Tensors are used by their methods alone: torch is not imported,
so that a config is checked without it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from sqa_model.training.config import LossConfig

SMALLEST_STD = 0.05  # label units; keeps a perfectly fitted sample from an endless reward


def mse(error: "Tensor", std: "Tensor | None", config: "LossConfig") -> "Tensor":
    """Squared error: the reference's loss (Uni-VERSA)."""
    return error.square()


def l1(error: "Tensor", std: "Tensor | None", config: "LossConfig") -> "Tensor":
    """Absolute error."""
    return error.abs()


def huber(error: "Tensor", std: "Tensor | None", config: "LossConfig") -> "Tensor":
    """Squared up to `huber_delta`, linear beyond: Huber, "Robust estimation of a location parameter", 1964."""
    size = error.abs()
    squared_part = size.clamp(max=config.huber_delta)
    return squared_part * (size - 0.5 * squared_part)


def nll(error: "Tensor", std: "Tensor | None", config: "LossConfig") -> "Tensor":
    """Gaussian negative log-likelihood without its constant, and squared error where no deviation is predicted.

    Nix and Weigend, "Estimating the mean and variance of the target probability distribution", 1994.
    """
    squared = error.square()
    if std is None:
        return squared
    known = std.isfinite()
    log_variance = 2 * std.where(known, std.new_ones(())).clamp_min(SMALLEST_STD).log()
    likelihood = 0.5 * (log_variance + squared * (-log_variance).exp())
    return likelihood.where(known, squared)


LOSSES: "dict[str, Callable[[Tensor, Tensor | None, LossConfig], Tensor]]" = {
    "mse": mse,
    "l1": l1,
    "huber": huber,
    "nll": nll,
}
