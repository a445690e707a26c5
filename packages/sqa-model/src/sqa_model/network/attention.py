"""Self-attention over packed clips: every frame sees the frames of its own clip, and no padding exists.

Several clips lie one behind the other in one (frames, dim) tensor and `lengths` says how long each is. Linear
layers and norms then work on the whole at once, and a clip's result cannot depend on its company. Only
attention, pooling and convolutions over time must know the borders.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from sqa_model.network.dropout import dropout as dropout_bytes

ROWS = 32  # frames are rounded up to a multiple where CPUs compile their kernels for every number of rows


def attend(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    lengths: list[int],
    bias: Tensor | None = None,
    gate: Tensor | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Softmax attention inside each clip.

    Args:
        q, k, v: (frames, heads, head_dim), clips packed one behind the other.
        lengths: frames of each clip; they sum to `frames`.
        bias: (heads, longest, longest), added to the scaled scores; a shorter clip takes its upper left
        corner. gate: (frames, heads), multiplies the bias of each query. dropout: probability of dropping an
        attention weight.

    Returns: (frames, heads * head_dim).
    """
    kernel = kernel_for(q, dropout)
    gates = gate.split(lengths) if gate is not None else [None] * len(lengths)
    mixed = []
    # split, not slices: the gradient of a slice is a whole tensor of zeros
    for *clip, turns, length in zip(
        q.split(lengths), k.split(lengths), v.split(lengths), gates, lengths, strict=True
    ):
        query, key, value = (x.transpose(0, 1).unsqueeze(0) for x in clip)
        mask = None
        if bias is not None:
            mask = bias[:, :length, :length]  # (heads, length, length)
            mask = mask if turns is None else mask * turns.t().unsqueeze(-1)
            mask = mask.unsqueeze(0)
        out = kernel(query, key, value, mask, dropout)  # (1, heads, length, head_dim)
        mixed.append(out[0].transpose(0, 1).flatten(1))
    return torch.cat(mixed)


def kernel_for(q: Tensor, dropout: float) -> Callable[..., Tensor]:
    """The function of (query, key, value, mask, dropout) that attends fastest to tensors like `q`."""
    # on CPUs torch's kernel is slower than all the rest where it draws dropout or finds gradients in bfloat16
    plain = q.is_cpu and (dropout > 0 or (q.requires_grad and q.dtype == torch.bfloat16))
    return plain_attention if plain else F.scaled_dot_product_attention


def missing_rows(x: Tensor) -> int:
    """How many frames to add to (frames, dim) so that CPUs do not compile a kernel for their number."""
    compiles = x.is_cpu and (x.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu"))
    return -len(x) % ROWS if compiles else 0


def plain_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, p: float) -> Tensor:
    """Attention as its formula says, dropout by `sqa_model.network.dropout`; shapes (1, heads, length, head_dim)."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    weights = (scores if mask is None else scores + mask).softmax(-1)
    return dropout_bytes(weights, p, training=True).to(value.dtype) @ value


class SelfAttention(torch.nn.Module):
    """Multi-head self-attention of packed clips; parameters as in `torch.nn.MultiheadAttention`."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = torch.nn.Parameter(torch.empty(3 * dim, dim))
        self.in_proj_bias = torch.nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = torch.nn.Linear(dim, dim)
        torch.nn.init.xavier_uniform_(self.in_proj_weight)

    def forward(
        self, x: Tensor, lengths: list[int], bias: Tensor | None = None, gate: Tensor | None = None
    ) -> Tensor:
        """x: (frames, dim) -> (frames, dim)."""
        # (frames, heads, head_dim) each
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).unbind(1)
        out: Tensor = self.out_proj(
            attend(q, k, v, lengths, bias, gate, self.dropout if self.training else 0.0)
        )
        return out

    def qkv(self, x: Tensor) -> Tensor:
        """The three projections of a frame side by side: (frames, dim) -> (frames, 3 * dim)."""
        return F.linear(x, self.in_proj_weight, self.in_proj_bias)
