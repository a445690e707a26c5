"""Predict the mean opinion score of speech.

>>> from sqa_model import predict, load          # doctest: +SKIP
>>> predict("speech.wav")["mos"]                 # doctest: +SKIP
3.87

The names below are imported on first use, so that `import sqa_model` costs milliseconds, not torch's seconds.
"""

import importlib
from typing import TYPE_CHECKING

from sqa_model.errors import AudioError, CheckpointError, ModelError

if TYPE_CHECKING:
    from sqa_model.checkpoint.average import average
    from sqa_model.checkpoint.ours import load, save
    from sqa_model.inference.pairs import Comparer, compare
    from sqa_model.inference.predictor import InputWarning, Prediction, Predictor, predict
    from sqa_model.network.backbones import BACKBONES
    from sqa_model.network.config import Head, ModelConfig
    from sqa_model.network.model import Features, MosModel
    from sqa_model.training.config import TrainConfig
    from sqa_model.training.config_text import load_config
    from sqa_model.training.journal import Event
    from sqa_model.training.loop import train

_HOMES = {  # public name -> module that defines it
    "BACKBONES": "network.backbones",
    "Comparer": "inference.pairs",
    "Event": "training.journal",
    "Features": "network.model",
    "Head": "network.config",
    "InputWarning": "inference.predictor",
    "ModelConfig": "network.config",
    "MosModel": "network.model",
    "Prediction": "inference.predictor",
    "Predictor": "inference.predictor",
    "TrainConfig": "training.config",
    "average": "checkpoint.average",
    "compare": "inference.pairs",
    "load": "checkpoint.ours",
    "load_config": "training.config_text",
    "predict": "inference.predictor",
    "save": "checkpoint.ours",
    "train": "training.loop",
}

__all__ = [
    "BACKBONES",
    "AudioError",
    "CheckpointError",
    "Comparer",
    "Event",
    "Features",
    "Head",
    "InputWarning",
    "ModelConfig",
    "ModelError",
    "MosModel",
    "Prediction",
    "Predictor",
    "TrainConfig",
    "average",
    "compare",
    "load",
    "load_config",
    "predict",
    "save",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'sqa_model' has no attribute {name!r}")
    return getattr(importlib.import_module(f"sqa_model.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
