"""What listeners' own noise allows: the figures of a predictor of each item's true mean.

An observed MOS is a true mean plus an error of variance s^2 / votes, and errors are independent where listeners are
not known. Else what listeners share between clips counts (`ratings.bias`): it does not average out over a system,
and what all items have of it shifts them together, which no correlation sees.
"""

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from sqa_metrics.figures import ERRORS, FIGURES
from sqa_metrics.interval import UNKNOWN, Interval, plain
from sqa_metrics.kernels.leave_out import leave_out
from sqa_metrics.report import MIN_CLUSTERS
from sqa_metrics.rows.records import Paired
from sqa_metrics.uncertainty.left_out import Clusters, assembled, levels
from sqa_metrics.uncertainty.recipe import bounds

if TYPE_CHECKING:
    from sqa_metrics.ratings.votes import Codes, Floats, Votes

# Tests are drawn for figures without a closed form: so many items in all, and of so few tests the intervals.
DRAWN_ITEMS, MOST_TESTS, LEAST_TESTS = 20_000, 64, 4
# And so many, with true means that vary by so much more or less, to see how figures depend on it.
SLOPE_ITEMS, STEP = 2_000, 0.1
MOST_LEFT = 100_000_000  # clusters times items up to which a ceiling has an interval: beyond, it is narrow


@dataclass(frozen=True)
class Ceiling:
    """What a predictor of each item's true mean would reach, the reference being a mean of few ratings."""

    values: dict[str, float]  # figure -> its best value; NaN if the ratings' spread leaves no true variance
    intervals: dict[str, Interval]  # empty where none was asked for
    shared: bool = False  # what listeners share between clips is known and counts

    def best(self) -> str:
        """The figures with their intervals, and which are undefined."""
        known = [
            f"{m.upper()} {v:.3f}"
            + (f" [{i.text()}]" if (i := self.intervals.get(m)) and i.low == i.low else "")
            for m, v in self.values.items()
            if not math.isnan(v)
        ]
        lost = ", ".join(m.upper() for m, v in self.values.items() if math.isnan(v))
        return ", ".join(
            known + ([f"{lost} undefined (the MOS vary no more than votes do by chance)"] if lost else [])
        )

    def text(self) -> str:
        """The same, with what limits them."""
        if any(map(math.isnan, self.values.values())):
            return self.best()
        limit = "and of listeners" if self.shared else "if listeners erred independently"
        return f"{self.best()} (limited by the number of votes{'' if self.shared else ','} {limit})"

    def as_dict(self) -> dict[str, object]:
        """By names that say which way the figure is limited: `mse_floor`, `max_lcc`."""
        names = {m: f"max_{m}" if FIGURES[m].better == "higher" else f"{m}_floor" for m in self.values}
        result: dict[str, object] = plain({names[m]: v for m, v in self.values.items()})
        intervals = {names[m]: i.as_list() for m, i in self.intervals.items()}
        return result | ({"intervals": intervals} if intervals else {})


class Listeners(NamedTuple):
    """Who gave the votes, a clip being a row of `Paired`, and the variance of what each adds to all own votes."""

    votes: "Votes"
    variance: float

    def part(self, owner: "Codes", size: "Codes") -> "tuple[Floats, float]":
        """Of means over the clips of each owner (-1: none), `size` clips each, alike whatever their votes.

        What listeners add to the variance of each mean above that of independent votes, and the mean covariance of two.
        """
        from sqa_metrics.ratings.votes import counted, dot, summed

        item, n, raters = owner[self.votes.clip], len(size), self.votes.n_raters
        rows = item >= 0
        item, clip, rater = item[rows], self.votes.clip[rows], self.votes.rater[rows]
        share = 1 / (self.votes.of_clip[clip] * size[item])
        pairs, together = summed(item * raters + rater, share, n * raters)
        own = counted(pairs // raters, n, together**2)
        total = counted(pairs % raters, raters, together)
        between = (dot(total, total) - float(own.sum())) / (n * (n - 1)) if n > 1 else 0.0
        return self.variance * (own - counted(item, n, share**2)), self.variance * between


def ceiling(
    paired: Paired, *, level: float | None = 0.95, listeners: Listeners | None = None
) -> dict[str, Ceiling] | None:
    """Best figures that the reference's own noise allows, with intervals, per level; None if no spread is known.

    Each figure says what a predictor of the true means reaches (`figures.Figure.perfect`), or it is what true means
    reach that are drawn around the observed ones, by a fixed seed. A clip of one vote has the pooled variance of the
    others' votes, one of unknown votes the mean error of the others. `listeners` are those of a reference of single
    ratings. Without a `level` there are no intervals, which take most of the time.

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
    listeners = listeners or _listeners(paired)
    result = {}
    for name, scores in found.items():
        owner = np.asarray(paired.system) if name == "system" else np.arange(len(paired))
        size = np.bincount(owner[owner >= 0])
        more, shared = listeners.part(owner, size) if listeners else (0.0, 0.0)
        # variance of a mean of k independent errors: mean variance / k
        top = _ceiling(replace(scores, preds=scores.preds / size + more), level, name == "system", shared)
        result[name] = replace(top, shared=listeners is not None)
    return result


def _listeners(paired: Paired) -> Listeners | None:
    """Those of single ratings; None where there are none, or too few to tell their part from chance."""
    if not paired.by_rater:
        return None
    from sqa_metrics.ratings.bias import Components, additive
    from sqa_metrics.ratings.votes import Votes

    # an id in two corpora may be two people's
    given = [
        (k, (corpus, name), v)
        for k, (corpus, votes) in enumerate(zip(paired.corpus, paired.by_rater, strict=True))
        for name, v in votes.items()
    ]
    number = {who: k for k, who in enumerate(sorted({who for _, who, _ in given}))}
    rows = sorted((k, number[who], v) for k, who, v in given)
    clip, rater, score = map(np.array, zip(*rows, strict=True))
    votes = Votes(clip, rater, score, len(paired), len(number))
    parts = Components.of(votes, additive(votes))
    return None if math.isnan(parts.rater) else Listeners(votes, parts.rater)


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


def _ceiling(scores: Clusters, level: float | None, of_systems: bool, shared: float) -> Ceiling:
    """Of one level: `scores` holds the observed means, and their error variances in the place of a prediction.

    `shared` is the mean covariance of two errors: correlations see the errors without it.
    """
    observed, noise, clusters = scores.ref, scores.preds[0], len(scores.sizes)
    own = np.maximum(noise - shared, 0.0)
    variance = float(observed.var(ddof=1)) if observed.size > 1 else 0.0
    drawn = _drawn_figures(observed, own, variance - float(own.mean()))
    values = {
        name: drawn[name] if figure.perfect is None else figure.perfect(seen, variance)
        for name, figure in FIGURES.items()
        for seen in [float(noise.mean()) - (0.0 if name in ERRORS else shared)]
    }
    if level is None:
        return Ceiling(values, {})
    if clusters < MIN_CLUSTERS or clusters * observed.size > MOST_LEFT:
        return Ceiling(values, dict.fromkeys(FIGURES, UNKNOWN))
    without = _without(scores, own, shared, variance)
    whole = {name: np.array([value]) for name, value in values.items()}
    found = assembled(scores, whole, {name: left[:, None] for name, left in without.items()}, of_systems)
    intervals = {}
    for name, figure in FIGURES.items():
        # Theory tells how figures of so many systems vary, as those of drawn tests do: not a quotient of variances.
        known = replace(found, of_systems=of_systems and figure.perfect is None)
        intervals[name] = Interval(*bounds(name, known, 0, level))
    if shared:  # leaving out systems does not show by how much these listeners shift all of them together
        intervals |= dict.fromkeys(ERRORS, UNKNOWN)
    return Ceiling(values, intervals)


def _without(scores: Clusters, own: np.ndarray, shared: float, variance: float) -> "dict[str, Floats]":
    """The ceilings without each cluster, (c,).

    Of those that are drawn: without its items in each test, and as far as true means would vary otherwise without it.
    The second is to first order what drawing anew would show, which takes too long.
    """

    def left_mean(values: np.ndarray) -> np.ndarray:
        mean: Floats = (values.sum() - np.add.reduceat(values, scores.starts[:-1])) / left
        return mean

    left = scores.ref.size - scores.sizes
    around = scores.ref - scores.ref.mean()
    variances = (left_mean(around**2) - left_mean(around) ** 2) * left / (left - 1)
    means = left_mean(scores.preds[0])
    result = {
        name: np.array(
            [figure.perfect(*pair) for pair in zip(seen.tolist(), variances.tolist(), strict=True)]
        )
        for name, figure in FIGURES.items()
        for seen in [means - (0.0 if name in ERRORS else shared)]
        if figure.perfect is not None
    }
    true = variance - float(own.mean())
    functions = {name: figure.function for name, figure in FIGURES.items() if figure.perfect is None}
    tests = _drawn(scores.ref, own, true, 0)
    if not tests:
        return result | dict.fromkeys(functions, np.full(len(left), np.nan))
    less, more = (_drawn_figures(scores.ref, own, true * (1 + step), SLOPE_ITEMS) for step in (-STEP, STEP))
    change = (variances - left_mean(own) - true) / (2 * STEP * true)
    of_tests = [leave_out(seen, mean[None], scores.starts, functions)[:, 0] for seen, mean in tests]
    for name, of_items in zip(functions, np.mean(of_tests, axis=0).T, strict=True):
        result[name] = of_items + (more[name] - less[name]) * change
    return result


def _drawn_figures(
    observed: np.ndarray, noise: np.ndarray, variance: float, most: int = DRAWN_ITEMS
) -> dict[str, float]:
    """Figures without a closed form: means over tests that are drawn; NaN where true means do not vary."""
    tests = _drawn(observed, noise, variance, most)
    return {
        name: math.fsum(figure.function(seen, true) for seen, true in tests) / len(tests)
        if tests
        else math.nan
        for name, figure in FIGURES.items()
        if figure.perfect is None
    }


def _drawn(
    observed: np.ndarray, noise: np.ndarray, variance: float, most: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Tests of so many items in all that could have been: the means that are seen, and the true ones; or none.

    True means vary by `variance` and lie about the observed ones as noise leaves them. All come from the same draws.
    """
    rng, n = np.random.default_rng(0), observed.size
    if not variance > 0:
        return []
    share = variance / (variance + noise)
    likely = observed.mean() + share * (observed - observed.mean())
    result = []
    # Of many items one test shows as much as several of few; those that intervals need are slow then.
    least = LEAST_TESTS if most == DRAWN_ITEMS else max(1, min(LEAST_TESTS, DRAWN_ITEMS // n))
    for _ in range(max(least, min(MOST_TESTS, most // n))):
        true = likely + rng.normal(size=n) * np.sqrt(variance * (1 - share))
        result.append((true + rng.normal(size=n) * np.sqrt(noise), true))
    return result
