"""Agreement metrics against SciPy: both in this process, in turn, one thread; ratios of the best times.

    python benchmarks/bench_agreement.py [tau|four|many|leave_out|judge|cold ...] [--largest 10000000]

Scores are float64 as a user would pass them, and every figure is of the public function with all its checks.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from scipy import stats
from sqa_metrics import compare, pair, with_uncertainty
from sqa_metrics.agreement import four, ktau, ktau_many, ktau_matrix, warmup
from sqa_metrics.figures import FIGURES
from sqa_metrics.kernels.leave_out import leave_out
from sqa_metrics.uncertainty.left_out import left_out


def in_turn(*functions: Callable[[], object], budget_s: float = 1.5) -> list[float]:
    """Best seconds per call of each function, all called in turn so that a slow moment hits all alike."""
    best, repeat = [float("inf")] * len(functions), [1] * len(functions)
    for k, function in enumerate(functions):  # warm up, and repeat what is too short for the clock
        function()
        start = time.perf_counter()
        function()
        repeat[k] = max(1, int(50e-6 / (time.perf_counter() - start + 1e-9)))
    end, rounds = time.perf_counter() + budget_s, 0
    while rounds < 3 or (time.perf_counter() < end and rounds < 500):
        for k, function in enumerate(functions):
            start = time.perf_counter()
            for _ in range(repeat[k]):
                function()
            best[k] = min(best[k], (time.perf_counter() - start) / repeat[k])
        rounds += 1
    return best


def scores(n: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """A reference and a prediction that follows it: continuous, mean of 8 votes, and float32 on both sides."""
    rng = np.random.default_rng(n)
    ref = 3 + rng.normal(size=n)
    pred = ref + rng.normal(size=n)
    single = [a.astype(np.float32).astype(np.float64) for a in (ref, pred)]
    return {
        "continuous": (ref, pred),
        "mean of 8 votes": (np.round(np.clip(ref, 1, 5) * 8) / 8, pred),
        "float32": (single[0], single[1]),
    }


def scipy_four(ref: np.ndarray, pred: np.ndarray) -> list[float]:
    return [
        float(np.mean((ref - pred) ** 2)),
        stats.pearsonr(ref, pred)[0],
        stats.spearmanr(ref, pred)[0],
        stats.kendalltau(ref, pred)[0],
    ]


def row(*cells: object) -> None:
    print("| " + " | ".join(str(c) for c in cells) + " |", flush=True)


def seconds(s: float) -> str:
    return f"{s * 1e6:.3g} µs" if s < 1e-3 else f"{s * 1e3:.3g} ms" if s < 1 else f"{s:.3g} s"


def bench_tau(largest: int) -> None:
    row("tau-b", "n", "ours", "SciPy", "ratio")
    row("---", "--:", "--:", "--:", "--:")
    for n in (20, 100, 640, 1000, 10**4, 10**5, 10**6, 10**7):
        if n <= largest:
            for kind, (ref, pred) in scores(n).items():
                ours, scipy = in_turn(
                    lambda r=ref, p=pred: ktau(r, p), lambda r=ref, p=pred: stats.kendalltau(r, p)
                )
                row(kind, f"{n:,}", seconds(ours), seconds(scipy), f"{scipy / ours:.1f}×")


def bench_four(largest: int) -> None:
    row("MSE, LCC, SRCC, KTAU", "n", "ours", "SciPy", "ratio")
    row("---", "--:", "--:", "--:", "--:")
    for n in (20, 640, 10**4, 10**6, 10**7):
        if n <= largest:
            for kind, (ref, pred) in scores(n).items():
                ours, scipy = in_turn(
                    lambda r=ref, p=pred: four(r, p), lambda r=ref, p=pred: scipy_four(r, p)
                )
                row(kind, f"{n:,}", seconds(ours), seconds(scipy), f"{scipy / ours:.1f}×")


def bench_many(largest: int) -> None:
    row("many predictors", "size", "ours", "loop over SciPy", "ratio")
    row("---", "--:", "--:", "--:", "--:")
    for m, n in ((100, 23), (50, 640), (20, 7000)):
        many_row(m, n)


def many_row(m: int, n: int) -> None:
    rng = np.random.default_rng(0)
    ref, preds = rng.normal(size=n), rng.normal(size=(m, n))
    few = preds[:20]
    pairs = [(p, q) for i, p in enumerate(few) for q in few[i + 1 :]]
    ours, scipy = in_turn(lambda: ktau_many(ref, preds), lambda: [stats.kendalltau(ref, p)[0] for p in preds])
    row("one reference", f"{m} × {n:,}", seconds(ours), seconds(scipy), f"{scipy / ours:.1f}×")
    ours, scipy = in_turn(lambda: ktau_matrix(few), lambda: [stats.kendalltau(p, q)[0] for p, q in pairs])
    row("matrix", f"{len(few)} × {n:,}", seconds(ours), seconds(scipy), f"{scipy / ours:.1f}×")


def bench_leave_out(largest: int) -> None:
    """The four figures of predictors without each system; SciPy is timed on one of these and scaled."""
    row("predictors × systems × items", "ours", "loop over SciPy", "ratio")
    row("---", "--:", "--:", "--:")
    functions = {name: figure.function for name, figure in FIGURES.items()}
    for m, systems, n in ((2, 12, 240), (2, 95, 1900), (20, 238, 238_000)):
        if n <= largest:
            rng = np.random.default_rng(0)
            ref = np.round((3 + rng.normal(size=n)) * 8) / 8
            preds, size = ref + rng.normal(size=(m, n)), n // systems
            starts = np.arange(0, n + 1, size)
            ours, scipy = in_turn(
                lambda r=ref, p=preds, s=starts: leave_out(r, p, s, functions),
                lambda r=ref, p=preds, k=size: scipy_four(r[k:], p[0][k:]),
            )
            scipy *= m * systems
            row(f"{m} × {systems} × {n:,}", seconds(ours), seconds(scipy), f"{scipy / ours:.0f}×")


def bench_judge(largest: int) -> None:
    """Intervals and tests of 20 predictors from arrays, against one leave-one-out pass of SciPy, which is scaled."""
    row(
        "predictors × systems × items",
        "leaving out",
        "tests",
        "intervals, ceilings",
        "together",
        "SciPy's loop",
    )
    row("---", "--:", "--:", "--:", "--:", "--:")
    m, systems, n = 20, 238, min(238_000, largest)
    rng, system = np.random.default_rng(0), np.arange(n) % systems
    quality = rng.normal(3, 0.7, systems)[system]
    continuous = quality + rng.normal(0, 0.6, n)
    preds = {f"p{k}": 0.8 * quality + 0.6 + rng.normal(0, 0.5, n) for k in range(m)}
    for name, ref in (("steps of 1/8", np.round(continuous.clip(1, 5) * 8) / 8), ("continuous", continuous)):
        paired = pair(ref, preds, system=[f"s{k}" for k in system])
        clock = [time.perf_counter()]
        without = left_out(paired)
        clock.append(time.perf_counter())
        compare(paired, without=without)
        clock.append(time.perf_counter())
        with_uncertainty(paired, without=without)
        clock.append(time.perf_counter())
        (scipy,) = in_turn(lambda r=ref: scipy_four(r, preds["p0"]), budget_s=0)
        parts = [seconds(b - a) for a, b in itertools.pairwise(clock)]
        row(
            f"{m} × {systems} × {n:,}, {name}",
            *parts,
            seconds(clock[-1] - clock[0]),
            seconds(scipy * m * systems),
        )


def bench_cold(largest: int) -> None:
    """Fresh processes, the imports of both sides included: processor seconds until the k-th tau of arrays."""
    row("fresh process, k times tau of n", "k", "ours", "SciPy", "ours / SciPy")
    row("---", "--:", "--:", "--:", "--:")
    inputs = "import numpy as np; r = np.random.default_rng(0); x = r.normal(size={n}); y = x + r.normal(size={n})\n"
    ours = "from sqa_metrics import ktau\nfor _ in range({k}): ktau(x, y)"
    scipy = "from scipy.stats import kendalltau\nfor _ in range({k}): kendalltau(x, y)"
    for n in (23, 640, 20_000):
        for k in (1, 10, 100, 1000):
            best = [float("inf")] * 2
            for _ in range(3 if k < 1000 else 1):
                for which, code in enumerate((ours, scipy)):
                    best[which] = min(best[which], processor_seconds((inputs + code).format(n=n, k=k)))
            row(f"{n:,}", k, *map(seconds, best), f"{best[0] / best[1]:.2f}")
    row(
        "",
        "",
        *map(seconds, (processor_seconds("pass"), processor_seconds("import scipy.stats"))),
        "imports alone",
    )


def processor_seconds(code: str) -> float:
    """Of a fresh Python that runs `code`, all its threads together."""
    before = os.times()
    subprocess.run([sys.executable, "-c", code], check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


BENCHES = {
    "tau": bench_tau,
    "four": bench_four,
    "many": bench_many,
    "leave_out": bench_leave_out,
    "judge": bench_judge,
    "cold": bench_cold,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bench", nargs="*", help=f"which: {', '.join(BENCHES)} (all)")
    parser.add_argument("--largest", type=int, default=10**7, help="largest n")
    arguments = parser.parse_args()
    if arguments.bench != ["cold"]:
        warmup()
    for name in arguments.bench or BENCHES:
        BENCHES[name](arguments.largest)
        print()


if __name__ == "__main__":
    main()
