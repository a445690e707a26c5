"""From a config to what learns: heads and their ranges, what is frozen, the learning rates."""

import itertools
import math
from typing import Literal

import pytest
import torch
from sqa_model.training.build import adamw, build_model, flat_gradients, lr_factor, set_trainable
from sqa_model.training.config import OptimConfig
from sqa_model.training.config_text import load_config
from tiny_training import TINY_WAVLM


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("warmup", [0, 1, 10])
def test_schedules_rise_to_one_and_fall_towards_zero(
    schedule: Literal["linear", "cosine", "constant"], warmup: int
) -> None:
    optim = OptimConfig(schedule=schedule, warmup=warmup)
    factors = [lr_factor(update, 100, optim) for update in range(1, 101)]
    peak = max(warmup, 1)
    assert factors[:peak] == pytest.approx([(u + 1) / peak for u in range(peak)])
    falling = factors[peak - 1 :]
    assert falling[0] == 1
    assert all(a >= b for a, b in itertools.pairwise(falling))
    assert falling[-1] == 1 if schedule == "constant" else 0 < falling[-1] < 0.02


def test_schedules_by_hand() -> None:
    def factors(schedule: Literal["linear", "cosine", "constant"]) -> list[float]:
        optim = OptimConfig(schedule=schedule, warmup=2)
        return [lr_factor(update, 5, optim) for update in range(1, 6)]

    assert factors("constant") == [0.5, 1, 1, 1, 1]
    assert factors("linear") == pytest.approx([0.5, 1, 0.75, 0.5, 0.25])
    cosine = [(1 + math.cos(math.pi * x)) / 2 for x in (0.25, 0.5, 0.75)]
    assert factors("cosine") == pytest.approx([0.5, 1, *cosine])


def test_heads_have_the_ranges_of_their_labels() -> None:
    heads = ["mos", "mos_std", "spksim", "mcd", "sdr", "something_new"]
    config = load_config(overrides=[*TINY_WAVLM, f"model.heads={heads}".replace("'", '"'), "loss.kind=nll"])
    found = {head.name: (head.min, head.max) for head in build_model(config).config.heads}
    assert found == {
        "mos": (1.0, 5.0),
        "mos_std": (0.0, None),
        "spksim": (-1.0, 1.0),
        "mcd": (0.0, None),
        "sdr": (None, None),
        "something_new": (None, None),
    }


@pytest.mark.parametrize(("unfreeze", "layers"), [(0, set()), (1, {2}), (2, {1, 2}), (-1, {0, 1, 2})])
def test_the_last_layers_learn(unfreeze: int, layers: set[int]) -> None:
    model = build_model(load_config(overrides=TINY_WAVLM))
    set_trainable(model, unfreeze)
    learning = {name for name, p in model.named_parameters() if p.requires_grad}
    backbone = {name for name in learning if name.startswith("backbone.")}
    assert {int(name.split(".")[2]) for name in backbone if name.startswith("backbone.layers.")} == layers
    assert ("backbone.projection.weight" in backbone) == (unfreeze == -1)
    assert {"mix", "metrics.weight"} <= learning


def test_each_kind_of_weight_has_its_rate_and_decay() -> None:
    names = ("backbone.a", "metrics.a", "corpus_scale.offset")
    trainable = {name: torch.zeros(1, requires_grad=True) for name in names}

    def groups(optim: OptimConfig) -> list[tuple[float, float]]:
        optimizer = adamw(trainable, optim, torch.device("cpu"))
        assert [group["params"][0] for group in optimizer.param_groups] == [
            trainable[n] for n in (names[0], names[2], names[1])
        ]
        assert optimizer.param_groups[0]["betas"] == optim.betas
        return [(group["peak"], group["weight_decay"]) for group in optimizer.param_groups]

    optim = OptimConfig(lr=1e-3, weight_decay=0.5, betas=(0.8, 0.9))
    assert groups(optim) == [(1e-3, 0.5), (1e-3, 0.0), (1e-3, 0.5)]
    assert groups(OptimConfig(lr=1e-3, backbone_lr=1e-5)) == [(1e-5, 0.01), (1e-3, 0.0), (1e-3, 0.01)]


def test_gradients_are_pieces_of_one_vector() -> None:
    a, b = torch.ones(2, 3, requires_grad=True), torch.ones(4, requires_grad=True)
    flat = flat_gradients([a, b])
    (2 * a.sum() + 3 * b.sum()).backward()
    assert flat.tolist() == [2.0] * 6 + [3.0] * 4
    flat.zero_()
    assert a.grad is not None
    assert a.grad.abs().sum() == 0
