"""How a real enhancer is run: at its own rate, frame after frame, its delay undone, mixed with what went in."""

from collections.abc import Callable

import numpy as np

from sqa_data.audio.resampling import resampled
from sqa_data.degrade.signal import Samples, fit, frames

Run = Callable[[Samples], Samples]  # (samples,) at the enhancer's rate -> at least as many


def enhanced(x: Samples, rate: int, at: int, run: Run, *, delay: int = 0, wet: float = 1.0) -> Samples:
    """`x` of `rate` Hz after an enhancer that works at `at` Hz and is `delay` of its samples late; as long, in time.

    `wet`: the share of the enhancer in what comes out; the rest is what it heard, so of what lies above its band
    nothing is left in any mix.
    """
    heard = resampled(x, rate, at)
    made = run(fit(heard, len(heard) + delay))[delay : delay + len(heard)]
    return fit(resampled(wet * made + (1 - wet) * heard, at, rate), len(x))


def framewise(x: Samples, size: int, step: Callable[[np.ndarray], np.ndarray]) -> Samples:
    """`x` cut to frames of `size` samples, each through `step`, and joined; zeros fill the last frame."""
    joined: Samples = np.concatenate([step(frame) for frame in frames(x, size, size)]).astype(np.float64)
    return joined


def to_int16(x: Samples) -> np.ndarray:
    """Samples as a converter hands them on: 16 bits, what exceeds full scale is cut."""
    whole: np.ndarray = np.clip(np.rint(x * 2**15), -(2**15), 2**15 - 1).astype(np.int16)
    return whole
