"""Is anything learned from that is measured on? By what publishers say of their corpora, and by the audio files."""

import functools
import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from sqa_data.corpus import in_common

from sqa_model.errors import ModelError
from sqa_model.training.clips import Clips
from sqa_model.training.journal import log

PROBE = 4096  # bytes from the middle of a file, which tell most recordings of one length apart


def refuse_leaks(train: Clips, dev: Clips, leaks: str) -> None:
    """`ModelError` where clips of `dev` are among those of `train`; a warning if `leaks` (of the config) is "allow"."""
    for leak in find_leaks(train, dev):
        told = f"{leak}: figures on them say nothing about other speech"
        if leaks == "error":
            raise ModelError(f"{told}; give data.dev clips of its own, or set data.leaks=allow")
        log.warning("%s", told)


def find_leaks(train: Clips, dev: Clips) -> list[str]:
    """A sentence for each way in which clips of `dev` are among those of `train`; none if there is none."""
    found = [
        f"{a} (learned from) and {b} (measured on) both have clips of {', '.join(common)}"
        for a in train.corpora
        for b in dev.corpora
        if a != b and (common := in_common(a, b))
    ]
    if shared := _count_shared(train.paths, dev.paths):
        found.append(f"{shared:,} of the {len(dev):,} clips for development are trained on too")
    return found


def _count_shared(train: Iterable[str], dev: Iterable[str]) -> int:
    """How many files of `dev` are in `train` too: by whatever path, or as a copy."""
    folder = functools.cache(os.path.realpath)

    def file(path: str) -> str:
        head, tail = os.path.split(path)
        return os.path.join(folder(head), tail)  # noqa: PTH118  a Path object costs more

    measured, learned = {file(path) for path in dev}, {file(path) for path in train}
    copies = _copied(learned, measured - learned)
    return len(measured & learned) + sum(1 for _ in copies)


def _copied(train: set[str], dev: set[str]) -> Iterator[str]:
    """The files of `dev` whose bytes a file of `train` has. Only what agrees so far is read further."""
    groups: list[tuple[set[str], set[str]]] = [(train, dev)]
    looks: tuple[Callable[[str], object], ...] = (_size, _probe, _digest)
    for look in looks:
        parted: list[tuple[set[str], set[str]]] = []
        for some, others in groups:
            wanted = _by(look, others)
            found = _by(look, some)
            parted += [(found[key], wanted[key]) for key in wanted.keys() & found.keys()]
        groups = parted
    for _, same in groups:
        yield from same


def _by(look: Callable[[str], object], paths: set[str]) -> dict[object, set[str]]:
    found: defaultdict[object, set[str]] = defaultdict(set)
    for path in paths:
        with suppress(OSError):  # told when the clip is read
            found[look(path)].add(path)
    return found


def _size(path: str) -> int:
    size = os.path.getsize(path)  # noqa: PTH202
    if not size:  # a pipe or a device, which must not be read, or an empty file
        raise OSError
    return size


def _probe(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123  a Path object costs more
        file.seek(file.seek(0, os.SEEK_END) // 2)
        return file.read(PROBE)


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123
        return hashlib.file_digest(file, "sha256").digest()
