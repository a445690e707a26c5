"""Noise suppressors of the textbooks, and the mask of a network that errs."""

from collections.abc import Callable

import numpy as np
import scipy.ndimage
import scipy.special

from sqa_data.degrade.kind import Act, Family, Kind, Settings, World
from sqa_data.degrade.signal import Samples, istft, mel_bank, pool_bands, spread_bands, stft

WINDOW_S, HOP_S = 0.032, 0.016
MILDEST = 0.05  # strength that is hardly heard on clean speech: PESQ from 4.4


def suppress(noisy: Samples, rate: int, method: str, strength: float) -> Samples:
    """A noise suppressor of the textbooks, with the artefacts it is known for.

    `method`: "subtraction" (power spectral subtraction, Berouti et al. 1979: musical noise), "wiener"
    (decision-directed Wiener filter, Scalart and Filho 1996), "logmmse" (Ephraim and Malah 1985), "gate"
    (hard mask: speech torn to islands). `strength`: over-estimation of the noise, 1 = honest,
    less = noise is left, more = speech is cut too.
    The noise spectrum is the 20 % quantile of each bin over time, scaled to its mean: no knowledge of the
    clean speech.
    """
    spectrum = stft(noisy, rate, WINDOW_S, HOP_S)  # (frames, bins)
    power = np.abs(spectrum) ** 2 + 1e-12
    smooth = scipy.ndimage.uniform_filter1d(power, 5, axis=0)
    noise = np.quantile(smooth, 0.2, axis=0) * 1.5 * strength + 1e-12
    return istft(spectrum * GAINS[method](power / noise, strength), rate, WINDOW_S, HOP_S, len(noisy))


def _subtraction(ratio: np.ndarray, strength: float) -> np.ndarray:
    return np.sqrt(np.maximum(1 - 1 / ratio, 0.01 / strength))


def _gate(ratio: np.ndarray, strength: float) -> np.ndarray:
    return np.where(ratio > 4.0, 1.0, 0.02)


def _decision_directed(logmmse: bool) -> Callable[[np.ndarray, float], np.ndarray]:
    def gains(ratio: np.ndarray, strength: float) -> np.ndarray:
        gain = np.empty_like(ratio)
        before = np.ones(ratio.shape[1])
        for frame, posterior in enumerate(ratio):
            prior = np.maximum(0.98 * before + 0.02 * np.maximum(posterior - 1, 0), 10**-2.5)
            g = prior / (1 + prior)
            if logmmse:
                g = g * np.exp(0.5 * scipy.special.exp1(np.maximum(g * posterior, 1e-8)))
            gain[frame] = np.minimum(g, 1)
            before = gain[frame] ** 2 * posterior
        return gain

    return gains


# method -> gains (frames, bins) of the ratio of each bin's power to the noise in it
GAINS: dict[str, Callable[[np.ndarray, float], np.ndarray]] = {
    "subtraction": _subtraction,
    "gate": _gate,
    "wiener": _decision_directed(logmmse=False),
    "logmmse": _decision_directed(logmmse=True),
}


def _suppressor(method: str, hardest: float) -> Act:
    def act(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        strength = MILDEST * (hardest / MILDEST) ** severity
        return suppress(x, world.rate, method, strength), {"strength": strength}

    return act


def _neural_mask(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    # what a trained mask estimator does: the ideal ratio mask in mel bands, with estimation errors that hang
    # together in time and frequency, and pushed too far as it gets harder (Wang, Narayanan and Wang 2014 for
    # the mask)
    push, spread = 0.7 + 1.8 * severity, 0.05 + 0.6 * severity
    noisy = stft(x, world.rate, WINDOW_S, HOP_S)
    mel = mel_bank(40, 2 * (noisy.shape[1] - 1), world.rate)
    clean = pool_bands(np.abs(stft(world.clean, world.rate, WINDOW_S, HOP_S)) ** 2, mel)
    mask = np.sqrt(np.minimum(clean / np.maximum(pool_bands(np.abs(noisy) ** 2, mel), 1e-10), 1.0))
    error = scipy.ndimage.gaussian_filter(world.rng.standard_normal(mask.shape), (3, 1.5), mode="wrap")
    mask = np.clip(mask**push * np.exp(spread * error / error.std()), 0.01, 1.0)
    masked = istft(noisy * spread_bands(mask, mel), world.rate, WINDOW_S, HOP_S, len(x))
    return masked, {"push": push, "spread": spread}


KINDS = {
    "subtraction": Kind(Family.ENHANCER, _suppressor("subtraction", 8)),
    "wiener": Kind(Family.ENHANCER, _suppressor("wiener", 6)),
    "logmmse": Kind(Family.ENHANCER, _suppressor("logmmse", 6)),
    "over-suppression": Kind(Family.ENHANCER, _suppressor("wiener", 60)),
    "gate": Kind(Family.ENHANCER, _suppressor("gate", 12)),
    "neural-mask": Kind(Family.ENHANCER, _neural_mask),
}
