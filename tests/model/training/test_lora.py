"""LoRA: the model with factors is the model with the sum in its weights, and only the factors learn."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from sqa_model import load
from sqa_model.network.model import MosModel
from sqa_model.training.build import build_model, recompute_activations
from sqa_model.training.config import OptimConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.fields import ConfigError
from sqa_model.training.journal import Event
from sqa_model.training.loop import train
from sqa_model.training.optimizer import choose_weights
from tiny_encoders import publish
from tiny_training import TINY, TINY_WAVLM, lines, same, weights, write_corpus
from torch import Tensor

NETWORKS = {"wavlm": (None, TINY_WAVLM), "logmel": ("mini", TINY)}
WAVES = [torch.linspace(-1, 1, n).sin() * 0.1 for n in (6_000, 9_000)]


def network(kind: str = "wavlm") -> MosModel:
    preset, overrides = NETWORKS[kind]
    torch.manual_seed(0)
    return build_model(load_config(preset, overrides=[*overrides, "model.dropout=0"])).eval()


def stir(factors: dict[str, Tensor]) -> None:
    """Factors as they might be after some updates."""
    with torch.no_grad():
        for factor in factors.values():
            factor.uniform_(-0.3, 0.3)


@pytest.mark.parametrize("kind", NETWORKS)
def test_factors_begin_as_nothing_and_say_what_the_sum_says(kind: str) -> None:
    model, plain = network(kind), network(kind)
    _, _, lora = choose_weights(model, OptimConfig(unfreeze=-1, lora_rank=2, lora_alpha=3.0))
    before = {name: value.clone() for name, value in plain.state_dict().items()}
    assert torch.equal(model(WAVES), plain(WAVES))
    for name, factor in lora.weights.items():
        if name.endswith("down"):  # drawn as a fresh linear layer is
            assert 0.7 < factor.abs().max() * factor.shape[1] ** 0.5 <= 1
    stir(lora.weights)
    assert model.state_dict().keys() == before.keys()
    with lora.merged():
        merged = {name: value.clone() for name, value in model.state_dict().items()}
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    plain.load_state_dict(merged)
    assert not torch.allclose(plain(WAVES), network(kind)(WAVES), atol=1e-3)
    assert torch.allclose(model(WAVES), plain(WAVES), atol=1e-5)


@pytest.mark.parametrize("name", ["wav2vec2", "data2vec", "w2v-bert", "whisper"])
def test_every_factor_beside_an_encoder_of_transformers_counts(tmp_path: Path, name: str) -> None:
    """A linear layer that is not called, but read, would learn nothing and say so nowhere."""
    publish(name, tmp_path / name)
    overrides = [*(item for item in TINY if "sizes" not in item), f"model.backbone=hf:{tmp_path}/{name}"]
    model, plain = (build_model(load_config(overrides=overrides)).eval() for _ in range(2))
    _, _, lora = choose_weights(model, OptimConfig(unfreeze=-1, lora_rank=2))
    stir(lora.weights)
    said = model(WAVES)
    said.sum().backward()
    assert len(lora.weights) >= 3 * 6 * 2
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in lora.weights.values())
    with lora.merged():
        plain.load_state_dict(model.state_dict())
    assert torch.allclose(plain(WAVES), said, atol=1e-5)


def test_the_sum_is_w_plus_alpha_over_rank_up_down() -> None:
    """By hand, for a plain layer and for each third of the joined projection."""
    model = network()
    _, _, lora = choose_weights(model, OptimConfig(unfreeze=1, lora_rank=4, lora_alpha=2.0))
    stir(lora.weights)
    layer, name = model.backbone.layers[2], "lora.backbone.layers.2"
    before = [layer.expand.weight.clone(), *layer.attention.in_proj_weight.clone().chunk(3)]
    with lora.merged(), torch.no_grad():
        after = [layer.expand.weight, *layer.attention.in_proj_weight.chunk(3)]
        parts = ("expand", "attention.q_proj", "attention.k_proj", "attention.v_proj")
        for part, old, new in zip(parts, before, after, strict=True):
            product = lora.weights[f"{name}.{part}.up"] @ lora.weights[f"{name}.{part}.down"]
            assert torch.allclose(new, old + 0.5 * product, atol=1e-6)


@pytest.mark.parametrize(
    ("targets", "adapted"),
    [
        (
            ("*",),
            {"attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.out_proj", "expand"},
        ),
        (("q_proj", "v_proj"), {"attention.q_proj", "attention.v_proj"}),
        (("attention.k*",), {"attention.k_proj"}),
        (("expand",), {"expand"}),
    ],
)
def test_what_is_named_learns_in_the_last_layers_and_nothing_else_of_the_backbone(
    targets: tuple[str, ...], adapted: set[str]
) -> None:
    model = network()
    optim = OptimConfig(unfreeze=2, lora_rank=2, lora_targets=targets)
    learning, terms, lora = choose_weights(model, optim)
    found = {name.removeprefix("lora.backbone.layers.") for name in lora.weights}
    expected = adapted | ({"reduce"} if targets == ("*",) else set())
    assert found == {
        f"{layer}.{name}.{end}" for layer in (1, 2) for name in expected for end in ("down", "up")
    }
    assert not any(p.requires_grad for p in model.backbone.parameters())
    assert set(lora.weights) < set(learning) == set(terms)
    assert "metrics.weight" in learning
    stir(lora.weights)
    model(WAVES).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in lora.weights.values())
    assert all(p.grad is None for p in model.backbone.parameters())
    model = network()
    choose_weights(model, dataclasses.replace(optim, unfreeze=-1))
    assert not any(p.requires_grad for p in model.backbone.parameters())


def test_gradients_are_those_of_the_formed_product() -> None:
    """Against autograd through W + alpha / rank up down, formed and put in the weight's place."""
    model, plain = network(), network()
    _, _, lora = choose_weights(model, OptimConfig(unfreeze=-1, lora_rank=2, lora_alpha=4.0))
    stir(lora.weights)
    model(WAVES).sum().backward()
    formed = {}
    copies = {name: value.detach().clone().requires_grad_() for name, value in lora.weights.items()}
    for i in range(3):
        for part, weight in (
            ("expand", "expand.weight"),
            ("attention.out_proj", "attention.out_proj.weight"),
        ):
            name, full = f"lora.backbone.layers.{i}.{part}", f"backbone.layers.{i}.{weight}"
            formed[full] = plain.get_parameter(full) + 2 * copies[f"{name}.up"] @ copies[f"{name}.down"]
        thirds = [
            2
            * copies[f"lora.backbone.layers.{i}.attention.{n}_proj.up"]
            @ copies[f"lora.backbone.layers.{i}.attention.{n}_proj.down"]
            for n in "qkv"
        ]
        full = f"backbone.layers.{i}.attention.in_proj_weight"
        formed[full] = plain.get_parameter(full) + torch.cat(thirds)
        full = f"backbone.layers.{i}.reduce.weight"
        name = f"lora.backbone.layers.{i}.reduce"
        formed[full] = plain.get_parameter(full) + 2 * copies[f"{name}.up"] @ copies[f"{name}.down"]
    torch.func.functional_call(plain, formed, (WAVES,)).sum().backward()
    for name, factor in lora.weights.items():
        assert factor.grad is not None
        assert torch.allclose(factor.grad, copies[name].grad, rtol=1e-3, atol=1e-5), name  # type: ignore[arg-type]


@pytest.mark.parametrize("rank", [1, 3])
def test_a_pattern_that_names_nothing_is_told_with_what_there_is(rank: int) -> None:
    optim = OptimConfig(unfreeze=-1, lora_rank=rank, lora_targets=("q_proj", "query"))
    expected = r"optim\.lora_targets: found 'query'.*attention\.q_proj.*expand, reduce, or a pattern"
    with pytest.raises(ConfigError, match=expected):
        choose_weights(network(), optim)


def test_recomputed_activations_give_the_same_gradients() -> None:
    found = []
    for recompute in (False, True):
        model = network().train()
        torch.manual_seed(1)
        _, _, lora = choose_weights(model, OptimConfig(unfreeze=-1, lora_rank=2))
        stir(lora.weights)
        if recompute:
            recompute_activations(model)
        model(WAVES).sum().backward()
        found.append([p.grad for p in lora.weights.values()])
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(*found, strict=True))  # type: ignore[arg-type]


def die_after(update: int) -> Callable[[Event], None]:
    def watch(at: Event) -> None:
        if (at.kind, at.update) == ("update", update):
            raise SystemExit("killed")

    return watch


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_killed_run_ends_with_the_same_bits_and_saves_plain_models(
    tmp_path: Path, precision: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="sqa_model.training")
    for name, clips in (("train", 16), ("dev", 6)):
        write_corpus(tmp_path / name, clips, seed=clips)
    config = load_config(
        overrides=[
            *TINY_WAVLM,
            *(f"data.{name}={tmp_path}/{name}/data.jsonl" for name in ("train", "dev")),
            *("optim.unfreeze=2", "optim.lora_rank=2", "optim.lr=1e-2", "optim.ema=0.8", "optim.clip=0.1"),
            *("optim.freeze_updates=2", "batch.micro_seconds=2", "run.threads=1", f"precision={precision}"),
        ]
    )
    total = train(config, tmp_path / "whole").updates
    for update in (2, total - 1):
        with pytest.raises(SystemExit):
            train(config, tmp_path / "killed", watch=die_after(update))
    train(config, tmp_path / "killed")
    assert same(tmp_path / "whole", tmp_path / "killed")

    torch.manual_seed(config.seed)
    before, after = build_model(config).state_dict(), weights(tmp_path / "whole")
    assert before.keys() == after.keys()
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    layers = {name for name in changed if name.startswith("backbone.")}
    linear = ("attention.in_proj_weight", "attention.out_proj.weight", "expand.weight", "reduce.weight")
    assert layers == {f"backbone.layers.{layer}.{name}" for layer in (1, 2) for name in linear}
    # predict's model: the averages, merged
    saved = load_file(tmp_path / "whole" / "last" / "training.safetensors")
    name = "lora.backbone.layers.2.expand"
    product = saved[f"average.{name}.up"] @ saved[f"average.{name}.down"] * (16 / 2)
    expected = before["backbone.layers.2.expand.weight"] + product
    assert torch.allclose(after["backbone.layers.2.expand.weight"], expected, atol=1e-6)
    assert load(tmp_path / "whole" / "best").state_dict().keys() == before.keys()
    assert "learning rates: head 0.01; layers.2 to layers.1 0.01 from update 3" in caplog.text
    assert "LoRA: factors of rank 2 beside 12 linear layers" in caplog.text
    assert len(lines(tmp_path / "whole")) > total


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path: Path) -> None:
    """Factors that begin late, layer by layer; micro-batches of a stated size, so even the dropout is the same."""
    for name, clips in (("train", 16), ("dev", 6)):
        write_corpus(tmp_path / name, clips, seed=clips)
    fields = [
        *TINY_WAVLM,
        *(f"data.{name}={tmp_path}/{name}/data.jsonl" for name in ("train", "dev")),
        *("optim.unfreeze=2", "optim.lora_rank=2", "optim.lr=1e-2", "optim.layer_decay=0.5"),
        *("optim.freeze_updates=1", "optim.layers_per_epoch=1", "batch.micro_seconds=1.5", "run.threads=1"),
    ]
    options = [part for item in fields for part in ("--set", item)]
    for processes in (1, 2):
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        arguments = [*(launcher if processes > 1 else []), "-m", "sqa_cli", "train", *options]
        done = subprocess.run(
            [sys.executable, *arguments, "--out", str(tmp_path / str(processes))],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    one, two = ([row["loss"] for row in lines(tmp_path / n) if "loss" in row] for n in "12")
    assert one == pytest.approx(two, rel=1e-4)
    assert len(set(one)) == len(one) >= 4
    a, b = (load_file(tmp_path / n / "last" / "training.safetensors") for n in "12")
    factors = [name for name in a if name.startswith("weight.lora.")]
    assert len(factors) == 2 * 6 * 2
    # Adam scales up the rounding of gradients that are next to nothing
    assert all(torch.allclose(a[name], b[name], atol=2e-3) for name in factors)
