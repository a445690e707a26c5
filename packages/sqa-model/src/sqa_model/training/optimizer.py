"""What learns in a run, from when on and how fast: the terms of every weight, AdamW, and the schedule of its rate.

All of it follows from the config and the number of the update, so a killed run goes on as if nothing had been.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

from sqa_model.network.model import MosModel
from sqa_model.training.config import OptimConfig
from sqa_model.training.lora import Lora


@dataclass(frozen=True)
class Terms:
    """How a weight learns."""

    part: str  # of the model that it belongs to: "head", "layers.11", "below the layers", "corpus scale"
    peak: float  # learning rate that the schedule is a fraction of
    weight_decay: float
    after_updates: int = 0  # it is frozen for so many updates
    after_epochs: int = 0  # and for so many epochs

    def learns(self, update: int, epoch: int) -> bool:
        """Whether it learns in an update (from 1) of an epoch (from 0)."""
        return update > self.after_updates and epoch >= self.after_epochs


@dataclass(frozen=True)
class BackboneLayer:
    """A layer of a backbone and how deep it lies: 0 is the last of its stack."""

    name: str  # as the model's weights begin, such as "backbone.layers.11"
    module: nn.Module
    depth: int


def backbone_layers(model: MosModel) -> list[BackboneLayer]:
    """All layers of all stacks of the backbone, each stack from its last to its first."""
    names = {module: name for name, module in model.named_modules()}
    return [
        BackboneLayer(names[layer], layer, depth)
        for stack in model.backbone.stacks()
        for depth, layer in enumerate(reversed(stack))
    ]


def choose_weights(model: MosModel, optim: OptimConfig) -> tuple[dict[str, Tensor], dict[str, Terms], Lora]:
    """What of a model learns at some time in a run, by name: the weights, their terms, and the factors among them.

    All else is frozen. Raises `ConfigError` where there is no layer that factors could be put beside.
    """
    layers = backbone_layers(model)
    chosen = [layer for layer in layers if optim.unfreeze == -1 or layer.depth < optim.unfreeze]
    lora = Lora([(layer.name, layer.module) for layer in chosen], optim)
    if lora.weights or optim.unfreeze != -1:
        model.backbone.requires_grad_(False)
    for layer in chosen if not lora.weights else []:
        layer.module.requires_grad_(True)
    weights: dict[str, Tensor] = {n: p for n, p in model.named_parameters() if p.requires_grad}
    weights |= lora.weights
    return weights, {name: _terms(name, layers, optim) for name in weights}, lora


def _terms(name: str, layers: Sequence[BackboneLayer], optim: OptimConfig) -> Terms:
    full = name.removeprefix("lora.")
    if not full.startswith("backbone."):
        return Terms("head", optim.lr, optim.weight_decay)
    layer = next((layer for layer in layers if full.startswith(f"{layer.name}.")), None)
    depth = layer.depth if layer else max((layer.depth + 1 for layer in layers), default=0)
    return Terms(
        layer.name.removeprefix("backbone.") if layer else "below the layers",
        (optim.backbone_lr or optim.lr) * optim.layer_decay**depth,
        optim.weight_decay,
        optim.freeze_updates,
        optim.freeze_epochs + (depth // optim.layers_per_epoch if optim.layers_per_epoch else 0),
    )


def told(terms: Iterable[Terms]) -> str:
    """The rates of a run and when they begin, parts that are alike together.

    >>> layers = [Terms(f"layers.{i}", 1e-5 * 0.5 ** (2 - i), 0.01, after_epochs=2 - i) for i in (0, 1, 2)]
    >>> told([Terms("head", 3e-5, 0.01), *layers])
    'head 3e-05; layers.0 2.5e-06 from epoch 3; layers.1 5e-06 from epoch 2; layers.2 1e-05'
    """

    def alike(terms: Terms) -> tuple[float, int, int, bool]:
        # only layers have a dot in their name
        return terms.peak, terms.after_updates, terms.after_epochs, "." in terms.part

    texts = []
    for (peak, updates, epochs, layers), group in groupby(dict.fromkeys(terms), alike):
        names = [terms.part for terms in group]
        text = f"{names[0]} to {names[-1]}" if layers and len(names) > 1 else " and ".join(names)
        text += f" {peak:.3g}"
        text += f" from update {updates + 1}" if updates else ""
        text += f" from epoch {epochs + 1}" if epochs else ""
        texts.append(text)
    return "; ".join(texts)


def flat_gradients(parameters: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """One vector of zeros, and its pieces shaped as the parameters.

    With the pieces as their gradients, all of them are summed over processes and clipped as one.
    """
    sizes = [p.numel() for p in parameters]
    flat = torch.zeros(sum(sizes), dtype=torch.float32, device=parameters[0].device)
    return flat, [piece.view_as(p) for p, piece in zip(parameters, flat.split(sizes), strict=True)]


def adamw(
    weights: Mapping[str, Tensor], terms: Mapping[str, Terms], optim: OptimConfig, device: torch.device
) -> torch.optim.Optimizer:
    """AdamW with a group for each rate and decay; a weight without a gradient is left alone."""
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, p in weights.items():
        groups.setdefault((terms[name].peak, terms[name].weight_decay), []).append(p)
    return torch.optim.AdamW(
        [{"params": ps, "peak": peak, "weight_decay": decay} for (peak, decay), ps in groups.items()],
        lr=optim.lr,
        betas=optim.betas,
        fused=device.type in ("cpu", "cuda"),
    )


def lr_factor(update: int, total: int, optim: OptimConfig) -> float:
    """Learning rate of update 1..total as a fraction of its peak, which is reached with update `optim.warmup`.

    With "reference" it is that of the update before by the published baseline's own rule, and so 0 in the first.

    >>> [round(lr_factor(u, 6, OptimConfig(warmup=2)), 1) for u in range(1, 7)]
    [0.5, 1.0, 0.8, 0.6, 0.4, 0.2]
    >>> [lr_factor(u, 6, OptimConfig(warmup=2, schedule="reference")) for u in range(1, 7)]
    [0.0, 0.5, 1.0, 0.75, 0.5, 0.25]
    """
    if optim.schedule == "reference":
        before = update - 1  # its scheduler steps after its optimizer
        if before < optim.warmup:
            return before / optim.warmup
        return max(0.0, (total - before) / max(1, total - optim.warmup))
    peak = max(1, optim.warmup)
    if update <= peak:
        return update / peak
    if optim.schedule == "constant":
        return 1.0
    done = (update - peak) / (total + 1 - peak)  # would be 1 one update after the last
    return 1 - done if optim.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
