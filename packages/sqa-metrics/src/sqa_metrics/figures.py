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
    from sqa_metrics.numbers import Scores


class Figure(NamedTuple):
    """A number that says how well a predictor agrees with its reference; a new one may leave out what has a default."""

    function: "Callable[[Scores, Scores], float]"
    better: Literal["higher", "lower"]
    category: str  # of the challenge's ranking
    # What a predictor of the true means reaches: (mean variance of the items' errors, variance of what is observed) ->
    # figure; NaN where the noise leaves nothing to agree with, None: by simulation.
    perfect: "Callable[[float, float], float] | None" = None
    # On which scale its errors are alike everywhere: log for what is positive, atanh for correlations.
    scale: Literal["raw", "log", "atanh"] = "raw"
    # Variance on that scale over so many systems, by theory: (figure, systems) -> variance.
    theory: Callable[[float, int], float] | None = None
    # Whether that holds so well, whatever the distribution of scores, that its weight adds degrees of freedom.
    theory_is_sure: bool = False
    # Of a rank correlation: the value half a swap of neighbours below 1 of so many items, and what it is for normal
    # scores of a correlation rho. A figure of 1 has no error that leaving out systems would show.
    cap: Callable[[int], float] | None = None
    of_normal: Callable[[float], float] | None = None

    def mean(self, values: list[float], items: list[int]) -> float:
        """The mean over several sets of items: plain, or for correlations that of atanh, carried back."""
        if self.scale != "atanh":
            return math.fsum(values) / len(values)
        caps = [self.cap(n) if self.cap else 1.0 for n in items]
        inside = [max(-cap, min(cap, v)) for v, cap in zip(values, caps, strict=True)]
        return math.tanh(
            sum(math.copysign(math.inf, v) if abs(v) == 1 else math.atanh(v) for v in inside) / len(inside)
        )


def floor_from_noise(noise: float, variance: float) -> float:
    """MSE of the true means: the mean variance of the observed scores around them."""
    return noise


def ceiling_from_noise(noise: float, variance: float) -> float:
    """LCC of the true means: the index of reliability of classical test theory (Lord & Novick 1968, section 3.6)."""
    return math.sqrt(1 - noise / variance) if variance > 0 and noise <= variance else math.nan


FIGURES: dict[str, Figure] = {
    "mse": Figure(mse, "lower", "Error", floor_from_noise, "log", lambda error, n: 2 / n),
    # Fisher 1921
    "lcc": Figure(
        lcc, "higher", "Linear", ceiling_from_noise, "atanh", lambda r, n: 1 / (n - 3), theory_is_sure=True
    ),
    # Bonett & Wright 2000
    "srcc": Figure(
        *(srcc, "higher", "Rank", None, "atanh", lambda r, n: (1 + r * r / 2) / (n - 3)),
        cap=lambda n: 1 - 6 / (n**3 - n),
        of_normal=lambda rho: 6 / math.pi * math.asin(rho / 2),
    ),
    # Fieller, Hartley & Pearson 1957
    "ktau": Figure(
        *(ktau, "higher", "Rank", None, "atanh", lambda tau, n: 0.437 / (n - 4)),
        cap=lambda n: 1 - 2 / (n * (n - 1)),
        of_normal=lambda rho: 2 / math.pi * math.asin(rho),
    ),
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
