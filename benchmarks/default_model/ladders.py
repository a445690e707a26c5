"""Ladders of one clip from bad to good: how often a score drops by more than .1 where quality rises by one step.

Two figures of each ladder: the share of clips with such a drop anywhere between neighbouring steps, which is what the
goal is about, and the share of the steps themselves.
"""

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from sqa_data.degrade.chain import degrade
from sqa_data.degrade.kind import Step, Surroundings
from sqa_data.degrade.kinds import KINDS
from sqa_data.degrade.kinds.codec import amr, codec2, lc3, opus, speex
from sqa_data.degrade.kinds.codec.frames import Codec, Coder, through
from sqa_data.degrade.signal import Samples

from default_model.context import Context
from default_model.table import Line, judged
from default_model.teacher import RATE

DROP, GOAL, CLIP_S = 0.1, 0.05, 3.0
SNRS_DB = tuple(range(-5, 31, 5))
CUTOFFS_HZ = (2000, 3400, 5000)  # and 8 kHz, all of the band
BITS = tuple(range(6, 17, 2))
CODERS: dict[str, Coder] = {
    "opus": opus.CODERS["opus"],
    "amr-nb": amr.CODERS["amr-nb"],
    "amr-wb": amr.CODERS["amr-wb"],
    "lc3": lc3.CODERS["lc3"],
    "speex-nb": speex.CODERS["speex-nb"],
    "speex-wb": speex.CODERS["speex-wb"],
}
# kinds whose bit rate follows the severity: severities from worst to best
SEVERITIES: dict[str, tuple[float, ...]] = {
    "mp3": (1, 0.8, 0.6, 0.4, 0.2, 0),
    "vorbis": (1, 0.8, 0.6, 0.4, 0.2, 0),
    "aac": tuple(i / 8 for i in range(8, -1, -1)),
    "codec2": tuple(i / (len(codec2.MODES) - 1) for i in range(len(codec2.MODES) - 1, -1, -1)),
    "lyra": (0.5, 0.25, 0.0),
}
Make = Callable[[Samples, int], list[Samples]]  # a clip and its number -> it from worst to best


@dataclass(frozen=True)
class Drops:
    """How often scores drop, of ladders in rows."""

    scores: np.ndarray  # (clips, steps), from worst to best

    @property
    def numbers(self) -> dict[str, float]:
        """Shares of clips and of steps, and the mean score of the worst and of the best step."""
        down = np.diff(self.scores, axis=1) < -DROP
        means = self.scores.mean(axis=0)
        return {
            "clips": float(down.any(axis=1).mean()),
            "steps": float(down.mean()),
            "worst": float(means[0]),
            "best": float(means[-1]),
            "count": len(self.scores),
        }


def measure(context: Context) -> Iterator[Line]:
    """SNR for every noise never trained on and pooled, low-pass, bits, and every codec that is here."""
    clips = context.excerpts(context.count, CLIP_S)
    of_noise = {
        label: scores_of(context, clips, functools.partial(_noisy, Surroundings(tuple(paths))))
        for label, paths in context.noises.items()
    }
    pooled = Drops(np.concatenate([drops.scores for drops in of_noise.values()]))
    yield _line(f"SNR −5…30 dB, {len(of_noise)} noises pooled", pooled)
    for label, drops in of_noise.items():
        yield _line(f"SNR −5…30 dB, {label}", drops)
    yield _line("low-pass 2, 3.4, 5, 8 kHz", scores_of(context, clips, _lowpassed))
    yield _line("6…16 bits of the clip's peak", scores_of(context, clips, _quantised))
    for name, (steps, make) in codecs(context.around).items():
        ladders = context.rendered(name, clips, functools.partial(_flat, clips, make))
        yield _line(f"{name}, {steps}", Drops(context.mos(ladders).reshape(len(clips), -1)))


def codecs(around: Surroundings) -> dict[str, tuple[str, Make]]:
    """The codecs that can run here, with their steps in words and what makes the ladder of a clip."""
    found: dict[str, tuple[str, Make]] = {}
    for name, coder in CODERS.items():
        if coder.missing(around) is None:
            rates = sorted(coder.kbps)
            found[name] = (f"{rates[0]:g}…{rates[-1]:g} kbit/s", functools.partial(_coded, coder, rates))
    for name, severities in SEVERITIES.items():
        if KINDS[name].missing(around) is None:
            steps = [Step(name, severity) for severity in severities]
            found[name] = (f"{len(steps)} bit rates", functools.partial(_degraded, steps, around))
    return found


def scores_of(context: Context, clips: Sequence[Samples], make: Make) -> Drops:
    """The scores of the ladders of all clips."""
    return Drops(context.mos(_flat(clips, make)).reshape(len(clips), -1))


def _line(what: str, drops: Drops) -> Line:
    return judged(
        f"ladder: {what}",
        "{clips:.1%} of {count:.0f} clips drop by > .1 at a step ({steps:.1%} of steps); {worst:.2f} → {best:.2f}",
        "≤ 5 % of clips",
        lambda clips, **_: clips <= GOAL,
        **drops.numbers,
    )


def _flat(clips: Sequence[Samples], make: Make) -> list[Samples]:
    return [samples for number, x in enumerate(clips) for samples in make(x, number)]


def _noisy(around: Surroundings, x: Samples, seed: int) -> list[Samples]:
    return [degrade(x, [Step("noise", (40 - snr) / 45)], seed, around).samples for snr in SNRS_DB]


def _lowpassed(x: Samples, seed: int) -> list[Samples]:
    # the kind's cutoff is 7.5 kHz at severity 0 and .8 kHz at 1, a straight line in octaves
    severities = [math.log(hz / 7500) / math.log(800 / 7500) for hz in CUTOFFS_HZ]
    return [degrade(x, [Step("lowpass", severity)]).samples for severity in severities] + [x]


def _quantised(x: Samples, seed: int) -> list[Samples]:
    peak = max(float(np.abs(x).max()), 1e-9)
    return [np.round(x / peak * 2 ** (bits - 1)) / 2 ** (bits - 1) * peak for bits in BITS]


def _coded(coder: Coder, rates: Sequence[float], x: Samples, seed: int) -> list[Samples]:
    made = []
    for kbps in rates:
        opened: AbstractContextManager[Codec] = coder.open(kbps, RATE)
        with opened as codec:
            made.append(through(x, RATE, codec)[0])
    return made


def _degraded(steps: Sequence[Step], around: Surroundings, x: Samples, seed: int) -> list[Samples]:
    return [degrade(x, [step], seed, around).samples for step in steps]
