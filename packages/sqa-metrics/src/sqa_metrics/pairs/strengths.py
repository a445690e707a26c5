"""Strengths of systems from comparisons of two: Bradley-Terry, and Davidson's model where there are ties.

With d the difference of two strengths, the first is preferred in proportion to exp(d / 2), the second to exp(-d / 2),
and a tie comes in proportion to nu (Bradley & Terry 1952; Davidson 1970, "On extending the Bradley-Terry model to
accommodate ties"). The likelihood is concave, so Newton's method finds its one maximum. It may lie at infinity unless
every group of systems has beaten and been beaten by the others; half a win each way for every two systems that were
compared then keeps it finite. The votes of one listener depend on each other: where listeners are known, the covariance
is that of leaving them out one by one, in its linear form (the cluster sandwich).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sqa_metrics.distributions import normal_quantile, t_quantile
from sqa_metrics.errors import MetricsError
from sqa_metrics.tables import Style, figure, render

HALF_WIN = 0.5
MIN_LISTENERS = 10  # fewer say too little about how listeners differ
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
    listeners: int  # whose dependence the covariance holds; 0: comparisons count as independent
    level: float

    @property
    def se(self) -> np.ndarray:
        """(S,): standard error of each strength, as a deviation from the mean of all systems."""
        return np.sqrt(np.diag(self.covariance))

    def difference(self, a: str, b: str) -> tuple[float, float]:
        """The strength of `a` less that of `b`, and its standard error."""
        i, j = self.systems.index(a), self.systems.index(b)
        c = self.covariance
        return float(self.strength[i] - self.strength[j]), math.sqrt(c[i, i] + c[j, j] - 2 * c[i, j])

    def intervals(self) -> np.ndarray:
        """(S, 2): the interval of each strength."""
        half = self._quantile((1 + self.level) / 2) * self.se
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
        bound = self._quantile(1 - (1 - self.level) / (2 * tests)) * se
        better = self.strength[None, :] - self.strength[:, None] > np.maximum(bound, CONVERGED)
        return np.stack([1 + better.sum(axis=1), n - better.sum(axis=0)], axis=1)

    def _quantile(self, p: float) -> float:
        return t_quantile(p, self.listeners - 1) if self.listeners else normal_quantile(p)

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
            "clustered_by": f"{self.listeners} listeners" if self.listeners else None,
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
                "strengths: every comparison counts as independent; with a column of listeners, "
                f"{MIN_LISTENERS} or more, their dependence is taken into account"
            )
        return notes


def strengths(
    a: Sequence[str],
    b: Sequence[str],
    preference: Sequence[float],
    *,
    listener: Sequence[str] | None = None,
    level: float = 0.95,
) -> Strengths:
    """Bradley-Terry strengths (Davidson's where there are ties) of the systems compared, each argument of n rows.

    preference: above 0 where `a` is better, below where `b` is, 0 for a tie.
    listener: who judged; from 10 listeners on their votes count as dependent, Student's quantile with one degree of
        freedom fewer than listeners.

    Raises MetricsError for a system compared with itself, a preference that is not finite, and groups of systems that
    were never compared with each other.

    >>> found = strengths(["A"] * 10 + ["A"] * 10 + ["B"] * 10, ["B"] * 10 + ["C"] * 10 + ["C"] * 10,
    ...                   [1] * 7 + [-1] * 3 + [1] * 8 + [-1] * 2 + [1] * 6 + [-1] * 4)
    >>> found.systems, [round(v, 6) for v in found.difference("A", "C")]
    (['A', 'B', 'C'], [1.332038, 0.602163])
    """
    outcome = np.sign(np.asarray(preference, float))
    names = sorted({*a, *b})
    number = {name: k for k, name in enumerate(names)}
    i, j = (np.array([number[name] for name in side], dtype=np.int64) for side in (a, b))
    _require_comparisons(i, j, outcome, names)
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
    covariance, listeners = inverse, 0
    if listener is not None and len(set(listener)) >= MIN_LISTENERS:
        listeners = len(set(listener))
        half = _scores(theta, log_tie, i, j, outcome, listener) @ inverse
        covariance = half.T @ half * (listeners / (listeners - 1))
    centre = np.eye(n) - 1 / n
    spread = np.zeros((n, n))
    spread[:-1, :-1] = covariance[: n - 1, : n - 1]
    order = np.argsort(-theta, kind="stable")
    return Strengths(
        systems=[names[k] for k in order],
        strength=(theta - theta.mean())[order],
        covariance=(centre @ spread @ centre)[np.ix_(order, order)],
        wins=wins[np.ix_(order, order)],
        ties=ties[np.ix_(order, order)],
        log_tie=log_tie,
        log_tie_se=math.nan if math.isnan(log_tie) else math.sqrt(covariance[-1, -1]),
        log_likelihood=_log_likelihood(theta, log_tie, wins, ties),
        half_wins=half_wins,
        listeners=listeners,
        level=level,
    )


def _require_comparisons(i: np.ndarray, j: np.ndarray, outcome: np.ndarray, names: list[str]) -> None:
    if not i.size:
        raise MetricsError("no comparisons; expected at least one between two systems")
    if not np.isfinite(outcome).all():
        raise MetricsError(
            f"preference[{int(np.argmin(np.isfinite(outcome)))}] is not finite; expected a number"
        )
    if (own := np.flatnonzero(i == j)).size:
        raise MetricsError(f"comparison {own[0]}: system {names[i[own[0]]]!r} is compared with itself")


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
        told = [", ".join(repr(names[k]) for k in group[:SHOWN]) for group in groups]
        more = [f" and {len(group) - SHOWN} more" if len(group) > SHOWN else "" for group in groups]
        listed = "; ".join(t + m for t, m in zip(told[:SHOWN], more, strict=False))
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
        step = np.linalg.solve(
            _information(theta, log_tie, wins, ties), _gradient(theta, log_tie, wins, ties)
        )
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


def _scores(
    theta: np.ndarray,
    log_tie: float,
    i: np.ndarray,
    j: np.ndarray,
    outcome: np.ndarray,
    listener: Sequence[str],
) -> np.ndarray:
    """(listeners, parameters): what each listener's comparisons add to the gradient."""
    number = {name: k for k, name in enumerate(dict.fromkeys(listener))}
    who = np.array([number[name] for name in listener])
    win, tie = _chances(theta, log_tie)
    score = np.zeros((len(number), len(theta) + 1))
    pull = (outcome - (win[i, j] - win[j, i])) / 2
    np.add.at(score, (who, i), pull)
    np.add.at(score, (who, j), -pull)
    np.add.at(score[:, -1], who, (outcome == 0) - tie[i, j])
    return np.delete(score, [len(theta) - 1] + ([len(theta)] if math.isnan(log_tie) else []), axis=1)
