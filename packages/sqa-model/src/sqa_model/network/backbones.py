"""The speech encoders by name: each turns waveforms into the states of its layers."""

from sqa_model.network.logmel import LogMel, LogMelConfig
from sqa_model.network.wavlm import WavLM, WavLMConfig

BackboneConfig = LogMelConfig | WavLMConfig

BACKBONES: dict[str, BackboneConfig] = {
    "logmel": LogMelConfig(),
    "wavlm-base": WavLMConfig(),
    "wavlm-base-plus": WavLMConfig(),
    "wavlm-large": WavLMConfig(dim=1024, layers=24, heads=16, feedforward=4096, pre_norm=True),
}

KINDS: dict[str, tuple[type[BackboneConfig], type[LogMel] | type[WavLM]]] = {
    "logmel": (LogMelConfig, LogMel),
    "wavlm": (WavLMConfig, WavLM),
}


def build(config: BackboneConfig) -> LogMel | WavLM:
    """The encoder of a configuration, with random weights."""
    return KINDS[config.kind][1](config)  # type: ignore[arg-type]
