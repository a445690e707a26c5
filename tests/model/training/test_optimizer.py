"""What learns, from when on and how fast; the schedules against torch's and transformers' own."""

import itertools
import math
from typing import Literal

import pytest
import torch
from sqa_model.network.model import MosModel
from sqa_model.training.build import build_model
from sqa_model.training.config import OptimConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.optimizer import Terms, adamw, choose_weights, flat_gradients, lr_factor, told
from tiny_training import TINY_WAVLM
from torch import Tensor

BELOW = "backbone.projection.weight"  # of a WavLM: below all layers


def network() -> MosModel:
    return build_model(load_config(overrides=TINY_WAVLM))  # a WavLM of three layers


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


@pytest.mark.parametrize(("warmup", "total"), [(0, 4), (1, 4), (7, 20), (20, 20), (30, 20)])
def test_the_references_schedule_is_the_one_of_transformers(warmup: int, total: int) -> None:
    """Its scheduler steps after its optimizer; a warm-up may be longer than the run."""
    transformers = pytest.importorskip("transformers")
    weight = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scheduler = transformers.get_linear_schedule_with_warmup(optimizer, warmup, total)
    optim = OptimConfig(schedule="reference", warmup=warmup)
    for update in range(1, total + 1):
        assert lr_factor(update, total, optim) == optimizer.param_groups[0]["lr"]
        optimizer.step()
        scheduler.step()


def test_twenty_updates_are_those_of_torchs_adamw_under_lambda_lr() -> None:
    """The whole way of a rate into the weights, by an independent loop as the published baseline has it."""
    torch.manual_seed(0)
    optim = OptimConfig(schedule="reference", warmup=6, lr=1e-2)
    ours, theirs = torch.nn.Linear(5, 3), torch.nn.Linear(5, 3)
    theirs.load_state_dict(ours.state_dict())
    weights: dict[str, Tensor] = dict(ours.named_parameters())
    terms = dict.fromkeys(weights, Terms("head", optim.lr, optim.weight_decay))
    mine = adamw(weights, terms, optim, torch.device("cpu"))
    other = torch.optim.AdamW(theirs.parameters(), lr=optim.lr)

    def factor(done: int) -> float:
        return done / 6 if done < 6 else max(0.0, (20 - done) / (20 - 6))

    scheduler = torch.optim.lr_scheduler.LambdaLR(other, factor)
    for update in range(1, 21):
        x = torch.randn(7, 5)
        for model in (ours, theirs):
            model.zero_grad()
            model(x).square().mean().backward()
        before = ours.weight.detach().clone()
        for group in mine.param_groups:
            group["lr"] = group["peak"] * lr_factor(update, 20, optim)
        mine.step()
        other.step()
        scheduler.step()
        assert torch.equal(before, ours.weight) == (update == 1)  # nothing is learned in the first
        assert torch.allclose(ours.weight, theirs.weight, atol=1e-7)


@pytest.mark.parametrize(("unfreeze", "layers"), [(0, set()), (1, {2}), (2, {1, 2}), (-1, {0, 1, 2})])
def test_the_last_layers_learn(unfreeze: int, layers: set[int]) -> None:
    model = network()
    weights, terms, _ = choose_weights(model, OptimConfig(unfreeze=unfreeze))
    assert set(weights) == set(terms) == {name for name, p in model.named_parameters() if p.requires_grad}
    backbone = {name for name in weights if name.startswith("backbone.")}
    assert {int(name.split(".")[2]) for name in backbone if name.startswith("backbone.layers.")} == layers
    assert (BELOW in backbone) == (unfreeze == -1)
    assert {"mix", "metrics.weight"} <= set(weights)
    assert all(terms[name].learns(1, 0) for name in weights)


def rates(**settings: object) -> dict[str, float]:
    """Peak rates by part of the model."""
    _, terms, _ = choose_weights(network(), OptimConfig(lr=1e-2, **settings))  # type: ignore[arg-type]
    return {t.part: t.peak for t in terms.values()}


def test_each_layer_learns_slower_than_the_one_above_it() -> None:
    assert rates(unfreeze=-1, layer_decay=0.5) == {
        "head": 1e-2,
        "layers.2": 1e-2,
        "layers.1": 0.5e-2,
        "layers.0": 0.25e-2,
        "below the layers": 0.125e-2,
    }
    assert rates(unfreeze=2, layer_decay=0.5, backbone_lr=1e-4) == {
        "head": 1e-2,
        "layers.2": 1e-4,
        "layers.1": 0.5e-4,
    }
    assert set(rates(unfreeze=-1, backbone_lr=1e-4).values()) == {1e-2, 1e-4}
    factors = rates(unfreeze=2, layer_decay=0.5, backbone_lr=1e-4, lora_rank=2)
    assert factors == {"head": 1e-2, "layers.2": 1e-4, "layers.1": 0.5e-4}


def begins(**settings: object) -> dict[str, list[tuple[int, int]]]:
    """The (update, epoch) in which each part learns, of 3 updates an epoch."""
    _, terms, _ = choose_weights(network(), OptimConfig(unfreeze=-1, **settings))  # type: ignore[arg-type]
    moments = [(update, (update - 1) // 3) for update in range(1, 16)]
    return {t.part: [moment for moment in moments if t.learns(*moment)] for t in terms.values()}


def test_layers_begin_when_the_config_says() -> None:
    moments = [(update, (update - 1) // 3) for update in range(1, 16)]
    parts = ["layers.2", "layers.1", "layers.0", "below the layers"]  # as they begin

    def expected(first: dict[str, int]) -> dict[str, list[tuple[int, int]]]:
        return {"head": moments} | {part: moments[first[part] - 1 :] for part in parts}

    assert begins() == expected(dict.fromkeys(parts, 1))
    assert begins(freeze_updates=4) == expected(dict.fromkeys(parts, 5))
    assert begins(freeze_epochs=2) == expected(dict.fromkeys(parts, 7))
    assert begins(freeze_updates=4, freeze_epochs=1) == expected(dict.fromkeys(parts, 5))  # both are over
    one_an_epoch = dict(zip(parts, (4, 7, 10, 13), strict=True))
    assert begins(freeze_epochs=1, layers_per_epoch=1) == expected(one_an_epoch)
    two_an_epoch = dict(zip(parts, (2, 2, 4, 4), strict=True))
    assert begins(freeze_updates=1, layers_per_epoch=2) == expected(two_an_epoch)


def test_weights_of_one_rate_and_decay_are_one_group() -> None:
    weights: dict[str, Tensor] = {name: torch.zeros(1, requires_grad=True) for name in "abcd"}
    terms = {
        "a": Terms("head", 1e-3, 0.5),
        "b": Terms("layers.0", 1e-5, 0.5),
        "c": Terms("corpus scale", 1e-3, 0.0),
        "d": Terms("head", 1e-3, 0.5, after_updates=3),
    }
    optimizer = adamw(weights, terms, OptimConfig(betas=(0.8, 0.9)), torch.device("cpu"))
    found = [(g["params"], g["peak"], g["weight_decay"], g["betas"]) for g in optimizer.param_groups]
    assert found == [
        ([weights["a"], weights["d"]], 1e-3, 0.5, (0.8, 0.9)),
        ([weights["b"]], 1e-5, 0.5, (0.8, 0.9)),
        ([weights["c"]], 1e-3, 0.0, (0.8, 0.9)),
    ]


def test_rates_are_told_layer_by_layer() -> None:
    _, terms, _ = choose_weights(network(), OptimConfig(lr=1e-2, unfreeze=-1))
    assert told(terms.values()) == "head and below the layers 0.01; layers.0 to layers.2 0.01"
    optim = OptimConfig(lr=1e-2, unfreeze=2, layer_decay=0.5, freeze_updates=9, layers_per_epoch=1)
    _, terms, _ = choose_weights(network(), optim)
    expected = "head 0.01; layers.1 0.005 from update 10 from epoch 2; layers.2 0.01 from update 10"
    assert told(terms.values()) == expected


def test_gradients_are_pieces_of_one_vector() -> None:
    a, b = torch.ones(2, 3, requires_grad=True), torch.ones(4, requires_grad=True)
    flat, pieces = flat_gradients([a, b])
    a.grad, b.grad = pieces
    (2 * a.sum() + 3 * b.sum()).backward()
    assert flat.tolist() == [2.0] * 6 + [3.0] * 4
    flat.zero_()
    assert a.grad.abs().sum() == 0
