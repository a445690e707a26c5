"""Prediction against the reference system's own way, in one run, with the same random weights.

    OMP_NUM_THREADS=1 python benchmarks/bench_predict.py            # everything, about 3 minutes
    OMP_NUM_THREADS=1 python benchmarks/bench_predict.py forward    # one of: forward parts reading cold tiny

Times are CPU seconds of this process (all its threads), the least of several interleaved rounds, so that a busy machine
hardly matters; wall times are for `cold` and `reading`. The rival is transformers' WavLM in eager fp32 with all 13
states stacked: clips padded to the longest ("list"), and one by one ("single").
"""

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from published import publish, reference
from sqa_model import ModelConfig, MosModel, Predictor, load, save
from sqa_model.network.logmel import LogMelConfig

CPU = torch.device("cpu")
GFLOP = {"front end": 4.91, "transformer": 8.55 + 0.47 + 0.96, "head": 3.36}  # per audio-second, wavlm-base


def clips(count: int, low: float = 2.0, high: float = 12.0) -> list[Tensor]:
    """Noise of `low` to `high` seconds."""
    generator = torch.Generator().manual_seed(0)
    seconds = torch.linspace(low, high, count)[torch.randperm(count, generator=generator)]
    return [torch.randn(int(16_000 * s), generator=generator) * 0.1 for s in seconds]


def batches(waves: Sequence[Tensor], seconds: float = 20.0) -> list[list[Tensor]]:
    """As the predictor packs them."""
    out: list[list[Tensor]] = [[]]
    for wave in waves:
        if sum(map(len, out[-1])) >= seconds * 16_000:
            out.append([])
        out[-1].append(wave)
    return out


def least(functions: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """CPU seconds of each function, the least of some rounds, in turns."""
    times: dict[str, float] = {}
    for _ in range(rounds):
        for name, function in functions.items():
            began = time.process_time()
            function()
            times[name] = min(times.get(name, 1e9), time.process_time() - began)
    return times


def peak(dtype: torch.dtype) -> float:
    """GFLOP/s of a large matrix product in this number format."""
    x, w = torch.randn(1024, 768).to(dtype), torch.randn(3072, 768).to(dtype)
    times = least({"mm": lambda: [torch.nn.functional.linear(x, w) for _ in range(10)]}, 10)
    return 10 * 2 * 1024 * 768 * 3072 / times["mm"] / 1e9


def checkpoint(folder: str) -> tuple[torch.nn.Module, MosModel]:
    """The reference with random weights, and ours with the same."""
    theirs = reference()
    return theirs, load(publish(theirs, Path(folder)))


@torch.inference_mode()
def forward(count: int, rounds: int) -> None:
    """All of a forward pass: time, ratio, difference, memory."""
    waves = clips(count)
    seconds = sum(map(len, waves)) / 16_000
    with tempfile.TemporaryDirectory() as folder:
        theirs, ours = checkpoint(folder)
        exact, rounded = (ours.inference_copy(CPU, d) for d in (torch.float32, torch.bfloat16))
        padded = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
        results: dict[str, Tensor] = {}

        def note(name: str, scores: list[Tensor]) -> None:
            results[name] = torch.cat(scores)

        runs: dict[str, Callable[[], object]] = {
            "reference, list": lambda: note("reference, list", [theirs(padded, [len(w) for w in waves])]),
            "reference, single": lambda: note(
                "reference, single", [theirs(w[None], [len(w)]) for w in waves]
            ),
            "ours, float32": lambda: note("ours, float32", [exact(b) for b in batches(waves)]),
            "ours, bfloat16": lambda: note("ours, bfloat16", [rounded(b) for b in batches(waves)]),
        }
        times = least(runs, rounds)
        print(f"\n{count} clips of 2 to 12 s, {seconds:.0f} s of audio, {torch.get_num_threads()} threads")
        print(f"{'':18} audio-s/cpu-s  x list  x single  max diff  mean diff  peak MB over weights")
        bounded = slice(0, 5)  # the MOS-like heads
        for name, cpu in times.items():
            diff = (results[name] - results["reference, single"])[:, bounded].abs()
            print(
                f"{name:18} {seconds / cpu:13.2f} {times['reference, list'] / cpu:7.2f} "
                f"{times['reference, single'] / cpu:9.2f} {diff.max():9.1e} {diff.mean():10.1e} {memory(name):8.0f}"
            )


def memory(name: str) -> float:
    """Peak MB above what the loaded model takes, measured in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--memory-of", name], capture_output=True, text=True, check=True
    )
    return float(done.stdout.splitlines()[-1])


@torch.inference_mode()
def memory_of(name: str) -> None:
    """Print what `memory` asks for."""
    waves = clips(12)
    with tempfile.TemporaryDirectory() as folder:
        theirs, ours = checkpoint(folder)
        model = ours.inference_copy(CPU, torch.bfloat16 if "bfloat16" in name else torch.float32)
        short = torch.zeros(400)
        theirs(short[None], [400]), model([short])  # touches all weights
        before = int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6
        Path("/proc/self/clear_refs").write_text("5")  # resets the peak
        if "list" in name:
            theirs(torch.nn.utils.rnn.pad_sequence(waves, batch_first=True), [len(w) for w in waves])
        elif "single" in name:
            [theirs(w[None], [len(w)]) for w in waves]
        else:
            [model(b) for b in batches(waves)]
        lines = Path("/proc/self/status").read_text().splitlines()
        high = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1e3
        print(high - before)


@torch.inference_mode()
def parts(rounds: int) -> None:
    """Where the time goes, and how far it is from the processor's matrix peak."""
    waves = batches(clips(12))[0]
    seconds = sum(map(len, waves)) / 16_000
    torch.manual_seed(0)
    model = MosModel(ModelConfig("wavlm-base-plus"))
    for dtype in (torch.float32, torch.bfloat16):
        m = model.inference_copy(CPU, dtype)
        wavlm, lengths = m.backbone, m.backbone.lengths([len(w) for w in waves])
        front = torch.cat([wavlm.convolutions(w, n) for w, n in zip(waves, lengths, strict=True)])
        x = wavlm.projection(wavlm.norm(front))
        bias = wavlm.relative_bias(max(lengths)).to(dtype)

        def transformer(wavlm=wavlm, x=x, bias=bias, lengths=lengths) -> None:  # type: ignore[no-untyped-def]
            y = x + wavlm.position(x, lengths)
            for layer in wavlm.layers:
                y = layer(y, lengths, bias)

        def front_end(wavlm=wavlm, lengths=lengths) -> None:  # type: ignore[no-untyped-def]
            [wavlm.convolutions(w, n) for w, n in zip(waves, lengths, strict=True)]

        times = least(
            {
                "front end": front_end,
                "transformer": transformer,
                "head": lambda m=m, x=x, lengths=lengths: m._score(x, lengths),  # type: ignore[misc]
            },
            rounds,
        )
        top = peak(dtype)
        print(
            f"\n{dtype}: matrix peak {top:.0f} GFLOP/s, so at most {top / sum(GFLOP.values()):.1f} audio-s/s"
        )
        print(f"{'':12} ms per audio-s  share  of peak")
        for name, cpu in [*times.items(), ("all", sum(times.values()))]:
            work = GFLOP.get(name, sum(GFLOP.values())) * seconds
            share = cpu / sum(times.values())
            print(f"{name:12} {1000 * cpu / seconds:14.1f} {share:6.0%} {work / cpu / 1e9 / top * 1e9:8.0%}")


def tiny(rounds: int) -> None:
    """The built-in log-mel encoder at the size of a default model."""
    waves = clips(24)
    seconds = sum(map(len, waves)) / 16_000
    config = ModelConfig(LogMelConfig(), dim=160, layers=1, attention_heads=4, feedforward=320)
    model = MosModel(config)
    size = sum(p.numel() for p in model.parameters()) / 1e6
    with torch.inference_mode():
        both = {d: model.inference_copy(CPU, d) for d in (torch.float32, torch.bfloat16)}
        times = least({str(d): lambda m=m: [m(b) for b in batches(waves)] for d, m in both.items()}, rounds)
    for name, cpu in times.items():
        print(
            f"\nlog-mel encoder, {size:.2f} M parameters, {name}: {seconds / cpu:.0f} audio-s/cpu-s", end=""
        )
    print()


def reading() -> None:
    """Files per second through reading, resampling and a tiny model: is the model waiting for the disk?"""
    config = ModelConfig(LogMelConfig(dim=16, blocks=1), dim=16, layers=0, attention_heads=1, feedforward=1)
    model = MosModel(config)
    rng = np.random.default_rng(0)
    wave = rng.standard_normal(round(6.9 * 48_000)) * 0.1
    print(f"\n{'6.9 s files':14} {'1 worker':>16} {'2 workers':>16}")
    with tempfile.TemporaryDirectory() as folder:
        for kind, rate in (("wav", 16_000), ("wav", 48_000), ("flac", 48_000), ("ogg", 48_000)):
            path = Path(folder) / f"x.{kind}"
            soundfile.write(path, wave[: round(6.9 * rate)], rate)
            said = []
            for workers in (1, 2):
                predictor = Predictor(model, workers=workers)
                list(predictor.stream([path] * 20))
                best = 1e9
                for _ in range(3):
                    began = time.perf_counter()
                    list(predictor.stream([path] * 100))
                    best = min(best, time.perf_counter() - began)
                said.append(f"{100 / best:5.0f} files/s" + f" {690 / best:6.0f}x")
            print(f"{kind + str(rate // 1000):14} {said[0]:>16} {said[1]:>16}")


def cold() -> None:
    """From nothing to the first score, wall seconds, the least of three."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        soundfile.write(folder / "x.wav", np.random.default_rng(0).standard_normal(64_000) * 0.1, 16_000)
        config = ModelConfig(LogMelConfig(), dim=160, layers=1, attention_heads=4, feedforward=320)
        save(MosModel(config), folder / "tiny", dtype="float16")
        publish(reference(), folder / "published")
        save(load(folder / "published"), folder / "ours")
        ours = "import sqa_model; print(sqa_model.predict({!r}, {!r}))"
        theirs = (
            "import sys; sys.path.insert(0, 'tests'); import torch, soundfile, published\n"
            "m = published.Reference(6).eval()\n"
            "m.load_state_dict(torch.load({!r}, weights_only=True)['model'])\n"
            "x = torch.from_numpy(soundfile.read({!r}, dtype='float32')[0])\n"
            "with torch.inference_mode(): print(m(x[None], [len(x)]))"
        )
        x = str(folder / "x.wav")
        programs = {
            "import torch": "import torch",
            "tiny model, first score": ours.format(x, str(folder / "tiny")),
            "WavLM, safetensors": ours.format(x, str(folder / "ours")),
            "WavLM, model.pt": ours.format(x, str(folder / "published")),
            "reference": theirs.format(str(folder / "published/model.pt"), x),
            "sqa-cli predict --help": "from sqa_cli.main import main; main(['predict', '--help'])",
        }
        print("\nfrom a cold start, wall seconds")
        for title, program in programs.items():
            best = 1e9
            for _ in range(3):
                began = time.perf_counter()
                subprocess.run(
                    [sys.executable, "-W", "ignore", "-c", program], check=True, capture_output=True
                )
                best = min(best, time.perf_counter() - began)
            print(f"{title:26} {best:6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", choices=[[], "forward", "parts", "tiny", "reading", "cold"])
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    if args.memory_of:
        memory_of(args.memory_of)
        return
    what = args.what or ["forward", "parts", "tiny", "reading", "cold"]
    if "forward" in what:
        forward(args.clips, args.rounds)
    if "parts" in what:
        parts(args.rounds)
    if "tiny" in what:
        tiny(args.rounds)
    if "reading" in what:
        reading()
    if "cold" in what:
        cold()


if __name__ == "__main__":
    main()
