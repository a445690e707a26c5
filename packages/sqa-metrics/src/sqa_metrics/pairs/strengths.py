"""Strengths of systems from comparisons of two: Bradley-Terry, and Davidson's model where there are ties.

With d the difference of two strengths, the first is preferred in proportion to exp(d / 2), the second to exp(-d / 2),
and a tie comes in proportion to nu (Bradley & Terry 1952; Davidson 1970, "On extending the Bradley-Terry model to
accommodate ties"). The likelihood is concave, so Newton's method finds its one maximum. It may lie at infinity unless
every group of systems has beaten and been beaten by the others; half a win each way for every two systems that were
compared then keeps it finite. Votes of one listener depend on each other, and so do votes on one clip, which stands
for its system in many pairs. So where they are known the covariance is clustered by listener and by clip: the linear
form of leaving out one at a time, the sum of both less that of one listener on one clip (Cameron, Gelbach & Miller
2011, "Robust inference with multiway clustering").
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from sqa_metrics.distributions import normal_quantile, t_quantile, upper_share
from sqa_metrics.errors import MetricsError
from sqa_metrics.numbers import as_scores
from sqa_metrics.tables import Style, figure, render

HALF_WIN = 0.5
MIN_LISTENERS = 10  # fewer say too little about how listeners differ
MIN_CLIPS = 4  # of every system; fewer say too little about how its clips differ
BLOCK = 4096  # clusters whose parts of the gradient are in memory at once
FEW = 8  # comparisons of a cluster up to which these are multiplied two by two
STEPS, CONVERGED = 100, 1e-10
SHOWN = 5  # names in a message


@dataclass(frozen=True)
class Strengths:
    """What the comparisons say about the systems, the strongest first. A difference of 1 is odds of e to 1."""

    systems: list[str]
    strength: np.ndarray  # (S,), with mean 0
    covariance: np.ndarray  # (S, S) of `strength`
    wins: np.ndarray  # (S, S): how often the row was preferred to the column
    ties: np.ndarray  # (S, S), symmetric
    log_tie: float  # log of Davidson's nu; NaN without ties
    log_tie_se: float
    log_likelihood: float  # of the comparisons, without the half wins
    half_wins: bool  # were added, because the strengths would be infinite
    listeners: int  # whose dependence the covariance holds; 0: votes of one listener count as independent
    clips: int  # the fewest of a system, likewise
    level: float

    @property
    def se(self) -> np.ndarray:
        """(S,): standard error of each strength, as a deviation from the mean of all systems."""
        return np.sqrt(np.maximum(np.diag(self.covariance), 0))

    def difference(self, a: str, b: str) -> tuple[float, float]:
        """The strength of `a` less that of `b`, and its standard error."""
        i, j = self.systems.index(a), self.systems.index(b)
        c = self.covariance
        se = math.sqrt(max(c[i, i] + c[j, j] - 2 * c[i, j], 0.0))
        return float(self.strength[i] - self.strength[j]), se

    def intervals(self) -> np.ndarray:
        """(S, 2): the interval of each strength."""
        half = self._quantile(upper_share(self.level)) * self.se
        return np.stack([self.strength - half, self.strength + half], axis=1)

    def places(self) -> np.ndarray:
        """(S, 2): the first and the last place that each system can have, for all systems at once.

        A place counts the systems that are better in tests of every two, Bonferroni's level for all of them (rank sets
        of Mogstad, Romano, Shaikh & Wilhelm 2024, sections 3 and 4).
        """
        n = len(self.systems)
        variance = np.diag(self.covariance)
        se = np.sqrt(np.maximum(variance[:, None] + variance - 2 * self.covariance, 0))
        tests = max(n * (n - 1) // 2, 1)
        bound = self._quantile(1 - (1 - upper_share(self.level)) / tests) * se
        better = self.strength[None, :] - self.strength[:, None] > np.maximum(bound, CONVERGED)
        return np.stack([1 + better.sum(axis=1), n - better.sum(axis=0)], axis=1)

    def _quantile(self, p: float) -> float:
        clusters = [n for n in (self.listeners, self.clips) if n]
        return t_quantile(p, min(clusters) - 1) if clusters else normal_quantile(p)

    @property
    def clustered_by(self) -> str:
        """What the covariance is clustered by, such as "12 listeners and clips (8 or more a system)"."""
        parts = [f"{self.listeners} listeners"] * bool(self.listeners)
        return " and ".join(parts + [f"clips ({self.clips} or more a system)"] * bool(self.clips))

    def as_dict(self) -> dict[str, Any]:
        """The strengths as plain JSON types."""
        columns = {
            "system": self.systems,
            "strength": self.strength.tolist(),
            "interval": self.intervals().tolist(),
            "places": self.places().tolist(),
            "wins": self.wins.sum(axis=1).astype(int).tolist(),
            "ties": self.ties.sum(axis=1).astype(int).tolist(),
            "losses": self.wins.sum(axis=0).astype(int).tolist(),
        }
        return {
            "model": "bradley-terry" if math.isnan(self.log_tie) else "davidson",
            "log_tie": None if math.isnan(self.log_tie) else self.log_tie,
            "half_wins_added": self.half_wins,
            "clustered_by": self.clustered_by or None,
            "level": self.level,
            "systems": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)],
        }

    def table(self, style: Style = "text", width: int | None = None) -> str:
        """One row a system, the strongest first."""
        rows = [
            [
                s["system"],
                f"{s['places'][0]}-{s['places'][1]}",
                f"{figure(s['strength'], sign=True)} [{', '.join(figure(v, sign=True) for v in s['interval'])}]",
                f"{s['wins']}/{s['ties']}/{s['losses']}",
            ]
            for s in self.as_dict()["systems"]
        ]
        return render(["system", "places", "strength", "won/tied/lost"], rows, style, width)

    def notes(self) -> list[str]:
        """What the strengths rest on, a sentence each."""
        notes = []
        if self.half_wins:
            notes.append(
                "strengths: some systems won or lost all, so half a win each way is added to every two systems "
                "that were compared; without it the strengths are infinite"
            )
        if not self.listeners:
            notes.append(
                "strengths: listeners are not known, or too few, so their votes count as independent; with a column of "
                f"{MIN_LISTENERS} listeners or more their dependence is taken into account"
            )
        if not self.clips:
            notes.append(
                f"strengths: a system has fewer than {MIN_CLIPS} clips, or clips are not known, so they are of these "
                "clips alone"
            )
        return notes


def strengths(
    a: Sequence[str],
    b: Sequence[str],
    preference: Sequence[float],
    *,
    listener: Sequence[Hashable] | None = None,
    clips: Sequence[tuple[Hashable, Hashable]] | None = None,
    level: float = 0.95,
) -> Strengths:
    """Bradley-Terry strengths (Davidson's where there are ties) of the systems compared, each argument of n rows.

    preference: above 0 where `a` is better, below where `b` is, 0 for a tie.
    listener: who judged; from 10 listeners on their votes count as dependent.
    clips: the clips of `a` and `b`; from 4 clips of every system on, votes on one clip count as dependent. Student's
        quantile has one degree of freedom fewer than listeners, or than the fewest clips of a system.

    Raises MetricsError for columns of unequal length, a system compared with itself, a preference that is not finite,
    and groups of systems that were never compared with each other; ValueError for a preference that is no number.

    >>> found = strengths(["A"] * 10 + ["A"] * 10 + ["B"] * 10, ["B"] * 10 + ["C"] * 10 + ["C"] * 10,
    ...                   [1] * 7 + [-1] * 3 + [1] * 8 + [-1] * 2 + [1] * 6 + [-1] * 4)
    >>> found.systems, [round(v, 6) for v in found.difference("A", "C")]
    (['A', 'B', 'C'], [1.332038, 0.602163])
    """
    upper_share(level)  # refuses what is no level
    _require_rows(len(a), b=b, preference=preference, listener=listener, clips=clips)
    names = sorted({*a, *b}, key=str)
    number = {name: k for k, name in enumerate(names)}
    i, j = (np.array([number[name] for name in side], dtype=np.int64) for side in (a, b))
    outcome = _outcome(i, j, np.asarray(as_scores("preference", preference)), names)
    n = len(names)
    wins, ties = np.zeros((n, n)), np.zeros((n, n))
    np.add.at(wins, (np.where(outcome > 0, i, j), np.where(outcome > 0, j, i)), outcome != 0)
    np.add.at(ties, (i, j), outcome == 0)
    ties += ties.T
    _require_connected(wins + ties, names)
    half_wins = not _reachable(wins > 0).all()
    prior = HALF_WIN * (wins + wins.T + ties > 0) if half_wins else np.zeros_like(wins)
    theta, log_tie = _maximum(wins + prior, ties)
    inverse = np.linalg.inv(_information(theta, log_tie, wins + prior, ties))
    win, tie = _chances(theta, log_tie)
    pull = (outcome - (win - win.T)[i, j]) / 2
    rows = _Rows(i, j, pull, (outcome == 0) - tie[i, j], n, not math.isnan(log_tie))
    covariance, listeners, fewest = _covariance(inverse, rows, listener, clips)
    centre = np.eye(n) - 1 / n
    order = np.argsort(-theta, kind="stable")
    return Strengths(
        systems=[names[k] for k in order],
        strength=(theta - theta.mean())[order],
        covariance=(centre @ np.pad(covariance[: n - 1, : n - 1], (0, 1)) @ centre)[np.ix_(order, order)],
        wins=wins[np.ix_(order, order)],
        ties=ties[np.ix_(order, order)],
        log_tie=log_tie,
        log_tie_se=math.nan if math.isnan(log_tie) else math.sqrt(covariance[-1, -1]),
        log_likelihood=_log_likelihood(theta, log_tie, wins, ties),
        half_wins=half_wins,
        listeners=listeners,
        clips=fewest,
        level=level,
    )


def _require_rows(n: int, **columns: Sequence[object] | None) -> None:
    for what, column in columns.items():
        if column is not None and len(column) != n:
            raise MetricsError(f"{what} has {len(column)} rows and a {n}; expected one a comparison")


def _outcome(i: np.ndarray, j: np.ndarray, preference: np.ndarray, names: list[str]) -> np.ndarray:
    """1 where the first is better, -1, or 0 for a tie; MetricsError for what is no comparison."""
    if not i.size:
        raise MetricsError("no comparisons; expected at least one between two systems")
    if strange := [name for name in names if not isinstance(name, str)]:
        raise MetricsError(f"a system is called {strange[0]!r}; expected a text")
    if (bad := np.flatnonzero(~np.isfinite(preference))).size:
        raise MetricsError(f"preference[{bad[0]}] is not finite; expected a number")
    if (own := np.flatnonzero(i == j)).size:
        raise MetricsError(f"comparison {own[0]}: system {names[i[own[0]]]!r} is compared with itself")
    return np.sign(preference)  # type: ignore[no-any-return]


def _reachable(edges: np.ndarray) -> np.ndarray:
    """(S, S) bool: whether a way leads from row to column."""
    reach = edges | np.eye(len(edges), dtype=bool)
    for _ in range(max(1, math.ceil(math.log2(len(edges))))):
        reach = (reach.astype(np.float32) @ reach.astype(np.float32)) > 0
    return reach


def _require_connected(compared: np.ndarray, names: list[str]) -> None:
    reach = _reachable(compared + compared.T > 0)
    groups = sorted({tuple(np.flatnonzero(row).tolist()) for row in reach})
    if len(groups) > 1:
        more = [f" and {len(group) - SHOWN} more" * (len(group) > SHOWN) for group in groups]
        told = [", ".join(repr(names[k]) for k in group[:SHOWN]) for group in groups[:SHOWN]]
        listed = "; ".join(map("".join, zip(told, more, strict=False)))
        raise MetricsError(
            f"the systems fall into {len(groups)} groups that were never compared with each other: {listed}"
            f"{'; ...' if len(groups) > SHOWN else ''}. Strengths need comparisons that link the groups; "
            "judge each group alone"
        )


# --- the likelihood ----------------------------------------------------------------------------------------------


def _chances(theta: np.ndarray, log_tie: float) -> tuple[np.ndarray, np.ndarray]:
    """(S, S) each: how likely the row is preferred to the column, and a tie."""
    half = (theta[:, None] - theta) / 2
    tie = -np.inf if math.isnan(log_tie) else log_tie
    total = np.logaddexp(np.abs(half) + np.log1p(np.exp(-2 * np.abs(half))), tie)
    return np.exp(half - total), np.exp(tie - total)


def _log_likelihood(theta: np.ndarray, log_tie: float, wins: np.ndarray, ties: np.ndarray) -> float:
    with np.errstate(divide="ignore"):
        win, tie = (np.log(p) for p in _chances(theta, log_tie))
    return float((wins[wins > 0] * win[wins > 0]).sum() + (ties[ties > 0] * tie[ties > 0]).sum() / 2)


def _gradient(theta: np.ndarray, log_tie: float, wins: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Of the log-likelihood: the strengths but the last, which stays 0, and log nu where there are ties."""
    win, tie = _chances(theta, log_tie)
    judged = wins + wins.T + ties
    own = ((wins - wins.T - judged * (win - win.T)) / 2).sum(axis=1)[:-1]
    return own if math.isnan(log_tie) else np.append(own, (ties - judged * tie).sum() / 2)


def _information(theta: np.ndarray, log_tie: float, wins: np.ndarray, ties: np.ndarray) -> np.ndarray:
    """Minus the second derivative of the log-likelihood, in the order of `_gradient`."""
    win, tie = _chances(theta, log_tie)
    judged = wins + wins.T + ties
    lead = win - win.T
    of_pair = judged * (win + win.T - lead**2) / 4
    information: np.ndarray = (np.diag(of_pair.sum(axis=1)) - of_pair)[:-1, :-1]
    if math.isnan(log_tie):
        return information
    mixed = -(judged * lead * tie).sum(axis=1)[:-1] / 2
    own = (judged * tie * (1 - tie)).sum() / 2
    return np.block([[information, mixed[:, None]], [mixed[None, :], np.array([[own]])]])


def _maximum(wins: np.ndarray, ties: np.ndarray) -> tuple[np.ndarray, float]:
    """The strengths, the last 0, and log nu (NaN without ties) that make the comparisons most likely."""
    theta, log_tie = np.zeros(len(wins)), 0.0 if ties.any() else math.nan
    value = _log_likelihood(theta, log_tie, wins, ties)
    for _ in range(STEPS):
        point = (theta, log_tie, wins, ties)
        step = np.linalg.solve(_information(*point), _gradient(*point))
        while True:
            move = np.append(step[: len(wins) - 1], 0.0)
            new = theta + move, log_tie + (0.0 if math.isnan(log_tie) else float(step[-1]))
            reached = _log_likelihood(*new, wins, ties)
            if reached >= value - CONVERGED or np.abs(step).max() < CONVERGED:
                break
            step = step / 2
        (theta, log_tie), value = new, reached
        if np.abs(step).max() < CONVERGED:
            return theta, log_tie
    raise MetricsError(
        "the strengths did not converge; expected comparisons that link all systems in both directions"
    )


# --- what depends on what ----------------------------------------------------------------------------------------


class _Rows(NamedTuple):
    """What each comparison adds to the gradient: `pull` to the first strength, its negative to the second, `tie`."""

    i: np.ndarray
    j: np.ndarray
    pull: np.ndarray
    tie: np.ndarray
    systems: int
    with_ties: bool

    def meat(self, codes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Sum over the clusters of the outer products of their parts of the gradient; row `rows` is in `codes`."""
        order = np.argsort(codes, kind="stable")
        cluster, rows = np.cumsum(np.diff(codes[order], prepend=codes[order[0]]) != 0), rows[order]
        few = (np.bincount(cluster) <= FEW)[cluster]
        total = self._of_few(cluster[few], rows[few])
        who, rows = np.unique(cluster[~few], return_inverse=True)[1], rows[~few]
        for low in range(0, int(who.max(initial=-1)) + 1, BLOCK):
            part = slice(*np.searchsorted(who, [low, low + BLOCK]))
            own, row = who[part] - low, rows[part]
            score = np.zeros((int(own[-1]) + 1, self.systems + 1))
            for place, pull in self._entries(row):
                np.add.at(score, (own, place), pull)
            total += score.T @ score
        kept = [*range(self.systems - 1), *[self.systems] * self.with_ties]
        return total[np.ix_(kept, kept)]

    def _entries(self, row: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """What comparisons add to the gradient, and where: to all strengths, and to log nu after them."""
        pull = self.pull[row]
        last = np.full(len(row), self.systems)
        return [(self.i[row], pull), (self.j[row], -pull), (last, self.tie[row])][: 2 + self.with_ties]

    def _of_few(self, cluster: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The same of small clusters, in order: each comparison with those that follow it in its cluster."""
        n = self.systems + 1
        total = np.zeros((n, n))
        for lag in range(FEW):
            same = np.flatnonzero(cluster[lag:] == cluster[: len(cluster) - lag])
            if not same.size:
                break
            later = self._entries(rows[same + lag])
            for place, pull in self._entries(rows[same]):
                for where, other in later:
                    product = np.bincount(place * n + where, pull * other, n * n).reshape(n, n)
                    total += product + product.T if lag else product
        return total


def _codes(names: Sequence[Hashable]) -> tuple[np.ndarray, int]:
    number = {name: k for k, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names], dtype=np.int64), len(number)


def _clips(clips: Sequence[tuple[Hashable, Hashable]] | None, rows: _Rows) -> tuple[np.ndarray, int]:
    """A code for the first clip of each comparison, then for the second; and how many clips a system has at least."""
    pairs = () if clips is None else clips
    codes, n = _codes([pair[side] for side in (0, 1) for pair in pairs])
    if not n:
        return codes, 0
    each = np.sort(codes * rows.systems + np.append(rows.i, rows.j))
    owner = each[np.diff(each, prepend=-1) > 0] % rows.systems
    return codes, int(np.bincount(owner, minlength=rows.systems).min())


def _covariance(
    inverse: np.ndarray,
    rows: _Rows,
    listener: Sequence[Hashable] | None,
    clips: Sequence[tuple[Hashable, Hashable]] | None,
) -> tuple[np.ndarray, int, int]:
    """Of the parameters: inverse information, or clustered by listener, by clip or both; and by how many of each."""
    (who, listeners), (which, fewest) = _codes(() if listener is None else listener), _clips(clips, rows)
    listeners, fewest = listeners * (listeners >= MIN_LISTENERS), fewest * (fewest >= MIN_CLIPS)
    if not listeners and not fewest:
        return inverse, 0, 0
    every = np.arange(len(rows.i))
    own, scale = (who, listeners / (listeners - 1)) if listeners else (every, 1.0)
    meat = rows.meat(own, every) * scale
    if fewest:
        # a comparison is of two clips, so it counts once with its listener, twice by clip, and twice less with both
        twice, both = np.append(every, every), np.append(own, own) * (int(which.max()) + 1) + which
        meat = meat + rows.meat(which, twice) * (fewest / (fewest - 1)) - rows.meat(both, twice)
    # the difference may have a negative direction, where the data show no variance
    value, vector = np.linalg.eigh(inverse @ meat @ inverse)
    return (vector * np.maximum(value, 0)) @ vector.T, listeners, fewest
