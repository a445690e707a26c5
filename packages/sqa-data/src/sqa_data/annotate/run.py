"""Label a manifest with quality metrics: many at once, in parallel, each value computed once and never lost.

Every result is appended to a log beside the output as soon as it is there, keyed by what was heard (SHA-256
of the audio, and of the reference where one is used) and by what measured it (`Adapter.version`). So a run
that is killed goes on where it stopped, a clip met twice is computed once, and a renamed file keeps its
labels. The manifest with the labels is written at the end, from the log.
"""

import dataclasses
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqa_data.annotate.job import Content, Job, Unreadable, contents, questions, read_job, tasks
from sqa_data.annotate.log import Key, Result, all_finished, appending, read_logs, to_line
from sqa_data.annotate.workers import run
from sqa_data.atomic import atomic_write
from sqa_data.manifest import Utterance, write_manifest
from sqa_data.shares import Share

ALL = Share()


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
    opinion as the target of a model). `out`: the labelled manifest (default: NAME.labelled.jsonl
    beside `manifest`); its log is `out` with `.log` added, its error rows `.errors.jsonl`. `reference`: the
    clean speech, for full-reference metrics: a folder with files of the same names, or a manifest with the
    same sample_ids; default: the rows' own `reference_path`. `device`: where networks run; "cuda" under
    torchrun is each process's own. `share`: do this share of the clips only; whichever is finished last
    writes the manifest. `overwrite`: also replace labels that the manifest already has.
    `fast`: lower precision where an adapter offers it (recorded in the version). `compute=False`: write the
    manifest from what the log has. `progress(done, total)`: called as clips are finished.

    A clip that fails becomes an error row and is not tried again unless `retry_errors`. Raises `DataError`
    for what stops everything: unknown metric, package not installed, no reference, log of another program.
    """
    manifest = Path(manifest)
    out = Path(out) if out is not None else manifest.with_suffix(".labelled.jsonl")
    job = read_job(manifest, metrics, reference, fast, overwrite)
    log = Path(f"{out}.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    content = contents(job, share.of(range(len(job.utterances))))
    known = read_logs(log)
    computed = 0
    if compute:  # only writers need the log for themselves
        todo = tasks(job, content, known, retry_errors)
        with appending(share.path(log)) as opened:
            progress(0, len(todo))
            for done, results in enumerate(run(todo, jobs, _own(device), fast), start=1):
                for key, result in results:
                    known[key] = result
                    opened.write(key, result)
                    computed += 1
                progress(done, len(todo))
    rows, summary = _gather(job, content, known, computed)
    if share.count > 1:
        if not all_finished(log, share):
            return summary
        content = contents(job, range(len(job.utterances)))
        rows, whole = _gather(job, content, read_logs(log), computed)
        if whole.missing:  # a share was killed: its results are not there
            return dataclasses.replace(summary, missing=whole.missing)
        summary = whole
    _write(out, rows, job.references, summary.errors, relative)
    return dataclasses.replace(summary, out=out)


def _own(device: str) -> str:
    """The GPU of this process, where torchrun started several."""
    if device == "cuda" and "LOCAL_RANK" in os.environ:
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return device


def _gather(
    job: Job, content: Mapping[int, Content], known: Mapping[Key, Result], computed: int
) -> tuple[list[Utterance], Summary]:
    """The utterances whose content is given, with their labels."""
    labels = {index: dict(job.utterances[index].metrics) for index in content}
    failed: dict[int, dict[str, str]] = {}
    missing = 0
    for index, adapter, key in questions(job, content):
        asked = [metric for metric in adapter.labels if metric in job.stored]
        result = Result({}, key.error) if isinstance(key, Unreadable) else known.get(key)
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
    summary = Summary(
        out=None,
        clips=len(content),
        computed=computed,
        missing=missing,
        labelled={label: sum(label in found for found in labels.values()) for label in job.stored.values()},
        no_reference=sum(clean is None for _, clean in content.values()) if job.needs_reference else 0,
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
            file.writelines(map(to_line, errors))
    else:
        path.unlink(missing_ok=True)
