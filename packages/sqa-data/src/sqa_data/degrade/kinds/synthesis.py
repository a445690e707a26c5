"""Speech made anew from few numbers, as vocoders and weak generative systems do."""

import numpy as np

from sqa_data.degrade.kind import Family, Kind, Settings, World
from sqa_data.degrade.signal import Samples, istft, mel_bank, pool_bands, same_power, spread_bands, stft

WINDOW_S, HOP_S = 0.032, 0.008


def _robot(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # spectra thinned to few bands and phases guessed again (Griffin and Lim 1984)
    bands = round(128 * (18 / 128) ** severity)
    power = np.abs(stft(x, world.rate, WINDOW_S, HOP_S)) ** 2
    mel = mel_bank(bands, 2 * (power.shape[1] - 1), world.rate)
    magnitude = np.sqrt(np.maximum(spread_bands(pool_bands(power, mel), mel), 1e-12))
    phase = np.exp(2j * np.pi * world.rng.random(magnitude.shape))
    for _ in range(12):
        heard = istft(magnitude * phase, world.rate, WINDOW_S, HOP_S, len(x))
        phase = stft(heard, world.rate, WINDOW_S, HOP_S)
        phase /= np.abs(phase) + 1e-9
    y = istft(magnitude * phase, world.rate, WINDOW_S, HOP_S, len(x))
    return same_power(y, x), {"bands": bands}


KINDS = {"robot": Kind(Family.SYNTHESIS, _robot)}
