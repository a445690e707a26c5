"""What people see: results on stdout, notes and errors on stderr, in lines that show all and that no terminal obeys."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import click

from sqa_metrics.rows.ids import shown


def say(text: str) -> None:
    """Print a result."""
    try:
        click.echo(shown(text, keep="\n"))
    except OSError as error:
        error.filename = "standard output"
        raise


def note(text: str) -> None:
    """Print a line for people. One that cannot be written stops no work."""
    with contextlib.suppress(OSError):
        click.echo(shown(text, keep="\n"), err=True)


def say_json(value: object) -> None:
    """Print a value as indented JSON."""
    import orjson

    try:
        text = orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode()
    except TypeError:
        # A name that is not UTF-8, as file names may be: only escapes can write it.
        import json

        text = json.dumps(value, indent=2)
    say(text)


def width() -> int | None:
    """Columns that a table may take; None where nobody looks, in a file or a pipe."""
    looked_at = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return shutil.get_terminal_size().columns if looked_at else None


@contextlib.contextmanager
def streams_and_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Around a command: closed and full streams do no harm, and errors of `kinds` are one message and exit code 1."""
    _open_closed_streams()
    try:
        yield
    except kinds as error:
        note(f"Error: {error}")
        sys.exit(1)
    except OSError as error:
        # The machine's state, such as a full disk, and not our mistake.
        if error.strerror is None:
            raise
        note(f"Error: {error.filename}: {error.strerror}" if error.filename else f"Error: {error.strerror}")
        sys.exit(1)
    finally:
        # What could not be written has been told; Python would tell it again at exit.
        _forget_unwritten(sys.stdout, 1)
        _forget_unwritten(sys.stderr, 2)


def _open_closed_streams() -> None:
    """Fill the places of stdout and stderr where the shell closed them: else the next file opened would take one.

    Results that cannot be written are an error, notes vanish. What an encoding lacks is written as an escape.
    """
    for name, number, mode in (("stdout", 1, os.O_RDONLY), ("stderr", 2, os.O_WRONLY)):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, mode)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "w", encoding="utf-8", closefd=False))
        with contextlib.suppress(AttributeError):  # a stream of somebody's own
            getattr(sys, name).reconfigure(errors="backslashreplace")


def _forget_unwritten(stream: Any, number: int) -> None:
    try:
        stream.flush()
    except OSError:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, number)
        os.close(nothing)
