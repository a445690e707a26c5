"""Tests between predictors of the same pairs, by the clusters that are left out for the intervals of pairs.

MSE and accuracy are compared as they are, correlations as atanh. Two systems share each pair, so their predictions
cannot be swapped: where an order is perfect, or no error shows, two predictors are not told apart.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from sqa_metrics.errors import MetricsError
from sqa_metrics.figures import FIGURES, Figure
from sqa_metrics.pairs import measure
from sqa_metrics.pairs.figures import accuracy
from sqa_metrics.pairs.join import PairedPairs
from sqa_metrics.uncertainty.differences import Measured

if TYPE_CHECKING:
    from sqa_metrics.numbers import Scores


def pair_figures() -> dict[str, Figure]:
    """The figures of pairs that predictors are ranked by: accuracy is of the order, as rank correlations are."""
    return FIGURES | {"accuracy": Figure(_accuracy, "higher", "Rank")}


def measure_pairs(predictors: Sequence[PairedPairs]) -> dict[str, Measured]:
    """What the tests of every two predictors need, at the level of pairs and, where there is one, of system pairs.

    MetricsError where the predictors do not share their pairs and the systems of these.
    """
    _require_same(predictors)
    wanted = {
        name: figure
        for name, figure in pair_figures().items()
        if not (predictors[0].preferences and figure.category == "Error")
    }
    result = {"pair": _measured([measure.of_pairs(one)[0] for one in predictors], wanted)}
    of_systems = [one for one in map(measure.of_system_pairs, predictors) if one is not None]
    if of_systems:
        result["system_pair"] = _measured(of_systems, wanted)
    return result


def _accuracy(ref: "Scores", pred: "Scores") -> float:
    return accuracy(np.asarray(ref), np.asarray(pred))


def _measured(levels: Sequence[measure.Level], wanted: dict[str, Figure]) -> Measured:
    return Measured(measure.without_each(levels), [], wanted)


def _same_pairs(one: PairedPairs, other: PairedPairs) -> bool:
    if one.fingerprint != other.fingerprint or not np.array_equal(one.ref, other.ref):
        return False
    pairs = [[(row.corpus, row.a, row.b, row.pair_id) for row in each.rows] for each in (one, other)]
    return pairs[0] == pairs[1]


def _require_same(predictors: Sequence[PairedPairs]) -> None:
    first = predictors[0]
    for other in predictors[1:]:
        if not _same_pairs(first, other):
            raise MetricsError(
                f"{first.name} is judged on {len(first)} pairs and {other.name} on {len(other)}, or on others; "
                "expected the same pairs of one reference"
            )
        if other.systems != first.systems or not np.array_equal(other.system, first.system):
            raise MetricsError(
                f"{first.name} and {other.name} name other systems for the clips of pairs; expected them in the "
                "reference (system_a, system_b), or --utt2sys FILE"
            )
