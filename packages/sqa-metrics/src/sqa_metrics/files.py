"""Write a file whole or not at all: beside its place first, renamed onto it when complete."""

import os
from pathlib import Path

from sqa_metrics.errors import MetricsError


def write_whole(path: str | Path, text: str) -> None:
    """Write a text file; what was there before is replaced at once, or stays if anything goes wrong.

    Raises MetricsError where `path` is no place for a file: a folder, a device, a pipe, or where there is no folder.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_whole(f"{folder}/a.txt", "one")
    ...     os.listdir(folder)
    ['a.txt']
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise MetricsError(f"{path}: is a folder or a device; expected the name of a file to write")
    if not path.parent.is_dir():
        raise MetricsError(f"{path}: its folder does not exist; make it first")
    beside = path.with_name(f".{path.name[:100]}.{os.getpid()}.tmp")
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise MetricsError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        beside.unlink(missing_ok=True)
