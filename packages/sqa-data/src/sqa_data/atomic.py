"""Write a file whole or not at all: beside its place first, renamed onto it when complete."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open a binary file that takes the name `path` only when the block ends without an error.

    Whatever stops the block (an error, Ctrl-C, a full disk) leaves what was at `path` before untouched and
    removes the temporary file. Folders on the way are created.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb", buffering=1 << 20) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # the rename must not reach the disk before the content
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()
