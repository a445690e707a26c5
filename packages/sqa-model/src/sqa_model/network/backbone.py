"""What a speech encoder is, for everything above it; and the sizes of a network, checked before it is built.

The ranges of sizes are wide enough for any network that fits a machine, and narrow enough that building one from a
hostile file fails at once.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, ClassVar, TypeVar

from torch import Tensor, nn

from sqa_model.errors import ModelError

Config = TypeVar("Config")
RANGE = "range"
# type of a field -> what a message calls it, and what is accepted
KINDS: dict[object, tuple[str, type | UnionType]] = {
    int: ("a whole number", int),
    float: ("a number", int | float),
    bool: ("true or false", bool),
}


def between(default: Any, low: float, high: float) -> Any:
    """A field of a dataclass whose value lies within these bounds, both included."""
    return dataclasses.field(default=default, metadata={RANGE: (low, high)})


def check_ranges(config: Any) -> None:
    """Raise `ModelError` for a number that has the wrong type or lies outside its field's range."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if field.type not in KINDS:
            continue
        expected, accepted = KINDS[field.type]
        if not isinstance(value, accepted) or isinstance(value, bool) != (field.type is bool):
            raise ModelError(f"{field.name} must be {expected}, found {value!r:.50}")
        low, high = field.metadata.get(RANGE, (-float("inf"), float("inf")))
        if not low <= value <= high:
            raise ModelError(f"{field.name} is {value!r:.50}; expected {expected} from {low:,} to {high:,}")


def from_record(cls: type[Config], record: Mapping[str, Any], what: str) -> Config:
    """A dataclass from a JSON object; ModelError names unknown keys, wrong types and numbers out of range."""
    known = [f.name for f in dataclasses.fields(cls)]  # type: ignore[arg-type]
    unknown = sorted(set(record) - set(known))
    if unknown:
        raise ModelError(f"{what}: unknown {', '.join(unknown)[:200]}; expected {', '.join(known)}")
    try:
        return cls(**record)
    except ModelError as error:
        raise ModelError(f"{what}: {error}") from error


class Backbone(nn.Module, ABC):
    """16 kHz waveforms -> the states (frames, dim) of its layers, clips packed one behind the other.

    A clip's states must not depend on the clips beside it.
    """

    @abstractmethod
    def lengths(self, samples: list[int]) -> list[int]:
        """Frames of clips of so many samples; at least one each."""

    @abstractmethod
    def forward(self, waves: list[Tensor]) -> Iterator[Tensor]:
        """Yield one (frames, dim) a state, of fp32 waveforms (samples,); frames: the sum of `lengths`."""


@dataclass(frozen=True)
class BackboneConfig(ABC):
    """Sizes of an encoder: the base of a frozen dataclass of numbers, each `between` bounds, with a default."""

    kind: ClassVar[str]  # its name in configuration files

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    @abstractmethod
    def dim(self) -> int:
        """Numbers in a frame; a field of the dataclass."""

    @property
    @abstractmethod
    def states(self) -> int:
        """Layers whose output the encoder yields."""

    @abstractmethod
    def build(self) -> Backbone:
        """The encoder, with random weights."""
