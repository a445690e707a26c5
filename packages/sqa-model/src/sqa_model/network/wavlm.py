"""WavLM (Chen et al. 2022, arXiv:2110.13900), the speech encoder, for clips packed without padding.

The published model, rearranged so that a clip's numbers cannot depend on what else is in the batch and every
product is one plain matrix product: convolutions act on (frames, channels), the first normalisation uses the
clip's own statistics, q, k and v are one projection, weight norm is folded, the position bias is computed
once a batch.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sqa_model.errors import ModelError
from sqa_model.network.attention import SelfAttention
from sqa_model.network.backbone import Backbone, BackboneConfig, normalized
from sqa_model.network.fields import between, from_record

KERNELS = (10, 3, 3, 3, 3, 2, 2)  # of the convolutions over samples
STRIDES = (5, 2, 2, 2, 2, 2, 2)
HOP = math.prod(STRIDES)  # 320 samples between frames: 20 ms
FIELD = 400  # samples that one frame sees: 25 ms
CHUNK = 128  # frames that the convolutions handle at a time on a CPU: what stays in its cache


@dataclass(frozen=True)
class WavLMConfig(BackboneConfig):
    """Sizes of a WavLM; the defaults are base and base-plus."""

    kind: ClassVar[str] = "wavlm"
    model_type: ClassVar[str | None] = "wavlm"
    dim: int = between(768, 1, 16_384)
    layers: int = between(12, 1, 256)
    heads: int = between(12, 1, 1_024)
    feedforward: int = between(3_072, 1, 65_536)
    channels: int = between(512, 1, 8_192)  # of the convolutions
    pre_norm: bool = False  # large: norms inside the skip connections, and after every convolution
    position_kernel: int = between(128, 1, 4_096)
    position_groups: int = between(16, 1, 16_384)
    buckets: int = between(320, 4, 65_536)
    max_distance: int = between(800, 2, 1_000_000)
    normalize: bool = False  # shift and scale each waveform to mean 0 and variance 1, as large was trained

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("heads", "position_groups"):
            if self.dim % getattr(self, name):
                raise ModelError(f"dim {self.dim} is not a multiple of {name} {getattr(self, name)}")
        if self.max_distance <= self.buckets // 4:
            raise ModelError(f"max_distance is {self.max_distance}; expected over a quarter of buckets")

    @property
    def states(self) -> int:
        """Layers whose output the encoder yields: the input of the transformer, then each layer's output."""
        return self.layers + 1

    def build(self) -> "WavLM":
        """The encoder, with random weights."""
        return WavLM(self)

    @classmethod
    def from_hugging_face(cls, settings: Mapping[str, Any], normalize: bool) -> "WavLMConfig":
        """The sizes of a `WavLMModel` of transformers."""
        given = {ours: settings[theirs] for ours, theirs in THEIR_NAMES.items() if theirs in settings}
        channels = settings.get("conv_dim", [cls.channels])
        fixed: dict[str, Any] = {
            "conv_dim": [channels[0] if isinstance(channels, list) and channels else None] * len(KERNELS),
            "conv_kernel": list(KERNELS),
            "conv_stride": list(STRIDES),
            "conv_bias": False,
            "feat_extract_norm": "layer" if given.get("pre_norm") else "group",
            "feat_extract_activation": "gelu",
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-5,
        }
        for name, expected in fixed.items():
            if (found := settings.get(name, expected)) != expected:
                raise ModelError(f"{name} is {found!r:.80}; this WavLM has {expected!r:.80}")
        return from_record(cls, {**given, "channels": fixed["conv_dim"][0], "normalize": normalize}, "wavlm")


# ours -> transformers' name of the same size
THEIR_NAMES = {
    "dim": "hidden_size",
    "layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "feedforward": "intermediate_size",
    "pre_norm": "do_stable_layer_norm",
    "position_kernel": "num_conv_pos_embeddings",
    "position_groups": "num_conv_pos_embedding_groups",
    "buckets": "num_buckets",
    "max_distance": "max_bucket_distance",
}


class WavLM(Backbone):
    """16 kHz waveforms -> the states (frames, dim) of every layer, clips packed.

    The states are the hidden states of transformers >= 5 and torchaudio: the last one of a large model is the
    last layer's output without the norm that follows it (transformers 4 returned it normed).
    """

    exact = ("convolutions.first", "convolutions.scale", "convolutions.shift")

    def __init__(self, config: WavLMConfig) -> None:
        super().__init__()
        self.config = config
        self.convolutions = Convolutions(config)
        self.norm = nn.LayerNorm(config.channels)
        self.projection = nn.Linear(config.channels, config.dim)
        self.position = Position(config)
        self.position_bias = nn.Embedding.from_pretrained(
            random(config.buckets, config.heads, std=1.0), freeze=False
        )
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.input_norm = nn.Identity() if config.pre_norm else nn.LayerNorm(config.dim)

    def lengths(self, samples: list[int]) -> list[int]:
        """Frames of clips of so many samples; a clip of under 400 samples counts as 400.

        >>> with torch.device("meta"): WavLM(WavLMConfig(layers=1)).lengths([16_000, 1])
        [49, 1]
        """
        return [max(0, n - FIELD) // HOP + 1 for n in samples]

    def stacks(self) -> list[list[nn.Module]]:
        """The transformer's layers."""
        return [list(self.layers)]

    def forward(self, waves: list[Tensor]) -> Iterator[Tensor]:
        """Yield the states, (frames, dim) each: the transformer's input, then every layer's output."""
        if self.config.normalize:
            waves = [normalized(w) for w in waves]
        lengths = self.lengths([len(w) for w in waves])
        x = torch.cat([self.convolutions(w, n) for w, n in zip(waves, lengths, strict=True)])
        x = self.projection(self.norm(x))
        x = self.input_norm(x + self.position(x, lengths))
        bias = self.relative_bias(max(lengths)).to(x.dtype)
        for layer in self.layers:
            yield x
            x = layer(x, lengths, bias)
        yield x

    def relative_bias(self, length: int) -> Tensor:
        """Attention bias by distance from query to key, in T5 buckets: (heads, length, length)."""
        half = self.config.buckets // 2
        exact = half // 2
        device = self.position_bias.weight.device
        distance = torch.arange(1 - length, length, dtype=torch.int64, device=device)  # key - query
        far = (distance.abs().clamp_min(1).float() / exact).log() / math.log(self.config.max_distance / exact)
        bucket = torch.where(
            distance.abs() < exact,
            distance.abs(),
            (exact + (far * (half - exact))).long().clamp_max(half - 1),
        )
        table = self.position_bias(bucket + half * (distance > 0))  # (2 length - 1, heads)
        return table.t().unfold(1, length, 1).flip(1).contiguous()  # row i starts at distance -i


class Convolutions(nn.Module):
    """Seven convolutions without padding, samples -> (frames, channels); each a linear layer of windows.

    Base models normalise once, each channel of the first layer over the clip's time (GroupNorm with one
    channel a group). Normalising is linear, so it is folded into the first layer's weights, clip by clip:
    with the mean m and the covariance C of all windows, channel w has the mean w.m and the variance w'Cw.
    """

    def __init__(self, config: WavLMConfig) -> None:
        super().__init__()
        channels = config.channels
        self.per_frame = config.pre_norm
        self.first = random(channels, KERNELS[0], std=(2 / KERNELS[0]) ** 0.5)
        self.rest = nn.ModuleList(nn.Linear(k * channels, channels, bias=False) for k in KERNELS[1:])
        for weight in self.rest.parameters():
            nn.init.kaiming_uniform_(weight)
        if self.per_frame:
            self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in KERNELS)
        else:
            self.scale = nn.Parameter(torch.ones(channels))
            self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, wave: Tensor, frames: int) -> Tensor:
        """One clip: (samples,) -> (frames, channels)."""
        wave = wave.to(self.first.dtype)
        wave = F.pad(wave, (0, max(0, FIELD - len(wave))))
        weight, shift = (self.first, None) if self.per_frame else self.folded(wave)
        chunk = CHUNK if wave.device.type == "cpu" else frames
        pieces = []
        for start in range(0, frames, chunk):
            stop = min(start + chunk, frames)
            samples = wave[start * HOP : (stop - 1) * HOP + FIELD]
            pieces.append(self.stack(samples, weight, shift))
        return torch.cat(pieces)

    def folded(self, wave: Tensor) -> tuple[Tensor, Tensor]:
        """First weights (channels, 10) and shift (channels,) that include the clip's own normalisation."""
        windows = wave.double().unfold(0, KERNELS[0], STRIDES[0])  # (windows, 10)
        mean = windows.mean(0)
        covariance = windows.t() @ windows / len(windows) - torch.outer(mean, mean)
        first = self.first.double()
        variance = ((first @ covariance) * first).sum(1).clamp_min(0)
        scale = self.scale / (variance + 1e-5).sqrt()
        return (first * scale[:, None]).to(self.first), (self.shift - first @ mean * scale).to(self.first)

    def stack(self, samples: Tensor, weight: Tensor, shift: Tensor | None) -> Tensor:
        """The seven layers on some samples: (320 n + 80,) -> (n, channels)."""
        x = exact_linear(samples, weight, shift, next(self.rest.parameters()).dtype)
        x = F.gelu(self.norms[0](x) if self.per_frame else x)
        for i, (linear, kernel) in enumerate(zip(self.rest, KERNELS[1:], strict=True), 1):
            windows = x.unfold(0, kernel, 2).transpose(1, 2).flatten(1)  # (n, kernel * channels)
            x = linear(windows)
            x = F.gelu(self.norms[i](x) if self.per_frame else x)
        return x


def exact_linear(samples: Tensor, weight: Tensor, shift: Tensor | None, dtype: torch.dtype) -> Tensor:
    """The first convolution, its result in `dtype` but its factors with at least 16 bits.

    Returns (windows, channels). A waveform rounded to bfloat16's 8 bits would be noisy. So samples and weights are
    split in a high and a low half, and three products of halves, side by side in one matrix product that adds
    in fp32, keep 16 bits.
    """
    windows = samples.unfold(0, KERNELS[0], STRIDES[0])
    if dtype == samples.dtype:
        with torch.autocast(samples.device.type, enabled=False):
            return F.linear(windows, weight, shift)
    if shift is not None:  # as the weight of a constant input
        weight = torch.cat([weight, shift[:, None]], 1)
        windows = F.pad(windows, (0, 1), value=1.0)
    high, weight_high = windows.to(dtype), weight.to(dtype)
    low, weight_low = (windows - high).to(dtype), (weight - weight_high).to(dtype)
    return F.linear(torch.cat([high, low, high], 1), torch.cat([weight_high, weight_high, weight_low], 1))


class Position(nn.Module):
    """Where a frame is, from its surroundings: a wide grouped convolution, zero outside the clip."""

    def __init__(self, config: WavLMConfig) -> None:
        super().__init__()
        self.kernel, self.groups = config.position_kernel, config.position_groups
        inside = config.dim // self.groups
        self.weight = random(config.dim, inside, self.kernel, std=2 / (self.kernel * config.dim) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(config.dim))

    def forward(self, x: Tensor, lengths: list[int]) -> Tensor:
        """x: (frames, dim) -> (frames, dim)."""
        before, after = self.kernel // 2, (self.kernel - 1) // 2
        dtype = x.dtype if rounds_well(self.weight.shape[1]) else torch.float32
        weight, bias = self.weight.to(dtype), self.bias.to(dtype)
        out = [
            F.conv1d(F.pad(clip.t(), (before, after)).unsqueeze(0), weight, bias, groups=self.groups)[0].t()
            for clip in x.to(dtype).split(lengths)
        ]
        return F.gelu(torch.cat(out)).to(x.dtype)


def rounds_well(channels: int) -> bool:
    """Whether a convolution with so many channels a group may be computed in bfloat16.

    oneDNN's with 6 was found to give wrong numbers; 48 and 64 are right.
    """
    return channels % 16 == 0


class Layer(nn.Module):
    """A transformer layer whose attention bias is gated by its input."""

    def __init__(self, config: WavLMConfig) -> None:
        super().__init__()
        self.pre_norm = config.pre_norm
        self.attention = SelfAttention(config.dim, config.heads, dropout=0.0)
        self.gate = Gate(config.dim // config.heads, config.heads)
        self.attention_norm = nn.LayerNorm(config.dim)
        self.expand = nn.Linear(config.dim, config.feedforward)
        self.reduce = nn.Linear(config.feedforward, config.dim)
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, x: Tensor, lengths: list[int], bias: Tensor) -> Tensor:
        """x: (frames, dim), bias: (heads, longest, longest) -> (frames, dim)."""
        if self.pre_norm:
            y = self.attention_norm(x)
            x = x + self.attention(y, lengths, bias, self.gate(y))
            return x + self.reduce(F.gelu(self.expand(self.norm(x))))
        x = self.attention_norm(x + self.attention(x, lengths, bias, self.gate(x)))
        out: Tensor = self.norm(x + self.reduce(F.gelu(self.expand(x))))
        return out


class Gate(nn.Module):
    """How much of the position bias each query and head uses.

    That is a (b s - 1) + 2 with gates a, b of the head's own slice. The published layer has 8 outputs that it sums
    in fours; `weight` holds these sums.
    """

    def __init__(self, head_dim: int, heads: int) -> None:
        super().__init__()
        self.weight = random(2, head_dim, std=head_dim**-0.5)
        self.bias = nn.Parameter(torch.zeros(2))
        self.scale = nn.Parameter(torch.ones(heads))

    def forward(self, x: Tensor) -> Tensor:
        """x: (frames, dim) -> (frames, heads)."""
        a, b = F.linear(x.unflatten(-1, (len(self.scale), -1)), self.weight, self.bias).sigmoid().unbind(-1)
        return a * (b * self.scale - 1) + 2


def random(*shape: int, std: float) -> nn.Parameter:
    """A parameter drawn uniformly.

    Unlike normal numbers these cost nothing on the meta device, where models are built to be loaded: for not drawing
    normal ones torch would import 900 modules, over a second.
    """
    return nn.Parameter(torch.empty(shape).uniform_(-std * 3**0.5, std * 3**0.5))
