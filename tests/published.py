"""A checkpoint of the reference system's layout, with random weights, and the reference computation beside it.

Built from transformers and torch.nn alone, after the published description: nothing of sqa_model is used here.
"""

from pathlib import Path

import torch
import transformers
from torch import Tensor, nn

METRICS = {  # name -> min, max; the published 5-metric heads, then one of each open kind
    "mos": (1.0, 5.0),
    "dnsmos_ovrl": (1.0, 5.0),
    "scoreq": (1.0, 5.0),
    "utmos": (1.0, 5.0),
    "nisqa_mos": (1.0, 5.0),
    "mcd": (0.0, float("inf")),
    "sdr": (float("-inf"), float("inf")),
    "debt": (float("-inf"), 2.0),
}

YAML = """\
seed: 42
sample_rate: 16000
ssl_model_name: "microsoft/wavlm-base-plus"
# set random seed, so that you may reproduce your result.
__set_seed1: !apply:random.seed [!ref <seed>]
__set_seed3: !apply:torch.manual_seed [!ref <seed>]

metrics:
{metrics}

trainer:
    epochs: 5
    learning_rate: 3e-5

dataloader:
    metrics: !ref <metrics>
    sample_rate: !ref <sample_rate>
    feature_extractor: !apply:transformers.AutoFeatureExtractor.from_pretrained [!ref <ssl_model_name> ]

model: !new:urgent2026_sqa.model.UniVersaExt
    feature_extractor: !new:urgent2026_sqa.model.SSLFeatureExtractor
        model_name: !ref <ssl_model_name>
        freeze: true
    encoder: !new:torch.nn.TransformerEncoder
        encoder_layer: !new:torch.nn.TransformerEncoderLayer
            d_model: 768
            nhead: 8
            dim_feedforward: 2048
            dropout: 0.1
            activation: "relu"
            batch_first: True
        num_layers: {layers}
    metrics: !ref <metrics>
"""


class Reference(nn.Module):
    """The reference computation, for one clip or for clips padded to the longest."""

    def __init__(self, layers: int, **backbone: object) -> None:
        super().__init__()
        config = transformers.WavLMConfig(**backbone)
        self.feature_extractor = nn.Module()
        self.feature_extractor.model = transformers.WavLMModel(config)
        self.feature_extractor.weights = nn.Parameter(torch.randn(config.num_hidden_layers + 1))
        self.feat_proj = nn.Sequential(nn.Linear(config.hidden_size, 768), nn.LayerNorm(768))
        layer = nn.TransformerEncoderLayer(768, 8, 2048, 0.1, "relu", batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.metric_proj = nn.Linear(768, len(METRICS))
        self.metric2act = nn.ModuleDict({name: Range(*bounds) for name, bounds in METRICS.items()})

    def forward(self, padded: Tensor, lengths: list[int]) -> Tensor:
        """(batch, samples) -> (batch, heads), the list inference of the reference."""
        mask = torch.arange(padded.shape[1])[None] < torch.tensor(lengths)[:, None]
        backbone = self.feature_extractor.model
        states = backbone(padded, attention_mask=mask.long(), output_hidden_states=True).hidden_states
        weights = self.feature_extractor.weights.softmax(0)
        mixed = (torch.stack(states) * weights[:, None, None, None]).sum(0)
        frames = backbone._get_feat_extract_output_lengths(torch.tensor(lengths))
        inside = torch.arange(mixed.shape[1])[None] < frames[:, None]
        x = self.encoder(self.feat_proj(mixed), src_key_padding_mask=~inside) * inside[..., None]
        logits = self.metric_proj(x.sum(1) / frames[:, None])
        return torch.stack([self.metric2act[n](logits[:, i]) for i, n in enumerate(METRICS)], 1)


class Range(nn.Module):
    """Keeps a value in a range."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.register_buffer("min_value", torch.tensor(low))
        self.register_buffer("max_value", torch.tensor(high))

    def forward(self, x: Tensor) -> Tensor:
        low, high = self.min_value, self.max_value
        if low.isfinite() and high.isfinite():
            return low + (high - low) * torch.sigmoid(x)
        if low.isfinite():
            return low + nn.functional.softplus(x - low)
        return high - nn.functional.softplus(high - x) if high.isfinite() else x


SMALL = {
    "hidden_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "conv_dim": (64,) * 7,
}


def reference(seed: int = 0, layers: int = 6, **backbone: object) -> Reference:
    """The system with random weights, full-size by default; norms, biases and gates are moved off 0 and 1."""
    torch.manual_seed(seed)
    model = Reference(layers, **backbone).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith("bias") or "gru_rel_pos" in name:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


def publish(model: Reference, folder: Path) -> Path:
    """Write model.pt and config.yaml as the reference system does."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"model": model.state_dict(), "optimizer": {"state": {}}, "scheduler": {}, "update": 1000}
    torch.save(content, folder / "model.pt")

    def bound(value: float) -> str:
        return {float("inf"): ".inf", float("-inf"): "-.inf"}.get(value, str(value))

    metrics = "".join(
        f"    {n}:\n        min: {bound(a)}\n        max: {bound(b)}\n" for n, (a, b) in METRICS.items()
    )
    text = YAML.format(metrics=metrics, layers=len(model.encoder.layers))
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    return folder
