"""Cuts of recordings that lie around the speech: noises, other talkers, rooms."""

import functools
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sqa_data.audio import hear, mixed
from sqa_data.audio.resampling import resampled
from sqa_data.degrade.signal import Samples, fit
from sqa_data.errors import AudioError, DataError

logger = logging.getLogger(__name__)

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

    A short recording goes round, faded into itself. What is silent or cannot be read is passed over (the log names what
    cannot). `DataError` where there is no recording (which `needs` names, such as "--noise FOLDER") or none is of use.
    """
    if not paths:
        raise DataError(f"this kind of degradation needs recordings; give {needs}")
    for path in (paths[index] for index in _drawn(len(paths), rng)):
        try:
            whole = read_mono(path, rate)
        except AudioError as error:
            _tell_once(f"{error}; passed over")
            continue
        if whole.any():
            return _piece(whole, length, rate, rng), path.stem
    raise DataError(f"{path}: is silent or cannot be read, as are all {len(paths)}; give {needs} with sound")


def _drawn(count: int, rng: np.random.Generator) -> Iterator[int]:
    """A random one, then, if that is of no use, all in random order."""
    yield int(rng.integers(count))
    yield from rng.permutation(count).tolist()


@functools.cache
def _tell_once(text: str) -> None:
    logger.warning("%s", text)


def _piece(whole: np.ndarray, length: int, rate: int, rng: np.random.Generator) -> Samples:
    """`length` samples from a random start; what is shorter goes round with cross-faded seams."""
    if len(whole) >= length:
        last = len(whole) - length
        starts = np.append(
            np.arange(0, last, max(1, round(GRID_S * rate))), last
        )  # all of it is in one of the cuts
        energy = np.concatenate([[0.0], np.cumsum(whole.astype(np.float64) ** 2)])
        power = (energy[starts + length] - energy[starts]) / length
        loud = np.flatnonzero(power >= np.mean(whole**2) * 10 ** (SILENT_DB / 10))
        start = int(starts[rng.choice(loud)])
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
