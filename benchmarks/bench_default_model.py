"""The default model, or any other, against the lines that it must hold: one table, each line with its goal.

    python benchmarks/bench_default_model.py --clips FOLDER --speech FOLDER --noise FOLDER [--models FOLDER]
        [--recordings FOLDER] [--model FOLDER] [--cache FILE] [--json FILE] [--quick] [--no-speed] [--heads]

--clips: folders clean, neural, enhanced, broad and ladders that `sqa-cli data degrade --seed 2` made of the speech, the
noise and the models (recipes/default); only their test splits are read: talkers, noises and some kinds never trained
on. --recordings: any folder of speech (../shared/data/speech_samples). --cache keeps what the teacher (Distill-MOS,
each clip at four delays) said, and beside it, in FILE.renders, what is costly to render; both are made once.

A line whose clips are absent says so. --parts chooses some of the parts; --quick hears a third of the clips or fewer.
--listeners FOLDER adds the human P.835 ratings (../shared/data/p835): not to be looked at while a model is made.
Everything runs in one thread.
"""

import argparse
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import sqa_model
import torch
from default_model import agreement, cost, heads, invariance, ladders, listeners
from default_model.context import Context
from default_model.table import Line, markdown, write_json
from default_model.teacher import Teacher
from sqa_model import Predictor
from sqa_model.checkpoint.locate import edition

Part = Callable[[], Iterable[Line]]


def main() -> None:
    options = parsed()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=sqa_model.InputWarning)
    predictor = Predictor(options.model, device="cpu")
    context = Context(
        predictor,
        Teacher(options.cache),
        options.clips,
        tuple(options.speech),
        tuple(options.noise),
        options.models,
        options.recordings,
        options.cache.with_suffix(".renders") if options.cache else None,
        *((14, min(30, options.cap)) if options.quick else (40, options.cap)),
    )
    parts = parts_of(context, options)
    if unknown := set(options.parts or ()) - set(parts):
        sys.exit(f"no such part: {', '.join(unknown)}; known: {', '.join(parts)}")
    lines: list[Line] = []
    for name, part in parts.items():
        if options.parts and name not in options.parts:
            continue
        start = time.perf_counter()
        for line in part():
            lines.append(line)
            print(f"{line.what}: {line.value}", file=sys.stderr, flush=True)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    model = options.model or edition()
    print(f"{model}: {cost.parameters(predictor)}, fingerprint {predictor.fingerprint}\n")
    print(markdown(lines))
    if options.json:
        write_json(options.json, {"folder": str(model), "fingerprint": str(predictor.fingerprint)}, lines)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, help="folder of weights; default: the packaged one")
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--speech", type=Path, action="append", required=True)
    parser.add_argument("--noise", type=Path, action="append", required=True)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--recordings", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--cap", type=int, default=150, help="clips of a set that the teacher hears, at most")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--parts", type=lambda text: text.split(","))
    parser.add_argument("--no-speed", action="store_true")
    parser.add_argument("--heads", action="store_true")
    parser.add_argument("--listeners", type=Path, metavar="P835_FOLDER")
    parser.add_argument("--old", type=Path, help="weights that the listeners' agreement is compared with")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


def parts_of(context: Context, options: argparse.Namespace) -> dict[str, Part]:
    """What is measured, in the order of the table."""
    sets = agreement.Sets(context)
    parts: dict[str, Part] = {
        "silence": lambda: invariance.silence(context),
        "crops": lambda: invariance.crops(context),
        "ladders": lambda: ladders.measure(context),
        "agreement": lambda: agreement.measure(sets),
        "talkers": lambda: agreement.talkers(sets),
        "uncertainty": lambda: agreement.uncertainty(sets),
        "same": lambda: invariance.same(context),
        "size": lambda: cost.size(options.model or edition()),
    }
    if not options.no_speed:
        parts["speed"] = lambda: cost.speed(context)
        parts["cold start"] = lambda: cost.cold_start(context, options.model)
    if options.heads:
        parts["heads"] = lambda: heads.measure(context)
    if options.listeners:
        parts["listeners"] = lambda: listeners.measure(context.predictor, options.listeners, options.old)
    return parts


if __name__ == "__main__":
    main()
