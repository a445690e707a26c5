"""What a run that is there may become: a longer run in its own folder, or the start of another one.

A run is extended by fields that change nothing of what it has learned so far. With a constant learning rate it then
learns what it would have learned had it been that long from the start; any other schedule goes on at the rate that it
has at this update of the longer run. A fork is a new run, with a schedule of its own, that starts from the weights and
AdamW's moments of a run's last checkpoint; all but the network may be changed.
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from sqa_model.checkpoint.locate import OURS as MODEL
from sqa_model.errors import ModelError
from sqa_model.training.config import NetConfig, TrainConfig
from sqa_model.training.config_text import change, differences, from_json
from sqa_model.training.fields import ConfigError

EXTENDS = ("epochs", "eval.every", "eval.patience")


def config_of(folder: Path) -> TrainConfig:
    """The config of the run in `folder`; `ModelError` where there is none."""
    saved = folder / "config.json"
    if not saved.is_file():
        raise ModelError(f"{folder}: found no run; expected the folder of one, with its config.json")
    if (folder / MODEL[1]).is_file():
        raise ModelError(f"{folder}: found a model; expected the folder of a run, such as {folder.parent}")
    return from_json(saved.read_text("utf-8", "replace"), str(saved))


def extended(folder: Path, overrides: Iterable[str]) -> TrainConfig:
    """The config of the run in `folder`, changed by `name=value` overrides; `check_run` says whether it may be."""
    return change(config_of(folder), overrides)


def check_extension(folder: Path, old: TrainConfig, new: TrainConfig) -> None:
    """Raise `ConfigError` for changes that would make another run of the one in `folder`."""
    changed = differences(old, new)
    if others := [line for line in changed if line.partition(":")[0] not in EXTENDS]:
        raise ConfigError(
            f"{folder}: a run can be extended by {', '.join(EXTENDS)}; what it learned depends on the others:\n  "
            + "\n  ".join(others)
            + "\nuse --fork for a new run that starts from this one"
        )
    if new.epochs < old.epochs:
        raise ConfigError(
            f"epochs: found {new.epochs}, expected no fewer than the {old.epochs} of the run in {folder}"
        )


def forked(run: Path, overrides: Iterable[str]) -> TrainConfig:
    """The config of a new run that starts from the last checkpoint of the run in `run`, changed by overrides."""
    old, last = config_of(run), run / "last"
    if not (last / "training.safetensors").is_file():
        raise ModelError(
            f"{last}: found no checkpoint; the run must have learned something before it can be forked"
        )
    return change(
        replace(old, model=NetConfig(init=str(last)), optim=replace(old.optim, moments=True)), overrides
    )


def told_of_fork(config: TrainConfig) -> list[str]:
    """For the log: the run that `config` was forked from, and each field that is another one."""
    if not config.optim.moments or config.model.init is None:
        return []
    run = Path(config.model.init).parent
    if not (run / "config.json").is_file():
        return []
    here = ("model.", "optim.moments")
    changed = [line for line in differences(config_of(run), config) if not line.startswith(here)]
    return [f"forked from {run}: {'; '.join(changed) or 'nothing is changed'}"]
