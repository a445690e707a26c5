"""A group of commands, each imported only when it is called: `--help` reads the table alone."""

import importlib
from typing import Any

import click

from sqa_metrics.errors import MetricsError
from sqa_metrics.terminal import streams_and_errors

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class LazyGroup(click.Group):
    """A click group of `table`: name -> (module:attribute of the command, one line for --help).

    Errors of the kinds `errors` are one message instead of a traceback.
    """

    table: dict[str, tuple[str, str]]
    errors: tuple[type[Exception], ...] = (MetricsError,)

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
        with streams_and_errors(*self.errors):
            return super().main(*args, **kwargs)
