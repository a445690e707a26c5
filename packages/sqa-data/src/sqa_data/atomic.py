"""Write a file or a folder whole or not at all: beside its place first, renamed onto it when complete.

Every temporary name of the product is made here, so what a kill leaves behind can be told from results: hidden, and
ending in `.tmp` (a file), `.partial`, `.new` or `.old` (a folder). Modes follow the umask.
"""

import glob
import itertools
import logging
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from sqa_data.errors import DataError

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)

BUSY = "another process writes this file; wait for it, or write to another one"

_count = itertools.count()  # threads of one process may write the same file


@contextmanager
def atomic_write(path: str | Path) -> Iterator[BinaryIO]:
    """Open a binary file that takes the name `path` only when the block ends without an error.

    Whatever stops the block (an error, Ctrl-C, a full disk) leaves what was at `path` before untouched and
    removes the temporary file. Folders on the way are created. Raises `DataError` where `path` is a device, a pipe
    or a folder, and OSError as the system says it.
    """
    with atomic_path(path) as temporary, temporary.open("wb", buffering=1 << 20) as file:
        yield file


@contextmanager
def atomic_path(path: str | Path, *, sync: bool = True) -> Iterator[Path]:
    """`atomic_write` for writers that want a name instead of an open file.

    The name's suffix is `.tmp`. A writer may replace the file (as safetensors does): its mode becomes what the umask
    asks for, all the same.

    sync: put the content on the disk before it gets its name, so that a power cut loses nothing; costs milliseconds,
    which is too much for each of thousands of files that can be made again.
    """
    path = Path(path)
    _require_regular(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_name(path)
    try:
        temporary.touch()
        mode = stat.S_IMODE(temporary.stat().st_mode)
        yield temporary
        if stat.S_IMODE(temporary.stat().st_mode) != mode:
            temporary.chmod(mode)
        if sync:
            to_disk(temporary)
        temporary.replace(path)
    finally:
        with suppress(FileNotFoundError):
            temporary.unlink()


def sweep(folder: Path, *names: str) -> None:
    """Remove what killed writers left of files of these names in a folder; for who holds the lock on them."""
    for name in names:
        for path in folder.glob(f".{glob.escape(name)}.*-*.tmp"):
            path.unlink(missing_ok=True)


def write_small(path: str, content: bytes | memoryview) -> None:
    """Write a file whole or not at all, in a quarter of the time of `Path.write_bytes`: for hundreds of thousands.

    The temporary name is always the same, so that what a kill leaves is written over; one process at a time, then.
    """
    temporary = f"{path}.tmp"
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(handle, view) :]
    finally:
        os.close(handle)
    os.replace(temporary, path)  # noqa: PTH105  a Path object costs more than the call


def temporary_name(path: Path) -> Path:
    """A free name beside `path`, for what will be renamed onto it; short enough for every file system."""
    # names are limited in bytes, and this one is longer than `path`'s
    start = os.fsdecode(os.fsencode(path.name)[:200])
    return path.with_name(f".{start}.{os.getpid()}-{next(_count)}.tmp")


@contextmanager
def atomic_folder(path: str | Path, *, resumable: bool = False) -> Iterator[Path]:
    """A folder to fill, which takes the name `path` only when the block ends without an error.

    What is at `path` is replaced. Folders cannot be renamed over one another, so there is a moment without `path`:
    then `.NAME.new` is whole, and `finish_replace` puts it in its place.

    resumable: what an interrupted block has put into the folder is kept, in `NAME.partial`, and is there again in the
    next one (a corpus that takes an hour to unpack); else every block begins with an empty folder.
    """
    path = Path(path)
    part = path.with_name(f"{path.name}.partial") if resumable else _beside(path, "partial")
    if not resumable:
        shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, exist_ok=True)
    try:
        yield part
    except BaseException:
        if not resumable:
            shutil.rmtree(part, ignore_errors=True)
        raise
    if not resumable:  # else it may hold a million files; a power cut then costs unpacking them again
        for inside in [*part.rglob("*"), part]:
            to_disk(inside)
    part.rename(_beside(path, "new"))
    finish_replace(path)


def finish_replace(path: Path) -> None:
    """Complete the replacement of a folder that was cut short; do nothing if there was none."""
    new, old = _beside(path, "new"), _beside(path, "old")
    if new.exists():
        shutil.rmtree(old, ignore_errors=True)
        if path.exists():
            path.rename(old)
        new.rename(path)
        to_disk(path.parent)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(_beside(path, "partial"), ignore_errors=True)


def remove_folder(path: Path) -> None:
    """Remove a folder so that a kill leaves it whole or away; `finish_replace` clears away what is left beside it."""
    old = _beside(path, "old")
    shutil.rmtree(old, ignore_errors=True)
    path.rename(old)
    shutil.rmtree(old)


@contextmanager
def lock(path: str | Path, busy: str = "", *, wait_s: float = 2.0) -> Iterator[None]:
    """Hold the right to write what `path` names, by a lock file `path`.lock; folders on the way are created.

    Another process that holds it is waited for. After `wait_s` seconds a note in the log names the lock file, so that
    nobody wonders what a command is doing; with `busy`, such as "another training is writing here; wait for it, or
    choose another folder", a `DataError` that says so ends the waiting.
    """
    from filelock import FileLock, Timeout  # 40 ms, and few who import this module lock anything

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(_lock_file(path))
    try:
        held.acquire(timeout=wait_s)
    except Timeout as error:
        if busy:
            raise DataError(f"{path}: {busy}") from error
        logger.warning("%s: another process holds this lock; waiting until it is done", held.lock_file)
        held.acquire()
    try:
        yield
    finally:
        held.release()


def is_locked(path: str | Path) -> bool:
    """Whether somebody holds `lock(path)` at this moment."""
    from filelock import FileLock, Timeout

    try:
        with FileLock(_lock_file(path), blocking=False):
            return False
    except Timeout:
        return True


@contextmanager
def append_alone(path: Path) -> Iterator[BinaryIO]:
    """Open a file for appending, for this process alone; `DataError` where another has it open so.

    The lock is on the file itself, so none is left over, whatever ends the process. Within the block the file may be
    replaced (`atomic_write`): who waits for it then takes the new one. Windows replaces no file that is open, and
    another process is not kept out there.
    """
    _require_regular(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for wait_s in (0.0, 0.1, 0.5):  # `require_unwritten` of another process holds the lock for a moment
        time.sleep(wait_s)
        with path.open("ab") as file:
            if _lock_open(file) and _is_at(file, path):
                yield file
                return
    raise DataError(f"{path}: {BUSY}")


def require_unwritten(path: Path) -> None:
    """Raise `DataError` where a process is in `append_alone(path)` at this moment."""
    if path.is_file() and os.access(path, os.R_OK):
        with path.open("rb") as file:
            if not _lock_open(file, shared=True):
                raise DataError(f"{path}: {BUSY}")


def _is_at(file: BinaryIO, path: Path) -> bool:
    """Whether an open file is the one at `path`, and was not replaced meanwhile, as Windows replaces none."""
    if sys.platform == "win32":
        return True
    return path.exists() and os.path.samestat(path.stat(), os.fstat(file.fileno()))


def _lock_open(file: BinaryIO, *, shared: bool = False) -> bool:
    """Lock an open file until it is closed, alone or beside others who share it; whether it could be had."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass  # a file system without locks
    return True


def _lock_file(path: str | Path) -> Path:
    return Path(f"{path}.lock")


def _require_regular(path: Path) -> None:
    """Refuse to rename a file onto /dev/null, a pipe or a folder: nothing but a file can be replaced by one."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return  # nothing there, or a dangling link; if the place is no good, opening the file will say so
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise DataError(f"{path}: is {kind}; expected the name of a file to write")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{suffix}")


def to_disk(path: Path) -> None:
    """Put a file or folder on the disk."""
    if os.name == "nt" and path.is_dir():
        return  # Windows opens no folders, and needs no such call
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
