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
from sqa_model.network.config import Head, ModelConfig
from sqa_model.network.grades import spread_over
from sqa_model.network.model import Outputs
from sqa_model.training import loss
from sqa_model.training.clips import Clips
from sqa_model.training.config import LossConfig, OptimConfig
from sqa_model.training.listeners import Listeners, Votes
from sqa_model.training.optimizer import Terms
from sqa_model.training.pairs import CMOS, NO_PAIRS, Pairs
from sqa_model.training.ratings import NO_RATINGS, Ratings
from sqa_model.training.source import MicroBatch

LISTENERS = "listeners"  # what the loss of single ratings is called among the heads


@dataclass(frozen=True)
class Counts:
    """What the means of an update are taken over."""

    labels: Tensor  # (heads,) labels
    ranked: Tensor  # (heads,) pairs of labels to rank
    compared: Tensor  # (2,) compared pairs with a CMOS, and all of them
    votes: Tensor  # (heads,) single ratings

    def flat(self) -> Tensor:
        """All numbers, to be added up over processes."""
        return torch.cat([self.labels, self.ranked, self.compared, self.votes])

    def of(self, flat: Tensor) -> "Counts":
        """Those in `flat`, of as many heads."""
        heads = len(self.labels)
        return Counts(*flat.split([heads, heads, 2, heads]))


class Objective(nn.Module):
    """The labels of the training clips, and the loss of scores; what it learns itself is in no saved model."""

    def __init__(
        self,
        network: ModelConfig,
        clips: Clips,
        config: LossConfig,
        pairs: Pairs = NO_PAIRS,
        ratings: Ratings = NO_RATINGS,
    ) -> None:
        super().__init__()
        heads = network.heads
        self.heads, self.names, self.config, self.ratings = heads, network.names, config, ratings
        self.listeners = Listeners(ratings, len(heads), network.dim, config) if ratings.listeners else None
        # parts of the loss
        self.terms = self.names + (CMOS,) * bool(len(pairs)) + (LISTENERS,) * (self.listeners is not None)
        self.corpus_scale = _corpus_scale(heads, len(clips.corpora)) if config.corpus_scale else None
        for name, value in (
            ("weights", loss.head_weights(config, self.names)),  # (heads,)
            ("labels", torch.from_numpy(clips.labels)),  # (clips, heads)
            ("corpus", torch.from_numpy(clips.corpus)),  # (clips,)
            ("cmos", torch.from_numpy(pairs.cmos)),  # (pairs,)
            ("better", torch.from_numpy(pairs.better)),  # (pairs,)
            ("by_votes", _by_votes(clips, config)),  # (clips, heads): how much each label counts; None: 1
        ):
            self.register_buffer(name, value, persistent=False)
        self.weights: Tensor
        self.labels: Tensor
        self.corpus: Tensor
        self.cmos: Tensor
        self.better: Tensor
        self.by_votes: Tensor | None

    def learning(self, optim: OptimConfig) -> dict[str, Terms]:
        """How each of its own weights learns."""
        own = {
            "bias": Terms("listeners", self.config.listener_lr, 0.0),
            "embedding": Terms("listeners", self.config.listener_lr, 0.0),
            "directions": Terms("what listeners hear", optim.lr, optim.weight_decay),
        }
        scale = Terms("corpus scale", optim.lr, 0.0)
        return {name: own.get(name.removeprefix("listeners."), scale) for name, _ in self.named_parameters()}

    def count(self, batches: Sequence[MicroBatch]) -> Counts:
        """What these micro-batches have of each kind."""
        heads = torch.zeros(2, len(self.names), dtype=torch.float32, device=self.labels.device)
        compared, votes = heads.new_zeros(2), torch.zeros_like(heads[0])
        for batch in batches:
            labels = self.labels[batch.clips]
            heads[0] += loss.label_counts(labels)
            if self.config.rank:
                heads[1] += loss.pair_counts(labels, self.corpus[batch.clips], self.config.rank_margin)
            cmos = self.cmos[[pair.pair for pair in batch.pairs]]
            compared += torch.stack([cmos.isfinite().sum(), torch.tensor(len(cmos)).to(cmos.device)])
            if self.listeners is not None:
                here = Votes(self.ratings, batch.clips, votes.device)
                votes += here.per_head(torch.ones_like(here.value), len(votes))
        return Counts(heads[0], heads[1], compared, votes)

    def shares(self, totals: Counts) -> Tensor:
        """How much each term counts in the loss, (terms,): the heads by the weighted mean over those labelled.

        Compared pairs are `loss.comparison` of it, or all where no clip of the update has a label. What listeners
        add to the loss is such a mean over the heads already.
        """
        heads = self._of_heads(totals)
        of_listeners = heads.new_ones(int(self.listeners is not None))
        if CMOS not in self.terms:
            return torch.cat([heads, of_listeners])
        share = torch.where(heads.any(), self.config.comparison, 1.0) * (totals.compared[1:] > 0)  # (1,)
        return torch.cat([heads * (1 - share), share, of_listeners * (1 - share)])

    def losses(
        self, outputs: Outputs, batch: MicroBatch, totals: Counts, compared: Compared | None = None
    ) -> Tensor:
        """A micro-batch's part of each term, (terms,), of what is said of its clips and its pairs in both orders."""
        config, labels, corpus = self.config, self.labels[batch.clips], self.corpus[batch.clips]
        pred = outputs.scores.float()
        scaled = pred if self.corpus_scale is None else self.corpus_scale(pred, corpus)
        corrected, terms, said = labels, [], None
        if len(self.ratings):
            votes = Votes(self.ratings, batch.clips, labels.device)
            said = votes, votes.value
        if self.listeners is not None and said:
            added = self.listeners(votes, outputs.pooled)
            said = votes, votes.value - added.detach()
            corrected = labels - votes.per_label(added.detach(), *labels.shape)
            missed = self.listeners.losses(scaled, votes, added, totals.votes)
            terms = [(missed * self._of_heads(totals)).sum()[None]]
        std, weights = self._deviations(pred), None if self.by_votes is None else self.by_votes[batch.clips]
        per_head = loss.regression(scaled, corrected, totals.labels, config, std, weights)
        if outputs.grades:
            per_head = self._with_grades(per_head, outputs, corrected, said, totals, weights)
        if config.rank:
            ranking = loss.ranking(pred, labels, corpus, totals.ranked, config.rank_margin)
            per_head = per_head + config.rank * ranking
        if CMOS in self.terms:
            terms.insert(0, self._of_pairs(batch, totals, compared, per_head.new_zeros(1)))
        return torch.cat([per_head, *terms])

    def counted(self, totals: Counts) -> list[float]:
        """How many labels, pairs or votes each term is of, as `terms`."""
        more = {CMOS: totals.compared[1], LISTENERS: totals.votes.sum()}
        return [*totals.labels.tolist(), *(more[name].item() for name in self.terms[len(self.names) :])]

    def _of_pairs(
        self, batch: MicroBatch, totals: Counts, compared: Compared | None, nothing: Tensor
    ) -> Tensor:
        """A micro-batch's part of the loss of compared pairs, (1,)."""
        if compared is None:
            return nothing
        pairs = [pair.pair for pair in batch.pairs]
        cmos, classes = compared.cmos.unflatten(0, (2, -1)), compared.classes.unflatten(0, (2, -1))
        of_pairs = loss.comparison(cmos, classes, self.cmos[pairs], self.better[pairs], totals.compared)
        return of_pairs[None]

    def _of_heads(self, totals: Counts) -> Tensor:
        """How much each head counts among those labelled, (heads,)."""
        present = (totals.labels > 0) * self.weights
        return present / present.sum().clamp(min=1e-12)

    def _with_grades(
        self,
        per_head: Tensor,
        outputs: Outputs,
        labels: Tensor,
        said: tuple[Votes, Tensor] | None,
        totals: Counts,
        weights: Tensor | None,
    ) -> Tensor:
        """The losses of heads, (heads,), with those of distributions in their places.

        labels, said: labels (clips, heads), and votes with their values, without what listeners add.
        """
        parts = list(per_head.unbind())
        for name, log_probabilities in outputs.grades.items():
            column = self.names.index(name)
            low, high = self.heads[column].min, self.heads[column].max
            assert low is not None  # only a head with two ends has grades
            assert high is not None
            labelled = labels[:, column].isfinite()
            targets = spread_over(labels[:, column].nan_to_num(low), low, high)
            if said is not None:
                targets = said[0].fallen(said[1], column, targets, low, high)
            own = None if weights is None else weights[:, column]
            total = totals.labels[column]
            parts[column] = loss.of_grades(log_probabilities, targets, labelled, total, own)
        return torch.stack(parts)

    def _deviations(self, pred: Tensor) -> Tensor | None:
        """For each head the prediction of its uncertainty, NaN where it has none: (clips, heads)."""
        columns = {name: pred[:, i] for i, name in enumerate(self.names)}
        found = [columns.get(uncertainty_of(name)) for name in self.names]
        if all(column is None for column in found):
            return None
        nothing = torch.full_like(pred[:, 0], math.nan)
        return torch.stack([nothing if column is None else column for column in found], 1)


def _by_votes(clips: Clips, config: LossConfig) -> Tensor | None:
    if not config.votes:
        return None
    return torch.from_numpy(loss.vote_weights(clips.votes, clips.labels, clips.corpus, config.votes))


def _corpus_scale(heads: Sequence[Head], corpora: int) -> loss.CorpusScale:
    ends = [(0.0 if h.min is None else h.min, 0.0 if h.max is None else h.max) for h in heads]
    centre = torch.tensor([(low + high) / 2 for low, high in ends], dtype=torch.float32)
    return loss.CorpusScale(corpora, len(heads), centre)
