"""Which chains a corpus is made of: how many steps, of which families, how hard.

A preset draws the chain of one clip from the kinds that are at hand.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from sqa_data.degrade.kind import Family, Step
from sqa_data.degrade.kinds import KINDS

# the kinds at hand, the most steps, the random stream, kinds of which one must be there -> the chain
Draw = Callable[[Sequence[str], int, np.random.Generator, Sequence[str]], tuple[Step, ...]]

STEPS = (0.03, 0.42, 0.32, 0.16, 0.07)  # how often a chain has 0, 1, 2 ... families
MILDEST_SNR_DB = 40
HARDEST_SNR_DB = {"noise": -5, "coloured-noise": -5, "wind": -10}
AUGMENTATIONS = (0.25, 0.40, 0.20, 0.15)  # of URGENT: how often 0, 1, 2, 3 of the four below
URGENT_KINDS = frozenset(
    ("rir", "reverb", "wind", "noise", "coloured-noise", "clipping", "low-rate", "mp3", "vorbis", "loss-zero")
)


def broad(
    kinds: Sequence[str], most: int, rng: np.random.Generator, unseen: Sequence[str]
) -> tuple[Step, ...]:
    """Everything that may befall speech: families first, a kind of each, from mild to hard.

    Enhancers have noise to suppress. Chains of many mild steps and single hard ones both occur.
    """
    of_family = defaultdict[Family, list[str]](list)
    for kind in kinds:
        if most > 1 or KINDS[kind].family is not Family.ENHANCER:  # which takes two steps
            of_family[KINDS[kind].family].append(kind)
    families = sorted(of_family)
    steps = min(int(rng.choice(len(STEPS), p=STEPS)), most)
    chosen: dict[Family, str] = {}

    def choose(kind: str) -> None:
        with_noise = KINDS[kind].family is Family.ENHANCER and bool(of_family[Family.NOISE])
        needed = {KINDS[kind].family, *([Family.NOISE] if with_noise else [])} - chosen.keys()
        if len(chosen) + len(needed) <= most:
            chosen[KINDS[kind].family] = kind
            if Family.NOISE in needed and with_noise:
                chosen[Family.NOISE] = str(rng.choice(of_family[Family.NOISE]))

    if at_hand := [kind for kind in unseen if kind in of_family[KINDS[kind].family]]:
        choose(str(rng.choice(at_hand)))
    for family in (families[i] for i in rng.permutation(len(families))):
        if len(chosen) < steps and family not in chosen:
            choose(str(rng.choice(of_family[family])))
    lean = 1 + 0.35 * max(0, len(chosen) - 1)  # long chains lean to the mild side
    return tuple(Step(chosen[family], round(float(rng.random() ** lean), 4)) for family in sorted(chosen))


def urgent(
    kinds: Sequence[str], most: int, rng: np.random.Generator, unseen: Sequence[str]
) -> tuple[Step, ...]:
    """As the URGENT challenges simulate (their `simulation_train.yaml` since 2024).

    A room in half of the clips, noise in all at -5 to 20 dB (in one of twenty it is wind, -10 to 15 dB), then none to
    three of: a narrower band, clipping of up to a fifth of the samples, MP3 or Vorbis, 5 to 25 % of packets lost and
    left silent. Kinds that are not at hand are left out or replaced: wind by noise, noises by made ones, a recorded
    room by a made one.
    """
    chain = []
    if rng.random() < 0.5 and most > 1:
        chain.append(Step("rir" if "rir" in kinds else "reverb", float(rng.random())))
    wind = rng.random() < 0.05 and "wind" in kinds
    snr_db = float(rng.uniform(-10, 15) if wind else rng.uniform(-5, 20))
    noise = "wind" if wind else "noise" if "noise" in kinds else "coloured-noise"
    chain.append(Step(noise, (MILDEST_SNR_DB - snr_db) / (MILDEST_SNR_DB - HARDEST_SNR_DB[noise])))
    others = (
        Step("clipping", math.log(max(float(rng.uniform(0, 0.2)), 0.001) / 0.001) / math.log(400)),
        Step("low-rate", float(rng.random())),
        Step(str(rng.choice(["mp3", "vorbis"])), float(rng.random())),
        Step("loss-zero", math.log(float(rng.uniform(0.05, 0.25)) / 0.01) / math.log(45)),
    )
    count = min(int(rng.choice(len(AUGMENTATIONS), p=AUGMENTATIONS)), max(0, most - len(chain)))
    picked = sorted(rng.choice(len(others), size=count, replace=False).tolist())
    chain += [others[i] for i in picked]
    return tuple(
        Step(step.kind, round(min(max(step.severity, 0.0), 1.0), 4)) for step in chain if step.kind in kinds
    )


PRESETS: dict[str, Draw] = {"broad": broad, "urgent": urgent}
