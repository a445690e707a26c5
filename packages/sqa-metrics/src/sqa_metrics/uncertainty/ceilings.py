"""What listeners' own noise allows: the figures of a predictor of each item's true mean.

An observed MOS is a true mean plus an error of variance s^2 / votes, where listeners err independently. They are shared
between clips, so a listener's own part does not average out over a system: from single ratings
`sqa_metrics.ratings.components` tells it apart.
"""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np

from sqa_metrics.figures import FIGURES
from sqa_metrics.interval import Interval
from sqa_metrics.kernels.leave_out import leave_out
from sqa_metrics.report import MIN_CLUSTERS
from sqa_metrics.rows.records import Paired
from sqa_metrics.uncertainty.left_out import Clusters, assembled, levels
from sqa_metrics.uncertainty.recipe import bounds

# Tests are drawn for figures without a closed form: so many items in all, and of so few tests the intervals.
DRAWN_ITEMS, MOST_TESTS, LEAST_TESTS = 20_000, 64, 4
MOST_LEFT = 100_000_000  # clusters times items up to which a ceiling has an interval: beyond, it is narrow


@dataclass(frozen=True)
class Ceiling:
    """What a predictor of each item's true mean would reach, the reference being a mean of few ratings."""

    values: dict[str, float]  # figure -> its best value; NaN if the ratings' spread leaves no true variance
    intervals: dict[str, Interval]

    def text(self) -> str:
        known = ", ".join(
            f"{m.upper()} {v:.3f}" + ("" if math.isnan(i.low) else f" [{i.text()}]")
            for (m, v), i in zip(self.values.items(), self.intervals.values(), strict=True)
            if not math.isnan(v)
        )
        lost = ", ".join(m.upper() for m, v in self.values.items() if math.isnan(v))
        if lost:
            return f"{known}, {lost} undefined (the MOS vary no more than votes do by chance)"
        return f"{known} (limited by the number of votes, if listeners erred independently)"

    def as_dict(self) -> dict[str, object]:
        """By names that say which way the figure is limited: `mse_floor`, `max_lcc`."""
        names = {m: f"max_{m}" if FIGURES[m].better == "higher" else f"{m}_floor" for m in self.values}
        result: dict[str, object] = {names[m]: None if math.isnan(v) else v for m, v in self.values.items()}
        return result | {"intervals": {names[m]: i.as_list() for m, i in self.intervals.items()}}


def ceiling(paired: Paired, *, level: float = 0.95) -> dict[str, Ceiling] | None:
    """Best figures that the reference's own noise allows, with intervals, per level; None if no spread is known.

    Each figure says what a predictor of the true means reaches (`figures.Figure.perfect`), or it is what true means
    reach that are drawn around the observed ones, by a fixed seed. A clip of one vote has the pooled variance of the
    others' votes, one of unknown votes the mean error of the others.

    >>> import io
    >>> from sqa_metrics import pair
    >>> rows = ["sample_id,mos,votes,mos_std", "u1,1,4,1.0", "u2,3,4,1.0", "u3,5,4,1.0"]
    >>> ref = "\\n".join(rows).encode()
    >>> found = ceiling(pair(io.BytesIO(ref), {"ours": io.BytesIO(ref)}))["utterance"].values
    >>> round(found["mse"], 3), round(found["lcc"], 3)
    (0.25, 0.968)
    """
    noise = _noise(paired)
    if noise is None:
        return None
    # In the place of predictions it is put in order of systems, and averaged over them, as these are.
    found = levels(replace(paired, names=["noise"], preds=[noise]))
    result = {"utterance": _ceiling(found["utterance"], level, False)}
    if "system" in found:
        system = np.asarray(paired.system)
        size = np.bincount(system[system >= 0], minlength=len(paired.systems))
        means = found["system"]
        # variance of a mean of k independent errors: mean variance / k
        result["system"] = _ceiling(replace(means, preds=means.preds / size), level, True)
    return result


def _noise(paired: Paired) -> np.ndarray | None:
    """Error variance of each MOS, (n,); None if no spread is known."""
    n = len(paired)
    noise, votes = (
        np.full(n, np.nan) if column is None else np.asarray(column, float)
        for column in (paired.noise, paired.votes)
    )
    known = np.isfinite(noise)
    if not known.any():
        return None
    several = known & (votes > 1)
    if several.any():
        one_vote = np.average((noise * votes)[several], weights=votes[several] - 1)
        noise = np.where(~known & (votes > 0), one_vote / np.where(votes > 0, votes, 1), noise)
    return np.where(np.isfinite(noise), noise, noise[np.isfinite(noise)].mean())


def _ceiling(scores: Clusters, level: float, of_systems: bool) -> Ceiling:
    """Of one level: `scores` holds the observed means, and their error variances in the place of a prediction."""
    observed, noise, clusters = scores.ref, scores.preds[0], len(scores.sizes)
    tests = _drawn(observed, noise)
    enough = clusters >= MIN_CLUSTERS and clusters * observed.size <= MOST_LEFT
    values, without = {}, {}
    for name, figure in FIGURES.items():
        left = [np.full(clusters, np.nan)]
        if figure.perfect is not None:
            values[name] = figure.perfect(noise, observed)
            if enough:
                kept = (np.r_[0:a, b : observed.size] for a, b in itertools.pairwise(scores.starts.tolist()))
                left = [np.array([figure.perfect(noise[rows], observed[rows]) for rows in kept])]
        else:
            drawn = [figure.function(seen, true) for seen, true in tests]
            values[name] = math.fsum(drawn) / len(drawn) if drawn else math.nan
            if enough and drawn:
                left = [
                    leave_out(seen, true[None], scores.starts, {name: figure.function})[:, 0, 0]
                    for seen, true in tests[:LEAST_TESTS]
                ]
        without[name] = np.mean(left, axis=0)[:, None]
    whole = {name: np.array([value]) for name, value in values.items()}
    found = assembled(scores, whole, without, of_systems)
    return Ceiling(values, {name: Interval(*bounds(name, found, 0, level)) for name in FIGURES})


def _drawn(observed: np.ndarray, noise: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Tests that could have been: the means that are seen and the true ones, which vary as noise leaves; or none."""
    rng, n = np.random.default_rng(0), observed.size
    variance = float(observed.var(ddof=1)) - float(noise.mean()) if n > 1 else 0.0
    if variance <= 0:
        return []
    share = variance / (variance + noise)
    likely = observed.mean() + share * (observed - observed.mean())
    result = []
    for _ in range(max(LEAST_TESTS, min(MOST_TESTS, DRAWN_ITEMS // n))):
        true = likely + rng.normal(size=n) * np.sqrt(variance * (1 - share))
        result.append((true + rng.normal(size=n) * np.sqrt(noise), true))
    return result
