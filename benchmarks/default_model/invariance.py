"""What must not move a score: silence at the ends, where a clip is cut, level, rate, polarity, channels, a good MP3."""

from collections.abc import Iterator

import numpy as np
from sqa_data.audio.resampling import resampled
from sqa_data.degrade.chain import degrade
from sqa_data.degrade.kind import Step
from sqa_data.degrade.kinds.codec.soundfile import encode
from sqa_data.degrade.signal import Samples

from default_model.context import Context
from default_model.table import Line, judged
from default_model.teacher import RATE

CLIPS_S, WHOLE_S = 4.0, (6.0, 10.0)  # of a clip; the shortest and the longest of those that are cropped
SNRS_DB = (0.0, 5.0, 10.0, 15.0, 20.0)
CROPS = {1: 0.25, 2: 0.15, 4: 0.10}  # seconds -> the goal
CROPS_EACH = 3
LOUD_ENOUGH = 0.1  # of the clip's mean power: a crop with less has no speech to judge
LEVELS_DB = (-40, -30, -20, -10, 0)
WIDEST, RATES = 44_100, (16_000, 22_050, 24_000, 32_000, 48_000)
MP3 = (0.6, 0.7, 0.8)  # libsndfile's compression: constant 160, 112 and 96 kbit/s, nearly


def silence(context: Context) -> Iterator[Line]:
    """Digital silence at the ends of clean speech; half a second before noisy speech."""
    clean = context.excerpts(context.count, CLIPS_S)
    noisy = with_noise(context, clean)
    long, short = np.zeros(10 * RATE), np.zeros(RATE // 2)
    whole = context.mos(clean)
    after = context.mos([np.concatenate([x, long]) for x in clean]) - whole
    before = context.mos([np.concatenate([long, x]) for x in clean]) - whole
    for name, moved in (("after", after), ("before", before)):
        yield judged(
            f"10 s of digital silence {name} clean speech",
            "mean \\|Δ\\| {mean:.3f} (signed {signed:+.3f}, at most {most:.2f})",
            "≤ .05",
            lambda mean, **_: mean <= 0.05,
            **_moved(moved),
        )
    moved = context.mos([np.concatenate([short, x]) for x in noisy]) - context.mos(noisy)
    yield judged(
        "half a second of digital silence before noisy speech (0 to 20 dB)",
        "mean \\|Δ\\| {mean:.3f} (signed {signed:+.3f}, at most {most:.2f})",
        "≤ .10",
        lambda mean, **_: mean <= 0.10,
        **_moved(moved),
    )


def crops(context: Context) -> Iterator[Line]:
    """Crops against the whole clip of 6 to 10 s: clean speech, and the same with noise of 0 to 20 dB."""
    clean = context.excerpts(context.count, WHOLE_S[1], WHOLE_S[0])
    clips = clean + with_noise(context, clean)
    whole = context.mos(clips)
    rng = np.random.default_rng(3)
    for seconds, goal in CROPS.items():
        pieces, of = [], []
        for number, x in enumerate(clips):
            for _ in range(CROPS_EACH):
                pieces.append(_piece(x, seconds * RATE, rng))
                of.append(number)
        moved = context.mos(pieces) - whole[of]
        yield judged(
            f"crops of {seconds} s against the whole clip of 6 to 10 s",
            "mean Δ {mean:+.3f} (clean {clean:+.3f}, noisy {noisy:+.3f}; sd {sd:.2f})",
            f"both within ±{goal:g}",
            lambda clean, noisy, goal=goal, **_: max(abs(clean), abs(noisy)) <= goal,
            mean=moved.mean(),
            clean=moved[: len(moved) // 2].mean(),
            noisy=moved[len(moved) // 2 :].mean(),
            sd=moved.std(),
        )


def with_noise(context: Context, clips: list[Samples]) -> list[Samples]:
    """Each clip with one of the noises never trained on, at one of the ratios, in turns."""
    around = context.around
    severities = [(40 - snr) / 45 for snr in SNRS_DB]
    return [
        degrade(x, [Step("noise", severities[i % len(severities)])], i, around).samples
        for i, x in enumerate(clips)
    ]


def same(context: Context) -> Iterator[Line]:
    """Level, polarity and channels of clean and noisy clips; rates and MP3 of clean ones recorded at 44.1 or 48 kHz."""
    clean = context.excerpts(max(5, context.count // 2), CLIPS_S)
    clips = clean + with_noise(context, clean)
    whole = context.mos(clips)
    levels = [context.mos([_at_level(x, db) for x in clips]) - whole for db in LEVELS_DB]
    yield _still("level of the peak −40 to 0 dB", 0.09, "most", np.concatenate(levels))
    yield _still("polarity", 0.001, "most", context.mos([-x for x in clips]) - whole)
    pairs = [np.stack([x, np.roll(x, 160)]) for x in clips]
    swapped = context.mos([pair[::-1] for pair in pairs]) - context.mos(pairs)
    yield _still("order of channels", 0.0005, "most", swapped)
    wide = context.excerpts(max(5, context.count // 2), CLIPS_S, 2.0, WIDEST)
    whole = context.mos(wide, WIDEST)
    rates = [context.mos([resampled(x, WIDEST, rate) for x in wide], rate) - whole for rate in RATES]
    yield _still("44.1 kHz against 16, 22.05, 24, 32, 48 kHz", 0.012, "mean", np.concatenate(rates))
    moved, kbps = [], []
    for c in MP3:
        coded = [encode(x, WIDEST, "MP3", "MPEG_LAYER_III", c) for x in wide]
        moved.append(context.mos([y for y, _ in coded], WIDEST) - whole)
        kbps.append(np.mean([rate for _, rate in coded]))
    words = ", ".join(f"{rate:.0f}" for rate in kbps)
    yield _still(f"MP3 at 44.1 kHz, {words} kbit/s", 0.014, "mean", np.concatenate(moved))


def _still(what: str, goal: float, by: str, moved: np.ndarray) -> Line:
    return judged(
        what,
        "mean \\|Δ\\| {mean:.4f}, at most {most:.4f}",
        f"{'mean' if by == 'mean' else 'at most'} {goal:g}",
        lambda mean, most, **_: (most if by == "most" else mean) <= goal,
        **_moved(moved),
    )


def _at_level(x: Samples, db: float) -> Samples:
    return x / max(float(np.abs(x).max()), 1e-9) * 10 ** (db / 20)


def _piece(x: Samples, size: int, rng: np.random.Generator) -> Samples:
    """A crop with speech in it, from a random place."""
    least = LOUD_ENOUGH * np.mean(x**2)
    for _ in range(20):
        start = int(rng.integers(len(x) - size + 1))
        if np.mean(x[start : start + size] ** 2) >= least:
            break
    return x[start : start + size]


def _moved(moved: np.ndarray) -> dict[str, float]:
    return {"mean": np.abs(moved).mean(), "signed": moved.mean(), "most": np.abs(moved).max()}
