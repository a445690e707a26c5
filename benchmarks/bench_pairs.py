"""Strengths of 100 systems with intervals and places, against choix, which gives the strengths alone.

python benchmarks/bench_pairs.py
"""

import os
from functools import partial
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import choix
import numpy as np
from interleave import line, race
from sqa_metrics import strengths

SYSTEMS, VOTES, LISTENERS, CLIPS = 100, 50_000, 200, 40


def main() -> None:
    rng = np.random.default_rng(0)
    quality = rng.normal(size=SYSTEMS)
    i = rng.integers(SYSTEMS, size=VOTES)
    j = (i + rng.integers(1, SYSTEMS, size=VOTES)) % SYSTEMS
    won = rng.random(VOTES) < 1 / (1 + np.exp(quality[j] - quality[i]))
    names = [f"s{k}" for k in range(SYSTEMS)]
    a, b = [names[k] for k in i], [names[k] for k in j]
    listener = [f"L{k}" for k in rng.integers(LISTENERS, size=VOTES)]
    clip = rng.integers(CLIPS, size=(VOTES, 2)).tolist()
    clips = [((x, u), (y, v)) for x, y, (u, v) in zip(a, b, clip, strict=True)]
    preference = np.where(won, 1.0, -1.0).tolist()
    outcomes = np.where(won, [i, j], [j, i]).T.tolist()

    def ours(**known: Any) -> None:
        found = strengths(a, b, preference, listener=listener, **known)
        found.intervals()
        found.places()

    print("| what | sqa-metrics | rival | ratio | goal |\n|---|---|---|---|---|")
    for what, known in {
        "by listener": {},
        f"by listener and {CLIPS} clips a system": {"clips": clips},
    }.items():
        result = race(partial(ours, **known), lambda: choix.opt_pairwise(SYSTEMS, outcomes))
        told = f"strengths, {SYSTEMS} systems, {VOTES:,} votes, {what} (choix.opt_pairwise)"
        print(line(told, result, "1 s"))


if __name__ == "__main__":
    main()
