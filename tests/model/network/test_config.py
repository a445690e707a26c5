"""Configurations: JSON and back, and every field has a range that is checked before anything is built."""

import dataclasses
import json

import pytest
from sqa_model import BACKBONES, ModelConfig, ModelError
from sqa_model.network.fields import RANGE
from sqa_model.network.logmel import LogMelConfig
from sqa_model.network.wavlm import WavLMConfig

HEADS = [("mos", 1, 5), ("mos_std", 0, None), ("sdr", None, None), ("lsd", None, 2.0)]
SMALL = [
    LogMelConfig(dim=32, blocks=2, stride=4, context=3, channels=4),
    WavLMConfig(dim=96, layers=3, heads=4, feedforward=128, channels=64, pre_norm=True),
]


@pytest.mark.parametrize("backbone", [*SMALL, *BACKBONES, *BACKBONES.values()])
def test_config_survives_json(backbone: object) -> None:
    config = ModelConfig(backbone, HEADS, extra={"trained_on": "nothing"})  # type: ignore[arg-type]
    assert ModelConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "JSON object"),
        ("[" * 100_000, "not JSON"),
        ('{"dim": ' + "9" * 5_000 + "}", "not JSON"),
        ('{"heads": []}', "at least one head"),
        ('{"heads": null}', "heads must be a list"),
        ('{"heads": "mos"}', "heads must be a list"),
        ('{"heads": [["mos", 5, 1]]}', "below max"),
        ('{"heads": [["mos", 5, 5]]}', "below max"),
        ('{"heads": [["mos", NaN, 5]]}', "finite bounds"),
        ('{"heads": [["mos", -Infinity, 5]]}', "finite bounds"),
        ('{"heads": [["mos", 1, 5], ["mos", 1, 5]]}', "more than once: mos"),
        ('{"heads": [["pesq_std", 0, null]]}', "no head 'pesq'"),
        ('{"heads": ["mos"]}', "a head is"),
        ('{"heads": [[7, 1, 5]]}', "name must be text"),
        ('{"heads": [["", 1, 5]]}', "name must be text"),
        (json.dumps({"heads": [[f"h{i}", 0, 1] for i in range(100_000)]}), "found 100000 heads"),
        ('{"backbone": "bert"}', "unknown backbone 'bert'"),
        ('{"backbone": null}', "backbone must be a name or an object"),
        ('{"backbone": {"kind": "exec"}}', "unknown backbone kind"),
        ('{"backbone": {"kind": ["logmel"]}}', "unknown backbone kind"),
        ('{"backbone": {"kind": "logmel", "dims": 3}}', "backbone: unknown dims"),
        ('{"backbone": {"kind": "logmel", "dim": "3"}}', "backbone: dim must be a whole number, found '3'"),
        ('{"backbone": {"kind": "logmel", "dim": 0}}', "backbone: dim is 0; expected a whole number from 1"),
        ('{"backbone": {"kind": "logmel", "context": 8}}', r"context is 8; expected 0 \(none\) or 3"),
        ('{"backbone": {"kind": "logmel", "channels": 4, "stride": 1}}', "stride 2, 4 or 8; found 80 and 1"),
        ('{"backbone": {"kind": "logmel", "hop": 8}}', "hop . stride is 16; expected at least 128"),
        ('{"backbone": {"kind": "wavlm", "layers": 1000000000}}', "layers is 1000000000; expected"),
        ('{"backbone": {"kind": "wavlm", "heads": 5}}', "dim 768 is not a multiple of heads 5"),
        ('{"backbone": {"kind": "wavlm", "position_groups": 5}}', "not a multiple of position_groups 5"),
        ('{"backbone": {"kind": "wavlm", "max_distance": 80}}', "expected over a quarter of buckets"),
        ('{"backbone": {"kind": "wavlm", "pre_norm": 1}}', "pre_norm must be true or false"),
        ('{"attention_heads": 0}', "attention_heads is 0; expected"),
        ('{"pooling": "max"}', "pooling is 'max'; expected 'mean' or 'attention'"),
        ('{"layers": 2.5}', "layers must be a whole number"),
        ('{"layers": true}', "layers must be a whole number"),
        ('{"normalize": 1}', "normalize must be true or false"),
        ('{"dim": 100}', "not a multiple"),
        ('{"dropout": 2}', "dropout is 2; expected a number from 0 to 0.95"),
        ('{"dropout": NaN}', "dropout is nan; expected a number"),
        ('{"sample_rate": 0}', "sample_rate is 0; expected a whole number from 1,000 to 192,000"),
        ('{"extra": []}', "extra is"),
    ],
)
def test_wrong_configs_are_told(text: str, message: str) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        ModelConfig.from_json(text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("config", [ModelConfig(), *BACKBONES.values()])
def test_every_number_has_a_range(config: object) -> None:
    for field in dataclasses.fields(config):  # type: ignore[arg-type]
        if field.type in (int, float, tuple[int, ...]):
            low, high = field.metadata.get(RANGE, (0, 3))  # context: none, or three statistics
            for value in (low - 1, high + 1, 10**12, -(10**12)):
                wrong = (3, value) if field.type == tuple[int, ...] else value
                with pytest.raises(ModelError, match=field.name):
                    dataclasses.replace(config, **{field.name: wrong})  # type: ignore[type-var]
