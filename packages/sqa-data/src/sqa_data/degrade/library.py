"""Shared libraries of the system, by ctypes.

They are named with the version of their interface, so that a call means what its header says, and with the prototype of
every function called, so that a wrong call is an error and not a crash.
"""

import ctypes
import functools
import importlib.util
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqa_data.errors import DataError


@dataclass(frozen=True)
class Library:
    """A library that may be absent.

    `sonames`: such as "libopus.so.0", the first one found is used; `package`: what to install (Debian's name);
    `calls`: function -> type of its result and types of its arguments (of "..." none); `module`: the Python package
    that carries it, if one does, so that `sonames` are files in it and `package` is PyPI's name.
    """

    package: str
    sonames: tuple[str, ...]
    calls: Mapping[str, tuple[Any, ...]]
    module: str = ""

    @functools.cached_property
    def _folder(self) -> Path | None:
        """That of the Python package, which is not imported; None if it is absent."""
        spec = importlib.util.find_spec(self.module) if self.module else None
        return Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None

    def path(self, name: str) -> str:
        """How a file is called by its name: one of the Python package by its path. `DataError` if that is absent."""
        if not self.module:
            return name
        if self._folder is None:
            raise DataError(self._install)
        return str(self._folder / name)

    @property
    def _install(self) -> str:
        by = f"pip install {self.package}" if self.module else f"apt-get install {self.package}"
        return f"needs {self.module or ' or '.join(self.sonames)}: {by}"

    @functools.cached_property
    def _found(self) -> tuple[ctypes.CDLL | None, str]:
        """The library with its prototypes, or why not."""
        for soname in self.sonames if self._folder or not self.module else ():
            try:
                library = ctypes.CDLL(self.path(soname))
            except OSError:
                continue
            for name, (result, *arguments) in self.calls.items():
                if not hasattr(library, name):
                    return None, f"{soname} has no {name}, another version is expected; {self._install}"
                call = getattr(library, name)
                call.restype, call.argtypes = result, arguments
            return library, ""
        return None, self._install

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
        raise DataError("a library gave no state: it is out of memory, or not the version expected")
    try:
        yield state
    finally:
        free(state)
