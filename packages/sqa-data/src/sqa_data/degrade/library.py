"""Shared libraries of the system, by ctypes.

They are named with the version of their interface, so that a call means what its header says, and with the prototype of
every function called, so that a wrong call is an error and not a crash.
"""

import ctypes
import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqa_data.errors import DataError


@dataclass(frozen=True)
class Library:
    """A library that may be absent.

    `sonames`: such as "libopus.so.0", the first one found is used; `package`: what to install (Debian's name);
    `calls`: function -> type of its result and types of its arguments (of "..." none).
    """

    package: str
    sonames: tuple[str, ...]
    calls: Mapping[str, tuple[Any, ...]]

    @functools.cached_property
    def _found(self) -> tuple[ctypes.CDLL | None, str]:
        """The library with its prototypes, or why not."""
        for soname in self.sonames:
            try:
                library = ctypes.CDLL(soname)
            except OSError:
                continue
            for name, (result, *arguments) in self.calls.items():
                if not hasattr(library, name):
                    return None, f"{soname} has no {name}; install the package {self.package} of Debian"
                call = getattr(library, name)
                call.restype, call.argtypes = result, arguments
            return library, ""
        return None, f"needs {' or '.join(self.sonames)}: apt-get install {self.package}"

    def missing(self) -> str | None:
        """Why it cannot be used here, in a few words; None if it can."""
        return self._found[1] or None

    def open(self) -> ctypes.CDLL:
        """The library. Raises `DataError` where it is absent."""
        library, reason = self._found
        if library is None:
            raise DataError(reason)
        return library


@contextmanager
def held(state: int | None, free: Callable[[int], object]) -> Iterator[int]:
    """A state that a library made, freed at the end whatever happens."""
    if not state:
        raise DataError("a codec's library gave no state: it is out of memory, or not the version expected")
    try:
        yield state
    finally:
        free(state)
