"""The mean of several models: of checkpoints of one run, or of runs that began at the same weights.

Averages of weights along a run, or of runs fine-tuned from one model, are often better than each of them at no cost
in use (Izmailov et al. 2018, arXiv:1803.05407; Wortsman et al. 2022, arXiv:2203.05482). Of runs that began at
different random weights the mean is no good model: give `predict` several of these instead.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import torch
from torch import Tensor

from sqa_model.checkpoint.ours import load
from sqa_model.errors import CheckpointError, ModelError
from sqa_model.network.config import ModelConfig
from sqa_model.network.model import MosModel

Source = str | os.PathLike[str] | MosModel


def average(sources: Sequence[Source], weights: Sequence[float] | None = None) -> MosModel:
    """The model whose every weight is the mean of those of `sources`, summed in float64.

    Args:
        sources: models, or what `load` takes; read one after the other. All need one configuration (but for `extra`).
        weights: how much each counts, in any unit; the same for all if None.

    Returns: a model in eval mode; its `config.extra` says what it is the mean of.

    Raises: CheckpointError where a model cannot be loaded or is of another configuration, ModelError for `weights`.
    """
    weights = _checked(len(sources), weights)
    whole = sum(weights)
    config: ModelConfig | None = None
    total: dict[str, Tensor] = {}
    extras: list[Mapping[str, Any]] = []
    parts = []
    for source, weight in zip(sources, weights, strict=True):
        model = source if isinstance(source, MosModel) else load(source)
        name = "a model in memory" if isinstance(source, MosModel) else os.fspath(source)
        plain = replace(model.config, extra={})
        config = config or plain
        if plain != config:
            raise CheckpointError(
                f"{name}: {_difference(config, plain)}; only equal networks can be averaged"
            )
        for key, value in model.state_dict().items():
            part = weight * value.detach().cpu().double()
            total[key] = total[key].add_(part) if key in total else part
        extras.append(model.config.extra)
        parts.append({"name": name, "fingerprint": model.fingerprint(), "weight": weight / whole})
    assert config is not None
    common = {key: value for key, value in extras[0].items() if all(e.get(key) == value for e in extras)}
    with torch.device("meta"):
        mean = MosModel(replace(config, extra=common | {"average_of": parts}))
    mean.load_state_dict({key: (value / whole).float() for key, value in total.items()}, assign=True)
    return mean.eval()


def _checked(models: int, weights: Sequence[float] | None) -> Sequence[float]:
    """How much each model counts."""
    if models == 0:
        raise ModelError("found no model to average; expected at least one")
    if weights is None:
        return [1.0] * models
    good = all(math.isfinite(weight) and weight >= 0 for weight in weights) and sum(weights) > 0
    if len(weights) != models or not good:
        raise ModelError(
            f"weights are {list(weights)}; expected {models} numbers of 0 or more, one a model, not all of them 0"
        )
    return weights


def _difference(one: ModelConfig, other: ModelConfig) -> str:
    """In what two configurations differ."""
    pairs = {field.name: (getattr(one, field.name), getattr(other, field.name)) for field in fields(one)}
    told = [f"{name} is {b!r:.120}, {a!r:.120} in the first one" for name, (a, b) in pairs.items() if a != b]
    return "; ".join(told)
