"""The reference system's checkpoints, model.pt + config.yaml, as a configuration and weights of ours.

Their config.yaml is HyperPyYAML, read as data: nothing is imported or called, and nothing small becomes large.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from sqa_model.checkpoint.locate import first_lines, read_text
from sqa_model.checkpoint.names import below, take, wavlm_config, wavlm_weights
from sqa_model.checkpoint.tensors import read_tensors
from sqa_model.errors import CheckpointError, ModelError
from sqa_model.network.config import Head, ModelConfig
from sqa_model.network.wavlm import WavLMConfig

MOST_VALUES = 100_000  # of a configuration, with aliases written out


def read_published(config: Path, weights: Path) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Configuration and weights of a checkpoint of the reference system, in our names."""
    settings = read_hyperpyyaml(config)
    content = read_tensors(weights)
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
        parsed = published_config(settings, theirs)
        return parsed, published_weights(theirs, parsed)
    except ModelError as error:
        raise CheckpointError(f"{weights}: {error}") from error
    except (RuntimeError, IndexError, ValueError, ZeroDivisionError) as error:  # shapes of another network
        raise CheckpointError(
            f"{weights}: weights do not fit the configuration: {first_lines(error)}"
        ) from error


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


class _InertLoader(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
    """YAML whose HyperPyYAML tags stay data: `!new:x {...}` is its mapping, and nothing is called."""


def _inert(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    return node.value


for _tag in ("!new:", "!apply:", "!name:", "!module:"):
    _InertLoader.add_multi_constructor(_tag, _inert)
_InertLoader.add_constructor("!ref", lambda loader, node: _Reference(node.value))


class _Reference(str):
    """Text of a `!ref <name>`."""

    __slots__ = ()


def read_hyperpyyaml(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The plain data of a HyperPyYAML file: tags are dropped, `!ref <name>` of a top-level name is filled in.

    Nothing is imported or called. Any tag but HyperPyYAML's own is an error, as are aliases that expand to too much.
    """
    path = Path(path)
    text = read_text(path)
    try:
        content = yaml.load(text, _InertLoader)
        if not isinstance(content, dict):
            raise CheckpointError(f"{path}: expected names and values, found {type(content).__name__}")
        _check_size(content, path)
        resolved = {str(k): _resolve(v, content) for k, v in content.items()}
        _check_size(resolved, path)  # references may be nested as well
        return resolved
    except yaml.constructor.ConstructorError as error:
        where = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise CheckpointError(f"{path}:{where}: {error.problem}; nothing but plain values is read") from error
    except (yaml.YAMLError, ValueError) as error:
        raise CheckpointError(f"{path}: cannot be read: {first_lines(error)}") from error
    except RecursionError as error:
        raise CheckpointError(f"{path}: nested too deep to be a configuration") from error


def _check_size(content: object, path: Path) -> None:
    """Raise `CheckpointError` where aliases make a small text a large value, or one that contains itself."""
    sizes: dict[int, float] = {}  # by identity; what is being counted is infinite

    def size(value: object) -> float:
        if not isinstance(value, dict | list):
            return 1
        if id(value) not in sizes:
            sizes[id(value)] = math.inf
            parts = [*value, *value.values()] if isinstance(value, dict) else value
            sizes[id(value)] = 1 + sum(map(size, parts))
        return sizes[id(value)]

    if size(content) > MOST_VALUES:
        raise CheckpointError(
            f"{path}: aliases expand to more than {MOST_VALUES:,} values; no configuration does"
        )


def _resolve(value: Any, content: Mapping[str, Any]) -> Any:
    """`value` with references to top-level names replaced by what they name."""
    if isinstance(value, _Reference):
        named = content.get(value.strip("<>"), str(value))
        return str(value) if isinstance(named, _Reference) else named
    if isinstance(value, dict):
        return {k: _resolve(v, content) for k, v in value.items()}
    return [_resolve(v, content) for v in value] if isinstance(value, list) else value
