"""The losses against plain loops, and their promise: the parts of an update add up to the big batch."""

import itertools
import math

import numpy as np
import pytest
import torch
from sqa_model.network.comparison import TIE, A, B
from sqa_model.training.config import LossConfig
from sqa_model.training.loss import (
    CorpusScale,
    comparison,
    head_weights,
    label_counts,
    pair_counts,
    ranking,
    regression,
    vote_weights,
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


def test_pairs_are_those_of_one_corpus_that_differ_by_more_than_the_margin() -> None:
    labels = torch.tensor([[1.0], [1.5], [2.0], [NAN], [5.0]])
    corpus = torch.tensor([0, 0, 0, 0, 1])
    assert pair_counts(labels, corpus, 0.5).tolist() == [1.0]  # only 2 over 1: 0.5 is not more than 0.5
    assert pair_counts(labels, corpus, 0.25).tolist() == [3.0]
    assert pair_counts(labels, torch.zeros(5, dtype=torch.int64), 0.5).tolist() == [4.0]
    assert pair_counts(labels[:1], corpus[:1], 0.0).tolist() == [0.0]


def test_ranking_by_hand_and_its_direction() -> None:
    labels, corpus = torch.tensor([[1.0], [3.0]]), torch.zeros(2, dtype=torch.int64)
    pred = torch.tensor([[2.0], [2.5]], requires_grad=True)
    found = ranking(pred, labels, corpus, torch.tensor([2.0]), 0.1)
    assert found.item() == pytest.approx(math.log1p(math.exp(-0.5)) / 2)  # one pair here of two in the update
    found.sum().backward()
    assert pred.grad is not None
    assert pred.grad[0] > 0 > pred.grad[1]  # the worse clip is pushed down, the better one up


def test_corpus_scale_equals_its_formula() -> None:
    rng = np.random.default_rng(0)
    log_scale, offset = rng.normal(size=(2, 3, 2))  # each (corpora, heads)
    centre = np.array([3.0, 0.5])
    pred = rng.uniform(1, 5, (7, 2))
    corpus = np.array([0, 1, 2, 1, 0, 2, 2])
    scale = CorpusScale(3, 2, torch.from_numpy(centre)).double()
    with torch.no_grad():
        scale.log_scale.copy_(torch.from_numpy(log_scale))
        scale.offset.copy_(torch.from_numpy(offset))
    factor = np.exp(log_scale) / np.exp(log_scale).prod(0) ** (1 / 3)  # geometric mean 1 over the corpora
    shift = offset - offset.sum(0) / 3  # mean 0
    expected = [
        [centre[k] + factor[c, k] * (p[k] - centre[k]) + shift[c, k] for k in range(2)]
        for p, c in zip(pred, corpus, strict=True)
    ]
    found = scale(torch.from_numpy(pred), torch.from_numpy(corpus))
    assert found.detach().numpy() == pytest.approx(np.array(expected), rel=1e-12)


def test_corpus_scale_turns_about_the_centre_and_its_average_corpus_is_the_model() -> None:
    scale = CorpusScale(2, 1, torch.tensor([3.0]))
    with torch.no_grad():
        scale.log_scale.copy_(torch.tensor([[math.log(8.0)], [math.log(2.0)]]))  # held to 2 and 1/2
        scale.offset.copy_(torch.tensor([[5.0], [4.0]]))  # held to +0.5 and -0.5
    both = torch.tensor([0, 1])
    assert scale(torch.full((2, 1), 3.0), both).flatten().tolist() == pytest.approx([3.5, 2.5])
    assert scale(torch.full((2, 1), 4.0), both).flatten().tolist() == pytest.approx([5.5, 3.0])


def test_weights_are_by_head_and_one_elsewhere() -> None:
    assert head_weights(LossConfig(weights={"pesq": 0.0}), ("mos", "pesq", "sdr")).tolist() == [1, 0, 1]


def test_a_label_counts_by_its_precision() -> None:
    """Against what it is for: of labels of unequal precision the weighted mean errs least."""
    rng = np.random.default_rng(0)
    votes = rng.integers(1, 30, 400)[:, None].astype(float)
    beyond, vote = 0.3, 0.9  # deviations: of what a clip has beyond the model, and of one vote
    labels = rng.normal(0, np.sqrt(beyond**2 + vote**2 / votes), (400, 2_000))
    weights = vote_weights(votes, labels[:, :1], np.zeros(400, int), (vote / beyond) ** 2)
    assert weights.mean() == pytest.approx(1)
    best = 1 / (1 / (beyond**2 + vote**2 / votes)).sum()
    assert (weights * labels).mean(0).var() == pytest.approx(best, rel=0.1)
    assert labels.mean(0).var() > 1.15 * best


def test_no_corpus_gains_by_votes_and_what_is_not_known_counts_once() -> None:
    votes = np.array([[2.0, 9.0], [8.0, NAN], [NAN, NAN], [100.0, NAN], [300.0, NAN], [5.0, 5.0]])
    labels = np.full((6, 2), 3.0)
    labels[5] = NAN
    weights = vote_weights(votes, labels, np.array([0, 0, 0, 1, 1, 0]), 4.0)
    # 2 / 6 and 8 / 12
    assert weights[:3, 0] == pytest.approx([2 / 3, 4 / 3, 1])
    assert weights[3:5, 0] == pytest.approx([1, 1], abs=0.02)
    assert (weights[:5, 1] == 1).all()


def test_weights_weigh() -> None:
    pred, labels, _ = batch(6, 2, seed=4)
    weights = torch.rand(6, 2, dtype=torch.float64)
    found = regression(pred, labels, label_counts(labels), LossConfig(), weights=weights)
    errors = np.nansum((weights * (pred - labels).square()).detach().numpy(), 0)
    assert found.detach().numpy() == pytest.approx(errors / label_counts(labels).numpy())


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


def test_pairs_cost_by_cmos_and_class_in_both_orders_and_parts_add_up() -> None:
    """One without a CMOS costs by its class alone."""
    generator = torch.Generator().manual_seed(0)
    cmos = torch.randn(2, 5, generator=generator, dtype=torch.float64).requires_grad_()
    logits = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    target, better = torch.tensor([1.0, NAN, -2.0, NAN, 0.5]).double(), torch.tensor([A, B, B, TIE, TIE])
    off, wrong = [], []
    for i, turned in enumerate((B, A, A, TIE, TIE)):
        for order, (sign, right) in enumerate(((1, int(better[i])), (-1, turned))):
            wrong.append(-logits[order, i].log_softmax(0)[right].item())
            if target[i].isfinite():
                off.append((cmos[order, i].item() - sign * target[i].item()) ** 2)
    parts = [slice(0, 5), slice(0, 2), slice(2, 5)]
    totals = torch.tensor([3.0, 5.0])
    whole, first, rest = (comparison(cmos[:, p], logits[:, p], target[p], better[p], totals) for p in parts)
    assert whole.item() == pytest.approx((np.mean(off) + np.mean(wrong)) / 2)
    assert (first + rest).item() == pytest.approx(whole.item())
    whole.backward()
    assert cmos.grad is not None
    assert (cmos.grad != 0).all(0).tolist() == target.isfinite().tolist()
