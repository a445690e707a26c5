"""`data annotate` beside each metric's own package: processor and wall time on the same clips, turn by turn.

python benchmarks/bench_annotate.py FOLDER_OF_CLIPS [--clips N]
"""

import argparse
import contextlib
import io
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import soundfile as sf
from sqa_data.annotate.workers import load
from sqa_data.audio import look
from sqa_data.labellers import Signals, adapter_of


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=12)
    arguments = parser.parse_args()
    paths = sorted(p for p in arguments.folder.iterdir() if p.suffix in (".wav", ".flac"))[: arguments.clips]
    seconds = sum(look(path).duration_s for path in paths)
    print(f"{len(paths)} clips, {seconds:.0f} s; audio-seconds per second, ours / the package's own call")
    for label, rival in (("distill_mos", distill_mos()), ("dnsmos_ovrl", dnsmos()), ("plcmos", plcmos())):
        ours = load(adapter_of(label), "cpu", False)
        calls: dict[str, Callable[[Path], object]] = {
            "ours": lambda p, f=ours: f(Signals(p)),
            "package": rival,
        }
        if label == "distill_mos":
            fast = load(adapter_of(label), "cpu", True)
            calls["--fast"] = lambda p, f=fast: f(Signals(p))
        spent = {name: [0.0, 0.0] for name in calls}
        for call in calls.values():
            call(paths[0])
        for path in paths:
            for name, call in calls.items():
                start = time.perf_counter(), time.process_time()
                call(path)
                spent[name][0] += time.perf_counter() - start[0]
                spent[name][1] += time.process_time() - start[1]
        for name, (wall, cpu) in spent.items():
            ratio = spent["package"][1] / cpu
            print(
                f"  {label:12} {name:8} wall {seconds / wall:7.1f}  processor {seconds / cpu:7.1f}  ({ratio:.2f} x)"
            )


def distill_mos() -> Callable[[Path], object]:
    import distillmos
    import torch
    import torchaudio

    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()):
        model = distillmos.ConvTransformerSQAModel().eval()

    def call(path: Path) -> object:
        samples, rate = sf.read(path, dtype="float32")
        wave = torch.from_numpy(samples)[None]
        wave = wave if rate == 16000 else torchaudio.transforms.Resample(rate, 16000)(wave)
        with torch.no_grad():
            return model(wave).item()

    return call


def dnsmos() -> Callable[[Path], object]:
    from speechmos import dnsmos as package

    return lambda path: package.run(str(path), 16000)


def plcmos() -> Callable[[Path], object]:
    from speechmos import plcmos as package

    return lambda path: package.run(str(path), 16000)


if __name__ == "__main__":
    main()
