"""Are 95 % intervals, tests and places honest? Shares over simulated listening tests.

Tests of S systems with U utterances come from one population: systems differ, utterances differ, the predictor errs by
system and by utterance. An interval is right when it covers the figure of a test without end, a test is wrong when it
tells equal predictors apart (p < .05), and the places of ten equal predictors are wrong where one misses the first.

    uv run python benchmarks/study_intervals.py --tests 1000
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from itertools import product

import numpy as np
from sqa_metrics import FIGURES, Coverage, Paired, compare, evaluate, intervals, rank

SYSTEMS, UTTERANCES = (5, 6, 8, 12, 23, 95), (4, 20)
KINDS = ("normal", "skewed", "skewed, unequal")
ENDLESS = 100_000  # systems of a test without end
LEVELS = ("utterance", "system")


def draw(n_systems: int, n_utterances: int, kind: str, seed: int, predictors: int = 1) -> Paired:
    """A listening test of so many systems.

    `skewed`: most systems are good, MOS are means of five whole votes (ties), systems' errors have long tails, and the
    predictors compress; `unequal`: a fifth of the systems has six times the clips of others.
    """
    rng = np.random.default_rng(seed)
    size = np.full(n_systems, n_utterances)
    if "unequal" in kind:
        size = np.where(rng.random(n_systems) < 0.2, 3 * n_utterances, n_utterances // 2)
    system = np.repeat(np.arange(n_systems), size)
    content = rng.normal(0, 0.35, system.size)
    if kind == "normal":
        quality = rng.normal(3, 0.8, n_systems)
        ref = quality[system] + content + rng.normal(0, 0.36, system.size)  # five votes of spread .8
        error, slope = rng.normal(0, 0.25, (predictors, n_systems)), 1.0
    else:
        quality = 1 + 4 * rng.beta(4, 1.6, n_systems)
        votes = (quality[system] + content)[:, None] + rng.normal(0, 0.8, (system.size, 5))
        ref = np.clip(np.round(votes), 1, 5).mean(axis=1)
        error, slope = 0.25 * rng.standard_t(5, (predictors, n_systems)) / np.sqrt(5 / 3), 0.7
    preds = [
        3 + slope * (quality - 3)[system] + e[system] + 0.7 * content + rng.normal(0, 0.35, system.size)
        for e in error
    ]
    n = system.size
    return Paired(
        names=[f"p{k}" for k in range(predictors)],
        ref=ref,
        preds=preds,
        system=system,
        systems=[("", f"s{k}") for k in range(n_systems)],
        corpus=np.zeros(n, int),
        corpora=[""],
        coverage=[Coverage(n, n, 0, 0, 0)] * predictors,
        ref_utterances=[n],
        ref_systems=[n_systems],
    )


def coverage_and_errors(cell: tuple[int, int, str], tests: int) -> tuple[np.ndarray, np.ndarray]:
    """Shares of intervals that cover, and of p < .05 between equals: (2 levels, figures) each."""
    endless = evaluate(draw(ENDLESS, *cell[1:], seed=1))
    covered, alarms = np.zeros((2, len(LEVELS), len(FIGURES)))
    for test in range(tests):
        paired = draw(*cell, seed=10 + test, predictors=2)
        found = intervals(paired)[0]
        p = {(d.level, d.metric): d.p for d in compare(paired)}
        for i, level in enumerate(LEVELS):
            for j, metric in enumerate(FIGURES):
                interval = found[level][metric]
                covered[i, j] += interval.low <= endless.level(level)[metric] <= interval.high
                alarms[i, j] += p[level, metric] < 0.05
    return covered / tests, alarms / tests


def wrong_places(cell: tuple[int, int, str], tests: int, predictors: int = 10) -> float:
    """Share of rankings of equal predictors in which some predictor's places leave out the first."""
    wrong = 0
    for test in range(tests):
        places = rank(draw(*cell, seed=10 + test, predictors=predictors))
        wrong += any(place.place_interval[0] > 1 for place in places)
    return wrong / tests


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tests", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    cells = list(product(SYSTEMS, UTTERANCES, KINDS))
    with ProcessPoolExecutor(args.workers) as pool:
        found = list(pool.map(coverage_and_errors, cells, [args.tests] * len(cells)))
        crowded = [(12, 8, kind) for kind in KINDS]
        places = list(pool.map(wrong_places, crowded, [args.tests] * len(crowded)))
    for title, k in (("Intervals that cover", 0), ("p < .05 between equals", 1)):
        print(f"\n{title}, in %: {', '.join(m.upper() for m in FIGURES)}\n")
        print("| systems × utterances | scores | system level | utterance level |\n|---|---|---|---|")
        for cell, shares in zip(cells, found, strict=True):
            utterance, system = (" ".join(f"{100 * v:.1f}" for v in row) for row in shares[k])
            print(f"| {cell[0]} × {cell[1]} | {cell[2]} | {system} | {utterance} |")
    print("\nRankings of ten equal predictors, 12 × 8, of which some places leave out the first:")
    print(", ".join(f"{kind} {100 * share:.1f} %" for kind, share in zip(KINDS, places, strict=True)))


if __name__ == "__main__":
    main()
