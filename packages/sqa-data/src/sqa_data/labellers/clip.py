"""One clip as metrics see it: decoded once, at any rate, with its reference."""

import functools
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile as sf

from sqa_data.errors import DataError


class ClipError(DataError):
    """This clip cannot be scored, for the reason given: it becomes an error row, and the others go on."""


@dataclass(frozen=True)
class Clip:
    """A degraded clip and, for full-reference metrics, its reference."""

    path: Path
    reference: Path | None = None
    _heard: dict[tuple[Path, int], np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    def channels(self) -> tuple[np.ndarray, int]:
        """All channels (channels, samples), float32, and the file's own rate in Hz."""
        return self._decoded

    def samples(self, rate: int) -> np.ndarray:
        """Mono float32 (samples,) at `rate` Hz: the mean of the channels, by soxr HQ as librosa resamples."""
        return self._at(self.path, rate)

    def pair(self, rate: int) -> tuple[np.ndarray, np.ndarray]:
        """(reference, degraded) at `rate` Hz, same length: the longer one loses its end, at most 5 % of it.

        `ClipError` where the two differ by more, since full-reference metrics need aligned signals.
        """
        if self.reference is None:
            raise ClipError(f"{self.path}: has no reference")
        reference, degraded = self._at(self.reference, rate), self._at(self.path, rate)
        short, long = sorted((len(reference), len(degraded)))
        if short < 0.95 * long:
            raise ClipError(
                f"{self.path}: {len(degraded) / rate:.2f} s, but its reference {self.reference} has "
                f"{len(reference) / rate:.2f} s; expected the same speech, aligned"
            )
        return reference[:short], degraded[:short]

    @functools.cached_property
    def _decoded(self) -> tuple[np.ndarray, int]:
        return _decode(self.path)

    def _at(self, path: Path, rate: int) -> np.ndarray:
        if (path, rate) not in self._heard:
            self._heard[path, rate] = _at_rate(
                path, *(self._decoded if path == self.path else _decode(path)), rate
            )
        return self._heard[path, rate]


def _decode(path: Path) -> tuple[np.ndarray, int]:
    try:
        samples, rate = sf.read(path, dtype="float32", always_2d=True)
    except (sf.LibsndfileError, OSError) as error:
        raise ClipError(f"{path}: cannot read the audio: {error}") from error
    if len(samples) == 0:
        raise ClipError(f"{path}: holds no samples")
    if not np.isfinite(samples).all():
        raise ClipError(f"{path}: holds samples that are not finite")
    return samples.T, rate


def _at_rate(path: Path, samples: np.ndarray, found: int, rate: int) -> np.ndarray:
    """(channels, samples) at `found` Hz -> (samples,) at `rate` Hz."""
    mono = samples.mean(axis=0) if len(samples) > 1 else samples[0]
    if found == rate:
        return mono
    try:
        import soxr
    except ImportError as error:
        raise DataError(
            f"{path}: {found} Hz, the metric wants {rate} Hz, and resampling needs soxr: "
            "pip install 'sqa-data[annotate]'"
        ) from error
    length = -(-len(mono) * rate // found)
    changed = soxr.resample(mono, found, rate, quality="HQ")[:length]
    return np.pad(changed, (0, length - len(changed)))
