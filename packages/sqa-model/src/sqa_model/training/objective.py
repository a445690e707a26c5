"""What an update minimises: the labels of its clips, and how far the model's scores are from them.

Every loss here is a part of a whole, see `loss`: it is computed of one micro-batch, and of what the update counts.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from sqa_data.labels import uncertainty_of
from torch import Tensor, nn

from sqa_model.network.config import Head
from sqa_model.training import loss
from sqa_model.training.clips import Clips
from sqa_model.training.config import LossConfig


@dataclass(frozen=True)
class Counts:
    """What the means of an update are taken over."""

    numbers: Tensor  # (2, heads)

    @property
    def labels(self) -> Tensor:
        """(heads,) labels."""
        return self.numbers[0]

    @property
    def ranked(self) -> Tensor:
        """(heads,) pairs of labels to rank."""
        return self.numbers[1]


class Objective(nn.Module):
    """The labels of the training clips, and the loss of scores; what it learns itself is in no saved model."""

    def __init__(self, heads: Sequence[Head], clips: Clips, config: LossConfig) -> None:
        super().__init__()
        self.names, self.config = tuple(head.name for head in heads), config
        self.corpus_scale = _corpus_scale(heads, len(clips.corpora)) if config.corpus_scale else None
        weights = loss.head_weights(config, self.names)
        for name, value in (
            ("weights", weights),  # (heads,)
            ("labels", torch.from_numpy(clips.labels)),  # (clips, heads)
            ("corpus", torch.from_numpy(clips.corpus)),  # (clips,)
        ):
            self.register_buffer(name, value, persistent=False)
        self.weights: Tensor
        self.labels: Tensor
        self.corpus: Tensor

    def count(self, batches: Sequence[Sequence[int]]) -> Counts:
        """What the clips of these micro-batches have of each kind."""
        counts = torch.zeros(2, len(self.names), dtype=torch.float32, device=self.labels.device)
        for clips in batches:
            labels = self.labels[clips]
            counts[0] += loss.label_counts(labels)
            if self.config.rank:
                counts[1] += loss.pair_counts(labels, self.corpus[clips], self.config.rank_margin)
        return Counts(counts)

    def shares(self, totals: Counts) -> Tensor:
        """How much each head counts in the loss, (heads,): the weighted mean over those labelled in the update."""
        present = (totals.labels > 0) * self.weights
        return present / present.sum().clamp(min=1e-12)

    def losses(self, pred: Tensor, clips: Sequence[int], totals: Counts) -> Tensor:
        """A micro-batch's part of each head's loss, (heads,), of its scores (clips, heads)."""
        config, labels, corpus = self.config, self.labels[clips], self.corpus[clips]
        scaled = pred if self.corpus_scale is None else self.corpus_scale(pred, corpus)
        per_head = loss.regression(scaled, labels, totals.labels, config, std=self._deviations(pred))
        if config.rank:
            ranking = loss.ranking(pred, labels, corpus, totals.ranked, config.rank_margin)
            per_head = per_head + config.rank * ranking
        return per_head

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
