"""Which way computes: plain Python, NumPy or compiled kernels, each once it repays what it costs to load.

What a way costs to load is paid when the work done without it has cost as much: at most twice the best choice made in
hindsight (ski rental). Loading a way that fails costs speed, not function.
"""

import os
import sys
from types import ModuleType

from sqa_metrics.kernels import plain

# Seconds of processor time, rough, measured by benchmarks/bench_agreement.py on a 2026 server core: an item in plain
# Python, an item and a call in NumPy, and to load NumPy, the compiled kernels from their cache, or compile them.
PLAIN_ITEM = {"mse": 0.06e-6, "lcc": 0.25e-6, "srcc": 0.7e-6, "ktau": 1.5e-6, "four": 2.5e-6}
ARRAY_ITEM = {"mse": 0.002e-6, "lcc": 0.01e-6, "srcc": 0.1e-6, "ktau": 0.18e-6, "four": 0.3e-6}
ARRAY_CALL = {"mse": 8e-6, "lcc": 20e-6, "srcc": 45e-6, "ktau": 80e-6, "four": 120e-6}
NUMPY_PRICE = 0.1
CACHED_PRICE = 0.5
COMPILE_PRICE = 8.0

compiled: ModuleType | None = None  # `kernels.rank` once it is loaded
_spent = 0.0  # seconds of work that the compiled kernels would have saved
_in_python = 0.0  # and of them those that NumPy would have saved
_refused = False  # the kernels could not be loaded, or are switched off


def way(name: str, n: int) -> ModuleType:
    """The module that computes figure `name` (or "four") of n items now: `plain`, `arrays` or `rank`."""
    return compiled or _slower(name, n)


def _slower(name: str, n: int) -> ModuleType:
    global _in_python
    in_python = PLAIN_ITEM[name] * n
    in_numpy = ARRAY_CALL[name] + ARRAY_ITEM[name] * n
    have_numpy = "numpy" in sys.modules or _in_python + in_python > NUMPY_PRICE
    if kernels := repaid(min(in_python, in_numpy) if have_numpy else in_python):
        return kernels
    if in_python <= in_numpy or not have_numpy:
        _in_python += in_python
        return plain
    from sqa_metrics.kernels import arrays

    return arrays


def repaid(seconds: float) -> ModuleType | None:
    """The compiled kernels, once work of so many more seconds would have paid for them; else None."""
    global _spent
    if compiled:
        return compiled
    _spent += seconds
    return load() if _spent > CACHED_PRICE and _spent > price() else None


def price() -> float:
    """Seconds that loading the kernels costs now: less when their machine code is kept on disk."""
    return CACHED_PRICE if _is_cached() else COMPILE_PRICE


def load() -> ModuleType | None:
    """The compiled kernels, or None where Numba is missing, broken or switched off (NUMBA_DISABLE_JIT)."""
    global compiled, _refused
    if compiled is None and not _refused:
        # Without the compiler these loops are a thousand times slower than NumPy.
        _refused = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
        if not _refused:
            try:
                from sqa_metrics.kernels import rank

                compiled = rank
            except Exception as error:
                # A broken installation can raise anything here (missing libraries, another NumPy). All that is
                # lost is speed, so say it and go on.
                _refused = True
                say(f"without compiled kernels, slower: {type(error).__name__}: {error}")
    return compiled


def say(text: str) -> None:
    """One line for people on standard error, if there is one."""
    if sys.stderr is not None:
        print(f"note: {text}", file=sys.stderr)


def _is_cached() -> bool:
    """Whether Numba's cache holds kernels of ours for this Python: beside their source, or where it is sent."""
    from pathlib import Path

    files = f"sums.*.py{sys.version_info[0]}{sys.version_info[1]}.nbi"
    elsewhere = os.environ.get("NUMBA_CACHE_DIR")
    homes = (
        [elsewhere]
        if elsewhere
        else ["~/.cache/numba", "~/Library/Caches/numba", "~/AppData/Local/numba/Cache"]
    )
    beside = Path(__file__).parent / "__pycache__"
    return (not elsewhere and any(beside.glob(files))) or any(
        any(Path(home).expanduser().glob(f"*/{files}")) for home in homes
    )
