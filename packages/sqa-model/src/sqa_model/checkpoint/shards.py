"""The weights of a published encoder, in one file or in several that an index names.

Large ones are published in shards: `model.safetensors.index.json` maps the name of each weight to the file that holds
it. The index is read as data, and names files beside itself only.
"""

import os
from pathlib import Path
from typing import Any

from torch import Tensor

from sqa_model.checkpoint.files import read_json
from sqa_model.checkpoint.locate import HUGGING_FACE, INDEX, locate_beside, locate_file
from sqa_model.checkpoint.tensors import read_tensors
from sqa_model.errors import CheckpointError


def read_weights(source: str | os.PathLike[str]) -> dict[str, Any]:
    """The weights of an encoder that transformers publishes, by its names; memory-mapped, and nothing is executed.

    Args:
        source: a folder or Hub id with the weights, their file, or the index of their files.

    Raises: CheckpointError where they, or one of the files that the index names, are not there or damaged.
    """
    found = locate_file(source, HUGGING_FACE)
    if not found.name.endswith(INDEX):
        return read_tensors(found)
    weights: dict[str, Tensor] = {}
    for shard, names in _files(found).items():
        try:
            file = locate_beside(source, found, shard)
        except CheckpointError as error:
            raise CheckpointError(
                f"{source}: {shard}, which holds {len(names)} of the weights by {found.name}, is missing: {error}"
            ) from error
        content = read_tensors(file)
        if absent := [name for name in names if name not in content]:
            raise CheckpointError(
                f"{file}: {len(absent)} weights are missing that {found.name} says are here, such as {absent[0]}"
            )
        weights |= {name: content[name] for name in names}
    return weights


def _files(index: Path) -> dict[str, list[str]]:
    """The files that an index names, each with the names of its weights."""
    places = read_json(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise CheckpointError(f"{index}: expected the file of each weight under 'weight_map'")
    # of the same kind as the index itself: model.safetensors.index.json -> .safetensors
    kind = Path(index.name.removesuffix(INDEX)).suffix
    files: dict[str, list[str]] = {}
    for name, file in places.items():
        if not isinstance(file, str) or Path(file).name != file or Path(file).suffix != kind:
            raise CheckpointError(f"{index}: {name} lies in {file!r:.80}; expected a {kind} file beside it")
        files.setdefault(file, []).append(name)
    return files
