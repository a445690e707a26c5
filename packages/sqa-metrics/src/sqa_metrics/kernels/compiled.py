# mypy: disable-error-code="no-untyped-call"
"""Compile a loop on its first call and keep the machine code on disk. Importing this file imports Numba."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.caching import FunctionCache

from sqa_metrics.kernels.choose import say

JIT_OFF = bool(numba.config.DISABLE_JIT)  # type: ignore[attr-defined]

Function = TypeVar("Function", bound=Callable[..., Any])

_announced = False


def compiled(function: Function, **options: Any) -> Function:
    """Compile `function`, releasing the interpreter lock; a division by zero gives what NumPy gives."""
    dispatcher = numba.njit(nogil=True, error_model="numpy", **options)(function)
    if not JIT_OFF:
        # Where no folder can be written to, each process compiles anew, which `choose` reckons with.
        with suppress(RuntimeError):
            dispatcher._cache = _Cache(function)
    result: Function = dispatcher
    return result


# with float sums in any order, so that they vectorise
compiled_sum = partial(compiled, fastmath={"reassoc", "contract"})
# as a part of those that call it: for steps of a loop over millions of bytes
compiled_inline = partial(compiled, forceinline=True)


class _Cache(FunctionCache):
    """Numba's cache on disk, which makes a damaged file anew, and all of them after a change of any kernel file.

    Numba looks at the file of a kernel alone, not at those it calls from.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file._source_stamp = _STAMP

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        found = None
        try:
            found = super().load_overload(sig, target_context)
        except Exception:
            # Damaged bytes can raise anything when they are unpickled. All there is to lose is a compilation.
            self._drop()
        if found is None:
            _announce()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        # On a full disk the kernel works all the same, in this process.
        with suppress(OSError):
            super().save_overload(sig, data)

    def _drop(self) -> None:
        try:
            self.flush()
        except OSError as error:
            say(f"a damaged file of compiled kernels cannot be replaced: delete {self.cache_path} ({error})")


_STAMP = tuple(
    (path.name, path.stat().st_mtime_ns, path.stat().st_size)
    for path in sorted(Path(__file__).parent.glob("*.py"))
)


def _announce() -> None:
    global _announced
    if not _announced:
        _announced = True
        say("compiling kernels for large inputs: some seconds, once (`warmup` does it beforehand)")
