"""Bytes alive at a time, against what can be counted by hand."""

import sys
from pathlib import Path

import pytest
import torch
from sqa_model.training import footprint
from sqa_model.training.footprint import free_bytes, most_alive
from torch import Tensor, nn

CPU = torch.device("cpu")
SQUARE = 4 * 100 * 100  # bytes


def test_what_is_freed_on_the_way_counts_only_while_it_is_there() -> None:
    x = torch.rand(100, 100)
    assert most_alive(lambda: x.exp(), CPU) == SQUARE
    assert most_alive(lambda: x.exp().exp().exp(), CPU) == 2 * SQUARE

    def one_after_the_other() -> None:
        for _ in range(5):
            x.exp()

    assert most_alive(one_after_the_other, CPU) == SQUARE


def test_views_and_what_was_there_before_are_not_counted() -> None:
    x = torch.rand(100, 100)
    assert most_alive(lambda: [x.t(), x[3:], x.view(-1), x.mul_(2)], CPU) == 0
    assert most_alive(lambda: [part for row in x.exp() for part in row], CPU) == SQUARE


def test_what_waits_for_the_backward_pass_is_counted() -> None:
    """Of sigmoid(sigmoid(...)) each result is needed for its gradient; recomputed, only what is between the parts."""
    x = torch.rand(100, 100, requires_grad=True)

    def chain(y: Tensor) -> Tensor:
        for _ in range(4):
            y = y.sigmoid()
        return y

    forward = most_alive(lambda: chain(chain(x)), CPU)
    assert forward == 8 * SQUARE

    def learn(recompute: bool) -> None:
        y = x
        for _ in range(4):
            y = torch.utils.checkpoint.checkpoint(chain, y, use_reentrant=False) if recompute else chain(y)
        y.sum().backward()
        x.grad = None

    whole, recomputed = (most_alive(lambda again=again: learn(again), CPU) for again in (False, True))
    assert 16 * SQUARE <= whole <= 19 * SQUARE
    # three kept between the parts, four computed again, and the gradients on their way
    assert 7 * SQUARE <= recomputed <= 11 * SQUARE


def test_a_layer_by_hand() -> None:
    layer, x = nn.Sequential(nn.Linear(100, 100, bias=False), nn.Sigmoid()), torch.rand(100, 100)
    # the result of either, both there at once
    assert most_alive(lambda: layer(x), CPU) == 2 * SQUARE
    # the product is not kept: sigmoid's gradient needs its own result
    assert most_alive(lambda: [layer(x), layer(x)], CPU) == 3 * SQUARE


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="no /proc here")
def test_free_memory_is_some_and_no_more_than_there_is() -> None:
    found = free_bytes(CPU)
    assert found is not None
    total = next(
        line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal")
    )
    assert 1 << 20 < found <= int(total.split()[1]) * 1024


def test_a_system_that_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footprint, "Path", lambda _: Path("/nowhere"))
    monkeypatch.delattr("os.sysconf", raising=False)
    assert free_bytes(CPU) is None


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_the_allocator_is_asked() -> None:
    x = torch.rand(1000, 1000, device="cuda")
    assert 4_000_000 <= most_alive(lambda: x.exp(), x.device) <= 6_000_000
    assert sys.maxsize > (free_bytes(x.device) or 0) > 0
