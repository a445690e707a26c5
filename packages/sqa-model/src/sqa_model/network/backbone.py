"""What a speech encoder is, for everything above it."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from sqa_model.errors import ModelError
from sqa_model.network.fields import check_ranges

# fields that old checkpoints lack: left out at their default, so that old models keep their fingerprints
LATER = {"normalize": False}


class Backbone(nn.Module, ABC):
    """16 kHz waveforms -> the states (frames, dim) of its layers, clips packed one behind the other.

    A clip's states must not depend on the clips beside it.
    """

    # beginnings of the names of weights that `MosModel.inference_copy` keeps in fp32, where rounding costs accuracy
    exact: tuple[str, ...] = ()

    @property
    def members(self) -> "list[Backbone]":
        """The encoders in it: itself, but for a group."""
        return [self]

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
    model_type: ClassVar[str | None] = (
        None  # that of the library transformers, if such encoders are published with it
    )

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

    @property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """(states, dim) of each encoder whose states it yields, one after the other: only a group has several."""
        return ((self.states, self.dim),)

    @abstractmethod
    def build(self) -> Backbone:
        """The encoder, with random weights."""

    @classmethod
    def from_hugging_face(cls, settings: Mapping[str, Any], normalize: bool) -> Self:
        """The sizes of an encoder published with transformers' `config.json` and our `model_type`.

        `normalize` is what its preprocessor says of waveforms. Raises `ModelError` for what this encoder cannot be.
        """
        raise ModelError(f"{cls.kind} is no encoder of transformers")

    def record(self) -> Any:
        """The sizes as JSON, from which `backbones.read_backbone` makes them again."""
        sizes = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"kind": self.kind} | {k: v for k, v in sizes.items() if k not in LATER or v != LATER[k]}


def normalized(wave: Tensor) -> Tensor:
    """A waveform, shifted and scaled to mean 0 and variance 1, so that its level does not matter: (samples,)."""
    centred = wave - wave.mean()
    return centred / (centred.square().mean() + 1e-7).sqrt()
