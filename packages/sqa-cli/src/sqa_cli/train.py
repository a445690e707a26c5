"""`sqa-cli train`: read a config, call `sqa_model.train`, show the progress and the result."""

import dataclasses
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sqa_cli import options as o
from sqa_cli.terminal import bars, note, say, say_json, show_log, table

if TYPE_CHECKING:
    from sqa_model.training.loop import Progress, Result


@click.command()
@click.option("--preset", help="Start from a preset: mini, universa-ext-5metric, -22metric or -mos-only.")
@click.option("--config", "file", type=o.FILE, help="A TOML file on top.")
@click.option("--data", "train_data", multiple=True, help="Training manifests, a path or glob. Repeatable.")
@click.option("--dev", "dev_data", multiple=True, help="Development manifests, a path or glob. Repeatable.")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change one field. Repeatable.")
@click.option("--out", required=True, type=o.FOLDER, help="The run folder.")
@click.option("--show-config", is_flag=True, help="Print the resolved config as JSON and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def train(
    preset: str | None,
    file: Path | None,
    train_data: tuple[str, ...],
    dev_data: tuple[str, ...],
    overrides: tuple[str, ...],
    out: Path,
    show_config: bool,
    as_json: bool,
) -> None:
    """Train a MOS model; the same command again goes on where it stopped.

    \b
    Examples:
      sqa-cli train --preset mini --data 'data/*/train/data.jsonl' \\
        --dev 'data/*/dev/data.jsonl' --out runs/mini
      sqa-cli train --preset universa-ext-5metric --set optim.lr=1e-4 \\
        --set batch.micro_seconds=100 --data ... --dev ... --out runs/five
      sqa-cli train --preset universa-ext-5metric --set optim.unfreeze=-1 \\
        --set optim.lora_rank=8 --data ... --dev ... --out runs/lora
      torchrun --nproc-per-node 4 -m sqa_cli train --preset ... (four GPUs)

    Ctrl-C saves and stops. The run folder holds best/ and last/ (both for
    predict), metrics.jsonl, TensorBoard events, the resolved config and a log.
    """
    from sqa_model.training.config_text import load_config, to_json

    for name, patterns in (("data.train", train_data), ("data.dev", dev_data)):
        overrides += (f"{name}={json.dumps(patterns)}",) if patterns else ()
    config = load_config(preset, file, overrides)
    if show_config:
        say(*to_json(config).splitlines())
        return

    from sqa_model.training.run_folder import check_run

    check_run(out, config)  # before the seconds that torch takes to load
    from sqa_model.training.loop import train as run

    # of torchrun's processes only one talks
    first = os.environ.get("RANK", "0") == "0"
    show_log("sqa_model", logging.INFO if first else logging.ERROR)
    with bars() as show:

        def watch(at: "Progress") -> None:
            pace = f"epoch {at.epoch + 1}  loss {at.loss:.4f}  {at.audio_per_s:.0f} audio-s/s"
            show("training", at.update, at.total, pace)

        result = run(config, out, watch=watch)
    if first and as_json:
        say_json(dataclasses.asdict(result) | {"folder": str(result.folder)})
    elif first and result.best_update:
        _say_result(result)
    if not result.finished:
        if first:
            kept = f"saved in {out}" if result.updates else "before the first update, so nothing was saved"
            note(f"stopped, {kept}; run the same command again to go on")
        sys.exit(130)


def _say_result(result: "Result") -> None:
    """The best checkpoint's figures as a table."""
    say(f"best checkpoint: update {result.best_update} of {result.updates}, {result.folder}/best")
    rows = []
    for corpus, heads in result.best.items():
        for head, figures in heads.items():
            for level, count in (("utterance", "clips"), ("system", "systems")):
                if count in figures:
                    values = [figures[f"{level}_{name}"] for name in ("mse", "lcc", "srcc", "ktau")]
                    shown = ["-" if value is None else f"{value:.3f}" for value in values]
                    rows.append([corpus, head, level, str(figures[count]), *shown])
    header = ["corpus", "head", "level", "n", "MSE", "LCC", "SRCC", "KTAU"]
    say(*table(header, rows, right="n MSE LCC SRCC KTAU", keys=3))
