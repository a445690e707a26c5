"""Label a manifest with quality metrics: many at once, in parallel, each value computed once and never lost.

Every result is appended to a log beside the output as soon as it is there, keyed by what was heard (SHA-256
of the audio, and of the reference where one is used) and by what measured it (`Adapter.version`). So a run
that is killed goes on where it stopped, a clip met twice is computed once, and a renamed file keeps its
labels. The manifest with the labels is written at the end, from the log.
"""

import dataclasses
import errno
import hashlib
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import filelock
import orjson

from sqa_data.atomic import atomic_write
from sqa_data.errors import DataError
from sqa_data.labellers import Adapter, Clip, ClipError, adapter_of
from sqa_data.manifest import Utterance, read_manifest, write_manifest

Heard = tuple[str | OSError, str | OSError | None]  # hash of the audio, of the reference if there is one
Key = tuple[str, str, str]  # audio hash, reference hash or "", adapter version
Todo = list[tuple[str, Key]]  # a label of the adapter, what its result will be known by
Done = list[tuple[Key, "Result"]]


@dataclass(frozen=True)
class Result:
    """What one adapter said of one clip: values by label, or the error that it met."""

    values: Mapping[str, float]
    error: str | None = None


@dataclass(frozen=True)
class Summary:
    """What a run did. Counts are clips."""

    out: Path | None  # the labelled manifest; None for a shard that is not the last one to finish
    clips: int
    computed: int  # results of this run, errors included
    missing: int  # results that nobody has computed yet (other shards, `compute=False`)
    labelled: Mapping[str, int]  # label -> clips that have it now
    no_reference: int  # clips that full-reference metrics passed over
    errors: Sequence[Mapping[str, str]]  # one row a failing clip: sample_id, audio_path, metric, error


@dataclass(frozen=True)
class _Job:
    """What is asked, once it has been read and checked."""

    utterances: Sequence[Utterance]
    references: Sequence[Path | None]
    stored: Mapping[str, str]  # metric -> the label it is stored under
    versions: Mapping[Adapter, str]  # in the order asked for
    overwrite: bool


def annotate(
    manifest: str | Path,
    metrics: Sequence[str],
    *,
    out: str | Path | None = None,
    reference: str | Path | None = None,
    jobs: int = 1,
    device: str = "cpu",
    fast: bool = False,
    shard: tuple[int, int] | None = None,
    overwrite: bool = False,
    retry_errors: bool = False,
    relative: bool = False,
    compute: bool = True,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Summary:
    """Add metric labels to the utterances of a manifest.

    `metrics`: labels of `sqa_data.labellers.LABELS`; "mos=distill_mos" stores one under another label (a teacher's
    opinion as the target of a model). `out`: the labelled manifest (default: NAME.labelled.jsonl
    beside `manifest`); its log is `out` with `.log` added, its error rows `.errors.jsonl`. `reference`: the
    clean speech, for full-reference metrics: a folder with files of the same names, or a manifest with the
    same sample_ids; default: the rows' own `reference_path`. `device`: where networks run; "cuda" under
    torchrun is each process's own. `shard` (index from 1, count): do this part of the clips only; whichever
    part is finished last writes the manifest. `overwrite`: also replace labels that the manifest already has.
    `fast`: lower precision where an adapter offers it (recorded in the version). `compute=False`: write the
    manifest from what the log has. `progress(done, total)`: called as clips are finished.

    A clip that fails becomes an error row and is not tried again unless `retry_errors`. Raises `DataError`
    for what stops everything: unknown metric, package not installed, no reference at all, log of another
    program.
    """
    manifest = Path(manifest)
    out = Path(out) if out is not None else manifest.with_suffix(".labelled.jsonl")
    stored = _stored(metrics)
    versions = {adapter: adapter.version(fast) for adapter in dict.fromkeys(map(adapter_of, stored))}
    utterances = read_manifest(manifest)
    references = _references(utterances, manifest, reference)
    job = _Job(utterances, references, stored, versions, overwrite)
    if utterances and not any(references) and any(adapter.needs_reference for adapter in versions):
        names = ", ".join(metric for metric in stored if adapter_of(metric).needs_reference)
        raise DataError(
            f"{manifest}: {names} need the clean reference, and no row has a reference_path; give --reference"
        )
    if device == "cuda" and "LOCAL_RANK" in os.environ:
        device = f"cuda:{os.environ['LOCAL_RANK']}"

    log = Path(f"{out}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    index, count = shard or (1, 1)
    heard = _hashes(job, range(index - 1, len(utterances), count))
    known = _read_logs(log)
    computed = 0
    if compute:  # only writers need the log for themselves
        tasks = _tasks(job, heard, known, retry_errors)
        with _Log(_part(log, shard)) as appending:
            progress(0, len(tasks))
            for done, results in enumerate(_run(job, tasks, jobs, device, fast), start=1):
                for key, result in results:
                    known[key] = result
                    appending.write(key, result)
                    computed += 1
                progress(done, len(tasks))
    rows, summary = _gather(job, heard, known, computed)
    if shard is not None:
        if not _all_finished(log, count):
            return summary
        heard = _hashes(job, range(len(utterances)))
        rows, whole = _gather(job, heard, _read_logs(log), computed)
        if whole.missing:  # a part was killed: its results are not there
            return dataclasses.replace(summary, missing=whole.missing)
        summary = whole
    _write(out, rows, references, summary.errors, relative)
    return dataclasses.replace(summary, out=out)


def _stored(metrics: Sequence[str]) -> dict[str, str]:
    """Metric -> the label it is stored under.

    >>> _stored(["pesq", "mos=distill_mos"])
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


def shard_of_environment() -> tuple[int, int] | None:
    """(RANK + 1, WORLD_SIZE) as torchrun sets them, or None outside of it."""
    rank, size = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    return (int(rank) + 1, int(size)) if rank and size and int(size) > 1 else None


# ---- what is asked: clips, references, hashes ----------------------------------------------------


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


def _hashes(job: _Job, indices: Iterable[int]) -> dict[int, Heard]:
    """What is heard, by utterance. References are read only where a metric asks for them."""
    with_reference = any(adapter.needs_reference for adapter in job.versions)
    pairs = {
        index: (Path(job.utterances[index].audio_path), job.references[index] if with_reference else None)
        for index in indices
    }
    paths = list(dict.fromkeys(path for pair in pairs.values() for path in pair if path is not None))
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # hashing releases the GIL
        of_path = dict(zip(paths, pool.map(_hash, paths), strict=True))
    return {
        index: (of_path[audio], None if clean is None else of_path[clean])
        for index, (audio, clean) in pairs.items()
    }


def _hash(path: Path) -> str | OSError:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        return error


# ---- the log -------------------------------------------------------------------------------------


class _Log:
    """Appends one line a result; a line is written by one call, so that a killed run tears at most the last
    one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> "_Log":
        self._lock = _alone(self.path)
        self._lock.__enter__()
        _drop_torn_end(self.path)
        self._file = self.path.open("ab", buffering=0)
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.close()
        self._lock.__exit__(*error)

    def write(self, key: Key, result: Result) -> None:
        row: dict[str, Any] = dict(zip(("audio", "reference", "version"), key, strict=True))
        row |= {"values": dict(result.values)} if result.error is None else {"error": result.error}
        line = orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)
        if self._file.write(line) != len(line):  # what follows must not be glued to half a line
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))


@contextmanager
def _alone(log: Path) -> Iterator[None]:
    """Hold the right to write; `DataError` where another process has it."""
    lock = filelock.FileLock(f"{log}.lock", timeout=1)  # `_all_finished` of another holds it for a moment
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise DataError(
            f"{log}: another annotate is writing here; wait for it, or split with --shard"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _part(log: Path, shard: tuple[int, int] | None) -> Path:
    """The log of one shard."""
    return log if shard is None else log.with_name(f"{log.name}.{shard[0]}-of-{shard[1]}")


def _all_finished(log: Path, count: int) -> bool:
    """Whether every shard has begun and none is at work."""
    for part in (_part(log, (index, count)) for index in range(1, count + 1)):
        if not part.exists():
            return False
        lock = filelock.FileLock(f"{part}.lock", blocking=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            return False
        lock.release()
    return True


def _read_logs(log: Path) -> dict[Key, Result]:
    """Every result of the log and of its shards' logs; of two for one key the later one, values before
    errors.
    """
    known: dict[Key, Result] = {}
    for path in [log, *sorted(log.parent.glob(f"{log.name}.*-of-*"))]:
        if not path.exists() or path.suffix == ".lock":
            continue
        for number, line in enumerate(path.read_bytes().splitlines(keepends=True), start=1):
            if not line.endswith(b"\n"):
                break  # torn by a kill; written again
            try:
                row = orjson.loads(line)
                key = (row["audio"], row["reference"], row["version"])
                result = Result(row.get("values", {}), row.get("error"))
            except (orjson.JSONDecodeError, KeyError, TypeError) as error:
                raise DataError(
                    f"{path}:{number}: not a line of a label log; move the file away and run again"
                ) from error
            if result.error is None or key not in known:
                known[key] = result
    return known


def _drop_torn_end(path: Path) -> None:
    """Cut a last line that has no end (a run was killed while writing it)."""
    if path.exists():
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(path, whole)


# ---- the work ------------------------------------------------------------------------------------


def _questions(job: _Job, heard: Mapping[int, Heard]) -> Iterator[tuple[int, Adapter, Key | Result]]:
    """Every result that the labels need: utterance, adapter, and its key in the log; or, of a file that
    cannot be read, the error.
    """
    for index, (audio, clean) in heard.items():
        for adapter, version in job.versions.items():
            labels = {job.stored[metric] for metric in adapter.labels if metric in job.stored}
            if not job.overwrite and labels <= job.utterances[index].metrics.keys():
                continue
            if adapter.needs_reference and clean is None:
                continue
            of_reference = clean if adapter.needs_reference and clean is not None else ""
            if isinstance(audio, OSError):
                yield index, adapter, _unreadable(audio)
            elif isinstance(of_reference, OSError):
                yield index, adapter, _unreadable(of_reference)
            else:
                yield index, adapter, (audio, of_reference, version)


def _unreadable(error: OSError) -> Result:
    return Result({}, f"{error.filename}: cannot read the audio: {error.strerror}")


def _tasks(
    job: _Job, heard: Mapping[int, Heard], known: Mapping[Key, Result], retry_errors: bool
) -> dict[int, Todo]:
    """What is to compute, by utterance; each result once, however many utterances need it."""
    tasks: dict[int, Todo] = {}
    asked: set[Key] = set()
    for index, adapter, key in _questions(job, heard):
        if isinstance(key, Result) or key in asked:
            continue
        found = known.get(key)
        if found is None or (found.error is not None and retry_errors):
            asked.add(key)
            tasks.setdefault(index, []).append((adapter.labels[0], key))
    return tasks


def _run(job: _Job, tasks: Mapping[int, Todo], jobs: int, device: str, fast: bool) -> Iterator[Done]:
    """The results of each task, as they are finished."""
    items = [(Path(job.utterances[i].audio_path), job.references[i], todo) for i, todo in tasks.items()]
    if jobs <= 1:
        for item in items:
            yield _measure(*item, device, fast)
        return
    queue = iter(items)
    while suspects := (yield from _in_pool(queue, jobs, device, fast)):
        # A worker died. One result at a time: what kills a worker of its own is to blame.
        alone = [(path, reference, [entry]) for path, reference, todo in suspects for entry in todo]
        fatal = []
        for item in alone:
            fatal += yield from _in_pool(iter([item]), 1, device, fast)
        if len(fatal) == len(alone) > 1:
            raise DataError(
                "worker processes die whatever they do (out of memory, or a broken library); what is done is "
                "kept: run the same command again, with fewer --jobs"
            )
        for path, _, [(label, key)] in fatal:
            yield [(key, Result({}, f"{path}: {label}: the process died (crash, or out of memory)"))]


Item = tuple[Path, Path | None, Todo]


def _in_pool(queue: Iterator[Item], jobs: int, device: str, fast: bool) -> Generator[Done, None, list[Item]]:
    """Run items in worker processes. Returns, where one of these died, the items that were under way."""
    single = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in single}
    os.environ.update(single)  # a worker is one thread: clips run side by side, not matrix products
    pool = ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(os.getpid(),)
    )
    waiting: dict[Future[Done], Item] = {}
    lost: list[Item] = []
    failure: BaseException | None = None
    try:
        while True:
            while not lost and len(waiting) < 4 * jobs and (item := next(queue, None)) is not None:
                try:
                    with _ctrl_c_later():  # a worker started here inherits that: Ctrl-C is ours to handle
                        waiting[pool.submit(_measure, *item, device, fast)] = item
                except BrokenProcessPool:
                    lost.append(item)
            if not waiting:
                return lost
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                item = waiting.pop(future)
                error = future.exception()
                if isinstance(error, BrokenProcessPool):
                    lost.append(item)
                elif error is None:
                    yield future.result()  # also of those that end beside a failing one
                else:
                    failure = error
            if failure is not None:
                raise failure
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _ctrl_c_later() -> Iterator[None]:
    """Hold SIGINT back until the end of the block; for the life of a process that is started in it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(parent: int) -> None:
    def watch() -> None:  # a parent that was killed with -9 tells nobody
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


_loaded: dict[tuple[str, str, bool], Any] = {}  # models of this process, by adapter, device and precision


def _measure(path: Path, reference: Path | None, todo: Todo, device: str, fast: bool) -> Done:
    """All that is to do for one clip."""
    clip = Clip(path, reference)  # holds the decoded audio, so it lives no longer than this call
    done = []
    for label, key in todo:
        score = _load(adapter_of(label), device, fast)
        try:
            values = score(clip)
            wrong = [name for name, value in values.items() if value != value or abs(value) == float("inf")]
            result = (
                Result(values)
                if not wrong
                else Result({}, f"{clip.path}: {', '.join(wrong)}: not a finite number")
            )
        except ClipError as error:
            result = Result({}, str(error))
        except _library_errors() as error:
            # the library met a clip that it was not made for: said in a row of its own, never averaged over
            result = Result({}, f"{clip.path}: {label}: {type(error).__name__}: {error}")
        done.append((key, result))
    return done


def _library_errors() -> tuple[type[Exception], ...]:
    """What libraries raise about their input. onnxruntime's errors have no base but `Exception`."""
    usual = (ValueError, RuntimeError, ArithmeticError, LookupError, AssertionError)
    onnxruntime = sys.modules.get("onnxruntime.capi.onnxruntime_pybind11_state")
    named = vars(onnxruntime).values() if onnxruntime else ()
    return (*usual, *(kind for kind in named if isinstance(kind, type) and issubclass(kind, Exception)))


def _load(adapter: Adapter, device: str, fast: bool) -> Any:
    key = (adapter.load, device, fast)
    if key not in _loaded:
        import importlib

        module, function = adapter.load.split(":")
        # of several processes one downloads the weights and the others find them, not half of them
        lock = Path(tempfile.gettempdir()) / f"sqa-data-weights-{os.getuid()}.lock"
        try:
            with filelock.FileLock(lock) if module == "hub" else nullcontext():
                load = getattr(importlib.import_module(f"sqa_data.labellers.{module}"), function)
                _loaded[key] = load(device, fast)
        except ImportError as error:
            raise DataError(f"{', '.join(adapter.labels)}: {error}; {adapter.install}") from error
        except OSError as error:
            raise DataError(
                f"{', '.join(adapter.labels)}: cannot load its weights: {error}; they come from the network once: "
                "connect, or bring the cache of a machine that has them"
            ) from error
        except (RuntimeError, AssertionError) as error:  # torch, of a device that is not there
            said = str(error).partition("\n")[0]
            raise DataError(f"{', '.join(adapter.labels)}: cannot run on {device!r}: {said}") from error
    return _loaded[key]


# ---- the labelled manifest -----------------------------------------------------------------------


def _gather(
    job: _Job, heard: Mapping[int, Heard], known: Mapping[Key, Result], computed: int
) -> tuple[list[Utterance], Summary]:
    """The utterances that were heard, with their labels."""
    labels = {index: dict(job.utterances[index].metrics) for index in heard}
    failed: dict[int, dict[str, str]] = {}
    missing = 0
    for index, adapter, key in _questions(job, heard):
        asked = [metric for metric in adapter.labels if metric in job.stored]
        result = key if isinstance(key, Result) else known.get(key)
        if result is None:
            missing += 1
        elif result.error is not None:
            failed.setdefault(index, {})[",".join(asked)] = result.error
        else:
            for metric in asked:
                label = job.stored[metric]
                if job.overwrite or label not in job.utterances[index].metrics:
                    labels[index][label] = result.values[metric]
    errors = [
        {
            "sample_id": job.utterances[index].sample_id,
            "audio_path": job.utterances[index].audio_path,
            "metric": ",".join(said),
            "error": "; ".join(dict.fromkeys(said.values())),
        }
        for index, said in failed.items()
    ]
    needed = any(adapter.needs_reference for adapter in job.versions)
    summary = Summary(
        out=None,
        clips=len(heard),
        computed=computed,
        missing=missing,
        labelled={label: sum(label in found for found in labels.values()) for label in job.stored.values()},
        no_reference=sum(clean is None for _, clean in heard.values()) if needed else 0,
        errors=errors,
    )
    return [dataclasses.replace(job.utterances[i], metrics=found) for i, found in labels.items()], summary


def _write(
    out: Path,
    rows: Iterable[Utterance],
    references: Iterable[Path | None],
    errors: Sequence[Mapping[str, str]],
    relative: bool,
) -> None:
    """The labelled manifest, with the references that were used, and the error rows."""
    folder = out.absolute().parent
    placed = []
    for row, clean in zip(rows, references, strict=True):
        if clean is not None:
            path = os.path.relpath(clean, folder) if relative else str(clean.absolute())
            row = dataclasses.replace(row, extra={**row.extra, "reference_path": path})
        placed.append(row)
    write_manifest(out, placed, relative=relative)
    _write_errors(out.with_name(out.name + ".errors.jsonl"), errors)


def _write_errors(path: Path, errors: Sequence[Mapping[str, str]]) -> None:
    """One line an error; no file where there are none (and none of an earlier run stays)."""
    if errors:
        with atomic_write(path) as file:
            file.writelines(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in errors)
    else:
        path.unlink(missing_ok=True)
