"""Measure a model on a development set: every clip once, per corpus, at the utterance and system level."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from sqa_metrics.agreement import ConstantInputWarning, ktau, lcc, mse, srcc
from torch import Tensor

from sqa_model.errors import ModelError
from sqa_model.training.config import EvalConfig
from sqa_model.training.processes import Team
from sqa_model.training.sampler import BatchConfig, micro_batches
from sqa_model.training.source import Clips, Unreadable, read_ahead

METRICS = {"mse": mse, "lcc": lcc, "srcc": srcc, "ktau": ktau}

# corpus -> head -> {"clips": 640, "systems": 5, "utterance_mse": 0.31, ...}; None: undefined
Results = dict[str, dict[str, dict[str, float | int | None]]]


def predictions(
    score: Callable[[list[int], list[Any]], Tensor],
    load: Callable[[int], Any],
    clips: Clips,
    heads: int,
    batch: BatchConfig,
    team: Team,
    *,
    workers: int,
) -> tuple[np.ndarray, list[str]]:
    """The model's scores of all clips, (clips, heads), equal on every process; and what could not be read.

    Clips are dealt over the processes in batches of similar length. `load(i)` reads clip i (in threads),
    `score` turns a batch of what was loaded into (batch, heads). An unreadable clip keeps NaN.
    """
    batch = replace(batch, micro_seconds=batch.micro_seconds or batch.seconds)  # here nothing is one update
    everything = np.argsort(-clips.seconds, kind="stable")
    share = micro_batches(everything, clips.seconds, batch, processes=team.size)[team.rank]
    indices: list[int] = []
    rows: list[np.ndarray] = []
    unreadable: list[str] = []
    jobs = [[int(i) for i in job] for job in share]
    for job, loaded in zip(jobs, read_ahead(jobs, load, workers=workers, ahead=2), strict=True):
        good = [(i, item) for i, item in zip(job, loaded, strict=True) if not isinstance(item, Unreadable)]
        unreadable += [str(item) for item in loaded if isinstance(item, Unreadable)]
        if good:
            chosen = [i for i, _ in good]
            rows += list(score(chosen, [item for _, item in good]).float().cpu().numpy())
            indices += chosen
    scores = np.full((len(clips), heads), math.nan, dtype=np.float32)
    for their_indices, their_rows, _ in (gathered := team.gather((indices, rows, unreadable))):
        if their_indices:
            scores[their_indices] = their_rows
            for i, row in zip(their_indices, their_rows, strict=True):
                if not np.isfinite(row).all():
                    raise ModelError(
                        f"{clips.paths[i]}: the model's score is not a number; training has diverged"
                    )
    return scores, [line for *_, theirs in gathered for line in theirs]


def agreement(clips: Clips, scores: np.ndarray, heads: Sequence[str]) -> Results:
    """Agreement of `scores` (clips, heads) with the labels, for every corpus and labelled head.

    A system's score is the mean over its labelled clips. There is no system level where clips name no
    system, or each a system of its own (the baseline's way to say the same).
    """
    results: Results = {}
    for number, corpus in enumerate(clips.corpora):
        results[corpus] = {}
        for column, head in enumerate(heads):
            usable = (
                (clips.corpus == number)
                & np.isfinite(clips.labels[:, column])
                & np.isfinite(scores[:, column])
            )
            rows = np.flatnonzero(usable)
            if len(rows) == 0:
                continue
            ref, pred = clips.labels[rows, column].astype(float), scores[rows, column].astype(float)
            figures: dict[str, float | int | None] = {"clips": len(rows)}
            figures |= {f"utterance_{name}": value for name, value in _four(ref, pred).items()}
            named = [i for i, row in enumerate(rows) if clips.system_ids[row] is not None]
            systems, member = np.unique([clips.system_ids[rows[i]] for i in named], return_inverse=True)
            if 2 <= len(systems) < len(named):
                count = np.bincount(member)
                means = [np.bincount(member, values[named]) / count for values in (ref, pred)]
                figures["systems"] = len(systems)
                figures |= {f"system_{name}": value for name, value in _four(*means).items()}
            results[corpus][head] = figures
    return results


def merit(results: Results, config: EvalConfig) -> tuple[float, float]:
    """What the best checkpoint has most of: (the chosen metric, utterance SRCC), each the mean over the
    corpora.

    An error counts negative, so more is always better. Corpora where the chosen metric is undefined do not
    count; if it is undefined everywhere, the first number is -inf and utterance SRCC decides.

    >>> figures = {"clips": 9, "utterance_mse": 0.5, "utterance_srcc": 0.7}
    >>> merit({"a": {"mos": figures}}, EvalConfig(metric="system_srcc"))
    (-inf, 0.7)
    """

    def mean(metric: str) -> float:
        values = [corpus[config.head].get(metric) for corpus in results.values() if config.head in corpus]
        known = [float(value) for value in values if value is not None]
        sign = -1 if metric.endswith("_mse") else 1
        return sign * sum(known) / len(known) if known else -math.inf

    return mean(config.metric), mean("utterance_srcc")


def _four(ref: np.ndarray, pred: np.ndarray) -> dict[str, float | None]:
    """The four metrics; None where undefined (constant scores, as of an untrained model)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConstantInputWarning)
        values = {name: float(metric(ref, pred)) for name, metric in METRICS.items()}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
