"""What a channel or a device leaves of the spectrum."""

import math

import numpy as np
import scipy.signal

from sqa_data.audio.resampling import resampled
from sqa_data.degrade.kind import NARROW, Act, Family, Kind, Settings, World
from sqa_data.degrade.signal import Samples, butterworth, fit, shaped

DC_HZ = 19  # corner of G.191's filter against it


def _filter(order: int, passes: str, mildest: float, hardest_hz: float) -> Act:
    """A Butterworth filter; `mildest`: its cutoff at severity 0, in Hz or, where it is below 1, of half the rate."""

    def act(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        mildest_hz = mildest if mildest >= 1 else mildest * world.rate / 2
        cutoff = mildest_hz * (min(hardest_hz, 0.4 * world.rate) / mildest_hz) ** severity
        sos = scipy.signal.butter(order, cutoff, passes, fs=world.rate, output="sos")
        late = 0
        if passes == "lowpass":  # by the delay of low frequencies; a high-pass filter has none of high ones
            late = round(1 / math.sin(math.pi / (2 * order)) / (2 * math.tan(math.pi * cutoff / world.rate)))
        return fit(scipy.signal.sosfilt(sos, fit(x, len(x) + late))[late:], len(x)), {"cutoff_hz": cutoff}

    return act


def _low_rate(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    mildest = 0.875 * world.rate
    rate = round(mildest * (3000 / mildest) ** severity, -2)
    down = resampled(x, world.rate, rate)
    clean = fit(resampled(down, rate, world.rate), len(x))
    if world.rng.random() < 0.7:
        return clean, {"rate_hz": rate, "images": "removed"}
    # a careless resampler holds its samples; the better it is, the more it filters the images away
    at = np.floor(np.arange(len(x)) * rate / world.rate).astype(int)
    images = 10 ** (-40 * (1 - severity) / 20) * (down[np.minimum(at, len(down) - 1)] - clean)
    powers = float(np.mean(images**2)), float(np.mean(clean**2))
    if min(powers) == 0:
        return clean, {"rate_hz": rate, "images": "removed"}
    return clean + images, {
        "rate_hz": rate,
        "images": "kept",
        "images_db": 10 * float(np.log10(powers[0] / powers[1])),
    }


def _telephone(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    narrow = shaped(resampled(x, world.rate, 8000), 8000, lambda hz: butterworth(hz, 300, 3400, 4))
    bits = round(12 - 6 * severity)
    heard = companded(np.clip(narrow, -1, 1), bits)
    return fit(resampled(heard, 8000, world.rate), len(x)), {"rate_hz": 8000, "bits": bits}


def companded(samples: Samples, bits: int) -> Samples:
    """µ-law (ITU-T G.711's curve, µ = 255) at any number of bits; full scale is 1, whatever the level."""
    curve = np.sign(samples) * np.log1p(255 * np.abs(samples)) / np.log(256)
    steps = 2 ** (bits - 1)
    curve = np.round(curve * steps) / steps
    heard: Samples = np.sign(curve) * np.expm1(np.abs(curve) * np.log(256)) / 255
    return heard


def _mnru(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # Modulated noise reference unit (ITU-T P.810, as mnru of G.191): noise that follows the speech, from which DC has
    # been taken, Q dB below it, and a low-pass at the end of the band (3500 Hz of narrow band, 7000 of wide, 20000 of
    # full). G.191 trusts the variance of its noise; here the ratio is exact, in the band.
    q = 40 - 40 * severity
    speech = scipy.signal.lfilter([1, -1], [1, -np.exp(-2 * np.pi * DC_HZ / world.rate)], x)
    top_hz = min(0.4375 * world.rate, 20_000)
    modulated = speech * world.rng.standard_normal(len(x))
    noise = shaped(modulated, world.rate, lambda hz: butterworth(hz, 0, top_hz, 12))
    power = float(np.mean(noise**2))
    if power == 0:
        return x.copy(), {"added": "nothing: the speech is silent"}
    return x + noise * np.sqrt(np.mean(speech**2) / power * 10 ** (-q / 10)), {"q_db": q}


KINDS = {
    "lowpass": Kind(Family.BAND, _filter(4, "lowpass", 0.9375, 800)),
    "highpass": Kind(Family.BAND, _filter(3, "highpass", 80, 2000)),
    "low-rate": Kind(Family.BAND, _low_rate),
    "telephone": Kind(Family.BAND, _telephone, mildest=NARROW),
    "mnru": Kind(Family.BAND, _mnru),
}
