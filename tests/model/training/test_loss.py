"""The losses against plain loops, and their promise: the parts of an update add up to the big batch."""

import itertools
import math

import pytest
import torch
from sqa_model.errors import ModelError
from sqa_model.training.loss import (
    CorpusScale,
    LossConfig,
    head_weights,
    label_counts,
    pair_counts,
    ranking,
    regression,
)
from torch import Tensor

NAN = math.nan


def batch(clips: int, heads: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Predictions, labels with a third missing, corpus numbers."""
    generator = torch.Generator().manual_seed(seed)
    pred = 1 + 4 * torch.rand(clips, heads, generator=generator, dtype=torch.float64)
    labels = 1 + 4 * torch.rand(clips, heads, generator=generator, dtype=torch.float64)
    labels[torch.rand(clips, heads, generator=generator) < 0.3] = NAN
    return pred.requires_grad_(), labels, torch.randint(0, 2, (clips,), generator=generator)


def reference_mse(pred: Tensor, labels: Tensor) -> float:
    """The reference's loss as its paper words it: per labelled metric the MSE, then the mean of these."""
    per_head = []
    for k in range(pred.shape[1]):
        errors = [
            (float(p) - float(y)) ** 2
            for p, y in zip(pred[:, k], labels[:, k], strict=True)
            if not math.isnan(y)
        ]
        if errors:
            per_head.append(sum(errors) / len(errors))
    return sum(per_head) / len(per_head)


def test_masked_mse_is_the_reference_loss() -> None:
    pred, labels, _ = batch(17, 5)
    labels[:, 3] = NAN  # a head without any label is left out of the mean
    totals = label_counts(labels)
    parts = regression(pred, labels, totals, LossConfig())
    loss = parts.sum() / (totals > 0).sum()
    assert loss.item() == pytest.approx(reference_mse(pred.detach(), labels), rel=1e-12)


@pytest.mark.parametrize("kind", ["mse", "l1", "huber", "nll"])
@pytest.mark.parametrize("cuts", [[], [5], [1, 2, 11]])
def test_parts_add_up_to_the_big_batch(kind: str, cuts: list[int]) -> None:
    config = LossConfig(kind=kind)  # type: ignore[arg-type]
    pred, labels, _ = batch(17, 3, seed=1)
    std = torch.full_like(pred, NAN).detach()
    std[:, 0] = 0.4
    totals = label_counts(labels)
    whole = regression(pred, labels, totals, config, std)
    bounds = [0, *cuts, 17]
    parts = sum(
        regression(pred[a:b], labels[a:b], totals, config, std[a:b]) for a, b in itertools.pairwise(bounds)
    )
    assert torch.allclose(whole, parts, rtol=1e-12)


def test_no_labels_is_a_zero_in_the_graph() -> None:
    pred, labels, corpus = batch(4, 2)
    labels[:] = NAN
    loss = regression(pred, labels, label_counts(labels), LossConfig()).sum()
    loss = loss + ranking(pred, labels, corpus, pair_counts(labels, corpus, 0.1), 0.1).sum()
    loss.backward()
    assert loss.item() == 0
    assert pred.grad is not None
    assert (pred.grad == 0).all()


def test_a_missing_label_has_no_gradient_even_where_others_do() -> None:
    pred, labels, _ = batch(6, 2, seed=3)
    regression(pred, labels, label_counts(labels), LossConfig(kind="huber")).sum().backward()
    assert pred.grad is not None
    assert pred.grad.isfinite().all()
    assert ((pred.grad == 0) == labels.isnan()).all()


def test_ranking_equals_a_loop_over_pairs() -> None:
    pred, labels, corpus = batch(9, 2, seed=2)
    totals = pair_counts(labels, corpus, 0.25)
    found = ranking(pred, labels, corpus, totals, 0.25)
    pred = pred.detach()
    for k in range(2):
        terms = [
            math.log(1 + math.exp(-(float(pred[i, k]) - float(pred[j, k]))))
            for i in range(9)
            for j in range(9)
            if corpus[i] == corpus[j] and float(labels[i, k]) - float(labels[j, k]) > 0.25
        ]
        assert totals[k] == len(terms)
        assert found[k].item() == pytest.approx(sum(terms) / len(terms))


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


def test_corpus_scale_recovers_a_known_bias() -> None:
    torch.manual_seed(0)
    truth = 1 + 4 * torch.rand(400, 1)
    corpus = torch.arange(400) % 2
    labels = torch.where(corpus[:, None] == 0, truth + 0.3, truth - 0.3)
    scale = CorpusScale(2, 1, torch.tensor([3.0]))
    optimizer = torch.optim.Adam(scale.parameters(), lr=0.1)
    for _ in range(60):
        optimizer.zero_grad()
        (scale(truth, corpus) - labels).square().mean().backward()
        optimizer.step()
    assert torch.allclose(scale(truth, corpus), labels, atol=0.02)
    assert (scale.offset - scale.offset.mean(0)).flatten().tolist() == pytest.approx([0.3, -0.3], abs=0.02)


def test_an_untrained_corpus_scale_changes_nothing() -> None:
    pred, _, corpus = batch(5, 3)
    scale = CorpusScale(2, 3, torch.full((3,), 3.0)).double()
    assert torch.allclose(scale(pred, corpus), pred)


def test_a_weight_for_an_unknown_head_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"loss.weights.*'pesk'.*mos, pesq"):
        head_weights(LossConfig(weights={"pesk": 1.0}), ("mos", "pesq"))
