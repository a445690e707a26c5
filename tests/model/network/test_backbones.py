"""A backbone is added as CONTRIBUTING says: a configuration, the module that it builds, and one row of BACKBONES."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from sqa_model import BACKBONES, ModelConfig, ModelError, MosModel, load, predict, save
from sqa_model.network.backbone import Backbone, BackboneConfig
from sqa_model.network.fields import between
from sqa_model.network.wav2vec2 import Wav2Vec2Config
from tiny_encoders import WAVES, extractor
from torch import Tensor, nn

# --- what somebody would write into sqa_model/network/toy.py ---


@dataclass(frozen=True)
class ToyConfig(BackboneConfig):
    """Sizes of the toy encoder."""

    kind: ClassVar[str] = "toy"
    dim: int = between(16, 1, 1_024)
    hop: int = between(320, 1, 16_000)  # samples in a frame

    @property
    def states(self) -> int:
        """Layers whose output the encoder yields."""
        return 2

    def build(self) -> "Toy":
        """The encoder, with random weights."""
        return Toy(self)


class Toy(Backbone):
    """Two states: a linear layer of each frame's samples, and the same squashed."""

    def __init__(self, config: ToyConfig) -> None:
        super().__init__()
        self.hop = config.hop
        self.linear = nn.Linear(config.hop, config.dim)

    def lengths(self, samples: list[int]) -> list[int]:
        """Frames of clips of so many samples."""
        return [-(-n // self.hop) for n in samples]

    def stacks(self) -> list[list[nn.Module]]:
        """Its one layer."""
        return [[self.linear]]

    def forward(self, waves: list[Tensor]) -> Iterator[Tensor]:
        """Yield two states (frames, dim) of packed clips."""
        padded = [nn.functional.pad(w, (0, -len(w) % self.hop)) for w in waves]
        x = self.linear(torch.cat(padded).view(-1, self.hop).to(self.linear.weight.dtype))
        yield x
        yield x.tanh()


# ... and for a family of transformers, here one that is built like wav2vec 2.0 ...


@dataclass(frozen=True)
class UniSpeechConfig(Wav2Vec2Config):
    """Sizes of a UniSpeech."""

    kind: ClassVar[str] = "unispeech"
    model_type: ClassVar[str | None] = "unispeech"
    theirs: ClassVar[tuple[str, str]] = ("UniSpeechConfig", "UniSpeechModel")


# --- and what the rest of the house then knows by itself ---


@pytest.fixture(autouse=True)
def one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES, "toy", ToyConfig())
    monkeypatch.setitem(BACKBONES, "unispeech", UniSpeechConfig())


def test_it_is_built_saved_loaded_and_scores(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = MosModel(ModelConfig("toy", dim=16, layers=1, attention_heads=4, feedforward=16)).eval()
    assert '"kind": "toy"' in model.config.to_json()
    again = load(save(model, tmp_path))
    assert again.config == model.config
    wave = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.equal(model([wave]), again([wave]))
        assert (model([wave, wave[:500]])[1] - model([wave[:500]])[0]).abs().max() < 1e-6
    assert 1 < predict(wave, again, 16_000)["mos"] < 5


def test_its_sizes_are_checked_and_named() -> None:
    with pytest.raises(ModelError, match="backbone: hop is 0; expected a whole number from 1 to 16,000"):
        ModelConfig.from_json('{"backbone": {"kind": "toy", "hop": 0}}')
    with pytest.raises(ModelError, match=r"expected one of logmel, .*, toy"):
        ModelConfig("tiy")


def test_training_knows_it() -> None:
    from sqa_model.training.build import build_model
    from sqa_model.training.config import OptimConfig, TrainConfig
    from sqa_model.training.optimizer import choose_weights

    config = TrainConfig()
    assert config.model.backbone[0] in BACKBONES
    import dataclasses

    net = dataclasses.replace(
        config.model, backbone=("toy",), sizes={"hop": 160}, dim=16, layers=1, feedforward=16, init=None
    )
    model = build_model(dataclasses.replace(config, model=net))
    assert isinstance(model.backbone, Toy)
    assert model.backbone.hop == 160
    for unfreeze in (0, 1):
        weights, _, _ = choose_weights(model, OptimConfig(unfreeze=unfreeze))
        assert ("backbone.linear.weight" in weights) == bool(unfreeze)


def test_a_published_one_is_found_and_gives_its_own_states(tmp_path: Path) -> None:
    import transformers
    from sqa_model.checkpoint.hugging_face import find_backbone
    from sqa_model.checkpoint.ours import load_backbone

    torch.manual_seed(0)
    published = transformers.UniSpeechForPreTraining(transformers.UniSpeechConfig(**WAVES)).eval()
    published.save_pretrained(tmp_path)
    extractor("unispeech").save_pretrained(tmp_path)
    ours = find_backbone(tmp_path).build().eval()
    assert isinstance(ours.config, UniSpeechConfig)
    load_backbone(ours, tmp_path)
    wave = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    inputs = extractor("unispeech")(wave.numpy(), sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        theirs = published.unispeech(**inputs, output_hidden_states=True).hidden_states
        for state, expected in zip(ours([wave]), theirs, strict=True):
            assert (state - expected[0]).abs().max() < 1e-5
