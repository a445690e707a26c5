"""Spectra that keep their magnitudes, or bands of them, and lose their phases."""

import numpy as np

from sqa_data.degrade.kind import Family, Kind, Settings, World
from sqa_data.degrade.signal import Samples, istft, mel_bank, pool_bands, same_power, spread_bands, stft

WINDOW_S, HOP_S = 0.032, 0.008
MOMENTUM = 0.99


def guessed(
    magnitude: np.ndarray, phase: np.ndarray, rate: int, hop_s: float, iterations: int, length: int
) -> Samples:
    """Speech of these magnitudes (frames, bins): phases are guessed from a first guess, in radians.

    By the fast Griffin-Lim algorithm (Perraudin, Balazs and Søndergaard 2013) on windows of 32 ms.
    """
    turn: np.ndarray = np.exp(1j * phase)
    before: np.ndarray | None = None
    for _ in range(iterations):
        heard = stft(istft(magnitude * turn, rate, WINDOW_S, hop_s, length), rate, WINDOW_S, hop_s)
        ahead = heard if before is None else heard + MOMENTUM * (heard - before)
        turn, before = ahead / (np.abs(ahead) + 1e-9), heard
    return istft(magnitude * turn, rate, WINDOW_S, hop_s, length)


def _griffin_lim(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    iterations = round(33 ** (1 - severity) - 1)  # 32 to none
    hop_s = (
        HOP_S if severity < 0.5 else 2 * HOP_S
    )  # the less windows overlap, the less they tell of the phase
    magnitude = np.abs(stft(x, world.rate, WINDOW_S, hop_s))
    phase = 2 * np.pi * world.rng.random(magnitude.shape)
    y = guessed(magnitude, phase, world.rate, hop_s, iterations, len(x))
    error = np.abs(stft(y, world.rate, WINDOW_S, hop_s)) - magnitude
    off = float(np.sqrt(np.sum(error**2) / max(float(np.sum(magnitude**2)), 1e-12)))
    return same_power(y, x), {"iterations": iterations, "hop_ms": 1000 * hop_s, "magnitude_error": off}


def _phase_damage(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # how long the windows are decides what is heard: roughness, or syllables that smear
    window_s = float(world.rng.choice([0.016, 0.032, 0.064]))
    spectrum = stft(x, world.rate, window_s, window_s / 4)
    noise = 0.15 * 20**severity * world.rng.standard_normal(spectrum.shape)
    y = istft(spectrum * np.exp(1j * noise), world.rate, window_s, window_s / 4, len(x))
    # what is left of the noise after overlapping windows have been added
    turned = np.angle(stft(y, world.rate, window_s, window_s / 4) * np.conj(spectrum))
    power = np.abs(spectrum) ** 2
    off = float(np.sqrt(np.sum(power * turned**2) / max(float(np.sum(power)), 1e-12)))
    return same_power(y, x), {"window_ms": 1000 * window_s, "phase_error_rad": off}


def _robot(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # spectra thinned to few bands, phases ever less those of the talker
    width_mel, spread = 18 * 9**severity, 0.3 * 10**severity
    bands = round(2595 * np.log10(1 + world.rate / 1400) / width_mel)
    spectrum = stft(x, world.rate, WINDOW_S, HOP_S)
    mel = mel_bank(bands, 2 * (spectrum.shape[1] - 1), world.rate)
    magnitude = np.sqrt(np.maximum(spread_bands(pool_bands(np.abs(spectrum) ** 2, mel), mel), 1e-12))
    phase = np.angle(spectrum) + spread * world.rng.standard_normal(spectrum.shape)
    y = guessed(magnitude, phase, world.rate, HOP_S, 8, len(x))
    return same_power(y, x), {"bands": bands, "phase_spread_rad": spread}


KINDS = {
    "robot": Kind(Family.SYNTHESIS, _robot),
    "griffin-lim": Kind(Family.SYNTHESIS, _griffin_lim),
    "phase-damage": Kind(Family.SYNTHESIS, _phase_damage),
}
