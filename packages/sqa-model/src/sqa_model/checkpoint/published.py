"""The reference system's checkpoints, model.pt + config.yaml, as a configuration and weights of ours.

Those of its successor, UrgentMOS, hold their configuration themselves; see `urgent_mos`.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sqa_model.checkpoint.files import first_lines
from sqa_model.checkpoint.hyperpyyaml import read_hyperpyyaml
from sqa_model.checkpoint.locate import ELSEWHERE, LAST, saved_by_updates
from sqa_model.checkpoint.names import below, take, wavlm_config, wavlm_weights
from sqa_model.checkpoint.tensors import read_tensors
from sqa_model.checkpoint.urgent_mos import is_urgent_mos, urgent_mos_config, urgent_mos_weights
from sqa_model.errors import CheckpointError, ModelError
from sqa_model.network.config import Head, ModelConfig
from sqa_model.network.wavlm import WavLMConfig


def read_published(config: Path, weights: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Configuration and weights of a checkpoint of the reference system or of its successor, in our names.

    config: may be the weights themselves, as of UrgentMOS.
    """
    content = read_tensors(weights)
    is_successor = is_urgent_mos(content)
    if not is_successor and config == weights:
        raise CheckpointError(f"{weights}: no configuration in it, and none beside it; {ELSEWHERE}")
    settings = content["config"] if is_successor else read_hyperpyyaml(config)
    theirs = content.get("model")
    if not isinstance(theirs, dict) or not all(isinstance(v, Tensor) for v in theirs.values()):
        raise CheckpointError(f"{weights}: expected a dict with the weights under 'model'")
    for key, value in theirs.items():
        # a torch file may repeat one number a million million times
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise CheckpointError(
                f"{weights}: {key} claims {list(value.shape)} numbers, more than the file holds"
            )
    try:
        if is_successor:
            parsed = urgent_mos_config(settings, theirs)
            return parsed, urgent_mos_weights(theirs, parsed)
        parsed = published_config(settings, theirs)
        return parsed, published_weights(theirs, parsed)
    except ModelError as error:
        raise CheckpointError(f"{weights}: {error}") from error
    except (RuntimeError, IndexError, ValueError, ZeroDivisionError) as error:  # shapes of another network
        raise CheckpointError(
            f"{weights}: weights do not fit the configuration: {first_lines(error)}"
        ) from error


def require_newest(weights: Path) -> None:
    """`CheckpointError` where a checkpoint beside model_last.pt is newer: a run that went on has not ended."""
    saved = saved_by_updates(weights.parent) if weights.name == LAST else {}
    update = read_tensors(weights).get("update") if saved else None
    if isinstance(update, int) and max(saved) > update:
        newest = saved[max(saved)]
        raise CheckpointError(
            f"{weights}: of update {update:,}, but {newest.name} beside it is newer, as after a run that went on and "
            f"has not ended; name the file that you mean, such as {newest}"
        )


def published_config(settings: Mapping[str, Any], weights: Mapping[str, Tensor]) -> ModelConfig:
    """Our configuration from theirs: heads, rate, backbone from the YAML, sizes from the weights."""
    name = str(settings.get("ssl_model_name"))
    if "wavlm" not in name.lower():
        raise ModelError(f"ssl_model_name is {name!r}; expected a WavLM, such as microsoft/wavlm-base-plus")
    metrics = settings.get("metrics")
    if not isinstance(metrics, dict) or not all(isinstance(m, dict) for m in metrics.values()):
        raise ModelError(f"metrics is {metrics!r:.200}; expected names with min and max")
    heads = [Head(str(n), _bound(m.get("min")), _bound(m.get("max"))) for n, m in metrics.items()]
    stored = [k.split(".")[1] for k in weights if k.startswith("metric2act.") and k.endswith(".min_value")]
    if stored != [h.name for h in heads]:
        raise ModelError(f"the weights have the heads {stored}, the configuration {[h.name for h in heads]}")
    for head in heads:
        for bound, kind in ((head.min, "min"), (head.max, "max")):
            value = _bound(take(weights, f"metric2act.{head.name}.{kind}_value").item())
            if value != bound:
                raise ModelError(
                    f"head {head.name}: {kind} is {value} in the weights, {bound} in the configuration"
                )

    model = settings.get("model")
    encoder = model.get("encoder") if isinstance(model, dict) else None
    layer = encoder.get("encoder_layer") if isinstance(encoder, dict) else None
    layer = layer if isinstance(layer, dict) else {}
    if layer.get("activation", "relu") != "relu" or layer.get("norm_first", False):
        raise ModelError("the encoder is not post-norm with relu, the only kind supported")
    first = take(weights, "encoder.layers.0.linear1.weight")
    return ModelConfig(
        backbone=wavlm_config(below("feature_extractor.model.", weights)),
        heads=tuple(heads),
        sample_rate=settings.get("sample_rate", 16_000),
        normalize="large" in name.lower(),  # as the feature extractor published with it does
        dim=first.shape[1],
        layers=1 + max(int(k.split(".")[2]) for k in weights if k.startswith("encoder.layers.")),
        attention_heads=layer.get("nhead", 8),
        feedforward=first.shape[0],
        dropout=layer.get("dropout", 0.1),
        extra={"converted_from": "urgent2026_sqa"},
    )


def published_weights(theirs: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    """Our state dict from theirs."""
    assert isinstance(config.backbone, WavLMConfig)
    backbone = wavlm_weights(below("feature_extractor.model.", theirs), config.backbone)
    ours = {f"backbone.{name}": value for name, value in backbone.items()}
    ours["mix"] = take(theirs, "feature_extractor.weights")
    for name, value in theirs.items():
        if name.startswith("encoder."):
            ours[name.replace("encoder.layers.", "encoder.")] = value
    for kind in ("weight", "bias"):
        ours[f"projection.{kind}"] = take(theirs, f"feat_proj.0.{kind}")
        ours[f"norm.{kind}"] = take(theirs, f"feat_proj.1.{kind}")
        ours[f"metrics.{kind}"] = take(theirs, f"metric_proj.{kind}")
    return {k: v.float() for k, v in ours.items()}


def _bound(value: Any) -> float | None:
    """A finite bound, or None."""
    if value is None or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)
