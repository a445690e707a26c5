"""What a channel or a device leaves of the spectrum."""

import numpy as np
import scipy.signal

from sqa_data.audio.resampling import resampled
from sqa_data.degrade.kind import Act, Family, Kind, Settings, World
from sqa_data.degrade.signal import Samples, align, band, fit


def _filter(order: int, passes: str, mildest: float, hardest_hz: float) -> Act:
    """A Butterworth filter; `mildest`: its cutoff at severity 0, in Hz or, where it is below 1, of half the rate."""

    def act(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        mildest_hz = mildest if mildest >= 1 else mildest * world.rate / 2
        cutoff = mildest_hz * (min(hardest_hz, 0.4 * world.rate) / mildest_hz) ** severity
        sos = scipy.signal.butter(order, cutoff, passes, fs=world.rate, output="sos")
        filtered = align(scipy.signal.sosfilt(sos, x), x, world.frames(0.01))
        return filtered, {"cutoff_hz": cutoff}

    return act


def _low_rate(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    mildest = 0.875 * world.rate
    rate = round(mildest * (3000 / mildest) ** severity, -2)
    down = resampled(x, world.rate, rate)
    if world.rng.random() < 0.3:  # a careless resampler: images stay in
        at = np.floor(np.arange(len(x)) * rate / world.rate).astype(int)
        return down[np.minimum(at, len(down) - 1)], {"rate_hz": rate, "images": "kept"}
    return fit(resampled(down, rate, world.rate), len(x)), {"rate_hz": rate, "images": "removed"}


def _telephone(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    narrow = resampled(x, world.rate, 8000)
    narrow = align(scipy.signal.sosfilt(band(300, 3400, 8000), narrow), narrow, 80)
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
    # modulated noise reference unit (ITU-T P.810): noise that follows the speech, Q dB below it, in the band of the
    # channel
    q = 40 - 40 * severity
    modulated = x * world.rng.standard_normal(len(x))
    noise = scipy.signal.sosfilt(band(100, min(7000, 0.45 * world.rate), world.rate), modulated)
    power = float(np.mean(noise**2))
    if power == 0:
        return x.copy(), {"added": "nothing: the speech is silent"}
    return x + noise * np.sqrt(np.mean(x**2) / power * 10 ** (-q / 10)), {"q_db": q}


KINDS = {
    "lowpass": Kind(Family.BAND, _filter(4, "lowpass", 0.9375, 800)),
    "highpass": Kind(Family.BAND, _filter(3, "highpass", 80, 2000)),
    "low-rate": Kind(Family.BAND, _low_rate),
    "telephone": Kind(Family.BAND, _telephone),
    "mnru": Kind(Family.BAND, _mnru),
}
