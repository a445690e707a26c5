"""The learner: an update by plain arithmetic, and what is saved is what comes back."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sqa_model import load
from sqa_model.errors import ModelError
from sqa_model.network.model import MosModel
from sqa_model.training import state
from sqa_model.training.build import build_model
from sqa_model.training.clips import Clips
from sqa_model.training.config import TrainConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.plan import Crop, Work
from sqa_model.training.processes import Processes
from sqa_model.training.source import ClipReader, MicroBatch
from sqa_model.training.state import Learner, Step
from tiny_training import TINY
from torch import Tensor

NAN = math.nan
SECONDS = [0.3, 0.5, 0.9, 0.4]
LABELS = [[2.0, NAN], [4.0, 3.0], [NAN, 1.0], [3.0, NAN]]
Configure = Callable[..., TrainConfig]


def config(*overrides: str) -> TrainConfig:
    heads = 'model.heads=["mos","pesq"]'
    return load_config("mini", overrides=[*TINY, "model.dropout=0", "optim.ema=none", heads, *overrides])


def table() -> Clips:
    ids = ["a", "b", "c", "d"]
    corpus = np.array([0, 0, 1, 1])
    labels = np.float32(LABELS)
    return Clips(
        ids, ids, [None] * 4, ("x", "y"), corpus, np.array(SECONDS), labels, np.full_like(labels, NAN)
    )


def waves() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [0.1 * torch.randn(int(s * 16_000), generator=generator) for s in SECONDS]


def learner(settings: TrainConfig, model: MosModel | None = None) -> tuple[Learner, ClipReader]:
    torch.manual_seed(settings.seed)
    made = Learner(model or build_model(settings), table(), settings, Processes(0, 1, torch.device("cpu")))
    return made, ClipReader(settings, table(), made.model, settings.data.max_seconds)


def batches(*groups: list[int]) -> list[MicroBatch]:
    return [MicroBatch([Crop(i, 0.5) for i in group], [waves()[i] for i in group]) for group in groups]


def update(
    made: Learner, reader: ClipReader, batch: list[MicroBatch], number: int = 1, total: int = 10
) -> Step:
    totals = made.count(batch, reader, stop=False)
    return made.step(Work(number, total, 0, [part.crops for part in batch], 0), batch, reader, totals)


def test_totals_count_labels_pairs_and_seconds_as_cut() -> None:
    made, reader = learner(config("loss.rank=1", "loss.rank_margin=0.5"))
    reader.unreadable = {"gone": None, "torn": None}
    totals = made.count(batches([0, 1], [2, 3]), reader, stop=True)
    assert totals.counts.labels.tolist() == [3, 2]
    assert totals.counts.ranked.tolist() == [
        1,
        0,
    ]  # 4 over 2 in corpus x; the others lie in two corpora or have no label
    assert totals.seconds == pytest.approx(0.3 + 0.5 + 0.7 + 0.4)  # data.max_seconds is 0.7
    assert (totals.unreadable, totals.stop) == (2, True)
    made, reader = learner(config("loss.rank=1", "loss.rank_margin=2"))
    assert made.count(batches([0, 1]), reader, stop=False).counts.ranked.tolist() == [0, 0]
    made, reader = learner(config())
    totals = made.count(batches([0, 1]), reader, stop=False)
    assert (totals.counts.ranked.tolist(), totals.unreadable, totals.stop) == ([0, 0], 0, False)


@pytest.mark.parametrize("groups", [([0, 1, 2, 3],), ([0, 2], [1, 3]), ([3], [2], [1], [0])])
def test_the_loss_is_the_mean_over_labelled_heads_of_their_means(groups: tuple[list[int], ...]) -> None:
    made, reader = learner(config("loss.weights.mos=3"))
    with torch.no_grad():
        pred = made.model(waves()).numpy()
    error = (pred - np.array(LABELS)) ** 2
    mos, pesq = np.nanmean(error[:, 0]), np.nanmean(error[:, 1])
    step = update(made, reader, batches(*groups))
    assert step.loss == pytest.approx((3 * mos + pesq) / 4, rel=1e-5)
    assert step.head_losses == {"mos": pytest.approx(mos, rel=1e-5), "pesq": pytest.approx(pesq, rel=1e-5)}


def test_a_head_without_labels_in_the_update_does_not_count() -> None:
    made, reader = learner(config())
    with torch.no_grad():
        pred = made.model(waves()[:1]).numpy()
    step = update(made, reader, batches([0]))
    assert step.loss == pytest.approx(float((pred[0, 0] - 2) ** 2), rel=1e-5)
    assert list(step.head_losses) == ["mos"]


def test_the_ranking_term_is_added_to_each_head_with_its_weight() -> None:
    plain, ranked = (learner(config(f"loss.rank={weight}", "loss.rank_margin=0.5")) for weight in (0, 0.25))
    with torch.no_grad():
        low, high = plain[0].model(waves()[:2])[:, 0].tolist()
    term = math.log1p(math.exp(-(high - low)))
    losses = [update(*pair, batches([0, 1, 2, 3])).head_losses for pair in (plain, ranked)]
    assert losses[1]["mos"] - losses[0]["mos"] == pytest.approx(0.25 * term, rel=1e-4)
    assert losses[1]["pesq"] == pytest.approx(losses[0]["pesq"], rel=1e-6)


def test_each_corpus_has_its_own_scale_in_the_regression_and_none_in_the_ranking() -> None:
    made, reader = learner(config("loss.corpus_scale=true", "loss.rank=1", "loss.rank_margin=0.5"))
    with torch.no_grad():
        made.trainable["corpus_scale.offset"].copy_(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))
        made.trainable["corpus_scale.log_scale"].copy_(
            torch.tensor([[math.log(2.0)] * 2, [math.log(0.5)] * 2])
        )
        pred = made.model(waves())[:, 0].tolist()
    said = [
        3 + 2 * (pred[0] - 3) + 1,
        3 + 2 * (pred[1] - 3) + 1,
        3 + 0.5 * (pred[3] - 3) - 1,
    ]  # mos turns about 3
    error = [(value - label) ** 2 for value, label in zip(said, (2, 4, 3), strict=True)]
    ranking = math.log1p(math.exp(-(pred[1] - pred[0])))
    step = update(made, reader, batches([0, 1, 2, 3]))
    assert step.head_losses["mos"] == pytest.approx(sum(error) / 3 + ranking, rel=1e-5)


def test_the_deviation_is_that_of_its_own_head() -> None:
    heads = 'model.heads=["pesq","mos_std","mos"]'
    made, reader = learner(config(heads, "loss.kind=nll"))
    made.clips.labels[:] = 0  # not used: `labels` below are
    made.objective.labels = torch.tensor([[3.0, NAN, 2.0]] * 4)
    with torch.no_grad():
        pesq, std, mos = made.model(waves()[:1])[0].double().tolist()
    step = update(made, reader, batches([0]))
    assert step.head_losses["pesq"] == pytest.approx((pesq - 3) ** 2, rel=1e-4)
    expected = (math.log(std**2) + (mos - 2) ** 2 / std**2) / 2
    assert step.head_losses["mos"] == pytest.approx(expected, rel=1e-4)


def test_one_update_is_adamw_on_the_clipped_gradient() -> None:
    """Against torch's own AdamW and clip_grad_norm_ on a copy of the model."""
    settings = config("optim.clip=0.01", "optim.weight_decay=0.1", "optim.warmup=4", "optim.lr=1e-2")
    made, reader = learner(settings)
    torch.manual_seed(settings.seed)
    copy = build_model(settings)
    step = update(made, reader, batches([0, 1, 2, 3]), number=2)
    labels = torch.tensor(LABELS)
    errors = (copy(waves()) - labels.nan_to_num()).square() * labels.isfinite()
    (errors.sum(0) / labels.isfinite().sum(0)).mean().backward()
    norm = torch.nn.utils.clip_grad_norm_(copy.parameters(), 0.01)
    assert step.grad_norm == pytest.approx(float(norm), rel=1e-4)
    assert step.grad_norm > 0.01
    assert step.lr == pytest.approx(1e-2 * 2 / 4)
    torch.optim.AdamW(copy.parameters(), lr=step.lr, betas=(0.9, 0.999), weight_decay=0.1).step()
    for (name, ours), theirs in zip(made.model.named_parameters(), copy.parameters(), strict=True):
        # Adam's first step is the sign of the gradient: what has none but rounding may go anywhere
        same = torch.isclose(ours, theirs, atol=1e-5) | (theirs.grad.abs() < 1e-7)  # type: ignore[union-attr]
        assert same.all(), name
    assert made.state.update == 2


@pytest.mark.parametrize(("clip", "shrunk"), [("0.01", True), ("1000", False), ("none", False)])
def test_only_a_gradient_over_the_limit_is_clipped(clip: str, shrunk: bool) -> None:
    made, reader = learner(config(f"optim.clip={clip}"))
    norm = update(made, reader, batches([0, 1])).grad_norm
    assert 0.01 < norm < 1000
    assert float(made.gradients.norm()) == pytest.approx(0.01 if shrunk else norm, rel=1e-3)


def test_a_backbones_rate_is_its_own_share_of_the_schedule() -> None:
    made, reader = learner(config("optim.lr=1e-2", "optim.backbone_lr=1e-4", "optim.warmup=4"))
    update(made, reader, batches([0, 1]), number=1)
    rates = {id(p): group["lr"] for group in made.optimizer.param_groups for p in group["params"]}
    assert rates[id(made.trainable["backbone.stem.weight"])] == pytest.approx(1e-4 / 4)
    assert rates[id(made.trainable["metrics.weight"])] == pytest.approx(1e-2 / 4)


@pytest.mark.parametrize("ema", [0.2, 0.9])
def test_averages_follow_slowly_and_at_first_faster(ema: float) -> None:
    made, reader = learner(config(f"optim.ema={ema}", "optim.lr=1e-2"))
    expected = {name: p.detach().clone() for name, p in made.trainable.items()}
    for number in (1, 2, 3):
        update(made, reader, batches([0, 1, 2, 3]), number)
        decay = min(ema, (1 + number) / (10 + number))
        for name, p in made.trainable.items():
            expected[name] = decay * expected[name] + (1 - decay) * p.detach()
    assert all(torch.allclose(made.averaged[name], value, atol=1e-6) for name, value in expected.items())
    assert not any(
        value.requires_grad for value in made.averaged.values()
    )  # no graph that grows with every update
    learned, averaged = (
        made.trainable["metrics.weight"].detach().clone(),
        made.averaged["metrics.weight"].clone(),
    )
    assert not torch.equal(learned, averaged)
    with made.averages_in_place():
        assert torch.equal(made.model.metrics.weight, averaged)
    assert torch.equal(made.model.metrics.weight, learned)


def test_dropout_is_drawn_by_seed_update_and_micro_batch() -> None:
    def first_loss(seed: int, number: int, *groups: list[int]) -> float:
        settings = replace(config("model.dropout=0.5"), seed=0)
        made, reader = learner(settings)
        made.config = replace(settings, seed=seed)
        torch.manual_seed(123)  # whatever was drawn before must not matter
        return update(made, reader, batches(*groups), number).loss

    one = first_loss(1, 1, [0], [1])
    assert first_loss(1, 1, [0], [1]) == one
    assert first_loss(2, 1, [0], [1]) != one
    assert first_loss(1, 2, [0], [1]) != one
    assert first_loss(1, 1, [0], [0]) != first_loss(1, 1, [0])  # the second micro-batch has a mask of its own


def test_a_frozen_backbone_is_in_evaluation_mode_and_the_rest_trains() -> None:
    made, reader = learner(config("optim.freeze_updates=1"))
    made.model.eval()
    update(made, reader, batches([0]), 1)
    assert not made.model.backbone.training
    assert made.model.encoder.training
    update(made, reader, batches([0]), 2)
    assert made.model.backbone.training


def test_what_begins_later_is_still_until_then_and_begins_with_fresh_moments() -> None:
    made, reader = learner(config("optim.freeze_updates=2", "optim.lr=1e-2", "optim.weight_decay=0"))
    name, warmup = "backbone.stem.weight", 2
    p = made.trainable[name]
    start = p.detach().clone()
    for number in (1, 2):
        update(made, reader, batches([0, 1, 2, 3]), number)
        assert torch.equal(p, start)
        assert not p.requires_grad
    assert float(made.optimizer.state[made.model.metrics.weight]["step"]) == warmup
    update(made, reader, batches([0, 1, 2, 3]), 3)
    assert float(made.optimizer.state[p]["step"]) == 1
    # Adam's first step is the learning rate, whatever the gradient
    moved = (p.detach() - start).abs()
    assert float(moved.max()) == pytest.approx(made.optimizer.param_groups[0]["lr"], rel=1e-3)


def test_gradients_of_what_is_frozen_do_not_count_for_the_norm() -> None:
    frozen, _ = learner(config("optim.freeze_updates=1"))
    free, reader = learner(config())
    one, other = (update(made, reader, batches([0, 1])) for made in (frozen, free))
    assert (one.loss, one.head_losses) == (pytest.approx(other.loss), pytest.approx(other.head_losses))
    head = [p.grad for name, p in free.trainable.items() if not name.startswith("backbone.")]
    norm = math.sqrt(sum(float(g.square().sum()) for g in head if g is not None))
    scale = min(1.0, 1.0 / other.grad_norm)  # optim.clip is 1
    assert one.grad_norm == pytest.approx(norm / scale, rel=1e-4)
    assert one.grad_norm < other.grad_norm


class Twins(Processes):
    """Two processes, of which the other one has the same clips."""

    def sum(self, values: Tensor) -> Tensor:
        return values.mul_(2)

    def gather(self, thing: object) -> list:
        return [thing, [f"other {name}" for name in thing]]  # type: ignore[attr-defined]


def test_processes_add_up_what_they_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    alone, reader = learner(config())
    one = update(alone, reader, batches([0, 1], [2, 3]))
    made, reader = learner(config())
    made.group, seeds = Twins(1, 2, torch.device("cpu")), list[tuple[int, ...]]()
    monkeypatch.setattr(state, "_seed", lambda *numbers: seeds.append(numbers) or 1)
    both = update(made, reader, batches([0, 1], [2, 3]))
    assert (both.loss, both.grad_norm) == pytest.approx((one.loss, one.grad_norm), rel=1e-5)
    assert seeds == [
        (made.config.seed, 1, place) for place in (1, 3)
    ]  # dealt in turn: 0 and 2 are the other's
    batch = batches([1])
    batch[0].items[0][:] = math.nan
    with pytest.raises(ModelError, match=r"without a finite prediction: b, other b\. The"):
        update(made, reader, batch, 2)


def test_a_gradient_that_is_no_number_changes_nothing() -> None:
    made, reader = learner(config())
    before = {name: p.detach().clone() for name, p in made.trainable.items()}
    made.model.metrics.weight.register_hook(lambda gradient: gradient * math.inf)
    with pytest.raises(ModelError, match=r"update 1 \(epoch 0\): the gradient norm is (inf|nan)\. The last"):
        update(made, reader, batches([0, 1]))
    assert all(torch.equal(before[name], p) for name, p in made.trainable.items())
    assert made.state.update == 0


def test_the_scale_of_fp16_is_gone_on_with(tmp_path: Path) -> None:
    made, _ = learner(config("precision=fp16"))
    for p in made.trainable.values():
        made.optimizer.state[p] = {kind: torch.zeros(1) for kind in ("step", "exp_avg", "exp_avg_sq")}
    made.state.update = 1
    made.scaler.load_state_dict(made.scaler.state_dict() | {"scale": 8.0})
    made.save(tmp_path)
    again, _ = learner(config("precision=fp16"))
    again.resume(tmp_path)
    assert again.scaler.get_scale() == 8.0


def test_no_number_changes_nothing_and_is_named() -> None:
    made, reader = learner(config())
    before = {name: p.detach().clone() for name, p in made.trainable.items()}
    batch = batches([0], [1, 2])
    batch[1].items[0][:] = math.nan
    with pytest.raises(
        ModelError, match=r"update 1 \(epoch 0\): the loss is nan; without a finite prediction: b\. The"
    ):
        update(made, reader, batch)
    assert all(torch.equal(before[name], p) for name, p in made.trainable.items())
    assert made.state.update == 0


def results(
    srcc: float | None, utterance: float = 0.5
) -> dict[str, dict[str, dict[str, float | int | None]]]:
    return {"x": {"mos": {"system_srcc": srcc, "utterance_srcc": utterance}}}


def test_the_best_is_kept_and_evaluations_without_a_better_one_counted() -> None:
    made, _ = learner(config())
    story = [
        (3, 0.5, True, 0),
        (6, 0.5, False, 1),
        (9, 0.4, False, 2),
        (12, 0.6, True, 0),
        (15, None, False, 1),
    ]
    for number, srcc, better, stale in story:
        made.state.update = number
        assert made.judge(results(srcc)) is better
        assert made.state.stale == stale
        assert made.state.last == results(srcc)
    assert (made.state.best_update, made.state.best) == (12, results(0.6))
    made, _ = learner(config())
    made.state.update = 1
    assert made.judge(results(None, -math.inf))  # the first is the best, whatever it is


@pytest.mark.parametrize("options", [[], ["optim.ema=0.9", "loss.corpus_scale=true"]])
def test_what_is_saved_comes_back_and_goes_on_alike(tmp_path: Path, options: list[str]) -> None:
    made, reader = learner(config(*options))
    for number in (1, 2):
        update(made, reader, batches([0, 1], [2, 3]), number)
    made.judge(results(0.5))
    (tmp_path / "last").mkdir()
    made.save(tmp_path / "last")
    again, its_reader = learner(config(*options))
    again.resume(tmp_path / "last")
    assert again.state == made.state
    for one, other in ((made.trainable, again.trainable), (made.averaged, again.averaged)):
        assert all(torch.equal(one[name], other[name]) for name in one)
    losses = [update(*pair, batches([0, 1], [2, 3]), 3) for pair in ((made, reader), (again, its_reader))]
    assert losses[0] == losses[1]
    assert all(torch.equal(made.trainable[name], again.trainable[name]) for name in made.trainable)
    saved = load(tmp_path / "last").state_dict()
    for name, value in load_file(tmp_path / "last" / "training.safetensors").items():
        kind, _, rest = name.partition(".")
        if kind == ("average" if options else "weight") and not rest.startswith("corpus_scale"):
            assert torch.equal(saved[rest], value)  # what predict loads are the averages, if there are any


def test_nothing_to_resume_is_a_fresh_start(tmp_path: Path) -> None:
    made, _ = learner(config())
    made.resume(tmp_path / "last")
    assert made.state.update == 0


def test_what_0_1_0_saved_before_its_first_update_is_a_fresh_start(tmp_path: Path) -> None:
    """It wrote no optimizer state then, and called its own checkpoint damaged for ever after (B6)."""
    made, _ = learner(config())
    made.save(tmp_path)
    assert "step.mix" not in load_file(tmp_path / "training.safetensors")
    again, reader = learner(config())
    again.resume(tmp_path)
    assert again.state.update == 0
    assert update(again, reader, batches([0])).loss > 0


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("training.safetensors", b"torn"),
        ("training.safetensors", b""),
        ("training.json", b"{"),
        ("training.json", b"[]"),
        ("training.json", b'{"update": 1, "colour": 3}'),
    ],
)
def test_a_damaged_checkpoint_is_told(tmp_path: Path, name: str, content: bytes) -> None:
    made, reader = learner(config())
    update(made, reader, batches([0]))
    made.save(tmp_path)
    (tmp_path / name).write_bytes(content)
    again, _ = learner(config())
    with pytest.raises(ModelError, match=r"damaged checkpoint .* delete it to start over"):
        again.resume(tmp_path)


def test_a_checkpoint_of_another_network_is_told(tmp_path: Path) -> None:
    made, reader = learner(config())
    update(made, reader, batches([0]))
    made.save(tmp_path)
    assert json.loads((tmp_path / "training.json").read_text())["update"] == 1
    again, _ = learner(config("model.dim=32"))
    with pytest.raises(ModelError, match=r"\(16, 16\) in the checkpoint and \(16, 32\) in the network"):
        again.resume(tmp_path)


def test_running_out_of_memory_names_the_knob(monkeypatch: pytest.MonkeyPatch) -> None:
    made, reader = learner(config("batch.micro_seconds=2"))
    for error, explained in (
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 GiB\nmore"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (MemoryError("no memory"), True),
        (RuntimeError("shapes differ"), False),
    ):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(MosModel, "encode", fail)
        expected = ModelError if explained else RuntimeError
        message = (
            r"out of memory \(.*\)\. Lower batch\.micro_seconds \(now 2" if explained else "shapes differ"
        )
        with pytest.raises(expected, match=message):
            update(made, reader, batches([0]))
