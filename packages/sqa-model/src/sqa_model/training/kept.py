"""Checkpoints that stay in a run folder: the best one with its figures, and the latest ones that were measured.

run/best/           the best one
run/best.json       its figures, and what chose it
run/kept/UPDATE/    with `run.keep`, the last so many that were measured, for `sqa-cli average`
"""

import json
import math
from pathlib import Path
from typing import Any

from sqa_data.atomic import finish_replace, remove_folder

from sqa_model.errors import ModelError
from sqa_model.training.config import EvalConfig
from sqa_model.training.config_text import from_json
from sqa_model.training.evaluate import merit
from sqa_model.training.journal import read_metrics
from sqa_model.training.run_folder import replace, write_text
from sqa_model.training.state import Learner, State


def keep_best(folder: Path, learner: Learner) -> None:
    """Write the weights as they are as the best ones of the run in `folder`."""
    replace(folder / "best", learner.save_model)
    write_best(folder, learner.state, learner.config.eval)


def write_best(folder: Path, state: State, chooses: EvalConfig) -> None:
    """Write best.json, if anything was measured."""
    if state.best:
        write_text(folder / "best.json", json.dumps(best_record(state, chooses), indent=2) + "\n")


def best_record(state: State, chooses: EvalConfig) -> dict[str, Any]:
    """What best.json says: the merit is (metric, utterance SRCC), more is better, None where it is undefined."""
    return {
        "update": state.best_update,
        "head": chooses.head,
        "metric": chooses.metric,
        "weights": chooses.weights,
        "merit": [value if math.isfinite(value) else None for value in state.best_merit],
        "figures": state.best,
    }


def keep(folder: Path, learner: Learner, most: int) -> None:
    """Write the weights as they are beside those of earlier evaluations, of which the latest stay, `most` in all."""
    if most:
        replace(folder / "kept" / str(learner.state.update), learner.save_model)
        for path in kept(folder)[:-most]:
            remove_folder(path)


def kept(folder: Path) -> list[Path]:
    """The folders below kept/, in the order of their updates."""
    found = (folder / "kept").iterdir() if (folder / "kept").is_dir() else ()
    return sorted((path for path in found if path.name.isdecimal()), key=lambda path: int(path.name))


def forget_after(folder: Path, update: int) -> None:
    """Remove what a killed run kept after `update`: it will be made again."""
    if (folder / "kept").is_dir():
        for name in {path.name.strip(".").partition(".")[0] for path in (folder / "kept").iterdir()}:
            finish_replace(folder / "kept" / name)
    for path in kept(folder):
        if int(path.name) > update:
            remove_folder(path)


def chosen(folder: Path, count: int, *, best: bool = False) -> list[Path]:
    """The last `count` checkpoints of the run's kept ones, or the best ones by what chooses in that run.

    Raises `ModelError` where there are fewer.
    """
    found = kept(folder)
    if not 0 < count <= len(found):
        raise ModelError(
            f"{folder}: found {len(found)} kept checkpoints, asked for {count}; train with run.keep={max(count, 2)}, "
            "which keeps the last so many that are measured"
        )
    if not best:
        return found[-count:]
    chooses = from_json((folder / "config.json").read_text("utf-8"), str(folder / "config.json")).eval
    measured = {row["update"]: row["dev"] for row in read_metrics(folder / "metrics.jsonl") if "dev" in row}
    found.sort(key=lambda path: merit(measured.get(int(path.name), {}), chooses))
    return found[-count:]
