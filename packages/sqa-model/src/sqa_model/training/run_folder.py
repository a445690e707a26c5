"""The folder of a training run: everything in it is whole at any moment, whenever the run is killed.

run/config.json         the resolved TrainConfig
run/environment.json    versions, machine, git state, command
run/metrics.jsonl       one line per logged update and per evaluation
run/events.*            the same for TensorBoard
run/log.txt             what was printed
run/best/, run/last/    config.json + model.safetensors (loadable by predict) and, in last/, the training state
run/best.json           the figures of best/; with `run.keep`, run/kept/ holds more like it, see `kept`
run/.run.lock           held while a process trains here
"""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from sqa_data.atomic import atomic_folder, atomic_write, finish_replace, lock
from sqa_data.errors import DataError

from sqa_model.checkpoint.locate import check_name
from sqa_model.errors import ModelError
from sqa_model.training.clips import find_manifests
from sqa_model.training.config import TrainConfig
from sqa_model.training.config_text import differences, to_json
from sqa_model.training.fields import ConfigError
from sqa_model.training.go_on import EXTENDS, check_extension, config_of


def check_run(folder: Path, config: TrainConfig, extend: bool = False) -> list[str]:
    """What can be known of a run before torch is loaded: its manifests are there, and so is room for it at `folder`.

    extend: a run that is there may be given more to do, see `go_on`; returns the fields that change.

    Raises `ConfigError` with the differences if `folder` holds another run, `CheckpointError` for a name of no model,
    and `ModelError` if it is no run folder.
    """
    if config.model.init is not None:
        check_name(config.model.init)
    find_manifests(config.data.train, "data.train")
    for name in ("pairs", "dev_pairs", "ratings"):
        if patterns := getattr(config.data, name):
            find_manifests(patterns, f"data.{name}")
    if config.data.dev or not config.data.hold_out:
        find_manifests(config.data.dev, "data.dev")
    if extend or (folder / "config.json").is_file():
        old = config_of(folder)
        changed = differences(old, config)
        if extend:
            check_extension(folder, old, config)
        elif changed:
            raise ConfigError(
                f"{folder} holds a run of another config (saved -> asked for):\n  "
                + "\n  ".join(changed)
                + f"\nuse the same config to resume it, or another folder for this one; --extend changes "
                f"{', '.join(EXTENDS)}, --fork begins another run from this one"
            )
        return changed
    # hidden files are ours: the lock, and what a kill left while config.json was written
    if folder.exists() and (not folder.is_dir() or any(p.name[0] != "." for p in folder.iterdir())):
        raise ModelError(
            f"{folder}: found something that is no run folder; expected a new, empty or run folder"
        )
    return []


@contextmanager
def open_run(
    folder: Path, config: TrainConfig, record: Mapping[str, Any] | None = None, extend: bool = False
) -> Iterator[list[str]]:
    """Make `folder` the run of `config`, or go on with the run that is there; locked against a second training.

    record: what the config cannot know, see `to_json`. extend: see `check_run`, whose changes are yielded.

    Raises as `check_run` does, and `ModelError` if another process trains there or the model that the run started from
    is not what `model.init` names now.
    """
    check_run(folder, config, extend)
    busy = "another process trains in this folder; wait for it to end, or choose another folder"
    with ExitStack() as stack:
        try:
            stack.enter_context(lock(folder / ".run", busy))
        except DataError as error:
            raise ModelError(f"{folder}: {busy}") from error
        changed = check_run(folder, config, extend)  # again: the other one may just have made it
        before = _record_of(folder / "config.json")
        _check_parent(folder, before, record or {})
        extensions = before.get("extended", [])
        if changed:
            extensions = [*extensions, {"update": updates_done(folder), "changed": changed}]
        record = {**(record or {}), **({"extended": extensions} if extensions else {})}
        write_text(folder / "config.json", to_json(config, record))
        write_text(folder / "environment.json", json.dumps(environment(), indent=2) + "\n")
        for name in ("best", "last"):
            finish_replace(folder / name)
            shutil.rmtree(folder / f".{name}.part", ignore_errors=True)  # of 0.1.0
        yield changed


def _record_of(saved: Path) -> dict[str, Any]:
    """What the config of the run that is there holds, its record too; nothing for a new run."""
    return dict(json.loads(saved.read_text("utf-8"))) if saved.is_file() else {}


def _check_parent(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `ModelError` if the run there started from another model, which `model.init` has named since."""
    old, new = before.get("fine_tuned_from"), now.get("fine_tuned_from")
    if old is not None and new is not None and old["fingerprint"] != new["fingerprint"]:
        raise ModelError(
            f"{folder}: the run started from the model {old['fingerprint']}, but model.init = {new['name']} "
            f"is now {new['fingerprint']}; bring the first one back, or use another folder for this one"
        )


def updates_done(folder: Path) -> int:
    """The updates of the last checkpoint; 0 where there is none, or none that can be read."""
    try:
        return int(json.loads((folder / "last" / "training.json").read_text("utf-8"))["update"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def write_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all; `ModelError` where it cannot be written."""
    try:
        with atomic_write(path) as file:
            file.write(text.encode())
    except OSError as error:
        raise ModelError(
            f"{path}: cannot write: {error.strerror or error}; make room and run the same command again"
        ) from error


def replace(folder: Path, fill: Callable[[Path], object]) -> None:
    """Replace a checkpoint's folder by what `fill` writes into the path it is given, whole or not at all.

    Raises `ModelError` where it cannot be written; what was there before is then untouched.
    """
    try:
        with atomic_folder(folder) as part:
            fill(part)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or str(error)
        before = "the checkpoint before it is intact; " if folder.exists() else ""
        raise ModelError(
            f"{folder}: cannot write the checkpoint: {why}; {before}make room and run the same command again"
        ) from error


def environment() -> dict[str, object]:
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
