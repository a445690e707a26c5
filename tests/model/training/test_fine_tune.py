"""A network with other heads says the same by those that it keeps; records say what it is and where it comes from."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from sqa_model.checkpoint.ours import load, save
from sqa_model.network.backbones import BACKBONES
from sqa_model.network.comparison import ComparisonConfig
from sqa_model.network.config import Head, ModelConfig
from sqa_model.network.logmel import LogMelConfig
from sqa_model.network.model import MosModel
from sqa_model.training.clips import Clips
from sqa_model.training.config import DataConfig, NetConfig, TrainConfig
from sqa_model.training.fine_tune import data_record, network_record, parent_record, with_heads


def tiny(**changed: object) -> MosModel:
    torch.manual_seed(3)
    config = ModelConfig(
        backbone=LogMelConfig(dim=16, blocks=1),
        heads=(Head("mos", 1.0, 5.0), Head("mos_std", 0.0), Head("pesq", 0.9, 4.8)),
        dim=16,
        layers=1,
        attention_heads=2,
        feedforward=16,
        extra={"calibration": "of the parent"},
    )
    return MosModel(dataclasses.replace(config, **changed)).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("names", [("mos",), ("pesq", "mos"), ("new", "pesq", "other", "mos", "mos_std")])
def test_kept_heads_say_the_same_in_the_order_that_is_asked_for(names: tuple[str, ...]) -> None:
    parent, wave = tiny(), torch.randn(8_000, generator=torch.Generator().manual_seed(0))
    before = dict(zip(parent.config.names, parent([wave])[0].tolist(), strict=True))
    ranges = {head.name: head for head in parent.config.heads}
    model = with_heads(parent, names).eval()
    after = dict(zip(model.config.names, model([wave])[0].tolist(), strict=True))
    assert model.config.names == names
    for name in before.keys() & after.keys():
        assert after[name] == before[name]
        assert (
            model.config.heads[names.index(name)] == ranges[name]
        )  # the parent's range, not the label's usual one
    assert all(p.requires_grad for p in model.parameters())
    assert len({p.data_ptr() for p in model.parameters()}) == len(list(model.parameters()))


def test_new_heads_start_at_random_with_the_range_of_their_label() -> None:
    model = with_heads(tiny(), ("mos", "estoi"))
    assert model.config.heads[1] == Head("estoi", 0.0, 1.0)
    weight = model.metrics.weight[1]
    assert 0 < weight.abs().max() <= 1 / 16**0.5
    torch.manual_seed(3)
    again = with_heads(tiny(), ("mos", "estoi"))
    assert torch.equal(again.metrics.weight, model.metrics.weight)


def test_dropout_is_the_parents_unless_it_is_given() -> None:
    assert with_heads(tiny(dropout=0.3), ("mos",)).encoder[0].dropout.p == 0.3
    assert with_heads(tiny(dropout=0.3), ("mos",), 0.0).encoder[0].dropout.p == 0.0


def test_the_comparative_head_goes_on_or_begins_or_is_left_out() -> None:
    asked, waves = ComparisonConfig(2), [torch.randn(8_000), torch.randn(6_000)]

    def said(model: MosModel) -> list[float]:
        return model.eval().compare(model.encode(waves), [(0, 1), (1, 0)]).cmos.tolist()

    had = tiny(comparison=asked)
    before = said(had)
    assert said(with_heads(had, ("new", "mos"), comparison=asked)) == before
    less = with_heads(had, ("mos",))
    assert less.config.comparison is None
    assert not any(name.startswith("comparison.") for name in less.state_dict())
    begun = with_heads(tiny().double(), ("new", "mos"), comparison=asked)
    assert begun.config.comparison == asked
    assert {p.dtype for p in begun.parameters()} == {torch.float64}


def test_a_model_that_was_loaded_can_be_changed(tmp_path: Path) -> None:
    """Its weights came by mapping a file into memory; its constants are in no file."""
    save(tiny(), tmp_path)
    loaded = load(tmp_path)
    wave = torch.randn(8_000)
    expected = loaded([wave])[0, 0]
    assert torch.equal(with_heads(loaded, ("mos",)).eval()([wave])[0, 0], expected)


def test_the_parents_name_fingerprint_and_lineage() -> None:
    config = TrainConfig(model=NetConfig(init="runs/mine"))
    assert parent_record(config, tiny()) == {"name": "runs/mine", "fingerprint": tiny().fingerprint()}
    before = {"name": "default-2", "fingerprint": "74b2e86a"}
    second = tiny(extra={"fine_tuned_from": before, "data": {}})
    assert parent_record(config, second)["fine_tuned_from"] == before


def test_the_network_is_recorded_as_it_is() -> None:
    config = TrainConfig(model=NetConfig(init="runs/mine"))
    record = network_record(config, tiny(normalize=True, pooling="attention"))
    assert record["heads"] == ["mos", "mos_std", "pesq"]
    assert (record["backbone"], record["sizes"]["dim"], record["sizes"]["blocks"]) == ("logmel", 16, 1)
    assert (record["dim"], record["layers"], record["normalize"], record["pooling"]) == (
        16,
        1,
        True,
        "attention",
    )
    assert (record["init"], record["pretrained"]) == ("runs/mine", None)
    assert record.keys() == dataclasses.asdict(config.model).keys()
    plain = tiny(backbone=BACKBONES["logmel"])
    assert network_record(config, plain)["backbone"] == "logmel"


def test_the_data_are_recorded_with_their_counts() -> None:
    def clips(*corpus: int) -> Clips:
        n = len(corpus)
        labels = np.zeros((n, 1), np.float32)
        return Clips(
            [""] * n, [""] * n, [None] * n, ("a", "b"), np.array(corpus), np.full(n, 1800.0), labels, labels
        )

    held = TrainConfig(data=DataConfig(train=("x.jsonl",), hold_out=0.5))
    assert data_record(held, clips(0, 1, 1), clips(0)) == {
        "train": {"manifests": ["x.jsonl"], "corpora": {"a": 1, "b": 2}, "hours": 1.5},
        "dev": {"held_out_of": ["x.jsonl"], "share": 0.5, "corpora": {"a": 1, "b": 0}, "hours": 0.5},
    }
    named = TrainConfig(data=DataConfig(train=("x.jsonl",), dev=("y.jsonl",), hold_out=0.5))
    assert data_record(named, clips(0), clips(1))["dev"]["manifests"] == ["y.jsonl"]
