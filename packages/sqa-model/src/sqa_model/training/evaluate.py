"""Measure a model on a development set: every clip once, per corpus, with the figures that `sqa-cli score` gives."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
from sqa_data.errors import AudioError
from sqa_metrics.figures import FIGURES
from sqa_metrics.report import by_corpus
from torch import Tensor

from sqa_model.errors import ModelError
from sqa_model.training.clips import Clips
from sqa_model.training.config import BatchConfig, EvalConfig
from sqa_model.training.processes import Processes, Stopped
from sqa_model.training.sampler import micro_batches
from sqa_model.training.source import read_ahead

# corpus -> head -> {"clips": 640, "systems": 5, "utterance_mse": 0.31, ...}; None: undefined
Results = dict[str, dict[str, dict[str, float | int | None]]]
Loaded = TypeVar("Loaded")


def predictions(
    score: Callable[[list[int], list[Loaded]], Tensor],
    load: Callable[[int], Loaded],
    clips: Clips,
    heads: int,
    batch: BatchConfig,
    group: Processes,
    *,
    workers: int,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[np.ndarray, list[str]]:
    """The model's scores of all clips, (clips, heads), equal on every process; and what could not be read.

    Clips are dealt over the processes in batches of similar length. `load(i)` reads clip i (in threads),
    `score` turns a batch of what was loaded into (batch, heads). An unreadable clip keeps NaN. Raises `ModelError`
    for a score that is no number, and `Stopped` where `stop` came true in any process.
    """
    jobs = batches_of(clips, batch, group)
    indices: list[int] = []
    rows: list[np.ndarray] = []
    unreadable: list[str] = []
    for job, loaded in read_ahead(jobs, list[int], load, workers=workers, ahead=2):
        if stop():
            break
        good = [(i, item) for i, item in zip(job, loaded, strict=True) if not isinstance(item, AudioError)]
        unreadable += [str(item) for item in loaded if isinstance(item, AudioError)]
        if good:
            chosen = [i for i, _ in good]
            rows += list(score(chosen, [item for _, item in good]).float().cpu().numpy())
            indices += chosen
    scores = np.full((len(clips), heads), math.nan, dtype=np.float32)
    gathered = group.gather((indices, rows, unreadable, stop()))
    if any(stopped for *_, stopped in gathered):
        raise Stopped
    for their_indices, their_rows, *_ in gathered:
        for i, row in zip(their_indices, their_rows, strict=True):
            if not np.isfinite(row).all():
                raise ModelError(
                    f"{clips.paths[i]}: the model's score is not a number; training has diverged"
                )
            scores[i] = row
    return scores, [line for _, _, theirs, _ in gathered for line in theirs]


def batches_of(clips: Clips, batch: BatchConfig, group: Processes) -> list[list[int]]:
    """This process's share of all clips, in batches of similar length, the longest clips first."""
    batch = replace(batch, micro_seconds=batch.micro_seconds or batch.seconds)  # here nothing is one update
    by_length = np.argsort(-clips.seconds, kind="stable")
    share = micro_batches(by_length, clips.seconds, batch, processes=group.size)[group.rank]
    return [[int(i) for i in job] for job in share]


def agreement(clips: Clips, scores: np.ndarray, heads: Sequence[str]) -> Results:
    """Agreement of `scores` (clips, heads) with the labels, for every corpus and labelled head."""
    results: Results = {name: {} for name in clips.corpora}
    for column, head in enumerate(heads):
        rows = np.flatnonzero(np.isfinite(clips.labels[:, column]) & np.isfinite(scores[:, column]))
        figures = by_corpus(
            clips.labels[rows, column].astype(np.float64),
            scores[rows, column].astype(np.float64),
            [clips.system_ids[i] for i in rows],
            [clips.corpora[clips.corpus[i]] for i in rows],
            [clips.sample_ids[i] for i in rows],
        )
        for name, values in figures.items():
            results[name][head] = values
    return results


def merit(results: Results, config: EvalConfig) -> tuple[float, float]:
    """What the best checkpoint has most of: (the chosen metric, utterance SRCC), each the mean over the corpora.

    The mean is weighted by `config.weights`. A figure that is better when lower counts negative, so more is always
    better. Corpora where the chosen metric is undefined do not count; if it is undefined everywhere, the first number
    is -inf and utterance SRCC decides.

    >>> figures = {"clips": 9, "utterance_mse": 0.5, "utterance_srcc": 0.7}
    >>> merit({"a": {"mos": figures}}, EvalConfig(metric="system_srcc"))
    (-inf, 0.7)
    """
    weights = {corpus: config.weights.get(corpus, 1.0) for corpus in results}

    def mean(metric: str) -> float:
        found = [
            (weights[corpus], heads[config.head].get(metric))
            for corpus, heads in results.items()
            if weights[corpus] and config.head in heads
        ]
        known = [(weight, float(value)) for weight, value in found if value is not None]
        figure = FIGURES.get(metric.partition("_")[2])
        sign = -1 if figure and figure.better == "lower" else 1
        total = sum(weight for weight, _ in known)
        return sign * sum(weight * value for weight, value in known) / total if known else -math.inf

    return mean(config.metric), mean("utterance_srcc")


def check_choice(dev: Clips, heads: Sequence[str], config: EvalConfig) -> None:
    """`ModelError` where `config.weights` names a corpus that `dev` lacks, or leaves no label to choose by."""
    for name, weight in config.weights.items():
        if name not in dev.corpora:
            raise ModelError(
                f"eval.weights.{name}: found {weight:g}, but data.dev has no such corpus; expected one of "
                f"{', '.join(dev.corpora)}"
            )
    if config.head not in heads:  # the pairs choose
        return
    chooses = np.array([config.weights.get(name, 1.0) > 0 for name in dev.corpora])
    labelled = np.isfinite(dev.labels[:, list(heads).index(config.head)])
    if not (labelled & chooses[dev.corpus]).any():
        raise ModelError(
            f"eval.weights: no corpus of a weight above 0 has a clip labelled {config.head!r} in data.dev, so nothing "
            "could choose the best checkpoint; raise a weight, or name another eval.head"
        )


def summary(results: Results, head: str) -> str:
    """One line for the log: the choosing head's rank correlations, corpus by corpus.

    >>> summary({"bvcc": {"mos": {"utterance_srcc": 0.5, "system_srcc": None}}, "x": {}}, "mos")
    'bvcc utterance_srcc 0.500, x no SRCC (of two clips at least that differ in labels and in scores)'
    """
    none = "no SRCC (of two clips at least that differ in labels and in scores)"
    parts = []
    for corpus, by_head in results.items():
        figures = by_head.get(head, {})
        found = [(name, figures.get(name)) for name in ("utterance_srcc", "system_srcc")]
        shown = " ".join(f"{name} {value:.3f}" for name, value in found if value is not None)
        parts.append(f"{corpus} {shown or none}")
    return ", ".join(parts)
