"""The folder of a training run: everything in it is whole at any moment, whenever the run is killed.

run/config.json         the resolved TrainConfig
run/environment.json    versions, machine, git state, command
run/metrics.jsonl       one line per logged update and per evaluation
run/events.*            the same for TensorBoard
run/log.txt             what was printed
run/best/, run/last/    config.json + model.safetensors (loadable by predict) and, in last/, the training
state
"""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqa_data.atomic import atomic_write

from sqa_model.errors import ModelError
from sqa_model.training.config import ConfigError, TrainConfig, differences, from_json, to_json


def open_run(folder: Path, config: TrainConfig) -> None:
    """Make `folder` the run of `config`, or accept the run that is there if its config is the same.

    Raises `ConfigError` with the differences if it is another one's, and `ModelError` if it is no run folder.
    """
    saved = folder / "config.json"
    if saved.exists():
        changed = differences(from_json(saved.read_text("utf-8"), str(saved)), config)
        if changed:
            raise ConfigError(
                f"{folder} holds a run of another config (saved -> asked for):\n  "
                + "\n  ".join(changed)
                + "\nuse the same config to resume it, or another folder for this one"
            )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(
            f"{folder}: found something that is no run folder; expected a new, empty or run folder"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(saved, to_json(config))
    for name in ("best", "last"):
        finish_replace(folder / name)


def write_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all."""
    with atomic_write(path) as file:
        file.write(text.encode())


def replace_folder(folder: Path, fill: Callable[[Path], object]) -> None:
    """Replace `folder` by what `fill` writes into the path it is given; killed at any moment, one of both
    remains.

    Folders cannot be renamed over one another, so there is a moment without `folder`: then `<folder>.new` is
    whole, and `finish_replace` (called when a run is opened) puts it in its place.
    """
    part, new = _beside(folder, "part"), _beside(folder, "new")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    fill(part)
    for path in [*part.rglob("*"), part]:
        _sync(path)
    part.rename(new)
    finish_replace(folder)


def finish_replace(folder: Path) -> None:
    """Complete a replacement that was cut short; do nothing if there was none."""
    new, old = _beside(folder, "new"), _beside(folder, "old")
    if new.exists():
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        _sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)
    shutil.rmtree(_beside(folder, "part"), ignore_errors=True)


def rewind_metrics(path: Path, update: int) -> None:
    """Drop the lines of metrics.jsonl after `update`: a killed run wrote them, the resumed one will again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text("utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue  # the kill tore the last line
        if row["update"] <= update:
            kept.append(line + "\n")
    write_text(path, "".join(kept))


def environment() -> dict[str, Any]:
    """What it takes to repeat the run: command, versions, machine, and the commit of the code, if any."""
    import torch

    def git(*arguments: str) -> str | None:
        try:
            answer = subprocess.run(
                ["git", *arguments], capture_output=True, text=True, timeout=10, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return None  # no git, or not a checkout
        return answer.stdout.strip()

    changes = git("status", "--porcelain")
    return {
        "command": sys.argv,
        "folder": str(Path.cwd()),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
        "git_commit": git("rev-parse", "HEAD"),
        "git_changes": changes.splitlines() if changes is not None else None,
    }


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(f".{folder.name}.{suffix}")


def _sync(path: Path) -> None:
    """Put a file or folder on the disk before anything is renamed onto it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
