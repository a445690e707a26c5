"""The command `warmup`."""

import click

from sqa_metrics.cli.options import ExampleCommand
from sqa_metrics.terminal import say


@click.command(cls=ExampleCommand, short_help="Compile the kernels for large inputs, once.")
def warmup() -> None:
    """Compile the fast kernels once and keep them, so that no later run waits for it (some seconds)."""
    from sqa_metrics.agreement import warmup

    say("kernels compiled and cached" if warmup() else "nothing to compile: NumPy alone computes here")
