"""WavLM in the names of Hugging Face and torchaudio: its sizes from its weights, and its weights in ours and back."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from sqa_model.errors import ModelError
from sqa_model.network.wavlm import KERNELS, WavLMConfig

# Hugging Face `WavLMModel` name -> ours, for everything that is a plain renaming
WAVLM_NAMES = {
    r"feature_extractor\.conv_layers\.(\d+)\.layer_norm\.": r"convolutions.norms.\1.",
    r"feature_projection\.layer_norm\.": "norm.",
    r"feature_projection\.projection\.": "projection.",
    r"encoder\.pos_conv_embed\.conv\.": "position.",
    r"encoder\.layer_norm\.": "input_norm.",
    r"encoder\.layers\.0\.attention\.rel_attn_embed\.": "position_bias.",
    r"encoder\.layers\.(\d+)\.attention\.gru_rel_pos_const": r"layers.\1.gate.scale",
    r"encoder\.layers\.(\d+)\.attention\.gru_rel_pos_linear\.": r"layers.\1.gate.",
    r"encoder\.layers\.(\d+)\.attention\.": r"layers.\1.attention.",
    r"encoder\.layers\.(\d+)\.layer_norm\.": r"layers.\1.attention_norm.",
    r"encoder\.layers\.(\d+)\.feed_forward\.intermediate_dense\.": r"layers.\1.expand.",
    r"encoder\.layers\.(\d+)\.feed_forward\.output_dense\.": r"layers.\1.reduce.",
    r"encoder\.layers\.(\d+)\.final_layer_norm\.": r"layers.\1.norm.",
}


def wavlm_weights(theirs: Mapping[str, Tensor], config: WavLMConfig) -> dict[str, Tensor]:
    """Our `WavLM` state dict from that of a Hugging Face `WavLMModel` or a torchaudio `wavlm_*` model.

    Convolutions become linear layers of windows, weight norm is folded, q, k and v are joined, and the gate's
    eight outputs become the two sums that are used.
    """
    theirs = {_plain_name(name): value for name, value in theirs.items()}
    ours: dict[str, Tensor] = {}
    for name, value in theirs.items():
        for pattern, replacement in WAVLM_NAMES.items():
            renamed, hits = re.subn("^" + pattern, replacement, name)
            if hits:
                ours[renamed] = value
                break

    ours["convolutions.first"] = take(theirs, "feature_extractor.conv_layers.0.conv.weight").squeeze(1)
    for i in range(1, len(KERNELS)):
        weight = take(theirs, f"feature_extractor.conv_layers.{i}.conv.weight")  # (out, in, kernel)
        ours[f"convolutions.rest.{i - 1}.weight"] = weight.transpose(1, 2).flatten(1)
    if config.pre_norm:  # the norm after the last layer is in no state
        ours = {k: v for k, v in ours.items() if not k.startswith("input_norm.")}
    else:  # one norm, of the first layer, over time
        ours["convolutions.scale"] = ours.pop("convolutions.norms.0.weight")
        ours["convolutions.shift"] = ours.pop("convolutions.norms.0.bias")

    if "position.weight_g" in ours:
        ours["position.weight"] = _folded(ours.pop("position.weight_g"), ours.pop("position.weight_v"))
    for i in range(config.layers):
        attention, gate = f"layers.{i}.attention.", f"layers.{i}.gate."
        for kind in ("weight", "bias"):
            if f"{attention}in_proj_{kind}" not in ours:
                names = [f"{attention}{x}_proj.{kind}" for x in "qkv"]
                ours[f"{attention}in_proj_{kind}"] = torch.cat([take(ours, n) for n in names])
                ours = {n: v for n, v in ours.items() if n not in names}
            ours[gate + kind] = take(ours, gate + kind).unflatten(0, (2, 4)).sum(1)
        ours[gate + "scale"] = take(ours, gate + "scale").flatten()
    return ours


def hugging_face_weights(ours: Mapping[str, Tensor], config: WavLMConfig) -> dict[str, Tensor]:
    """The state dict of a Hugging Face `WavLMModel` from that of our `WavLM`: `wavlm_weights` turns it back bit by bit.

    What ours has not is made up: of the gate's eight outputs those that are summed are equal, and the vector that
    replaces masked frames in training is 0. ModelError for a pre-norm model, whose last norm is not among ours.
    """
    if config.pre_norm:
        raise ModelError(
            "a pre-norm WavLM (large) cannot be written: its last norm is not kept; expected base or base-plus"
        )
    theirs: dict[str, Tensor] = {"masked_spec_embed": torch.zeros(config.dim, dtype=torch.float32)}
    for name, value in ours.items():
        parts = name.split(".")
        if name == "convolutions.first":
            theirs["feature_extractor.conv_layers.0.conv.weight"] = value.unsqueeze(1)
        elif name.startswith("convolutions.rest."):
            weight = value.unflatten(1, (KERNELS[int(parts[2]) + 1], -1)).transpose(1, 2)  # (out, in, kernel)
            theirs[f"feature_extractor.conv_layers.{int(parts[2]) + 1}.conv.weight"] = weight
        elif name in ("convolutions.scale", "convolutions.shift"):
            kind = "weight" if name.endswith("scale") else "bias"
            theirs[f"feature_extractor.conv_layers.0.layer_norm.{kind}"] = value
        elif name == "position.weight":
            theirs["encoder.pos_conv_embed.conv.parametrizations.weight.original0"] = _norm(value)
            theirs["encoder.pos_conv_embed.conv.parametrizations.weight.original1"] = value
        elif name.endswith((".in_proj_weight", ".in_proj_bias")):
            kind = name.rpartition("_")[2]
            for x, part in zip("qkv", value.chunk(3), strict=True):
                theirs[f"encoder.layers.{parts[1]}.attention.{x}_proj.{kind}"] = part
        elif name.endswith(".gate.scale"):
            theirs[f"encoder.layers.{parts[1]}.attention.gru_rel_pos_const"] = value.view(1, -1, 1, 1)
        elif ".gate." in name:
            spread = (value / 4).repeat_interleave(4, 0)
            theirs[f"encoder.layers.{parts[1]}.attention.gru_rel_pos_linear.{parts[-1]}"] = spread
        else:
            theirs[_hugging_face_name(name)] = value
    return {name: value.contiguous() for name, value in theirs.items()}


def _hugging_face_name(name: str) -> str:
    """The name of a weight that has another name and is the same."""
    for theirs, ours in WAVLM_NAMES.items():
        pattern = re.escape(ours).replace(r"\\1", r"(\d+)")
        template = theirs.replace(r"(\d+)", r"\1").replace(r"\.", ".")
        renamed, hits = re.subn("^" + pattern, template, name)
        if hits:
            return renamed
    raise ModelError(f"weight {name!r} has no place in a WavLMModel")


def _folded(gain: Tensor, direction: Tensor) -> Tensor:
    """A weight from its two factors (weight norm over all but the kernel axis).

    The second factor is the weight, bit by bit, where the first is its norm.
    """
    folded = gain * direction / direction.norm(dim=(0, 1), keepdim=True)
    return torch.where(gain == _norm(direction), direction, folded)


def _norm(direction: Tensor) -> Tensor:
    """The norm over all but the kernel axis, the same on every machine: summed in double precision."""
    norm: Tensor = direction.double().norm(dim=(0, 1), keepdim=True).to(direction.dtype)
    return norm


def _plain_name(name: str) -> str:
    """A Hugging Face name as it is; torchaudio's, and the newer spelling of weight norm, turned into it."""
    for pattern, replacement in (
        (r"^(model|wavlm)\.", ""),  # of a model with a task on top
        (r"^encoder\.(feature_projection)\.", r"\1."),
        (r"^encoder\.transformer\.", "encoder."),
        (r"\.attention\.attention\.", ".attention."),
        (r"parametrizations\.weight\.original0$", "weight_g"),
        (r"parametrizations\.weight\.original1$", "weight_v"),
    ):
        name = re.sub(pattern, replacement, name)
    return name


def wavlm_config(theirs: Mapping[str, Tensor]) -> WavLMConfig:
    """Sizes of a WavLM from its weights, in Hugging Face's names."""
    theirs = {_plain_name(name): value for name, value in theirs.items()}
    channels, dim = take(theirs, "feature_projection.projection.weight").shape[::-1]
    position = take(theirs, "encoder.pos_conv_embed.conv.weight_v")  # (dim, dim / groups, kernel)
    buckets, heads = take(theirs, "encoder.layers.0.attention.rel_attn_embed.weight").shape
    return WavLMConfig(
        dim=dim,
        layers=1 + max(int(k.split(".")[2]) for k in theirs if k.startswith("encoder.layers.")),
        heads=heads,
        feedforward=take(theirs, "encoder.layers.0.feed_forward.intermediate_dense.weight").shape[0],
        channels=channels,
        pre_norm="feature_extractor.conv_layers.1.layer_norm.weight" in theirs,
        position_kernel=position.shape[2],
        position_groups=dim // position.shape[1],
        buckets=buckets,
    )


def below(prefix: str, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights whose names start with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}


def take(weights: Mapping[str, Tensor], name: str) -> Tensor:
    """A weight that must be there."""
    if name not in weights:
        raise ModelError(f"checkpoint has no {name!r}; expected the layout of a Hugging Face WavLMModel")
    return weights[name]
