"""Whisper's encoder (Radford et al. 2022), of transformers' modules.

It hears 30 s, no more and no less: a shorter clip is followed by silence, which all frames attend to, and the frames
beyond the clip are left out of its states; a longer one is heard in pieces of 30 s. So a clip of 3 s costs what one of
30 s does, and no clip changes another.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sqa_model.errors import ModelError
from sqa_model.network.fields import between, one_of
from sqa_model.network.hugging_face import (
    ACTIVATIONS,
    HuggingFaceBackbone,
    HuggingFaceConfig,
    transformers,
)

WINDOW = 400  # samples of a spectrum: 25 ms
HOP = 160  # samples between spectra: 10 ms
FRAME = 2 * HOP  # samples between frames
TOGETHER = 16  # pieces that a layer computes at a time, to bound what it needs of memory


@dataclass(frozen=True)
class WhisperConfig(HuggingFaceConfig):
    """Sizes of the encoder of a Whisper; the defaults are tiny."""

    kind: ClassVar[str] = "whisper"
    model_type: ClassVar[str | None] = "whisper"
    theirs: ClassVar[tuple[str, str]] = (
        "WhisperConfig",
        "models.whisper.modeling_whisper.WhisperEncoder",
    )

    d_model: int = between(384, 2, 16_384)
    encoder_layers: int = between(4, 1, 256)
    encoder_attention_heads: int = between(6, 1, 1_024)
    encoder_ffn_dim: int = between(1_536, 1, 65_536)
    activation_function: str = one_of(*ACTIVATIONS)
    num_mel_bins: int = between(80, 1, 1_024)
    max_source_positions: int = between(1_500, 1, 15_000)  # frames of 20 ms in a piece
    dropout: float = between(0.0, 0, 0.95)
    attention_dropout: float = between(0.0, 0, 0.95)
    activation_dropout: float = between(0.0, 0, 0.95)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.d_model % self.encoder_attention_heads or self.d_model % 2:
            raise ModelError(
                f"d_model {self.d_model} is not a multiple of 2 and of encoder_attention_heads "
                f"{self.encoder_attention_heads}"
            )

    @property
    def dim(self) -> int:
        """Numbers in a frame."""
        return self.d_model

    @property
    def states(self) -> int:
        """Layers whose output the encoder yields: the input of the transformer, then each layer's output."""
        return self.encoder_layers + 1

    def build(self) -> "Whisper":
        """The encoder, with random weights."""
        return Whisper(self)


class Whisper(HuggingFaceBackbone):
    """16 kHz waveforms -> the states (frames, dim) of every layer, clips packed; the last is normed."""

    prefixes = ("model.encoder.", "encoder.")
    exact = ("model.conv1.",)

    def __init__(self, config: WhisperConfig) -> None:
        super().__init__()
        self.config = config
        self.model = config.library_model(attn_implementation="sdpa")
        self.filters = transformers(config.kind).audio_utils.mel_filter_bank(
            num_frequency_bins=WINDOW // 2 + 1,
            num_mel_filters=config.num_mel_bins,
            min_frequency=0,
            max_frequency=8_000,
            sampling_rate=16_000,
            norm="slaney",
            mel_scale="slaney",
        )  # (bins, mels) float64

    def lengths(self, samples: list[int]) -> list[int]:
        """Frames of clips of so many samples; at least one."""
        return [max(1, -(-n // FRAME)) for n in samples]

    def stacks(self) -> list[list[nn.Module]]:
        """The transformer's layers."""
        return [list(self.model.layers)]

    def forward(self, waves: list[Tensor]) -> Iterator[Tensor]:
        """Yield the states, (frames, dim) each: the transformer's input, then every layer's output."""
        model, whole = self.model, self.config.max_source_positions * FRAME
        pieces = [piece for wave in waves for piece in wave.split(whole)]
        lengths = self.lengths([len(piece) for piece in pieces])
        mels = torch.stack([self.log_mel(F.pad(piece, (0, whole - len(piece)))) for piece in pieces])
        x = F.gelu(model.conv1(mels.to(model.conv1.weight.dtype)))  # (pieces, dim, spectra)
        x = F.gelu(model.conv2(x.to(model.conv2.weight.dtype))).transpose(1, 2)  # (pieces, frames, dim)
        x = F.dropout(x + model.embed_positions.weight, model.dropout, self.training)
        for layer in model.layers:
            yield heard(x, lengths)
            x = torch.cat([layer(some, None) for some in x.split(TOGETHER)])
        yield model.layer_norm(heard(x, lengths))

    def log_mel(self, wave: Tensor) -> Tensor:
        """(samples,) -> (mels, samples / HOP) of a piece, about -1 to 2; always fp32."""
        with torch.autocast(wave.device.type, enabled=False):
            window = torch.hann_window(WINDOW, dtype=torch.float32, device=wave.device)
            spectra = torch.stft(wave.float(), WINDOW, HOP, window=window, return_complex=True)
            power = torch.view_as_real(spectra[:, :-1]).square().sum(-1)  # (bins, spectra)
            filters = torch.as_tensor(self.filters, dtype=torch.float32, device=wave.device)
            decades = (filters.t() @ power).clamp(min=1e-10).log10()
            return (torch.maximum(decades, decades.max() - 8) + 4) / 4


def heard(x: Tensor, lengths: list[int]) -> Tensor:
    """The frames of pieces that belong to their clips: (pieces, frames, dim) -> (frames in all, dim)."""
    return torch.cat([piece[:length] for piece, length in zip(x, lengths, strict=True)])
