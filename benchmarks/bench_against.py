"""sqa-metrics of this checkout against that of another, such as an earlier commit: in turns, one process each.

    git worktree add ../old b7c7cae && uv run python benchmarks/bench_against.py ../old

Figures of arrays are seconds of the warm public functions; a cold `score` is processor seconds of a whole process. The
kernels of both are compiled and cached before.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench_score import write

HERE = Path(__file__).resolve().parents[1]
COLD = """
import importlib, sys
from importlib.util import find_spec
name = "sqa_metrics.cli" if find_spec("sqa_metrics.cli") else "sqa_metrics._cli"  # as 0.1.0 called it
importlib.import_module(name).main()
"""


def best(function: Callable[[], object], budget_s: float = 0.4) -> float:
    """Best seconds of a call, warm."""
    function()
    least, end = float("inf"), time.perf_counter() + budget_s
    while time.perf_counter() < end:
        start = time.perf_counter()
        for _ in range(10):
            function()
        least = min(least, (time.perf_counter() - start) / 10)
    return least


def arrays() -> dict[str, float]:
    """Seconds of `four` and `ktau_many` in this process."""
    import numpy as np
    from sqa_metrics.agreement import four, ktau_many, warmup

    warmup()
    found = {}
    for n in (23, 640, 20_000, 1_000_000):
        rng = np.random.default_rng(n)
        ref = 3 + rng.normal(size=n)
        pred, votes = ref + rng.normal(size=n), np.round(np.clip(ref, 1, 5) * 8) / 8
        found[f"four, n = {n:,}"] = best(lambda x=ref, y=pred: four(x, y))
        found[f"four, votes, n = {n:,}"] = best(lambda x=votes, y=pred: four(x, y))
        if n <= 20_000:
            preds = ref + rng.normal(size=(50, n))
            found[f"tau of 50 predictors, n = {n:,}"] = best(lambda x=ref, y=preds: ktau_many(x, y))
    return found


def cold(environment: dict[str, str], ref: str, pred: str) -> float:
    """Processor seconds of `sqa-metrics score` in a process of its own."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-c", COLD, "score", "--ref", ref, "--pred", pred]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("other", type=Path, help="Another checkout of this repository.")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    found: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as name:
        sides = {}
        for side, root in (("here", HERE), ("there", arguments.other.resolve())):
            cache = str(Path(name) / side)
            source = str(root / "packages/sqa-metrics/src")
            sides[side] = os.environ | {
                "PYTHONPATH": source,
                "NUMBA_CACHE_DIR": cache,
                "OMP_NUM_THREADS": "1",
            }
        files = {n: write(Path(name), n) for n in (640, 10_000, 100_000, 238_000, 1_000_000)}
        for round_ in range(arguments.rounds + 1):
            for side, environment in sides.items():
                command = [sys.executable, __file__, "arrays"]
                output = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout
                times = json.loads(output)
                times |= {f"cold score, {n:,} rows": cold(environment, *files[n]) for n in files}
                for job, seconds in times.items() if round_ else ():  # the first round fills the caches
                    of_job = found.setdefault(job, {})
                    of_job[side] = min(seconds, of_job.get(side, float("inf")))
    print("| job | here | there | here / there |\n|---|---|---|---|")
    for job, of_job in found.items():
        here, there = of_job["here"], of_job["there"]
        print(f"| {job} | {here * 1e3:.4g} ms | {there * 1e3:.4g} ms | {here / there:.2f} |")


if __name__ == "__main__":
    if sys.argv[1:] == ["arrays"]:
        print(json.dumps(arrays()))
    else:
        main()
