"""The training losses: masked per-head regression, pairwise ranking and corpus scales, each with its source.

Every loss here is a *part of a whole*: `pred` and `labels` are one micro-batch, `totals` are the label
counts of the entire update (all its micro-batches on all processes). The sum of the parts is then the loss
of the one big batch, so gradient accumulation and several processes change nothing. A missing label is NaN.
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sqa_model.errors import ModelError

SMALLEST_STD = 0.05  # label units; keeps a perfectly fitted sample from an endless reward


@dataclass(frozen=True)
class LossConfig:
    """What is minimised.

    kind: per-head regression loss. "mse" is the reference's; "nll" also trains the head's predicted
        deviation, the head called `<name>_std`, where there is one (and is "mse" on the others).
    huber_delta: where "huber" turns from squared to linear, in label units.
    weights: weight per head (default 1); the loss is the weighted mean over the heads labelled in the update.
    rank: weight of the pairwise ranking term added to each head's loss; 0 leaves it out.
    rank_margin: pairs whose labels differ by no more than this are not ranked, in label units.
    corpus_scale: learn an offset and a scale per corpus between prediction and label, used in training only.
    """

    kind: Literal["mse", "l1", "huber", "nll"] = "mse"
    huber_delta: float = 0.5
    weights: dict[str, float] = field(default_factory=dict)
    rank: float = 0.0
    rank_margin: float = 0.1
    corpus_scale: bool = False

    def __post_init__(self) -> None:
        if self.huber_delta <= 0:
            raise ModelError(f"loss.huber_delta: found {self.huber_delta}, expected a number above 0")
        if self.rank < 0:
            raise ModelError(f"loss.rank: found {self.rank}, expected 0 (off) or more")
        if self.rank_margin < 0:
            raise ModelError(f"loss.rank_margin: found {self.rank_margin}, expected 0 or more")
        for name, weight in self.weights.items():
            if weight < 0:
                raise ModelError(f"loss.weights.{name}: found {weight}, expected 0 or more")


def head_weights(config: LossConfig, heads: tuple[str, ...]) -> Tensor:
    """Weight of each head, (heads,).

    >>> head_weights(LossConfig(weights={"mos": 2.0}), ("mos", "pesq")).tolist()
    [2.0, 1.0]
    """
    unknown = sorted(set(config.weights) - set(heads))
    if unknown:
        raise ModelError(f"loss.weights: the model has no head {unknown[0]!r}; its heads: {', '.join(heads)}")
    return torch.tensor([config.weights.get(name, 1.0) for name in heads])


def label_counts(labels: Tensor) -> Tensor:
    """Number of samples that have a label, per head: (batch, heads) -> (heads,).

    >>> label_counts(torch.tensor([[1.0, float("nan")], [2.0, 3.0]])).tolist()
    [2.0, 1.0]
    """
    return labels.isfinite().sum(0).float()


def pair_counts(labels: Tensor, corpus: Tensor, margin: float) -> Tensor:
    """Number of ordered pairs that `ranking` compares, per head: (batch, heads), (batch,) -> (heads,)."""
    return _pairs(labels, corpus, margin).sum((0, 1)).float()


def regression(
    pred: Tensor, labels: Tensor, totals: Tensor, config: LossConfig, std: Tensor | None = None
) -> Tensor:
    """This micro-batch's part of the mean loss per head, (heads,); 0 where a head has no label here.

    pred, labels: (batch, heads). totals: labels in the whole update, (heads,). std: the predicted standard
    deviation of each prediction's error, (batch, heads), NaN on heads that have none; only "nll" uses it.

    "mse" is the reference's masked multi-metric loss (Uni-VERSA); "huber" after Huber, "Robust estimation of
    a location parameter", 1964; "nll" is the Gaussian negative log-likelihood of Nix and Weigend,
    "Estimating the mean and variance of the target probability distribution", 1994, without its constant.

    >>> nan = float("nan")
    >>> pred, labels = torch.tensor([[3.0, 1.0], [1.0, 2.0]]), torch.tensor([[2.0, nan], [4.0, nan]])
    >>> regression(pred, labels, label_counts(labels), LossConfig()).tolist()
    [5.0, 0.0]
    """
    labelled = labels.isfinite()
    target = torch.where(labelled, labels, pred.detach())  # a missing label costs 0 and stays in the graph
    if config.kind == "l1":
        loss = (pred - target).abs()
    elif config.kind == "huber":
        loss = F.huber_loss(pred, target, reduction="none", delta=config.huber_delta)
    else:
        loss = (pred - target).square()
    if config.kind == "nll" and std is not None:
        known = std.isfinite()
        log_variance = 2 * torch.where(known, std, torch.ones_like(std)).clamp_min(SMALLEST_STD).log()
        likelihood = 0.5 * (log_variance + loss * torch.exp(-log_variance))
        loss = torch.where(known, likelihood, loss)
    return torch.where(labelled, loss, torch.zeros_like(loss)).sum(0) / totals.clamp(min=1)


def ranking(pred: Tensor, labels: Tensor, corpus: Tensor, totals: Tensor, margin: float) -> Tensor:
    """This micro-batch's part of the mean pairwise ranking loss per head, (heads,).

    The logistic loss log(1 + exp(-(pred_i - pred_j))) over the pairs of one corpus (corpora use the scale
    differently) whose label i exceeds label j by more than `margin`: RankNet, Burges et al., "Learning to
    rank using gradient descent", 2005. Pairs are formed inside a micro-batch; `totals` counts those of the
    whole update, (heads,).

    >>> labels, corpus = torch.tensor([[1.0], [3.0], [2.0]]), torch.tensor([0, 0, 1])
    >>> totals = pair_counts(labels, corpus, margin=0.1)
    >>> totals.tolist(), round(ranking(labels, labels, corpus, totals, 0.1).item(), 4)
    ([1.0], 0.1269)
    """
    above = _pairs(labels, corpus, margin)  # (batch, batch, heads)
    loss = F.softplus(pred[None] - pred[:, None])
    return (loss * above).sum((0, 1)) / totals.clamp(min=1)


def _pairs(labels: Tensor, corpus: Tensor, margin: float) -> Tensor:
    """(i, j, head) is True where label i is to be ranked above label j; NaN compares false."""
    same = (corpus[:, None] == corpus[None])[..., None]
    return (labels[:, None] - labels[None] > margin) & same  # (batch, batch, heads)


class CorpusScale(nn.Module):
    """An offset and a scale per corpus and head between the model's prediction and that corpus's labels.

    Listeners of different tests use the 1..5 scale differently, so one prediction cannot fit them all: the
    bias of each corpus is learned beside the model and dropped afterwards (after Mittag et al., "Bias-aware
    loss for training image and speech quality prediction models from multiple datasets", 2021). The
    geometric mean of the scales is held at 1 and the mean of the offsets at 0, so the model itself stays on
    the average corpus's scale.
    """

    def __init__(self, corpora: int, heads: int, centre: Tensor) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.zeros(corpora, heads))
        self.offset = nn.Parameter(torch.zeros(corpora, heads))
        self.register_buffer(
            "centre", centre.clone()
        )  # (heads,): where a scale turns, mid-range of each head
        self.centre: Tensor

    def forward(self, pred: Tensor, corpus: Tensor) -> Tensor:
        """pred (batch, heads), corpus (batch,) -> what that corpus's listeners would say, (batch, heads)."""
        scale = torch.exp(self.log_scale - self.log_scale.mean(0))
        offset = self.offset - self.offset.mean(0)
        return self.centre + scale[corpus] * (pred - self.centre) + offset[corpus]
