"""The figures: their one table. Everything that computes, tests, ranks or prints figures goes through it by name.

To add one: write its function (reference first; `numbers.as_scores` reads the arguments; NaN where it is undefined)
and its row below.
"""

import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple

from sqa_metrics.agreement import four, ktau, lcc, mse, srcc

if TYPE_CHECKING:
    import numpy as np

    from sqa_metrics.numbers import Scores


class Figure(NamedTuple):
    """A number that says how well a predictor agrees with its reference."""

    function: "Callable[[Scores, Scores], float]"
    better: Literal["higher", "lower"]
    category: str  # of the challenge's ranking
    # What a predictor of the true means reaches: (variance of each item's error, observed scores) -> figure; NaN where
    # the noise leaves nothing to agree with, None: not known in closed form.
    perfect: "Callable[[np.ndarray, np.ndarray], float] | None" = None


def floor_from_noise(noise: "np.ndarray", observed: "np.ndarray") -> float:
    """MSE of the true means: the mean variance of the observed scores around them."""
    return float(noise.mean())


def ceiling_from_noise(noise: "np.ndarray", observed: "np.ndarray") -> float:
    """LCC of the true means: the index of reliability of classical test theory (Lord & Novick 1968, section 3.6)."""
    variance = float(observed.var(ddof=1)) if observed.size > 1 else 0.0
    reliability = 1 - float(noise.mean()) / variance if variance > 0 else -1.0
    return math.sqrt(reliability) if reliability >= 0 else math.nan


FIGURES: dict[str, Figure] = {
    # name          function  better    category   what a perfect predictor reaches
    "mse": Figure(mse, "lower", "Error", floor_from_noise),
    "lcc": Figure(lcc, "higher", "Linear", ceiling_from_noise),
    "srcc": Figure(srcc, "higher", "Rank"),
    "ktau": Figure(ktau, "higher", "Rank"),
}


# What means nothing where the two sides are on different scales.
ERRORS = tuple(name for name, row in FIGURES.items() if row.category == "Error")


def all_figures(ref: "Scores", pred: "Scores") -> dict[str, float]:
    """Every figure of the table, by name; NaN without a warning where it is undefined (constant scores).

    >>> all_figures([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])["srcc"]
    1.0
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        together = four(ref, pred)
        return {
            name: together[name] if name in together else figure.function(ref, pred)
            for name, figure in FIGURES.items()
        }
