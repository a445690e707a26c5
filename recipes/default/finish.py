"""From the best checkpoint of a run to the model in the package: calibrate `mos_std`, store in fp16.

    python recipes/default/finish.py RUN DEV_MANIFEST OUT_FOLDER

The uncertainty is calibrated on held-out talkers: two numbers, an offset and a scale of the head's logit, chosen to
maximise the Gaussian likelihood of the teacher's scores. They go into the head's weights, so nothing is added.
"""

import dataclasses
import math
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from sqa_data import read_manifest
from sqa_model import load, save
from sqa_model.network.model import MosModel
from sqa_model.training.error_loss import SMALLEST_STD
from sqa_model.training.source import read_audio


def finish(run: Path, dev: Path, out: Path) -> None:
    """Write config.json and model.safetensors of `run`'s best checkpoint, calibrated on `dev`, into `out`."""
    model = load(run / "best").half().float()  # what will be stored is what is calibrated
    rows = [row for row in read_manifest(dev) if "mos" in row.metrics]
    mos = torch.tensor([row.metrics["mos"] for row in rows])
    with torch.inference_mode():
        scores = torch.cat([model([read_audio(row.audio_path, 16000)]) for row in rows])
    error = scores[:, model.config.names.index("mos")] - mos
    head = model.config.names.index("mos_std")
    std = scores[:, head].clamp_min(SMALLEST_STD)
    logit = torch.log(torch.expm1(std))
    scale, offset = _fit(logit, error)
    with torch.no_grad():
        model.metrics.weight[head] *= scale
        model.metrics.bias[head] = model.metrics.bias[head] * scale + offset
    print(
        f"{len(rows)} clips: error {error.square().mean().sqrt():.3f} (root mean square), bias {error.mean():+.3f}"
    )
    print(f"mos_std: logit x {scale:.3f} {offset:+.3f}; coverage {_coverage(std, error)} before, ", end="")
    print(f"{_coverage(F.softplus(scale * logit + offset), error)} after (68 % and 95 % intervals)")
    notes = {
        "origin": "recipes/default",
        "teacher": "Distill-MOS (distillmos 0.9.1)",
        "calibrated_on": len(rows),
    }
    finished = MosModel(dataclasses.replace(model.config, extra=notes))
    finished.load_state_dict(model.state_dict())
    save(finished, out, dtype=torch.float16)


def _fit(logit: torch.Tensor, error: torch.Tensor) -> tuple[float, float]:
    """Scale and offset of the logit with the best Gaussian likelihood of `error`."""
    numbers = torch.tensor([1.0, 0.0], requires_grad=True)
    search = torch.optim.LBFGS([numbers], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        search.zero_grad()
        std = F.softplus(numbers[0] * logit + numbers[1]).clamp_min(SMALLEST_STD)
        value = (std.log() + 0.5 * (error / std).square()).mean()
        value.backward()
        return value

    search.step(loss)
    scale, offset = numbers.detach().tolist()
    return scale, offset


def _coverage(std: torch.Tensor, error: torch.Tensor) -> str:
    """Share of the errors inside the 68.3 % and 95.4 % intervals."""
    inside = [float((error.abs() <= k * std).float().mean()) for k in (1, 2)]
    assert all(math.isfinite(share) for share in inside)
    return f"{inside[0]:.1%} and {inside[1]:.1%}"


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    finish(*map(Path, sys.argv[1:]))
