"""From a config to the network that learns."""

import math
from dataclasses import fields, replace
from functools import partial
from itertools import chain

from sqa_data.labels import is_uncertainty, range_of
from torch.utils.checkpoint import checkpoint

from sqa_model.checkpoint.hugging_face import find_backbone
from sqa_model.checkpoint.ours import load, load_backbone
from sqa_model.network.backbone import BackboneConfig
from sqa_model.network.backbones import BACKBONES, group
from sqa_model.network.comparison import ComparisonConfig
from sqa_model.network.config import Head, ModelConfig
from sqa_model.network.model import MosModel
from sqa_model.training.config import NetConfig, TrainConfig
from sqa_model.training.fields import require

HUGGING_FACE = "hf:"  # before the folder or Hub id of a published encoder


def build_model(config: TrainConfig) -> MosModel:
    """The network that `config.model` describes, with a checkpoint's, pretrained or fresh weights.

    Raises `ModelError` for a backbone, size or checkpoint that is not there.
    """
    net = config.model
    if net.init is not None:
        return load(net.init)
    comparison = ComparisonConfig() if config.data.pairs else None
    model = MosModel(replace(_model_config(net), comparison=comparison))
    for encoder, name in zip(model.backbone.members, net.backbone, strict=True):
        published = name.removeprefix(HUGGING_FACE) if name.startswith(HUGGING_FACE) else None
        if (source := net.pretrained or published) is not None:
            load_backbone(encoder, source)
    return model


def _encoder(name: str) -> BackboneConfig:
    if name.startswith(HUGGING_FACE):
        return find_backbone(name.removeprefix(HUGGING_FACE))
    expected = f"one of {', '.join(BACKBONES)}, or {HUGGING_FACE}OWNER/NAME"
    require(name in BACKBONES, "model.backbone", name, expected)
    return BACKBONES[name]


def _model_config(net: NetConfig) -> ModelConfig:
    assert net.heads is not None  # only with `init` they may be
    assert net.dropout is not None
    backbone = group([_encoder(name) for name in net.backbone])
    sizes = [f.name for f in fields(backbone)]
    for name, size in net.sizes.items():
        require(name in sizes, f"model.sizes.{name}", size, f"a field of {backbone.kind}: {', '.join(sizes)}")
    return ModelConfig(
        backbone=replace(backbone, **net.sizes),
        heads=tuple(head_of(name) for name in net.heads),
        distributions=net.distributions,
        dim=net.dim,
        layers=net.layers,
        attention_heads=net.attention_heads,
        feedforward=net.feedforward,
        dropout=net.dropout,
        pooling=net.pooling,
        normalize=net.normalize,
        trim=net.trim,
    )


def head_of(name: str) -> Head:
    """A head for a label, with the range of the label."""
    low, high = (0.0, math.inf) if is_uncertainty(name) else range_of(name)
    return Head(name, low if math.isfinite(low) else None, high if math.isfinite(high) else None)


def recompute_activations(model: MosModel) -> None:
    """Keep only each layer's input for the backward pass and compute the rest again."""
    for layer in chain(*model.backbone.stacks(), model.encoder):
        layer.forward = partial(checkpoint, layer.forward, use_reentrant=False)
