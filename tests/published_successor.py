"""A checkpoint of UrgentMOS's layout with random weights, and its computation beside it, slow and plain.

Built from transformers and torch.nn alone, after the published description: nothing of sqa_model is used here.
"""

from pathlib import Path
from typing import Any

import torch
import transformers
from published import SMALL, Range
from torch import Tensor, nn

METRICS: dict[str, dict[str, Any]] = {  # the published heads, then one of each open kind
    "mos_overall": {"min": 1.0, "max": 5.0, "comparative_score": True},
    "scoreq": {"min": 1.0, "max": 5.0},
    "pesq": {"min": 1.0, "max": 4.6},
    "mcd": {"min": 0.0},
    "sdr": {},
}


class Successor(nn.Module):
    """The computation for one clip, or for one pair, without padding."""

    def __init__(self, layers: int, **backbone: object) -> None:
        super().__init__()
        config = transformers.WavLMConfig(**backbone)
        extractor = nn.Module()
        extractor.model = transformers.WavLMModel(config)
        extractor.weights = nn.Parameter(torch.randn(config.num_hidden_layers + 1))
        self.feature_extractor = nn.Module()
        self.feature_extractor.feature_extractors = nn.ModuleList([extractor])
        self.feature_extractor.feat_proj = nn.Sequential(
            nn.Linear(config.hidden_size, 768), nn.LayerNorm(768)
        )
        layer = nn.TransformerEncoderLayer(768, 8, 2048, batch_first=True)
        self.category2encoder = nn.ModuleDict(
            {"mos": nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)}
        )
        self.metric2absolute_score_predictor = nn.ModuleDict()
        for name, about in METRICS.items():
            head = nn.Module()
            head.prediction_head = nn.Linear(768, 1)
            head.activation = Range(about.get("min", -torch.inf), about.get("max", torch.inf))
            self.metric2absolute_score_predictor[name] = head
        head = nn.Module()
        head.cross_attn = nn.MultiheadAttention(768, 4, batch_first=True)
        head.classification_head = nn.Linear(768, 3)
        head.regression_head = nn.Linear(768, 1)
        self.metric2comparative_score_predictor = nn.ModuleDict({"mos_overall": head})

    def frames(self, wave: Tensor) -> Tensor:
        """(samples,) -> (1, frames, 768)."""
        (extractor,) = self.feature_extractor.feature_extractors
        states = extractor.model(wave[None], output_hidden_states=True).hidden_states
        mixed = (torch.stack(states) * extractor.weights.softmax(0)[:, None, None, None]).sum(0)
        frames: Tensor = self.category2encoder["mos"](self.feature_extractor.feat_proj(mixed))
        return frames

    def forward(self, wave: Tensor) -> Tensor:
        """(samples,) -> (heads,)."""
        mean = self.frames(wave).mean(1)
        heads = self.metric2absolute_score_predictor
        return torch.cat([heads[name].activation(heads[name].prediction_head(mean))[0] for name in METRICS])

    def compare(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """Two waveforms -> CMOS (), logits of A, B and tie (3,)."""
        head = self.metric2comparative_score_predictor["mos_overall"]
        of_b = self.frames(b)
        heard, _ = head.cross_attn(self.frames(a), of_b, of_b)
        mean = heard.mean(1)
        return head.regression_head(mean)[0, 0], head.classification_head(mean)[0]


def successor(seed: int = 0, layers: int = 2, small: bool = True) -> Successor:
    """The system with random weights; norms, biases, gates and the comparative head are moved off where they begin."""
    torch.manual_seed(seed)
    model = Successor(layers, **(SMALL if small else {})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or name.endswith("bias") or "gru_rel_pos" in name:
                parameter.add_(torch.randn_like(parameter) * 0.1)
            elif "comparative" in name:
                parameter.add_(torch.randn_like(parameter) * 0.03)
    return model


def settings(layers: int) -> dict[str, Any]:
    """The plain dict that such a checkpoint holds as `config`."""
    here = "urgent_mos.model"
    categories = {"mos": METRICS}
    predictor = {
        "_recursive_": False,
        "category2metrics": categories,
        "pooler_cfg": {"_target_": f"{here}.pooling.MeanPooling"},
        "encoder_cfg": None,
        "input_dim": 768,
    }
    layer = {
        "_target_": "torch.nn.TransformerEncoderLayer",
        "d_model": 768,
        "nhead": 8,
        "dim_feedforward": 2048,
        "batch_first": True,
    }
    encoder = {"_target_": "torch.nn.TransformerEncoder", "encoder_layer": layer, "num_layers": layers}
    extractor = {
        "_target_": f"{here}.audio_encoder.AudioEncoder",
        "model_name": "microsoft/wavlm-base-plus",
        "freeze": True,
    }
    return {
        "exp_dir": "exp/one",
        "train_data": ["data/nisqa/train/data.jsonl"],
        "pretrained_ckpt": None,
        "category2metrics": categories,
        "dataloader": {"_target_": "urgent_mos.data.build_dataloader", "sample_rate": 16000, "seed": 42},
        "trainer": {"_target_": "urgent_mos.trainer.Trainer", "epochs": 100, "learning_rate": 3e-5},
        "model": {
            "_target_": f"{here}.urgent_mos.UrgentMOS",
            "feature_extractor": {
                "_target_": f"{here}.audio_encoder.FusedAudioEncoder",
                "feature_extractors": [extractor],
                "output_dim": 768,
            },
            "category2metrics": categories,
            "category2encoder": {
                "_target_": f"{here}.urgent_mos.build_category_encoders",
                "category2metrics": categories,
                "encoder_cfg": encoder,
            },
            "metric2absolute_score_predictor": predictor,
            "metric2comparative_score_predictor": {**predictor, "num_heads": 4, "min_cmos_for_tie": 0.5},
            "shared_encoder": None,
            "use_symmetric_preference": True,
        },
    }


def publish(model: Successor, folder: Path, name: str = "model.pt", update: int = 1000) -> Path:
    """Write model.pt as UrgentMOS does."""
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(model.metric2absolute_score_predictor.parameters())
    content = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "scheduler": {"last_epoch": update, "_last_lr": [3e-5]},
        "update": update,
        "config": settings(len(model.category2encoder["mos"].layers)),
    }
    torch.save(content, folder / name)
    return folder
