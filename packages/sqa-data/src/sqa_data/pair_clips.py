"""Pairs and the clips that they compare: rows that say where these are, a manifest beside them, or a list of clips."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqa_data.clip_list import ClipEntry, Key, list_clips, resolve
from sqa_data.errors import DataError
from sqa_data.lines import Wrong, open_lines, parse_object
from sqa_data.manifest import Utterance, iter_manifest, utterance_of
from sqa_data.pairs import Pair, has_paths_alone, iter_pairs, pair_id

BESIDE = "data.jsonl"


@dataclass(frozen=True, slots=True)
class ClipPair:
    """One pair, its two clips and the name it goes by in results."""

    pair: Pair
    a: ClipEntry
    b: ClipEntry

    @property
    def sample_id(self) -> str:
        """The pair's own id."""
        return pair_id(self.pair)

    @property
    def corpus(self) -> str | None:
        """The corpus of the pair, or that of both clips."""
        return self.pair.corpus or (self.a.corpus if self.a.corpus == self.b.corpus else None)

    @property
    def key(self) -> Key:
        """What makes a row of results unique."""
        return self.corpus, None, self.sample_id


def list_pairs(path: str | os.PathLike[str], inputs: Sequence[str | os.PathLike[str]] = ()) -> list[ClipPair]:
    """The pairs of a file, labelled or not, with their clips, in the order of the file.

    inputs: where the clips are, as `list_clips` takes it; if there are none, and the rows do not say it themselves, the
    manifest `data.jsonl` beside the file.

    Raises `DataError` where a clip is not found, or more than one has its name; for a pair that is there twice; and
    where there is no pair.
    """
    path = Path(path)
    known: dict[str, list[ClipEntry]] | None = None
    found: dict[Key, int] = {}
    pairs: list[ClipPair] = []
    for line, pair in iter_pairs(path, unlabelled=True):
        where = f"{path}:{line}"
        if pair.audio_paths and not inputs:
            places = [resolve(audio_path, str(path.parent)) for audio_path in pair.audio_paths]
            a, b = (
                ClipEntry(place, name, corpus=pair.corpus)
                for place, name in zip(places, (pair.a, pair.b), strict=True)
            )
        else:
            known = _by_name(path, inputs) if known is None else known
            a, b = (_clip(name, pair.corpus, known, where, inputs) for name in (pair.a, pair.b))
        pairs.append(ClipPair(pair, a, b))
        first = found.setdefault(pairs[-1].key, line)
        if first != line:
            raise DataError(
                f"{where}: the pair of {pair.a!r} and {pair.b!r} is there again, as in line {first}"
            )
    if not pairs:
        raise DataError(f"{path}: no pair; expected one a line: the file was cut, or is another one")
    return pairs


def clips_beside(path: str | Path) -> Iterator[Utterance]:
    """The clips of a file of pairs: those that its rows describe, and those of the manifest beside it."""
    path = Path(path)
    base = os.path.abspath(path.parent)  # noqa: PTH100  as manifests have it
    has_paths, seen = False, set[str]()
    for number, line in open_lines(path):
        try:
            row = parse_object(line)
            sides = [side for side in (row.get("a"), row.get("b")) if isinstance(side, dict)]
            clips = [utterance_of(side, base) for side in sides if "audio_path" in side]
        except Wrong as error:
            raise DataError(f"{path}:{number}: {error}") from None
        has_paths = has_paths or has_paths_alone(row)
        yield from (clip for clip in clips if clip.audio_path not in seen)
        seen.update(clip.audio_path for clip in clips)
    if has_paths:
        yield from iter_manifest(path)
    if path.with_name(BESIDE).is_file():
        yield from iter_manifest(path.with_name(BESIDE))


def _by_name(path: Path, inputs: Sequence[str | os.PathLike[str]]) -> dict[str, list[ClipEntry]]:
    """The clips that the pairs may name, by sample_id."""
    beside = path.with_name(BESIDE)
    if not inputs and not beside.is_file():
        raise DataError(
            f"{path}: there is no {BESIDE} beside it; name the manifest or folder of the clips that it compares"
        )
    named: dict[str, list[ClipEntry]] = {}
    for entry in list_clips(inputs or [beside]).entries:
        named.setdefault(entry.sample_id, []).append(entry)
    return named


def _clip(
    name: str,
    corpus: str | None,
    known: dict[str, list[ClipEntry]],
    where: str,
    inputs: Sequence[str | os.PathLike[str]],
) -> ClipEntry:
    """The one clip of this name, and of this corpus if pair and clip say one."""
    found = [clip for clip in known.get(name, []) if corpus is None or clip.corpus in (None, corpus)]
    if len(found) == 1:
        return found[0]
    places = ", ".join(str(given) for given in inputs) or f"the {BESIDE} beside it"
    if not found:
        raise DataError(f"{where}: there is no clip {name!r} in {places}")
    corpora = ", ".join(sorted({clip.corpus or "none" for clip in found}))
    raise DataError(
        f"{where}: {len(found)} clips are called {name!r} (corpus {corpora}); name it in the pair's key `corpus`"
    )
