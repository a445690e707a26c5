"""The mean of models: weight by weight as NumPy has it, of equal networks only, and honest about what it is of."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sqa_model import MosModel, average, load, save
from sqa_model.errors import CheckpointError, ModelError
from sqa_model.network.config import ModelConfig
from sqa_model.network.logmel import LogMelConfig


def network(seed: int, dim: int = 16, **extra: object) -> MosModel:
    torch.manual_seed(seed)
    backbone = LogMelConfig(dim=16, blocks=1)
    return MosModel(
        ModelConfig(
            backbone,
            dim=dim,
            layers=1,
            attention_heads=2,
            feedforward=16,
            heads=(("mos", 1, 5),),
            extra=extra,
        )
    ).eval()


@pytest.mark.parametrize("weights", [None, (1.0, 2.5, 0.5)])
def test_it_is_the_weighted_mean_of_every_weight(weights: tuple[float, ...] | None) -> None:
    models = [network(seed) for seed in (0, 1, 2)]
    mean = average(models, weights)
    assert not mean.training
    for name, value in mean.state_dict().items():
        stacked = np.stack([m.state_dict()[name].double().numpy() for m in models])
        expected = np.average(stacked, axis=0, weights=weights).astype(np.float32)
        assert value.dtype == torch.float32
        np.testing.assert_array_equal(value.numpy(), expected)


def test_the_mean_of_equal_models_is_that_model_to_the_bit() -> None:
    one = network(3)
    mean = average([one] * 7)
    assert all(torch.equal(value, one.state_dict()[name]) for name, value in mean.state_dict().items())


def test_one_that_counts_0_changes_nothing() -> None:
    one = network(3)
    mean = average([one, network(4)], [2, 0])
    assert all(torch.equal(value, one.state_dict()[name]) for name, value in mean.state_dict().items())


def test_it_says_what_it_is_of_and_keeps_what_all_have_in_common(tmp_path: Path) -> None:
    parts = [network(seed, fine_tuned_from="default-2", update=seed) for seed in (1, 2)]
    for name, part in zip("ab", parts, strict=True):
        save(part, tmp_path / name)
    save(average([tmp_path / "a", str(tmp_path / "b")], [1, 3]), tmp_path / "mean")
    mean = load(tmp_path / "mean")
    assert mean.config.extra == {
        "fine_tuned_from": "default-2",
        "average_of": [
            {"name": str(tmp_path / "a"), "fingerprint": parts[0].fingerprint(), "weight": 0.25},
            {"name": str(tmp_path / "b"), "fingerprint": parts[1].fingerprint(), "weight": 0.75},
        ],
    }
    wave = torch.randn(8000)
    assert mean([wave]).isfinite().all()


def test_other_networks_are_refused_with_the_difference(tmp_path: Path) -> None:
    save(network(0), tmp_path / "a")
    save(network(0, dim=32), tmp_path / "b")
    with pytest.raises(
        CheckpointError, match=r"/b: dim is 32, 16 in the first one; only equal networks can be averaged"
    ):
        average([tmp_path / "a", tmp_path / "b"])


@pytest.mark.parametrize("weights", [(1.0,), (0.0, 0.0), (1.0, -1.0), (1.0, float("nan"))])
def test_weights_that_cannot_be(weights: tuple[float, ...]) -> None:
    with pytest.raises(ModelError, match=r"weights are .*; expected 2 numbers of 0 or more"):
        average([network(0), network(1)], weights)


def test_nothing_has_no_mean() -> None:
    with pytest.raises(ModelError, match="found no model to average"):
        average([])
