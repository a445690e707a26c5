"""`sqa-cli train`: read a config, call `sqa_model.train`, show the progress and the result."""

import dataclasses
import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sqa_cli import options as o
from sqa_cli.dry_run import say_estimate
from sqa_cli.terminal import bars, goes_on, note, say, say_json, show_log, sigterm_interrupts, table

if TYPE_CHECKING:
    from sqa_model.training.config import TrainConfig
    from sqa_model.training.evaluate import Results
    from sqa_model.training.journal import Event
    from sqa_model.training.loop import Result

# options that set a field of the config
FIELDS = {
    "init": "model.init",
    "heads": "model.heads",
    "data": "data.train",
    "dev": "data.dev",
    "pairs": "data.pairs",
    "dev_pairs": "data.dev_pairs",
    "ratings": "data.ratings",
}


@click.command()
@click.option("--preset", help="Start from a preset: fine-tune, mini, universa-ext-5metric, ...")
@click.option("--config", "file", type=o.FILE, help="A TOML file on top.")
@click.option(
    "--init",
    metavar="MODEL",
    help="Go on from a model: default, a folder or a Hub id. Without --preset or --config by the preset fine-tune.",
)
@click.option(
    "--extend", is_flag=True, help="Give the run in --out more to do: epochs, eval.every, eval.patience."
)
@click.option(
    "--fork",
    type=o.FOLDER,
    metavar="RUN",
    help="Start a new run from the last checkpoint of RUN, by its config.",
)
@click.option(
    "--heads", metavar="LABELS", help="The labels to predict: mos,noisiness. Default: those of --init."
)
@click.option("--data", multiple=True, help="Training manifests, a path or glob. Repeatable.")
@click.option("--dev", multiple=True, help="Development manifests, likewise. See data.hold_out.")
@click.option("--pairs", multiple=True, help="Files of compared pairs to learn from, likewise. Repeatable.")
@click.option("--dev-pairs", multiple=True, help="Files of compared pairs to measure on. Repeatable.")
@click.option("--ratings", multiple=True, help="Files of single ratings of the training clips. Repeatable.")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Change one field. Repeatable.")
@click.option("--out", required=True, type=o.FOLDER, help="The run folder.")
@click.option("--show-config", is_flag=True, help="Print the resolved config as JSON and stop.")
@click.option("--dry-run", is_flag=True, help="Say what the run will take (updates, memory, time) and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@sigterm_interrupts()
@goes_on()
def train(
    extend: bool,
    overrides: tuple[str, ...],
    out: Path,
    show_config: bool,
    dry_run: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Train a MOS model; the same command again goes on where it stopped.

    \b
    Examples:
      sqa-cli train --preset mini --data 'data/*/train/data.jsonl' \\
        --dev 'data/*/dev/data.jsonl' --out runs/mini
      sqa-cli train --init default --data mine.jsonl --out runs/mine
      sqa-cli train --preset universa-ext-5metric --set optim.unfreeze=-1 \\
        --set optim.lora_rank=8 --data ... --dev ... --out runs/lora
      sqa-cli train --init default --data acr.jsonl --pairs pairs.jsonl \\
        --out runs/pairs
      sqa-cli train --extend --out runs/mini --set epochs=40
      sqa-cli train --fork runs/mini --out runs/low --set optim.lr=1e-5
      sqa-cli train --preset ... --dry-run (what it will take; nothing is written)
      torchrun --nproc-per-node 4 -m sqa_cli train --preset ... (four GPUs)

    --init goes on with a network and its heads; heads without a label are left
    out. It is measured before the first update and may stay the best. Without
    --dev some clips are held out, by talker if rows name one; the log says so.
    --extend goes on with a run that has ended, everything kept; its learning
    rate is from there on that of the longer run. --fork starts a new run with
    the weights and AdamW's moments of another: all but the network may change.
    --pairs teach to compare two clips, too; --ratings free labels of listeners' biases.
    Ctrl-C and SIGTERM save and stop. The run folder holds best/ and last/ (both
    for predict), best.json with the best one's figures, metrics.jsonl,
    TensorBoard events, the resolved config and a log.
    Exit codes: 0 done, 130 stopped (the same command goes on), 1 an error, 2 a
    command that cannot be understood.
    """
    from sqa_model.training.config_text import to_json

    config = _config(overrides, out, given | {"extend": extend})
    if show_config:
        say(*to_json(config).splitlines())
        return

    from sqa_model.training.run_folder import check_run

    check_run(out, config, extend)  # before the seconds that torch takes to load
    # of torchrun's processes only one talks
    first = os.environ.get("RANK", "0") == "0"
    show_log("sqa_model", logging.INFO if first else logging.ERROR)
    if dry_run:
        if first:
            say_estimate(config, out, as_json, extend)
        return
    result = _train(config, out, extend)
    if first:
        _say_end(result, as_json=as_json)
    if not result.finished:
        sys.exit(130)


def _config(overrides: tuple[str, ...], out: Path, given: dict[str, Any]) -> "TrainConfig":
    """The config that the options ask for: of a run that is there, or of a preset and a file."""
    from sqa_model.training import go_on
    from sqa_model.training.config_text import load_config

    sources = {"--preset": given["preset"], "--config": given["file"], "--init": given["init"]}
    others = [name for name, value in sources.items() if value is not None]
    changes = [*overrides, *_overrides(given)]
    if given["extend"] and given["fork"] is not None:
        raise click.UsageError(
            "--extend goes on with the run in --out, --fork begins another one; leave one of them out"
        )
    if others and (given["extend"] or given["fork"] is not None):
        raise click.UsageError(
            f"{'--extend' if given['extend'] else '--fork'} takes the config of its run, so {others[0]} cannot stand "
            "beside it; change fields by --set"
        )
    if given["extend"]:
        return go_on.extended(out, changes)
    if given["fork"] is not None:
        return go_on.forked(given["fork"], changes)
    preset = "fine-tune" if others == ["--init"] else given["preset"]
    return load_config(preset, given["file"], changes)


def _say_end(result: "Result", *, as_json: bool) -> None:
    """What came of a run."""
    if as_json:
        say_json(dataclasses.asdict(result) | {"folder": str(result.folder)})
    elif result.best:
        _say_result(result)
    if not result.finished:
        kept = (
            f"saved in {result.folder}" if result.updates else "before the first update, so nothing was saved"
        )
        note(f"stopped, {kept}; run the same command again to go on")


def _overrides(given: dict[str, Any]) -> list[str]:
    """What the options that set a field say, as --set would."""
    return [_override(field, given[name]) for name, field in FIELDS.items() if given[name] not in (None, ())]


def _override(field: str, value: str | tuple[str, ...]) -> str:
    """What an option sets, as --set would."""
    if field == "model.heads":
        value = tuple(name.strip() for name in str(value).split(","))
    return f"{field}={json.dumps(value)}"


def _train(config: "TrainConfig", out: Path, extend: bool) -> "Result":
    """Train with a bar that shows how far it is."""
    from sqa_model.training.loop import train as run

    with bars() as show:

        def watch(event: "Event") -> None:
            if event.kind == "update":
                at = event.row
                pace = f"epoch {at['epoch'] + 1}  loss {at['loss']:.4f}  {at['audio_per_s']:.0f} audio-s/s"
                show("training", event.update, event.total, pace)

        return run(config, out, watch=watch, extend=extend)


def _say_result(result: "Result") -> None:
    """The best checkpoint's figures as a table, and those of the model that the run started from."""
    header = ["corpus", "head", "level", "n", "MSE", "LCC", "SRCC", "KTAU"]
    if result.best_update:
        say(f"best checkpoint: update {result.best_update} of {result.updates}, {result.folder}/best")
        say(*table(header, _rows(result.best), right="n MSE LCC SRCC KTAU", keys=3))
    else:
        say(
            f"best checkpoint: the parent stays best, none of the {result.updates} updates made it better on the "
            f"development set; {result.folder}/best"
        )
    if result.parent:
        say("the parent, before the first update:")
        say(*table(header, _rows(result.parent), right="n MSE LCC SRCC KTAU", keys=3))


def _rows(results: "Results") -> list[list[str]]:
    """Figures as the rows of a table."""
    rows = []
    for corpus, heads in results.items():
        for head, figures in heads.items():
            for level, count in (("utterance", "clips"), ("system", "systems")):
                if count in figures:
                    values = [figures[f"{level}_{name}"] for name in ("mse", "lcc", "srcc", "ktau")]
                    shown = ["-" if value is None else f"{value:.3f}" for value in values]
                    rows.append([corpus, head, level, str(figures[count]), *shown])
    return rows
