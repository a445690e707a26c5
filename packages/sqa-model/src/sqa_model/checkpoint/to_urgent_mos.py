"""A model of ours as a checkpoint of UrgentMOS, so that its own code loads it: one model.pt with its configuration."""

import math
import os
from pathlib import Path
from typing import Any

import torch
from sqa_data.atomic import atomic_path
from torch import Tensor

from sqa_model.checkpoint.names import below, hugging_face_weights
from sqa_model.checkpoint.urgent_mos import ABSOLUTE, COMPARATIVE, COMPARED_NAMES, EXTRACTOR, ORIGIN
from sqa_model.errors import ModelError
from sqa_model.network.comparison import ComparisonConfig
from sqa_model.network.config import ModelConfig
from sqa_model.network.model import MosModel
from sqa_model.network.wavlm import WavLMConfig

MODULE = "urgent_mos.model.urgent_mos"
FILE = "model.pt"


def write_urgent_mos(
    model: MosModel, folder: str | os.PathLike[str], *, dtype: torch.dtype | str = "float32"
) -> Path:
    """Write model.pt into `folder`, whole or not at all, as UrgentMOS's own loader takes it; returns the folder.

    Its `config` has what that loader and its inference need, without a trainer; optimizer and scheduler are empty.
    Reading it again gives the same numbers, bit by bit. Raises ModelError for a model that UrgentMOS's code cannot be.
    """
    dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype
    folder = Path(folder)
    content = {
        "model": {name: value.to(dtype) for name, value in their_weights(model).items()},
        "optimizer": {},
        "scheduler": {},
        "update": 0,
        "config": their_config(model.config),
    }
    with atomic_path(folder / FILE) as part:
        torch.save(content, part)
    return folder


def their_config(config: ModelConfig) -> dict[str, Any]:
    """The configuration of UrgentMOS's network for a model of ours; ModelError where there is none."""
    name, category, compared = _names(config)
    metrics: dict[str, dict[str, float | bool]] = {}
    for head in config.heads:
        metrics[head.name] = {k: v for k, v in (("min", head.min), ("max", head.max)) if v is not None}
    if compared:
        metrics[compared]["comparative_score"] = True
    categories = {category: metrics}
    loader = {
        "_target_": "urgent_mos.data.build_dataloader",
        "category2metrics": categories,
        "sample_rate": config.sample_rate,
        "batch_frame_per_gpu": 4_800_000,
    }
    return {"category2metrics": categories, "dataloader": loader, "model": _network(config, name, categories)}


def _network(config: ModelConfig, encoder: str, categories: dict[str, Any]) -> dict[str, Any]:
    """What of their configuration says how the network is built."""
    comparison = config.comparison or ComparisonConfig()
    layer = {
        "_target_": "torch.nn.TransformerEncoderLayer",
        "d_model": config.dim,
        "nhead": config.attention_heads,
        "dim_feedforward": config.feedforward,
        "dropout": config.dropout,
        "batch_first": True,
    }
    transformer = {
        "_target_": "torch.nn.TransformerEncoder",
        "encoder_layer": layer,
        "num_layers": config.layers,
    }
    predictor = {
        "_recursive_": False,
        "category2metrics": categories,
        "pooler_cfg": {"_target_": "urgent_mos.model.pooling.MeanPooling"},
        "encoder_cfg": None,
        "input_dim": config.dim,
    }
    extractor = {
        "_target_": "urgent_mos.model.audio_encoder.AudioEncoder",
        "model_name": encoder,
        "freeze": True,
    }
    return {
        "_target_": f"{MODULE}.UrgentMOS",
        "feature_extractor": {
            "_target_": "urgent_mos.model.audio_encoder.FusedAudioEncoder",
            "feature_extractors": [extractor],
            "output_dim": config.dim,
        },
        "category2metrics": categories,
        "category2encoder": {
            "_target_": f"{MODULE}.build_category_encoders",
            "_recursive_": False,
            "category2metrics": categories,
            "encoder_cfg": transformer,
        },
        "metric2absolute_score_predictor": {
            "_target_": f"{MODULE}.build_absolute_score_predictors",
            **predictor,
        },
        "metric2comparative_score_predictor": {
            "_target_": f"{MODULE}.build_comparative_score_predictors",
            **predictor,
            "num_heads": comparison.attention_heads,
            "min_cmos_for_tie": comparison.tie_below,
        },
        "shared_encoder": None,
    }


def their_weights(model: MosModel) -> dict[str, Tensor]:
    """UrgentMOS's state dict from ours; `urgent_mos_weights` turns it back bit by bit."""
    config = model.config
    _, category, compared = _names(config)
    assert isinstance(config.backbone, WavLMConfig)
    ours = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    theirs = {f"{EXTRACTOR}weights": ours["mix"]}
    for name, value in hugging_face_weights(below("backbone.", ours), config.backbone).items():
        theirs[f"{EXTRACTOR}model.{name}"] = value
    for name, value in ours.items():
        root, _, rest = name.partition(".")
        if root == "encoder":
            theirs[f"category2encoder.{category}.layers.{rest}"] = value
        elif root in ("projection", "norm"):
            theirs[f"feature_extractor.feat_proj.{int(root == 'norm')}.{rest}"] = value
        elif root == "comparison":
            theirs[f"{COMPARATIVE}{compared}.{_their_compared_name(rest)}"] = value
    for i, (name, low, high) in enumerate(config.heads):
        for kind in ("weight", "bias"):
            theirs[f"{ABSOLUTE}{name}.prediction_head.{kind}"] = ours[f"metrics.{kind}"][i : i + 1]
        bounds = {"min": -math.inf if low is None else low, "max": math.inf if high is None else high}
        for kind, bound in bounds.items():
            theirs[f"{ABSOLUTE}{name}.activation.{kind}_value"] = torch.tensor(bound, dtype=torch.float32)
    return {name: value.clone() for name, value in theirs.items()}


def _names(config: ModelConfig) -> tuple[str, str, str]:
    """The published name of the encoder, the category and the metric that clips are compared by ("": none)."""
    backbone = config.backbone
    as_theirs = config.pooling == "mean" and not config.trim and not config.normalize and config.layers > 0
    if not isinstance(backbone, WavLMConfig) or not as_theirs or config.distributions:
        raise ModelError(
            "UrgentMOS's code cannot be this model: expected a WavLM base, the mean as pooling, at least one layer, "
            "waveforms as they are (no trim, no normalize), and no head that predicts a distribution"
        )
    origin = config.extra if config.extra.get("converted_from") == ORIGIN else {}
    name = origin.get("encoder", "microsoft/wavlm-base-plus" if backbone == WavLMConfig() else None)
    if not isinstance(name, str):
        raise ModelError(
            "UrgentMOS's code builds its encoder by a published name, and of these sizes there is none"
        )
    category, compared = str(origin.get("category", "mos")), ""
    if config.comparison:
        preferred = [*origin.get("compared", ()), "mos_overall", "mos", *config.names]
        compared = next(str(metric) for metric in preferred if metric in config.names)
    odd = [part for part in (*config.names, category) if not part or "." in part]
    if odd:
        raise ModelError(f"UrgentMOS's code takes no name with a dot; found {odd[0]!r:.100}")
    return name, category, compared


def _their_compared_name(name: str) -> str:
    for theirs, ours in COMPARED_NAMES.items():
        if ours and name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return f"cross_attn.{name}"
