"""What a model is made of: its heads and its sizes, saved beside the weights as JSON."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqa_data.labels import is_uncertainty, label_of

from sqa_model.errors import ModelError
from sqa_model.network.backbone import BackboneConfig
from sqa_model.network.backbones import BACKBONES, group, named, read_backbone
from sqa_model.network.comparison import ComparisonConfig
from sqa_model.network.fields import between, check_ranges, from_record
from sqa_model.network.grades import KINDS

MOST_HEADS = 1_000


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

    backbone: BackboneConfig = BACKBONES[
        "wavlm-base-plus"
    ]  # or a name of BACKBONES; or a list of these: a group
    heads: tuple[Head, ...] = (Head("mos", 1.0, 5.0),)  # in output order
    sample_rate: int = between(16_000, 1_000, 192_000)  # Hz
    normalize: bool = False  # shift and scale each waveform to mean 0 and variance 1
    trim: bool = False  # leave out what is silent at either end
    dim: int = between(768, 1, 16_384)  # of the transformer above the backbone
    layers: int = between(6, 0, 256)
    attention_heads: int = between(8, 1, 1_024)
    feedforward: int = between(2_048, 1, 65_536)
    dropout: float = between(0.1, 0, 0.95)
    pooling: str = "mean"  # over time; or "attention": learned weights of the frames
    # heads that say how likely each grade is, by how: "ordinal" or "categorical"
    distributions: Mapping[str, str] = field(default_factory=dict, hash=False)
    comparison: ComparisonConfig | None = None  # the head that compares two clips; None: there is none
    window_s: float = between(30.0, 0.5, 3_600.0)  # longest piece of speech to look at at once
    # kept, not read: origin, training notes
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        encoders = self.backbone if isinstance(self.backbone, list) else [self.backbone]
        if all(isinstance(encoder, str | BackboneConfig) for encoder in encoders):
            built = [named(encoder) if isinstance(encoder, str) else encoder for encoder in encoders]
            object.__setattr__(self, "backbone", group(built))
        if not isinstance(self.backbone, BackboneConfig):
            raise ModelError(f"backbone is {self.backbone!r:.50}; expected a name or a BackboneConfig")
        check_ranges(self)
        object.__setattr__(self, "heads", _heads(self.heads))
        if self.pooling not in ("mean", "attention"):
            raise ModelError(f"pooling is {self.pooling!r:.50}; expected 'mean' or 'attention'")
        if self.dim % self.attention_heads:
            raise ModelError(f"dim {self.dim} is not a multiple of attention_heads {self.attention_heads}")
        _check_comparison(self.comparison, self.dim)
        _check_distributions(self.distributions, self.heads)
        if not isinstance(self.extra, Mapping):
            raise ModelError(f"extra is {self.extra!r:.50}; expected an object")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the heads, in output order."""
        return tuple(h.name for h in self.heads)

    def to_json(self) -> str:
        """The configuration as indented JSON."""
        record = dataclasses.asdict(self)
        record["backbone"] = self.backbone.record()
        record["heads"] = [list(h) for h in self.heads]
        for name in ("window_s", "trim", "comparison"):  # so that older checkpoints keep their fingerprints
            if record[name] == getattr(ModelConfig, name):
                del record[name]
        if not self.distributions:
            del record["distributions"]
        return json.dumps(record, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "ModelConfig":
        """Read `to_json`'s text; ModelError where it is not such a text."""
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelError(f"model configuration is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise ModelError(f"model configuration must be a JSON object, found {type(record).__name__}")
        if "backbone" in record:
            record["backbone"] = read_backbone(record["backbone"])
        if isinstance(record.get("comparison"), dict):
            record["comparison"] = from_record(
                ComparisonConfig, record["comparison"], "model configuration: comparison"
            )
        return from_record(cls, record, "model configuration")


def _check_comparison(comparison: object, dim: int) -> None:
    """Raise `ModelError` for what is no comparative head of a transformer of this size."""
    if comparison is None:
        return
    if not isinstance(comparison, ComparisonConfig):
        raise ModelError(
            f"comparison is {comparison!r:.50}; expected a ComparisonConfig, or None for no such head"
        )
    if dim % comparison.attention_heads:
        raise ModelError(
            f"dim {dim} is not a multiple of comparison.attention_heads {comparison.attention_heads}"
        )


def _check_distributions(distributions: object, heads: Sequence[Head]) -> None:
    """Raise `ModelError` unless these name heads that have grades, and how."""
    if not isinstance(distributions, Mapping):
        raise ModelError(
            f'distributions is {distributions!r:.50}; expected an object such as {{"mos": "ordinal"}}'
        )
    known = {head.name: head for head in heads}
    for name, kind in distributions.items():
        if kind not in KINDS:
            raise ModelError(
                f"distributions: {name!r:.50} is {kind!r:.50}; expected {' or '.join(map(repr, KINDS))}"
            )
        if name not in known or None in known[name] or "." in name:
            raise ModelError(
                f"distributions: {name!r:.50} is no head with two finite ends, whose name has no dot; there are "
                f"{', '.join(known)}"
            )


def _heads(heads: Any) -> tuple[Head, ...]:
    """The heads as given, with their bounds as floats; ModelError where they make no sense."""
    if isinstance(heads, str) or not isinstance(heads, Sequence):
        raise ModelError(f"heads must be a list of (name, min, max), found {heads!r:.50}")
    if not 1 <= len(heads) <= MOST_HEADS:
        raise ModelError(
            f"found {len(heads)} heads; a model needs at least one head, such as ('mos', 1, 5), "
            f"and at most {MOST_HEADS:,}"
        )
    found = tuple(_head(h) for h in heads)
    names = [h.name for h in found]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise ModelError(f"head names must differ; found more than once: {', '.join(twice)}")
    for name in names:
        if is_uncertainty(name) and label_of(name) not in names:
            raise ModelError(f"head {name!r} is an uncertainty, but there is no head {label_of(name)!r}")
    return found


def _head(head: Any) -> Head:
    """A Head from (name, min, max); ModelError where it makes no sense."""
    try:
        name, *bounds = Head(*head)
        low, high = (None if b is None else float(b) for b in bounds)
    except (TypeError, ValueError, OverflowError) as error:
        text = f"a head is (name, min, max) with None for an open end; found {head!r:.80}"
        raise ModelError(text) from error
    if not isinstance(name, str) or not name:
        raise ModelError(f"a head's name must be text; found {name!r:.50}")
    if not all(b is None or math.isfinite(b) for b in (low, high)):
        raise ModelError(f"head {name!r}: {low} to {high}; expected finite bounds, None for an open end")
    if low is not None and high is not None and low >= high:
        raise ModelError(f"head {name!r}: min {low} must be below max {high}")
    return Head(name, low, high)
