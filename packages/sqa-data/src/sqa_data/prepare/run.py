"""From the files of a corpus to its manifests: labels -> ratings -> MOS, joined with the audio that is really there.

RAW/NAME/                     archives as published, or what they unpack to
OUT/NAME/SPLIT/data.jsonl     the manifest, sorted by sample_id
OUT/NAME/SPLIT/ratings.jsonl  one rating a line, where ratings are published
OUT/NAME/SPLIT/pairs.jsonl    one pair a line, where listeners compared clips
OUT/NAME/prepared.json        counts and hashes of source and result
OUT/NAME/problems.jsonl       what did not fit together
"""

import functools
import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Literal, TypeVar

from sqa_data.atomic import lock
from sqa_data.audio import AudioInfo, look
from sqa_data.corpus import Corpus, Rating, Sample, get_corpus
from sqa_data.errors import DataError
from sqa_data.manifest import Utterance
from sqa_data.prepare.opinions import renamed, utterances
from sqa_data.prepare.records import (
    begin,
    fingerprint,
    finish,
    require_unedited,
    source_notes,
    write_next,
)
from sqa_data.prepare.surprises import require_columns, require_counts
from sqa_data.prepare.unpack import label_files, require_audio, unpack_corpus
from sqa_data.prepare.writer import Fault, SplitCount, Writer
from sqa_data.sources.archives import Progress

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `prepare` did for one corpus."""

    corpus: str
    manifests: dict[str, Path]  # split -> file
    counts: dict[str, SplitCount]
    problems: dict[str, int]  # kind (missing, unreadable, empty, rate, pair, split, label) -> how many
    notes: tuple[str, ...]  # for people: counts unlike the published ones, a source that changed


def prepare(
    name: str,
    raw: str | Path,
    out: str | Path,
    *,
    partial: bool = False,
    jobs: int = 4,
    relative: bool = False,
    force: bool = False,
    labels: Literal["true", "baseline"] = "true",
    ids: Literal["ours", "baseline"] = "ours",
    accept_layout: bool = False,
    progress: Progress | None = None,
) -> Prepared:
    """Write the manifests of one corpus from `raw`/NAME to `out`/NAME.

    The same files give the same bytes. Every clip that is missing, unreadable, empty or of another rate than
    published is listed in `problems.jsonl`; one such clip is an error (and no manifest changes) unless
    `partial`, which leaves it out (a clip of another rate stays). A manifest that was edited since the last
    time is only overwritten with `force`. `relative` writes audio paths relative to the manifest. `jobs`:
    threads. `labels="baseline"` reads the label files as the 2026 baseline's scripts do, where that differs;
    `ids="baseline"` gives the sample_ids and system_ids that these give, so that score files made there join.
    A corpus whose layout is assumed (`Corpus.assumed`) is an error where other columns, or other counts than
    published, come to light, unless `accept_layout`.

    Raises DataError, naming file and line for anything wrong in the label files.
    """
    corpus = get_corpus(name)
    target = Path(out) / corpus.name
    unpack = functools.partial(unpack_corpus, raw=raw, jobs=jobs, partial=partial, progress=progress)
    root = unpack(corpus) if accept_layout else _with_known_columns(corpus, Path(raw), unpack)
    if not partial:
        require_audio(corpus, raw, root)
    audio = unpack(get_corpus(corpus.audio_of)) if corpus.audio_of else root
    source = {str(path.relative_to(root)): fingerprint(path) for path in label_files(corpus, root)}

    with lock(target / ".prepare"):
        before = begin(target)
        if not force:
            require_unedited(target, before)
        with _disk_errors(target), ExitStack() as files:
            writer = Writer(corpus, target, files, relative)
            opinions = _opinions(corpus, root, writer, labels, ids)
            _write_manifests(corpus, utterances(corpus, audio, opinions), writer, jobs, progress)
            writer.finish(partial)
            if not accept_layout and not partial:
                require_counts(corpus, writer.counts)
            record = writer.record(partial, source)
            write_next(target, record)
        finish(target, before, record, writer.written)
    notes = [*source_notes(corpus, before, source), *_baseline_notes(corpus, labels, ids)]
    return Prepared(
        corpus.name,
        {split: target / split / "data.jsonl" for split in writer.counts},
        dict(writer.counts),
        dict(writer.problems),
        (*notes, *writer.notes()),
    )


def _opinions(corpus: Corpus, root: Path, writer: Writer, labels: str, ids: str) -> Iterator[Rating | Sample]:
    """What is said of single clips, by the names that are asked for."""
    as_baseline = corpus.parse_as_baseline if labels == "baseline" else None
    opinions = writer.of_clips((as_baseline or corpus.parse)(root))
    if ids == "baseline" and corpus.baseline_ids:
        return renamed(opinions, corpus.baseline_ids.read_in(root))
    return opinions


def _baseline_notes(corpus: Corpus, labels: str, ids: str) -> Iterator[str]:
    """What came of the wish to have labels or ids as the 2026 baseline has them."""
    absent = "the 2026 baseline has no such corpus"
    if labels == "baseline":
        same = "the 2026 baseline reads the same labels" if corpus.baseline_ids else absent
        how = "labels as the 2026 baseline reads them" if corpus.parse_as_baseline else same
        yield f"{corpus.name}: {how}"
    if ids == "baseline":
        yield f"{corpus.name}: {'ids as the 2026 baseline gives them' if corpus.baseline_ids else absent}"


@contextmanager
def _disk_errors(target: Path) -> Iterator[None]:
    """What the system says of a file, or of those below `target`, as a DataError."""
    try:
        yield
    except OSError as error:
        where, why = error.filename or target, error.strerror or error
        raise DataError(f"{where}: {why}; mend that, such as by making room, and run again") from error


def _with_known_columns(corpus: Corpus, raw: Path, unpack: Callable[[Corpus], Path]) -> Path:
    """Unpack a corpus whose label files have the columns that they should."""
    if corpus.hub and corpus.hub.splits:
        # before gigabytes of clips are taken out of these very files
        require_columns(corpus, raw / corpus.name)
        return unpack(corpus)
    root = unpack(corpus)
    require_columns(corpus, root)
    return root


def _write_manifests(
    corpus: Corpus,
    found: Iterator[tuple[Utterance, list[Rating]]],
    writer: Writer,
    jobs: int,
    progress: Progress | None,
) -> None:
    total = sum(split.samples or 0 for split in corpus.splits.values() if not split.optional)
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        for chunk in _chunks(found, 4096):
            paths = [utterance.audio_path for utterance, _ in chunk]
            # by the hundred: handing single files to threads costs more than looking at them
            parts = pool.map(_look_at_all, [paths[i : i + 128] for i in range(0, len(paths), 128)])
            for (utterance, ratings), (path, audio) in zip(chunk, chain.from_iterable(parts), strict=True):
                if path != utterance.audio_path:
                    utterance = replace(utterance, audio_path=path)
                writer.add(utterance, ratings, audio)
            if progress:
                progress(f"{corpus.name}: audio", writer.seen, total or None)


def _look_at_all(paths: Sequence[str]) -> list[tuple[str, AudioInfo | Fault]]:
    return [_look_at(path) for path in paths]


def _look_at(path: str) -> tuple[str, AudioInfo | Fault]:
    """The name that the audio has on the disk, and what it is or what is wrong with it."""
    try:
        return path, look(path)
    except DataError as error:
        if os.path.exists(path):  # noqa: PTH110  Path.exists raises for a name that is too long
            return path, Fault("unreadable" if Path(path).stat().st_size else "empty", str(error))
        for form in ("NFC", "NFD"):  # archives made on macOS hold decomposed names
            other = unicodedata.normalize(form, path)
            if other != path and os.path.exists(other):  # noqa: PTH110
                return _look_at(other)
        return path, Fault("missing", str(error))


def _chunks(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while chunk := list(islice(items, size)):
        yield chunk
