"""The `sqa-cli` command: a table of subcommands, each imported only when it is called.

`--help` reads the table alone, so it costs no import of ours; `score` never sees torch.
"""

import importlib
from typing import Any

import click
from sqa_data.errors import DataError
from sqa_metrics.errors import MetricsError
from sqa_metrics.terminal import streams_and_errors
from sqa_model.errors import ModelError

# name -> (module:attribute of the click command, one line for --help)
COMMANDS = {
    "predict": ("sqa_cli.predict:predict", "Score speech: one row a clip."),
    "score": ("sqa_metrics.cli:score", "Measure predictions against listeners."),
    "compare": ("sqa_metrics.cli:compare", "Test whether predictors differ, with intervals."),
    "rank": ("sqa_metrics.cli:rank", "Rank predictors as the challenge does."),
    "submit": ("sqa_cli.submit:submit", "Write the challenge's submission from predictions."),
    "data": ("sqa_cli.data.group:data", "Corpora: list, download, prepare, verify, annotate, choose."),
    "train": ("sqa_cli.train:train", "Train a MOS model on manifests."),
    "convert": ("sqa_cli.convert:convert", "Turn a published checkpoint into safetensors."),
    "warmup": ("sqa_metrics.cli:warmup", "Compile the kernels of scoring, once."),
}

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class LazyGroup(click.Group):
    """A click group whose commands are imported on use; `table` is laid out as COMMANDS."""

    table = COMMANDS

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.table:
            return None
        module, attribute = self.table[cmd_name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in self.table.items()])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        with streams_and_errors(MetricsError, DataError, ModelError):
            return super().main(*args, **kwargs)


@click.group(cls=LazyGroup, context_settings=CONTEXT)
@click.version_option(package_name="sqa-cli")
def main() -> None:
    """Speech quality assessment: corpora, MOS prediction, training, scoring.

    \b
    Examples:
      sqa-cli predict enhanced/ --out results.jsonl
      sqa-cli score --ref ref.jsonl --pred results.jsonl --ci
      sqa-cli rank --ref ref.jsonl team1.jsonl team2.jsonl team3.jsonl
      sqa-cli data download tencent && sqa-cli data prepare tencent
      sqa-cli train --preset mini --data 'data/*/train/data.jsonl' --dev dev.jsonl --out runs/mini
    """
