"""Pairs of clips that listeners compared, from files of pairs to indices into the table of clips.

A pair names its clips by sample_id. They are looked for in the file itself, as UrgentMOS's rows have paths, in the
manifest `data.jsonl` beside it, and in the manifests that the config names: a clip that these have is used as it is
there, another one joins the table for the sake of its pairs alone.
"""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqa_data import pair_clips
from sqa_data.manifest import Utterance, iter_manifest
from sqa_data.pair_clips import BESIDE
from sqa_data.pairs import Pair, iter_pairs

from sqa_model.errors import ModelError
from sqa_model.network.comparison import TIE, A, B, ComparisonConfig
from sqa_model.training.clips import Rows, corpus_of, find_manifests

CMOS = "cmos"  # what they are called where heads are listed
CLASS = {"a": A, "b": B, "tie": TIE}


@dataclass(frozen=True)
class Pairs:
    """Pairs by column; row i of each is pair i."""

    a: np.ndarray  # (pairs,) int: index of clip a
    b: np.ndarray
    cmos: np.ndarray  # (pairs,) float32, above 0 where a is better; NaN: only a preference is known
    better: np.ndarray  # (pairs,) int: A, B or TIE of `network.comparison`
    own_clips: int = 0  # clips at the end of the table that only pairs need

    def __len__(self) -> int:
        return len(self.a)


_NONE = np.zeros(0, dtype=np.int64)
NO_PAIRS = Pairs(_NONE, _NONE, _NONE.astype(np.float32), _NONE)


def read_pairs(patterns: Sequence[str], rows: Rows, apart: Rows, name: str) -> tuple[Rows, Pairs, list[str]]:
    """(`rows` and behind them the clips that only pairs have, the pairs, what there is to tell).

    `name` is the config field ("data.pairs") that errors name. apart: clips that must not be used; their pairs are left
    out, as are those of which nobody said anything (of a challenge's test). Raises `ModelError` for a pattern without a
    file, a clip that is nowhere, and where no pair is left; `DataError` for a line that is no pair.
    """
    if not patterns:
        return rows, NO_PAIRS, []
    finder = _Finder(rows, apart)
    found: list[tuple[int, int, Pair]] = []
    left_out = unlabelled = 0
    for path in find_manifests(patterns, name):
        beside = _named(pair_clips.clips_beside(path), Path(path).with_name(BESIDE))
        for line, pair in iter_pairs(path, unlabelled=True):
            if pair.cmos is None and pair.preference is None:
                unlabelled += 1
                continue
            where = f"{path}:{line}"
            a, b = (finder.clip(pair.corpus, side, beside, where) for side in (pair.a, pair.b))
            if a is None or b is None:
                left_out += 1
            else:
                found.append((a, b, pair))
    if not found:
        raise ModelError(
            f"{name}: no pair to use; found {left_out} whose clips are among those to measure on, and {unlabelled} "
            "of which nobody said anything"
        )
    told = [f"{len(found):,} pairs to learn from"]
    if left_out:
        told.append(f"{left_out:,} pairs are left out: their clips are measured on")
    if unlabelled:
        told.append(f"{unlabelled:,} pairs are left out: nobody said which clip is better")
    cmos = [math.nan if pair.cmos is None else pair.cmos for *_, pair in found]
    return (
        finder.rows,
        Pairs(
            a=np.array([a for a, _, _ in found]),
            b=np.array([b for _, b, _ in found]),
            cmos=np.array(cmos, dtype=np.float32),
            better=np.array([_class(pair) for *_, pair in found]),
            own_clips=len(finder.rows) - len(rows),
        ),
        told,
    )


def _class(pair: Pair) -> int:
    """Which is better: as listeners said, else by the CMOS, near 0 a tie."""
    if pair.preference is not None:
        return CLASS[pair.preference]
    assert pair.cmos is not None  # a pair has one or the other
    if abs(pair.cmos) < ComparisonConfig.tie_below:
        return TIE
    return A if pair.cmos > 0 else B


def clips_beside(path: Path) -> dict[str, list[tuple[str, Utterance]]]:
    """The clips of the manifest in the folder of a file of pairs or ratings, each with its corpus, by sample_id."""
    manifest = path.with_name(BESIDE)
    return _named(iter_manifest(manifest) if manifest.is_file() else (), manifest)


def _named(clips: Iterable[Utterance], manifest: Path) -> dict[str, list[tuple[str, Utterance]]]:
    named: dict[str, list[tuple[str, Utterance]]] = {}
    for row in clips:
        named.setdefault(row.sample_id, []).append((row.corpus or corpus_of(str(manifest)), row))
    return named


class _Finder:
    """Finds the clips of pairs; `rows` grows by those that were in none of the manifests."""

    def __init__(self, rows: Rows, apart: Rows) -> None:
        self.rows = Rows(list(rows.utterances), list(rows.corpora))
        self.places = {file_of(row): i for i, row in reversed(list(enumerate(rows.utterances)))}
        self.apart = {file_of(row) for row in apart.utterances}
        self.named: dict[str, list[tuple[str, Utterance]]] = {}  # as `clips_beside`, of both
        for some in (rows, apart):
            for row, corpus in zip(some.utterances, some.corpora, strict=True):
                self.named.setdefault(row.sample_id, []).append((corpus, row))

    def clip(
        self,
        corpus: str | None,
        sample_id: str,
        beside: dict[str, list[tuple[str, Utterance]]],
        where: str,
    ) -> int | None:
        """The index of a clip; None where it must not be used."""
        found: dict[str, tuple[str, Utterance]] = {}  # by file
        for known in (beside, self.named):
            if not found:
                found = {file_of(r): (c, r) for c, r in known.get(sample_id, []) if corpus in (None, c)}
        if len(found) != 1:
            corpora = ", ".join(sorted({c for c, _ in found.values()}))
            problem = (
                f"{len(found)} clips have this sample_id (corpus {corpora}); name it in the pair's key `corpus`"
                if found
                else f"it is in no manifest of the config and in no {BESIDE} beside this file"
            )
            raise ModelError(f"{where}: clip {sample_id!r} of the pair: {problem}")
        ((file, (name, row)),) = found.items()
        if file in self.apart:
            return None
        if file not in self.places:
            self.places[file] = len(self.rows)
            self.rows.utterances.append(row)
            self.rows.corpora.append(name)
        return self.places[file]


def file_of(row: Utterance) -> str:
    """What tells clips apart, whatever they are called."""
    return os.path.abspath(row.audio_path)  # noqa: PTH100  a Path object costs more
