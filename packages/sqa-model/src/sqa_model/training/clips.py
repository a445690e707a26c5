"""From manifests to a table of clips with their labels, by column."""

import glob
import logging
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sqa_data.labels import ROUNDING, is_uncertainty, range_of, valid_range
from sqa_data.manifest import Utterance, iter_manifest

from sqa_model.errors import ModelError
from sqa_model.training.config import DataConfig

log = logging.getLogger("sqa_model.training")

LARGEST = float(np.finfo(np.float32).max)
SHOWN = 5  # offending lines that an error lists


@dataclass(frozen=True)
class Clips:
    """The utterances of some manifests, by column; row i of each is clip i."""

    paths: list[str]
    sample_ids: list[str]
    system_ids: list[str | None]
    corpora: tuple[str, ...]
    corpus: np.ndarray  # (clips,) int: index into corpora
    seconds: np.ndarray  # (clips,) as the manifest says
    labels: np.ndarray  # (clips, heads) float32; NaN: no label
    votes: np.ndarray  # (clips, heads) float32, of listeners behind each label; NaN: not known

    def __len__(self) -> int:
        return len(self.paths)


@dataclass(frozen=True)
class Rows:
    """The utterances of some manifests, before it is known which labels are learned."""

    utterances: list[Utterance]
    corpora: list[str]  # of each: what it says, else what its manifest's path says

    def __len__(self) -> int:
        return len(self.utterances)

    def take(self, chosen: Sequence[int]) -> "Rows":
        """Those at these places."""
        return Rows([self.utterances[i] for i in chosen], [self.corpora[i] for i in chosen])

    def labelled(self, heads: Sequence[str]) -> "Rows":
        """Those with a label for at least one head; all of them where none has one."""
        wanted = {head for head in heads if not is_uncertainty(head)}
        chosen = [i for i, row in enumerate(self.utterances) if not wanted.isdisjoint(row.metrics)]
        return self.take(chosen) if 0 < len(chosen) < len(self) else self

    def labels(self) -> set[str]:
        """Every label that some row has."""
        return {label for row in self.utterances for label in row.metrics}


def read_rows(patterns: Sequence[str], name: str) -> Rows:
    """The rows of every manifest that the paths or globs name, each manifest once, in sorted order.

    `name` is the config field ("data.train") that errors name. Raises `ModelError` for a pattern without a file;
    `DataError` for an empty manifest and a line that is wrong.
    """
    rows = Rows([], [])
    for path in find_manifests(patterns, name):
        found = list(iter_manifest(path))
        rows.utterances.extend(found)
        rows.corpora.extend(row.corpus or corpus_of(path) for row in found)
    return rows


def clips_of(
    found: Rows,
    heads: Sequence[str],
    data: DataConfig,
    *,
    name: str,
    needed: Sequence[str] | None = None,
) -> Clips:
    """The clips of rows with their labels for `heads`.

    `needed` are the heads that some row must label (default: all). Raises `ModelError` for a needed head that no row
    labels, labels of another scale than their head's and (unless `data.out_of_range` says otherwise) labels that are
    not valid. Valid labels beyond their head's range are moved to its end, and counted in the log.
    """
    rows, corpora = found.utterances, found.corpora
    _require_scales(rows, corpora, heads, name)
    names = tuple(sorted(set(corpora)))
    number = {corpus: i for i, corpus in enumerate(names)}
    with np.errstate(over="ignore"):  # what is beyond float32 is out of range
        labels = np.array([[row.metrics.get(head, math.nan) for head in heads] for row in rows], np.float32)
    labels[:, [is_uncertainty(head) for head in heads]] = math.nan
    votes = np.full_like(labels, math.nan)
    # what a manifest counts are those of the mos
    for column in (i for i, head in enumerate(heads) if head == "mos"):
        votes[:, column] = [row.votes or math.nan for row in rows]
    _check_present(labels, heads, heads if needed is None else needed, rows, name)
    return Clips(
        paths=[row.audio_path for row in rows],
        sample_ids=[row.sample_id for row in rows],
        system_ids=[row.system_id for row in rows],
        corpora=names,
        corpus=np.array([number[corpus] for corpus in corpora]),
        seconds=np.array([row.duration for row in rows], dtype=np.float64),
        labels=_in_range(labels, heads, rows, data.out_of_range, name),
        votes=votes,
    )


def find_manifests(patterns: Sequence[str], name: str) -> list[str]:
    """The files that paths and globs name, each once by whatever path, sorted; `ModelError` where one names nothing."""
    if not patterns:
        instead = ", or data.hold_out=0.2 to hold out some of data.train" if name == "data.dev" else ""
        raise ModelError(
            f"{name}: found no manifest, expected at least one path or glob, data/*/train/data.jsonl{instead}"
        )
    paths: dict[str, str] = {}
    for pattern in patterns:
        matches = [pattern] if Path(pattern).is_file() else glob.glob(pattern, recursive=True)  # noqa: PTH207  absolute patterns too
        if not matches:
            raise ModelError(f"{name}: no file matches {pattern!r}; looked from {Path.cwd()}")
        for match in matches:
            paths.setdefault(os.path.realpath(match), str(Path(match)))
    return sorted(paths.values())


def corpus_of(path: str) -> str:
    """The corpus of a manifest that does not say; the baseline has data/<corpus>/<split>/data.jsonl."""
    file = Path(path)
    return (file.resolve().parent.parent.name if file.name == "data.jsonl" else file.stem) or "unnamed"


def _check_present(
    labels: np.ndarray, heads: Sequence[str], needed: Sequence[str], rows: Sequence[Utterance], name: str
) -> None:
    for column, head in enumerate(heads):
        if head in needed and not is_uncertainty(head) and np.isnan(labels[:, column]).all():
            known = sorted({label for row in rows for label in row.metrics})
            remedy = (
                "leave it out of model.heads (eval.head), add it to the manifests, or see data.missing_heads"
                if known
                else "expected rated clips; a label that is null counts as none"
            )
            raise ModelError(
                f"{name}: no utterance has the label {head!r}; found: {', '.join(known) or 'no label'}; {remedy}"
            )


def _require_scales(
    rows: Sequence[Utterance], corpora: Sequence[str], heads: Sequence[str], name: str
) -> None:
    """`ModelError` for a label that listeners gave on another scale than its head has: scales are never pooled."""
    for row, corpus in zip(rows, corpora, strict=True):
        for head in row.scales.keys() & set(heads) if row.scales else ():
            found, expected = range_of(head, row.scales), range_of(head)
            if found != expected and expected[1] < math.inf:
                raise ModelError(
                    f"{name}: {head} of {corpus} is on a scale of {found[0]:g} to {found[1]:g}, the head's is "
                    f"{expected[0]:g} to {expected[1]:g}; scales are pooled only if you ask: `sqa-cli data merge "
                    f"--rescale {head}` maps them linearly"
                )


def _in_range(
    labels: np.ndarray, heads: Sequence[str], rows: Sequence[Utterance], out_of_range: str, name: str
) -> np.ndarray:
    """(clips, heads) labels within the heads' ranges; metrics give more than heads do, so these are moved."""
    low, high = _bounds([range_of(head) for head in heads])
    lowest, highest = _bounds([valid_range(head) for head in heads])
    invalid = (labels < lowest - ROUNDING) | (labels > highest + ROUNDING)  # NaN compares false
    if out_of_range == "error" and invalid.any():
        wrong = [
            f"{rows[i].audio_path}: {heads[k]} is {rows[i].metrics[heads[k]]:g}, "
            f"expected {lowest[k]:g} to {highest[k]:g}"
            for i, k in np.argwhere(invalid)[:SHOWN]
        ]
        raise ModelError(
            f"{name}: {int(invalid.sum())} labels out of range, the first:\n  "
            + "\n  ".join(wrong)
            + '\ncorrect them, or set data.out_of_range to "mask" (ignore them) or "clip"'
        )
    if out_of_range == "mask":
        labels = np.where(invalid, np.float32(math.nan), labels)
    for k, head in enumerate(heads):
        if count := int(((labels[:, k] < low[k]) | (labels[:, k] > high[k])).sum()):
            log.info(
                "%s: %d of %d labels %s lie beyond the head's %g to %g and are moved to its end",
                *(name, count, int((~np.isnan(labels[:, k])).sum()), head, low[k], high[k]),
            )
    moved: np.ndarray = np.clip(labels, low, high)
    return moved


def _bounds(ranges: Sequence[tuple[float, float]]) -> np.ndarray:
    """(2, heads) float32 lower and upper bounds; none is beyond float32, in which it would be infinite."""
    bounds: np.ndarray = np.array(ranges).clip(-LARGEST, LARGEST).astype(np.float32).T
    return bounds
