"""The speech encoders by name: each turns waveforms into the states of its layers.

To add one, write a file beside this one with a `BackboneConfig` and the `Backbone` that it builds, and add one row
to `BACKBONES`. Names, configuration files, checkpoints, training and the command line take it from there; so does
`hf:ID` where `kind` is a `model_type` of transformers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqa_model.errors import ModelError
from sqa_model.network.backbone import BackboneConfig
from sqa_model.network.fields import from_record
from sqa_model.network.group import GroupConfig
from sqa_model.network.logmel import LogMelConfig
from sqa_model.network.wav2vec2 import Data2VecConfig, HubertConfig, Wav2Vec2Config
from sqa_model.network.wav2vec2_bert import Wav2Vec2BertConfig
from sqa_model.network.wavlm import WavLMConfig
from sqa_model.network.whisper import WhisperConfig

BACKBONES: dict[str, BackboneConfig] = {
    "logmel": LogMelConfig(),
    "wavlm-base": WavLMConfig(),
    "wavlm-base-plus": WavLMConfig(),
    "wavlm-large": WavLMConfig(dim=1024, layers=24, heads=16, feedforward=4096, pre_norm=True),
    # of the library transformers, in its base sizes
    "wav2vec2": Wav2Vec2Config(),
    "hubert": HubertConfig(),
    "data2vec-audio": Data2VecConfig(),
    "wav2vec2-bert": Wav2Vec2BertConfig(),
    "whisper": WhisperConfig(),
}


def named(name: str) -> BackboneConfig:
    """The sizes of a backbone of the table."""
    if name not in BACKBONES:
        raise ModelError(f"unknown backbone {name!r}; expected one of {', '.join(BACKBONES)}")
    return BACKBONES[name]


def group(encoders: Sequence[BackboneConfig]) -> BackboneConfig:
    """One backbone of some encoders; one alone is what it is."""
    return encoders[0] if len(encoders) == 1 else GroupConfig(tuple(encoders))


def read_backbone(record: object) -> BackboneConfig:
    """A backbone from a configuration file: a name of the table, an object with its `kind`, or a list of encoders."""
    return group([_encoder(one) for one in record]) if isinstance(record, list) else _encoder(record)


def _encoder(record: object) -> BackboneConfig:
    if isinstance(record, str):
        return named(record)
    if not isinstance(record, Mapping):
        raise ModelError(f"model configuration: backbone must be a name or an object, found {record!r:.50}")
    kinds = {config.kind: type(config) for config in BACKBONES.values()}
    sizes: dict[str, Any] = dict(record)
    kind = sizes.pop("kind", None)
    if not isinstance(kind, str) or kind not in kinds:
        raise ModelError(
            f"model configuration: unknown backbone kind {kind!r:.50}; expected one of {sorted(kinds)}"
        )
    return from_record(kinds[kind], sizes, "model configuration: backbone")
