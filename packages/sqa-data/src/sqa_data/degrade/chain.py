"""Run clean speech through a chain of kinds, in the order of a real path."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sqa_data.degrade.kind import Family, Step, Surroundings, World
from sqa_data.degrade.kinds import KINDS
from sqa_data.degrade.kinds.edges import edged
from sqa_data.degrade.recordings import HIGHEST_HZ, LOWEST_HZ
from sqa_data.degrade.signal import Samples
from sqa_data.errors import DataError

PEAK = 0.99  # of full scale: what ends louder is made smaller as a whole
SHORTEST_S = 0.1


@dataclass(frozen=True)
class Degraded:
    """What a chain made of clean speech."""

    samples: Samples  # (samples,) within full scale
    reference: Samples  # (samples,) the clean speech in time with it: padded and cropped as it was
    steps: list[dict[str, Any]]  # what each step did, in order


def degrade(
    clean: Samples,
    chain: Sequence[Step],
    seed: int | Sequence[int] = 0,
    around: Surroundings | None = None,
    *,
    rate: int = 16_000,
) -> Degraded:
    """Run clean speech (mono, shape (samples,)) through a chain; the same seed gives the same samples.

    Each step draws from its own random stream, so a change of one severity leaves the draws of the others (which noise,
    which packets) alone. Steps run in the given order; noise is measured against the speech as it was when the first
    step after the room began. What ends beyond full scale is made smaller as a whole, which is told as a last
    step called "full-scale".

    Raises `DataError` for samples that are not finite and mono or shorter than 0.1 s, a rate beyond 8 to 48 kHz, a
    severity beyond 0 to 1, an unknown kind, and a kind that lacks what it needs.

    >>> tone = 0.1 * np.sin(np.arange(16000) * 0.2)
    >>> degraded = degrade(tone, [Step("lowpass", 0.0), Step("level", 0.0)])
    >>> degraded.samples.shape, [step["kind"] for step in degraded.steps]
    ((16000,), ['lowpass', 'level'])
    """
    clean = np.asarray(clean, dtype=np.float64)
    if clean.ndim != 1 or len(clean) < rate * SHORTEST_S or not np.all(np.isfinite(clean)):
        raise DataError(
            f"degrade: expected finite mono samples, at least {SHORTEST_S} s at {rate} Hz; "
            f"found shape {clean.shape}"
        )
    if not LOWEST_HZ <= rate <= HIGHEST_HZ:
        raise DataError(f"degrade: rate is {rate}; expected {LOWEST_HZ} to {HIGHEST_HZ} Hz")
    around = around or Surroundings()
    x = speech = clean
    done: list[dict[str, Any]] = []
    notes: dict[str, Any] = {}
    entropy = [seed] if isinstance(seed, int) else list(seed)
    for number, step in enumerate(chain):
        if step.kind not in KINDS:
            raise DataError(f"unknown degradation {step.kind!r}; known: {', '.join(KINDS)}")
        if not 0 <= step.severity <= 1:
            raise DataError(f"degrade: severity of {step.kind} is {step.severity}; expected 0 to 1")
        kind = KINDS[step.kind]
        if reason := kind.missing(around):
            raise DataError(f"degradation {step.kind!r} cannot run here: {reason}")
        world = World(np.random.default_rng([*entropy, number]), rate, clean, speech, around, notes)
        x, settings = kind.act(x, step.severity, world)
        if kind.family is Family.ROOM:
            speech = x
        if kind.family is Family.EDGES:
            clean, speech = (edged(samples, settings, rate) for samples in (clean, speech))
        told = {name: round(v, 6) if isinstance(v, float) else v for name, v in settings.items()}
        done.append({"kind": step.kind, "severity": round(step.severity, 4), **told})
    peak = float(np.abs(x).max())
    if peak > PEAK:
        x = x * (PEAK / peak)
        done.append({"kind": "full-scale", "gain_db": round(20 * float(np.log10(PEAK / peak)), 3)})
    return Degraded(np.ascontiguousarray(x), np.ascontiguousarray(clean), done)
