"""What a speech encoder is, for everything above it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from sqa_model.network.fields import check_ranges


class Backbone(nn.Module, ABC):
    """16 kHz waveforms -> the states (frames, dim) of its layers, clips packed one behind the other.

    A clip's states must not depend on the clips beside it.
    """

    # beginnings of the names of weights that `MosModel.inference_copy` keeps in fp32, where rounding costs accuracy
    exact: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def lengths(self, samples: list[int]) -> list[int]:
        """Frames of clips of so many samples; at least one each."""

    @abstractmethod
    def forward(self, waves: list[Tensor]) -> Iterator[Tensor]:
        """Yield one (frames, dim) a state, of fp32 waveforms (samples,); frames: the sum of `lengths`."""

    @abstractmethod
    def stacks(self) -> list[list[nn.Module]]:
        """The layers of each encoder in it (one, as a rule), from the waveform up.

        Training unfreezes the last of each stack first, and may compute each layer's activations anew. LoRA's factors
        stand beside the linear maps in them that are called as an `nn.Linear`, or are a `SelfAttention`'s.
        """


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
