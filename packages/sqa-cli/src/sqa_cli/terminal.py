"""What people see beyond the lines of `sqa_metrics.terminal`: bars, notes above them, tables that fit.

No other module of this package prints. Names of clips come from files and may hold anything, so every line is made
printable, there or here. rich is imported only where a bar is drawn.
"""

import contextlib
import logging
import os
import shutil
import signal
import sys
import textwrap
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from sqa_metrics import terminal
from sqa_metrics.rows.ids import shown as printable
from sqa_metrics.terminal import say, say_json

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "bars",
    "entry",
    "goes_on",
    "note",
    "say",
    "say_json",
    "show_log",
    "sigterm_interrupts",
    "table",
    "width",
]

# the console of the bars on the screen, if there are any
_console: "Console | None" = None


class ShowProgress(Protocol):
    """Moves the bar called `name` to `done` of `total`; `text` stands behind it."""

    def __call__(self, name: str, done: int, total: int | None, text: str = "") -> None: ...


def note(line: str) -> None:
    """Print a line on stderr, above the bars. A note that cannot be written stops no work."""
    if _console is not None:
        _console.print(printable(line), markup=False, highlight=False, soft_wrap=True)
    else:
        terminal.note(line)


@contextlib.contextmanager
def goes_on() -> Iterator[None]:
    """Around a run that the same command goes on with: Ctrl-C says so, and ends it."""
    try:
        yield
    except KeyboardInterrupt:
        note("stopped; what is done is kept: the same command goes on from here")
        sys.exit(130)


@contextlib.contextmanager
def sigterm_interrupts() -> Iterator[None]:
    """Around work of this process alone: SIGTERM ends it as Ctrl-C does, so that it cleans up and says so."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return

    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def show_log(logger: str, level: int) -> None:
    """Print what a library logs as notes."""

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            for line in self.format(record).splitlines():
                note(line)

    logging.getLogger(logger).handlers = [Notes()]
    logging.getLogger(logger).setLevel(level)


@contextlib.contextmanager
def bars(*, in_bytes: bool = False, shown: bool = True) -> Iterator[ShowProgress]:
    """One progress bar a name on stderr, where somebody is watching."""
    global _console
    # of torchrun's processes the first talks
    if not (shown and sys.stderr.isatty() and os.environ.get("RANK", "0") == "0"):
        yield lambda name, done, total, text="": None
        return
    from rich import progress
    from rich.console import Console

    numbers = (
        [progress.DownloadColumn(), progress.TransferSpeedColumn()]
        if in_bytes
        else [progress.MofNCompleteColumn(), "{task.fields[text]}"]
    )
    columns = ["{task.description}", progress.BarColumn(), *numbers, progress.TimeRemainingColumn()]
    console = Console(stderr=True)
    with progress.Progress(*columns, console=console, transient=True, redirect_stdout=False) as drawn:
        tasks: dict[str, progress.TaskID] = {}

        def show(name: str, done: int, total: int | None, text: str = "") -> None:
            if name not in tasks:
                tasks[name] = drawn.add_task(printable(name).replace("[", r"\["), total=total, text=text)
            drawn.update(tasks[name], completed=done, total=total, text=text)

        _console = console
        try:
            yield show
        finally:
            _console = None


def width() -> int:
    """Columns of the terminal; 80 where there is none."""
    return shutil.get_terminal_size((80, 24)).columns


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, right: str = "", keys: int = 1
) -> list[str]:
    """Lines of aligned columns that fit the terminal.

    Columns that do not fit follow in a table of their own below, behind the first `keys` columns again; a last column
    of text is wrapped.

    Args:
        right: names of the columns of numbers, separated by blanks.

    >>> print("\\n".join(table(["corpus", "n"], [["a", "1,000"], ["b", "20"]], right="n")))
    corpus      n
    a       1,000
    b          20
    """
    cells = [[printable(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    numbers = right.split()
    lines: list[str] = []
    for columns in _blocks(widths, keys):
        lines += [""] if lines else []
        for row in cells:
            *others, last = (
                row[i].rjust(widths[i]) if header[i] in numbers else row[i].ljust(widths[i]) for i in columns
            )
            start = "  ".join([*others, ""])
            lines += _hanging(start, last.rstrip())
    return lines


def _blocks(widths: Sequence[int], keys: int) -> list[list[int]]:
    """Which columns stand beside each other, so that each block fits if it can."""
    first = list(range(keys))
    blocks: list[list[int]] = [first]
    for column in range(keys, len(widths)):
        used = sum(widths[i] + 2 for i in blocks[-1])
        last_text = column == len(widths) - 1 and used + 24 <= width()
        if len(blocks[-1]) > keys and used + widths[column] > width() and not last_text:
            blocks.append(first)
        blocks[-1] = [*blocks[-1], column]
    return blocks


def _hanging(start: str, text: str) -> list[str]:
    """`start` and `text` in lines that fit, the later ones below the beginning of `text`."""
    if not text or len(start) + len(text) <= width():
        return [(start + text).rstrip()]
    room = max(24, width() - len(start))
    pieces = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False)
    return [start + pieces[0], *(" " * len(start) + piece for piece in pieces[1:])]


def entry(label: str, text: str) -> list[str]:
    """Lines of a list of facts: a label and the text beside it.

    >>> entry("cite", "A. Author, A title, 2020")
    ['cite      A. Author, A title, 2020']
    """
    return _hanging(f"{label:9} ", printable(text))
