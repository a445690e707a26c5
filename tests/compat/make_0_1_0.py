"""Writes what version 0.1.0 (b7c7cae) leaves on a disk; run with that commit's environment: `make_0_1_0.py FOLDER`."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile
from sqa_model import load_config, train

MODEL = ["backbone=logmel", "sizes={mels=8,dim=8,blocks=1,stride=4}", 'heads=["mos"]', "dim=8", "layers=1"]
MODEL += ["attention_heads=2", "feedforward=16", "dropout=0.0"]
CONFIG = [f"model.{field}" for field in MODEL]
CONFIG += [
    "epochs=3",
    "precision=fp32",
    "batch.seconds=1",
    "data.max_seconds=1",
    "optim.unfreeze=-1",
    "optim.warmup=1",
]
CONFIG += ["optim.lr=1e-3", "run.threads=1", "run.device=cpu", "eval.every=1"]
CONFIG += ['data.train=["data.jsonl"]', 'data.dev=["data.jsonl"]']


def main(out: Path) -> None:
    out.mkdir(parents=True)
    os.chdir(out)
    cli = [sys.executable, "-m", "sqa_cli"]

    # eight clips of a quarter of a second, and a clean reference for each
    rng = np.random.default_rng(0)
    Path("clips").mkdir()
    Path("clean").mkdir()
    rows = []
    for k in range(8):
        tone = 0.3 * np.sin(2 * np.pi * (200 + 40 * k) * np.arange(4000) / 16000)
        soundfile.write(f"clean/c{k}.flac", tone, 16000, subtype="PCM_16")
        soundfile.write(
            f"clips/c{k}.flac", tone + 0.02 * k * rng.standard_normal(4000), 16000, subtype="PCM_16"
        )
        rows.append(
            {
                "audio_path": f"clips/c{k}.flac",
                "system_id": f"s{k % 4}",
                "sample_id": f"c{k}",
                "duration": 0.25,
                "corpus": "tiny",
                "metrics": {"mos": 5 - 0.5 * k},
                "votes": 4,
                "note": "kept",
            }
        )
    Path("data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    # a training run of six updates: one whole, one stopped by Ctrl-C after three
    config = load_config(overrides=CONFIG)
    train(config, Path("whole"))

    def stop(at: object) -> None:
        if at.update == 3:
            os.kill(os.getpid(), signal.SIGINT)

    assert not train(config, Path("stopped"), watch=stop).finished

    # a results file of which half is there, the last line torn
    options = ["--model", "whole/best", "--dtype", "float32", "--device", "cpu"]
    predict = [*cli, "predict", "data.jsonl", *options]
    subprocess.run([*predict, "--out", "whole.jsonl"], check=True)
    lines = Path("whole.jsonl").read_text().splitlines(keepends=True)
    Path("half.jsonl").write_text("".join(lines[:4]) + lines[4][:30])

    # a label log of which half is there
    annotate = [*cli, "data", "annotate", "data.jsonl", "-m", "lsd", "--reference", "clean", "--relative"]
    subprocess.run([*annotate, "-o", "labelled.jsonl"], check=True)
    log = Path("labelled.jsonl.log")
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:4]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
