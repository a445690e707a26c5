"""The figures without one system at a time: what intervals, tests and ceilings are computed from.

A listening test samples systems. So systems are left out whole, with all their utterances, at both levels; an utterance
without a system is a cluster of its own. A corpus is fixed, not drawn: it is a stratum, inside which systems vary.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from sqa_metrics.figures import FIGURES
from sqa_metrics.kernels.leave_out import leave_out
from sqa_metrics.report import MIN_CLUSTERS, MIN_SYSTEMS, figures_of, system_means
from sqa_metrics.rows.records import Paired


@dataclass(frozen=True)
class Clusters:
    """Scores of one level in order of their clusters: systems, or utterances that have none."""

    ref: np.ndarray  # (n,)
    preds: np.ndarray  # (m, n)
    starts: np.ndarray  # (c + 1,) cluster k is [starts[k], starts[k + 1])
    stratum: np.ndarray  # (c,) int
    # whether a predictor is on another scale than the reference: it has no errors then
    apart: tuple[bool, ...]

    @property
    def sizes(self) -> np.ndarray:
        return np.diff(self.starts)

    def only(self, predictor: int) -> "Clusters":
        return replace(self, preds=self.preds[[predictor]], apart=self.apart[predictor : predictor + 1])


@dataclass(frozen=True)
class LeftOut:
    """The figures of m predictors from all clusters of a level, and without each one."""

    whole: dict[str, np.ndarray]  # figure -> (m,)
    without: dict[str, np.ndarray]  # figure -> (c, m)
    items: np.ndarray  # (c + 1,) what they are of: without each cluster, and last of all
    stratum: np.ndarray  # (c,)
    freedom: float  # degrees of freedom
    of_systems: bool  # the system level

    @property
    def n_clusters(self) -> int:
        return len(self.stratum)


def levels(paired: Paired) -> dict[str, Clusters]:
    """The scores of both levels, or of the utterances alone where there is no system level."""
    ref, preds = np.asarray(paired.ref, float), np.array([np.asarray(p, float) for p in paired.preds])
    system, n_systems = np.asarray(paired.system), len(paired.systems)
    order = np.argsort(np.where(system < 0, n_systems, system), kind="stable")
    ordered = system[order]
    first = np.append(True, ordered[1:] != ordered[:-1]) | (ordered < 0) if len(order) else np.zeros(0, bool)
    starts = np.append(np.flatnonzero(first), len(order))
    corpus = np.asarray(paired.corpus)[order][starts[:-1]]
    apart = tuple(name in paired.apart for name in paired.names)
    result = {"utterance": Clusters(ref[order], preds[:, order], starts, corpus, apart)}
    if n_systems >= MIN_SYSTEMS:
        means = [system_means(p, system, n_systems) for p in (ref, *preds)]
        number = {name: k for k, name in enumerate(paired.corpora)}
        stratum = np.array([number[corpus] for corpus, _ in paired.systems])
        result["system"] = Clusters(means[0], np.array(means[1:]), np.arange(n_systems + 1), stratum, apart)
    return result


def left_out(paired: Paired) -> dict[str, LeftOut]:
    """The figures of both levels, whole and without each cluster."""
    return {name: of_clusters(level, name == "system") for name, level in levels(paired).items()}


def of_clusters(level: Clusters, of_systems: bool) -> LeftOut:
    """The figures of one level; with too few clusters to leave one out those without it are NaN."""
    whole = [figures_of(level.ref, pred, other) for pred, other in zip(level.preds, level.apart, strict=True)]
    without = np.full((len(level.stratum), len(level.preds), len(FIGURES)), np.nan)
    if len(level.stratum) >= MIN_CLUSTERS:
        functions = {name: figure.function for name, figure in FIGURES.items()}
        without = leave_out(level.ref, level.preds, level.starts, functions)
    return assembled(
        level,
        {name: np.array([figures[name] for figures in whole]) for name in FIGURES},
        {name: without[:, :, k] for k, name in enumerate(FIGURES)},
        of_systems,
    )


def assembled(
    level: Clusters, whole: dict[str, np.ndarray], without: dict[str, np.ndarray], of_systems: bool
) -> LeftOut:
    """Figures of one level, with what their uncertainty needs to know of its clusters."""
    stratum = _joined(level.stratum)
    return LeftOut(
        whole,
        without,
        items=np.append(level.ref.size - level.sizes, level.ref.size),
        stratum=stratum,
        freedom=sum(effective(level.sizes[rows]) - 1 for rows in strata(stratum)),
        of_systems=of_systems,
    )


def strata(stratum: np.ndarray) -> Iterator[np.ndarray]:
    """The rows of each stratum."""
    # np.unique would load masked arrays, a tenth of a cold start
    for code in sorted(set(stratum.tolist())):
        yield np.flatnonzero(stratum == code)


def effective(sizes: np.ndarray) -> float:
    """So many clusters of equal size would be as uncertain as these (Kish 1965)."""
    return float(sizes.sum() ** 2 / (sizes.astype(float) ** 2).sum())


def _joined(stratum: np.ndarray) -> np.ndarray:
    """A stratum of one cluster shows no variation: it joins the largest (Cochran 1977, section 5A.12)."""
    codes, count = np.unique(stratum, return_counts=True)
    if not (count == 1).any() or len(codes) == 1:
        return stratum
    return np.where(np.isin(stratum, codes[count == 1]), codes[count.argmax()], stratum)
