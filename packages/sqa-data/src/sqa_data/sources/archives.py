"""Unpack archives from strangers: nothing leaves the folder, nothing grows without bound."""

import errno
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, cast

from sqa_data.atomic import atomic_folder, sweep
from sqa_data.errors import DataError
from sqa_data.sources.records import read_json, write_json

MAX_RATIO = 200  # expanded to packed size: speech reaches 4, silence and text 50
MIN_CAP = 1 << 30  # bytes: small archives may expand further than the ratio allows
MARKER = ".unpacked.json"  # in an unpacked folder: the archives it was made from, and their sizes
PACKED = (".zip", ".tar", ".gz", ".tgz", ".bz", ".bz2", ".xz")
JUNK = ("__MACOSX", ".DS_Store", MARKER)
# what a file system says of a name that it cannot hold, or that is a file and a folder: no run mends that
_OF_NAMES = (errno.ENAMETOOLONG, errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.EILSEQ, errno.EINVAL)

Progress = Callable[[str, int, int | None], None]  # (what, bytes so far, bytes in all or None)


def unpack(
    archives: Path | Sequence[Path],
    folder: Path,
    nested: tuple[str, ...] = (),
    *,
    progress: Progress | None = None,
    max_bytes: int | None = None,
) -> None:
    """Unpack one or more .zip, .tar or .tar.gz, and those named in `nested` inside, as the new folder `folder`.

    A table that is published beside them goes there too, as it is.

    The work goes on in `folder.partial`, renamed when whole; members that an interrupted run on the same archives
    had finished are not written again. Absolute paths, "..", links and devices are refused, as is expansion beyond
    `max_bytes` (default: 200 times the archive, at least 1 GiB). Raises DataError; the disk being full is one.
    """
    archives = [archives] if isinstance(archives, Path) else archives
    if folder.exists():
        names = ", ".join(archive.name for archive in archives)
        raise DataError(f"{folder}: exists already; {names} is not unpacked over it")
    packed = {archive.name: archive.stat().st_size for archive in archives}
    left = folder.with_name(f"{folder.name}.partial")
    if left.exists() and unpacked_from(left) != packed:
        shutil.rmtree(left)  # members of other archives, which may have the same sizes
    try:
        with atomic_folder(folder, resumable=True) as staging:
            for archive in archives:
                with _said_plainly(archive):
                    sweep(staging, MARKER)
                    write_json(staging / MARKER, packed)
                    _unpack_with_nested(archive, staging, nested, max_bytes or _cap(archive), progress)
    except _DamagedError:
        # the checksum of a .tar.gz comes last: members that look whole may be wrong
        shutil.rmtree(left)
        raise


def _unpack_with_nested(
    archive: Path, staging: Path, nested: tuple[str, ...], cap: int, progress: Progress | None
) -> None:
    _unpack_into(archive, staging, cap, progress)
    for inner in sorted(path for name in nested for path in staging.rglob(name) if path.is_file()):
        _unpack_into(inner, inner.parent, cap, progress)
        inner.unlink()


def unpacked_from(folder: Path) -> dict[str, int] | None:
    """The archives that `folder` was unpacked from, and their sizes in bytes; None if it does not say.

    Version 0.1.0 wrote them beside the folder.
    """
    for marker in (folder / MARKER, folder.with_name(f"{folder.name}.json")):
        found = read_json(marker)
        if found is not None:
            return {str(name): int(size) for name, size in found.items()}
    return None


def unpack_nested(folder: Path, names: tuple[str, ...], progress: Progress | None = None) -> None:
    """Unpack archives that lie in `folder`, which someone unpacked by hand, where they lie; they stay there.

    Members that are there already, with the right size, are not written again.
    """
    for name in names:
        inner = folder / name
        if inner.is_file():
            with _said_plainly(inner):
                _unpack_into(inner, folder, _cap(inner), progress)


def unpacked_size(archive: Path) -> int | None:
    """Bytes that a zip says it expands to; None for a tar, which does not say."""
    if not is_packed(archive.name) or not zipfile.is_zipfile(archive):
        return None
    with _said_plainly(archive), zipfile.ZipFile(archive) as file:
        return sum(member.file_size for member in file.infolist())


def is_packed(name: str) -> bool:
    """Whether a file is an archive and no table or clip, by its name.

    >>> is_packed("a.tar.gz"), is_packed("answers.xlsx")
    (True, False)
    """
    return name.lower().endswith(PACKED)


def safe_path(name: str, archive: Path) -> PurePosixPath | None:
    """The path of a member; None for what operating systems add; DataError for one that points outside."""
    plain = name.replace("\\", "/")
    path = PurePosixPath(plain)
    drive = len(plain) > 1 and plain[1] == ":"
    if path.is_absolute() or drive or ".." in path.parts or "\0" in plain:
        raise DataError(f"{archive}: member {name!r} points outside; the archive is not unpacked")
    if not path.parts or any(part in JUNK or part.startswith("._") for part in path.parts):
        return None
    return path


def _cap(archive: Path) -> int:
    return max(MIN_CAP, MAX_RATIO * archive.stat().st_size)


def _unpack_into(archive: Path, folder: Path, cap: int, progress: Progress | None) -> None:
    if not is_packed(archive.name):
        members = _one_member(archive)
    elif zipfile.is_zipfile(archive):
        members = _zip_members(archive)
    elif tarfile.is_tarfile(archive):
        members = _tar_members(archive)
    else:
        raise DataError(f"{archive}: neither a zip nor a tar archive; delete it and download it again")
    # one name for all members, so that a kill leaves nothing that the next run does not overwrite
    temporary = folder / ".member.tmp"
    done, total = 0, unpacked_size(archive)
    seen: set[PurePosixPath] = set()  # of two members of one name the last counts, whatever their sizes
    for path, size, opened in members:
        done += size
        if done > cap:
            raise DataError(
                f"{archive}: expands beyond {cap:,} bytes; looks like an archive bomb, not unpacked"
            )
        target = folder / path
        if path in seen or not (target.is_file() and target.stat().st_size == size):
            target.parent.mkdir(parents=True, exist_ok=True)
            with opened() as source, temporary.open("wb") as sink:
                _copy(source, sink, size, f"{archive}: member {str(path)!r}")
            temporary.replace(target)
        seen.add(path)
        if progress:
            progress(archive.name, done, total)


Member = tuple[PurePosixPath, int, Callable[[], IO[bytes]]]  # path, bytes by its header, open


def _one_member(file: Path) -> Iterator[Member]:
    yield PurePosixPath(file.name), file.stat().st_size, lambda: file.open("rb")


def _zip_members(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            path = safe_path(info.filename, archive)
            if path is None or info.is_dir():
                continue
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise DataError(f"{archive}: member {info.filename!r} is a link or a device; not unpacked")
            yield path, info.file_size, partial(file.open, info)


def _tar_members(archive: Path) -> Iterator[Member]:
    with tarfile.open(archive) as file:
        for info in file:
            path = safe_path(info.name, archive)
            if path is None or info.isdir():
                continue
            if not info.isfile():
                raise DataError(f"{archive}: member {info.name!r} is a link or a device; not unpacked")
            # of a regular file extractfile gives no None
            yield path, info.size, cast(Callable[[], IO[bytes]], partial(file.extractfile, info))
        # the checksum of a .gz stands at its end, which tarfile itself does not read
        while file.fileobj is not None and file.fileobj.read(1 << 20):
            pass


def _copy(source: IO[bytes], sink: IO[bytes], size: int, what: str) -> None:
    """Copy a member; ZipFile checks the CRC, but one can expand past the size that its header claims."""
    copied = 0
    while block := source.read(1 << 20):
        copied += len(block)
        if copied > size:
            break
        sink.write(block)
    if copied != size:
        raise DataError(f"{what} has {copied:,} bytes; its header says {size:,}")


class _DamagedError(DataError):
    """The archive is not what was packed, so neither is what came out of it."""


@contextmanager
def _said_plainly(archive: Path) -> Iterator[None]:
    """Errors of the archive libraries and of the disk, as DataError that names the archive."""
    try:
        yield
    except NotImplementedError as error:
        raise DataError(
            f"{archive}: cannot unpack: {error}; unpack it by hand in {archive.parent}"
        ) from error
    except RuntimeError as error:  # how zipfile says that a password is needed
        raise DataError(f"{archive}: {error}") from error
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if (
            not isinstance(error, OSError) or error.errno is None
        ):  # gzip and bzip2 raise OSError for what they read
            raise _DamagedError(
                f"{archive}: damaged archive ({error}); delete it and download it again"
            ) from error
        free = shutil.disk_usage(archive.parent).free
        again = f"{free:,} bytes free; what is unpacked so far is kept, run again to go on"
        if error.errno in _OF_NAMES:
            name = error.filename2 or error.filename
            again = f"{name}: such a name cannot be written here; unpack the archive by hand"
        raise DataError(f"{archive}: cannot unpack: {error.strerror} ({again})") from error
