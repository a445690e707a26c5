"""Going on from another model: its network with the heads that are wanted, and where the result says it comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sqa_model.network.backbones import BACKBONES
from sqa_model.network.comparison import Comparison, ComparisonConfig
from sqa_model.network.model import MosModel
from sqa_model.training.build import head_of
from sqa_model.training.clips import Clips
from sqa_model.training.config import TrainConfig
from sqa_model.training.pairs import NO_PAIRS, Pairs


def with_heads(
    model: MosModel,
    names: Sequence[str],
    dropout: float | None = None,
    comparison: ComparisonConfig | None = None,
) -> MosModel:
    """The same network with these heads in this order: those that it has as they are, others with random weights.

    dropout: of the layers above the backbone, if it shall be another one. comparison: the comparative head, likewise
    as it is or random; None: none. `model` should not be used any more: both share their weights.
    """
    config, state = model.config, dict(model.state_dict())
    had = {head.name: (head, row) for row, head in enumerate(config.heads)}
    heads = tuple(had[name][0] if name in had else head_of(name) for name in names)
    if comparison is None:
        state = {name: value for name, value in state.items() if not name.startswith("comparison.")}
    elif config.comparison is None:
        head = Comparison(config.dim, comparison).to(model.mix)
        state |= {f"comparison.{name}": value for name, value in head.state_dict().items()}
    graded = {name: kind for name, kind in config.distributions.items() if name in names}
    state = {
        name: value
        for name, value in state.items()
        if not name.startswith("grades.") or name.split(".")[1] in graded
    }
    dropout = config.dropout if dropout is None else dropout
    config = replace(config, heads=heads, dropout=dropout, comparison=comparison, distributions=graded)
    fresh = torch.nn.Linear(config.dim, len(heads), device=model.mix.device, dtype=model.mix.dtype)
    for part in ("weight", "bias"):
        rows: Tensor = fresh.get_parameter(part).detach()
        for place, name in enumerate(names):
            if name in had:
                rows[place] = state[f"metrics.{part}"][had[name][1]]
        state[f"metrics.{part}"] = rows
    with torch.device("meta"):
        changed = MosModel(config)
    changed.load_state_dict(state, assign=True)
    return changed.to(model.mix.device)


def parent_record(config: TrainConfig, parent: MosModel) -> dict[str, Any]:
    """The name and the fingerprint of the model that a run starts from, and of those that it came from itself."""
    record: dict[str, Any] = {"name": config.model.init, "fingerprint": parent.fingerprint()}
    before = parent.config.extra.get("fine_tuned_from")
    return record | ({"fine_tuned_from": before} if isinstance(before, Mapping) else {})


def network_record(config: TrainConfig, model: MosModel) -> dict[str, Any]:
    """The fields of `config.model` as they are in the network that is trained."""
    backbone = model.config.backbone
    asked = asdict(config.model)
    true = {name: getattr(model.config, name) for name in asked if hasattr(model.config, name)}
    named = next((name for name, sizes in BACKBONES.items() if sizes == backbone), backbone.kind)
    return asked | true | {"heads": list(model.config.names), "backbone": named, "sizes": asdict(backbone)}


def data_record(config: TrainConfig, clips: Clips, dev: Clips, pairs: Pairs = NO_PAIRS) -> dict[str, Any]:
    """What a model learned from and was measured on: manifests as they were named, and the clips of each corpus."""
    data = config.data
    train = list(data.train)
    how = {"manifests": list(data.dev)} if data.dev else {"held_out_of": train, "share": data.hold_out}
    compared = {"pairs": {"files": list(data.pairs), "count": len(pairs)}} if len(pairs) else {}
    return {"train": {"manifests": train} | _counts(clips) | compared, "dev": how | _counts(dev)}


def _counts(clips: Clips) -> dict[str, Any]:
    sizes = np.bincount(clips.corpus, minlength=len(clips.corpora)).tolist()
    return {
        "corpora": dict(zip(clips.corpora, sizes, strict=True)),
        "hours": round(float(clips.seconds.sum()) / 3600, 3),
    }
