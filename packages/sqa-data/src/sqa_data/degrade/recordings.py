"""Cuts of recordings that lie around the speech: noises, other talkers, rooms."""

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sqa_data.audio import hear, mixed
from sqa_data.audio.resampling import resampled
from sqa_data.degrade.signal import Samples, fit
from sqa_data.errors import DataError

TRIES = 8  # recordings to draw until one is not silent
SILENT_DB = -40.0  # under the whole recording: a cut so quiet is a pause of it
GRID_S = 0.01  # between the starts of cuts that are compared
SEAM_S = 0.02  # of cross-fade where a short recording starts again


@functools.lru_cache(maxsize=64)
def read_mono(path: str | Path, rate: int) -> np.ndarray:
    """A whole file as mono float32 at `rate` Hz; those of late are kept."""
    heard = hear(path)
    return resampled(mixed(heard.samples), heard.sample_rate, rate)


def cut(
    paths: Sequence[Path], length: int, rate: int, rng: np.random.Generator, needs: str
) -> tuple[Samples, str]:
    """`length` samples of one of the recordings, from a random start and not of its pauses; and its name.

    A short recording goes round, faded into itself. `DataError` where there is no recording (which `needs` names, such
    as "--noise FOLDER") or nothing but silence in those drawn.
    """
    if not paths:
        raise DataError(f"this kind of degradation needs recordings; give {needs}")
    for _ in range(TRIES):
        path = paths[int(rng.integers(len(paths)))]
        whole = read_mono(path, rate)
        if whole.any():
            return _piece(whole, length, rate, rng), path.stem
    raise DataError(f"{path}: is silent, and so are the others drawn; give {needs} with sound")


def _piece(whole: np.ndarray, length: int, rate: int, rng: np.random.Generator) -> Samples:
    """`length` samples from a random start; what is shorter goes round with cross-faded seams."""
    if len(whole) >= length:
        grid = max(1, round(GRID_S * rate))
        energy = np.concatenate([[0.0], np.cumsum(whole.astype(np.float64) ** 2)])
        power = (energy[length:] - energy[:-length])[::grid] / length
        loud = np.flatnonzero(power >= np.mean(whole**2) * 10 ** (SILENT_DB / 10))
        start = grid * int(rng.choice(loud))
        return whole[start : start + length].astype(np.float64)
    seam = min(round(SEAM_S * rate), len(whole) // 4)
    if seam:
        fade = np.sqrt(np.linspace(0, 1, seam))
        ring = whole[: len(whole) - seam].astype(np.float64)
        ring[:seam] = ring[:seam] * fade + whole[-seam:] * fade[::-1]
    else:
        ring = whole.astype(np.float64)
    start = int(rng.integers(len(ring)))
    return fit(np.resize(np.roll(ring, -start), length), length)
