"""Each kind of loss against its formula; a new one is a function and a row."""

import math

import pytest
import torch
from sqa_model.training import error_loss
from sqa_model.training.config import LossConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.loss import label_counts, regression
from torch import Tensor

NAN = math.nan


def batch(clips: int, heads: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions, labels with a third missing, corpus numbers."""
    generator = torch.Generator().manual_seed(seed)
    pred = 1 + 4 * torch.rand(clips, heads, generator=generator, dtype=torch.float64)
    labels = 1 + 4 * torch.rand(clips, heads, generator=generator, dtype=torch.float64)
    labels[torch.rand(clips, heads, generator=generator) < 0.3] = NAN
    return pred.requires_grad_(), labels, torch.randint(0, 2, (clips,), generator=generator)


def plain(kind: str, error: float, std: float, delta: float) -> float:
    """The loss of one prediction that is `error` off, from the papers; `std` is NaN where none is predicted."""
    if kind == "l1":
        return abs(error)
    if kind == "huber":  # Huber 1964: quadratic inside delta, linear outside
        return error**2 / 2 if abs(error) <= delta else delta * (abs(error) - delta / 2)
    if kind == "nll" and not math.isnan(
        std
    ):  # Nix and Weigend 1994: half of log variance + squared error in variances
        variance = max(std, 0.05) ** 2
        return (math.log(variance) + error**2 / variance) / 2
    return error**2


@pytest.mark.parametrize("delta", [0.25, 0.5, 2.0])
@pytest.mark.parametrize("kind", ["mse", "l1", "huber", "nll"])
def test_every_kind_equals_its_formula(kind: str, delta: float) -> None:
    pred, labels, _ = batch(23, 4, seed=5)
    std = torch.linspace(0.01, 2, 23, dtype=torch.float64)[:, None].repeat(1, 4)
    std[:, 2:] = NAN  # two heads predict their deviation, two do not
    totals = torch.tensor([10.0, 40.0, 23.0, 0.0], dtype=torch.float64)
    labels[:, 3] = NAN
    config = LossConfig(kind=kind, huber_delta=delta)  # type: ignore[arg-type]
    found = regression(pred, labels, totals, config, std)
    for head in range(4):
        terms = [
            plain(kind, float(p - y), float(s), delta)
            for p, y, s in zip(pred[:, head].detach(), labels[:, head], std[:, head], strict=True)
            if not math.isnan(y)
        ]
        assert found[head].item() == pytest.approx(sum(terms) / max(1.0, float(totals[head])), rel=1e-12)


@pytest.mark.parametrize(
    ("kind", "delta", "std", "loss"),
    [
        ("mse", 0.5, NAN, 4.0),
        ("l1", 0.5, NAN, 2.0),
        ("huber", 0.5, NAN, 0.875),  # 0.5 (2 - 0.25)
        ("huber", 2.0, NAN, 2.0),  # 2^2 / 2
        ("huber", 4.0, NAN, 2.0),
        ("nll", 0.5, 0.5, math.log(0.5) + 8),  # half of (2 log 0.5 + 4 / 0.25)
        ("nll", 0.5, 0.01, math.log(0.05) + 800),  # no smaller deviation than 0.05
        ("nll", 0.5, NAN, 4.0),  # a head without a deviation: plain mse
    ],
)
def test_one_error_of_two_costs_what_is_worked_out_by_hand(
    kind: str, delta: float, std: float, loss: float
) -> None:
    config = LossConfig(kind=kind, huber_delta=delta)  # type: ignore[arg-type]
    for pred in (1.0, 5.0):
        one = torch.tensor([[pred]], dtype=torch.float64)
        found = regression(one, torch.tensor([[3.0]]), torch.tensor([1.0]), config, torch.tensor([[std]]))
        assert found.item() == pytest.approx(loss, rel=1e-6)


def test_nll_without_any_deviation_is_mse() -> None:
    pred, labels, _ = batch(9, 2)
    totals = label_counts(labels)
    nll, mse = (regression(pred, labels, totals, LossConfig(kind=k)) for k in ("nll", "mse"))  # type: ignore[arg-type]
    assert torch.equal(nll, mse)


def test_a_deviation_is_ignored_by_every_other_kind() -> None:
    pred, labels, _ = batch(9, 2)
    totals = label_counts(labels)
    for kind in ("mse", "l1", "huber"):
        config = LossConfig(kind=kind)  # type: ignore[arg-type]
        alone = regression(pred, labels, totals, config)
        assert torch.equal(regression(pred, labels, totals, config, torch.full_like(pred, 0.3)), alone)


def test_nll_prefers_the_true_deviation() -> None:
    torch.manual_seed(0)
    labels = torch.randn(5000, 1, dtype=torch.float64) * 0.3 + 3
    pred = torch.full_like(labels, 3.0)
    totals = label_counts(labels)
    costs = {
        std: regression(pred, labels, totals, LossConfig(kind="nll"), torch.full_like(pred, std)).item()
        for std in (0.1, 0.2, 0.3, 0.5, 1.0)
    }
    assert min(costs, key=costs.__getitem__) == 0.3


def test_a_new_loss_is_a_function_and_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """The steps of CONTRIBUTING, to the letter."""

    def quartic(error: Tensor, std: Tensor | None, config: LossConfig) -> Tensor:
        return error.square().square()

    monkeypatch.setitem(error_loss.LOSSES, "quartic", quartic)
    config = load_config("mini", overrides=["loss.kind=quartic"]).loss
    pred, labels = torch.tensor([[1.0], [3.0]]), torch.tensor([[3.0], [NAN]])
    assert regression(pred, labels, label_counts(labels), config).tolist() == [16.0]
