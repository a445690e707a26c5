"""What an update minimises: the labels of its clips, and how far the model's scores are from them.

Every loss here is a part of a whole, see `loss`: it is computed of one micro-batch, and of what the update counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sqa_data.labels import uncertainty_of
from torch import Tensor, nn

from sqa_model.network.comparison import Compared
from sqa_model.network.config import Head
from sqa_model.training import loss
from sqa_model.training.clips import Clips
from sqa_model.training.config import LossConfig
from sqa_model.training.pairs import CMOS, NO_PAIRS, Pairs
from sqa_model.training.source import MicroBatch


@dataclass(frozen=True)
class Counts:
    """What the means of an update are taken over."""

    labels: Tensor  # (heads,) labels
    ranked: Tensor  # (heads,) pairs of labels to rank
    compared: Tensor  # (2,) compared pairs with a CMOS, and all of them

    def flat(self) -> Tensor:
        """All numbers, to be added up over processes."""
        return torch.cat([self.labels, self.ranked, self.compared])

    def of(self, flat: Tensor) -> "Counts":
        """Those in `flat`, of as many heads."""
        return Counts(*flat.split([len(self.labels), len(self.ranked), 2]))


class Objective(nn.Module):
    """The labels of the training clips, and the loss of scores; what it learns itself is in no saved model."""

    def __init__(
        self, heads: Sequence[Head], clips: Clips, config: LossConfig, pairs: Pairs = NO_PAIRS
    ) -> None:
        super().__init__()
        self.names, self.config = tuple(head.name for head in heads), config
        self.terms = (*self.names, CMOS) if len(pairs) else self.names  # parts of the loss
        self.corpus_scale = _corpus_scale(heads, len(clips.corpora)) if config.corpus_scale else None
        for name, value in (
            ("weights", loss.head_weights(config, self.names)),  # (heads,)
            ("labels", torch.from_numpy(clips.labels)),  # (clips, heads)
            ("corpus", torch.from_numpy(clips.corpus)),  # (clips,)
            ("cmos", torch.from_numpy(pairs.cmos)),  # (pairs,)
            ("better", torch.from_numpy(pairs.better)),  # (pairs,)
        ):
            self.register_buffer(name, value, persistent=False)
        self.weights: Tensor
        self.labels: Tensor
        self.corpus: Tensor
        self.cmos: Tensor
        self.better: Tensor

    def count(self, batches: Sequence[MicroBatch]) -> Counts:
        """What these micro-batches have of each kind."""
        heads = torch.zeros(2, len(self.names), dtype=torch.float32, device=self.labels.device)
        compared = heads.new_zeros(2)
        for batch in batches:
            labels = self.labels[batch.clips]
            heads[0] += loss.label_counts(labels)
            if self.config.rank:
                heads[1] += loss.pair_counts(labels, self.corpus[batch.clips], self.config.rank_margin)
            cmos = self.cmos[[pair.pair for pair in batch.pairs]]
            compared += torch.stack([cmos.isfinite().sum(), torch.tensor(len(cmos)).to(cmos.device)])
        return Counts(heads[0], heads[1], compared)

    def shares(self, totals: Counts) -> Tensor:
        """How much each term counts in the loss, (terms,): the heads by the weighted mean over those labelled.

        Compared pairs are `loss.comparison` of it, or all where no clip of the update has a label.
        """
        present = (totals.labels > 0) * self.weights
        total = present.sum()
        heads = present / total.clamp(min=1e-12)
        if len(self.terms) == len(heads):
            return heads
        share = torch.where(total > 0, self.config.comparison, 1.0) * (totals.compared[1:] > 0)  # (1,)
        return torch.cat([heads * (1 - share), share])

    def losses(
        self, pred: Tensor, batch: MicroBatch, totals: Counts, compared: Compared | None = None
    ) -> Tensor:
        """A micro-batch's part of each term, (terms,), of its scores (clips, heads) and its pairs in both orders."""
        config, labels, corpus = self.config, self.labels[batch.clips], self.corpus[batch.clips]
        scaled = pred if self.corpus_scale is None else self.corpus_scale(pred, corpus)
        per_head = loss.regression(scaled, labels, totals.labels, config, std=self._deviations(pred))
        if config.rank:
            ranking = loss.ranking(pred, labels, corpus, totals.ranked, config.rank_margin)
            per_head = per_head + config.rank * ranking
        if len(self.terms) == len(per_head):
            return per_head
        if compared is None:
            return torch.cat([per_head, per_head.new_zeros(1)])
        pairs = [pair.pair for pair in batch.pairs]
        cmos, classes = compared.cmos.unflatten(0, (2, -1)), compared.classes.unflatten(0, (2, -1))
        of_pairs = loss.comparison(cmos, classes, self.cmos[pairs], self.better[pairs], totals.compared)
        return torch.cat([per_head, of_pairs[None]])

    def _deviations(self, pred: Tensor) -> Tensor | None:
        """For each head the prediction of its uncertainty, NaN where it has none: (clips, heads)."""
        columns = {name: pred[:, i] for i, name in enumerate(self.names)}
        found = [columns.get(uncertainty_of(name)) for name in self.names]
        if all(column is None for column in found):
            return None
        nothing = torch.full_like(pred[:, 0], math.nan)
        return torch.stack([nothing if column is None else column for column in found], 1)


def _corpus_scale(heads: Sequence[Head], corpora: int) -> loss.CorpusScale:
    ends = [(0.0 if h.min is None else h.min, 0.0 if h.max is None else h.max) for h in heads]
    centre = torch.tensor([(low + high) / 2 for low, high in ends], dtype=torch.float32)
    return loss.CorpusScale(corpora, len(heads), centre)
