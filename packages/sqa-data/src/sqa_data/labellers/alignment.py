"""How far a clip lags behind its reference: full-reference metrics compare sample by sample, and most never look."""

import numpy as np

REACH_S = 1.0  # the longest lag that is looked for, either way
MISALIGNED_S = 0.002  # a filter's own delay is less
# a correlation of waveforms at which its peak is where the clip is: noise of -5 dB leaves .49, a room .28
SAME_WAVEFORM = 0.25
# without one (vocoders, other phases) the envelopes tell; a room's tail pulls theirs by 16 ms and gains .01
SAME_ENVELOPE, CLEARER = 0.5, 0.05
HOP_S = 0.004
MIN_BITS = 14  # a transform of at least 16,384 samples


def lag(reference: np.ndarray, degraded: np.ndarray, rate: int) -> float | None:
    """The lag of a clip behind its reference in seconds, within +-1 s; None where the two are too unlike to tell.

    The peak of the cross-correlation, of either sign (a copy may be inverted); where the waveforms have little in
    common, that of their levels in frames of 4 ms.

    Args:
        reference: (samples,) the clean speech.
        degraded: (samples,) the clip, of the same length.
        rate: of both, in Hz.

    >>> noise = np.random.default_rng(0).standard_normal(8000)
    >>> lag(noise[80:], -noise[:-80], 8000)
    0.01
    """
    reach = min(round(REACH_S * rate), len(reference) - 1)
    shift, strength, _ = _peak(reference, degraded, reach)
    if strength >= SAME_WAVEFORM:
        return shift / rate
    hop = max(1, round(HOP_S * rate))
    of_reference, of_degraded = (_levels(signal, hop) for signal in (reference, degraded))
    if len(of_reference) < 2:
        return None
    shift, strength, in_place = _peak(of_reference, of_degraded, min(reach // hop, len(of_reference) - 1))
    if strength < SAME_ENVELOPE:
        return None
    return shift * hop / rate if strength > in_place + CLEARER else 0.0


def _peak(one: np.ndarray, other: np.ndarray, reach: int) -> tuple[int, float, float]:
    """Where `other` lags most alike behind `one`, how alike they are there, and how alike without a lag (0 to 1)."""
    one, other = one - one.mean(), other - other.mean()
    energy = float(np.sqrt(np.sum(np.square(one, dtype=float)) * np.sum(np.square(other, dtype=float))))
    if energy == 0:
        return 0, 0.0, 0.0
    # block by block, since only lags within the reach count: a transform of 40 minutes would take gigabytes
    size = 1 << max(MIN_BITS, (4 * reach).bit_length())
    block = size - 2 * reach
    spectrum = np.zeros(size // 2 + 1, np.complex128)
    for start in range(0, len(one), block):
        before = min(start, reach)
        around = np.pad(other[start - before : start + block + reach], (reach - before, 0))
        spectrum += np.fft.rfft(around, size) * np.conj(np.fft.rfft(one[start : start + block], size))
    near = np.abs(np.fft.irfft(spectrum, size)[: 2 * reach + 1]) / energy
    best = int(np.argmax(near))
    return best - reach, float(near[best]), float(near[reach])


def _levels(signal: np.ndarray, hop: int) -> np.ndarray:
    """(frames,) log levels of a signal; what is 60 dB below the loudest frame is level with it."""
    frames = signal[: len(signal) // hop * hop].reshape(-1, hop)
    levels = np.sqrt(np.mean(np.square(frames, dtype=float), axis=1))
    logs: np.ndarray = np.log(levels + 1e-3 * levels.max(initial=0) + 1e-12)
    return logs
