"""The processes of one training run, as few verbs as it needs; alone they all cost nothing.

torchrun starts the processes and says who is who (RANK, WORLD_SIZE, LOCAL_RANK); NCCL joins GPUs, gloo joins
CPUs.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from sqa_model.errors import ModelError


@dataclass(frozen=True)
class Team:
    """This process among its peers."""

    rank: int
    size: int
    device: torch.device

    def sum(self, values: Tensor) -> Tensor:
        """Add `values` over all processes, in place; the same result everywhere."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def gather(self, thing: Any) -> list[Any]:
        """Everyone's `thing`, by rank, on every process."""
        if self.size == 1:
            return [thing]
        things: list[Any] = [None] * self.size
        dist.all_gather_object(things, thing)
        return things

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def team(device: str) -> Iterator[Team]:
    """Join the processes that torchrun started, if it did; `device` is "auto", "cpu", "cuda", "cuda:1"."""
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise ModelError(
            f"run.device: found {device!r}, expected auto, cpu, cuda or cuda:<number>"
        ) from error
    if chosen.type == "cuda":
        if not torch.cuda.is_available():
            raise ModelError(
                f"run.device: found {device!r}, but this machine has no usable CUDA device; use cpu"
            )
        if chosen.index is None:
            chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(chosen)
    joined = size > 1 and not dist.is_initialized()
    if joined:
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Team(rank, size, chosen)
    finally:
        if joined:
            dist.destroy_process_group()
