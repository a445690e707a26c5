"""Label a manifest with quality metrics: many at once, in parallel, each value computed once and never lost.

Every result is appended to a log beside the output as soon as it is there, keyed by what was heard (SHA-256
of the audio, and of the reference where one is used) and by what measured it (`Adapter.version`). So a run
that is killed goes on where it stopped, a clip met twice is computed once, and a renamed file keeps its
labels. The manifest with the labels is written at the end, from the log.
"""

import dataclasses
import hashlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import orjson

from .errors import DataError
from .manifest import Utterance, read_manifest, write_manifest
from .metrics import Adapter, Clip, ClipError, adapter_of

Key = tuple[str, str, str]  # audio hash, reference hash or "", adapter version


@dataclass(frozen=True)
class Result:
    """What one adapter said of one clip: values by label, or the error that it met."""

    values: Mapping[str, float]
    error: str | None = None


@dataclass(frozen=True)
class Summary:
    """What a run did. Counts are clips."""

    out: Path | None  # the labelled manifest; None for one shard of several
    clips: int
    computed: int  # results of this run, errors included
    labelled: Mapping[str, int]  # label -> clips that have it now
    no_reference: int  # clips that full-reference metrics passed over
    errors: Sequence[Mapping[str, str]]  # rows: sample_id, audio_path, metric, error


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

    `metrics`: labels of `sqa_data.metrics.LABELS`; "mos=distill_mos" stores one under another label (a teacher's
    opinion as the target of a model). `out`: the labelled manifest (default: NAME.labelled.jsonl
    beside `manifest`); its log is `out` with `.log` added, its error rows `.errors.jsonl`. `reference`: the
    clean speech, for full-reference metrics: a folder with files of the same names, or a manifest with the
    same sample_ids; default: the rows' own `reference_path`. `shard` (index, count): do this part of the
    clips only and write no manifest; when all parts are done, one run without it gathers them. `overwrite`:
    also replace labels that the manifest already has. `fast`: lower precision where an adapter offers it
    (recorded in the version). `compute=False`: write the manifest from what the log has.
    `progress(done, total)`: called as clips are finished.

    A clip that fails becomes an error row and is not tried again unless `retry_errors`. Raises `DataError`
    for what stops everything: unknown metric, package not installed, no reference at all, log of another
    program.
    """
    manifest = Path(manifest)
    out = Path(out) if out is not None else manifest.with_suffix(".labelled.jsonl")
    stored = _stored(metrics)
    wanted = list(dict.fromkeys(adapter_of(metric) for metric in stored))  # adapters in the order asked for
    versions = {adapter: adapter.version(fast) for adapter in wanted}
    utterances = read_manifest(manifest)
    references = _references(utterances, manifest, reference)
    if utterances and not any(references) and any(adapter.needs_reference for adapter in wanted):
        names = ", ".join(metric for metric in stored if adapter_of(metric).needs_reference)
        raise DataError(
            f"{manifest}: {names} need the clean reference, and no row has a reference_path; give --reference"
        )

    log = Path(f"{out}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    known = _read_logs(log)
    mine = range(len(utterances)) if shard is None else range(shard[0], len(utterances), shard[1])
    hashes, unreadable = _hashes(utterances, references, mine)

    tasks: dict[tuple[str, str], tuple[Clip, list[tuple[str, str, str]]]] = {}
    for index in mine if compute else ():
        if index in unreadable:
            continue
        audio_hash, reference_hash = hashes[index]
        for adapter in wanted:
            if adapter.needs_reference and not reference_hash:
                continue
            targets = {stored[label] for label in adapter.labels if label in stored}
            if not overwrite and targets <= set(utterances[index].metrics):
                continue
            key = (audio_hash, reference_hash if adapter.needs_reference else "", versions[adapter])
            found = known.get(key)
            if found is None or (found.error is not None and retry_errors):
                clip = Clip(Path(utterances[index].audio_path), references[index])
                todo = tasks.setdefault((audio_hash, reference_hash), (clip, []))[1]
                if (entry := (adapter.labels[0], *key[1:])) not in todo:
                    todo.append(entry)

    computed = 0
    if compute:  # only writers need the log for themselves
        with _Log(
            log if shard is None else log.with_name(f"{log.name}.{shard[0]}-of-{shard[1]}")
        ) as appending:
            progress(0, len(tasks))
            for done, (audio_hash, results) in enumerate(_run(tasks, jobs, device, fast), start=1):
                for reference_hash, version, result in results:
                    known[audio_hash, reference_hash, version] = result
                    appending.write(audio_hash, reference_hash, version, result)
                    computed += 1
                progress(done, len(tasks))

    return _gather(
        utterances, references, stored, wanted, versions, hashes, unreadable, known, mine,
        out=None if shard is not None else out, computed=computed, overwrite=overwrite, relative=relative,
        no_reference=sum(not references[i] for i in mine) if any(a.needs_reference for a in wanted) else 0,
    )  # fmt: skip


def _stored(metrics: Sequence[str]) -> dict[str, str]:
    """Metric -> the label it is stored under.

    >>> _stored(["pesq", "mos=distill_mos"])
    {'pesq': 'pesq', 'distill_mos': 'mos'}
    """
    pairs = [(metric.partition("=")[2] or metric, metric.partition("=")[0]) for metric in metrics]
    for name, what in ((0, "metric"), (1, "label")):
        names = [pair[name] for pair in pairs]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise DataError(f"--metrics: the {what} {twice[0]!r} is asked for twice")
    return dict(pairs)


def shard_of_environment() -> tuple[int, int] | None:
    """(RANK, WORLD_SIZE) as torchrun sets them, or None outside of it."""
    rank, size = os.environ.get("RANK"), os.environ.get("WORLD_SIZE")
    return (int(rank), int(size)) if rank and size and int(size) > 1 else None


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
        by_name = {path.name: path for path in sorted(given.rglob("*")) if path.is_file()}
        by_stem = {path.stem: path for path in by_name.values()}
        names = [Path(utterance.audio_path) for utterance in utterances]
        return [by_name.get(path.name) or by_stem.get(path.stem) for path in names]
    by_id = {utterance.sample_id: Path(utterance.audio_path) for utterance in read_manifest(given)}
    return [by_id.get(utterance.sample_id) for utterance in utterances]


def _hashes(
    utterances: Sequence[Utterance], references: Sequence[Path | None], indices: Iterable[int]
) -> tuple[dict[int, tuple[str, str]], dict[int, str]]:
    """For each index (hash of the audio, hash of the reference or ""), and the error of each file that
    cannot be read.
    """
    indices = list(indices)
    paths = {Path(utterances[i].audio_path) for i in indices} | {
        r for i in indices if (r := references[i]) is not None
    }
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:  # hashing releases the GIL
        of_path = dict(zip(paths, pool.map(_hash, paths), strict=True))
    hashes, unreadable = {}, {}
    for index in indices:
        audio = of_path[Path(utterances[index].audio_path)]
        clean = of_path[path] if (path := references[index]) is not None else ""
        for found in (audio, clean):
            if isinstance(found, OSError):
                unreadable[index] = f"{found.filename}: cannot read the audio: {found.strerror}"
        if index not in unreadable:
            hashes[index] = (str(audio), str(clean))
    return hashes, unreadable


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
        self._lock = self._alone()
        _drop_torn_end(self.path)
        self._file = self.path.open("ab", buffering=0)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._lock.release()

    def write(self, audio: str, reference: str, version: str, result: Result) -> None:
        row: dict[str, Any] = {"audio": audio, "reference": reference, "version": version}
        row |= {"values": dict(result.values)} if result.error is None else {"error": result.error}
        self._file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    def _alone(self) -> Any:
        import filelock

        lock = filelock.FileLock(f"{self.path}.lock", blocking=False)
        try:
            lock.acquire()
        except filelock.Timeout as error:
            raise DataError(
                f"{self.path}: another annotate is writing here; wait for it, or split with --shard"
            ) from error
        return lock


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

Todo = list[tuple[str, str, str]]  # label of the adapter, reference hash, version
Done = list[tuple[str, str, Result]]  # reference hash, version, result


def _run(
    tasks: Mapping[tuple[str, str], tuple[Clip, Todo]], jobs: int, device: str, fast: bool
) -> Iterator[tuple[str, Done]]:
    """(audio hash, results) for each task, as they are finished."""
    if not tasks:
        return
    if jobs <= 1:
        for (audio_hash, _), (clip, todo) in tasks.items():
            yield audio_hash, _measure(clip, todo, device, fast)
        return
    single = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    before = {name: os.environ.get(name) for name in single}
    os.environ.update(single)  # a worker is one thread: clips run side by side, not matrix products
    pool = ProcessPoolExecutor(
        jobs, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(os.getpid(),)
    )
    try:
        waiting: dict[Future[Done], str] = {}
        queue = iter(tasks.items())
        exhausted = False
        while waiting or not exhausted:
            while not exhausted and len(waiting) < 4 * jobs:
                if (item := next(queue, None)) is None:
                    exhausted = True
                    break
                (audio_hash, _), (clip, todo) = item
                waiting[pool.submit(_measure, clip, todo, device, fast)] = audio_hash
            for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                yield waiting.pop(future), future.result()
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process died (out of memory, or a crash in a metric's library); what is done is kept: "
            "run the same command again, with fewer --jobs"
        ) from error
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(parent: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle

    def watch() -> None:  # a parent that was killed with -9 tells nobody
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


_loaded: dict[tuple[str, str, bool], Any] = {}  # models of this process, by adapter, device and precision


def _measure(clip: Clip, todo: Todo, device: str, fast: bool) -> Done:
    """All that is to do for one clip."""
    done = []
    for label, reference_hash, version in todo:
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
        except (ValueError, RuntimeError, ArithmeticError, LookupError, AssertionError) as error:
            # the library met a clip that it was not made for: said in a row of its own, never averaged over
            result = Result({}, f"{clip.path}: {label}: {type(error).__name__}: {error}")
        done.append((reference_hash, version, result))
    return done


def _load(adapter: Adapter, device: str, fast: bool) -> Any:
    key = (adapter.load, device, fast)
    if key not in _loaded:
        import importlib

        module, function = adapter.load.split(":")
        try:
            _loaded[key] = getattr(importlib.import_module(f"sqa_data.metrics.{module}"), function)(
                device, fast
            )
        except ImportError as error:
            raise DataError(f"{', '.join(adapter.labels)}: {error}; {adapter.install}") from error
        except OSError as error:
            raise DataError(
                f"{', '.join(adapter.labels)}: cannot load its weights: {error}; they come from the network once: "
                "connect, or bring the cache of a machine that has them"
            ) from error
    return _loaded[key]


# ---- the labelled manifest -----------------------------------------------------------------------


def _gather(
    utterances: Sequence[Utterance],
    references: Sequence[Path | None],
    stored: Mapping[str, str],
    wanted: Sequence[Adapter],
    versions: Mapping[Adapter, str],
    hashes: Mapping[int, tuple[str, str]],
    unreadable: Mapping[int, str],
    known: Mapping[Key, Result],
    mine: Iterable[int],
    *,
    out: Path | None,
    computed: int,
    overwrite: bool,
    relative: bool,
    no_reference: int,
) -> Summary:
    labelled: Counter[str] = Counter()
    errors: list[dict[str, str]] = []
    rows: list[Utterance] = []
    for index in mine:
        utterance = utterances[index]
        labels = dict(utterance.metrics)

        def failed(metric: str, error: str, utterance: Utterance = utterance) -> None:
            errors.append(
                {
                    "sample_id": utterance.sample_id,
                    "audio_path": utterance.audio_path,
                    "metric": metric,
                    "error": error,
                }
            )

        if index in unreadable:
            failed(",".join(stored), unreadable[index])
        for adapter in wanted if index in hashes else ():
            audio_hash, reference_hash = hashes[index]
            result = known.get(
                (audio_hash, reference_hash if adapter.needs_reference else "", versions[adapter])
            )
            if result is None:
                continue
            if result.error is not None:
                failed(adapter.labels[0], result.error)
            for metric, value in result.values.items():
                if (label := stored.get(metric)) is not None and (
                    overwrite or label not in utterance.metrics
                ):
                    labels[label] = value
        labelled.update(label for label in stored.values() if label in labels)
        extra = dict(utterance.extra)
        if out is not None and (clean := references[index]) is not None:
            extra["reference_path"] = (
                os.path.relpath(clean, out.absolute().parent) if relative else str(clean.absolute())
            )
        rows.append(dataclasses.replace(utterance, metrics=labels, extra=extra))
    if out is not None:
        write_manifest(out, rows, relative=relative)
        _write_errors(out.with_name(out.name + ".errors.jsonl"), errors)
    counts = {label: labelled[label] for label in stored.values()}
    return Summary(out, len(rows), computed, counts, no_reference, errors)


def _write_errors(path: Path, errors: Sequence[Mapping[str, str]]) -> None:
    """One line an error; no file where there are none (and none of an earlier run stays)."""
    if errors:
        part = path.with_name(path.name + ".part")
        part.write_bytes(b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in errors))
        part.replace(path)
    else:
        path.unlink(missing_ok=True)
