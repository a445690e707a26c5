"""What listeners' own noise allows: the figures of a predictor of each item's true mean."""

import math
from dataclasses import dataclass

import numpy as np

from sqa_metrics.figures import FIGURES
from sqa_metrics.report import MIN_SYSTEMS, system_means
from sqa_metrics.rows.records import Paired


@dataclass(frozen=True)
class Ceiling:
    """What a predictor of each item's true mean would reach, the reference being a mean of few ratings."""

    values: dict[str, float]  # figure -> its best value; NaN if the ratings' spread leaves no true variance

    def text(self) -> str:
        known = ", ".join(f"{m.upper()} {v:.3f}" for m, v in self.values.items() if not math.isnan(v))
        lost = ", ".join(m.upper() for m, v in self.values.items() if math.isnan(v))
        if lost:
            return f"{known}, {lost} undefined (the MOS vary no more than votes do by chance)"
        return f"{known} (limited by the number of votes)"

    def as_dict(self) -> dict[str, float | None]:
        """By names that say which way the figure is limited: `mse_floor`, `max_lcc`."""
        return {
            (f"max_{m}" if FIGURES[m].better == "higher" else f"{m}_floor"): None if math.isnan(v) else v
            for m, v in self.values.items()
        }


def ceiling(paired: Paired, *, level: float = 0.95) -> dict[str, Ceiling] | None:
    """Best figures that the reference's own noise allows, per level; None unless all its votes and spreads are known.

    An observed MOS is the true mean plus an error of variance s^2 / votes. What a predictor of the true means reaches
    is then a property of each figure (`figures.Figure.perfect`). Rating errors count as independent.

    >>> import io
    >>> from sqa_metrics import pair
    >>> rows = ["sample_id,mos,votes,mos_std", "u1,1,4,1.0", "u2,3,4,1.0", "u3,5,4,1.0"]
    >>> ref = "\\n".join(rows).encode()
    >>> print(ceiling(pair(io.BytesIO(ref), {"ours": io.BytesIO(ref)}))["utterance"].text())
    MSE 0.250, LCC 0.968 (limited by the number of votes)
    """
    if paired.noise is None or not np.isfinite(paired.noise).all():
        return None
    noise, ref = np.asarray(paired.noise, float), np.asarray(paired.ref, float)
    result = {"utterance": _ceiling(noise, ref)}
    n_systems = len(paired.systems)
    if n_systems >= MIN_SYSTEMS:
        system = np.asarray(paired.system)
        size = np.bincount(system[system >= 0], minlength=n_systems)
        # variance of a mean of k independent errors: mean variance / k
        result["system"] = _ceiling(
            system_means(noise, system, n_systems) / size, system_means(ref, system, n_systems)
        )
    return result


def _ceiling(noise: np.ndarray, observed: np.ndarray) -> Ceiling:
    return Ceiling({m: f.perfect(noise, observed) for m, f in FIGURES.items() if f.perfect is not None})
