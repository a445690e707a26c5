"""The one resampler of the data side: soxr at high quality, as librosa and sox resample."""

import numpy as np

from sqa_data.errors import DataError


def resampled(samples: np.ndarray, found: float, wanted: float) -> np.ndarray:
    """Samples at another rate, of the length that soxr gives them.

    Args:
        samples: (frames,) or (frames, channels), float32 or float64, full scale = 1. They may exceed full scale
            afterwards.
        found: their rate in Hz.
        wanted: the rate to have in Hz.

    Returns:
        The samples in the same precision; the given array where the rates are equal.

    Raises:
        DataError: soxr is not installed.

    >>> resampled(np.zeros(48000), 48000, 16000).shape
    (16000,)
    """
    if found == wanted:
        return samples
    try:
        import soxr
    except ImportError as error:
        raise DataError(
            f"audio of {found:g} Hz, wanted at {wanted:g} Hz: resampling needs soxr: pip install soxr"
        ) from error
    changed: np.ndarray = soxr.resample(samples, found, wanted, quality="HQ")
    return changed
