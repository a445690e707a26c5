"""What each kind of degradation costs and does: audio-seconds per processor-second, PESQ and Distill-MOS by severity.

    python benchmarks/bench_degrade.py SPEECH_FOLDER NOISE_FOLDER [--models FOLDER] [--rir FOLDER] [--clips 6]

SPEECH_FOLDER, NOISE_FOLDER: as `sqa-cli data degrade` takes them (../shared/speech/speech, ../shared/speech/noise).
Clean clips of as many talkers, 4 s at 16 kHz; enhancers get noisy ones (10 dB), and their row says so. One thread,
processor time of this process and of the programs it starts. PESQ is wide band against the clean clip, at severities
0, 0.5 and 1. The last line is a corpus: clips of the preset `broad` rendered by one process, against a plain copy of
their audio (read, FLAC written).
"""

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import pesq
import soundfile as sf
import torch
from sqa_data.annotate.workers import load
from sqa_data.degrade.chain import degrade
from sqa_data.degrade.kind import Family, Step, Surroundings
from sqa_data.degrade.kinds import KINDS
from sqa_data.degrade.plan import DegradeConfig, make_plan, read_noises, read_rooms, read_speech
from sqa_data.degrade.render import clean_excerpt, render
from sqa_data.degrade.signal import Samples
from sqa_data.labellers import Signals, adapter_of

RATE, SECONDS = 16_000, 4.0
SEVERITIES = (0.0, 0.5, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("speech", type=Path)
    parser.add_argument("noise", type=Path)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--rir", type=Path)
    parser.add_argument("--clips", type=int, default=6)
    parser.add_argument("--corpus", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    sources = read_speech(options.speech)
    noises = read_noises(options.noise)
    rooms = read_rooms(options.rir) if options.rir else ()
    clean_ones = [source.path for source in sources if source.is_reference]
    picked = clean_ones[:: len(clean_ones) // options.clips][: options.clips]
    around = Surroundings(
        tuple(noises),
        tuple(path for path in clean_ones[::30] if path not in picked),
        tuple(rooms),
        options.models,
    )
    clips = [clean_excerpt(str(path), 0.0, SECONDS, RATE) for path in picked]
    teacher = load(adapter_of("distill_mos"), "cpu", fast=False)
    print("| kind | family | audio-s per CPU-s | PESQ at 0 / .5 / 1 | Distill-MOS at 0 / .5 / 1 |")
    print("|---|---|--:|---|---|")
    for name, kind in KINDS.items():
        if reason := kind.missing(around):
            print(f"| {name} | {kind.family} | left out: {reason} | | |")
            continue
        given = clips
        if kind.family is Family.ENHANCER:
            given = [degrade(x, [Step("coloured-noise", 2 / 3)], i).samples for i, x in enumerate(clips)]
        speed, scores = measure(name, given, clips, around, teacher)
        pesqs, moses = (" / ".join(f"{value:.2f}" for value in column) for column in scores.T)
        print(f"| {name} | {kind.family} | {speed:.0f} | {pesqs} | {moses} |", flush=True)
    corpus(options, sources, noises)


def measure(
    name: str, given: list[Samples], clean: list[Samples], around: Surroundings, teacher: object
) -> tuple[float, np.ndarray]:
    """Audio-seconds per processor-second, without the first clip, which loads weights; and (severities, 2) scores."""
    degrade(given[0], [Step(name, 0.5)], 0, around)
    spent, scores = 0.0, []
    for severity in SEVERITIES:
        found = []
        for seed, (x, reference) in enumerate(zip(given, clean, strict=True)):
            before = processor_s()
            y = degrade(x, [Step(name, severity)], seed, around).samples
            spent += processor_s() - before
            found.append((pesq.pesq(RATE, reference, y, "wb"), teacher_score(teacher, y)))
        scores.append(np.mean(found, axis=0))
    return len(SEVERITIES) * sum(len(x) for x in given) / RATE / spent, np.array(scores)


def teacher_score(teacher: object, samples: Samples) -> float:
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        sf.write(file.name, samples, RATE, subtype="FLOAT")
        return float(teacher(Signals(Path(file.name)))["distill_mos"])  # type: ignore[operator]


def processor_s() -> float:
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def corpus(options: argparse.Namespace, sources: list, noises: dict) -> None:  # type: ignore[type-arg]
    """A corpus as users make it, in one process, beside the copying that nobody can avoid."""
    plan = make_plan(sources, noises, DegradeConfig(options.corpus, 0, 0), models=options.models)
    with tempfile.TemporaryDirectory() as folder:
        begun, before = time.perf_counter(), processor_s()
        render(plan, Path(folder, "made"), seed=1)
        made, wall = processor_s() - before, time.perf_counter() - begun
        before = processor_s()
        for path in sorted(Path(folder, "made", "audio").glob("*.flac")):
            for copy in ("a.flac", "b.flac"):
                samples, rate = sf.read(path)
                sf.write(Path(folder, copy), samples, rate)
        copied = processor_s() - before
    seconds = sum(clip.seconds for clip in plan)
    print(
        f"\n{len(plan)} clips, {seconds:.0f} s of audio: {made:.1f} CPU-s ({wall:.1f} s), "
        f"{1000 * made / len(plan):.0f} ms a clip; copying them twice {copied:.1f} CPU-s"
    )


if __name__ == "__main__":
    main()
