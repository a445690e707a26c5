"""How many bytes of tensors are alive at a time while something is computed, on any device.

Every operation is watched: what it makes is counted until it is freed, so tensors that wait for the backward pass are
counted, views are not, and what was there before is not. What a kernel needs inside itself is not seen; on CUDA the
allocator, which does see it, is asked instead.
"""

import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class _Alive(TorchDispatchMode):
    """Counts the bytes of tensors made under it that are alive, and the most there were."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self.counted: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        given = {leaf.untyped_storage()._cdata for leaf in tree_leaves((args, kwargs)) if _is_plain(leaf)}
        for leaf in tree_leaves(made):
            if _is_plain(leaf):
                storage = leaf.untyped_storage()
                if storage._cdata not in given and storage._cdata not in self.counted:
                    self._add(storage)
        return made

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()

        def freed() -> None:
            self.counted.discard(key)
            self.now -= size

        self.counted.add(key)
        self.now += size
        self.most = max(self.most, self.now)
        weakref.finalize(storage, freed)


def _is_plain(leaf: object) -> bool:
    return isinstance(leaf, Tensor) and leaf.layout == torch.strided and leaf.device.type != "meta"


def most_alive(compute: Callable[[], object], device: torch.device) -> int:
    """The most bytes that tensors made by `compute` took at a time, beyond those that were there before.

    >>> most_alive(lambda: torch.ones(1000).exp().sum(), torch.device("cpu"))
    8000
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        compute()
        torch.cuda.synchronize(device)
        return int(torch.cuda.max_memory_allocated(device)) - int(before)
    alive = _Alive()
    with alive:
        compute()
    return alive.most


def free_bytes(device: torch.device) -> int | None:
    """What can still be allocated there; None where the system does not say."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    told = Path("/proc/meminfo")
    if told.exists():  # Linux; what is in its cache of files counts as free
        for line in told.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return int(os.sysconf("SC_AVPHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return None
