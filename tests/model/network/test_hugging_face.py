"""Every family of transformers as a backbone: the states are transformers' own, and no clip changes another."""

import dataclasses
import sys
from pathlib import Path

import pytest
import torch
import transformers
from sqa_model import ModelConfig, ModelError, MosModel
from sqa_model.checkpoint.hugging_face import find_backbone
from sqa_model.checkpoint.ours import load, load_backbone, save
from sqa_model.network.backbone import Backbone
from sqa_model.network.backbones import BACKBONES
from sqa_model.network.hugging_face import HuggingFaceConfig
from tiny_encoders import MODELS, publish, states
from torch import Tensor

HEAD = {"dim": 16, "layers": 1, "attention_heads": 2, "feedforward": 16}


def noise(samples: int) -> Tensor:
    """With a mean and a level of its own, so that it matters whether and how it is normalised."""
    draw = torch.Generator().manual_seed(samples)
    return torch.randn(samples, generator=draw) * 0.05 + 0.02


CLIPS = [noise(n) for n in (16_000, 14_321, 719, 720, 5_000, 32_000, 28_999, 16_000)]


@pytest.fixture(scope="module", params=list(MODELS))
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple:
    """(name, transformers' model, ours of the same weights)."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp(request.param)
    theirs = publish(request.param, folder)
    ours = find_backbone(folder).build().eval()
    load_backbone(ours, folder)
    return request.param, theirs, ours


def test_the_states_are_those_of_transformers_one_by_one(published: tuple) -> None:
    name, theirs, ours = published
    with torch.inference_mode():
        found = torch.stack(list(ours(CLIPS)))
    lengths = ours.lengths([len(clip) for clip in CLIPS])
    assert found.shape == (ours.config.states, sum(lengths), ours.config.dim)
    for clip, state in zip(CLIPS, found.split(lengths, 1), strict=True):
        expected = states(name, theirs, clip)
        assert state.shape == expected.shape
        assert (state - expected).abs().max() < 1e-5
        assert state.std() > 0.1


def test_a_clip_is_heard_alike_in_any_company(published: tuple) -> None:
    _, _, ours = published
    clips = [*CLIPS, noise(1), noise(399)]
    lengths = ours.lengths([len(clip) for clip in clips])
    with torch.inference_mode():
        together = torch.stack(list(ours(clips))).split(lengths, 1)
        louder = [noise(40_000) * 9, *clips[::-1]]
        backwards = torch.stack(list(ours(louder))).split(ours.lengths([len(c) for c in louder]), 1)[:0:-1]
        for clip, one, other in zip(clips, together, backwards, strict=True):
            alone = torch.stack(list(ours([clip])))
            assert (alone - one).abs().max() < 1e-5
            assert (alone - other).abs().max() < 1e-5


def test_training_hears_what_evaluation_hears(published: tuple, tmp_path: Path) -> None:
    """No layer is dropped and no frame masked; without dropout the states are the same, bit for bit."""
    _, _, ours = published
    still = {f.name: 0.0 for f in dataclasses.fields(ours.config) if f.name.endswith("dropout")}
    quiet = dataclasses.replace(ours.config, **still).build()
    quiet.load_state_dict(ours.state_dict())
    evaluated, trained = (list(quiet.train(mode)(CLIPS[:3])) for mode in (False, True))
    assert len(trained) == ours.config.states
    for one, other in zip(evaluated, trained, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
    if isinstance(ours.config, HuggingFaceConfig):
        loud = dataclasses.replace(ours.config, **still | {"attention_dropout": 0.5}).build().train()
        loud.load_state_dict(ours.state_dict())
        assert not torch.allclose(list(loud(CLIPS[:3]))[-1], trained[-1], atol=1e-3)


def test_a_model_of_it_is_saved_and_loaded(published: tuple, tmp_path: Path) -> None:
    _, _, ours = published
    model = MosModel(ModelConfig(ours.config, **HEAD)).eval()
    model.backbone.load_state_dict(ours.state_dict())
    with torch.inference_mode():
        scores = model(CLIPS)
        again = load(save(model, tmp_path))
        assert again.config == model.config
        assert (again(CLIPS) - scores).abs().max() < 1e-5
        features = model.features(CLIPS)
        assert (model.head(features) - scores).abs().max() < 1e-5
        assert again.fingerprint() == model.fingerprint()
        copy = again.inference_copy(torch.device("cpu"), torch.float32)
        assert (copy(CLIPS) - scores).abs().max() < 1e-5
        rounded = again.inference_copy(torch.device("cpu"), torch.bfloat16)
        assert 0 < (rounded(CLIPS) - scores).abs().max() < 0.05
        for weight in rounded.backbone.parameters():
            assert weight.dtype in (torch.bfloat16, torch.float32)


def test_a_score_has_a_gradient(published: tuple) -> None:
    _, _, ours = published
    model = MosModel(ModelConfig(ours.config, **HEAD)).eval()
    model.backbone.load_state_dict(ours.state_dict())
    wave = noise(4_000).requires_grad_()
    (gradient,) = torch.autograd.grad(model([wave])[0, 0], wave)
    direction = gradient / gradient.norm()
    with torch.no_grad():
        up, down = (model([wave + step * direction])[0, 0].double() for step in (3e-3, -3e-3))
    assert (up - down) / 6e-3 == pytest.approx(gradient.norm().item(), rel=0.05)


@pytest.mark.parametrize("name", sorted(n for n, c in BACKBONES.items() if isinstance(c, HuggingFaceConfig)))
def test_the_defaults_are_those_of_transformers(name: str) -> None:
    config = BACKBONES[name]
    assert isinstance(config, HuggingFaceConfig)
    theirs = getattr(transformers, config.theirs[0])()
    for field in dataclasses.fields(config):
        if field.name == "normalize":
            continue
        expected = getattr(theirs, field.name)
        expected = tuple(expected) if isinstance(expected, list) else expected
        assert getattr(config, field.name) == expected, field.name


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ModelError, match=r"'hubert' needs .* pip install 'sqa-model\[hf\]'"):
        BACKBONES["hubert"].build()


def test_building_draws_no_memory(published: tuple) -> None:
    """On the meta device, where models are built to be loaded."""
    _, _, ours = published
    with torch.device("meta"):
        built: Backbone = ours.config.build()
    assert all(value.is_meta for value in built.state_dict().values())
