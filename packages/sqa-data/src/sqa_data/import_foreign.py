"""Take over what other tools wrote: the baseline's manifests and labels, SHEET's CSV files, Kaldi's folders."""

import io
import math
import zipfile
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from pathlib import Path, PurePosixPath

from sqa_data.audio import look
from sqa_data.corpus import list_corpora
from sqa_data.errors import DataError
from sqa_data.labels import RANGES, in_range, valid_range
from sqa_data.lines import open_lines, split_line, text_lines
from sqa_data.manifest import Utterance, iter_manifest, write_manifest
from sqa_data.tables import number, read_header, read_rows

Lines = Iterator[tuple[int, bytes]]  # numbered from 1


def convert(
    source: str | Path,
    *,
    corpus: str | None = None,
    split: str | None = None,
    audio_root: str | Path | None = None,
) -> list[Utterance]:
    """The utterances of a file or folder of another tool; what it is shows in its name.

    FILE.jsonl: a manifest of the baseline   FILE.csv: SHEET   FOLDER with wav.scp: Kaldi
    Relative audio paths start at `audio_root` (default: the working directory, where these tools look). Lengths that
    the source does not give are read from the audio.
    """
    source, root = Path(source), Path(audio_root or ".")
    if source.is_dir():
        found = _kaldi(source, root)
    elif source.suffix == ".csv":
        found = _sheet(source, root)
    elif source.suffix in (".jsonl", ".json"):
        found = iter_manifest(source, audio_root=root)
    else:
        raise DataError(f"{source}: expected a .jsonl manifest, a .csv of SHEET or a folder with wav.scp")
    utterances = [replace(u, corpus=corpus or u.corpus, split=split or u.split) for u in found]
    if not utterances:
        raise DataError(f"{source}: no utterance; expected one a line")
    if all(u.system_id == u.sample_id for u in utterances):
        # how the baseline writes that there are no systems
        utterances = [replace(u, system_id=None) for u in utterances]
    return utterances


@dataclass(frozen=True, slots=True)
class Added:
    """What `add_labels` did to one manifest."""

    manifest: Path
    labels: dict[str, int]  # label -> utterances that got it
    unknown: int  # ids in the label files that the manifest does not have


def add_labels(source: str | Path, data: str | Path) -> list[Added]:
    """Put the precomputed labels of the baseline (its `data.zip`, or what it unpacks to) into prepared manifests.

    Files `.../CORPUS/SPLIT/LABEL.scp` (`sample_id value`, one a line) go to `data`/CORPUS/SPLIT/data.jsonl. A label
    that an utterance has already is kept; NaN is no label.
    """
    added = []
    with _opened(Path(source)) as (names, lines_of):
        files = sorted(
            (Path(name).parts[-3:-1], Path(name).stem, name) for name in names if _is_label_file(name)
        )
        if not files:
            raise DataError(f"{source}: no files CORPUS/SPLIT/LABEL.scp in it")
        for (corpus, split), group in groupby(files, key=itemgetter(0)):
            manifest = Path(data) / corpus / split / "data.jsonl"
            if manifest.is_file():
                labels = ((label, name, lines_of(name)) for _, label, name in group)
                added.append(_add(manifest, _baseline_id(corpus), labels))
    if not added:
        raise DataError(f"{data}: none of the corpora in {source} is prepared here")
    return added


def _baseline_id(corpus: str) -> Callable[[str], str]:
    """What makes the baseline's sample_id of one of a corpus, ours or its own."""
    known = next((known for known in list_corpora() if known.name == corpus), None)
    return known.baseline_ids.of_sample if known and known.baseline_ids else str


def _add(manifest: Path, baseline_id: Callable[[str], str], files: Iterable[tuple[str, str, Lines]]) -> Added:
    rows = {baseline_id(u.sample_id): i for i, u in enumerate(iter_manifest(manifest))}
    columns: dict[str, array[float]] = {}
    unknown: set[str] = set()
    for label, name, lines in files:
        column = columns.setdefault(label, array("d", [float("nan")]) * len(rows))
        for line, text in lines:
            written, value = split_line(text, f"{name}:{line}")
            sample_id = baseline_id(written)
            if sample_id not in rows:
                unknown.add(sample_id)
            elif value.lower() != "nan":  # how the baseline writes that there is none
                found = number(value, label, Path(name), line, -math.inf, math.inf)
                if not in_range(label, found):
                    low, high = valid_range(label)
                    expected = f"expected a finite number in {low:g}..{high:g}"
                    raise DataError(f"{name}:{line}: {label} is {value}; {expected}")
                column[rows[sample_id]] = found
    counts = dict.fromkeys(columns, 0)

    def labelled() -> Iterator[Utterance]:
        for i, utterance in enumerate(iter_manifest(manifest)):
            new = {
                label: column[i]
                for label, column in columns.items()
                if column[i] == column[i] and label not in utterance.metrics
            }
            for label in new:
                counts[label] += 1
            yield replace(utterance, metrics={**utterance.metrics, **new}) if new else utterance

    write_manifest(manifest, labelled())
    return Added(manifest, counts, len(unknown))


def _is_label_file(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix == ".scp" and path.stem != "wav" and len(path.parts) > 2


@contextmanager
def _opened(source: Path) -> Iterator[tuple[list[str], Callable[[str], Lines]]]:
    """The names of the files in a folder or a zip, and what gives the lines of one."""
    if source.is_dir():
        files = [path.relative_to(source.parent).as_posix() for path in source.rglob("*.scp")]
        yield files, lambda name: open_lines(source.parent / name)
        return
    try:
        with zipfile.ZipFile(source) as archive:
            yield archive.namelist(), lambda name: text_lines(io.BytesIO(archive.read(name)), name)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{source}: not a readable zip ({error})") from error


def _sheet(path: Path, root: Path) -> Iterator[Utterance]:
    header = [name.strip() for name in read_header(path)]
    labels = [label for label in RANGES if label in header and label != "mos"]
    columns = ["wav_path", "sample_id", "system_id?", "score?", "avg_score?", "mos?", "listener_id?", *labels]
    if not {"score", "avg_score", "mos"} & set(header):
        raise DataError(f"{path}:1: no column score, avg_score or mos; found {', '.join(header)}")
    ratings: dict[str, list[float]] = {}
    first: dict[str, tuple[str, str, list[str]]] = {}
    for line, row in read_rows(path, columns):
        wav, sample_id, system, score, average, mos, _, *values = row
        text = score or average or mos
        if text:
            ratings.setdefault(sample_id, []).append(number(text, "score", path, line))
        if first.setdefault(sample_id, (wav, system, values))[0] != wav:
            raise DataError(
                f"{path}:{line}: sample_id {sample_id!r} stands for two files: {first[sample_id][0]}, {wav}"
            )
    for sample_id, (wav, system, values) in first.items():
        given = ratings.get(sample_id, [])
        metrics = {
            label: float(value) for label, value in zip(labels, values, strict=True) if _is_number(value)
        }
        if given:
            metrics["mos"] = sum(given) / len(given)
        votes = len(given) if "score" in header and given else None
        yield _probed(Utterance(str(root / wav), sample_id, 0.0, metrics, system or None, votes=votes))


def _kaldi(folder: Path, root: Path) -> Iterator[Utterance]:
    audio = _scp(folder / "wav.scp")
    systems = _scp(folder / "utt2sys") if (folder / "utt2sys").is_file() else {}
    lengths = _scp(folder / "utt2dur") if (folder / "utt2dur").is_file() else {}
    labels = {path.stem: _scp(path) for path in sorted(folder.glob("*.scp")) if path.stem != "wav"}
    for sample_id, path in audio.items():
        metrics = {
            label: float(of[sample_id]) for label, of in labels.items() if _is_number(of.get(sample_id, ""))
        }
        utterance = Utterance(str(root / path), sample_id, 0.0, metrics, systems.get(sample_id))
        length = lengths.get(sample_id, "")
        yield replace(utterance, duration=float(length)) if _is_number(length) else _probed(utterance)


def _scp(path: Path) -> dict[str, str]:
    return dict(split_line(line, f"{path}:{number}") for number, line in open_lines(path))


def _probed(utterance: Utterance) -> Utterance:
    info = look(utterance.audio_path)
    return replace(utterance, duration=info.duration_s, sample_rate=info.sample_rate)


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text)  # NaN is no label
    except ValueError:
        return False
