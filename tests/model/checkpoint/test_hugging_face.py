"""Published encoders: what they are and their weights, read as data, from a folder or a hub on loopback."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import torch
from loopback import Loopback, serve
from safetensors.torch import load_file, save_file
from sqa_model.checkpoint.hugging_face import find_backbone
from sqa_model.checkpoint.ours import load_backbone
from sqa_model.errors import CheckpointError
from sqa_model.network.wav2vec2 import Wav2Vec2Config
from sqa_model.network.wavlm import WavLM, WavLMConfig
from tiny_encoders import publish


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published wav2vec 2.0."""
    folder = tmp_path_factory.mktemp("tiny")
    publish("wav2vec2", folder)
    return folder


@pytest.fixture
def folder(tiny: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    for path in tiny.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def change(file: Path, **settings: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


def filled(folder: Path | str) -> dict[str, torch.Tensor]:
    backbone = find_backbone(folder).build()
    load_backbone(backbone, folder)
    return backbone.state_dict()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"model_type": "bert"},
            r"model_type is 'bert'; expected one of data2vec-audio, hubert, .*, whisper",
        ),
        ({"model_type": ["wav2vec2"]}, r"model_type is \['wav2vec2'\]"),
        ({"model_type": None}, "model_type is None"),
        ({"hidden_size": 10**9}, "hidden_size is 1000000000; expected a whole number from 1 to 16,384"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000"),
        ({"num_attention_heads": 5}, "hidden_size 32 is not a multiple of num_attention_heads 5"),
        ({"num_conv_pos_embedding_groups": 5}, "not a multiple of num_conv_pos_embedding_groups"),
        ({"conv_dim": [16] * 6}, "conv_dim, conv_kernel and conv_stride differ in length"),
        ({"conv_dim": [16] * 1_000}, "conv_dim must be 1 to 32 numbers"),
        ({"conv_kernel": [10, 3, 3, 3, 3, 2, "2"]}, "conv_kernel must be a whole number, found '2'"),
        ({"conv_stride": [5, 2, 2, 2, 2, 2, 0]}, "conv_stride is 0"),
        ({"hidden_act": "__import__"}, "hidden_act is '__import__'; expected one of gelu"),
        ({"hidden_act": {"a": 1}}, "hidden_act is {'a': 1}"),
        ({"hidden_dropout": "0.1"}, "hidden_dropout must be a number"),
        ({"feat_extract_norm": "batch"}, "feat_extract_norm is 'batch'; expected one of group, layer"),
        ({"do_stable_layer_norm": 1}, "do_stable_layer_norm must be true or false"),
        ({"adapter_attn_dim": 16}, "adapter_attn_dim is 16; only None is known here"),
    ],
)
def test_what_an_encoder_cannot_be_is_told(folder: Path, settings: dict, message: str) -> None:
    change(folder / "config.json", **settings)
    with pytest.raises(CheckpointError, match=message) as caught:
        find_backbone(folder)
    assert str(folder) in str(caught.value)
    assert len(str(caught.value)) < 400


def test_nothing_that_a_file_names_is_run(folder: Path) -> None:
    """`trust_remote_code` in its usual form: a map to classes in a module beside the weights."""
    ran = folder / "ran"
    code = f"open({str(ran)!r}, 'w')"
    for name in ("modeling.py", "configuration.py"):
        (folder / name).write_text(code)
    classes = {"AutoConfig": "configuration.Config", "AutoModel": "modeling.Model"}
    change(folder / "config.json", auto_map=classes, architectures=["modeling.Model"], torch_dtype="eval")
    filled(folder)
    assert not ran.exists()


def test_the_preprocessor_says_whether_waveforms_are_normalised(folder: Path) -> None:
    file = folder / "preprocessor_config.json"
    for value in (True, False):
        change(file, do_normalize=value)
        assert find_backbone(folder) == Wav2Vec2Config(
            hidden_size=32,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=48,
            conv_dim=(16,) * 7,
            num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=2,
            normalize=value,
        )
    change(file, do_normalize="yes")
    with pytest.raises(CheckpointError, match="do_normalize is 'yes'; expected true or false"):
        find_backbone(folder)
    file.write_text("[]")
    with pytest.raises(CheckpointError, match="expected a JSON object, found list"):
        find_backbone(folder)
    file.unlink()
    with pytest.raises(
        CheckpointError, match=r"expected preprocessor_config.json; .* write \{\"do_normalize\""
    ):
        find_backbone(folder)


def test_a_configuration_that_is_no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{" * 10_000)
    with pytest.raises(CheckpointError, match=r"config\.json: not JSON"):
        find_backbone(folder)
    with pytest.raises(CheckpointError, match="no such file or folder"):
        find_backbone(folder / "absent")


def test_a_wavlm_is_our_own(tmp_path: Path) -> None:
    """Which is faster than transformers', and needs no library."""
    publish("wavlm-large", tmp_path)
    backbone = find_backbone(tmp_path)
    assert backbone == WavLMConfig(
        dim=32,
        layers=3,
        heads=2,
        feedforward=48,
        channels=16,
        pre_norm=True,
        position_kernel=8,
        position_groups=2,
        normalize=True,
    )
    assert isinstance(backbone.build(), WavLM)
    change(tmp_path / "config.json", conv_bias=True)
    with pytest.raises(CheckpointError, match="conv_bias is True; this WavLM has False"):
        find_backbone(tmp_path)


def test_torch_files_of_any_age_are_read_and_pickles_are_not_run(folder: Path) -> None:
    expected = filled(folder)
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    old = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for name, value in weights.items()
    }
    for archive in (True, False):  # since torch 1.6, and before
        torch.save(old, folder / "pytorch_model.bin", _use_new_zipfile_serialization=archive)
        found = filled(folder)
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)

    ran = folder / "ran"

    class Bomb:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(ran),)

    torch.save({**old, "bomb": Bomb()}, folder / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="would execute code"):
        filled(folder)
    assert not ran.exists()


def test_safetensors_come_first_and_other_weights_are_told(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "pytorch_model.bin").write_bytes(b"no weights")
    filled(folder)
    name = "encoder.layers.1.attention.q_proj.weight"
    save_file({**weights, name: torch.zeros(3, 3)}, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"q_proj.weight is \[3, 3\], expected \[32, 32\]"):
        filled(folder)
    del weights[name]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(
        CheckpointError, match=r"1 are missing, such as model.encoder.layers.1.attention.q_proj"
    ):
        filled(folder)


@pytest.fixture
def hub(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A Hub with one encoder, me/tiny, and an empty cache."""
    with serve() as world:
        world.models["me/tiny"] = {path.name: path.read_bytes() for path in tiny.iterdir()}
        place = world.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", place)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
        yield world


def test_an_encoder_comes_from_the_hub(hub: Loopback, tiny: Path) -> None:
    assert find_backbone("me/tiny") == find_backbone(tiny)
    found, expected = filled("me/tiny"), filled(tiny)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    asked = {path.rpartition("/")[2] for path, _, _ in hub.log}
    assert asked == {"config.json", "preprocessor_config.json", "model.safetensors"}
    with pytest.raises(CheckpointError, match="me/other: the Hub does not give it"):
        find_backbone("me/other")
