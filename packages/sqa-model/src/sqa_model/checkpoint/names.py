"""WavLM in the names of Hugging Face and torchaudio: its sizes from its weights, and its weights in ours."""

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
        g, v = ours.pop("position.weight_g"), ours.pop("position.weight_v")
        # the norm is over all but the kernel axis
        ours["position.weight"] = g * v / v.norm(dim=(0, 1), keepdim=True)
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
