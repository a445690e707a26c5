"""From a config to what learns: the network, its trainable weights, the optimizer and its schedule."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from itertools import chain

import torch
from sqa_data.labels import is_uncertainty, range_of
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from sqa_model.checkpoint.ours import load, load_backbone
from sqa_model.network.backbones import BACKBONES
from sqa_model.network.config import Head, ModelConfig
from sqa_model.network.model import MosModel
from sqa_model.training.config import NetConfig, OptimConfig, TrainConfig
from sqa_model.training.fields import require


def build_model(config: TrainConfig) -> MosModel:
    """The network that `config.model` describes, with a checkpoint's, pretrained or fresh weights.

    Raises `ModelError` for a backbone, size or checkpoint that is not there.
    """
    net = config.model
    if net.init is not None:
        return load(net.init)
    model = MosModel(_model_config(net))
    if net.pretrained is not None:
        load_backbone(model.backbone, net.pretrained)
    return model


def _model_config(net: NetConfig) -> ModelConfig:
    require(net.backbone in BACKBONES, "model.backbone", net.backbone, f"one of {', '.join(BACKBONES)}")
    backbone = BACKBONES[net.backbone]
    sizes = [f.name for f in fields(backbone)]
    for name, size in net.sizes.items():
        require(name in sizes, f"model.sizes.{name}", size, f"a field of {net.backbone}: {', '.join(sizes)}")
    return ModelConfig(
        backbone=replace(backbone, **net.sizes),
        heads=tuple(_head(name) for name in net.heads),
        dim=net.dim,
        layers=net.layers,
        attention_heads=net.attention_heads,
        feedforward=net.feedforward,
        dropout=net.dropout,
        pooling=net.pooling,
        normalize=net.normalize,
        trim=net.trim,
    )


def _head(name: str) -> Head:
    low, high = (0.0, math.inf) if is_uncertainty(name) else range_of(name)
    return Head(name, low if math.isfinite(low) else None, high if math.isfinite(high) else None)


def set_trainable(model: MosModel, unfreeze: int) -> None:
    """Freeze the backbone but for the last `unfreeze` layers of each of its stacks (-1: freeze nothing)."""
    if unfreeze == -1:
        return
    model.backbone.requires_grad_(False)
    for stack in model.backbone.stacks() if unfreeze else []:
        for layer in stack[-unfreeze:]:
            layer.requires_grad_(True)


def recompute_activations(model: MosModel) -> None:
    """Keep only each layer's input for the backward pass and compute the rest again."""
    for layer in chain(*model.backbone.stacks(), model.encoder):
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)


def flat_gradients(parameters: Sequence[Tensor]) -> Tensor:
    """One vector whose pieces are the parameters' gradients: summed over processes and clipped as one."""
    flat = torch.zeros(sum(p.numel() for p in parameters), dtype=torch.float32, device=parameters[0].device)
    for p, piece in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        p.grad = piece.view_as(p)
    return flat


def adamw(trainable: Mapping[str, Tensor], optim: OptimConfig, device: torch.device) -> torch.optim.Optimizer:
    """AdamW with the backbone's own learning rate; the corpus scales are not decayed."""
    kinds: dict[str, list[Tensor]] = {"backbone": [], "corpus_scale": [], "head": []}
    for name, p in trainable.items():
        kind = name.split(".")[0]
        kinds[kind if kind in kinds else "head"].append(p)
    groups = [
        {
            "params": parameters,
            "peak": optim.backbone_lr if kind == "backbone" and optim.backbone_lr else optim.lr,
            "weight_decay": 0.0 if kind == "corpus_scale" else optim.weight_decay,
        }
        for kind, parameters in kinds.items()
        if parameters
    ]
    return torch.optim.AdamW(groups, lr=optim.lr, betas=optim.betas, fused=device.type in ("cpu", "cuda"))


def lr_factor(update: int, total: int, optim: OptimConfig) -> float:
    """Learning rate of update 1..total as a fraction of its peak, which is reached with update `optim.warmup`.

    >>> [round(lr_factor(u, 6, OptimConfig(warmup=2)), 1) for u in range(1, 7)]
    [0.5, 1.0, 0.8, 0.6, 0.4, 0.2]
    """
    peak = max(1, optim.warmup)
    if update <= peak:
        return update / peak
    if optim.schedule == "constant":
        return 1.0
    done = (update - peak) / (total + 1 - peak)  # would be 1 one update after the last
    return 1 - done if optim.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * done))
