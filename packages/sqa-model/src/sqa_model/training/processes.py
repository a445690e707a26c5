"""The processes of one training run, as few verbs as it needs; and the signals that end it.

torchrun starts the processes and says who is who (RANK, WORLD_SIZE, LOCAL_RANK); NCCL joins GPUs, gloo joins
CPUs. Alone they all cost nothing.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from sqa_model.errors import ModelError

Thing = TypeVar("Thing")


class Stopped(Exception):
    """Some process of the run was asked to end, and all of them know."""


@dataclass(frozen=True)
class Processes:
    """This process among its peers."""

    rank: int
    size: int
    device: torch.device

    def sum(self, values: Tensor) -> Tensor:
        """Add `values` over all processes, in place; the same result everywhere."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    @property
    def first(self) -> bool:
        """Whether this is the one that writes and talks."""
        return self.rank == 0

    def gather(self, thing: Thing) -> list[Thing]:
        """Everyone's `thing`, by rank, on every process."""
        if self.size == 1:
            return [thing]
        things: list[Thing] = [thing] * self.size
        dist.all_gather_object(things, thing)
        return things

    def wait(self) -> None:
        """Go on when all have come here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def processes(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started, if it did; `device` is "auto", "cpu", "cuda", "cuda:1"."""
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    chosen = choose_device(device)
    joined = size > 1 and not dist.is_initialized()
    if joined:
        dist.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    try:
        yield Processes(rank, size, chosen)
    finally:
        if joined:
            dist.destroy_process_group()


def choose_device(name: str) -> torch.device:
    """The device of this process that "auto", "cpu", "cuda" or "cuda:1" names, made the current one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    chosen = torch.device(name)
    if chosen.type == "cuda":
        if not torch.cuda.is_available():
            raise ModelError(
                f"run.device: found {name!r}, but this machine has no usable CUDA device; use cpu"
            )
        if chosen.index is None:
            chosen = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(chosen)
    return chosen


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets; a second one interrupts at once."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may handle signals
        return

    def handle(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
