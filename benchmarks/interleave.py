"""Time two ways of doing one thing in the same run, in turns, so that a noisy machine is unfair to neither."""

import time
from collections.abc import Callable
from statistics import median


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def race(
    ours: Callable[[], object], rival: Callable[[], object], rounds: int = 5, inner: int = 1
) -> tuple[float, float, float]:
    """Best seconds of ours, best of the rival, and the median over rounds of rival / ours.

    `inner` calls make one timing, for functions too quick for the clock.
    """
    ours(), rival()  # warm both
    pairs = []
    for _ in range(rounds):
        mine = seconds(lambda: [ours() for _ in range(inner)]) / inner
        theirs = seconds(lambda: [rival() for _ in range(inner)]) / inner
        pairs.append((mine, theirs))
    return (
        min(m for m, _ in pairs),
        min(t for _, t in pairs),
        median(t / m for m, t in pairs),
    )


def line(what: str, result: tuple[float, float, float], goal: str = "") -> str:
    """One row of a Markdown table: what, ours, rival, ratio, goal."""
    mine, theirs, ratio = result
    return f"| {what} | {_human(mine)} | {_human(theirs)} | {ratio:.1f}× | {goal} |"


def _human(s: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if s >= size:
            return f"{s / size:.3g} {unit}"
    return f"{s * 1e9:.3g} ns"
