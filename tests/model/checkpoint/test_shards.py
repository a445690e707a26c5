"""Published weights in several files: the same weights, and one error for whatever does not fit together."""

import json
from pathlib import Path

import huggingface_hub
import pytest
import torch
from loopback import serve
from safetensors.torch import load_file, save_file
from sqa_model.checkpoint.hugging_face import find_backbone
from sqa_model.checkpoint.ours import load_backbone
from sqa_model.checkpoint.shards import read_weights
from sqa_model.errors import CheckpointError
from tiny_encoders import extractor, publish

INDEX = "model.safetensors.index.json"


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """A tiny HuBERT in shards, as transformers itself saves a large one."""
    model = publish("hubert", tmp_path / "whole")
    model.save_pretrained(tmp_path / "parts", max_shard_size="20KB")
    extractor("hubert").save_pretrained(tmp_path / "parts")
    assert not (tmp_path / "parts" / "model.safetensors").exists()
    assert len(list((tmp_path / "parts").glob("*.safetensors"))) > 2
    return tmp_path / "parts"


def filled(folder: Path | str) -> dict[str, torch.Tensor]:
    backbone = find_backbone(folder).build()
    load_backbone(backbone, folder)
    return backbone.state_dict()


def as_torch_files(folder: Path) -> list[Path]:
    """The same shards as transformers saved them before it had safetensors."""
    index = json.loads((folder / INDEX).read_text())
    for file in folder.glob("*.safetensors"):
        torch.save(load_file(file), file.with_suffix(".bin"))
        file.unlink()
    index["weight_map"] = {
        name: file.replace(".safetensors", ".bin") for name, file in index["weight_map"].items()
    }
    (folder / INDEX).unlink()
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    return sorted(folder.glob("*.bin"))


def test_shards_are_the_weights_in_one_file(sharded: Path, tmp_path: Path) -> None:
    expected = filled(tmp_path / "whole")
    last = max(sharded.glob("*.safetensors"))
    save_file(load_file(last) | {"beside": torch.zeros(3)}, last)
    assert "beside" not in read_weights(sharded)
    for found in (filled(sharded), as_torch_files(sharded) and filled(sharded)):
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert read_weights(sharded / "pytorch_model.bin.index.json").keys() == read_weights(sharded).keys()


def test_a_shard_that_is_missing_or_torn_is_one_error(sharded: Path) -> None:
    first, second, *_ = sorted(sharded.glob("*.safetensors"))
    content = first.read_bytes()
    first.write_bytes(content[:-1])
    with pytest.raises(CheckpointError, match=rf"{first.name}: cannot be read"):
        read_weights(sharded)
    # one that is whole, but another's
    first.write_bytes(second.read_bytes())
    with pytest.raises(CheckpointError, match=r"weights are missing that model.safetensors.index.json says"):
        read_weights(sharded)
    first.unlink()
    message = rf"parts: {first.name}, which holds \d+ of the weights by {INDEX}, is missing"
    with pytest.raises(CheckpointError, match=message) as caught:
        read_weights(sharded)
    assert "\n" not in str(caught.value)


def test_sizes_are_checked_and_pickles_are_not_run(sharded: Path, tmp_path: Path) -> None:
    name = next(n for n in read_weights(sharded) if n.endswith("layers.1.attention.q_proj.weight"))
    file = sharded / json.loads((sharded / INDEX).read_text())["weight_map"][name]
    save_file(load_file(file) | {name: torch.zeros(3, 3)}, file)
    with pytest.raises(CheckpointError, match=r"q_proj.weight is \[3, 3\], expected \[32, 32\]"):
        filled(sharded)

    ran = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple:
            return ran.mkdir, ()

    files = as_torch_files(sharded)
    torch.save({"bomb": Bomb()}, files[0])
    with pytest.raises(CheckpointError, match="would execute code"):
        read_weights(sharded)
    assert not ran.exists()


@pytest.mark.parametrize(
    "place", ["../model.safetensors", "/etc/x.safetensors", "a/b.safetensors", "x.bin", "", 3, None]
)
def test_an_index_names_files_beside_itself_alone(tmp_path: Path, place: object) -> None:
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"w": place}}))
    with pytest.raises(CheckpointError, match=r"w lies in .*; expected a \.safetensors file beside it"):
        read_weights(tmp_path)


@pytest.mark.parametrize("index", [{}, {"weight_map": []}, {"weight_map": {}}, {"weight_map": "x"}])
def test_an_index_without_files(tmp_path: Path, index: object) -> None:
    (tmp_path / INDEX).write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="expected the file of each weight under 'weight_map'"):
        read_weights(tmp_path)


def test_shards_come_from_the_hub(sharded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve() as world:
        world.models["me/tiny"] = {path.name: path.read_bytes() for path in sharded.iterdir()}
        place = world.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", place)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        found, expected = filled("me/tiny"), filled(sharded)
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "empty"))
        last = max(name for name in world.models["me/tiny"] if name.endswith(".safetensors"))
        del world.models["me/tiny"][last]
        with pytest.raises(CheckpointError, match=rf"me/tiny: {last}, which holds .* is missing"):
            read_weights("me/tiny")
