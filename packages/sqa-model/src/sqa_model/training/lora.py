"""LoRA: thin factors that learn beside the frozen linear layers of a backbone (Hu et al. 2021, arXiv:2106.09685).

A frozen weight W (out, in) becomes W + alpha / rank * up @ down, where `down` is (rank, in) and `up` (out, rank). `up`
begins at zero, so that training begins at the model as it was. The product is never formed while training: the
gradients stay as thin as the factors. Saved models hold the sum, as plain weights.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sqa_model.network.attention import SelfAttention
from sqa_model.training.config import OptimConfig
from sqa_model.training.fields import ConfigError

QKV = ("q_proj", "k_proj", "v_proj")  # what the thirds of a joined projection are called


@dataclass(frozen=True)
class Projection:
    """A linear map of a layer, and the names of its equal parts: one, or q, k and v."""

    module: nn.Module
    call: str  # the method that maps (..., in) -> (..., out)
    weight: Tensor  # (out, in)
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Factors:
    """Those of a projection, one pair (down, up) or None a part."""

    projection: Projection
    pairs: tuple[tuple[Tensor, Tensor] | None, ...]
    scale: float

    def joined(self) -> tuple[Tensor, Tensor]:
        """`down` (ranks, in) and `up` (out, ranks) of all parts together; a part without factors has rows of zeros."""
        rows = len(self.projection.weight) // len(self.pairs)
        nothing = self.projection.weight.new_zeros(rows, 0)
        down = torch.cat([pair[0] for pair in self.pairs if pair])
        return down, torch.block_diag(*(pair[1] if pair else nothing for pair in self.pairs))

    def beside(self, plain: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """The map `plain` of the frozen weight, and the factors' own added to it."""

        def forward(x: Tensor) -> Tensor:
            out = plain(x)
            down, up = self.joined()
            narrow = F.linear(x, down)  # (..., ranks)
            added = torch.addmm(out.flatten(0, -2), narrow.flatten(0, -2), up.t(), alpha=self.scale)
            return added.view_as(out)

        return forward


class Lora:
    """All factors of a model, by name in `weights`; once made, they take part in its forward pass."""

    def __init__(self, layers: Sequence[tuple[str, nn.Module]], optim: OptimConfig) -> None:
        """`layers` by their names; none where `optim.lora_rank` is 0.

        Raises `ConfigError` for a pattern of `optim.lora_targets` that names no linear layer in any of them.
        """
        self.weights: dict[str, Tensor] = {}
        self.factors: list[Factors] = []
        if not optim.lora_rank:
            return
        found = [(name, projection) for name, layer in layers for projection in projections(layer)]
        _check_targets(optim.lora_targets, [part for _, projection in found for part in projection.parts])
        for layer, projection in found:
            pairs = tuple(
                self._pair(f"lora.{layer}.{part}", projection, optim.lora_rank)
                if any(matches(part, pattern) for pattern in optim.lora_targets)
                else None
                for part in projection.parts
            )
            if any(pairs):
                factors = Factors(projection, pairs, optim.lora_alpha / optim.lora_rank)
                plain = getattr(projection.module, projection.call)
                setattr(projection.module, projection.call, factors.beside(plain))
                self.factors.append(factors)

    @contextmanager
    def merged(self) -> Iterator[None]:
        """The model's weights with the factors in them, for a save; afterwards they are what they were, bit for bit."""
        before = [factors.projection.weight.data for factors in self.factors]
        with torch.no_grad():
            for factors in self.factors:
                down, up = factors.joined()
                weight = factors.projection.weight
                weight.data = torch.addmm(weight.data, up, down, alpha=factors.scale)
        try:
            yield
        finally:
            for factors, weight in zip(self.factors, before, strict=True):
                factors.projection.weight.data = weight

    def _pair(self, name: str, projection: Projection, rank: int) -> tuple[Tensor, Tensor]:
        weight = projection.weight
        down = nn.Parameter(weight.new_empty(rank, weight.shape[1]))
        nn.init.kaiming_uniform_(down, a=math.sqrt(5))  # as a fresh nn.Linear
        up = nn.Parameter(weight.new_zeros(len(weight) // len(projection.parts), rank))
        self.weights |= {f"{name}.down": down, f"{name}.up": up}
        return down, up


def projections(layer: nn.Module) -> Iterator[Projection]:
    """The linear maps of a layer, in order; their parts are named as seen from the layer."""
    for name, module in layer.named_modules():
        if isinstance(module, SelfAttention):
            parts = tuple(f"{name}.{part}".lstrip(".") for part in QKV)
            yield Projection(module, "qkv", module.in_proj_weight, parts)
        elif isinstance(module, nn.Linear):
            yield Projection(module, "forward", module.weight, (name,))


def matches(name: str, pattern: str) -> bool:
    """Whether a pattern stands for a linear layer: for its name, or for the end of its name after a dot.

    >>> [matches("attention.q_proj", pattern) for pattern in ("*", "q_proj", "attention.*", "proj", "*v_proj")]
    [True, True, True, False, False]
    """
    return fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")


def _check_targets(targets: Sequence[str], names: Sequence[str]) -> None:
    names = list(dict.fromkeys(names))
    if not names:
        raise ConfigError(
            "optim.lora_rank: the backbone has no linear layers to put factors beside; set it to 0"
        )
    for pattern in targets:
        if not any(matches(name, pattern) for name in names):
            raise ConfigError(
                f"optim.lora_targets: found {pattern!r}, which no linear layer of the backbone's layers is called; "
                f'expected one of {", ".join(names)}, or a pattern such as "*_proj"'
            )
