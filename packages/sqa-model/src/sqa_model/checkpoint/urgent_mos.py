"""Checkpoints of UrgentMOS, the reference system's successor: one model.pt that holds its configuration.

It is {model, optimizer, scheduler, update, config}, and config a plain dict whose dotted `_target_` names its own
loader imports and calls. Here they are compared as text, and nothing else happens to them.

In checkpoints from before 2026-06-24 the encoder's states were summed over time instead of over layers. They hold
weights of the same names and shapes, and nothing in them tells their age: they are read as the others are, and what
they then say means nothing. Both published ones were trained anew and replaced on that day.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sqa_model.checkpoint.names import below, take, wavlm_config, wavlm_weights
from sqa_model.errors import ModelError
from sqa_model.network.comparison import ComparisonConfig
from sqa_model.network.config import Head, ModelConfig
from sqa_model.network.wavlm import WavLMConfig

ORIGIN = "urgent_mos"
EXTRACTOR = "feature_extractor.feature_extractors.0."
ABSOLUTE = "metric2absolute_score_predictor."
COMPARATIVE = "metric2comparative_score_predictor."
COMPARED_NAMES = {  # of the comparative head: theirs -> ours
    "cross_attn.": "",
    "regression_head.": "regression.",
    "classification_head.": "classification.",
}


def is_urgent_mos(content: Mapping[str, Any]) -> bool:
    """Whether a torch file is such a checkpoint."""
    return isinstance(content.get("config"), dict) and "category2metrics" in content["config"]


def urgent_mos_config(settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> ModelConfig:
    """Our configuration from theirs; ModelError for a network that ours cannot be."""
    model = _part(settings, "model")
    category, metrics = _only(_part(model, "category2metrics"), "model.category2metrics")
    if not isinstance(metrics, dict) or not all(isinstance(m, dict) for m in metrics.values()):
        raise ModelError(f"category2metrics is {metrics!r:.200}; expected names with min and max")
    heads = tuple(Head(str(n), _bound(m.get("min")), _bound(m.get("max"))) for n, m in metrics.items())
    for head in heads:
        for bound, kind in ((head.min, "min"), (head.max, "max")):
            value = _bound(take(weights, f"{ABSOLUTE}{head.name}.activation.{kind}_value").item())
            # the weights hold it in single precision
            if value != (None if bound is None else torch.tensor(bound, dtype=torch.float32).item()):
                raise ModelError(f"head {head.name}: {kind} is {value} in the weights, {bound} in the config")
    compared = [str(name) for name, m in metrics.items() if m.get("comparative_score", False)]
    if len(compared) > 1:
        raise ModelError(f"clips are compared by {', '.join(compared)[:200]}; expected one metric")
    layer = _layer(model)
    first = take(weights, f"category2encoder.{category}.layers.0.linear1.weight")
    name = _encoder_name(model)
    return ModelConfig(
        backbone=wavlm_config(below(f"{EXTRACTOR}model.", weights)),
        heads=heads,
        sample_rate=_part(settings, "dataloader").get("sample_rate", 16_000),
        normalize="large" in name.lower(),  # as the feature extractor published with it does
        dim=first.shape[1],
        layers=1
        + max(int(k.split(".")[3]) for k in weights if k.startswith(f"category2encoder.{category}.layers.")),
        attention_heads=layer.get("nhead", 8),
        feedforward=first.shape[0],
        dropout=layer.get("dropout", 0.1),
        comparison=_comparison(model) if compared else None,
        extra={"converted_from": ORIGIN, "encoder": name, "category": category, "compared": compared},
    )


def urgent_mos_weights(theirs: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Our state dict from theirs; ModelError for weights that have no place in ours."""
    assert isinstance(config.backbone, WavLMConfig)
    backbone = wavlm_weights(below(f"{EXTRACTOR}model.", theirs), config.backbone)
    ours = {f"backbone.{name}": value for name, value in backbone.items()}
    ours["mix"] = take(theirs, f"{EXTRACTOR}weights")
    for kind in ("weight", "bias"):
        ours[f"projection.{kind}"] = take(theirs, f"feature_extractor.feat_proj.0.{kind}")
        ours[f"norm.{kind}"] = take(theirs, f"feature_extractor.feat_proj.1.{kind}")
        one_each = [take(theirs, f"{ABSOLUTE}{name}.prediction_head.{kind}") for name in config.names]
        ours[f"metrics.{kind}"] = torch.cat(one_each)
    for name, value in theirs.items():
        root, owner, *rest = [*name.split(".", 2), "", ""]
        if root == "category2encoder" and rest[0].startswith("layers."):
            ours["encoder." + rest[0].removeprefix("layers.")] = value
        elif name.startswith(COMPARATIVE):
            ours[f"comparison.{_compared_name(rest[0])}"] = value
        elif not (
            name.startswith("feature_extractor.") or (root + "." == ABSOLUTE and owner in config.names)
        ):
            raise ModelError(f"weights {name!r:.100} have no place in a network of ours")
    return {name: value.float() for name, value in ours.items()}


def _compared_name(name: str) -> str:
    for theirs, ours in COMPARED_NAMES.items():
        if name.startswith(theirs):
            return ours + name.removeprefix(theirs)
    return name


def _comparison(model: Mapping[str, Any]) -> ComparisonConfig:
    predictor = _part(model, COMPARATIVE[:-1])
    _require_plain(predictor, COMPARATIVE[:-1])
    return ComparisonConfig(predictor.get("num_heads", 4), predictor.get("min_cmos_for_tie", 0.5))


def _layer(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """What is said of the transformer's layers; ModelError where there are several transformers, or another kind."""
    if model.get("shared_encoder") is not None:
        raise ModelError("there is a shared_encoder; expected null: one transformer, of the category")
    _require_plain(_part(model, ABSOLUTE[:-1]), ABSOLUTE[:-1])
    encoder = _part(_part(model, "category2encoder"), "encoder_cfg")
    layer = _part(encoder, "encoder_layer")
    if (
        layer.get("activation", "relu") != "relu"
        or layer.get("norm_first", False)
        or encoder.get("norm") is not None
    ):
        raise ModelError("the encoder is not post-norm with relu, the only kind supported")
    return layer


def _require_plain(predictor: Mapping[str, Any], name: str) -> None:
    """Raise `ModelError` unless scores are the means over time of what the category's transformer says."""
    if predictor.get("encoder_cfg") is not None:
        raise ModelError(f"{name} has an encoder of its own; expected null")
    target = str(_part(predictor, "pooler_cfg").get("_target_"))
    if not target.endswith(".MeanPooling"):
        raise ModelError(f"{name}: pooler_cfg is {target!r:.100}; expected MeanPooling")


def _encoder_name(model: Mapping[str, Any]) -> str:
    """The published name of the speech encoder."""
    extractors = _part(model, "feature_extractor").get("feature_extractors")
    if not isinstance(extractors, list) or len(extractors) != 1 or not isinstance(extractors[0], dict):
        raise ModelError(f"feature_extractors is {extractors!r:.200}; expected one speech encoder")
    name = str(extractors[0].get("model_name"))
    if "wavlm" not in name.lower():
        raise ModelError(f"model_name is {name!r:.100}; expected a WavLM, such as microsoft/wavlm-base-plus")
    if not extractors[0].get("layer_aggregation", True):
        raise ModelError("layer_aggregation is false; expected the weighted sum of all layers")
    return name


def _part(record: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = record.get(name)
    if not isinstance(found, dict):
        raise ModelError(f"config: {name} is {found!r:.100}; expected an object")
    return found


def _only(record: Mapping[str, Any], what: str) -> tuple[str, Any]:
    """The one entry of a dict."""
    if len(record) != 1:
        raise ModelError(f"{what} has {len(record)} entries, {list(record)!r:.200}; expected one category")
    ((name, value),) = record.items()
    return str(name), value


def _bound(value: Any) -> float | None:
    """A finite bound, or None."""
    known = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if known else None
