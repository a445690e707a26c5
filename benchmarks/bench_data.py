"""Prepare a corpus of URGENT2024-SQA's shape (parquet with audio bytes) against the straightforward way.

    python benchmarks/bench_data.py            both tables, some minutes; needs about 8 GB in TMPDIR
    python benchmarks/bench_data.py --quick    a few seconds

"pandas" is how such scripts are written: read_parquet, one loop over the rows that writes the audio, soundfile.info,
json.dumps, all rows sorted at the end. "copy" is the floor: the same bytes from parquet into the same files and nothing
else. Each runs in a process of its own, interleaved; figures are medians of the runs.
"""

import argparse
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

NAME = "urgent2025-sqa"
SHARD_ROWS = 5000


def make(folder: Path, rows: int, clip_bytes: int) -> None:
    """Parquet files of part "validation" and a tiny "nonblind_test", with labels as published."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import soundfile

    rng = np.random.default_rng(0)
    noise = rng.integers(-(2**14), 2**14, max(40, clip_bytes // 2)).astype(
        np.int16
    )  # noise does not compress
    file = io.BytesIO()
    soundfile.write(file, noise, 16000, format="FLAC")
    clip = file.getvalue()
    (folder / "data").mkdir(parents=True)

    def shard(part: str, index: int, total: int, start: int, n: int) -> None:
        labels = {
            name: rng.uniform(1, 5, n) for name in ("mos", "dnsmos_ovrl", "nisqa_mos", "utmos", "scoreq")
        }
        ids = [f"{part}_{i // 1000:04d}_x_fileid_{i}" for i in range(start, start + n)]
        audio = pa.StructArray.from_arrays(
            [pa.array([clip] * n, pa.binary()), pa.array([f"{i}.flac" for i in ids])], ["bytes", "path"]
        )
        systems = [f"s{i // 1000:04d}" for i in range(start, start + n)]
        table = pa.table({"sample_id": ids, "system_id": systems, "audio": audio} | labels)
        path = folder / "data" / f"{part}-{index:05d}-of-{total:05d}.parquet"
        pq.write_table(table, path, compression="none", use_dictionary=False, row_group_size=100)

    starts = range(0, rows, SHARD_ROWS)
    for index, start in enumerate(starts):
        shard("validation", index, len(starts), start, min(SHARD_ROWS, rows - start))
    shard("nonblind_test", 0, 1, 0, 1)


def ours(raw: Path, out: Path, jobs: int) -> None:
    from sqa_data.prepare import prepare

    prepare(NAME, raw, out, jobs=jobs)


def with_pandas(raw: Path, out: Path) -> None:
    import pandas as pd
    import soundfile

    items = []
    for path in sorted((raw / NAME / "data").glob("*.parquet")):
        for _, row in pd.read_parquet(path).iterrows():
            target = (
                raw / NAME / "audio" / path.name.split("-")[0] / row["system_id"] / f"{row['sample_id']}.flac"
            )
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(row["audio"]["bytes"])
            info = soundfile.info(target)
            metrics = {k: float(row[k]) for k in ("mos", "dnsmos_ovrl", "nisqa_mos", "utmos", "scoreq")}
            items.append(
                {
                    "audio_path": str(target),
                    "system_id": row["system_id"],
                    "sample_id": row["sample_id"],
                    "duration": info.frames / info.samplerate,
                    "metrics": metrics,
                }
            )
    items.sort(key=lambda item: item["sample_id"])
    out.mkdir(parents=True)
    with (out / "data.jsonl").open("w") as file:
        for item in items:
            file.write(json.dumps(item) + "\n")


def copy(raw: Path) -> None:
    """Bytes from parquet to files, by the fewest system calls."""
    import pyarrow.parquet as pq

    folders: set[str] = set()
    count = 0
    for path in sorted((raw / NAME / "data").glob("*.parquet")):
        for batch in pq.ParquetFile(path).iter_batches(batch_size=64, columns=["system_id", "audio"]):
            clips, systems = batch.column("audio").field("bytes"), batch.column("system_id").to_pylist()
            for i, system in enumerate(systems):
                folder = f"{raw}/{NAME}/copy/{path.name}/{system}"
                if folder not in folders:
                    Path(folder).mkdir(parents=True)
                    folders.add(folder)
                count += 1
                handle = os.open(f"{folder}/{count}.flac", os.O_WRONLY | os.O_CREAT, 0o644)
                os.write(handle, clips[i].as_buffer())
                os.close(handle)


def peak_mb() -> float:
    """Most memory this process held; getrusage would count that of the parent before exec too."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def run(way: str, raw: Path, jobs: int) -> tuple[float, float]:
    """(seconds, peak MB) of one way in a fresh process."""
    out = raw / "out"
    for folder in (out, raw / NAME / "audio", raw / NAME / "copy"):
        shutil.rmtree(folder, ignore_errors=True)
    os.sync()
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, __file__, "--way", way, "--raw", str(raw), "--jobs", str(jobs)], check=True
    )
    seconds = time.perf_counter() - start
    return seconds, float((raw / "peak").read_text())


def table(rows: int, clip_bytes: int, ways: list[str], repeats: int, jobs: int) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-data-") as name:
        raw = Path(name)
        make(raw / NAME, rows, clip_bytes)
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(repeats):
            for way in ways:
                found[way].append(run(way, raw, jobs))
        floor = statistics.median(s for s, _ in found["copy"]) if "copy" in found else None
        for way, runs in found.items():
            seconds = statistics.median(s for s, _ in runs)
            peak = max(p for _, p in runs)
            ratio = "" if floor is None else f"{seconds / floor:5.2f} x copy"
            print(
                f"{rows:>9,} rows x {clip_bytes / 1000:6.1f} kB  {way:8} {seconds:7.2f} s "
                f"{rows / seconds:9,.0f} rows/s {rows * clip_bytes / seconds / 1e6:7.0f} MB/s "
                f"{peak:7.0f} MB peak  {ratio}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", choices=["real", "growth"])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--way", choices=["ours", "pandas", "copy"], help=argparse.SUPPRESS)
    parser.add_argument("--raw", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        if options.way == "ours":
            ours(options.raw, options.raw / "out", options.jobs)
        elif options.way == "pandas":
            with_pandas(options.raw, options.raw / "out")
        else:
            copy(options.raw)
        (options.raw / "peak").write_text(str(peak_mb()))
        return
    ways = ["copy", "ours", "pandas"]
    if options.quick:
        table(2_000, 20_000, ways, 1, options.jobs)
        return
    if options.only != "growth":
        table(4_000, 200_000, ways, 3, options.jobs)  # clips as they are: 6.5 s, about 200 kB
    if options.only != "real":
        for rows in (10_000, 100_000, 1_000_000):  # tiny clips: all that is not the disk
            table(rows, 1_000, ways if rows < 1_000_000 else ["ours"], 1, options.jobs)


if __name__ == "__main__":
    main()
