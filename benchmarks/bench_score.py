"""`score` from files: a cold start on a small file, and large files against json + pandas + SciPy.

uv run python benchmarks/bench_score.py
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import rival_score
from interleave import line, race

RIVAL = str(Path(rival_score.__file__))


def write(folder: Path, n: int) -> tuple[str, str]:
    """A reference of 8-vote means and a shuffled prediction of n rows, 1,000 (or n / 20) a system."""
    rng, per_system = random.Random(1), max(1, min(1000, n // 20))
    quality = [rng.gauss(0, 0.7) for _ in range(n // per_system + 1)]
    ref, pred = [], []
    for k in range(n):
        system = k // per_system
        mos = min(5.0, max(1.0, 3 + quality[system] + rng.gauss(0, 0.5)))
        ids = {"sample_id": f"sys{system:04d}-utt{k:07x}", "system_id": f"sys{system:04d}"}
        ref.append(json.dumps(ids | {"metrics": {"mos": round(mos * 8) / 8}, "votes": 8, "mos_std": 0.7}))
        pred.append(
            json.dumps(ids | {"metrics": {"mos": mos + rng.gauss(0, 0.5), "scoreq": rng.uniform(1, 5)}})
        )
    rng.shuffle(pred)
    paths = folder / f"ref{n}.jsonl", folder / f"pred{n}.jsonl"
    for path, rows in zip(paths, (ref, pred), strict=True):
        path.write_text("\n".join(rows) + "\n")
    return str(paths[0]), str(paths[1])


def command(*arguments: str) -> None:
    subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    program = str(Path(sys.executable).parent / "sqa-metrics")
    command(program, "warmup")
    print("| job | ours | rival | ratio | goal |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def cold(n: int, *options: str) -> tuple[float, float, float]:
            ref, pred = write(folder, n)
            return race(
                lambda: command(program, "score", "--ref", ref, "--pred", pred, *options),
                lambda: command(sys.executable, RIVAL, ref, pred),
                rounds if n < 10**6 else 3,
            )

        plain = race(
            lambda: command(sys.executable, "-c", "pass"),
            lambda: command(sys.executable, "-c", "import click"),
        )
        print(line("plain Python start, against one that imports click", plain))
        print(line("cold `sqa-metrics score`, 640 rows", cold(640), "≤ 60 ms"))
        print(line("the same with --p1401", cold(640, "--p1401"), "≤ 80 ms"))
        print(line("cold, 10^4 rows", cold(10**4)))

        from sqa_metrics import score

        ref, pred = write(folder, 238_000)
        ours = score(ref, pred)
        for mine, theirs in zip((ours.utterance, ours.system), rival_score.score(ref, pred), strict=True):
            assert mine is not None
            assert all(abs(a - b) < 1e-11 for a, b in zip(mine.values(), theirs, strict=True)), (mine, theirs)
        print(
            line(
                "warm, 238,000 rows",
                race(lambda: score(ref, pred), lambda: rival_score.score(ref, pred), rounds),
                "8× (15×)",
            )
        )
        print(line("cold, 10^6 rows", cold(10**6), "4× (8×)"))


if __name__ == "__main__":
    main()
