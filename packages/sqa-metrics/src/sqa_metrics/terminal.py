"""What people see: results on stdout, notes and errors on stderr, in lines that show all and that no terminal obeys."""

import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from operator import methodcaller
from typing import Any

import click

from sqa_metrics.rows.ids import shown

# what JSON allows inside a string and a terminal or UTF-8 does not
UNSAFE_IN_JSON = r"[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"


def say(*lines: str, keep: str = "") -> None:
    """Print results on stdout; with "\\n" in `keep`, a line may hold several."""
    if lines:
        _write("\n".join(shown(line, keep) for line in lines))


def say_json(value: object, indent: int | None = None) -> None:
    """Print a value on stdout as JSON, in UTF-8 whatever the locale is; NumPy's numbers are numbers."""
    text = json.dumps(
        value, ensure_ascii=False, indent=indent, default=methodcaller("tolist"), allow_nan=False
    )
    text = re.sub(UNSAFE_IN_JSON, lambda match: f"\\u{ord(match[0]):04x}", text)
    _write(text.encode("utf-8"))


def _write(content: str | bytes) -> None:
    try:
        click.echo(content)
    except OSError as error:
        error.filename = "standard output"
        raise


def note(text: str, keep: str = "") -> None:
    """Print a line for people on stderr. One that cannot be written stops no work."""
    with contextlib.suppress(OSError):
        click.echo(shown(text, keep), err=True)


def width() -> int | None:
    """Columns that a table may take; None where nobody looks, in a file or a pipe."""
    looked_at = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    if not looked_at:
        return None
    import shutil

    return shutil.get_terminal_size().columns


@contextlib.contextmanager
def streams_and_errors(*kinds: type[Exception]) -> Iterator[None]:
    """Around a command: closed and full streams do no harm, and errors of `kinds` are one message and exit code 1."""
    _open_closed_streams()
    try:
        yield
    except kinds as error:
        note(f"Error: {error}", keep="\n")
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
