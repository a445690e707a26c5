"""wav2vec 2.0 and XLS-R (Baevski et al. 2020), HuBERT (Hsu et al. 2021), data2vec (Baevski et al. 2022).

All are convolutions over samples and a transformer, of transformers' modules. The convolutions hear one clip at a time:
the first norm of base models is over a clip's time, and the positions of data2vec see further than a clip's end. All
else is computed for packed clips at once.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sqa_model.errors import ModelError
from sqa_model.network.backbone import normalized
from sqa_model.network.fields import between, one_of
from sqa_model.network.hugging_face import ACTIVATIONS, PACKED, HuggingFaceBackbone, HuggingFaceConfig
from sqa_model.network.wavlm import KERNELS, STRIDES, rounds_well


@dataclass(frozen=True)
class ConvolutionalConfig(HuggingFaceConfig):
    """What these families share; the defaults are base."""

    only: ClassVar[dict[str, Any]] = {"adapter_attn_dim": None}

    hidden_size: int = between(768, 1, 16_384)
    num_hidden_layers: int = between(12, 1, 256)
    num_attention_heads: int = between(12, 1, 1_024)
    intermediate_size: int = between(3_072, 1, 65_536)
    hidden_act: str = one_of(*ACTIVATIONS)
    layer_norm_eps: float = between(1e-5, 1e-12, 0.1)
    feat_extract_activation: str = one_of(*ACTIVATIONS)
    conv_dim: tuple[int, ...] = between((512,) * 7, 1, 8_192)
    conv_kernel: tuple[int, ...] = between(KERNELS, 1, 1_024)
    conv_stride: tuple[int, ...] = between(STRIDES, 1, 1_024)
    conv_bias: bool = False
    num_conv_pos_embeddings: int = between(128, 1, 4_096)
    num_conv_pos_embedding_groups: int = between(16, 1, 16_384)
    hidden_dropout: float = between(0.1, 0, 0.95)
    activation_dropout: float = between(0.1, 0, 0.95)
    attention_dropout: float = between(0.1, 0, 0.95)
    feat_proj_dropout: float = between(0.0, 0, 0.95)
    normalize: bool = False  # shift and scale each waveform to mean 0 and variance 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not len(self.conv_dim) == len(self.conv_kernel) == len(self.conv_stride):
            raise ModelError("conv_dim, conv_kernel and conv_stride differ in length")
        for name in ("num_attention_heads", "num_conv_pos_embedding_groups"):
            if self.hidden_size % getattr(self, name):
                raise ModelError(
                    f"hidden_size {self.hidden_size} is not a multiple of {name} {getattr(self, name)}"
                )

    @property
    def dim(self) -> int:
        """Numbers in a frame."""
        return self.hidden_size

    @property
    def states(self) -> int:
        """Layers whose output the encoder yields: the input of the transformer, then each layer's output."""
        return self.num_hidden_layers + 1

    @property
    def pre_norm(self) -> bool:
        """Whether the transformer's norms are inside its skip connections."""
        return False

    def build(self) -> "Wav2Vec2":
        """The encoder, with random weights."""
        return Wav2Vec2(self)


@dataclass(frozen=True)
class Wav2Vec2Config(ConvolutionalConfig):
    """Sizes of a wav2vec 2.0; XLS-R has the norms of a large one: "layer" and stable."""

    kind: ClassVar[str] = "wav2vec2"
    model_type: ClassVar[str | None] = "wav2vec2"
    theirs: ClassVar[tuple[str, str]] = ("Wav2Vec2Config", "Wav2Vec2Model")
    feat_extract_norm: str = one_of("group", "layer")
    do_stable_layer_norm: bool = False  # norms inside the skip connections

    @property
    def pre_norm(self) -> bool:
        """Whether the transformer's norms are inside its skip connections."""
        return self.do_stable_layer_norm


@dataclass(frozen=True)
class HubertConfig(Wav2Vec2Config):
    """Sizes of a HuBERT."""

    kind: ClassVar[str] = "hubert"
    model_type: ClassVar[str | None] = "hubert"
    theirs: ClassVar[tuple[str, str]] = ("HubertConfig", "HubertModel")
    feat_proj_layer_norm: bool = True
    conv_pos_batch_norm: bool = False


@dataclass(frozen=True)
class Data2VecConfig(ConvolutionalConfig):
    """Sizes of a data2vec for audio: a stack of convolutions tells where a frame is."""

    kind: ClassVar[str] = "data2vec-audio"
    model_type: ClassVar[str | None] = "data2vec-audio"
    theirs: ClassVar[tuple[str, str]] = ("Data2VecAudioConfig", "Data2VecAudioModel")
    num_conv_pos_embeddings: int = between(5, 1, 64)  # convolutions
    conv_pos_kernel_size: int = between(19, 1, 4_096)


class Wav2Vec2(HuggingFaceBackbone):
    """16 kHz waveforms -> the states (frames, dim) of every layer, clips packed."""

    def __init__(self, config: ConvolutionalConfig) -> None:
        super().__init__()
        self.config = config
        self.model = config.library_model(attn_implementation=PACKED)
        # what stands for masked frames: none is masked
        self.model.masked_spec_embed = None
        self.prefixes = (f"{self.model.base_model_prefix}.",)
        self.unused = r"masked_spec_embed|adapter\..*|.*\.num_batches_tracked"
        if config.pre_norm:  # the norm after the last layer is in no state
            self.model.encoder.layer_norm = nn.Identity()
            self.unused += r"|encoder\.layer_norm\..*"
        self.exact = ("model.feature_extractor.conv_layers.0.",)
        inside = config.hidden_size // config.num_conv_pos_embedding_groups
        embed = self.model.encoder.pos_conv_embed
        if (norm := getattr(embed, "batch_norm", None)) is not None:
            embed.batch_norm = StillBatchNorm(norm)
        if norm is not None or not rounds_well(inside):
            self.exact += ("model.encoder.pos_conv_embed.",)

    @property
    def field(self) -> int:
        """Samples that one frame sees."""
        field, hop = 1, 1
        for kernel, stride in zip(self.config.conv_kernel, self.config.conv_stride, strict=True):
            field, hop = field + (kernel - 1) * hop, hop * stride
        return field

    def lengths(self, samples: list[int]) -> list[int]:
        """Frames of clips of so many samples; a clip of less than one frame (25 ms) counts as one."""
        field, hop = self.field, math.prod(self.config.conv_stride)
        return [max(0, n - field) // hop + 1 for n in samples]

    def stacks(self) -> list[list[nn.Module]]:
        """The transformer's layers."""
        return [list(self.model.encoder.layers)]

    def forward(self, waves: list[Tensor]) -> Iterator[Tensor]:
        """Yield the states, (frames, dim) each: the transformer's input, then every layer's output."""
        lengths, encoder = self.lengths([len(w) for w in waves]), self.model.encoder
        frames = torch.cat([self.convolved(w) for w in waves])  # (frames, channels)
        x = self.model.feature_projection(frames.unsqueeze(0))
        x = x[0] if isinstance(x, tuple) else x  # (1, frames, dim)
        x = x + self.positions(x, lengths)
        x = encoder.layer_norm(x)  # of a model with pre-norm that is nothing
        x = encoder.dropout(x)
        for layer in encoder.layers:
            yield x[0]
            x = layer(x, lengths=lengths)
        yield x[0]

    def convolved(self, wave: Tensor) -> Tensor:
        """One clip: (samples,) -> (frames, channels)."""
        first, *others = self.model.feature_extractor.conv_layers
        wave = normalized(wave) if self.config.normalize else wave
        x = F.pad(wave, (0, max(0, self.field - len(wave))))[None, None]
        # a waveform rounded to bfloat16's 8 bits would be noisy
        with torch.autocast(wave.device.type, enabled=False):
            x = first(x.float())  # (1, channels, frames)
        for layer in others:
            x = layer(x.to(layer.conv.weight.dtype))
        return x[0].t().to(self.model.feature_projection.projection.weight.dtype)

    def positions(self, x: Tensor, lengths: list[int]) -> Tensor:
        """Where each frame is, from its surroundings in its clip: (1, frames, dim) -> the same."""
        embed = self.model.encoder.pos_conv_embed
        dtype = next(embed.parameters()).dtype
        clips = [embed(clip) for clip in x.to(dtype).split(lengths, 1)]
        return torch.cat(clips, 1).to(x.dtype)


class StillBatchNorm(nn.Module):
    """The norm before the positions of some HuBERTs, by its published statistics in training, too.

    By the statistics of a batch clips would change each other.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, norm: nn.BatchNorm1d) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        self.register_buffer("running_mean", norm.running_mean)
        self.register_buffer("running_var", norm.running_var)

    def forward(self, x: Tensor) -> Tensor:
        """(1, channels, frames) -> the same."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
