"""`ratings` from a file against pandas: both in this process, in turn; best wall and processor seconds.

    python benchmarks/bench_ratings.py [--rows 25000 1000000] [--rounds 5]

The rival is what one writes with pandas: `read_csv`, MOS with Student intervals by clip and system, raters'
correlations with the others, biases in one step, alpha for interval data. It does no ordinal alpha, ICC, screening,
least squares on incomplete designs, components, ceiling or clustered intervals, and checks nothing.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats
from sqa_metrics.ratings import listening_test, read_ratings


def write(path: Path, rows: int) -> None:
    """8 votes a clip, by raters with biases, of systems with 20 clips or more."""
    rng = np.random.default_rng(0)
    clips, raters, systems = rows // 8, max(40, rows // 500), max(10, min(200, rows // 500))
    clip = np.repeat(np.arange(clips), 8)
    rater = np.concatenate([rng.choice(raters, 8, replace=False) for _ in range(clips)])
    quality = rng.normal(3, 0.8, systems)[clip % systems] + rng.normal(0, 0.35, clips)[clip]
    vote = quality + rng.normal(0, 0.4, raters)[rater] + rng.normal(0, 0.8, len(clip))
    score = np.clip(np.round(vote), 1, 5).astype(int)
    table = {
        "sample_id": [f"sys{c % systems:03d}-utt{c:06d}" for c in clip],
        "system_id": [f"sys{c % systems:03d}" for c in clip],
        "listener_id": [f"rater{r:04d}" for r in rater],
        "score": score,
    }
    pd.DataFrame(table).to_csv(path, index=False)


def with_pandas(path: Path) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, float]:
    table = pd.read_csv(path)
    by_clip, by_system = (
        table.groupby(column)["score"].agg(["mean", "std", "count"]) for column in ("sample_id", "system_id")
    )
    for means in (by_clip, by_system):
        means["half"] = stats.t.ppf(0.975, means["count"] - 1) * means["std"] / np.sqrt(means["count"])
    of_clip = by_clip.loc[table["sample_id"]]
    n, mean = of_clip["count"].to_numpy(), of_clip["mean"].to_numpy()
    table["others"] = (mean * n - table["score"]) / (n - 1)
    table["off"] = table["score"] - mean
    raters = table.groupby("listener_id").agg(bias=("off", "mean"), votes=("off", "count"))
    raters["r"] = table.groupby("listener_id")[["score", "others"]].corr().iloc[0::2, -1].to_numpy()
    observed = (by_clip["count"] * by_clip["std"] ** 2).sum() / len(table)
    return by_clip, by_system, raters, float(1 - observed / table["score"].var())


def best(
    function: Callable[[], object], other: Callable[[], object], rounds: int
) -> list[tuple[float, float]]:
    found = [(float("inf"), float("inf"))] * 2
    for _ in range(rounds):
        for k, call in enumerate((function, other)):
            wall, cpu = time.perf_counter(), time.process_time()
            call()
            now = time.perf_counter() - wall, time.process_time() - cpu
            found[k] = min(found[k][0], now[0]), min(found[k][1], now[1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[25_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for rows in options.rows:
            path = Path(folder) / "ratings.csv"
            write(path, rows)
            test, rival = listening_test(read_ratings(path)), with_pandas(path)
            assert abs(test.alpha["interval"] - rival[3]) < 1e-9
            ours, theirs = best(
                lambda path=path: listening_test(read_ratings(path)),  # type: ignore[misc]
                lambda path=path: with_pandas(path),  # type: ignore[misc]
                options.rounds,
            )
            print(f"{rows:>9,} rows, warm: ours {ours[0]:.3f} s ({ours[1]:.3f} processor), "
                  f"pandas {theirs[0]:.3f} s ({theirs[1]:.3f})")  # fmt: skip
            command = ["sqa-metrics", "ratings", str(path)]
            before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            after, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"{rows:>9,} rows, cold `sqa-metrics ratings`: {wall:.3f} s ({cpu:.3f} processor)")


if __name__ == "__main__":
    main()
