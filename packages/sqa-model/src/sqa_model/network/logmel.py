"""A tiny speech encoder that needs no download: log-mel frames and a few ConvNeXt blocks.

Clips are laid one behind the other in one stream, with a few silent frames before and between them that every
block sets back to zero. One convolution over the stream then equals one convolution per zero-padded clip.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sqa_model.errors import ModelError
from sqa_model.network.attention import ROWS
from sqa_model.network.backbone import Backbone, BackboneConfig
from sqa_model.network.fields import between

WINDOW = 512  # samples of one spectrum: 32 ms at 16 kHz
KERNEL = 7  # frames that a depthwise convolution sees
GAP = 4  # silent frames between clips: more than any convolution reaches, and at least WINDOW samples in all


@dataclass(frozen=True)
class LogMelConfig(BackboneConfig):
    """Sizes of the log-mel encoder: 16 kHz speech, one frame every `hop * stride` samples."""

    kind: ClassVar[str] = "logmel"
    mels: int = between(80, 1, 1_024)
    hop: int = between(160, 1, WINDOW)  # samples between spectra: 10 ms
    stride: int = between(2, 1, 64)  # spectra in a frame: 20 ms
    dim: int = between(160, 1, 16_384)
    blocks: int = between(6, 0, 256)
    context: int = 0  # 3: tell every frame three statistics of each band over the whole clip
    # of the first of three small convolutions, doubled by each of the others; 0: none
    channels: int = between(0, 0, 1_024)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context not in (0, 3):
            raise ModelError(f"context is {self.context}; expected 0 (none) or 3 statistics")
        if self.channels and (self.mels % 8 or self.stride not in (2, 4, 8)):
            raise ModelError(
                f"with convolutions mels is a multiple of 8, stride 2, 4 or 8; found {self.mels} and {self.stride}"
            )
        if GAP * self.hop * self.stride < WINDOW:  # or a clip's spectra would reach into its neighbour
            raise ModelError(f"hop * stride is {self.hop * self.stride}; expected at least {WINDOW // GAP}")

    @property
    def states(self) -> int:
        """Layers whose output the encoder yields."""
        return 1

    def build(self) -> "LogMel":
        """The encoder, with random weights."""
        return LogMel(self)


class LogMel(Backbone):
    """Waveforms -> one state of (frames, dim), clips packed."""

    window: Tensor
    filters: Tensor

    def __init__(self, config: LogMelConfig) -> None:
        super().__init__()
        self.config = config
        self.hop = config.hop * config.stride
        self.convolutions = convolutions(config) if config.channels else None
        width = 4 * config.channels * config.mels // 8 if config.channels else config.stride * config.mels
        self.stem = nn.Linear(width, config.dim)
        self.context = nn.Linear(config.context * config.mels, config.dim) if config.context else None
        self.norm = nn.LayerNorm(config.dim)
        self.blocks = nn.ModuleList(Block(config.dim) for _ in range(config.blocks))
        self._set_constants(torch.device("cpu"))

    def _set_constants(self, device: torch.device) -> None:
        """Window (WINDOW,) and filters (WINDOW + 2, mels) as buffers that belong to no checkpoint."""
        window = 0.5 - 0.5 * np.cos(2 * math.pi * np.arange(WINDOW) / WINDOW)  # Hann
        # each row twice, for the squares of the real and the imaginary part
        filters = mel_filters(self.config.mels, WINDOW, 16_000).repeat(2, 0)
        for name, value in (("window", window), ("filters", filters)):
            tensor = torch.tensor(value, dtype=torch.float32, device="cpu").to(device)
            self.register_buffer(name, tensor, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "LogMel":
        """What moves or converts a module; the constants follow its device, but stay exact: never rounded nor empty."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._set_constants(self.stem.weight.device)
        return self

    def lengths(self, samples: list[int]) -> list[int]:
        """Frames of clips of so many samples; at least one."""
        return [max(1, math.ceil(n / self.hop)) for n in samples]

    def stacks(self) -> list[list[nn.Module]]:
        """The ConvNeXt blocks."""
        return [list(self.blocks)]

    def forward(self, waves: list[Tensor]) -> Iterator[Tensor]:
        """Yield the one state (frames, dim) of packed clips."""
        lengths = self.lengths([len(w) for w in waves])
        sizes = [n + GAP for n in lengths]
        sizes[-1] += -(GAP + sum(sizes)) % ROWS
        silence = waves[0].new_zeros(GAP * self.hop, dtype=torch.float32)
        pieces = [F.pad(w.float(), (0, n * self.hop - len(w))) for w, n in zip(waves, sizes, strict=True)]
        spectra = self.log_mel(torch.cat([silence, *pieces]))  # (spectra, mels)
        frames = self.stem(self.convolved(spectra.to(self.stem.weight.dtype)))[GAP:]  # (frames and gaps, dim)
        if self.context is not None:
            clips = spectra[GAP * self.config.stride :].split([n * self.config.stride for n in sizes])
            whole = [c[: max(1, len(w) // self.config.hop)] for c, w in zip(clips, waves, strict=True)]
            told = torch.stack([statistics(c) for c in whole])
            said = self.context(told.to(frames.dtype))  # (clips, dim)
            repeats = torch.tensor(sizes, dtype=torch.int64, device=frames.device)
            frames = frames + said.repeat_interleave(repeats, 0, output_size=sum(sizes))
        marks = [[1.0] * n + [0.0] * (size - n) for n, size in zip(lengths, sizes, strict=True)]
        inside = torch.tensor(list(chain(*marks)), dtype=frames.dtype, device=frames.device)[:, None]
        x = self.norm(frames) * inside
        for block in self.blocks:
            x = block(x) * inside
        yield torch.cat([clip[:n] for clip, n in zip(x.split(sizes), lengths, strict=True)])

    def convolved(self, spectra: Tensor) -> Tensor:
        """(spectra, mels) -> (frames, numbers): the spectra of a frame, or what the convolutions make of them."""
        if self.convolutions is None:
            return spectra.view(-1, self.config.stride * self.config.mels)
        x = self.convolutions(spectra[None, None])  # (1, channels, frames, bands)
        return x[0].transpose(0, 1).flatten(1)

    def log_mel(self, stream: Tensor) -> Tensor:
        """(samples,) -> (samples / hop, mels), about -2 (digital silence) to 2 (full scale); always fp32."""
        frames = F.pad(stream, (0, WINDOW - self.config.hop)).unfold(0, WINDOW, self.config.hop)
        parts = torch.view_as_real(torch.fft.rfft(frames * self.window)).flatten(1)  # (spectra, 2 * bins)
        with torch.autocast(stream.device.type, enabled=False):  # a rounded spectrum would be noisy
            return ((parts.square() @ self.filters) + 1e-6).log10() / 3  # abs() has no gradient at 0


def convolutions(config: LogMelConfig) -> nn.Sequential:
    """Three convolutions over time and bands that halve the bands each, and time as often as the stride asks."""
    layers: list[nn.Module] = []
    for i, channels in enumerate((1, 2, 4)):
        above = config.channels * channels // 2 if i else 1
        step = (2 if 2**i < config.stride else 1, 2)
        layers += [nn.Conv2d(above, config.channels * channels, 3, step, padding=1), nn.GELU()]
    return nn.Sequential(*layers)


def statistics(clip: Tensor) -> Tensor:
    """Mean, deviation and mean change from spectrum to spectrum of a clip's bands: (spectra, mels) -> (3 * mels,)."""
    mean = clip.mean(0)
    deviation = ((clip - mean).square().mean(0) + 1e-6).sqrt()  # sqrt() has no gradient at 0
    change = (clip[1:] - clip[:-1]).abs().sum(0) / max(1, len(clip) - 1)
    return torch.cat([mean, deviation, change])


class Block(nn.Module):
    """ConvNeXt: depthwise convolution over time, norm, two linear layers, all around a skip connection."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, KERNEL, padding=KERNEL // 2, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.expand = nn.Linear(dim, 4 * dim)
        self.reduce = nn.Linear(4 * dim, dim)
        self.scale = nn.Parameter(torch.full((dim,), 0.1))

    def forward(self, x: Tensor) -> Tensor:
        """x: (stream, dim) -> (stream, dim)."""
        if x.is_cpu and not x.requires_grad:
            y = self.depthwise_by_shifts(x)
        else:
            y = self.depthwise(x.t().unsqueeze(0))[0].t()
        return x + self.scale * self.reduce(F.gelu(self.expand(self.norm(y))))

    def depthwise_by_shifts(self, x: Tensor) -> Tensor:
        """What the depthwise convolution says, as a sum of shifted frames.

        On CPUs it is three times as fast, and as fast for a length never seen, for which a convolution is compiled.
        """
        padded = F.pad(x.float(), (0, 0, KERNEL // 2, KERNEL // 2))  # (KERNEL - 1 + stream, dim)
        weights = self.depthwise.weight[:, 0].t().float()  # (KERNEL, dim)
        assert self.depthwise.bias is not None
        y = torch.addcmul(self.depthwise.bias.float(), padded[: len(x)], weights[0])
        for k in range(1, KERNEL):
            y.addcmul_(padded[k : k + len(x)], weights[k])
        return y.to(x.dtype)


def mel_filters(mels: int, window: int, sample_rate: int) -> np.ndarray:
    """Triangular filters of equal height, evenly spaced on the HTK mel scale: (window // 2 + 1, mels) float64.

    Narrow low filters that would miss every bin of the spectrum take the nearest one, so that no band is
    dead.

    >>> bool(mel_filters(80, 512, 16_000).sum(0).min() > 0.2)
    True
    """
    top = 2595 * math.log10(1 + sample_rate / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, mels + 2) / 2595) - 1)  # Hz
    bins = np.linspace(0, sample_rate / 2, window // 2 + 1)[:, None]
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    filters = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre)).clip(0)
    nearest = np.abs(bins - centre).argmin(0)
    dead = filters.sum(0) < 0.2
    filters[nearest[dead], np.arange(mels)[dead]] = 1.0
    return filters
