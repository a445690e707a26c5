"""What a `Predictor` can be asked for, checked before torch is loaded."""

import math
import os
import re
from collections.abc import Sequence

from sqa_model.checkpoint.locate import check_name
from sqa_model.errors import ModelError

DEVICES = "auto, cpu, cuda or cuda:1"
DTYPES = ("auto", "float32", "bfloat16")
SECONDS = (0.5, 3_600.0)  # of windows and stretches
MOST_BATCH = 1e6  # seconds


def check_options(
    *,
    models: Sequence[str | os.PathLike[str] | None] = (),
    config: str | os.PathLike[str] | None = None,
    device: str = "auto",
    dtype: str = "auto",
    channel: int | None = None,
    window_s: float | None = None,
    timeline_s: float | None = None,
    batch_seconds: float | None = None,
    workers: int = 2,
) -> None:
    """Raise `ModelError` for what no `Predictor` can do; takes its arguments and the models' names, needs milliseconds.

    Whether a CUDA device is there, and what is in the model's files or on the Hub, is seen later.
    """
    for model in models:
        check_name(model, config)
    if config is not None and len(models) > 1:
        raise ModelError(f"config is that of one model; found {len(models)} models")
    check_device(device)
    if dtype not in DTYPES:
        raise ModelError(f"dtype is {dtype!r:.50}; expected {', '.join(DTYPES[:-1])} or {DTYPES[-1]}")
    if channel is not None and not (isinstance(channel, int) and channel >= 0):
        raise ModelError(f"channel is {channel!r:.50}; expected a number from 0, or None for the mean of all")
    seconds = (
        ("window_s", window_s, SECONDS),
        ("timeline_s", timeline_s, SECONDS),
        ("batch_seconds", batch_seconds, (SECONDS[0], MOST_BATCH)),
    )
    for name, value, (low, high) in seconds:
        if value is not None and not (low <= value <= high and math.isfinite(value)):
            raise ModelError(f"{name} is {value}; expected {low:g} to {high:,.0f} seconds")
    if workers < 1:
        raise ModelError(f"workers is {workers}; expected at least 1")


def check_device(device: str) -> None:
    """Raise `ModelError` for what names no device that we can use."""
    if re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", str(device)):
        return
    why = ": Apple's GPUs lack the 64-bit numbers that our encoders need" if str(device) == "mps" else ""
    raise ModelError(f"device is {str(device)!r:.50}; expected {DEVICES}{why}")
