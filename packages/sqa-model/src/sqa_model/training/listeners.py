"""What each listener adds to what the mean listener would say: learned from single ratings, used in training only.

A vote is the clip's quality, what its listener adds, and a rest. The model is the mean listener: what listeners add is
0 on average over the votes of each corpus, so a saved model needs no listener and is like any other.

`bias` is one number a listener and head (the observer bias of ITU-T P.913, clause 12.4). It is fitted by least squares
to the votes less the model's scores as they are, and what the listeners of a clip add is taken off its label. So the
model learns labels without biases, by whatever loss.

`embedding` adds what a listener says of this clip beyond that: the listener's vector times a map of what the model
pooled of the clip. Here the votes teach the model, too, beside the labels: a mean listener and single ones, as in MBNet
(Leng et al., "MBNet: MOS prediction for synthesized speech with mean-bias network", 2021), LDNet (Huang et al., "LDNet:
unified listener dependent modeling in MOS prediction for synthetic speech", 2022) and UTMOS (Saeki et al., "UTMOS:
UTokyo-SaruLab system for VoiceMOS Challenge 2022"), whose listeners enter before the last layers.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sqa_model.network.grades import spread_over
from sqa_model.training.config import LossConfig
from sqa_model.training.ratings import Ratings

SIZE = 8  # numbers in a listener's embedding


class Votes:
    """The votes of the clips of a micro-batch."""

    def __init__(self, ratings: Ratings, clips: Sequence[int], device: torch.device) -> None:
        rows, places = ratings.of(clips)
        columns = (places, ratings.head[rows], ratings.listener[rows])
        self.place, self.head, self.listener = (torch.from_numpy(c).to(device) for c in columns)  # (votes,)
        self.value = torch.from_numpy(ratings.value[rows]).to(device)  # (votes,)

    def per_head(self, values: Tensor, heads: int) -> Tensor:
        """Sums of (votes,) over each head, (heads,)."""
        return values.new_zeros(heads).index_add(0, self.head, values)

    def per_label(self, values: Tensor, clips: int, heads: int) -> Tensor:
        """Means of (votes,) over those of each clip and head, (clips, heads); 0 where there are none."""
        label = self.place * heads + self.head
        sums, counts = (
            values.new_zeros(clips * heads).index_add(0, label, some)
            for some in (values, torch.ones_like(values))
        )
        return (sums / counts.clamp(min=1)).view(clips, heads)

    def fallen(self, values: Tensor, head: int, otherwise: Tensor, low: float, high: float) -> Tensor:
        """How votes of these values fell over the grades of a head, (clips, grades); without votes `otherwise`."""
        here = self.head == head
        place = self.place[here]
        sums = torch.zeros_like(otherwise).index_add(0, place, spread_over(values[here], low, high))
        counts = sums.sum(1, keepdim=True)
        return torch.where(counts > 0, sums / counts.clamp(min=1), otherwise)


class Listeners(nn.Module):
    """What listeners add, in label units."""

    def __init__(self, ratings: Ratings, heads: int, dim: int, config: LossConfig) -> None:
        """`dim` is the size of what the model pools of a clip."""
        super().__init__()
        self.heads, self.prior = heads, config.listener_prior
        people = len(ratings.listeners)
        known = ratings.listener >= 0
        flat = ratings.listener[known] * heads + ratings.head[known]
        votes = np.bincount(flat, minlength=people * heads).reshape(people, heads)
        corpora = sorted({corpus for corpus, _ in ratings.listeners})
        home = np.array([corpora.index(corpus) for corpus, _ in ratings.listeners], dtype=np.int64)
        for name, value in (
            ("votes", votes),  # (listeners, heads)
            ("share", _shares(votes, home)),  # (listeners, heads) of the votes of the corpus
            (
                "share_of_all",
                _shares(votes.sum(1, keepdims=True), home),
            ),  # (listeners, 1) likewise, of all heads
            ("home", home),  # (listeners,) number of the corpus
        ):
            kind = torch.int64 if name == "home" else torch.float32
            self.register_buffer(name, torch.from_numpy(value).to(kind), persistent=False)
        self.votes: Tensor
        self.share: Tensor
        self.share_of_all: Tensor
        self.home: Tensor
        self.bias = nn.Parameter(torch.zeros(people, heads))
        self.embedding, self.directions = None, None
        if config.listeners == "embedding":
            self.embedding = nn.Parameter(torch.randn(people, SIZE))
            # at 0 they add nothing at first
            self.directions = nn.Parameter(torch.zeros(heads, SIZE, dim))

    def forward(self, votes: Votes, pooled: Tensor) -> Tensor:
        """What the listener of each vote adds, (votes,); 0 for one who is not known. pooled: (clips, dim)."""
        # one row more, for NOBODY
        added = self._without_mean(self.bias, self.share)[votes.listener, votes.head]
        if self.embedding is not None and self.directions is not None:
            who = self._without_mean(self.embedding, self.share_of_all)[votes.listener]  # (votes, SIZE)
            unit = F.layer_norm(pooled.to(who.dtype), pooled.shape[-1:]) / pooled.shape[-1] ** 0.5
            heard = torch.einsum("hsd,cd->chs", self.directions, unit)  # (clips, heads, SIZE)
            added = added + (heard[votes.place, votes.head] * who).sum(-1)
        return added

    def losses(self, pred: Tensor, votes: Votes, added: Tensor, totals: Tensor) -> Tensor:
        """This micro-batch's part of each head's mean squared error of the votes, (heads,).

        pred: (clips, heads), what the mean listener says. totals: votes in the whole update, (heads,). Each listener's
        bias is held to 0 as if by `listener_prior` votes, so that few votes do not say much of anybody.
        """
        if self.embedding is None:
            pred = pred.detach()
        rest = pred[votes.place, votes.head] + added - votes.value
        bias = self._without_mean(self.bias, self.share)[votes.listener, votes.head]
        of_all = F.pad(self.votes, (0, 0, 0, 1), value=1.0)[votes.listener, votes.head]
        cost = rest.square() + self.prior / of_all * bias.square()
        return votes.per_head(cost, self.heads) / totals.clamp(min=1)

    def _without_mean(self, values: Tensor, share: Tensor) -> Tensor:
        """(listeners, n) less their mean over the votes of their corpus, and below them a row of 0 for NOBODY."""
        corpora = int(self.home.max()) + 1 if len(self.home) else 0
        mean = values.new_zeros(corpora, values.shape[1]).index_add(0, self.home, share * values)
        return F.pad(values - mean[self.home], (0, 0, 0, 1))


def _shares(votes: np.ndarray, home: np.ndarray) -> np.ndarray:
    """Votes (listeners, n) as shares of those of the listener's corpus."""
    sums = np.zeros((home.max(initial=-1) + 1, votes.shape[1]))
    np.add.at(sums, home, votes)
    shares: np.ndarray = votes / np.maximum(sums, 1)[home]
    return shares
