"""The `sqa-cli` command: a table of subcommands, each imported only when it is called.

`--help` reads the table alone, so it costs no import of ours; `score` never sees torch.
"""

import errno
import importlib
import sys

import click

# name -> (module:attribute of the click command, one line for --help)
COMMANDS = {
    "predict": ("sqa_cli.predict:predict", "Score speech: one row a clip."),
    "score": ("sqa_metrics._cli:score", "Measure predictions against listeners."),
    "compare": ("sqa_metrics._cli:compare", "Test whether predictors differ, with intervals."),
    "rank": ("sqa_metrics._cli:rank", "Rank predictors as the challenge does."),
    "submit": ("sqa_cli.submit:submit", "Write the challenge's submission from predictions."),
    "data": ("sqa_cli.data:data", "Corpora: list, download, prepare, verify, annotate, choose."),
    "train": ("sqa_cli.train:train", "Train a MOS model on manifests."),
    "convert": ("sqa_cli.convert:convert", "Turn a published checkpoint into safetensors."),
    "warmup": ("sqa_metrics._cli:warmup", "Compile the kernels of scoring, once."),
}

# Packages whose errors are meant for people: the class named here carries a full sentence.
ERRORS = {"sqa_metrics": "MetricsError", "sqa_data": "DataError", "sqa_model": "ModelError"}


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

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except Exception as error:
            if isinstance(error, _user_errors()):
                raise click.ClickException(str(error)) from error
            if isinstance(error, OSError) and error.strerror and error.errno != errno.EPIPE:
                # a full disk, a folder that may not be written: the machine's state, not our mistake
                where = f"{error.filename}: " if error.filename else ""
                raise click.ClickException(f"{where}{error.strerror}") from error
            raise


def _user_errors() -> tuple[type[Exception], ...]:
    """Base error classes of the packages imported so far (an unimported one cannot have raised)."""
    return tuple(getattr(sys.modules[m], name) for m, name in ERRORS.items() if m in sys.modules)


@click.group(
    cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
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
