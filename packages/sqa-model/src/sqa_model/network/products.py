"""What a processor multiplies well: bfloat16 or not; and on a CPU which library multiplies fp32.

That is torch's choice, MKL, or oneDNN where it is faster and as exact.

MKL leaves half of the AVX-512 of other makers' processors unused. torch sends fp32 products to oneDNN by a switch that
allows it to round to bfloat16. On most processors it does not, since rounding would gain nothing; on those with AMX it
does. So what it does is measured on the machine, the error before the time.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import Tensor

MOST_ERROR = 2e-5  # of the largest number: fp32 has 1e-6 to 4e-6 here, bfloat16 2e-3
LEAST_GAIN = 1.3  # in time, or it is not worth other last digits
ROUNDS = 5


def has_bfloat16(device: torch.device) -> bool:
    """Whether the processor multiplies bfloat16 matrices in hardware; a CPU without is many times slower than fp32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return any(getattr(torch.cpu, f"_is_{name}_supported", bool)() for name in ("avx512_bf16", "amx_tile"))


@contextmanager
def by_onednn(wanted: bool = True) -> Iterator[None]:
    """Send fp32 products to oneDNN, if wanted; a setting of the whole process, put back at the end."""
    settings = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]  # torch has no types for it
    before = settings.fp32_precision
    if wanted:
        settings.fp32_precision = "bf16"
    try:
        yield
    finally:
        settings.fp32_precision = before


def exact(multiply: Callable[[Tensor, Tensor], Tensor] = torch.matmul) -> bool:
    """Whether oneDNN's fp32 products have the accuracy of fp32, against float64."""
    x, y = _factors()
    with torch.no_grad(), by_onednn():
        product = multiply(x, y)
    right = x.double() @ y.double()
    # not "error > most": NaN must not pass
    return bool((product - right).abs().max() / right.abs().max() <= MOST_ERROR)


def gain(clock: Callable[[], float] = time.process_time) -> float:
    """How many times as fast as torch's choice oneDNN is, in processor seconds; of five rounds in turns the best."""
    x, y = _factors()
    times: dict[bool, list[float]] = {False: [], True: []}
    with torch.no_grad():
        for _ in range(1 + ROUNDS):
            for wanted, found in times.items():
                with by_onednn(wanted):
                    start = clock()
                    torch.matmul(x, y)
                    found.append(clock() - start)
    plain, other = (min(found[1:]) for found in times.values())  # the first round warms up
    return plain / max(other, 1e-9)


@cache
def onednn_pays() -> bool:
    """Whether this machine should leave its fp32 products to oneDNN; measured once, in a fifth of a second."""
    return exact() and gain() >= LEAST_GAIN


def _factors() -> tuple[Tensor, Tensor]:
    """Matrices of a size that a backbone has: (256, 768) and (768, 1536)."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(256, 768, generator=generator, dtype=torch.float32, device="cpu")
    return x, torch.randn(768, 1536, generator=generator, dtype=torch.float32, device="cpu")
