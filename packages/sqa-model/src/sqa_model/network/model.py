"""The MOS model: speech encoder -> weighted sum of its layers -> projection -> transformer -> pooling over time
-> heads.

    model = MosModel(ModelConfig(backbone="logmel", heads=[("mos", 1, 5), ("pesq", 1, 4.5)]))
    scores = model([wave_a, wave_b])                    # (2 clips, 2 heads); differentiable

Training splits the same computation, to keep a frozen encoder's states: `model.head(model.features(waves))`.
"""

import dataclasses
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sqa_model.errors import ModelError
from sqa_model.network.attention import ROWS, SelfAttention
from sqa_model.network.backbones import BACKBONES, KINDS, BackboneConfig, build
from sqa_model.network.dropout import Dropout

STD = "_std"  # a head called `mos_std` predicts the standard deviation of the error of head `mos`


class Head(NamedTuple):
    """One predicted metric and its range; None is an open end."""

    name: str
    min: float | None = None
    max: float | None = None


@dataclass(frozen=True)
class ModelConfig:
    """Everything needed to build a model; saved beside its weights as JSON.

    >>> config = ModelConfig(backbone="logmel", heads=[("mos", 1, 5), ("mos_std", 0, None)])
    >>> ModelConfig.from_json(config.to_json()) == config
    True
    """

    backbone: BackboneConfig = BACKBONES["wavlm-base-plus"]  # or a name of BACKBONES
    heads: tuple[Head, ...] = (Head("mos", 1.0, 5.0),)  # in output order
    sample_rate: int = 16_000  # Hz
    normalize: bool = False  # shift and scale each waveform to mean 0 and variance 1
    dim: int = 768  # of the transformer above the backbone
    layers: int = 6
    attention_heads: int = 8
    feedforward: int = 2048
    dropout: float = 0.1
    pooling: str = "mean"  # over time; or "attention": learned weights of the frames
    extra: Mapping[str, Any] = field(
        default_factory=dict, hash=False
    )  # kept, not read: origin, training notes

    def __post_init__(self) -> None:
        if isinstance(self.backbone, str):
            object.__setattr__(self, "backbone", _named_backbone(self.backbone))
        object.__setattr__(self, "heads", tuple(_head(h) for h in self.heads))
        if not self.heads:
            raise ModelError("a model needs at least one head, such as ('mos', 1, 5)")
        twice = sorted({n for n in self.names if self.names.count(n) > 1})
        if twice:
            raise ModelError(f"head names must differ; found more than once: {', '.join(twice)}")
        for name in self.names:
            if name.endswith(STD) and name.removesuffix(STD) not in self.names:
                raise ModelError(
                    f"head {name!r} is an uncertainty, but there is no head {name.removesuffix(STD)!r}"
                )
        if self.pooling not in ("mean", "attention"):
            raise ModelError(f"pooling is {self.pooling!r}; expected 'mean' or 'attention'")
        if self.attention_heads < 1 or self.dim % self.attention_heads:
            raise ModelError(f"dim {self.dim} is not a multiple of attention_heads {self.attention_heads}")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the heads, in output order."""
        return tuple(h.name for h in self.heads)

    def to_json(self) -> str:
        """The configuration as indented JSON."""
        record = dataclasses.asdict(self)
        record["backbone"] = {"kind": self.backbone.kind} | dataclasses.asdict(self.backbone)
        record["heads"] = [list(h) for h in self.heads]
        return json.dumps(record, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "ModelConfig":
        """Read `to_json`'s text; ModelError where it is not such a text."""
        try:
            record = json.loads(text)
        except json.JSONDecodeError as error:
            raise ModelError(f"model configuration is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise ModelError(f"model configuration must be a JSON object, found {type(record).__name__}")
        if isinstance(record.get("backbone"), dict):
            kind = record["backbone"].pop("kind", None)
            if kind not in KINDS:
                raise ModelError(
                    f"model configuration: unknown backbone kind {kind!r}; expected one of {sorted(KINDS)}"
                )
            record["backbone"] = _build(KINDS[kind][0], record["backbone"], "backbone: ")
        config: ModelConfig = _build(cls, record, "")
        return config


class Features(NamedTuple):
    """What the encoder says of a batch: clips packed one behind the other.

    A cache stores `split()` and packs a new batch by `join`.
    """

    states: Tensor  # (layers, frames, dim)
    lengths: list[int]  # frames of each clip; they sum to `frames`

    def split(self) -> list["Features"]:
        """One Features per clip."""
        return [Features(s, [s.shape[1]]) for s in self.states.split(self.lengths, dim=1)]

    @staticmethod
    def join(clips: "Sequence[Features]") -> "Features":
        """Pack clips (or batches) into one batch."""
        return Features(torch.cat([c.states for c in clips], dim=1), [n for c in clips for n in c.lengths])


class MosModel(nn.Module):
    """Speech in, one value per head out. A clip's scores do not depend on the rest of its batch."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build(config.backbone)
        self.mix = nn.Parameter(torch.zeros(config.backbone.states))  # softmax -> weight of each layer
        self.projection = nn.Linear(config.backbone.dim, config.dim)
        self.norm = nn.LayerNorm(config.dim)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.pooling = AttentionPooling(config.dim) if config.pooling == "attention" else None
        self.metrics = nn.Linear(config.dim, len(config.heads))

    def forward(self, waves: Sequence[Tensor] | Tensor, lengths: Sequence[int] | None = None) -> Tensor:
        """Score clips; differentiable with respect to the waveforms.

        Args:
            waves: a list of 1-D waveforms at `config.sample_rate`, any lengths; or a tensor (batch, samples).
            lengths: samples that count of each row of a tensor; all where None.

        Returns: (batch, heads), inside each head's range.
        """
        clips = self._clips(waves, lengths)
        weights = self.mix.softmax(0)
        mixed: Tensor | None = None
        # a running sum, so that no 13 states are held
        for weight, state in zip(weights, self.backbone(clips), strict=True):
            mixed = state * weight if mixed is None else torch.addcmul(mixed, state, weight)
        assert mixed is not None
        return self._score(mixed, self.backbone.lengths([len(c) for c in clips]))

    def features(self, waves: Sequence[Tensor] | Tensor, lengths: Sequence[int] | None = None) -> Features:
        """All layer states of the encoder: what `head` needs, and what a frozen encoder lets you cache."""
        clips = self._clips(waves, lengths)
        return Features(
            torch.stack(list(self.backbone(clips))), self.backbone.lengths([len(c) for c in clips])
        )

    def head(self, features: Features) -> Tensor:
        """States -> (batch, heads); `head(features(x))` equals `forward(x)`."""
        mixed = torch.tensordot(self.mix.softmax(0).to(features.states), features.states, 1)
        return self._score(mixed, features.lengths)

    def inference_copy(self, device: torch.device, dtype: torch.dtype) -> "MosModel":
        """The same model in eval mode on a device, matrices in `dtype`; this one is untouched.

        What would add error and costs nothing stays fp32: first convolution, mixing weights, heads. Weights that
        need no change are shared.
        """
        with torch.device("meta"):
            copy = MosModel(self.config)
        exact = re.compile(r"mix|metrics\.|backbone\.convolutions\.(first|scale|shift)")
        state = {
            name: value.to(device, torch.float32 if exact.match(name) else dtype)
            for name, value in self.state_dict().items()
        }
        copy.load_state_dict(state, assign=True)
        return copy.eval().requires_grad_(False)

    def fingerprint(self) -> str:
        """Eight hex digits that tell models apart: a checksum of the configuration and of some of every weight."""
        checksum = zlib.crc32(self.config.to_json().encode())
        for name, value in self.state_dict().items():
            checksum = zlib.crc32(name.encode(), checksum)
            checksum = zlib.crc32(value.detach().flatten()[:4096].float().cpu().numpy().tobytes(), checksum)
        return f"{checksum:08x}"

    def _clips(self, waves: Sequence[Tensor] | Tensor, lengths: Sequence[int] | None) -> list[Tensor]:
        clips = _clips(waves, lengths)
        if self.config.normalize:
            centred = [c - c.mean() for c in clips]
            clips = [c / (c.square().mean() + 1e-7).sqrt() for c in centred]
        return clips

    def _score(self, mixed: Tensor, lengths: list[int]) -> Tensor:
        """Mixed states (frames, dim) -> (batch, heads)."""
        clips = len(lengths)
        if mixed.is_cpu and (mixed.dtype == torch.bfloat16 or torch.is_autocast_enabled("cpu")):
            rest = -len(mixed) % ROWS or ROWS  # one more clip, never empty, dropped again
            mixed, lengths = F.pad(mixed, (0, 0, 0, rest)), [*lengths, rest]
        x = self.norm(self.projection(mixed.to(self.projection.weight.dtype)))
        for layer in self.encoder:
            x = layer(x, lengths)
        if self.pooling is not None:
            pooled = self.pooling(x, lengths)
        else:
            pooled = torch.stack([clip.float().mean(0) for clip in x.split(lengths)])  # (batch, dim)
        pooled = pooled[:clips].to(self.metrics.weight.dtype)
        return bounded(self.metrics(pooled).float(), self.config.heads)


class EncoderLayer(nn.Module):
    """Transformer layer, post-norm; parameters as in `torch.nn.TransformerEncoderLayer`."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.self_attn = SelfAttention(config.dim, config.attention_heads, config.dropout)
        self.linear1 = nn.Linear(config.dim, config.feedforward)
        self.linear2 = nn.Linear(config.feedforward, config.dim)
        self.norm1 = nn.LayerNorm(config.dim)
        self.norm2 = nn.LayerNorm(config.dim)
        self.dropout = Dropout(config.dropout)

    def forward(self, x: Tensor, lengths: list[int]) -> Tensor:
        """x: (frames, dim) -> (frames, dim)."""
        x = self.norm1(x + self.dropout(self.self_attn(x, lengths)))
        out: Tensor = self.norm2(x + self.dropout(self.linear2(self.dropout(F.relu(self.linear1(x))))))
        return out


class AttentionPooling(nn.Module):
    """Weighted mean over a clip's frames; a small network weighs each (NISQA, Mittag et al. 2021)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(dim, 2 * dim)
        self.linear2 = nn.Linear(2 * dim, 1)

    def forward(self, x: Tensor, lengths: list[int]) -> Tensor:
        """x: (frames, dim) of clips packed -> (clips, dim)."""
        logits = self.linear2(F.relu(self.linear1(x))).float()  # (frames, 1)
        clips = zip(x.float().split(lengths), logits.split(lengths), strict=True)
        return torch.stack([(logit.softmax(0) * clip).sum(0) for clip, logit in clips])


def bounded(raw: Tensor, heads: Sequence[Head]) -> Tensor:
    """Map each column of (batch, heads) smoothly into its head's range.

    >>> bounded(torch.zeros(1, 3), [Head("mos", 1, 5), Head("mcd", 0), Head("sdr")])
    tensor([[3.0000, 0.6931, 0.0000]])
    """
    columns = []
    for x, (_, low, high) in zip(raw.unbind(1), heads, strict=True):
        if low is not None and high is not None:
            columns.append(low + (high - low) * x.sigmoid())
        elif low is not None:
            columns.append(low + F.softplus(x - low))
        elif high is not None:
            columns.append(high - F.softplus(high - x))
        else:
            columns.append(x)
    return torch.stack(columns, 1)


def _clips(waves: Sequence[Tensor] | Tensor, lengths: Sequence[int] | None) -> list[Tensor]:
    """The batch as a list of 1-D waveforms."""
    if isinstance(waves, Tensor) and waves.dim() == 1:
        waves = waves.unsqueeze(0)
    if lengths is not None and len(lengths) != len(waves):
        raise ModelError(
            f"lengths must have one number per waveform: {len(waves)} waveforms, {len(lengths)} lengths"
        )
    clips = [w if lengths is None else w[: lengths[i]] for i, w in enumerate(waves)]
    if not clips:
        raise ModelError("the batch is empty; expected at least one waveform")
    for i, clip in enumerate(clips):
        if clip.dim() != 1 or len(clip) == 0:
            raise ModelError(
                f"waveform {i}: expected shape (samples,) with samples >= 1, found {tuple(clip.shape)}"
            )
    return clips


def _named_backbone(name: str) -> BackboneConfig:
    if name not in BACKBONES:
        raise ModelError(f"unknown backbone {name!r}; expected one of {', '.join(BACKBONES)}")
    return BACKBONES[name]


def _head(head: Any) -> Head:
    """A Head from (name, min, max); ModelError where it makes no sense."""
    try:
        name, low, high = Head(*head)
        low, high = (None if b is None else float(b) for b in (low, high))
    except (TypeError, ValueError) as error:
        raise ModelError(f"a head is (name, min, max) with None for an open end; found {head!r}") from error
    if not isinstance(name, str) or not name:
        raise ModelError(f"a head's name must be text; found {name!r}")
    if low is not None and high is not None and low >= high:
        raise ModelError(f"head {name!r}: min {low} must be below max {high}")
    return Head(name, low, high)


def _build(cls: type, record: dict[str, Any], where: str) -> Any:
    """A dataclass from a JSON object; ModelError names unknown keys and wrong types."""
    types = {f.name: f for f in dataclasses.fields(cls)}
    unknown = sorted(set(record) - set(types))
    if unknown:
        raise ModelError(
            f"model configuration: {where}unknown {', '.join(unknown)}; expected {', '.join(types)}"
        )
    for name, value in record.items():
        expected = types[name].type
        if expected in (int, float, bool) and (
            isinstance(value, bool) != (expected is bool) or not isinstance(value, (expected, int))
        ):
            raise ModelError(
                f"model configuration: {where}{name} must be {expected.__name__}, found {value!r}"
            )
    return cls(**record)
