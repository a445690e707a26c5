"""Take the clips of a corpus out of tar.bz2 archives of others: each archive is read once, as a stream.

A clip is made beside its place and gets its name when the part of the archive that it came from has passed its
checksum. So a kill at any moment costs reading the archive again, and no clip that has its name.
"""

import bz2
import logging
import shutil
import tarfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path, PurePosixPath

from sqa_data.atomic import to_disk
from sqa_data.corpus import Corpus, PickedClips
from sqa_data.errors import AudioError, DataError
from sqa_data.sources.archives import Progress
from sqa_data.sources.folder import clips_here

logger = logging.getLogger(__name__)

LARGEST = 32 << 20  # bytes of a member, or of a header: minutes of 16-bit speech
# bytes that a block of bzip2 can expand to: its 900,000 are runs, 5 for up to 259; its checksum stands at its end
BLOCK = 900_000 // 5 * 259


def pick_clips(
    corpus: Corpus,
    folder: Path,
    root: Path,
    *,
    jobs: int = 2,
    partial: bool = False,
    progress: Progress | None = None,
) -> None:
    """Make the clips below `root` that are missing, so far as their archives lie in `folder`, `jobs` at once.

    Raises DataError when all others are done: damaged archives, a full disk, or clips that cannot be made (with
    `partial` the log tells these).
    """
    if corpus.picked is None or _is_complete(corpus, root):
        return
    missing = {name: missing_clips(corpus, root, name) for name in corpus.picked.plan(root)}
    wrong = _copy_own(missing.pop("", {}), root)
    here = {folder / name: clips for name, clips in missing.items() if clips and (folder / name).is_file()}
    stop = threading.Event()
    broken: list[str] = []
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        tasks = [
            pool.submit(_pick, archive, clips, corpus.picked, progress, stop)
            for archive, clips in here.items()
        ]
        try:
            for task in tasks:
                try:
                    wrong += task.result()
                except DataError as error:
                    broken.append(str(error))
        except BaseException:
            stop.set()  # each ends at its next block
            pool.shutdown(cancel_futures=True)
            raise
    for text in wrong if partial else ():
        logger.warning("%s", text)
    if wrong and not partial:
        broken += [*wrong, "The other clips are made. --partial goes on without these"]
    if broken:
        raise DataError("\n".join(broken))


def missing_clips(corpus: Corpus, root: Path, archive: str) -> dict[str, Path]:
    """Member -> clip, of the clips of an archive that are not here yet."""
    plan = corpus.picked.plan(root).get(archive, {}) if corpus.picked else {}
    return {member: root / clip for member, clip in plan.items() if not (root / clip).is_file()}


def is_picked(corpus: Corpus, root: Path | None, archive: str) -> bool:
    """Whether an archive is of no more use: clips are picked from it, and all of them are here."""
    if root is None or corpus.picked is None or archive not in {a.name for a in corpus.picked.archives}:
        return False
    listed = archive in corpus.picked.plan(root)
    return _is_complete(corpus, root) or (listed and not missing_clips(corpus, root, archive))


def _is_complete(corpus: Corpus, root: Path) -> bool:
    """Whether all clips are here, such as those that someone made by hand and kept without the list."""
    return corpus.wavs is not None and clips_here(corpus, root) >= corpus.wavs


def _copy_own(clips: Mapping[str, Path], root: Path) -> list[str]:
    """Copy the clips that come with the labels under another name; returns what cannot be copied."""
    wrong = []
    for name, clip in clips.items():
        source = root.parent / name
        try:
            clip.parent.mkdir(parents=True, exist_ok=True)
            _finish(Path(shutil.copyfile(source, _beside(clip))), clip)
        except OSError as error:
            wrong.append(f"{source}: cannot be copied to {clip}: {error.strerror or error}")
    return wrong


def _pick(
    archive: Path,
    clips: Mapping[str, Path],
    picked: PickedClips,
    progress: Progress | None,
    stop: threading.Event,
) -> list[str]:
    """Make the clips of one archive; returns what is wrong with single ones."""
    left, wrong = dict(clips), []
    pending: deque[tuple[int, Path]] = deque()  # (end in the stream, clip), not yet called by its name
    try:
        for folder in {clip.parent for clip in clips.values()}:
            folder.mkdir(parents=True, exist_ok=True)
        with closing(_Stream(archive, progress, stop)) as stream:
            for info in _members(stream):
                while pending and pending[0][0] + BLOCK < stream.tell():
                    _finish(_beside(pending[0][1]), pending[0][1])
                    pending.popleft()
                clip = left.pop(str(PurePosixPath(info.name)), None)
                if clip is None:
                    continue
                try:
                    picked.write(_content(stream, info), _beside(clip))
                    pending.append((stream.tell(), clip))
                except AudioError as error:
                    wrong.append(f"{archive}: member {info.name!r}: {error}")
        for _, clip in pending:
            _finish(_beside(clip), clip)
    except OSError as error:
        raise DataError(
            f"{archive}: cannot make its clips: {error.strerror or error}; what is made is kept, run again to go on"
        ) from error
    finally:
        for clip in clips.values():
            with suppress(OSError):  # the error above is the one to tell
                _beside(clip).unlink()
    if left:
        member, clip = next(iter(left.items()))
        wrong.append(f"{archive}: {len(left):,} clips are not in it, the first {member} ({clip.name})")
    return wrong


def _beside(clip: Path) -> Path:
    """Where a clip is made; always the same name, so that the next run overwrites what a kill left."""
    return clip.with_name(f".{clip.name}.tmp")


def _finish(temporary: Path, clip: Path) -> None:
    to_disk(temporary)
    temporary.replace(clip)


def _members(stream: "_Stream") -> Iterator[tarfile.TarInfo]:
    """The members of an archive, to its very end; no list of them grows."""
    try:
        with tarfile.open(fileobj=stream, mode="r:") as file:  # type: ignore[call-overload]
            while (info := file.next()) is not None:
                yield info
                file.members.clear()
        while stream.read(1 << 20):
            pass
    except (tarfile.TarError, EOFError, ValueError, OverflowError, RecursionError) as error:
        raise stream.damaged(error) from error


def _content(stream: "_Stream", info: tarfile.TarInfo) -> bytes:
    """The bytes of a member that is next in the stream; AudioError if it is no plain file of a clip's size."""
    if not info.isreg() or info.issparse():
        raise AudioError(f"a link to {info.linkname!r} or a device; expected a file")
    if info.size > LARGEST:
        raise AudioError(f"{info.size:,} bytes; expected a clip of at most {LARGEST:,}")
    stream.seek(info.offset_data)
    content = stream.read(info.size)
    if len(content) != info.size:
        raise stream.damaged(f"it ends within {info.name!r}")
    return content


class _Stream:
    """The bytes of an unpacked tar.bz2, for `tarfile`: forwards only, and never much at once."""

    def __init__(self, archive: Path, progress: Progress | None, stop: threading.Event) -> None:
        self.archive, self.progress, self.stop = archive, progress, stop
        self.size = archive.stat().st_size
        self.packed = archive.open("rb")
        self.unpacked = bz2.BZ2File(self.packed)
        self.at = 0
        self.told = 0  # where `at` was when progress was last told

    def tell(self) -> int:
        return self.at

    def read(self, size: int) -> bytes:
        if self.stop.is_set():
            raise KeyboardInterrupt
        if size > LARGEST:
            raise self.damaged(f"a header of {size:,} bytes")
        try:
            content = self.unpacked.read(size)
        except (EOFError, OSError) as error:
            raise self.damaged(error) from error
        self.at += len(content)
        if self.progress and (self.at - self.told > 1 << 20 or not content):
            self.progress(self.archive.name, self.packed.tell(), self.size)
            self.told = self.at
        return content

    def seek(self, to: int) -> None:
        if to < self.at:
            raise self.damaged("a member of negative size")
        while self.at < to and self.read(min(to - self.at, 1 << 20)):
            pass

    def close(self) -> None:
        self.unpacked.close()
        self.packed.close()

    def damaged(self, error: object) -> DataError:
        return DataError(f"{self.archive}: damaged archive ({error}); delete it and download it again")
