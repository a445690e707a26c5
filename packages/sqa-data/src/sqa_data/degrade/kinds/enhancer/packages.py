"""Enhancers of Python packages: WebRTC's noise suppression and gain control, and the spectral gate of noisereduce."""

import functools

import numpy as np

from sqa_data.degrade.kind import Family, Kind, Settings, World, needs
from sqa_data.degrade.kinds.enhancer.running import enhanced, framewise, to_int16
from sqa_data.degrade.signal import Samples

WEBRTC_RATE = 16_000  # Hz
WEBRTC_DELAY = 96  # samples, of its noise suppression
WEBRTC_HARDEST = 4  # of its levels, 1 is the mildest


def webrtc(noisy: Samples, level: int, gain_control: bool) -> Samples:
    """WebRTC's suppression, at a level from 1 to 4, and its gain control, both at 16 kHz; `WEBRTC_DELAY` late."""
    from webrtc_noise_gain import AudioProcessor

    processor = AudioProcessor(int(gain_control), level)

    def step(frame: np.ndarray) -> np.ndarray:
        made = processor.Process10ms(to_int16(frame).tobytes())
        return np.frombuffer(made.audio, np.int16) / 2**15

    return framewise(noisy, WEBRTC_RATE // 100, step)


def noisereduce(noisy: Samples, rate: int, share: float) -> Samples:
    """The non-stationary spectral gate of noisereduce (Sainburg, 2020); `share`: how much of the noise it takes."""
    from noisereduce import reduce_noise

    if not noisy.any():  # it divides by the level
        return noisy
    reduced: Samples = reduce_noise(noisy, rate, prop_decrease=share)
    return reduced


def _webrtc(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    level = 1 + round((WEBRTC_HARDEST - 1) * severity)
    gain_control = bool(world.rng.random() < 0.5)
    run = functools.partial(webrtc, level=level, gain_control=gain_control)
    y = enhanced(x, world.rate, WEBRTC_RATE, run, delay=WEBRTC_DELAY)
    return y, {"level": level, "gain_control": int(gain_control), "rate_hz": WEBRTC_RATE}


def _noisereduce(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    share = 0.5 + severity / 2
    return noisereduce(x, world.rate, share), {"share": share}


KINDS = {
    "webrtc-ns": Kind(Family.ENHANCER, _webrtc, needs("webrtc_noise_gain", "webrtc-noise-gain")),
    "noisereduce": Kind(Family.ENHANCER, _noisereduce, needs("noisereduce", "noisereduce")),
}
