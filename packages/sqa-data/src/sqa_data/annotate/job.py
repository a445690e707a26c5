"""What is asked of whom: clips, their references, what they hold, and the results that their labels need."""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sqa_data.annotate.log import Key, Result
from sqa_data.errors import DataError
from sqa_data.labellers import Adapter, adapter_of
from sqa_data.manifest import Utterance, read_manifest


@dataclass(frozen=True)
class Unreadable:
    """Why a file cannot be read."""

    error: str


Content = tuple[
    str | Unreadable, str | Unreadable | None
]  # hash of the audio, of the reference if there is one


@dataclass(frozen=True)
class Job:
    """What is asked, once it has been read and checked."""

    utterances: Sequence[Utterance]
    references: Sequence[Path | None]
    stored: Mapping[str, str]  # metric -> the label it is stored under
    versions: Mapping[Adapter, str]  # in the order asked for
    overwrite: bool

    @property
    def needs_reference(self) -> bool:
        """Whether any of the metrics compares."""
        return any(adapter.needs_reference for adapter in self.versions)


@dataclass(frozen=True)
class Task:
    """All that is to compute for one clip."""

    path: Path
    reference: Path | None
    results: Sequence[tuple[str, Key]]  # a label of the adapter, what its result will be known by


def read_job(
    manifest: Path, metrics: Sequence[str], reference: str | Path | None, fast: bool, overwrite: bool
) -> Job:
    """Read and check what is asked; `DataError` for what stops everything."""
    stored = labels_asked(metrics)
    versions = {adapter: adapter.version(fast) for adapter in dict.fromkeys(map(adapter_of, stored))}
    utterances = read_manifest(manifest)
    job = Job(utterances, _references(utterances, manifest, reference), stored, versions, overwrite)
    if utterances and not any(job.references) and job.needs_reference:
        names = ", ".join(metric for metric in stored if adapter_of(metric).needs_reference)
        raise DataError(
            f"{manifest}: {names} need the clean reference, and no row has a reference_path; give --reference"
        )
    return job


def labels_asked(metrics: Sequence[str]) -> dict[str, str]:
    """Metric -> the label it is stored under.

    >>> labels_asked(["pesq", "mos=distill_mos"])
    {'pesq': 'pesq', 'distill_mos': 'mos'}
    """
    pairs = [(metric.partition("=")[2] or metric, metric.partition("=")[0]) for metric in metrics]
    if not pairs:
        raise DataError("--metrics: names no metric")
    for name, what in ((0, "metric"), (1, "label")):
        names = [pair[name] for pair in pairs]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise DataError(f"--metrics: the {what} {twice[0]!r} is asked for twice")
    return dict(pairs)


def _references(
    utterances: Sequence[Utterance], manifest: Path, given: str | Path | None
) -> list[Path | None]:
    """The reference of each utterance, or None."""
    base = manifest.absolute().parent
    if given is None:
        rows = [utterance.extra.get("reference_path") for utterance in utterances]
        return [None if not path else Path(os.path.normpath(base / str(path))) for path in rows]
    given = Path(given)
    if given.is_dir():
        files = [path for path in sorted(given.rglob("*")) if path.is_file()]
        by_name, by_stem = _grouped((f.name, f) for f in files), _grouped((f.stem, f) for f in files)
        names = [Path(utterance.audio_path) for utterance in utterances]
        found = [by_name.get(path.name) or by_stem.get(path.stem) or [] for path in names]
    else:
        by_id = _grouped((row.sample_id, Path(row.audio_path)) for row in read_manifest(given))
        found = [by_id.get(utterance.sample_id, []) for utterance in utterances]
    for utterance, paths in zip(utterances, found, strict=True):
        if len(paths) > 1:
            raise DataError(
                f"{given}: two references for {utterance.sample_id}: {paths[0]} and {paths[1]}; expected one"
            )
    return [paths[0] if paths else None for paths in found]


def _grouped(pairs: Iterable[tuple[str, Path]]) -> dict[str, list[Path]]:
    groups: dict[str, list[Path]] = {}
    for name, path in pairs:
        if path not in (group := groups.setdefault(name, [])):
            group.append(path)
    return groups


def contents(job: Job, indices: Iterable[int]) -> dict[int, Content]:
    """What the files of utterances hold, by utterance. References are read only where a metric asks for them."""
    pairs = {
        index: (
            Path(job.utterances[index].audio_path),
            job.references[index] if job.needs_reference else None,
        )
        for index in indices
    }
    paths = list(dict.fromkeys(path for pair in pairs.values() for path in pair if path is not None))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # hashing releases the GIL
        of_path = dict(zip(paths, pool.map(_hash, paths), strict=True))
    return {
        index: (of_path[audio], None if clean is None else of_path[clean])
        for index, (audio, clean) in pairs.items()
    }


def _hash(path: Path) -> str | Unreadable:
    try:
        # a pipe would wait for ever, and /dev/zero has no end
        if not stat.S_ISREG(path.stat().st_mode):
            return Unreadable(f"{path}: cannot read the audio: not a regular file")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        return Unreadable(f"{path}: cannot read the audio: {error.strerror}")
    except ValueError as error:  # a path with a NUL in it
        return Unreadable(f"{str(path)!r}: cannot read the audio: {error}")


def questions(job: Job, content: Mapping[int, Content]) -> Iterator[tuple[int, Adapter, Key | Unreadable]]:
    """Every result that the labels need: utterance, adapter, and its key in the log, or why there is none."""
    for index, (audio, clean) in content.items():
        for adapter, version in job.versions.items():
            labels = {job.stored[metric] for metric in adapter.labels if metric in job.stored}
            if not job.overwrite and labels <= job.utterances[index].metrics.keys():
                continue
            if adapter.needs_reference and clean is None:
                continue
            of_reference = clean if adapter.needs_reference and clean is not None else ""
            if isinstance(audio, Unreadable):
                yield index, adapter, audio
            elif isinstance(of_reference, Unreadable):
                yield index, adapter, of_reference
            else:
                yield index, adapter, (audio, of_reference, version)


def tasks(
    job: Job, content: Mapping[int, Content], known: Mapping[Key, Result], retry_errors: bool
) -> list[Task]:
    """What is to compute, clip by clip; each result once, however many utterances need it."""
    todo: dict[int, list[tuple[str, Key]]] = {}
    asked: set[Key] = set()
    for index, adapter, key in questions(job, content):
        if isinstance(key, Unreadable) or key in asked:
            continue
        found = known.get(key)
        if found is None or (found.error is not None and retry_errors):
            asked.add(key)
            todo.setdefault(index, []).append((adapter.labels[0], key))
    return [
        Task(Path(job.utterances[index].audio_path), job.references[index], results)
        for index, results in todo.items()
    ]
