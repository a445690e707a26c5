"""Dropout by bytes: the statistics and the gradient of torch's, and attention by its formula."""

import pytest
import torch
import torch.nn.functional as F
from sqa_model.network.attention import plain_attention
from sqa_model.network.dropout import Dropout, dropout


@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_share_the_mean_and_the_gradient(p: float, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    x = torch.ones(333, 999, dtype=dtype, requires_grad=True)
    y = dropout(x, p, training=True)
    assert (y == 0).float().mean().item() == pytest.approx(p, abs=0.004)
    assert y.float().mean().item() == pytest.approx(1, abs=0.02 if p < 0.9 else 0.05)
    assert y.unique().numel() == 2
    y.sum().backward()
    assert torch.equal(x.grad, y.detach())  # the same values pass, scaled the same
    columns = (y == 0).float().mean(0)
    assert columns.std().item() == pytest.approx((p * (1 - p) / 333) ** 0.5, rel=0.15)  # independent draws


def test_seeded_and_off() -> None:
    x = torch.randn(100)
    torch.manual_seed(1)
    first = dropout(x, 0.3, training=True)
    torch.manual_seed(1)
    assert torch.equal(dropout(x, 0.3, training=True), first)
    assert dropout(x, 0.3, training=False) is x
    assert dropout(x, 0.0, training=True) is x
    assert Dropout(0.3).eval()(x) is x


def test_plain_attention_without_dropout_is_torchs() -> None:
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, 2, 9, 4) for _ in range(3))
    mask = torch.randn(1, 2, 9, 9)
    for bias in (None, mask):
        ours = plain_attention(q, k, v, bias, 0.0)
        assert torch.allclose(ours, F.scaled_dot_product_attention(q, k, v, bias), atol=1e-6)
