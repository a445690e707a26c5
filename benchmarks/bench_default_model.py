"""The default model beside its teacher (Distill-MOS) and DNSMOS: the same clips, the same run, one core.

    python benchmarks/bench_default_model.py P835_FOLDER [--test TEST_MANIFEST] [--recordings FOLDER] [--model FOLDER]

P835_FOLDER: clips with human P.835 ratings and labels.csv (../shared/data/p835). TEST_MANIFEST: degraded speech of
unseen talkers and noises (recipes/default), labelled with Distill-MOS as `mos`. `--recordings`: any
folder of speech (../shared/data/speech_samples). Speed: processor time of one thread,
the models take turns, best of three rounds.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import soundfile as sf
import torch
from sqa_data import Utterance, read_manifest, write_manifest
from sqa_data.annotate.workers import load
from sqa_data.audio import AudioError, look
from sqa_data.degrade.kinds import HELD_OUT_KINDS
from sqa_data.labellers import Signals, adapter_of
from sqa_metrics import pair
from sqa_metrics.uncertainty import compare, with_uncertainty
from sqa_model import Predictor


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("p835", type=Path)
    parser.add_argument("--test", type=Path)
    parser.add_argument("--recordings", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--no-agreement", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    predictor = Predictor(arguments.model, device="cpu")
    count = sum(p.numel() for p in predictor.model.parameters())
    print(f"{count / 1e6:.2f} M parameters, {predictor.dtype}")
    if not arguments.no_agreement:
        rate_p835(predictor, arguments.p835)
    if arguments.test:
        rate_test(predictor, arguments.test)
    if arguments.recordings:
        rate_recordings(predictor, arguments.recordings)
    if not arguments.no_speed:
        speed(predictor, sorted(arguments.p835.glob("*.flac")))
        cold_start(sorted(arguments.p835.glob("*.flac"))[0])


def scores_of(predictor: Predictor, paths: list[str]) -> list[dict[str, float]]:
    found: list[dict[str, float]] = predictor(paths)
    return found


def rate_p835(predictor: Predictor, folder: Path) -> None:
    """Agreement with human ratings, with intervals, and the significance of the differences."""
    with (folder / "labels.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    paths = [str(folder / row["path"]) for row in table]
    ours = scores_of(predictor, paths)
    teacher, dnsmos = (load(adapter_of(name), "cpu", False) for name in ("distill_mos", "dnsmos_ovrl"))
    predicted = {
        "default": [row["mos"] for row in ours],
        "distill_mos": [teacher(Signals(Path(p)))["distill_mos"] for p in paths],
        "dnsmos_ovrl": [dnsmos(Signals(Path(p)))["dnsmos_ovrl"] for p in paths],
    }
    with tempfile.TemporaryDirectory() as name:
        for which, values in [("ref", [float(row["MOS_OVRL"]) for row in table]), *predicted.items()]:
            rows = [
                Utterance(
                    path,
                    Path(path).stem,
                    look(path).duration_s,
                    {"mos": value},
                    system_id=row["condition_num"],
                )
                for path, row, value in zip(paths, table, values, strict=True)
            ]
            write_manifest(Path(name) / f"{which}.jsonl", rows)
        paired = pair(f"{name}/ref.jsonl", {which: f"{name}/{which}.jsonl" for which in predicted})
        print("\nHuman P.835 overall ratings, 78 clips, 13 conditions (95 % intervals)")
        for report in with_uncertainty(paired):
            for level, figures in (("utterance", report.utterance), ("system", report.system)):
                parts = [
                    f"{m.upper()} {figures[m]:.3f} [{report.intervals[level][m].text()}]"
                    for m in ("lcc", "srcc", "mse")
                ]
                print(f"  {report.name:12} {level:9} {'  '.join(parts)}")
        for found in compare(paired):
            if found.metric == "lcc" and "default" in (found.a, found.b):
                print(
                    f"  {found.a} - {found.b}, {found.level} LCC: {found.difference:+.3f} "
                    f"[{found.interval.text()}], p = {found.p:.3f} (Holm {found.p_holm:.3f})"
                )


def rate_test(predictor: Predictor, manifest: Path) -> None:
    """Agreement with the teacher on unseen talkers and noises; the held-out kinds apart; coverage of `mos_std`."""
    rows = [row for row in read_manifest(manifest) if "mos" in row.metrics]
    found = scores_of(predictor, [row.audio_path for row in rows])
    unseen = np.array([any(s["kind"] in HELD_OUT_KINDS for s in row.extra["degradation"]) for row in rows])
    print(f"\nAgreement with the metrics it learned, {len(rows)} clips of unseen talkers and noises")
    for head in predictor.model.config.names:
        if head.endswith("_std"):
            continue
        has = np.array([head in row.metrics for row in rows])
        for name, part in (("seen kinds", has & ~unseen), ("held-out kinds", has & unseen)):
            if part.sum() < 20:
                continue
            one = np.array([rows[i].metrics[head] for i in np.flatnonzero(part)])
            other = np.array([found[i][head] for i in np.flatnonzero(part)])
            error = np.sqrt(np.mean((one - other) ** 2))
            print(
                f"  {head:12} {name:15} {part.sum():5} clips  LCC {np.corrcoef(one, other)[0, 1]:.3f}  RMSE {error:.3f}"
            )
    truth = np.array([row.metrics["mos"] for row in rows])
    mean, std = (np.array([row[k] for row in found]) for k in ("mos", "mos_std"))
    for name, part in (("seen kinds", ~unseen), ("held-out kinds", unseen)):
        inside = [np.mean(np.abs(mean - truth)[part] <= z * std[part]) for z in (0.994, 1.960)]
        print(
            f"  mos_std      {name:15} coverage: 68 % interval {inside[0]:.1%}, 95 % interval {inside[1]:.1%}"
        )


def rate_recordings(predictor: Predictor, folder: Path) -> None:
    """Agreement with the teacher on any recordings of a second or more; what is not audio is passed over."""
    teacher = load(adapter_of("distill_mos"), "cpu", False)
    ours, theirs = [], []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            if look(path).duration_s < 1:
                continue
        except AudioError:
            continue
        ours.append(scores_of(predictor, [str(path)])[0]["mos"])
        theirs.append(teacher(Signals(path))["distill_mos"])
    error = np.sqrt(np.mean((np.array(ours) - theirs) ** 2))
    lcc = np.corrcoef(ours, theirs)[0, 1]
    print(
        f"\nAgreement with the teacher on {len(ours)} recordings of {folder}: LCC {lcc:.3f}, RMSE {error:.3f}"
    )


def speed(predictor: Predictor, paths: list[Path]) -> None:
    """Audio-seconds per processor second of one thread; best of three rounds, in which the models take turns."""
    waves = [Signals(path).samples(16000) for path in paths[:30]]
    seconds = sum(map(len, waves)) / 16000
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.wav" for i in range(len(waves))]
        for file, wave in zip(files, waves, strict=True):
            sf.write(file, wave, 16000)
        teacher, dnsmos = (load(adapter_of(name), "cpu", False) for name in ("distill_mos", "dnsmos_ovrl"))
        runs = {
            "default, in batches": lambda: predictor([str(f) for f in files]),
            "default, one by one": lambda: [predictor(str(f)) for f in files],
            "distill_mos": lambda: [teacher(Signals(f)) for f in files],
            "dnsmos_ovrl": lambda: [dnsmos(Signals(f)) for f in files],
        }
        best = dict.fromkeys(runs, float("inf"))
        for _ in range(3):
            for name, run in runs.items():
                start = time.process_time()
                run()
                best[name] = min(best[name], time.process_time() - start)
    print("\nAudio-seconds per processor second, one thread, reading included")
    for name, taken in best.items():
        print(f"  {name:22} {seconds / taken:8.0f}   ({best['distill_mos'] / taken:.1f} x the teacher)")


def cold_start(path: Path) -> None:
    """A new process: import torch alone, and from nothing to the first score."""
    commands = {
        "python -c 'import torch'": "import torch",
        "first score": f"import sqa_model; print(sqa_model.predict({str(path)!r}, device='cpu')['mos'])",
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(3):
        for name, code in commands.items():
            start = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
            times[name].append(time.perf_counter() - start)
    best = {name: min(values) for name, values in times.items()}
    ratio = best["first score"] / best["python -c 'import torch'"]
    print(
        "\nCold start, best of 3: "
        + ", ".join(f"{n} {t:.2f} s" for n, t in best.items())
        + f"; {ratio:.2f} x"
    )


if __name__ == "__main__":
    main()
