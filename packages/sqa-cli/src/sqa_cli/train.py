"""`sqa-cli train`: read a config, call `sqa_model.train`, show the progress and the result."""

import dataclasses
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import click


@click.command()
@click.option("--preset", help="Start from a preset: mini, universa-ext-5metric, -22metric or -mos-only.")
@click.option("--config", "file", type=click.Path(dir_okay=False, path_type=Path), help="A TOML file on top.")
@click.option("--data", "train_data", multiple=True, help="Training manifests, a path or glob. Repeatable.")
@click.option("--dev", "dev_data", multiple=True, help="Development manifests, a path or glob. Repeatable.")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change one field. Repeatable.")
@click.option(
    "--out", required=True, type=click.Path(file_okay=False, path_type=Path), help="The run folder."
)
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
      torchrun --nproc-per-node 4 -m sqa_cli train --preset ... (four GPUs)

    Ctrl-C saves and stops. The run folder holds best/ and last/ (both for
    predict), metrics.jsonl, TensorBoard events, the resolved config and a log.
    """
    from sqa_model.training.config import load_config, to_json
    from sqa_model.training.loop import Progress
    from sqa_model.training.loop import train as run

    for name, patterns in (("data.train", train_data), ("data.dev", dev_data)):
        overrides += (f"{name}={json.dumps(patterns)}",) if patterns else ()
    config = load_config(preset, file, overrides)
    if show_config:
        click.echo(to_json(config), nl=False)
        return

    first = os.environ.get("RANK", "0") == "0"  # of torchrun's processes only one talks
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("sqa_model").setLevel(logging.INFO if first else logging.ERROR)
    with _bar(first) as bar:
        task = bar.add_task("", total=None, loss="", pace="")

        def watch(at: Progress) -> None:
            bar.update(
                task,
                description=f"epoch {at.epoch + 1}",
                completed=at.update,
                total=at.total,
                loss=f"loss {at.loss:.4f}",
                pace=f"{at.audio_per_s:.0f} audio-s/s, {_clock(at.left_s)} left",
            )

        result = run(config, out, watch=watch)
    if first and as_json:
        click.echo(json.dumps(dataclasses.asdict(result) | {"folder": str(result.folder)}))
    elif first and result.best_update:
        _print(result)
    if not result.finished:
        if first:
            click.echo(f"stopped and saved in {out}; run the same command again to go on", err=True)
        sys.exit(130)


def _bar(shown: bool) -> Any:
    """A progress bar on the terminal; nothing where stderr is not one."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()]
    columns += [TextColumn("{task.fields[loss]}"), TextColumn("{task.fields[pace]}")]
    return Progress(*columns, console=console, disable=not (shown and console.is_terminal))


def _print(result: Any) -> None:
    """The best checkpoint's figures as a table."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"best checkpoint: update {result.best_update} of {result.updates}, {result.folder}/best"
    )
    for column in ("corpus", "head", "level", "n", "MSE", "LCC", "SRCC", "KTAU"):
        table.add_column(column, justify="left" if column in ("corpus", "head", "level") else "right")
    for corpus, heads in result.best.items():
        for head, figures in heads.items():
            for level, count in (("utterance", "clips"), ("system", "systems")):
                if count in figures:
                    values = [figures[f"{level}_{m}"] for m in ("mse", "lcc", "srcc", "ktau")]
                    shown = ["-" if v is None else f"{v:.3f}" for v in values]
                    table.add_row(corpus, head, level, str(figures[count]), *shown)
    Console().print(table)


def _clock(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{second:02}"
