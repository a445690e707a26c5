"""Arguments, options and ways to write a value that several commands share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sqa_cli import terminal

if TYPE_CHECKING:
    from sqa_data.shares import Share

Command = Callable[..., Any]


def _share(ctx: click.Context, param: click.Parameter, value: str | None) -> "Share | None":
    from sqa_data.errors import DataError
    from sqa_data.shares import Share

    try:
        return None if value is None else Share.parse(value)
    except DataError as error:
        raise click.BadParameter(str(error)) from error


def shard(help: str) -> Callable[[Command], Command]:  # noqa: A002  as click calls it
    """The option --shard I/N, a share of the work."""
    return click.option("--shard", metavar="I/N", callback=_share, help=help)


FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
FILE_HERE = click.Path(exists=True, dir_okay=False, path_type=Path)


config = click.option(
    "--config",
    type=FILE_HERE,
    metavar="FILE",
    help="The model's configuration, where that is not beside its weights.",
)
manifests = click.argument("manifests", nargs=-1, required=True, type=FILE_HERE)
raw = click.option("--raw", type=FOLDER, default="raw", show_default=True, help="Archives: RAW/NAME/.")
out_folder = click.option(
    "--out", type=FOLDER, default="data", show_default=True, help="Manifests: OUT/NAME/SPLIT/."
)
out_manifest = click.option("--out", required=True, type=FILE, help="Manifest to write.")
relative = click.option("--relative", is_flag=True, help="Audio paths relative to the manifest.")
json = click.option("--json", "as_json", is_flag=True, help="For programs: JSON on stdout.")


def report(as_json: bool, record: object, lines: Sequence[str]) -> None:
    """Print the outcome, for a program or for a person."""
    if as_json:
        terminal.say_json(record)
    else:
        terminal.say(*lines)


def count(n: int | None) -> str:
    """A count with its thousands apart; nothing where it is not known."""
    return "" if n is None else f"{n:,}"


def number(value: float | None, digits: int = 2) -> str:
    """A number with so many digits; nothing where it is not known."""
    return "" if value is None else f"{value:.{digits}f}"


def kilohertz(rates: Sequence[int]) -> str:
    """Sample rates (Hz) in kHz: one, or the lowest and the highest."""
    return f"{rates[0] / 1000:g}" if len(rates) == 1 else f"{rates[0] / 1000:g}..{rates[-1] / 1000:g}"


def size(n: float | None) -> str:
    """A number of bytes in the unit that suits it.

    >>> size(3_971_669_902), size(None)
    ('4.0 GB', '')
    """
    if n is None:
        return ""
    if n < 1000:
        return f"{n:.0f} B"
    unit = next(unit for unit in ("kB", "MB", "GB") if (n := n / 1000) < 1000 or unit == "GB")
    return f"{n:.1f} {unit}"
