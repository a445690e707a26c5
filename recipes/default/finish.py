"""From what was learned to the model in the package: teach `mos_std` how far the teacher is off, store in fp16.

    python recipes/default/finish.py STATES_FOLDER RUN_FOLDER OUT_FOLDER [RECORDING ...]

`mos_std` is fitted where the model was not: talkers of the development splits, kinds of degradation that training never
met (`unseen`), and any recordings given, for which the teacher is asked here. All of them are seen whole and in other
views. Its weights, a row of the last layer, are those of the greatest Gaussian likelihood of the teacher's scores, near
those that were learned.
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from ask import Teacher
from learn import SMALLEST_STD, whole
from sqa_model import load, save
from sqa_model.network.ends import without_silent_ends
from sqa_model.network.model import MosModel
from sqa_model.training.source import read_audio
from torch import Tensor
from views import Clips

SEED = 7
OTHER_VIEWS = 3  # of a clip, beside the whole
NEAR = 0.01  # weight of the squared distance from what was learned, as a share of its size


def finish(states: Path, run: Path, out: Path, recordings: list[Path]) -> None:
    """Write config.json and model.safetensors into `out`."""
    learned = load(run / "learned")
    config = dataclasses.replace(learned.config, trim=True)
    model = MosModel(config)
    model.load_state_dict({name: value.half().float() for name, value in learned.state_dict().items()})
    pooled, mos, label = _heard(model.eval(), Clips(sorted(states.glob("*-dev"))), recordings)
    error = mos - label
    head = config.names.index("mos_std")
    before = _std(pooled, model.metrics.weight[head], model.metrics.bias[head])
    weight, bias = _fit(pooled, error, model.metrics.weight[head].detach(), model.metrics.bias[head].detach())
    with torch.no_grad():
        model.metrics.weight[head], model.metrics.bias[head] = weight, bias
    after = _std(pooled, model.metrics.weight[head], model.metrics.bias[head])
    print(f"{len(error)} views: error {error.square().mean().sqrt():.3f}, bias {error.mean():+.3f}")
    print(f"mos_std: {_quality(before, error)} before, {_quality(after, error)} after")
    notes = {"origin": "recipes/default, edition 2", "teacher": "Distill-MOS (distillmos 0.9.1)"}
    finished = MosModel(dataclasses.replace(config, extra=notes))
    finished.load_state_dict(model.state_dict())
    save(finished, out, dtype=torch.float16)


@torch.no_grad()
def _heard(model: MosModel, dev: Clips, recordings: list[Path]) -> tuple[Tensor, Tensor, Tensor]:
    """(views, dim) pooled states, (views,) the model's scores, (views,) the teacher's."""
    random = np.random.default_rng(SEED)
    waves, labels = [], []
    for i in range(len(dev)):
        views = [whole(dev, i), *(dev.other_view(i, random) for _ in range(OTHER_VIEWS))]
        waves += [dev.wave(view, random) for view in views]
        labels += [float(dev.labels[i])] * len(views)
    if recordings:
        teacher = Teacher()
        for path in recordings:
            waves.append(without_silent_ends(read_audio(str(path), 16_000)))
            labels.append(float(np.mean(teacher(waves[-1][:122_880])[1])))
    pooled: list[Tensor] = []
    take = model.metrics.register_forward_pre_hook(lambda _, given: pooled.append(given[0].float()))
    mos = [model([wave])[0, model.config.names.index("mos")] for wave in waves]
    take.remove()
    return torch.cat(pooled), torch.stack(mos), torch.tensor(labels)


def _fit(pooled: Tensor, error: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """The row of `mos_std` with the best Gaussian likelihood of `error`, near (weight, bias)."""
    row, offset = weight.clone().requires_grad_(), bias.clone().requires_grad_()
    search = torch.optim.LBFGS([row, offset], max_iter=200, line_search_fn="strong_wolfe")
    size = weight.square().mean()

    def loss() -> Tensor:
        search.zero_grad()
        std = _std(pooled, row, offset)
        value = (std.log() + 0.5 * (error / std).square()).mean() + NEAR * (
            row - weight
        ).square().mean() / size
        value.backward()
        return value

    search.step(loss)
    return row.detach(), offset.detach()


def _std(pooled: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return F.softplus(pooled @ weight + bias).clamp_min(SMALLEST_STD)


def _quality(std: Tensor, error: Tensor) -> str:
    """Share of the errors inside the 68.3 % and 95.4 % intervals, and how well it ranks them."""
    std, size = std.detach(), error.abs()
    inside = [float((size <= k * std).float().mean()) for k in (1, 2)]
    ranks = [np.argsort(np.argsort(values.numpy())) for values in (std, size)]
    return f"coverage {inside[0]:.1%} and {inside[1]:.1%}, rank correlation {np.corrcoef(*ranks)[0, 1]:.2f}"


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    finish(*map(Path, sys.argv[1:4]), [Path(name) for name in sys.argv[4:]])
