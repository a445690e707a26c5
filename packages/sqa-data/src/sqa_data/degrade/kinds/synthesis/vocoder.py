"""WORLD (Morise, Yokomori and Ozawa 2016): a pitch, an envelope and a share of noise, and speech made of them again.

Even its mildest is heard: a frame is voiced or not, and reverberant speech is neither.
"""

import numpy as np

from sqa_data.audio.resampling import resampled
from sqa_data.degrade.kind import REMADE, Family, Kind, Settings, World, needs
from sqa_data.degrade.signal import Samples, fit, same_power

LOWEST_HZ = 16_000  # D4C looks at 7.9 kHz
BENT = ("steps", "jitter", "flat")  # what becomes of the melody


def _world(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    import pyworld

    rate = max(LOWEST_HZ, world.rate)
    speech = np.ascontiguousarray(resampled(x, world.rate, rate))
    period_ms, coefficients = 5 + 5 * severity, round(60 * (10 / 60) ** severity)
    how = str(world.rng.choice(BENT))
    fine = severity < 1 / 3
    if fine:
        pitch_hz, time = pyworld.harvest(speech, rate, frame_period=period_ms)
    else:
        pitch_hz, time = pyworld.dio(
            speech, rate, frame_period=period_ms, channels_in_octave=8, allowed_range=0.2
        )
    pitch_hz = pyworld.stonemask(speech, pitch_hz, time, rate)
    envelope = pyworld.cheaptrick(speech, pitch_hz, time, rate)
    noisy = pyworld.d4c(speech, pitch_hz, time, rate, threshold=0.0)
    coded = pyworld.code_spectral_envelope(envelope, rate, coefficients)
    envelope = pyworld.decode_spectral_envelope(coded, rate, 2 * (envelope.shape[1] - 1))
    heard_hz = bent(pitch_hz, how, severity, world.rng)
    made = resampled(pyworld.synthesize(heard_hz, envelope, noisy, rate, period_ms), rate, world.rate)
    voiced = pitch_hz > 0
    cents = 1200 * np.log2(heard_hz[voiced] / pitch_hz[voiced])
    return same_power(fit(made, len(x)), x), {
        "pitch": "Harvest" if fine else "DIO",
        "voiced": float(voiced.mean()),
        "melody": how,
        "pitch_error_cents": float(np.sqrt(np.mean(cents**2))) if voiced.any() else 0.0,
        "coefficients": coefficients,
        "period_ms": period_ms,
    }


def bent(pitch_hz: np.ndarray, how: str, severity: float, rng: np.random.Generator) -> np.ndarray:
    """A melody (frames,) in Hz, 0 where unvoiced, with errors that grow with severity.

    `how`: "steps" (quantised, to 3 semitones at the hardest), "jitter" (noise of up to 2 semitones), "flat" (drawn
    to its mean, a monotone at the hardest).
    """
    voiced = pitch_hz > 0
    octaves = np.log2(pitch_hz[voiced])
    if how == "steps":
        grid = max(severity**2 / 4, 1e-6)
        octaves = grid * np.round(octaves / grid)
    elif how == "jitter":
        octaves = octaves + severity**2 / 6 * rng.standard_normal(len(octaves))
    elif len(octaves):
        octaves = octaves + severity * (octaves.mean() - octaves)
    out = np.zeros_like(pitch_hz)
    out[voiced] = 2**octaves
    return out


KINDS = {"world": Kind(Family.SYNTHESIS, _world, needs("pyworld", "pyworld-prebuilt"), REMADE)}
