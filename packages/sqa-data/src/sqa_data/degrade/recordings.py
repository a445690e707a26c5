"""Cuts of recordings that lie around the speech: noises, other talkers, rooms."""

import functools
import logging
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sqa_data.audio import AudioInfo, hear, look, mixed
from sqa_data.audio.resampling import resampled
from sqa_data.degrade.signal import Samples, fit
from sqa_data.errors import AudioError, DataError

logger = logging.getLogger(__name__)

SILENT_DB = -40.0  # under the whole recording: a cut so quiet is a pause of it
GRID_S = 0.01  # between the starts of cuts that are compared
SEAM_S = 0.02  # of cross-fade where a short recording starts again
PART_S = 60.0  # of a long recording that is read for a cut
PARTS = 8  # of a long recording to try until one is not silent
LOWEST_HZ, HIGHEST_HZ = 8000, 48_000  # rates that kinds work at


@functools.lru_cache(maxsize=100_000)
def facts(path: Path) -> AudioInfo:
    """Length and rate of a file, which is looked at once."""
    return look(path)


def own_rate(path: Path) -> int:
    """The rate of a file in Hz, or the nearest that kinds work at."""
    return min(max(facts(path).sample_rate, LOWEST_HZ), HIGHEST_HZ)


def read_mono(path: str | Path, rate: int, start_s: float = 0.0, most_s: float = math.inf) -> np.ndarray:
    """A file, or a part of it, as mono float32 at `rate` Hz."""
    heard = hear(path, start_s=start_s, most_s=most_s)
    return resampled(mixed(heard.samples), heard.sample_rate, rate)


_of_late = functools.lru_cache(maxsize=32)(read_mono)  # at most 12 MB each at 48 kHz


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
            for part in _parts(path, length, rate, rng):
                if part.any():
                    return _piece(part, length, rate, rng), path.stem
        except AudioError as error:
            tell_once(f"{error}; passed over")
    raise DataError(f"{path}: is silent or cannot be read, as are all {len(paths)}; give {needs} with sound")


def _drawn(count: int, rng: np.random.Generator) -> Iterator[int]:
    """A random one, then, if that is of no use, all in random order."""
    yield int(rng.integers(count))
    yield from rng.permutation(count).tolist()


def _parts(path: Path, length: int, rate: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The whole recording, or of a long one some parts at random places: hours of it would not fit into memory."""
    part_s = max(PART_S, 2 * length / rate)
    rest_s = facts(path).duration_s - part_s
    if rest_s <= 0:
        yield _of_late(path, rate)
        return
    places = rng.permutation(math.ceil(rest_s / part_s) + 1)[:PARTS]
    for place in places.tolist():
        yield _of_late(path, rate, min(place * part_s, rest_s), part_s)


@functools.cache
def tell_once(text: str) -> None:
    """Log a warning that many clips may have the same cause for."""
    logger.warning("%s", text)


def _piece(whole: np.ndarray, length: int, rate: int, rng: np.random.Generator) -> Samples:
    """`length` samples from a random start; what is shorter goes round with cross-faded seams."""
    if len(whole) >= length:
        last = len(whole) - length
        starts = np.append(
            np.arange(0, last, max(1, round(GRID_S * rate))), last
        )  # all of it is in one of the cuts
        edges = np.union1d(starts, starts + length)
        energy = np.cumsum(np.append(0.0, np.add.reduceat(np.square(whole), edges[:-1])))  # until each edge
        until, before = (energy[np.searchsorted(edges, at)] for at in (starts + length, starts))
        power = (until - before) / length
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
