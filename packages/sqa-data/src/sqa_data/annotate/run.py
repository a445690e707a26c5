"""Label a manifest with quality metrics: many at once, in parallel, each value computed once and never lost.

Every result is appended to a log beside the output as soon as it is there, keyed by what was heard (SHA-256
of the audio, and of the reference where one is used) and by what measured it (`Adapter.version`). So a run
that is killed goes on where it stopped, a clip met twice is computed once, and a renamed file keeps its
labels. The manifest with the labels is written at the end, from the log.
"""

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from sqa_data.annotate.log import Key, Result, all_finished, append, appending, read_logs
from sqa_data.annotate.workers import Task, run
from sqa_data.atomic import atomic_write
from sqa_data.clip_list import list_clips
from sqa_data.errors import DataError
from sqa_data.labellers import Adapter, adapter_of
from sqa_data.lines import json_line
from sqa_data.manifest import Utterance, read_manifest, write_manifest
from sqa_data.shares import Share

ALL = Share()
# hash of the audio, of the reference if there is one; for a file that cannot be read, the error
Content = tuple[str | Result, str | Result | None]


@dataclass(frozen=True)
class Summary:
    """What a run did. Counts are clips."""

    out: Path | None  # the labelled manifest; None for a share that is not the last one to finish
    clips: int
    computed: int  # results of this run, errors included
    missing: int  # results that nobody has computed yet (other shares, `compute=False`)
    labelled: Mapping[str, int]  # label -> clips that have it now
    no_reference: int  # clips that full-reference metrics passed over
    errors: Sequence[Mapping[str, str]]  # one row a failing clip: sample_id, audio_path, metric, error
    # one row a labelled clip that may mislead: sample_id, audio_path, warning
    warnings: Sequence[Mapping[str, str]]


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


def annotate(
    manifest: str | Path,
    metrics: Sequence[str],
    *,
    out: str | Path | None = None,
    reference: str | Path | None = None,
    jobs: int = 1,
    device: str = "cpu",
    fast: bool = False,
    share: Share = ALL,
    overwrite: bool = False,
    retry_errors: bool = False,
    relative: bool = False,
    compute: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """Add metric labels to the utterances of a manifest.

    `metrics`: labels of `sqa_data.labellers.LABELS`; "mos=distill_mos" stores one under another label (a teacher's
    opinion as the target of a model). `out`: the labelled manifest (default: NAME.labelled.jsonl beside `manifest`);
    its log is `out` with `.log` added, its error rows `.errors.jsonl`, what may mislead `.warnings.jsonl`.
    `reference`: the clean speech, for full-reference metrics: a folder with files of the same names, or a manifest
    with the same sample_ids; default: the rows' own `reference_path`. `device`: where networks run; "cuda" under
    torchrun is each process's own. `share`: do this share of the clips only; whichever is finished last writes the
    manifest. `overwrite`: also replace labels that the manifest already has. `fast`: lower precision where an adapter
    offers it (recorded in the version). `compute=False`: write the manifest from what the log has.
    `progress(done, total)`: called as clips are finished.

    A clip that fails becomes an error row and is not tried again unless `retry_errors`. Raises `DataError`
    for what stops everything: unknown metric, package not installed, no reference, log of another program.
    """
    manifest = Path(manifest)
    out = Path(out) if out is not None else manifest.with_suffix(".labelled.jsonl")
    job = _read_job(manifest, metrics, reference, fast, overwrite)
    log = Path(f"{out}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    content = _contents(job, share.of(range(len(job.utterances))))
    known = read_logs(log)
    computed = 0
    if compute:  # only writers need the log for themselves
        todo = _tasks(job, content, known, retry_errors)
        with appending(share.path(log)) as opened:
            progress(0, len(todo))
            for done, results in enumerate(run(todo, jobs, _own(device), fast), start=1):
                for key, result in results:
                    known[key] = result
                    append(opened, key, result)
                    computed += 1
                progress(done, len(todo))
    rows, summary = _gather(job, content, known, computed)
    if share.count > 1:
        if not all_finished(log, share):
            return summary
        content = _contents(job, range(len(job.utterances)))
        rows, whole = _gather(job, content, read_logs(log), computed)
        if whole.missing:  # a share was killed: its results are not there
            return replace(summary, missing=whole.missing)
        summary = whole
    _write(out, rows, job.references, summary, relative)
    return replace(summary, out=out)


def _own(device: str) -> str:
    """The GPU of this process, where torchrun started several."""
    own = os.environ.get("LOCAL_RANK")
    return f"cuda:{own}" if device == "cuda" and own is not None else device


# ---- what is asked: clips, their references, what they hold ----------------------------------------


def _read_job(
    manifest: Path, metrics: Sequence[str], reference: str | Path | None, fast: bool, overwrite: bool
) -> Job:
    """Read and check what is asked; `DataError` for what stops everything."""
    stored = labels_asked(metrics)
    versions = {adapter: adapter.version(fast) for adapter in dict.fromkeys(map(adapter_of, stored))}
    utterances = read_manifest(manifest)
    job = Job(utterances, _references(utterances, manifest, reference), stored, versions, overwrite)
    if not any(job.references) and job.needs_reference:
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
    for what, names in zip(("metric", "label"), zip(*pairs, strict=True), strict=True):
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise DataError(f"--metrics: the {what} {twice[0]!r} is asked for twice")
    return dict(pairs)


def _references(
    utterances: Sequence[Utterance], manifest: Path, given: str | Path | None
) -> list[Path | None]:
    """The reference of each utterance, or None."""
    if given is None:
        base = manifest.absolute().parent
        rows = [utterance.extra.get("reference_path") for utterance in utterances]
        return [None if not path else Path(os.path.normpath(base / str(path))) for path in rows]
    given = Path(given)
    if given.is_dir():
        files = [Path(entry.audio_path) for entry in list_clips([given]).entries]
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
    """The paths of each name, each path once."""
    groups = defaultdict[str, dict[Path, None]](dict)
    for name, path in pairs:
        groups[name][path] = None
    return {name: list(paths) for name, paths in groups.items()}


def _contents(job: Job, indices: Iterable[int]) -> dict[int, Content]:
    """What the files of utterances hold, by utterance. References are read only where a metric asks for them."""
    wanted = {
        i: (Path(job.utterances[i].audio_path), job.references[i] if job.needs_reference else None)
        for i in indices
    }
    paths = list(dict.fromkeys(path for pair in wanted.values() for path in pair if path is not None))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # hashing releases the GIL
        of_path = dict(zip(paths, pool.map(_hash, paths), strict=True))
    return {i: (of_path[audio], of_path[clean] if clean else None) for i, (audio, clean) in wanted.items()}


def _hash(path: Path) -> str | Result:
    try:
        # a pipe would wait for ever, and /dev/zero has no end
        if not stat.S_ISREG(path.stat().st_mode):
            return Result({}, f"{path}: cannot read the audio: not a regular file")
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        return Result({}, f"{path}: cannot read the audio: {error.strerror}")
    except ValueError as error:  # a path with a NUL in it
        return Result({}, f"{str(path)!r}: cannot read the audio: {error}")


def _questions(job: Job, content: Mapping[int, Content]) -> Iterator[tuple[int, Adapter, Key | Result]]:
    """Every result that the labels need: utterance, adapter, and its key in the log, or the error in place of one."""
    for index, (audio, clean) in content.items():
        for adapter, version in job.versions.items():
            labels = {job.stored[metric] for metric in adapter.labels if metric in job.stored}
            if not job.overwrite and labels <= job.utterances[index].metrics.keys():
                continue
            if adapter.needs_reference and clean is None:
                continue
            of_reference = clean if adapter.needs_reference and clean is not None else ""
            if isinstance(audio, Result):
                yield index, adapter, audio
            elif isinstance(of_reference, Result):
                yield index, adapter, of_reference
            else:
                yield index, adapter, (audio, of_reference, version)


def _tasks(
    job: Job, content: Mapping[int, Content], known: Mapping[Key, Result], retry_errors: bool
) -> list[Task]:
    """What is to compute, clip by clip; each result once, however many utterances need it."""
    todo = defaultdict[int, list[tuple[str, Key]]](list)
    asked: set[Key] = set()
    for index, adapter, key in _questions(job, content):
        if isinstance(key, Result) or key in asked:
            continue
        found = known.get(key)
        if found is None or (found.error is not None and retry_errors):
            asked.add(key)
            todo[index].append((adapter.labels[0], key))
    return [
        Task(Path(job.utterances[i].audio_path), job.references[i], results) for i, results in todo.items()
    ]


# ---- the labelled manifest -------------------------------------------------------------------------


def _gather(
    job: Job, content: Mapping[int, Content], known: Mapping[Key, Result], computed: int
) -> tuple[list[Utterance], Summary]:
    """The utterances whose content is given, with their labels."""
    labels = {index: dict(job.utterances[index].metrics) for index in content}
    failed = defaultdict[int, dict[str, str]](dict)
    warned = defaultdict[int, dict[str, None]](dict)
    missing = 0
    for index, adapter, key in _questions(job, content):
        asked = [metric for metric in adapter.labels if metric in job.stored]
        result = key if isinstance(key, Result) else known.get(key)
        if result is None:
            missing += 1
        elif result.error is not None:
            failed[index][",".join(asked)] = (
                result.error if result is key else _about(job, index, result.error)
            )
        else:
            warned[index] |= dict.fromkeys(result.warnings)
            for metric in asked:
                label = job.stored[metric]
                if job.overwrite or label not in job.utterances[index].metrics:
                    labels[index][label] = result.values[metric]
    errors = [
        {**_named(job, index), "metric": ",".join(said), "error": "; ".join(dict.fromkeys(said.values()))}
        for index, said in failed.items()
    ]
    warnings = [{**_named(job, i), "warning": "; ".join(said)} for i, said in warned.items() if said]
    summary = Summary(
        out=None,
        clips=len(content),
        computed=computed,
        missing=missing,
        labelled={label: sum(label in found for found in labels.values()) for label in job.stored.values()},
        no_reference=sum(clean is None for _, clean in content.values()) if job.needs_reference else 0,
        errors=errors,
        warnings=warnings,
    )
    return [replace(job.utterances[i], metrics=found) for i, found in labels.items()], summary


def _named(job: Job, index: int) -> dict[str, str]:
    """How a row about a clip begins."""
    utterance = job.utterances[index]
    return {"sample_id": utterance.sample_id, "audio_path": utterance.audio_path}


def _about(job: Job, index: int, error: str) -> str:
    """An error of the log, which is about all clips with one content, as one about this clip; 0.1.0 wrote paths."""
    path = str(Path(job.utterances[index].audio_path))
    return error if error.startswith(f"{path}: ") else f"{path}: {error}"


def _write(
    out: Path,
    rows: Iterable[Utterance],
    references: Iterable[Path | None],
    summary: Summary,
    relative: bool,
) -> None:
    """The labelled manifest, with the references that were used; one line an error or warning, each in its file."""
    folder = out.absolute().parent
    placed = []
    for row, clean in zip(rows, references, strict=True):
        if clean is not None:
            path = os.path.relpath(clean, folder) if relative else str(clean.absolute())
            row = replace(row, extra={**row.extra, "reference_path": path})
        placed.append(row)
    write_manifest(out, placed, relative=relative)
    for kind, told in (("errors", summary.errors), ("warnings", summary.warnings)):
        beside = out.with_name(f"{out.name}.{kind}.jsonl")
        if told:
            with atomic_write(beside) as file:
                file.writelines(map(json_line, told))
        else:
            beside.unlink(missing_ok=True)  # none of an earlier run stays
