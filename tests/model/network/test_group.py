"""Groups of encoders: each as it is alone, aligned in time, with a mix of its own."""

import json

import pytest
import torch
from sqa_model import ModelConfig, ModelError, MosModel
from sqa_model.network.backbones import BACKBONES
from sqa_model.network.group import Group, GroupConfig, aligned
from sqa_model.network.logmel import LogMelConfig
from sqa_model.network.wav2vec2 import Wav2Vec2Config
from sqa_model.network.wavlm import WavLMConfig
from sqa_model.network.whisper import WhisperConfig
from torch import Tensor

WAVLM = WavLMConfig(dim=32, layers=3, heads=2, feedforward=32, channels=16, position_groups=2)
GROUP = GroupConfig(
    (
        WAVLM,
        LogMelConfig(dim=24, blocks=1),
        Wav2Vec2Config(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            conv_dim=(16,) * 7,
            num_conv_pos_embedding_groups=1,
            normalize=True,
        ),
        WhisperConfig(
            d_model=16,
            encoder_layers=2,
            encoder_attention_heads=2,
            encoder_ffn_dim=16,
            max_source_positions=50,
        ),
    )
)
HEAD = {"dim": 16, "layers": 1, "attention_heads": 2, "feedforward": 16}


def noise(samples: int) -> Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(samples)) * 0.1


CLIPS = [noise(n) for n in (16_000, 1, 400, 12_345, 33_000)]


@pytest.fixture(scope="module")
def model() -> MosModel:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    model = MosModel(ModelConfig(GROUP, **HEAD)).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        model.mix.normal_()
    return model


def test_a_group_is_its_encoders_aligned_and_side_by_side(model: MosModel) -> None:
    """By the definition: each clip, each encoder, its own softmax, interpolated to the longest, concatenated."""
    group = model.backbone
    assert isinstance(group, Group)
    seen: list[Tensor] = []
    hook = model.projection.register_forward_hook(lambda module, args, output: seen.append(args[0]))
    counts = [config.states for config in GROUP.encoders]
    assert counts == [4, 1, 2, 3]
    expected = []
    with torch.inference_mode():
        model(CLIPS)
        for clip in CLIPS:
            sides = []
            for encoder, weights in zip(group.members, model.mix.split(counts), strict=True):
                states = torch.stack(list(encoder([clip])))  # (layers, frames, dim)
                sides.append(torch.einsum("l,lfd->fd", weights.softmax(0), states))
            longest = max(len(side) for side in sides)
            wide = [
                torch.nn.functional.interpolate(side.t()[None], size=longest, mode="linear")[0].t()
                for side in sides
            ]
            expected.append(torch.cat(wide, 1))
    hook.remove()
    assert seen[0].shape == (sum(len(e) for e in expected), 32 + 24 + 16 + 16)
    assert (seen[0] - torch.cat(expected)).abs().max() < 1e-5


def test_features_and_company_change_nothing(model: MosModel) -> None:
    with torch.inference_mode():
        together = model(CLIPS)
        features = model.features(CLIPS)
        assert features.states.shape == (GROUP.states, sum(features.lengths), 32)
        assert (model.head(features) - together).abs().max() < 1e-5
        for clip, score in zip(CLIPS, together, strict=True):
            assert (model([clip])[0] - score).abs().max() < 1e-5


def test_a_group_is_a_list_in_configurations(model: MosModel) -> None:
    record = json.loads(model.config.to_json())
    assert [encoder["kind"] for encoder in record["backbone"]] == ["wavlm", "logmel", "wav2vec2", "whisper"]
    assert ModelConfig.from_json(model.config.to_json()) == model.config
    named = ModelConfig(["wavlm-large", "logmel"])  # type: ignore[arg-type]
    assert named.backbone == GroupConfig((BACKBONES["wavlm-large"], BACKBONES["logmel"]))
    assert ModelConfig(["logmel"]).backbone == BACKBONES["logmel"]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        ("[]", "found 0 encoders; a group has 2 to 8"),
        (json.dumps(["logmel"] * 9), "found 9 encoders"),
        ('["logmel", ["logmel", "logmel"]]', "backbone must be a name or an object"),
        ("[" * 500 + "]" * 500, "backbone must be a name or an object"),
        ('["logmel", "tiny"]', "unknown backbone 'tiny'"),
        ('["logmel", {"kind": "group"}]', "unknown backbone kind 'group'"),
    ],
)
def test_groups_that_cannot_be(backbone: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        ModelConfig.from_json(f'{{"backbone": {backbone}}}')
    assert len(GroupConfig((WAVLM,) * 8).encoders) == 8
    with pytest.raises(ModelError, match="cannot hold another group"):
        GroupConfig((GROUP, WAVLM))


def test_its_weights_stay_exact_where_its_encoders_are(model: MosModel) -> None:
    copy = model.inference_copy(torch.device("cpu"), torch.bfloat16)
    exact = {n.split(".")[2] for n, p in copy.backbone.named_parameters() if p.dtype == torch.float32}
    assert copy.backbone.exact[:1] == ("encoders.0.convolutions.first",)
    assert {"convolutions", "model"} == {n for n in exact if n in ("convolutions", "model", "stem")}
    with torch.inference_mode():
        assert (copy(CLIPS) - model(CLIPS)).abs().max() < 0.1


def test_alignment_keeps_ends_and_order() -> None:
    x = torch.arange(5.0)[:, None]
    assert aligned(x, [5], [5]) is x
    rising = aligned(x, [5], [9])[:, 0]
    assert (rising.diff() >= 0).all()
    assert (rising[0], rising[-1]) == (0, 4)
