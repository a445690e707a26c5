"""One clip as every labeller hears it: the mean of its channels, decoded once, at any rate, with its reference."""

import functools
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sqa_data.audio import Fact, hear, mixed, signal_facts, silence
from sqa_data.audio.resampling import resampled
from sqa_data.errors import DataError
from sqa_data.labellers.alignment import MISALIGNED_S, lag

# input times output samples of one period of a resampling: what a table of all its phases holds. 44.1 to 16 kHz
# has 70,560; 15,949 Hz to 16 kHz would have 255 million, gigabytes in packages that build such a table
MOST_PHASES = 1 << 23
LAG_RATE = (
    16_000  # Hz, at most: what is above says nothing more of a lag, and most metrics need this rate anyway
)
SHORTER_S = 0.02  # of the longer of clip and reference, what may be lost without a word


class ClipError(DataError):
    """This clip cannot be scored, for the reason given: it becomes an error row, and the others go on."""


@dataclass(frozen=True)
class Signals:
    """A degraded clip and, for full-reference metrics, its reference; `AudioError` where one cannot be read.

    The one rule of channels, for every label: the mean of them, as `predict` and `train` hear a clip. The one rule of
    silence: `ClipError` for a clip or reference whose samples are all equal, since no label says anything about it.
    """

    path: Path
    reference: Path | None = None

    @property
    def rate(self) -> int:
        """The clip's own rate in Hz."""
        return self._clip.rate

    def simple_rate(self, wanted: int) -> int:
        """The clip's own rate, for packages that resample to `wanted` Hz themselves.

        Of a rate whose ratio to `wanted` has large terms it is `wanted`: their memory grows with these terms.
        """
        common = math.gcd(self.rate, wanted)
        return wanted if self.rate // common * (wanted // common) > MOST_PHASES else self.rate

    def whole_band(self, rate: int) -> np.ndarray:
        """Float32 (samples,) at `rate` Hz by Fourier transform, which keeps the band up to its very edge.

        soxr's gentle slope there costs a clip of 15,949 Hz half a point of Distill-MOS.
        """
        samples = self.samples()
        if rate == self.rate:
            return samples
        import scipy.signal

        length = -(-len(samples) * rate // self.rate)
        return np.asarray(scipy.signal.resample(samples, length), np.float32)

    def samples(self, rate: int | None = None) -> np.ndarray:
        """Float32 (samples,) at `rate` Hz (None: the clip's own), of the length that soxr gives them."""
        return self._sounding(self._clip, "clip").at(rate or self.rate)

    def pair(self, rate: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(reference, degraded) at `rate` Hz, same length: the longer one loses its end, at most 5 % of it.

        `ClipError` where the two differ by more, since full-reference metrics need aligned signals.
        """
        if self.reference is None:
            raise ClipError(f"{self.path}: has no reference")
        rate = rate or self.rate
        reference, degraded = self._sounding(self._clean, "reference").at(rate), self.samples(rate)
        short, long = sorted((len(reference), len(degraded)))
        if short < 0.95 * long:
            raise ClipError(
                f"{self.path}: {len(degraded) / rate:.2f} s, but its reference {self.reference} has "
                f"{len(reference) / rate:.2f} s; expected the same speech, aligned"
            )
        return reference[:short], degraded[:short]

    def warnings(self, compared: bool) -> tuple[str, ...]:
        """What may mislead whoever uses a label of this clip; where it is `compared`, of its reference and both too."""
        of_clip = tuple(map(str, self._clip.facts))
        return (*of_clip, *self._of_the_pair) if compared else of_clip

    @functools.cached_property
    def _of_the_pair(self) -> tuple[str, ...]:
        found = [f"reference {fact}" for fact in self._clean.facts]
        longer_s = len(self._clip.samples) / self.rate - len(self._clean.samples) / self._clean.rate
        if abs(longer_s) > SHORTER_S:
            longer = "clip" if longer_s > 0 else "reference"
            found.append(f"lengths: the last {1000 * abs(longer_s):.0f} ms of the {longer} are not compared")
        rate = min(self.rate, LAG_RATE)
        behind_s = lag(*self.pair(rate), rate)
        if behind_s is not None and abs(behind_s) >= MISALIGNED_S:
            where = "behind" if behind_s > 0 else "ahead of"
            found.append(f"misaligned: the clip is {1000 * abs(behind_s):.1f} ms {where} its reference")
        return tuple(found)

    @functools.cached_property
    def _clip(self) -> "_Mono":
        return _Mono.of(self.path)

    @functools.cached_property
    def _clean(self) -> "_Mono":
        assert self.reference is not None
        return _Mono.of(self.reference)

    def _sounding(self, mono: "_Mono", name: str) -> "_Mono":
        if found := silence(mono.samples, mono.facts):
            raise ClipError(f"{self.path}: the {name} is {found}")
        return mono


@dataclass(frozen=True)
class _Mono:
    """The mean of a file's channels, and what about them may mislead."""

    samples: np.ndarray  # (samples,) float32
    rate: int
    facts: tuple[Fact, ...]
    _at_rates: dict[int, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, path: Path) -> "_Mono":
        heard = hear(path)
        facts = (*heard.facts, *signal_facts(heard.samples, heard.sample_rate))
        return cls(mixed(heard.samples), heard.sample_rate, facts)

    def at(self, rate: int) -> np.ndarray:
        if rate not in self._at_rates:
            self._at_rates[rate] = resampled(self.samples, self.rate, rate)
        return self._at_rates[rate]
