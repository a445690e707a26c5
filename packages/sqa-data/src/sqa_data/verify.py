"""Is a manifest true? Every line, every file, every sample of audio, and no clip in both training and evaluation."""

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, islice
from pathlib import Path
from typing import Literal

from sqa_data.audio import AudioError, AudioInfo, digest, look
from sqa_data.corpus import asked_again, in_common, is_measured_on, list_corpora
from sqa_data.errors import DataError
from sqa_data.ids import short_hash
from sqa_data.labels import ROUNDING, in_range, range_of, valid_range
from sqa_data.manifest import Utterance, numbered
from sqa_data.pairs import iter_pairs
from sqa_data.prepare.writer import SplitCount, count_notes
from sqa_data.sources.archives import Progress

DURATION_TOLERANCE_S = 1e-3  # the baseline writes three decimals
KEPT = 1000  # findings of one kind that are kept word by word; all are counted

# kind -> what it says; the second group does not make a manifest wrong
ERRORS = {
    "none": "no utterance in the manifest",
    "schema": "the line is no utterance",
    "nan": "a label is NaN, which is not JSON",
    "duplicate": "sample_id twice in one corpus",
    "range": "an opinion outside its scale, or what no such metric gives",
    "votes": "votes or spread that cannot be",
    "missing": "no such audio file",
    "unreadable": "the audio does not decode to its end",
    "empty": "the audio has no samples",
    "duration": "the audio is longer or shorter",
    "rate": "the audio has another sampling rate",
    "shared": "the same audio in training and in evaluation",
    "overlap": "training and evaluation from corpora that share clips",
    "pair": "a pair that is none, or of a clip that the manifest lacks",
}
WARNINGS = {
    "twins": "the same audio twice",
    "related": "from corpora that share clips: train on one of them, and the other does not tell how good that is",
    "outside": "a metric beyond its scale, as it may be (training moves it to the end)",
    "unlabelled": "no label at all",
    "count": "samples or systems unlike the published number",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be."""

    severity: Literal["error", "warning"]
    kind: str
    where: str  # file:line
    text: str


@dataclass(slots=True)
class Verification:
    """What `validate` saw."""

    samples: int = 0
    hours: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)  # kind -> how many
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether there are no errors (there may be warnings)."""
        return not self.counts.keys() & ERRORS.keys()

    def add(self, kind: str, where: str, text: str) -> None:
        self.counts[kind] += 1
        if self.counts[kind] <= KEPT:
            self.findings.append(Finding("error" if kind in ERRORS else "warning", kind, where, text))


def validate(
    manifests: str | Path | Iterable[str | Path],
    *,
    decode: bool = True,
    jobs: int = 4,
    progress: Progress | None = None,
) -> Verification:
    """Check manifests alone and against each other; nothing is raised for what is found in them.

    decode: read all audio to its end, which also finds clips that two manifests share (by a hash of their samples,
    so that another name, container or path does not hide them); without it only the headers are read.
    """
    result = Verification()
    given = [manifests] if isinstance(manifests, str | Path) else manifests
    paths = list(dict.fromkeys(Path(path) for path in given))
    ids: dict[int, str] = {}  # hash of (corpus, sample_id) -> where
    # hash of samples -> corpus, split, where, manifest
    heard: dict[int, tuple[str | None, str | None, str, Path]] = {}
    counts: dict[tuple[str, str], tuple[SplitCount, Path]] = {}
    parts: dict[
        tuple[str | None, str | None], Path
    ] = {}  # corpus and split -> the first manifest with some of it
    look_at = partial(_look, decode=decode)
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        for path in paths:
            lines = numbered(path, report=result.add)
            while chunk := list(islice(lines, 256)):
                audio = pool.map(look_at, [utterance.audio_path for _, utterance in chunk])
                for (number, utterance), found in zip(chunk, audio, strict=True):
                    where = f"{path}:{number}"
                    result.samples += 1
                    _check_labels(where, utterance, ids, result)
                    _check_audio(where, utterance, found, result)
                    if isinstance(found, tuple):
                        _check_shared(where, utterance, path, int(found[1], 16), heard, result)
                    _count(utterance, path, counts)
                    parts.setdefault((utterance.corpus, utterance.split), path)
                if progress:
                    progress(path.name, result.samples, None)
            _check_pairs(path, result)
    _check_overlap(parts, result)
    known = {corpus.name: corpus for corpus in list_corpora()}
    for (name, split), (count, path) in counts.items():
        for note in count_notes(known[name], {split: count}) if name in known else ():
            result.add("count", str(path), note)
    return result


def _check_labels(where: str, utterance: Utterance, ids: dict[int, str], result: Verification) -> None:
    first = ids.setdefault(short_hash(utterance.corpus, utterance.sample_id), where)
    if first != where:
        result.add("duplicate", where, f"sample_id {utterance.sample_id!r} also at {first}")
    for label, value in utterance.metrics.items():
        if not in_range(label, value, utterance.scales):
            low, high = valid_range(label, utterance.scales)
            result.add("range", where, f"{label} is {value:g}; expected {low:g}..{high:g}")
            continue
        low, high = range_of(label, utterance.scales)
        if not low - ROUNDING <= value <= high + ROUNDING:
            result.add("outside", where, f"{label} is {value:g}; its scale is {low:g}..{high:g}")
    if not utterance.metrics:
        result.add("unlabelled", where, f"sample {utterance.sample_id!r} has no label")
    votes, spread = utterance.votes, utterance.mos_std
    if votes is not None and votes < 1:
        result.add("votes", where, f"votes is {votes}; expected at least 1")
    low, high = range_of("mos", utterance.scales)
    # two listeners, one at each end, spread most
    if spread is not None and not 0 <= spread <= (high - low) / math.sqrt(2) + 1e-9:
        result.add(
            "votes", where, f"mos_std is {spread:g}; ratings in {low:g}..{high:g} cannot spread so far"
        )


def _check_pairs(manifest: Path, result: Verification) -> None:
    """The pairs beside a manifest, if there are any; beside a choice from data.jsonl they are not its own."""
    path, whole = manifest.with_name("pairs.jsonl"), manifest.with_name("data.jsonl")
    if not path.is_file() or (manifest.name != whole.name and whole.is_file()):
        return
    ids = {short_hash(u.corpus, u.sample_id) for _, u in numbered(manifest, report=lambda *_: None)}
    try:
        for number, pair in iter_pairs(path, unlabelled=True):
            lost = [side for side in (pair.a, pair.b) if short_hash(pair.corpus, side) not in ids]
            if lost:
                result.add("pair", f"{path}:{number}", f"no clip {' and no '.join(lost)} in {manifest.name}")
    except DataError as error:
        result.add("pair", str(path), str(error))


def _check_overlap(parts: Mapping[tuple[str | None, str | None], Path], result: Verification) -> None:
    """Corpora that share clips by what their publishers say; the same corpus has its own splits."""
    for one, two in combinations(parts, 2):
        measured = [is_measured_on(*part) for part in (one, two)]
        shared = in_common(one[0] or "", two[0] or "") if one[0] != two[0] else ()
        # two training sets that overlap waste time, two tests are two tests
        if not shared or measured in ([True, True], [False, False]):
            continue
        a, b = (two, one) if measured[1] is False else (one, two)
        text = f"{_told(a)} and {_told(b)} of {parts[b]} both have clips of {', '.join(shared)}"
        result.add("related" if None in measured else "overlap", str(parts[a]), text)


def _told(part: tuple[str | None, str | None]) -> str:
    return "/".join(filter(None, part))


Looked = AudioInfo | tuple[AudioInfo, str] | str


def _look(path: str, decode: bool) -> Looked:
    try:
        return digest(path) if decode else look(path)
    except AudioError as error:
        return str(error)


def _check_audio(where: str, utterance: Utterance, found: Looked, result: Verification) -> None:
    if isinstance(found, str):
        # not Path.exists, which fails on a name that is too long
        kind = "unreadable" if os.path.exists(utterance.audio_path) else "missing"  # noqa: PTH110
        result.add(kind, where, found)
        return
    info = found[0] if isinstance(found, tuple) else found
    result.hours += info.duration_s / 3600
    if not info.frames:
        result.add("empty", where, f"{utterance.audio_path} has no samples")
    if abs(info.duration_s - utterance.duration) > DURATION_TOLERANCE_S:
        result.add(
            "duration", where, f"duration is {utterance.duration:g} s; the audio has {info.duration_s:g} s"
        )
    if utterance.sample_rate not in (None, info.sample_rate):
        result.add("rate", where, f"sample_rate is {utterance.sample_rate}; the audio has {info.sample_rate}")


def _check_shared(
    where: str,
    utterance: Utterance,
    path: Path,
    audio: int,
    heard: dict[int, tuple[str | None, str | None, str, Path]],
    result: Verification,
) -> None:
    corpus, split, first, manifest = heard.setdefault(audio, (utterance.corpus, utterance.split, where, path))
    if first == where or (corpus == utterance.corpus and asked_again(corpus, split, utterance.split)):
        return
    # two training sets that overlap waste time; a clip of any other split in another one, or manifest, is a leak
    leak = (manifest, split) != (path, utterance.split) and not (split == utterance.split == "train")
    text = f"the audio of sample {utterance.sample_id!r} is also at {first}"
    result.add("shared" if leak else "twins", where, text)


def _count(utterance: Utterance, path: Path, counts: dict[tuple[str, str], tuple[SplitCount, Path]]) -> None:
    if utterance.corpus is None or utterance.split is None:
        return
    count, _ = counts.setdefault((utterance.corpus, utterance.split), (SplitCount(), path))
    count.samples += 1
    if utterance.system_id is not None:
        count.systems.add(utterance.system_id)
