"""Which device and number format a model computes with.

bfloat16 is twice as fast on processors made for it, and rounds. `auto` takes it where a probe says that it does not
matter: how far the heads' raw outputs move on speech, before the squashing that hides a change near the end of a range.
"""

import os
from importlib.resources import files

import numpy as np
import torch

from sqa_model.audio import load_audio
from sqa_model.errors import ModelError
from sqa_model.inference.options import DTYPES, check_device
from sqa_model.network.config import Head
from sqa_model.network.model import MosModel
from sqa_model.network.products import has_bfloat16

BOUND = 0.005  # of a head's range, 0.02 MOS: what bfloat16 may change
MARGIN = 2.0  # clips move by up to twice what the probe moves


def pick_device(device: str) -> torch.device:
    """The device of a name; "auto" is CUDA where there is one. Under torchrun each process takes its own."""
    check_device(device)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    found = torch.device(device)
    if found.type == "cuda" and (found.index or 0) >= torch.cuda.device_count():
        raise ModelError(f"device is {device!r}, but {torch.cuda.device_count()} CUDA devices are found")
    return found


@torch.inference_mode()
def prepare(model: MosModel, device: torch.device, dtype: str) -> tuple[str, MosModel]:
    """(number format, the model in it)."""
    if dtype not in DTYPES:
        raise ModelError(f"dtype is {dtype!r:.50}; expected {', '.join(DTYPES)}")
    if dtype != "auto":
        return dtype, model.inference_copy(device, getattr(torch, dtype))
    exact = model.inference_copy(device, torch.float32)
    if not has_bfloat16(device):
        return "float32", exact
    rounded = model.inference_copy(device, torch.bfloat16)
    clips = [clip.to(device) for clip in probe(model.config.sample_rate)]
    raw = exact.logits(clips)
    moved = (rounded.logits(clips) - raw).abs()
    for head, change, level in zip(model.config.heads, moved.amax(0), raw.abs().amax(0), strict=True):
        # not "change > limit": NaN must not pass
        if not MARGIN * change.item() <= limit(head, level.item()):
            return "float32", exact
    return "bfloat16", rounded


def limit(head: Head, level: float) -> float:
    """How far the raw output of a head, of about `level`, may move.

    A sigmoid over a range is nowhere steeper than a quarter of it, so this bounds the score for every clip.

    >>> limit(Head("mos", 1, 5), 3.0), limit(Head("sdr"), 20.0)
    (0.02, 0.1)
    """
    both = head.min is not None and head.max is not None
    return 4 * BOUND if both else BOUND * max(1.0, level)


def probe(sample_rate: int) -> list[torch.Tensor]:
    """A second of speech as it was recorded, in noise, and cut off at its peaks: fp32 at `sample_rate`."""
    clean = load_audio(
        files("sqa_model.inference").joinpath("probe.flac").read_bytes(), rate=sample_rate
    ).samples
    noise = np.random.default_rng(0).standard_normal(len(clean)) * 0.03
    noisy = clean + torch.tensor(noise, dtype=torch.float32, device="cpu")
    return [clean, noisy, clean.clamp(-0.05, 0.05)]
