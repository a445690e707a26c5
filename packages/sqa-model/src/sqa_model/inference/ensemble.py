"""Several models as one: what they must have in common, and how their scores of a clip become one.

The score of a head is the mean over the models that have it. `NAME_spread` is the standard deviation of what they
say, where two or more have it: how far they disagree. `NAME_std`, the deviation of the error that a model predicts of
itself, becomes that of the mixture of the models, by the law of total variance:

    NAME_std ^ 2 = mean of the models' NAME_std ^ 2 + NAME_spread ^ 2

(Lakshminarayanan et al., "Simple and scalable predictive uncertainty estimation using deep ensembles", 2017). It is
left out where a model has NAME and not NAME_std, since nothing is known of the error of that model.
"""

import math
import os
from collections.abc import Mapping, Sequence
from statistics import fmean

import torch
from sqa_data.labels import is_uncertainty, label_of, spread_of

from sqa_model.checkpoint.ours import load
from sqa_model.errors import ModelError
from sqa_model.inference.precision import prepare
from sqa_model.network.config import Head
from sqa_model.network.model import MosModel

Model = str | os.PathLike[str] | MosModel


class Ensemble:
    """One model or several, loaded and ready to score; of one, everything is as the model says it."""

    def __init__(
        self,
        models: Sequence[Model | None],
        device: torch.device,
        dtype: str = "auto",
        *,
        config: str | os.PathLike[str] | None = None,
    ) -> None:
        """`config` is the configuration of the one model, where it lies elsewhere."""
        loaded = [m if isinstance(m, MosModel) else load(m, config=config) for m in models]
        marks = [model.fingerprint() for model in loaded]
        check_members([model.config.heads for model in loaded], marks)
        prepared = [prepare(model, device, dtype) for model in loaded]
        if len({number_format for number_format, _ in prepared}) > 1:
            # one format for all, so that a row can say it in a word
            prepared = [prepare(model, device, "float32") for model in loaded]
        self.dtype = prepared[0][0]
        self.models = [model for _, model in prepared]
        self.fingerprint = "+".join(marks)
        self.names = tuple(combined([dict.fromkeys(m.config.names, 0.0) for m in loaded]))


def check_members(heads: Sequence[Sequence[Head]], marks: Sequence[str]) -> None:
    """Raise `ModelError` unless models with these heads and fingerprints can be one.

    >>> check_members([[Head("mos", 1, 5)], [Head("mos", 0, 100)]], ["0a", "0b"])
    Traceback (most recent call last):
    sqa_model.errors.ModelError: head 'mos' is 1 to 5 in model 1 and 0 to 100 in model 2; expected one scale
    """
    if not marks:
        raise ModelError("model is an empty list, no model; expected one or more")
    twice = {mark for mark in marks if marks.count(mark) > 1}
    if twice:
        which = " and ".join(str(i) for i, mark in enumerate(marks, 1) if mark in twice)
        raise ModelError(f"models {which} are the same; expected different ones, each named once")
    first: dict[str, tuple[int, Head]] = {}
    for number, head in ((i, head) for i, some in enumerate(heads, 1) for head in some):
        before, known = first.setdefault(head.name, (number, head))
        # an open end says nothing of the scale
        if None not in (*known, *head) and known != head:
            raise ModelError(
                f"head {head.name!r} is {known.min:g} to {known.max:g} in model {before} and {head.min:g} to "
                f"{head.max:g} in model {number}; expected one scale"
            )
    taken = [name for name in first if len(heads) > 1 and spread_of(name) in first]
    if taken:
        raise ModelError(f"head {spread_of(taken[0])!r} is what an ensemble says of {taken[0]!r}; rename it")


def combined(outputs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """One clip's scores by several models, as the scores of one; those of one model are left as they are.

    >>> one, other = {"mos": 3.0, "mos_std": 0.4, "sdr": 9.0}, {"mos": 4.0, "mos_std": 0.2}
    >>> {name: round(value, 4) for name, value in combined([one, other]).items()}
    {'mos': 3.5, 'mos_spread': 0.5, 'mos_std': 0.5916, 'sdr': 9.0}
    """
    if len(outputs) == 1:
        return dict(outputs[0])
    said = {name: [output[name] for output in outputs if name in output] for some in outputs for name in some}
    scores: dict[str, float] = {}
    for name, values in said.items():
        if not is_uncertainty(name):
            scores[name] = fmean(values)
            if len(values) > 1:
                scores[spread_of(name)] = math.sqrt(_variance(values))
        elif len(values) == len(said[label_of(name)]):
            within = fmean(value * value for value in values)
            scores[name] = math.sqrt(within + _variance(said[label_of(name)]))
    return scores


def _variance(values: Sequence[float]) -> float:
    """The mean squared distance from the mean: that of a mixture's middles, not an estimate for more models."""
    mean = fmean(values)
    return fmean((value - mean) ** 2 for value in values)
