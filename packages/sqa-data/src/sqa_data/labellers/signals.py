"""One clip as labellers hear it: decoded once, at any rate, with its reference."""

import functools
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sqa_data.audio import Heard, hear, mixed
from sqa_data.audio.resampling import resampled
from sqa_data.errors import DataError

# input times output samples of one period of a resampling: what a table of all its phases holds. 44.1 to 16 kHz
# has 70,560; 15,949 Hz to 16 kHz would have 255 million, gigabytes in packages that build such a table
MOST_PHASES = 1 << 23


class ClipError(DataError):
    """This clip cannot be scored, for the reason given: it becomes an error row, and the others go on."""


@dataclass(frozen=True)
class Signals:
    """A degraded clip and, for full-reference metrics, its reference; `AudioError` where one cannot be read."""

    path: Path
    reference: Path | None = None
    _at_rates: dict[tuple[Path, int], np.ndarray] = field(default_factory=dict, repr=False, compare=False)

    @functools.cached_property
    def rate(self) -> int:
        """The clip's own rate in Hz."""
        return self._heard.sample_rate

    def simple_rate(self, wanted: int) -> int:
        """The clip's own rate, for packages that resample to `wanted` Hz themselves.

        Of a rate whose ratio to `wanted` has large terms it is `wanted`: their memory grows with these terms.
        """
        common = math.gcd(self.rate, wanted)
        return wanted if self.rate // common * (wanted // common) > MOST_PHASES else self.rate

    def channels(self, rate: int | None = None) -> np.ndarray:
        """All channels (channels, samples), float32, at `rate` Hz (None: the clip's own).

        By Fourier transform, since it keeps the whole band: soxr's gentle slope at the top of it costs a clip of
        15,949 Hz half a point of Distill-MOS.
        """
        samples = self._heard.samples
        if rate is None or rate == self.rate:
            return samples.T
        import scipy.signal

        length = -(-len(samples) * rate // self.rate)
        return np.ascontiguousarray(scipy.signal.resample(samples.T, length, axis=1), np.float32)

    def samples(self, rate: int | None = None) -> np.ndarray:
        """Mono float32 (samples,) at `rate` Hz: the mean of the channels, by soxr HQ as librosa resamples."""
        return self._at(self.path, self.rate if rate is None else rate)

    def pair(self, rate: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(reference, degraded) at `rate` Hz, same length: the longer one loses its end, at most 5 % of it.

        `ClipError` where the two differ by more, since full-reference metrics need aligned signals.
        """
        if self.reference is None:
            raise ClipError(f"{self.path}: has no reference")
        rate = self.rate if rate is None else rate
        reference, degraded = self._at(self.reference, rate), self._at(self.path, rate)
        short, long = sorted((len(reference), len(degraded)))
        if short < 0.95 * long:
            raise ClipError(
                f"{self.path}: {len(degraded) / rate:.2f} s, but its reference {self.reference} has "
                f"{len(reference) / rate:.2f} s; expected the same speech, aligned"
            )
        return reference[:short], degraded[:short]

    @functools.cached_property
    def _heard(self) -> Heard:
        return hear(self.path)

    def _at(self, path: Path, rate: int) -> np.ndarray:
        if (path, rate) not in self._at_rates:
            heard = self._heard if path == self.path else hear(path)
            self._at_rates[path, rate] = _at_rate(mixed(heard.samples), heard.sample_rate, rate)
        return self._at_rates[path, rate]


def _at_rate(mono: np.ndarray, found: int, rate: int) -> np.ndarray:
    """(samples,) at `found` Hz -> (samples,) at `rate` Hz."""
    if found == rate:
        return mono
    length = -(-len(mono) * rate // found)
    changed = resampled(mono, found, rate)[:length]
    return np.pad(changed, (0, length - len(changed)))
