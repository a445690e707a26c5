"""Are the 95 % intervals honest? Coverage over simulated listening tests, for each way to resample.

Tests of S systems with U utterances come from one population (systems differ, utterances differ, the predictor errs
by system and by utterance); an interval is right when it covers the figure of a test without end. `utterances too` is
the system level with utterances drawn inside the drawn systems, which `sqa_metrics` does not do.

    uv run python benchmarks/study_intervals.py --tests 300
"""

import argparse
import itertools
from collections import Counter

import numpy as np
from sqa_metrics import FIGURES, Coverage, Paired, compare, evaluate, four
from sqa_metrics.uncertainty import Method, _interval, _jackknife, replicates

METHODS: tuple[Method, ...] = ("bca", "percentile")


def draw(n_systems: int, n_utterances: int, rng: np.random.Generator, predictors: int = 1) -> Paired:
    shape = (n_systems, n_utterances)
    quality = rng.normal(3, 0.8, (n_systems, 1))
    content = rng.normal(0, 0.35, shape)
    ref = quality + content + rng.normal(0, 0.28, shape)  # 0.28: eight votes of spread 0.8
    preds = [
        quality + rng.normal(0, 0.25, (n_systems, 1)) + 0.7 * content + rng.normal(0, 0.35, shape)
        for _ in range(predictors)
    ]
    n = ref.size
    return Paired(
        names=[f"p{k}" for k in range(predictors)],
        ref=ref.ravel(),
        preds=[p.ravel() for p in preds],
        system=np.repeat(np.arange(n_systems), n_utterances),
        systems=[("", f"s{k}") for k in range(n_systems)],
        corpus=np.zeros(n, int),
        corpora=[""],
        coverage=[Coverage(n, n, 0, 0, 0)] * predictors,
        ref_utterances=[n],
        ref_systems=[n_systems],
    )


def utterances_too(paired: Paired, n_resamples: int, rng: np.random.Generator) -> np.ndarray:
    """System-level figures (n_resamples, 1, 4) of systems drawn with utterances redrawn inside each."""
    n_systems = len(paired.systems)
    size = len(paired) // n_systems
    system = rng.integers(0, n_systems, (n_resamples, n_systems))
    rows = system[..., None] * size + rng.integers(0, size, (n_resamples, n_systems, size))
    means = zip(paired.ref[rows].mean(2), paired.preds[0][rows].mean(2), strict=True)
    return np.array([[list(four(ref, pred).values())] for ref, pred in means])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tests", type=int, default=300)
    parser.add_argument("--resamples", type=int, default=500)
    args = parser.parse_args()
    print(
        "| systems × utterances | level, draws, interval | " + " | ".join(m.upper() for m in FIGURES) + " |"
    )
    print("|---|---|" + "---|" * len(FIGURES))
    for n_systems, n_utterances in ((12, 20), (23, 20), (95, 6)):
        endless = evaluate(draw(100_000, n_utterances, np.random.default_rng(1)))
        hits: dict[tuple[str, str, str], np.ndarray] = {}
        rng = np.random.default_rng(2)
        for test in range(args.tests):
            paired = draw(n_systems, n_utterances, rng)
            figures, left_out = evaluate(paired), _jackknife(paired, 0)
            draws = replicates(paired, args.resamples, test)
            ways = {
                ("utterance", "systems, utterances"): draws["utterance"],
                ("system", "systems whole"): draws["system"],
                ("system", "utterances too"): utterances_too(paired, args.resamples, rng),
            }
            for (level, way), samples in ways.items():
                for method in METHODS:
                    count = hits.setdefault((level, way, method), np.zeros(len(FIGURES)))
                    for j, metric in enumerate(FIGURES):
                        without = left_out[level][:, 0, j] if method == "bca" else None
                        interval = _interval(samples[:, 0, j], getattr(figures, level)[metric], 0.95, without)
                        count[j] += interval.low <= getattr(endless, level)[metric] <= interval.high
        for (level, way, method), count in hits.items():
            cells = " | ".join(f"{c / args.tests:.0%}" for c in count)
            print(f"| {n_systems} × {n_utterances} | {level}, {way}, {method} | {cells} |")

    print("\nShare of p < 0.05 between two predictors of equal quality (right: 5 %):\n")
    print("| systems × utterances | level, interval | " + " | ".join(m.upper() for m in FIGURES) + " |")
    print("|---|---|" + "---|" * len(FIGURES))
    for n_systems, n_utterances in ((12, 20), (23, 20), (95, 6)):
        rng = np.random.default_rng(3)
        rejected: Counter[tuple[str, str, str]] = Counter()
        for test in range(args.tests):
            paired = draw(n_systems, n_utterances, rng, 2)
            for method in METHODS:
                for d in compare(paired, n_resamples=args.resamples, seed=test, method=method):
                    rejected[d.level, method, d.metric] += d.p < 0.05
        for level, method in itertools.product(("utterance", "system"), METHODS):
            cells = " | ".join(f"{rejected[level, method, m] / args.tests:.0%}" for m in FIGURES)
            print(f"| {n_systems} × {n_utterances} | {level}, {method} | {cells} |")


if __name__ == "__main__":
    main()
