"""The `sqa-cli` command: a table of subcommands, each imported only when it is called.

`--help` reads the table alone, so it costs no import of ours; `score` never sees torch.
"""

import contextlib
import importlib
import os
import sys
from typing import Any, NoReturn, TextIO

import click
from sqa_data.errors import DataError
from sqa_metrics.errors import MetricsError
from sqa_model.errors import ModelError

from sqa_cli.terminal import note

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
        _open_standard_streams()
        try:
            return super().main(*args, **kwargs)
        except (MetricsError, DataError, ModelError) as error:
            _tell(str(error))
        except OSError as error:
            # a full disk, a folder that may not be written: the machine's state, not our mistake
            if error.strerror is None:
                raise
            _tell(f"{error.filename}: {error.strerror}" if error.filename else error.strerror)
        finally:
            # what a stream could not write was told; Python would tell it again at exit
            _give_up_unwritten(sys.stdout, 1)
            _give_up_unwritten(sys.stderr, 2)


def _tell(message: str) -> NoReturn:
    """Print an error for people, and end with exit code 1."""
    first, *more = message.split("\n")
    for line in (f"Error: {first}", *more):
        note(line)
    sys.exit(1)


def _open_standard_streams() -> None:
    """Put something in the place of stdout and stderr where the shell closed them (`>&-`, `2>&-`).

    Else the next file that is opened would become stdout or stderr, and receive what is written to these. Results
    that cannot be written are an error ("Bad file descriptor"); notes vanish, as asked.
    """
    for name, number, mode in (("stdout", 1, os.O_RDONLY), ("stderr", 2, os.O_WRONLY)):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, mode)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
        with contextlib.suppress(AttributeError):  # a stream of a test's own
            getattr(sys, name).reconfigure(errors="backslashreplace")


def _give_up_unwritten(stream: TextIO, number: int) -> None:
    """Write what is in the buffer of a stream, or forget it."""
    try:
        stream.flush()
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, number)
        os.close(nothing)


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
