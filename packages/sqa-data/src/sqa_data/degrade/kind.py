"""What a kind of degradation is: its family, its act, and the world that it may draw on.

A *kind* is one function `(speech, severity, world) -> (degraded, settings)`: mono float64 samples at `world.rate` in,
as many samples out, in time with what went in (only edges change the length, and that of the reference); severity from
0 (mildest) to 1 (as bad as it gets). `settings` says what happened, measured after it happened.
"""

import enum
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sqa_data.degrade.signal import Samples

Settings = dict[str, float | str | list[float]]


class Family(enum.IntEnum):
    """The families of degradations, in the order in which speech meets them on its way from mouth to ear."""

    ROOM = 0
    NOISE = 1
    CAPTURE = 2
    ENHANCER = 3
    SYNTHESIS = 4
    BAND = 5
    CODEC = 6
    NETWORK = 7
    PLAYBACK = 8
    EDGES = 9

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True)
class Surroundings:
    """What the kinds of one split may use besides the speech: recordings, and networks for those that need one."""

    noises: Sequence[Path] = ()
    talkers: Sequence[Path] = ()  # speech of other people
    rooms: Sequence[Path] = ()  # recorded impulse responses
    models: Path | None = None  # a folder of network weights, a folder for each


@dataclass(frozen=True)
class World:
    """What a kind sees besides the samples that reach it."""

    rng: np.random.Generator  # its own stream: no other step's draws move with it
    rate: int  # Hz
    clean: Samples  # as the talker spoke it
    speech: Samples  # as it reached the microphone: after the room, before any noise
    around: Surroundings
    # what earlier steps leave for later ones, such as the room that both are in
    notes: dict[str, Any] = field(default_factory=dict)

    def frames(self, seconds: float) -> int:
        """How many samples a time is, at least one."""
        return max(1, round(seconds * self.rate))


NARROW, REMADE = "narrow band at once", "another waveform at once"  # see `Kind.mildest`

Act = Callable[[Samples, float, World], tuple[Samples, Settings]]


def _here(around: Surroundings) -> str | None:
    return None


def needs(module: str, package: str) -> Callable[[Surroundings], str | None]:
    """What a kind of a Python package lacks (see `Kind.missing`); `package`: PyPI's name of it. It is not imported."""

    def missing(around: Surroundings) -> str | None:
        absent = importlib.util.find_spec(module) is None
        return f"needs {module}: pip install {package}" if absent else None

    return missing


@dataclass(frozen=True)
class Kind:
    """One way to damage speech."""

    family: Family
    act: Act
    # why it cannot run with these surroundings on this machine, in a few words; None if it can
    missing: Callable[[Surroundings], str | None] = _here
    # what is heard even at severity 0, where that is plainly audible and cannot be milder
    mildest: str = ""


@dataclass(frozen=True)
class Step:
    """One link of a chain: the kind and how hard (0 to 1)."""

    kind: str
    severity: float
