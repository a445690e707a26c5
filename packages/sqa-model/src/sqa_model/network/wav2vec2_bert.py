"""w2v-BERT 2.0 (Seamless Communication 2023): a conformer on log-mel spectra, of transformers' modules.

Its attention knows places and its convolutions look back, so clips cannot lie one behind the other. Clips of about one
length go through a layer together, padded by at most a quarter and masked, which is exact here: every norm is of one
frame, and nothing of a clip hears what comes after it but by attention.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

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
SPECTRUM = 512  # samples of the transform
STRIDE = 2  # spectra in a frame
PADDING = 1.25  # the longest of clips that are computed together, over the shortest


@dataclass(frozen=True)
class Wav2Vec2BertConfig(HuggingFaceConfig):
    """Sizes of a w2v-BERT; the defaults are the published one's."""

    kind: ClassVar[str] = "wav2vec2-bert"
    model_type: ClassVar[str | None] = "wav2vec2-bert"
    theirs: ClassVar[tuple[str, str]] = ("Wav2Vec2BertConfig", "Wav2Vec2BertModel")
    only: ClassVar[dict[str, Any]] = {"position_embeddings_type": "relative_key"}

    hidden_size: int = between(1_024, 1, 16_384)
    num_hidden_layers: int = between(24, 1, 256)
    num_attention_heads: int = between(16, 1, 1_024)
    intermediate_size: int = between(4_096, 1, 65_536)
    feature_projection_input_dim: int = between(160, 2, 2_048)  # bands of two spectra
    hidden_act: str = one_of("swish", *ACTIVATIONS)
    layer_norm_eps: float = between(1e-5, 1e-12, 0.1)
    left_max_position_embeddings: int = between(64, 0, 65_536)
    right_max_position_embeddings: int = between(8, 0, 65_536)
    conv_depthwise_kernel_size: int = between(31, 1, 1_025)
    hidden_dropout: float = between(0.0, 0, 0.95)
    activation_dropout: float = between(0.0, 0, 0.95)
    attention_dropout: float = between(0.0, 0, 0.95)
    feat_proj_dropout: float = between(0.0, 0, 0.95)
    conformer_conv_dropout: float = between(0.1, 0, 0.95)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.hidden_size % self.num_attention_heads:
            raise ModelError(
                f"hidden_size {self.hidden_size} is not a multiple of num_attention_heads "
                f"{self.num_attention_heads}"
            )
        if self.feature_projection_input_dim % STRIDE or self.conv_depthwise_kernel_size % 2 == 0:
            raise ModelError("feature_projection_input_dim must be even, conv_depthwise_kernel_size odd")

    @property
    def dim(self) -> int:
        """Numbers in a frame."""
        return self.hidden_size

    @property
    def states(self) -> int:
        """Layers whose output the encoder yields: the input of the conformer, then each layer's output."""
        return self.num_hidden_layers + 1

    def build(self) -> "Wav2Vec2Bert":
        """The encoder, with random weights."""
        return Wav2Vec2Bert(self)


class Wav2Vec2Bert(HuggingFaceBackbone):
    """16 kHz waveforms -> the states (frames, dim) of every layer, clips packed."""

    prefixes = ("wav2vec2_bert.",)
    unused = r"masked_spec_embed|adapter\..*|intermediate_ffn\..*"
    exact = ("model.feature_projection.",)

    def __init__(self, config: Wav2Vec2BertConfig) -> None:
        super().__init__()
        self.config = config
        settings = {"mask_time_prob": 0.0, "mask_feature_prob": 0.0, "attn_implementation": "eager"}
        self.model = config.library_model(position_embeddings_type="relative_key", **settings)
        self.filters = transformers(config.kind).audio_utils.mel_filter_bank(
            num_frequency_bins=SPECTRUM // 2 + 1,
            num_mel_filters=config.feature_projection_input_dim // STRIDE,
            min_frequency=20,
            max_frequency=8_000,
            sampling_rate=16_000,
            mel_scale="kaldi",
            triangularize_in_mel_space=True,
        )  # (bins, mels) float64
        self.window = np.hanning(WINDOW) ** 0.85  # Kaldi's "povey"

    def lengths(self, samples: list[int]) -> list[int]:
        """Frames of clips of so many samples; a clip of less than one frame (35 ms) counts as one."""
        return [max(STRIDE, (n - WINDOW) // HOP + 1) // STRIDE for n in samples]

    def stacks(self) -> list[list[nn.Module]]:
        """The conformer's layers."""
        return [list(self.model.encoder.layers)]

    def forward(self, waves: list[Tensor]) -> Iterator[Tensor]:
        """Yield the states, (frames, dim) each: the conformer's input, then every layer's output."""
        lengths = self.lengths([len(w) for w in waves])
        fbanks = torch.cat([self.fbank(w, n) for w, n in zip(waves, lengths, strict=True)])
        dtype = self.model.feature_projection.projection.weight.dtype
        x, _ = self.model.feature_projection(fbanks.to(dtype).unsqueeze(0))
        x = self.model.encoder.dropout(x[0]).to(self.model.encoder.layers[0].ffn1_layer_norm.weight.dtype)
        clips = x.split(lengths)
        groups = [Padded.of([clips[i] for i in members], members) for members in alike(lengths)]
        yield x
        for layer in self.model.encoder.layers:
            groups = [group.through(layer) for group in groups]
            states = {i: clip for group in groups for i, clip in group.clips()}
            yield torch.cat([states[i] for i in range(len(waves))])

    def fbank(self, wave: Tensor, frames: int) -> Tensor:
        """(samples,) -> (frames, numbers): Kaldi's log-mel bands of two spectra, each band normed over the clip.

        In fp64, for quiet bands beside loud ones are differences of large numbers.
        """
        wave = F.pad(wave, (0, max(0, WINDOW + HOP - len(wave))))
        with torch.autocast(wave.device.type, enabled=False):
            spectra = wave.double().unfold(0, WINDOW, HOP) * 2**15  # as of 16-bit numbers
            spectra = spectra - spectra.mean(1, keepdim=True)
            before = torch.cat([spectra[:, :1], spectra[:, :-1]], 1)
            window, filters = (torch.as_tensor(x, device=wave.device) for x in (self.window, self.filters))
            power = torch.view_as_real(torch.fft.rfft((spectra - 0.97 * before) * window, SPECTRUM))
            bands = (power.square().sum(-1) @ filters).clamp(min=1.192092955078125e-07).log()
            bands = (bands - bands.mean(0)) / (bands.var(0) + 1e-7).sqrt()  # (spectra, mels)
        return bands[: frames * STRIDE].reshape(frames, -1).float()


class Padded(NamedTuple):
    """Clips of about one length, padded to the longest."""

    x: Tensor  # (clips, frames, dim)
    lengths: list[int]
    members: list[int]  # which clips of the batch they are
    mask: (
        Tensor | None
    )  # (clips, 1, 1, frames): added to what attention looks at; None if there is no padding

    @classmethod
    def of(cls, clips: list[Tensor], members: list[int]) -> "Padded":
        """A group of clips (frames, dim)."""
        lengths = [len(clip) for clip in clips]
        x = pad_sequence(clips, batch_first=True)
        if min(lengths) == max(lengths):
            return cls(x, lengths, members, None)
        frames = torch.arange(max(lengths), device=x.device)
        padding = frames >= torch.tensor(lengths, device=x.device)[:, None]
        mask = torch.zeros_like(padding, dtype=x.dtype).masked_fill(padding, torch.finfo(x.dtype).min)
        return cls(x, lengths, members, mask[:, None, None])

    def through(self, layer: nn.Module) -> "Padded":
        """What a layer makes of it."""
        return self._replace(x=layer(self.x, attention_mask=self.mask))

    def clips(self) -> list[tuple[int, Tensor]]:
        """(member, (frames, dim)) of each clip, without padding."""
        return [(i, x[:length]) for i, x, length in zip(self.members, self.x, self.lengths, strict=True)]


def alike(lengths: list[int]) -> list[list[int]]:
    """Which clips are computed together, by their lengths.

    >>> alike([10, 99, 12, 100])
    [[0, 2], [1, 3]]
    """
    groups: list[list[int]] = []
    for i in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not groups or lengths[i] > PADDING * lengths[groups[-1][0]]:
            groups.append([])
        groups[-1].append(i)
    return groups
