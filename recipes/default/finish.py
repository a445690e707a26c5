"""From what was learned to the model in the package: teach `mos_std` how far the teacher is off, store in fp16.

    python recipes/default/finish.py STATES_FOLDER RUN_FOLDER OUT_FOLDER [RECORDING ...] [--clips ... --teacher ...]

`mos_std` is fitted where the model was not: talkers of the development splits, kinds of degradation that training never
met (`unseen`), and any recordings given, for which the teacher is asked here. All of them are seen whole and in other
views; what training never met in kind counts as much as the rest together. Its weights, a row of the last layer, are
those of the greatest Gaussian likelihood of the teacher's scores, near those that were learned.
"""

import argparse
import dataclasses
import sys
from collections.abc import Mapping
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
from views import WINDOW, Clips, add_teachers, label

SEED = 7
OTHER_VIEWS = 3  # of a clip, beside the whole
NEAR = 0.01  # weight of the squared distance from what was learned, as a share of its size


def finish(
    run: Path, out: Path, dev: Clips, recordings: list[Path], teachers: Mapping[str, float] | None = None
) -> None:
    """Write config.json and model.safetensors into `out`."""
    if recordings and teachers:
        sys.exit("recordings are judged by Distill-MOS alone; expected none of them beside --teacher")
    learned = load(run / "learned")
    config = dataclasses.replace(learned.config, trim=True)
    model = MosModel(config)
    model.load_state_dict({name: value.half().float() for name, value in learned.state_dict().items()})
    pooled, error, is_new = _heard(model.eval(), dev, recordings)
    head = config.names.index("mos_std")
    before = _std(pooled, model.metrics.weight[head], model.metrics.bias[head])
    counts = torch.where(is_new, 0.5 / is_new.sum().clamp_min(1), 0.5 / (~is_new).sum())
    weight, bias = _fit(pooled, error, counts, model.metrics.weight[head], model.metrics.bias[head])
    with torch.no_grad():
        model.metrics.weight[head], model.metrics.bias[head] = weight, bias
    after = _std(pooled, model.metrics.weight[head], model.metrics.bias[head])
    print(f"{len(error)} views: error {error.square().mean().sqrt():.3f}, bias {error.mean():+.3f}")
    print(f"mos_std: {_quality(before, error)} before, {_quality(after, error)} after")
    taught = " + ".join(
        ["Distill-MOS (distillmos 0.9.1)", *(f"{n} {s:g}" for n, s in (teachers or {}).items())]
    )
    notes = {"origin": "recipes/default, edition 2", "teacher": taught}
    finished = MosModel(dataclasses.replace(config, extra=notes))
    finished.load_state_dict(model.state_dict())
    save(finished, out, dtype=torch.float16)


@torch.no_grad()
def _heard(model: MosModel, dev: Clips, recordings: list[Path]) -> tuple[Tensor, Tensor, Tensor]:
    """(views, dim) pooled states, (views,) how far the model is above the teacher, (views,) new in kind or not."""
    random = np.random.default_rng(SEED)
    waves, labels, is_new = [], [], []
    for i in range(len(dev)):
        views = [whole(dev, i), *(dev.other_view(i, random) for _ in range(OTHER_VIEWS))]
        waves += [dev.wave(view, random) for view in views]
        labels += [float(dev.labels[i])] * len(views)
        is_new += [dev.told[i]["set"] == "unseen-dev"] * len(views)
    if recordings:
        teacher = Teacher()
        for path in recordings:
            waves.append(without_silent_ends(read_audio(str(path), 16_000)))
            labels.append(float(np.mean([label(len(w), teacher(w)[1]) for w in _windows(waves[-1])])))
        is_new += [True] * len(recordings)
    pooled: list[Tensor] = []
    take = model.metrics.register_forward_pre_hook(lambda _, given: pooled.append(given[0].float()))
    mos = [model([wave])[0, model.config.names.index("mos")] for wave in waves]
    take.remove()
    return torch.cat(pooled), torch.stack(mos) - torch.tensor(labels), torch.tensor(is_new)


def _windows(wave: Tensor) -> list[Tensor]:
    """As many stretches of the teacher's window as cover a recording, evenly apart."""
    count = -(-len(wave) // WINDOW)
    starts = np.linspace(0, max(0, len(wave) - WINDOW), count).astype(int)
    return [wave[start : start + WINDOW] for start in starts]


def _fit(pooled: Tensor, error: Tensor, counts: Tensor, row: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """The row of `mos_std` with the best Gaussian likelihood of `error`, weighted by `counts`, near (row, offset)."""
    weight = row.detach()
    row, offset = weight.clone().requires_grad_(), offset.detach().clone().requires_grad_()
    search = torch.optim.LBFGS([row, offset], max_iter=200, line_search_fn="strong_wolfe")
    size = weight.square().mean()

    def loss() -> Tensor:
        search.zero_grad()
        std = _std(pooled, row, offset)
        value = (counts * (std.log() + 0.5 * (error / std).square())).sum() / counts.sum()
        value = value + NEAR * (row - weight).square().mean() / size
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("states", "run", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("recordings", type=Path, nargs="*")
    add_teachers(parser)
    asked = parser.parse_args()
    taught_by = dict(asked.teacher)
    clips = Clips(sorted(asked.states.glob("*-dev")), asked.clips, taught_by)
    finish(asked.run, asked.out, clips, asked.recordings, taught_by)
