"""The MOS model: encoder -> weighted sum of its layers -> projection -> transformer -> pooling -> heads.

    model = MosModel(ModelConfig(backbone="logmel", heads=[("mos", 1, 5), ("pesq", 1, 4.5)]))
    scores = model([wave_a, wave_b])                    # (2 clips, 2 heads); differentiable

Training splits the same computation, to keep a frozen encoder's states: `model.head(model.features(waves))`. Where
clips are also compared, `encoded = model.encode(waves)` is computed once for `model.scores(encoded)` and
`model.compare(encoded, [(0, 1)])`.
"""

import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sqa_model.errors import ModelError
from sqa_model.network.attention import SelfAttention, missing_rows
from sqa_model.network.backbone import normalized
from sqa_model.network.comparison import Compared, Comparison, Encoded
from sqa_model.network.config import Head, ModelConfig
from sqa_model.network.dropout import Dropout
from sqa_model.network.ends import without_silent_ends
from sqa_model.network.grades import KINDS, mean_logit

NO_COMPARISON = (
    "the model has no comparative head; UrgentMOS's have one, and so has what is trained on pairs. Of any other model "
    "predict the clips alone: `sqa-cli pairs` judges pairs by the differences of their scores"
)


class Features(NamedTuple):
    """What the encoder says of a batch: clips packed one behind the other."""

    states: Tensor  # (layers, frames, dim); in a group narrower encoders are filled up with zeros
    lengths: list[int]  # frames of each clip; they sum to `frames`

    def split(self) -> list["Features"]:
        """One Features per clip."""
        return [Features(s, [s.shape[1]]) for s in self.states.split(self.lengths, dim=1)]


class Outputs(NamedTuple):
    """What the model says of a batch, and what it made of the clips to say so."""

    scores: Tensor  # (batch, heads), inside each head's range
    pooled: Tensor  # (batch, dim)
    grades: dict[str, Tensor]  # of each head of `config.distributions`: log-probabilities (batch, GRADES)


class MosModel(nn.Module):
    """Speech in, one value per head out. A clip's scores do not depend on the rest of its batch."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = config.backbone.build()
        # softmax over the states of an encoder -> weight of each layer
        self.mix = nn.Parameter(torch.zeros(config.backbone.states))
        self.projection = nn.Linear(sum(dim for _, dim in config.backbone.parts), config.dim)
        self.norm = nn.LayerNorm(config.dim)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.layers))
        self.pooling = AttentionPooling(config.dim) if config.pooling == "attention" else None
        self.metrics = nn.Linear(config.dim, len(config.heads))
        self.grades = nn.ModuleDict(
            {name: KINDS[kind](config.dim) for name, kind in config.distributions.items()}
        )
        self.comparison = Comparison(config.dim, config.comparison) if config.comparison else None

    def forward(self, waves: Sequence[Tensor] | Tensor, lengths: Sequence[int] | None = None) -> Tensor:
        """Score clips; differentiable with respect to the waveforms.

        Args:
            waves: a list of 1-D waveforms at `config.sample_rate`, any lengths; or a tensor (batch, samples).
            lengths: samples that count of each row of a tensor; all where None.

        Returns: (batch, heads), inside each head's range.
        """
        return bounded(self.logits(waves, lengths), self.config.heads)

    def logits(self, waves: Sequence[Tensor] | Tensor, lengths: Sequence[int] | None = None) -> Tensor:
        """As `forward`, before the values are mapped into the heads' ranges."""
        return self._raw(self._pooled(self.encode(waves, lengths)))[0]

    def encode(self, waves: Sequence[Tensor] | Tensor, lengths: Sequence[int] | None = None) -> Encoded:
        """What `scores` and `compare` are made of: the frames above the transformer. Arguments as of `forward`."""
        clips = self._clips(waves, lengths)
        states = self.backbone(clips)
        mixed = [running_sum(weights, states) for weights in self._weights()]
        return self._encoded(torch.cat(mixed, 1), self.backbone.lengths([len(c) for c in clips]))

    def scores(self, encoded: Encoded) -> Tensor:
        """Frames -> (batch, heads), inside each head's range; `scores(encode(x))` equals `forward(x)`."""
        return self.outputs(encoded).scores

    def outputs(self, encoded: Encoded) -> Outputs:
        """Frames -> scores, the vector of each clip that they are made of, and the distributions behind them."""
        pooled = self._pooled(encoded)
        raw, grades = self._raw(pooled)
        return Outputs(bounded(raw, self.config.heads), pooled, grades)

    def compare(self, encoded: Encoded, pairs: Sequence[tuple[int, int]]) -> Compared:
        """Which clip of each pair is better; differentiable.

        However many pairs a clip is in, it is encoded once, and a pair's answer does not depend on the others.

        Args:
            encoded: what `encode` or `encode_features` says of the clips.
            pairs: (index of clip a, index of clip b) each, of the batch that was encoded.

        Raises: ModelError where the model has no comparative head (`config.comparison` is None), or no such clip.
        """
        if self.comparison is None:
            raise ModelError(NO_COMPARISON)
        found: Compared = self.comparison(encoded, pairs)
        return found

    def features(self, waves: Sequence[Tensor] | Tensor, lengths: Sequence[int] | None = None) -> Features:
        """All layer states of the encoder: what `head` needs, and what a frozen encoder lets you cache."""
        clips = self._clips(waves, lengths)
        widest = self.config.backbone.dim
        states = [
            state if state.shape[1] == widest else F.pad(state, (0, widest - state.shape[1]))
            for state in self.backbone(clips)
        ]
        return Features(torch.stack(states), self.backbone.lengths([len(c) for c in clips]))

    def head(self, features: Features) -> Tensor:
        """States -> (batch, heads); `head(features(x))` equals `forward(x)`."""
        return self.scores(self.encode_features(features))

    def encode_features(self, features: Features) -> Encoded:
        """States -> frames above the transformer; `encode_features(features(x))` equals `encode(x)`."""
        parts = features.states.split([count for count, _ in self.config.backbone.parts])
        widths = [dim for _, dim in self.config.backbone.parts]
        mixed = [
            torch.tensordot(weights.to(states), states[..., :width], 1)
            for weights, states, width in zip(self._weights(), parts, widths, strict=True)
        ]
        return self._encoded(torch.cat(mixed, 1), features.lengths)

    def _weights(self) -> list[Tensor]:
        """The weight of each state, for each encoder: a group's do not compete with one another."""
        counts = [count for count, _ in self.config.backbone.parts]
        return [weights.softmax(0) for weights in self.mix.split(counts)]

    def inference_copy(self, device: torch.device, dtype: torch.dtype) -> "MosModel":
        """The same model in eval mode on a device, matrices in `dtype`; this one is untouched.

        What would add error and costs nothing stays fp32: mixing weights, heads, the backbone's `exact`. Weights that
        need no change are shared.
        """
        with torch.device("meta"):
            copy = MosModel(self.config)
        exact = (
            *("mix", "metrics.", "grades."),
            *(f"backbone.{name}" for name in self.backbone.exact),
            *(f"comparison.{name}" for name in Comparison.exact),
        )
        state = {
            name: value.to(device, torch.float32 if name.startswith(exact) else dtype)
            for name, value in self.state_dict().items()
        }
        copy.load_state_dict(state, assign=True)
        # constants that are no weights follow
        return copy.to(device).eval().requires_grad_(False)

    def fingerprint(self) -> str:
        """Eight hex digits that tell models apart: a checksum of the configuration and of some of every weight."""
        checksum = zlib.crc32(self.config.to_json().encode())
        for name, value in self.state_dict().items():
            checksum = zlib.crc32(name.encode(), checksum)
            checksum = zlib.crc32(value.detach().flatten()[:4096].float().cpu().numpy().tobytes(), checksum)
        return f"{checksum:08x}"

    def _clips(self, waves: Sequence[Tensor] | Tensor, lengths: Sequence[int] | None) -> list[Tensor]:
        clips = _clips(waves, lengths)
        if self.config.trim:
            clips = [without_silent_ends(c) for c in clips]
        return [normalized(c) for c in clips] if self.config.normalize else clips

    def _encoded(self, mixed: Tensor, lengths: list[int]) -> Encoded:
        """Mixed states (frames, dim) -> frames above the transformer."""
        frames, rest = len(mixed), missing_rows(mixed)
        if rest:  # one more clip, dropped again
            mixed = F.pad(mixed, (0, 0, 0, rest))
        x = self.norm(self.projection(mixed.to(self.projection.weight.dtype)))
        for layer in self.encoder:
            x = layer(x, [*lengths, rest] if rest else lengths)
        return Encoded(x[:frames], lengths)

    def _pooled(self, encoded: Encoded) -> Tensor:
        """Frames -> (batch, dim), fp32."""
        x, lengths = encoded
        if self.pooling is not None:
            pooled: Tensor = self.pooling(x, lengths)
            return pooled
        return torch.stack([clip.float().mean(0) for clip in x.split(lengths)])

    def _raw(self, pooled: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(batch, dim) -> (batch, heads), not yet in their ranges; and the distributions, see `Outputs`."""
        raw: Tensor = self.metrics(pooled.to(self.metrics.weight.dtype)).float()
        if not self.grades:
            return raw, {}
        columns = dict(zip(self.config.names, raw.unbind(1), strict=True))
        grades: dict[str, Tensor] = {name: head(columns[name], pooled) for name, head in self.grades.items()}
        columns |= {name: mean_logit(found) for name, found in grades.items()}
        return torch.stack(list(columns.values()), 1), grades


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


def running_sum(weights: Tensor, states: Iterator[Tensor]) -> Tensor:
    """The next states (frames, dim), weighted and added one by one, so that no 13 of them are held."""
    mixed = next(states) * weights[0]
    for weight, state in zip(weights[1:], islice(states, len(weights) - 1), strict=True):
        mixed = torch.addcmul(mixed, state, weight)
    return mixed


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
