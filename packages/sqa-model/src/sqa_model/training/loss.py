"""The training losses: masked per-head regression, pairwise ranking and corpus scales, each with its source.

Every loss here is a *part of a whole*: `pred` and `labels` are one micro-batch, `totals` are the label
counts of the entire update (all its micro-batches on all processes). The sum of the parts is then the loss
of the one big batch, so gradient accumulation and several processes change nothing. A missing label is NaN.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sqa_model.network.comparison import TIE
from sqa_model.training.config import LossConfig
from sqa_model.training.error_loss import LOSSES


def head_weights(config: LossConfig, heads: tuple[str, ...]) -> Tensor:
    """Weight of each head, (heads,).

    >>> head_weights(LossConfig(weights={"mos": 2.0}), ("mos", "pesq")).tolist()
    [2.0, 1.0]
    """
    return torch.tensor([config.weights.get(name, 1.0) for name in heads])


def vote_weights(votes: np.ndarray, labels: np.ndarray, corpus: np.ndarray, half: float) -> np.ndarray:
    """How much each label counts by the votes that made it: n / (n + half), scaled; (clips, heads) float32.

    The mean of n votes misses what a model could know by a variance of t + s / n, where s is that of a vote and t what
    the clip has beyond the model; so its precision is in proportion to n / (n + s / t). The mean over the labels of a
    corpus and head is 1, so no corpus gains by it; where votes are not known a label counts 1.

    >>> votes, labels = np.array([[1.0], [7.0], [np.nan]]), np.array([[3.0], [3.0], [2.0]])
    >>> vote_weights(votes, labels, np.array([0, 0, 0]), 3.0).astype(float).round(3).tolist()
    [[0.526], [1.474], [1.0]]
    """
    weights = votes / (votes + half)
    weights[np.isnan(labels)] = np.nan
    for number in np.unique(corpus):
        of_corpus = weights[corpus == number]
        known = np.isfinite(of_corpus)
        mean = np.where(known, of_corpus, 0).sum(0) / np.maximum(known.sum(0), 1)
        weights[corpus == number] = of_corpus / np.where(mean > 0, mean, 1)
    filled: np.ndarray = np.where(np.isfinite(weights), weights, 1.0).astype(np.float32)
    return filled


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
    pred: Tensor,
    labels: Tensor,
    totals: Tensor,
    config: LossConfig,
    std: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """This micro-batch's part of the mean loss per head, (heads,); 0 where a head has no label here.

    pred, labels: (batch, heads). totals: labels in the whole update, (heads,). std: the predicted standard
    deviation of each prediction's error, (batch, heads), NaN on heads that have none; only "nll" uses it.
    weights: how much each label counts, (batch, heads), 1 on average; None: 1.

    >>> nan = float("nan")
    >>> pred, labels = torch.tensor([[3.0, 1.0], [1.0, 2.0]]), torch.tensor([[2.0, nan], [4.0, nan]])
    >>> regression(pred, labels, label_counts(labels), LossConfig()).tolist()
    [5.0, 0.0]
    """
    labelled = labels.isfinite()
    target = torch.where(labelled, labels, pred.detach())  # a missing label costs 0 and stays in the graph
    loss = LOSSES[config.kind](pred - target, std, config)
    loss = loss if weights is None else loss * weights
    return torch.where(labelled, loss, torch.zeros_like(loss)).sum(0) / totals.clamp(min=1)


def of_grades(
    log_probabilities: Tensor, targets: Tensor, labelled: Tensor, total: Tensor, weights: Tensor | None = None
) -> Tensor:
    """This micro-batch's part of the mean cross-entropy of a head that predicts a distribution; a scalar.

    log_probabilities, targets: (batch, grades), what is said and how votes fell. labelled: (batch,), which clips have
    a label. total: labels of the head in the whole update. weights: as of `regression`, of this head.
    """
    cost = -(targets * log_probabilities).sum(1)
    cost = cost if weights is None else cost * weights
    return torch.where(labelled, cost, torch.zeros_like(cost)).sum() / total.clamp(min=1)


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


def comparison(cmos: Tensor, logits: Tensor, target: Tensor, better: Tensor, totals: Tensor) -> Tensor:
    """This micro-batch's part of the loss of compared pairs: half of how far cmos is off, half of who is better.

    Half the mean squared error of CMOS over the pairs that have one, half the cross-entropy of the classes a, b and
    tie over all: the loss of UrgentMOS. Each pair is there in both orders, so that neither place is preferred.

    cmos: (2, pairs), of a against b and of b against a. logits: (2, pairs, 3). target: (pairs,) CMOS, NaN where there
    is none. better: (pairs,) class. totals: pairs with a CMOS and all pairs of the whole update, (2,).

    >>> sure = torch.tensor([[[9.0, 0.0, 0.0]], [[0.0, 9.0, 0.0]]])
    >>> found = comparison(torch.tensor([[1.0], [-3.0]]), sure, torch.tensor([1.0]), torch.tensor([0]), torch.ones(2))
    >>> round(found.item(), 3)  # (0 + 4) / 2 squared, and next to nothing for classes
    1.0
    """
    known = target.isfinite()
    wanted = torch.where(known, torch.stack([target, -target]), cmos.detach())
    off = (cmos - wanted).square().mean(0).sum() / totals[0].clamp(min=1)
    turned = torch.where(better == TIE, better, 1 - better)  # a and b change places
    classes = torch.stack([better, turned])
    wrong = F.cross_entropy(logits.flatten(0, 1), classes.flatten(), reduction="sum") / 2
    return (off + wrong / totals[1].clamp(min=1)) / 2


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
