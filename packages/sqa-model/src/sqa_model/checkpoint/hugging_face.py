"""Published speech encoders in the layout of transformers: `config.json` beside their weights.

Only numbers and words of the configuration are read; which class they build is the choice of our table
(`network.backbones`), never the file's. Code that a `config.json` may name is not asked for.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path

from torch import Tensor

from sqa_model.checkpoint.files import read_json
from sqa_model.checkpoint.locate import locate_beside, locate_file
from sqa_model.errors import CheckpointError, ModelError
from sqa_model.network.backbone import BackboneConfig
from sqa_model.network.backbones import BACKBONES
from sqa_model.network.hugging_face import HuggingFaceBackbone

# encoders that hear waveforms are published with a file that says whether these are normalised
PREPROCESSOR = "preprocessor_config.json"
NORMALIZE = "do_normalize"


def find_backbone(source: str | os.PathLike[str]) -> BackboneConfig:
    """What a published encoder is: a backbone to build, without its weights.

    Args:
        source: a folder, or a Hub id such as `facebook/wav2vec2-xls-r-300m`, with the `config.json` of one of the
            families of transformers that `BACKBONES` knows.

    Raises: CheckpointError where there is none, or it is of another family.
    """
    file = locate_file(source, ("config.json",))
    settings = read_json(file)
    families = {config.model_type: type(config) for config in BACKBONES.values() if config.model_type}
    name = settings.get("model_type")
    if not isinstance(name, str) or name not in families:
        raise CheckpointError(
            f"{source}: model_type is {name!r:.50}; expected one of {', '.join(sorted(families))}"
        )
    hears_waves = any(field.name == "normalize" for field in fields(families[name]))
    normalize = hears_waves and _normalized(source, file)
    try:
        return families[name].from_hugging_face(settings, normalize)
    except ModelError as error:
        raise CheckpointError(f"{source}: config.json: {error}") from error


def _normalized(source: str | os.PathLike[str], config: Path) -> bool:
    """Whether an encoder was trained with waveforms of mean 0 and variance 1."""
    try:
        found = read_json(locate_beside(source, config, PREPROCESSOR)).get(NORMALIZE)
    except CheckpointError as error:
        raise CheckpointError(
            f"{error}; the file says whether waveforms are normalised: save the feature extractor beside the encoder, "
            f'or write {{"{NORMALIZE}": true}} (or false) in it'
        ) from error
    if not isinstance(found, bool):
        raise CheckpointError(
            f"{source}: {PREPROCESSOR}: {NORMALIZE} is {found!r:.50}; expected true or false"
        )
    return found


def encoder_weights(theirs: Mapping[str, Tensor], backbone: HuggingFaceBackbone) -> dict[str, Tensor]:
    """The state dict of a backbone from published weights: of the encoder alone, or of a model with a task on top."""
    prefix = next((p for p in backbone.prefixes if any(name.startswith(p) for name in theirs)), "")
    ours = {}
    for name, value in theirs.items():
        inner = name.removeprefix(prefix)
        if not name.startswith(prefix) or re.fullmatch(backbone.unused, inner):
            continue
        # transformers before version 5 wrote weight norm in torch's older names
        inner = inner.replace(".conv.weight_g", ".conv.parametrizations.weight.original0")
        inner = inner.replace(".conv.weight_v", ".conv.parametrizations.weight.original1")
        ours[f"model.{inner}"] = value
    return ours
