"""The manifests, ratings and problems of one `prepare`: nothing gets its name before all of it is right."""

import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from sqa_data.atomic import atomic_write
from sqa_data.audio import AudioInfo
from sqa_data.corpus import Corpus, Opinion, Rating, Sample, Unusable
from sqa_data.errors import DataError
from sqa_data.labels import is_opinion
from sqa_data.manifest import Utterance, to_line
from sqa_data.pairs import Pair
from sqa_data.pairs import to_line as pair_line
from sqa_data.ratings import SingleRating
from sqa_data.ratings import to_line as rating_line


@dataclass(slots=True)
class SplitCount:
    """What a manifest holds."""

    samples: int = 0
    labelled: int = 0  # samples with any label
    rated: int = 0  # samples with one of listeners
    ratings: int = 0
    pairs: int = 0
    judged: int = 0  # pairs of which listeners' answers are known
    hours: float = 0.0
    systems: set[str] = field(default_factory=set)
    digest: "hashlib._Hash" = field(default_factory=hashlib.sha256, repr=False)  # of the manifest's lines

    def add(self, line: bytes, audio: AudioInfo, utterance: Utterance, ratings: int) -> None:
        """Count one more line of the manifest."""
        self.digest.update(line)
        self.samples += 1
        labels = utterance.metrics
        self.labelled += bool(labels)
        self.rated += any(is_opinion(label) or label in utterance.scales for label in labels)
        self.ratings += ratings
        self.hours += audio.duration_s / 3600
        if utterance.system_id is not None:
            self.systems.add(utterance.system_id)


def count_notes(corpus: Corpus, counts: dict[str, SplitCount]) -> Iterator[str]:
    """Each split whose samples or systems are not those published, and all splits together."""
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
    total = sum(found.samples for found in counts.values())
    if corpus.clips and total not in corpus.clips:
        published_clips = " or ".join(f"{n:,}" for n in corpus.clips)
        yield f"{corpus.name}: {total:,} samples in all splits; published are {published_clips}"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a clip cannot be used."""

    kind: str  # missing, unreadable or empty
    text: str


class Writer:
    """The open files of one `prepare`; nothing gets its name before the caller's block ends well."""

    def __init__(self, corpus: Corpus, target: Path, files: ExitStack, relative: bool) -> None:
        self.corpus, self.target, self.files = corpus, target, files
        self.base = os.path.abspath(target) if relative else None  # noqa: PTH100
        self.seen = 0
        self.counts: defaultdict[str, SplitCount] = defaultdict(SplitCount)
        self.problems: Counter[str] = Counter()
        self._examples: dict[str, list[str]] = {}
        self.left_out: dict[str, list[str]] = {}  # why -> rows of label files
        self._pairs: list[Pair] = []
        self._written: set[tuple[str, str]] = set()  # split and sample_id, where there are pairs of them
        self._open: dict[tuple[str, str], BinaryIO] = {}  # by split and name
        self._listed: BinaryIO | None = None
        self._listing = ExitStack()  # ends before the other files do, and also where they are given up
        files.push(self._listing)

    @property
    def written(self) -> Collection[tuple[str, str]]:
        """Split and name of each file of a split that this `prepare` writes."""
        return self._open.keys()

    def of_clips(self, opinions: Iterable[Opinion]) -> Iterator[Rating | Sample]:
        """What is said of single clips. Pairs are kept until it is known which clips are there."""
        for opinion in opinions:
            if isinstance(opinion, Pair):
                self._pairs.append(opinion)
            elif isinstance(opinion, Unusable):
                self.left_out.setdefault(opinion.why, []).append(opinion.row)
            else:
                yield opinion

    def add(self, utterance: Utterance, ratings: Sequence[Rating], audio: AudioInfo | Fault) -> None:
        """Write one clip and its ratings, or say what is wrong with it."""
        self.seen += 1
        if not isinstance(audio, Fault) and not audio.frames:
            audio = Fault("empty", "no samples")
        if isinstance(audio, Fault):
            self._problem(audio, utterance)
            return
        rates = self.corpus.sample_rates
        if rates and audio.sample_rate not in rates:  # listed, but the clip can be used
            published = ", ".join(map(str, rates))
            self._problem(Fault("rate", f"{audio.sample_rate} Hz; published: {published} Hz"), utterance)
        split = utterance.split or ""
        line = to_line(_with_audio(utterance, audio), self.base and f"{self.base}/{split}")
        self._file(split, "data.jsonl").write(line)
        if self._pairs:
            self._written.add((split, utterance.sample_id))
        self.counts[split].add(line, audio, utterance, len(ratings))
        for rating in ratings:
            said = SingleRating(
                rating.sample_id, rating.value, rating.label, rating.listener_id, rating.system_id
            )
            self._file(split, "ratings.jsonl").write(rating_line(said))

    def _file(self, split: str, name: str) -> BinaryIO:
        """A file of a split, which is opened when first something is written to it."""
        if (split, name) not in self._open:
            path = self.target / split / name
            self._open[split, name] = self.files.enter_context(atomic_write(path))
        return self._open[split, name]

    def _write_pairs(self) -> None:
        for pair in self._pairs:
            split = pair.split or ""
            lost = [side for side in (pair.a, pair.b) if (split, side) not in self._written]
            if lost:
                fault = Fault("pair", f"pair of {pair.a} and {pair.b}: no usable clip {', '.join(lost)}")
                self._problem(fault, Utterance("", lost[0], 0, {}, split=split))
                continue
            self._file(split, "pairs.jsonl").write(pair_line(replace(pair, corpus=self.corpus.name)))
            self.counts[split].pairs += 1
            self.counts[split].judged += pair.cmos is not None or pair.preference is not None

    def finish(self, partial: bool) -> None:
        """DataError for problems that `partial` does not allow, or a split that is not there at all.

        OSError where the disk is full: then none of the files has its name yet.
        """
        self._write_pairs()
        for file in self._open.values():
            file.flush()
        lost = [s for s, f in self.corpus.splits.items() if s not in self.counts and not f.optional]
        if not self.counts or (lost and not partial):
            self._examples.setdefault("split", []).append(f"no usable clip of split {', '.join(lost)}")
            self.problems["split"] += 1
        for split in self._unrated():
            text = f"no clip of split {split} has a label of listeners, which its publisher promises"
            self._examples.setdefault("label", []).append(text)
            self.problems["label"] += 1
        if not self.problems:
            (self.target / "problems.jsonl").unlink(missing_ok=True)
            return
        self._listing.close()
        if partial and self.counts:
            return
        summary = ", ".join(f"{n:,} {kind}" for kind, n in self.problems.items())
        shown = [f"  {kind}: {text}" for kind, texts in self._examples.items() for text in texts]
        shown += [f"  {text}" for text in self._left_out_notes()]
        if self._listed:
            shown.append(f"All are listed in {self.target / 'problems.jsonl'}")
        if self.counts:
            shown.append("--partial prepares the others.")
        what = f"labels and audio do not fit together ({summary} of {self.seen:,} clips)"
        raise DataError("\n".join([f"{self.corpus.name}: {what}:", *shown]))

    def _unrated(self) -> list[str]:
        """The splits that lack what listeners said though it is published."""
        promised = {split for split, facts in self.corpus.splits.items() if facts.rated}
        return [s for s, count in self.counts.items() if s in promised and not (count.rated or count.judged)]

    def notes(self) -> Iterator[str]:
        """What was left out of the label files and why, and counts that are not those published."""
        yield from self._left_out_notes()
        for split, count in self.counts.items():
            if not (count.labelled or count.judged):
                yield f"{self.corpus.name}/{split}: none of {count.samples:,} samples has a label"
        yield from count_notes(self.corpus, self.counts)

    def _left_out_notes(self) -> Iterator[str]:
        for why, rows in self.left_out.items():
            yield f"{self.corpus.name}: left out {len(rows):,} rows, {why}; the first: {rows[0]}"

    def record(self, partial: bool, source: Mapping[str, object]) -> dict[str, Any]:
        """What prepared.json says: nothing that differs between two runs on the same files."""
        return {
            "corpus": self.corpus.name,
            "partial": partial,
            "source": source,
            "problems": dict(self.problems),
            "splits": {
                split: {
                    "samples": count.samples,
                    "systems": len(count.systems),
                    "hours": round(count.hours, 4),
                    "sha256": count.digest.hexdigest(),
                }
                | ({"pairs": count.pairs} if count.pairs else {})
                for split, count in sorted(self.counts.items())
            },
        }

    def _problem(self, fault: Fault, utterance: Utterance) -> None:
        self.problems[fault.kind] += 1
        examples = self._examples.setdefault(fault.kind, [])
        if len(examples) < 3:
            path, text = utterance.audio_path, fault.text
            examples.append(text if not path or path in text else f"{path}: {text}")
        if self._listed is None:
            self._listed = self._listing.enter_context(atomic_write(self.target / "problems.jsonl"))
        row = {"problem": fault.kind, "split": utterance.split, "sample_id": utterance.sample_id}
        row |= {"audio_path": utterance.audio_path, "found": fault.text}
        self._listed.write(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE))


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
        utterance.language,
        utterance.scales,
    )
