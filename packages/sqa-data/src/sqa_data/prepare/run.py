"""From the files of a corpus to its manifests: labels -> ratings -> MOS, joined with the audio that is really there.

RAW/NAME/                     archives as published, or what they unpack to
OUT/NAME/SPLIT/data.jsonl     the manifest, sorted by sample_id
OUT/NAME/SPLIT/ratings.jsonl  one rating a line, where ratings are published
OUT/NAME/prepared.json        counts and hashes of source and result
OUT/NAME/problems.jsonl       what did not fit together
"""

import hashlib
import json
import math
import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson
from filelock import FileLock

from sqa_data.atomic import atomic_write
from sqa_data.audio import AudioInfo, look
from sqa_data.corpus import Corpus, Rating, Sample, find_corpus_folder, get_corpus
from sqa_data.errors import DataError
from sqa_data.manifest import Utterance, to_line
from sqa_data.prepare.group import grouped
from sqa_data.sources import parquet
from sqa_data.sources.archives import Progress, unpack, unpack_nested, unpacked_size

RECORD, NEXT = "prepared.json", ".prepared.next.json"
ROUNDING = 0.051  # publishers round a MOS to one decimal


@dataclass(slots=True)
class SplitCount:
    """What a manifest holds."""

    samples: int = 0
    ratings: int = 0
    hours: float = 0.0
    systems: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `prepare` did for one corpus."""

    corpus: str
    manifests: dict[str, Path]  # split -> file
    counts: dict[str, SplitCount]
    problems: dict[str, int]  # kind -> how many, see PROBLEMS
    notes: tuple[str, ...]  # for people: counts unlike the published ones, a source that changed


# what can be wrong with a clip -> whether the clip is left out under `partial`
PROBLEMS = {"missing": True, "unreadable": True, "empty": True, "rate": False}


def prepare(
    name: str,
    raw: str | Path,
    out: str | Path,
    *,
    partial: bool = False,
    jobs: int = 4,
    relative: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> Prepared:
    """Write the manifests of one corpus from `raw`/NAME to `out`/NAME.

    The same files give the same bytes. Every clip that is missing, unreadable, empty or of another rate than
    published is listed in `problems.jsonl`; one such clip is an error (and no manifest changes) unless
    `partial`, which leaves it out (a clip of another rate stays). A manifest that was edited since the last
    time is only overwritten with `force`. `relative` writes audio paths relative to the manifest. `jobs`:
    threads.

    Raises DataError, naming file and line for anything wrong in the label files.
    """
    corpus = get_corpus(name)
    target = Path(out) / corpus.name
    root = unpack_corpus(corpus, raw, jobs=jobs, progress=progress)
    if not partial:
        _require_audio(corpus, raw, root)
    source = {str(path.relative_to(root)): _fingerprint(path) for path in _label_files(corpus, root)}

    target.mkdir(parents=True, exist_ok=True)
    with FileLock(target / ".lock"):
        before = _records(target)
        if not force:
            _require_unedited(target, before)
        with ExitStack() as files:
            writer = _Writer(corpus, target, files, relative)
            _write_manifests(corpus, root, writer, jobs, progress)
            writer.finish(partial)
            record = _record(writer, partial, source)
            # kept before the manifests get their names: after a kill in between they still count as ours
            _write_json(target / NEXT, record)
        _drop_stale(target, before, record)
        (target / NEXT).replace(target / RECORD)
    notes = _source_notes(corpus, before, source)
    return Prepared(
        corpus.name,
        {split: target / split / "data.jsonl" for split in writer.counts},
        writer.counts,
        dict(writer.problems),
        (*notes, *count_notes(corpus, writer.counts)),
    )


def _write_manifests(
    corpus: Corpus, root: Path, writer: "_Writer", jobs: int, progress: Progress | None
) -> None:
    total = sum(split.samples or 0 for split in corpus.splits.values() if not split.optional)
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        for chunk in _chunks(_utterances(corpus, root), 4096):
            paths = [utterance.audio_path for utterance, _ in chunk]
            # by the hundred: handing single files to threads costs more than looking at them
            parts = pool.map(_probe_all, [paths[i : i + 128] for i in range(0, len(paths), 128)])
            for (utterance, ratings), info in zip(chunk, chain.from_iterable(parts), strict=True):
                writer.add(utterance, ratings, info)
            if progress:
                progress(f"{corpus.name}: audio", writer.seen, total or None)


def unpack_corpus(
    corpus: Corpus,
    raw: str | Path,
    *,
    jobs: int = 4,
    drop_archives: bool = False,
    progress: Progress | None = None,
) -> Path:
    """The folder with the label files of a corpus, after unpacking what is still packed in RAW/NAME."""
    folder = Path(raw) / corpus.name
    if not folder.is_dir():
        raise DataError(f"{folder}: nothing here; run `sqa-cli data download {corpus.name} --raw {raw}`")
    # archives may lie where one can only read; what is unpacked there needs no lock
    with FileLock(folder / ".lock") if os.access(folder, os.W_OK) else nullcontext():
        if corpus.hub:
            return _unpack_hub(corpus, folder, jobs, progress)
        unpacked, marker = folder / "unpacked", folder / "unpacked.json"
        archives = [folder / archive.name for archive in corpus.archives]
        nested = tuple(name for archive in corpus.archives for name in archive.nested)
        present = {path.name: path.stat().st_size for path in archives if path.is_file()}
        if unpacked.is_dir() and marker.is_file() and present:
            before = json.loads(marker.read_text())
            if before != present:
                raise DataError(
                    f"{unpacked}: made from {before}, but now there is {present}; move it away to unpack "
                    f"afresh"
                )
        root = find_corpus_folder(corpus, folder)
        if root is None and len(present) == len(archives) and not unpacked.exists():
            _require_space(folder, archives)
            unpack(archives, unpacked, nested, progress=progress)
            with atomic_write(marker) as file:
                file.write(json.dumps(present).encode())
            root = find_corpus_folder(corpus, folder)
        if root is None:
            raise DataError(
                f"{folder}: the label files of {corpus.name} are not here; expected "
                f"{', '.join(a.name for a in corpus.archives)} or, unpacked, "
                f"{', '.join(corpus.label_files)}. Run `sqa-cli data download {corpus.name} --raw {raw}`"
            )
        if not unpacked.exists():
            unpack_nested(root, nested, progress)
        if drop_archives:
            for path in archives:
                path.unlink(missing_ok=True)
    return root


def manual_steps(corpus: Corpus, raw: str | Path, root: Path | None = None) -> str:
    """What the user must do by hand for this corpus, with its folder filled in; empty for most."""
    top = (
        Path(raw) / corpus.name / "unpacked" / corpus.archives[0].name.split(".")[0]
        if corpus.manual
        else Path()
    )
    # found: root is main/DATA, and the scripts lie beside DATA
    folder = top if root is None else root.parent
    return corpus.manual.format(name=corpus.name, folder=folder, wavs=corpus.wavs or 0)


def count_notes(corpus: Corpus, counts: dict[str, SplitCount]) -> Iterator[str]:
    """Each split whose samples or systems are not those published."""
    for split, published in corpus.splits.items():
        if split not in counts:
            continue
        found = counts[split]
        for what, n, expected in (
            ("samples", found.samples, published.samples),
            ("systems", len(found.systems), published.systems),
        ):
            if expected is not None and n != expected:
                yield f"{corpus.name}/{split}: {n:,} {what}; published are {expected:,}"


def _unpack_hub(corpus: Corpus, folder: Path, jobs: int, progress: Progress | None) -> Path:
    assert corpus.hub is not None
    if find_corpus_folder(corpus, folder) is None:
        raise DataError(
            f"{folder}: no parquet files here; run `sqa-cli data download {corpus.name} --raw "
            f"{folder.parent}`"
        )
    files = [
        (path, part)
        for names in corpus.hub.splits.values()
        for part in names
        for path in parquet.parts(folder, part)
    ]
    needed = sum(path.stat().st_size for path, part in files if not parquet.is_unpacked(path, folder, part))
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(f"{folder}: the audio takes about {needed:,} bytes; only {free:,} are free")
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        tasks = [pool.submit(parquet.unpack_audio, path, folder, part) for path, part in files]
        try:
            for done, task in enumerate(tasks, start=1):
                task.result()
                if progress:
                    progress(f"{corpus.name}: unpacking", done, len(tasks))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return folder


def _require_space(folder: Path, archives: list[Path]) -> None:
    needed, free = sum(unpacked_size(archive) or 0 for archive in archives), shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(f"{folder}: unpacking takes {needed:,} bytes; only {free:,} are free")


def _require_audio(corpus: Corpus, raw: str | Path, root: Path) -> None:
    """Stop with the manual steps where the audio that only the user can fetch is not there."""
    if not corpus.wavs:
        return
    found = sum(1 for _ in (root / "wav").glob("*.wav")) if (root / "wav").is_dir() else 0
    if found < corpus.wavs:
        raise DataError(
            f"{root / 'wav'}: found {found:,} of {corpus.wavs:,} clips of {corpus.name}.\n"
            + manual_steps(corpus, raw, root)
        )


def _label_files(corpus: Corpus, root: Path) -> list[Path]:
    if corpus.hub:
        return [p for names in corpus.hub.splits.values() for n in names for p in parquet.parts(root, n)]
    return sorted(path for pattern in corpus.label_files for path in root.glob(pattern))


def _fingerprint(path: Path) -> dict[str, Any]:
    """Size and SHA-256; of parquet files, which are large, only of the end, which indexes the rest."""
    size = path.stat().st_size
    if path.suffix == ".parquet":
        with path.open("rb") as file:
            file.seek(max(0, size - (1 << 16)))
            return {"size": size, "sha256_of_footer": hashlib.sha256(file.read()).hexdigest()}
    return {"size": size, "sha256": _sha256(path)}


def _record(writer: "_Writer", partial: bool, source: dict[str, Any]) -> dict[str, Any]:
    """What prepared.json says: nothing that differs between two runs on the same files."""
    return {
        "corpus": writer.corpus.name,
        "partial": partial,
        "source": source,
        "problems": dict(writer.problems),
        "splits": {
            split: {
                "samples": count.samples,
                "systems": len(count.systems),
                "hours": round(count.hours, 4),
                "sha256": writer.digests[split].hexdigest(),
            }
            for split, count in sorted(writer.counts.items())
        },
    }


def _records(target: Path) -> list[dict[str, Any]]:
    """The record of the last run that ended, and that of one that was killed while it named its manifests."""
    files = [target / RECORD, target / NEXT]
    return [json.loads(file.read_text()) for file in files if file.is_file()]


def _require_unedited(target: Path, records: list[dict[str, Any]]) -> None:
    """DataError if a manifest is not as one of `records` says it was written."""
    for split in {split for record in records for split in record["splits"]}:
        path = target / split / "data.jsonl"
        written = {record["splits"].get(split, {}).get("sha256") for record in records}
        if path.is_file() and _sha256(path) not in written:
            raise DataError(
                f"{path}: changed since it was prepared; use --force to overwrite it, or another --out"
            )


def _drop_stale(target: Path, before: list[dict[str, Any]], record: dict[str, Any]) -> None:
    """Remove manifests of splits that are no longer made of this source."""
    for split in {split for old in before for split in old["splits"]} - record["splits"].keys():
        for name in ("data.jsonl", "ratings.jsonl"):
            (target / split / name).unlink(missing_ok=True)


def _source_notes(corpus: Corpus, before: list[dict[str, Any]], source: dict[str, Any]) -> list[str]:
    """Which label files are not those of last time."""
    old = before[0]["source"] if before else source
    changed = sorted(name for name in old.keys() | source.keys() if old.get(name) != source.get(name))
    return [f"{corpus.name}: changed at the source since last time: {', '.join(changed)}"] if changed else []


def _write_json(path: Path, record: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(record, indent=1, sort_keys=True).encode() + b"\n")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _utterances(corpus: Corpus, root: Path) -> Iterator[tuple[Utterance, list[Rating]]]:
    """Each clip of the corpus once, by split and sample_id; length and rate are still unknown."""
    base = f"{os.path.abspath(root)}/"  # noqa: PTH100  joined as text a million times
    for (split, _), rows in grouped(corpus.parse(root), key=lambda row: (row.split, row.sample_id)):
        first = rows[0]
        for row in rows:
            if (row.audio, row.system_id) != (first.audio, first.system_id):
                raise DataError(
                    f"{corpus.name}/{split}: sample_id {row.sample_id!r} stands for two clips: "
                    f"{first.audio} of "
                    f"system {first.system_id!r} and {row.audio} of system {row.system_id!r}"
                )
        if isinstance(first, Sample):
            if len(rows) > 1:
                raise DataError(f"{corpus.name}/{split}: {len(rows)} rows for sample_id {first.sample_id!r}")
            metrics, votes, std, ratings = _of_sample(first)
        else:
            metrics, votes, std = _of_ratings(rows)  # type: ignore[arg-type]  # a corpus yields one kind
            ratings = rows  # type: ignore[assignment]
        yield (
            Utterance(
                audio_path=base + first.audio,
                sample_id=first.sample_id,
                duration=0.0,
                metrics=metrics,
                system_id=first.system_id,
                corpus=corpus.name,
                split=split,
                votes=votes,
                mos_std=std,
            ),
            ratings,
        )


def _of_ratings(rows: list[Rating]) -> tuple[dict[str, float], int | None, float | None]:
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(row.label, []).append(row.value)
    metrics = {label: math.fsum(given) / len(given) for label, given in values.items()}
    given = values.get("mos", [])
    return metrics, len(given) or None, spread(given)


def _of_sample(sample: Sample) -> tuple[dict[str, float], int | None, float | None, list[Rating]]:
    """Labels of a clip whose MOS may be published beside the ratings: the published one is kept."""
    if not sample.ratings:
        return sample.metrics, sample.votes, sample.mos_std, []
    mean = math.fsum(sample.ratings) / len(sample.ratings)
    metrics = {"mos": sample.metrics.get("mos", mean), **sample.metrics}
    ratings = [
        Rating(sample.split, sample.audio, sample.sample_id, sample.system_id, None, value)
        for value in sample.ratings
    ]
    if (
        abs(metrics["mos"] - mean) > ROUNDING
    ):  # the publisher dropped some, so these are not the votes behind it
        return metrics, sample.votes, sample.mos_std, ratings
    return metrics, len(ratings), spread(sample.ratings), ratings


def spread(values: Iterable[float]) -> float | None:
    """Standard deviation with n - 1; None for fewer than two values.

    >>> spread([3, 4, 5]), spread([3])
    (1.0, None)
    """
    values = list(values)
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


def _probe_all(paths: list[str]) -> list[AudioInfo | tuple[str, str, str]]:
    return [_probe(path) for path in paths]


def _probe(path: str) -> AudioInfo | tuple[str, str, str]:
    """What the audio is, or (kind of problem, path, words)."""
    try:
        return look(path)
    except DataError as error:
        if Path(path).exists():
            return "unreadable" if Path(path).stat().st_size else "empty", path, str(error)
        for form in ("NFC", "NFD"):  # archives made on macOS hold decomposed names
            other = unicodedata.normalize(form, path)
            if other != path and Path(other).exists():
                return _probe(other)
        return "missing", path, str(error)


def _chunks(items: Iterator[Any], size: int) -> Iterator[list[Any]]:
    while chunk := list(islice(items, size)):
        yield chunk


class _Writer:
    """The open files of one `prepare`; nothing gets its name before the caller's block ends well."""

    def __init__(self, corpus: Corpus, target: Path, files: ExitStack, relative: bool) -> None:
        self.corpus, self.target, self.files, self.relative = corpus, target, files, relative
        self.seen = 0
        self.counts: dict[str, SplitCount] = {}
        self.digests: dict[str, Any] = {}
        self.problems: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self._manifests: dict[str, tuple[BinaryIO, str | None]] = {}
        self._ratings: dict[str, BinaryIO] = {}
        self._listed: BinaryIO | None = None

    def add(
        self, utterance: Utterance, ratings: list[Rating], info: AudioInfo | tuple[str, str, str]
    ) -> None:
        self.seen += 1
        split = utterance.split or ""
        if not isinstance(info, AudioInfo):
            self._problem(info[0], utterance, info[2])
            return
        if not info.frames:
            self._problem("empty", utterance, "no samples")
            return
        rates = self.corpus.sample_rates
        if rates and info.sample_rate not in rates:
            self._problem(
                "rate", utterance, f"{info.sample_rate} Hz; published: {', '.join(map(str, rates))} Hz"
            )
        if split not in self._manifests:
            path = self.target / split / "data.jsonl"
            base = os.path.abspath(path.parent) if self.relative else None  # noqa: PTH100
            self._manifests[split] = (self.files.enter_context(atomic_write(path)), base)
            self.counts[split], self.digests[split] = SplitCount(), hashlib.sha256()
        file, base = self._manifests[split]
        line = to_line(_with_audio(utterance, info), base)
        file.write(line)
        self.digests[split].update(line)
        count = self.counts[split]
        count.samples += 1
        count.hours += info.duration_s / 3600
        if utterance.system_id is not None:
            count.systems.add(utterance.system_id)
        if ratings:
            self._write_ratings(split, ratings)
            count.ratings += len(ratings)

    def finish(self, partial: bool) -> None:
        """DataError for problems that `partial` does not allow, or a split that is not there at all."""
        lost = [s for s, f in self.corpus.splits.items() if s not in self.counts and not f.optional]
        if not self.counts or (lost and not partial):
            self.examples.setdefault("split", []).append(f"no usable clip of split {', '.join(lost)}")
            self.problems["split"] += 1
        if not self.problems:
            (self.target / "problems.jsonl").unlink(missing_ok=True)
            return
        if self._listed is not None:
            self._listed.close()
            Path(self._listed.name).replace(self.target / "problems.jsonl")
        if partial and self.counts:
            return
        summary = ", ".join(f"{n:,} {kind}" for kind, n in self.problems.items())
        shown = "\n".join(f"  {kind}: {text}" for kind, texts in self.examples.items() for text in texts)
        raise DataError(
            f"{self.corpus.name}: labels and audio do not fit together ({summary} of {self.seen:,} "
            f"clips):\n{shown}\n"
            f"All are listed in {self.target / 'problems.jsonl'}; --partial prepares the others."
        )

    def _problem(self, kind: str, utterance: Utterance, words: str) -> None:
        self.problems[kind] += 1
        examples = self.examples.setdefault(kind, [])
        if len(examples) < 3:
            examples.append(words if utterance.audio_path in words else f"{utterance.audio_path}: {words}")
        if self._listed is None:
            self._listed = (self.target / "problems.jsonl.part").open("wb")
            self.files.callback(self._listed.close)
        row = {"problem": kind, "split": utterance.split, "sample_id": utterance.sample_id}
        row |= {"audio_path": utterance.audio_path, "found": words}
        self._listed.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))

    def _write_ratings(self, split: str, ratings: list[Rating]) -> None:
        if split not in self._ratings:
            path = self.target / split / "ratings.jsonl"
            self._ratings[split] = self.files.enter_context(atomic_write(path))
        file = self._ratings[split]
        for rating in ratings:
            row = {
                "sample_id": rating.sample_id,
                "system_id": rating.system_id,
                "listener_id": rating.listener_id,
                "label": rating.label,
                "rating": rating.value,
            }
            file.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


def _with_audio(utterance: Utterance, info: AudioInfo) -> Utterance:
    # dataclasses.replace costs three times as much
    return Utterance(
        utterance.audio_path,
        utterance.sample_id,
        info.duration_s,
        utterance.metrics,
        utterance.system_id,
        utterance.corpus,
        utterance.split,
        info.sample_rate,
        utterance.votes,
        utterance.mos_std,
    )
