"""Several encoders as one backbone: their frames are aligned in time and lie side by side.

As in UrgentMOS: every encoder has its own mix of layers, for a layer's place means nothing in another encoder, and the
frames of a clip are interpolated to those of the encoder that gives most.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sqa_model.errors import ModelError
from sqa_model.network.backbone import Backbone, BackboneConfig

MOST = 8  # encoders


@dataclass(frozen=True)
class GroupConfig(BackboneConfig):
    """The encoders of a group; in configuration files a list of theirs."""

    kind: ClassVar[str] = "group"
    encoders: tuple[BackboneConfig, ...] = ()

    def __post_init__(self) -> None:
        if not 2 <= len(self.encoders) <= MOST:
            raise ModelError(f"found {len(self.encoders)} encoders; a group has 2 to {MOST}")
        if any(isinstance(encoder, GroupConfig) for encoder in self.encoders):
            raise ModelError("a group of encoders cannot hold another group")

    @property
    def dim(self) -> int:
        """Numbers in a frame of the widest encoder."""
        return max(encoder.dim for encoder in self.encoders)

    @property
    def states(self) -> int:
        """States of all its encoders."""
        return sum(encoder.states for encoder in self.encoders)

    @property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """(states, dim) of each encoder."""
        return tuple((encoder.states, encoder.dim) for encoder in self.encoders)

    def build(self) -> "Group":
        """The encoders, with random weights."""
        return Group(self)

    def record(self) -> Any:
        """The encoders' records, as a list."""
        return [encoder.record() for encoder in self.encoders]


class Group(Backbone):
    """Waveforms -> the states of one encoder after the other, each of its own width, all of the same frames."""

    def __init__(self, config: GroupConfig) -> None:
        super().__init__()
        self.config = config
        self.encoders = nn.ModuleList(encoder.build() for encoder in config.encoders)
        self.exact = tuple(f"encoders.{i}.{name}" for i, e in enumerate(self.members) for name in e.exact)

    @property
    def members(self) -> list[Backbone]:
        """The encoders."""
        return [encoder for encoder in self.encoders if isinstance(encoder, Backbone)]

    def lengths(self, samples: list[int]) -> list[int]:
        """Frames of clips of so many samples: those of the encoder that gives most."""
        return [max(counts) for counts in zip(*(e.lengths(samples) for e in self.members), strict=True)]

    def stacks(self) -> list[list[nn.Module]]:
        """The layers of each encoder."""
        return [stack for encoder in self.members for stack in encoder.stacks()]

    def forward(self, waves: list[Tensor]) -> Iterator[Tensor]:
        """Yield the states, (frames, an encoder's dim) each."""
        samples = [len(wave) for wave in waves]
        longest = self.lengths(samples)
        for encoder in self.members:
            lengths = encoder.lengths(samples)
            for state in encoder(waves):
                yield aligned(state, lengths, longest)


def aligned(state: Tensor, lengths: list[int], wanted: list[int]) -> Tensor:
    """Each clip's frames interpolated to so many: (sum of lengths, dim) -> (sum of wanted, dim).

    >>> aligned(torch.tensor([[0.0], [1.0], [5.0]]), [2, 1], [4, 1]).flatten().tolist()
    [0.0, 0.25, 0.75, 1.0, 5.0]
    """
    if lengths == wanted:
        return state
    clips = [
        clip
        if len(clip) == frames
        else F.interpolate(clip.t().unsqueeze(0), frames, mode="linear", align_corners=False)[0].t()
        for clip, frames in zip(state.split(lengths), wanted, strict=True)
    ]
    return torch.cat(clips)
