"""Models on disk: config.json + model.safetensors, and the layouts that other systems publish.

Nothing in a checkpoint is executed: weights are read by safetensors or by torch's `weights_only` reader.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from sqa_model.errors import ModelError
from sqa_model.wavlm import KERNELS, WavLMConfig

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
    """Our `WavLM` state dict from a Hugging Face `WavLMModel` state dict.

    Convolutions become linear layers of windows, weight norm is folded, q, k and v are joined, and the gate's
    eight outputs become the two sums that are used.
    """
    theirs = {
        re.sub(r"parametrizations\.weight\.original([01])$", _weight_norm, k): v for k, v in theirs.items()
    }
    ours: dict[str, Tensor] = {}
    for name, value in theirs.items():
        for pattern, replacement in WAVLM_NAMES.items():
            renamed, hits = re.subn("^" + pattern, replacement, name)
            if hits:
                ours[renamed] = value
                break

    ours["convolutions.first"] = _take(theirs, "feature_extractor.conv_layers.0.conv.weight").squeeze(1)
    for i in range(1, len(KERNELS)):
        weight = _take(theirs, f"feature_extractor.conv_layers.{i}.conv.weight")  # (out, in, kernel)
        ours[f"convolutions.rest.{i - 1}.weight"] = weight.transpose(1, 2).flatten(1)
    if config.pre_norm:  # the norm after the last layer is in no state
        ours = {k: v for k, v in ours.items() if not k.startswith("input_norm.")}
    else:  # one norm, of the first layer, over time
        ours["convolutions.scale"] = ours.pop("convolutions.norms.0.weight")
        ours["convolutions.shift"] = ours.pop("convolutions.norms.0.bias")

    if "position.weight_g" in ours:
        g, v = (
            ours.pop("position.weight_g"),
            ours.pop("position.weight_v"),
        )  # norm over all but the kernel axis
        ours["position.weight"] = g * v / v.norm(dim=(0, 1), keepdim=True)
    for i in range(config.layers):
        attention, gate = f"layers.{i}.attention.", f"layers.{i}.gate."
        for kind in ("weight", "bias"):
            qkv = [_take(ours, f"{attention}{x}_proj.{kind}") for x in "qkv"]
            ours[f"{attention}in_proj_{kind}"] = torch.cat(qkv)
            for x in "qkv":
                del ours[f"{attention}{x}_proj.{kind}"]
            ours[gate + kind] = _take(ours, gate + kind).unflatten(0, (2, 4)).sum(1)
        ours[gate + "scale"] = _take(ours, gate + "scale").flatten()
    return ours


def _weight_norm(match: re.Match[str]) -> str:
    """The older spelling of weight norm's two parts."""
    return "weight_g" if match[1] == "0" else "weight_v"


def _take(weights: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in weights:
        raise ModelError(f"checkpoint has no {name!r}; expected the layout of a Hugging Face WavLMModel")
    return weights[name]
