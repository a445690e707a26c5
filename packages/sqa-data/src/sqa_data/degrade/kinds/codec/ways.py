"""Ways in which severity drives a codec: over and over, ever quieter, at lower rates or bit rates."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from sqa_data.audio.resampling import resampled
from sqa_data.degrade.kind import Act, Settings, World
from sqa_data.degrade.signal import Samples, fit, same_power, set_level

Each = TypeVar("Each")
Coded = tuple[Samples, float]  # what was decoded, in time, and the bit rate in kbit/s
Code = Callable[[Samples, int], Coded]  # speech within full scale and its rate, which the codec can work at
FREE_PEAK = 0.99  # of full scale: what is louder goes through the codec smaller


def carried(speech: Samples, rate: int, at: int, code: Code) -> Coded:
    """Through a codec that works at `at` Hz; what is over full scale goes through whole."""
    there = resampled(speech, rate, at)
    peak = max(1.0, float(np.abs(there).max()) / FREE_PEAK)
    decoded, kbps = code(there / peak, at)
    return fit(resampled(decoded, at, rate), len(speech)) * peak, kbps


def coding_rate(rates: tuple[int, ...], rate: int) -> int:
    """The first of the rates (in Hz, rising) that holds all of the speech, else the last."""
    return next((at for at in rates if at >= rate), rates[-1])


def tandem(code: Code, rates: tuple[int, ...], most: int = 3) -> Act:
    """Once through a codec of one bit rate, up to `most` times; `rates` in Hz, rising."""

    def act(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        y, at, passes = x, coding_rate(rates, world.rate), step(range(1, most + 1), severity)
        for _ in range(passes):
            y, kbps = carried(y, world.rate, at, code)
        return y, {"kbps": kbps, "tandem": passes}

    return act


def quiet(code: Code, at: int) -> Act:
    """Through a codec of one bit rate at -26 to -55 dB full scale, and as loud as before afterwards."""

    def act(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        level = -26 - 29 * severity
        y, kbps = carried(set_level(x, world.rate, level), world.rate, at, code)
        return same_power(y, x), {"kbps": kbps, "level_dbfs": level}

    return act


def by_rate(code: Code, rates: tuple[int, ...]) -> Act:
    """Through a codec whose bit rate follows its rate: `rates` in Hz from the mildest to the worst."""

    def act(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        at = step(rates, severity)
        y, kbps = carried(x, world.rate, at, code)
        return y, {"kbps": kbps, "rate_hz": at}

    return act


def by_bits(
    code: Callable[[Samples, int, float], Coded], rates: tuple[int, ...], bits: tuple[float, ...]
) -> Act:
    """Through a codec at the bit rates `bits` in kbit/s, from the mildest to the worst; `rates` in Hz, rising."""

    def act(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        asked, at = step(bits, severity), coding_rate(rates, world.rate)
        y, kbps = carried(x, world.rate, at, lambda coded, hz: code(coded, hz, asked))
        return y, {"kbps": kbps, "rate_hz": at}

    return act


def step(steps: Sequence[Each], severity: float) -> Each:
    """The step at a severity, of some from the mildest to the worst."""
    return steps[round((len(steps) - 1) * severity)]
