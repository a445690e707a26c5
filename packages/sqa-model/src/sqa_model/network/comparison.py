"""Which of two clips is better: the comparative head of UrgentMOS (Wang et al. 2026, arXiv:2601.18438).

The frames of clip a ask, those of clip b answer (multi-head attention), and the mean over a's frames says how much
better a is (CMOS, one number) and which of the two is better (three classes). The order counts: a network that was
trained on both orders gives nearly, not exactly, the opposite where a and b change places. So whoever wants an answer
asks in both orders and takes the mean (`in_both_orders`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sqa_model.errors import ModelError
from sqa_model.network.attention import kernel_for, missing_rows
from sqa_model.network.fields import between, check_ranges

CLASSES = ("a", "b", "tie")  # in the order of the logits
A, B, TIE = range(3)


@dataclass(frozen=True)
class ComparisonConfig:
    """The comparative head of a model; its other sizes are those of the transformer below it."""

    attention_heads: int = between(4, 1, 1_024)
    tie_below: float = between(0.5, 0.0, 6.0)  # pairs whose CMOS is nearer to 0 are ties to whoever trains it

    def __post_init__(self) -> None:
        check_ranges(self)


class Encoded(NamedTuple):
    """What the transformer says of clips, packed one behind the other: scores and comparisons are made of it."""

    frames: Tensor  # (frames, dim)
    lengths: list[int]  # frames of each clip; they sum to `frames`


class Compared(NamedTuple):
    """What the model says of pairs of clips."""

    cmos: Tensor  # (pairs,): comparison mean opinion score, above 0 where a is better; its scale, -3 to 3, is no bound
    classes: Tensor  # (pairs, 3): logits of CLASSES

    def probabilities(self) -> Tensor:
        """(pairs, 3): how likely a is better, b is better, and neither."""
        return self.classes.softmax(-1)


class Verdicts(NamedTuple):
    """What the model says of pairs of clips whichever comes first."""

    cmos: Tensor  # (pairs,): as in `Compared`; changes its sign where a and b change places
    probabilities: Tensor  # (pairs, 3): how likely a is better, b is better, and neither


def in_both_orders(
    compare: Callable[[list[tuple[int, int]]], Compared], pairs: Sequence[tuple[int, int]]
) -> Verdicts:
    """The means over both orders of each pair: `compare` is asked once, for all."""
    found = compare([*pairs, *((b, a) for a, b in pairs)])
    cmos, turned = found.cmos.split(len(pairs))
    likely, other = found.probabilities().split(len(pairs))
    return Verdicts((cmos - turned) / 2, (likely + other[:, [B, A, TIE]]) / 2)


class Comparison(nn.Module):
    """The comparative head; parameters of its attention as in `torch.nn.MultiheadAttention`."""

    # beginnings of the names of weights that `MosModel.inference_copy` keeps in fp32
    exact = ("out_proj.", "regression.", "classification.")

    def __init__(self, dim: int, config: ComparisonConfig) -> None:
        super().__init__()
        self.heads = config.attention_heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        self.regression = nn.Linear(dim, 1)
        self.classification = nn.Linear(dim, len(CLASSES))
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, encoded: Encoded, pairs: Sequence[tuple[int, int]]) -> Compared:
        """Compare clips of a batch: each pair is (index of clip a, index of clip b).

        A clip may be in several pairs, on either side; what is said of a pair does not depend on the others.
        """
        frames, lengths = encoded
        check_pairs(pairs, len(lengths))
        x = F.pad(frames, (0, 0, 0, missing_rows(frames)))
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias)[: len(frames)]
        clips = qkv.unflatten(-1, (3, self.heads, -1)).split(lengths)  # (frames, 3, heads, head_dim) each
        kernel = kernel_for(qkv, dropout=0.0)
        means = []
        for a, b in pairs:
            query, key, value = (
                part.transpose(0, 1).unsqueeze(0) for part in (clips[a][:, 0], clips[b][:, 1], clips[b][:, 2])
            )
            heard = kernel(query, key, value, None, 0.0)  # (1, heads, frames of a, head_dim)
            means.append(heard[0].float().mean(1).flatten())
        # the output projection is linear: that of the mean is the mean of those of the frames
        pooled = self.out_proj(torch.stack(means).to(self.out_proj.weight.dtype))  # (pairs, dim)
        return Compared(self.regression(pooled).squeeze(-1).float(), self.classification(pooled).float())


def check_pairs(pairs: Sequence[tuple[int, int]], clips: int) -> None:
    """Raise `ModelError` unless these are pairs of a batch of so many clips."""
    if not pairs:
        raise ModelError("no pairs; expected at least one (index of clip a, index of clip b)")
    for a, b in pairs:
        if not (0 <= a < clips and 0 <= b < clips):
            raise ModelError(f"pair ({a}, {b}): expected indices of two of the batch's {clips} clips")
