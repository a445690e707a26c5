"""What a score costs: audio-seconds per processor second beside the teacher's, the first score of a process, bytes."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import soundfile as sf
from sqa_data.annotate.workers import load
from sqa_data.labellers import Signals, adapter_of
from sqa_model import Predictor

from default_model.context import Context
from default_model.table import Line, judged
from default_model.teacher import RATE

ROUNDS, CLIP_S, MOST_MB = 3, 5.0, 6.0
TIMES, START = 28, 1.15  # the teacher's speed; `import torch`'s time


def size(model: Path) -> Iterator[Line]:
    """Bytes of the weights."""
    mb = sum(path.stat().st_size for path in model.glob("*.safetensors")) / 1e6
    yield judged("size of the weights", "{mb:.2f} MB", "≤ 6 MB", lambda mb: mb <= MOST_MB, mb=mb)


def speed(context: Context) -> Iterator[Line]:
    """One thread, processor time; best of three rounds, in which the models take turns."""
    waves = context.excerpts(30, CLIP_S)
    seconds = sum(map(len, waves)) / RATE
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{i}.wav" for i in range(len(waves))]
        for file, wave in zip(files, waves, strict=True):
            sf.write(file, wave, RATE)
        teacher = load(adapter_of("distill_mos"), "cpu", False)
        runs: dict[str, Callable[[], object]] = {
            "batches": lambda: context.predictor([str(f) for f in files]),
            "single": lambda: [context.predictor(str(f)) for f in files],
            "teacher": lambda: [teacher(Signals(f)) for f in files],
        }
        best = dict.fromkeys(runs, float("inf"))
        for _ in range(ROUNDS):
            for name, run in runs.items():
                start = time.process_time()
                run()
                best[name] = min(best[name], time.process_time() - start)
    yield judged(
        "audio-s per processor second, one thread, reading included",
        "{batches:.0f} in batches, {single:.0f} one by one, teacher {teacher:.0f}: {times:.1f} ×",
        f"≥ {TIMES} × the teacher",
        lambda times, **_: times >= TIMES,
        times=best["teacher"] / best["batches"],
        **{name: seconds / taken for name, taken in best.items()},
    )


def cold_start(context: Context, model: Path | None) -> Iterator[Line]:
    """A new process: import torch alone, and from nothing to the first score."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        sf.write(path, context.excerpts(1, CLIP_S)[0], RATE)
        name = repr(str(model)) if model else None
        first = f"import sqa_model; sqa_model.predict({str(path)!r}, {name}, device='cpu')"
        commands = {"torch": "import torch", "first": first}
        best = dict.fromkeys(commands, float("inf"))
        for _ in range(ROUNDS):
            for which, code in commands.items():
                start = time.perf_counter()
                subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
                best[which] = min(best[which], time.perf_counter() - start)
    yield judged(
        "cold start, best of 3",
        "{first:.2f} s to the first score, import torch {torch:.2f} s: {times:.2f} ×",
        f"≤ {START:g} × import torch",
        lambda times, **_: times <= START,
        times=best["first"] / best["torch"],
        **best,
    )


def parameters(predictor: Predictor) -> str:
    """How large the model is and how it computes, in words."""
    count = sum(p.numel() for p in predictor.models[0].parameters())
    return f"{count / 1e6:.2f} M parameters, {predictor.dtype}"
