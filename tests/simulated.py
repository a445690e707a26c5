"""Simulated listening tests, for all that is about uncertainty."""

from dataclasses import replace

import numpy as np
from sqa_metrics import Paired
from sqa_metrics.rows.records import Coverage


def simulate(n_systems: int, n_utterances: int, errors: list[float], seed: int, bias: float = 0.0) -> Paired:
    """Predictors that see the true quality through noise of the given standard deviations."""
    rng = np.random.default_rng(seed)
    n = n_systems * n_utterances
    truth = np.repeat(rng.normal(3, 0.8, n_systems), n_utterances) + rng.normal(0, 0.3, n)
    preds = [truth + rng.normal(bias, s, n) for s in errors]
    return Paired(
        names=[f"p{k}" for k in range(len(errors))],
        ref=truth + rng.normal(0, 0.25, n),
        preds=preds,
        system=np.repeat(np.arange(n_systems), n_utterances),
        systems=[("", f"s{k}") for k in range(n_systems)],
        corpus=np.zeros(n, int),
        corpora=[""],
        coverage=[Coverage(n, n, 0, 0, 0)] * len(errors),
        ref_utterances=[n],
        ref_systems=[n_systems],
    )


def every_two(rng: np.random.Generator, systems: int, utterances: int) -> tuple[np.ndarray, np.ndarray]:
    """Systems and clips, (n, 2) each, of every two systems on every utterance, in an order by chance."""
    i, j = np.triu_indices(systems, 1)
    turned = rng.random((utterances, i.size)) < 0.5
    system = np.stack([np.where(turned, j, i), np.where(turned, i, j)], axis=-1)
    clips = system * utterances + np.arange(utterances)[:, None, None]
    return system.reshape(-1, 2), clips.reshape(-1, 2)


def without_systems(paired: Paired) -> Paired:
    return replace(paired, system=np.full(len(paired), -1), systems=[])


def two_corpora(one: Paired, two: Paired, shift: float = 0.0) -> Paired:
    """Both in one file, the second `shift` higher for listeners and predictors."""
    return replace(
        one,
        ref=np.append(one.ref, two.ref + shift),
        preds=[np.append(a, b + shift) for a, b in zip(one.preds, two.preds, strict=True)],
        system=np.append(one.system, np.where(two.system < 0, -1, two.system + len(one.systems))),
        systems=[("x", s) for _, s in one.systems] + [("y", s) for _, s in two.systems],
        corpus=np.repeat([0, 1], [len(one), len(two)]),
        corpora=["x", "y"],
        ref_utterances=[len(one), len(two)],
        ref_systems=[len(one.systems), len(two.systems)],
    )


def each_a_system(*columns: list[float]) -> Paired:
    """A reference and its predictors, each item the only one of its system."""
    ref, *preds = columns
    return replace(
        simulate(len(ref), 1, [0.1] * len(preds), 0), ref=np.array(ref), preds=[np.array(p) for p in preds]
    )


# the example of judging.md: reference, and two predictors
REF = [1.2, 1.8, 2.4, 2.9, 3.3, 3.8, 4.1, 4.6]
ONE = [1.6, 1.7, 2.6, 2.7, 3.6, 3.5, 4.0, 4.2]
TWO = [2.1, 1.3, 2.9, 2.4, 3.9, 3.1, 4.4, 3.9]
