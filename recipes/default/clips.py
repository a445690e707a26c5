"""Render what the default model learns from, by the kinds of `sqa-cli data degrade`, a folder for each purpose.

    python recipes/default/clips.py CLIPS_FOLDER --speech FOLDER ... --noise FOLDER ... [--models FOLDER] [--jobs 2]

What was rendered is not rendered again. Kinds that cannot run here (weights under --models, programs) are left out.
"""

import argparse
import dataclasses
from pathlib import Path

from sqa_data.degrade.kind import Surroundings
from sqa_data.degrade.kinds import KINDS
from sqa_data.degrade.plan import DegradeConfig, make_plan, read_noises, read_speech
from sqa_data.degrade.render import render

SEED = 2
# the teacher hears 7.68 s at once, and judges shorter clips with more noise
BASE = DegradeConfig(seed=SEED, min_seconds=6.0, max_seconds=7.0)
CLEAN = ("level",)
NEURAL = "lyra tplcnet world griffin-lim phase-damage codec2 opus reverb coloured-noise noise"
LADDERS = (
    "noise room-noise coloured-noise lowpass low-rate quantise clipping opus mp3 aac amr-wb amr-nb lc3 speex-wb g726 "
    "codec2 lyra vorbis loss-zero mnru reverb"
)
RATES = (
    "quantise aac amr-nb amr-wb codec2 vorbis"  # once more: their ladders are the hardest to keep in order
)
ENHANCED = (
    "noise room-noise coloured-noise wind competing-talker subtraction wiener logmmse neural-mask gtcrn dtln speexdsp "
    "rnnoise deepfilternet webrtc-ns noisereduce afftdn anlmdn"
)
UNSEEN = "babble gate gsm loss-pitch coloured-noise reverb"  # by development talkers, for `mos_std`
FOLDERS = {
    "clean": dataclasses.replace(BASE, kinds=CLEAN, max_steps=1, train=3000, dev=100, test=400),
    "neural": dataclasses.replace(
        BASE, kinds=tuple(NEURAL.split()), max_steps=2, train=2000, dev=120, test=240
    ),
    "lyra": dataclasses.replace(BASE, kinds=("lyra",), max_steps=1, train=1000, dev=60, test=120),
    "ladders": dataclasses.replace(
        BASE, kinds=tuple(LADDERS.split()), max_steps=1, rungs=5, train=320, dev=30, test=100
    ),
    "rates": dataclasses.replace(
        BASE, kinds=tuple(RATES.split()), max_steps=1, rungs=5, train=300, dev=20, test=20
    ),
    "enhanced": dataclasses.replace(
        BASE, kinds=tuple(ENHANCED.split()), max_steps=2, train=1600, dev=120, test=240
    ),
    "unseen": dataclasses.replace(
        BASE, kinds=tuple(UNSEEN.split()), held_out_kinds=(), train=0, dev=240, test=0
    ),
    "broad": dataclasses.replace(BASE, train=4500, dev=400, test=600),
}


def main() -> None:
    """Draw and render every folder."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--speech", type=Path, action="append", required=True)
    parser.add_argument("--noise", type=Path, action="append", required=True)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--test-languages", default="", help="kept out of training, such as pt,sv")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    sources = [source for folder in options.speech for source in read_speech(folder)]
    noises = {path: label for folder in options.noise for path, label in read_noises(folder).items()}
    languages = tuple(filter(None, options.test_languages.split(",")))
    everybody = Surroundings(tuple(noises), tuple(source.path for source in sources), (), options.models)
    for name, config in FOLDERS.items():
        absent = [kind for kind in config.kinds if KINDS[kind].missing(everybody)]
        if absent:
            print(f"{name}: left out, for want of weights or programs: {', '.join(absent)}", flush=True)
        kinds = tuple(kind for kind in config.kinds if kind not in absent)
        if config.kinds and not kinds:
            continue
        config = dataclasses.replace(config, kinds=kinds, test_languages=languages)
        plan = make_plan(sources, noises, config, models=options.models)
        render(plan, options.out / name, config.seed, jobs=options.jobs)
        print(f"{name}: {len(plan)} clips, {sum(clip.seconds for clip in plan) / 3600:.1f} h", flush=True)


if __name__ == "__main__":
    main()
