"""What is told of a run: metrics.jsonl, TensorBoard events, log.txt, and its pace.

All of training logs as `sqa_model.training`: whoever shows a progress bar gives that logger a handler that writes
through the same console.
"""

import json
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

from sqa_data.atomic import atomic_write

from sqa_model.errors import ModelError
from sqa_model.training.config import TrainConfig

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter as Board

log = logging.getLogger("sqa_model.training")
Item = TypeVar("Item")


class Journal:
    """Writes what is told; says nothing where `folder` is None (all processes but the first)."""

    def __init__(self, folder: Path | None, config: TrainConfig, done: int) -> None:
        """Go on after update `done`: later lines are dropped, since the run will write them again.

        If nothing is done, that is every line: what was measured before the first update is measured again.
        """
        self.folder = folder
        self._file: TextIO | None = None
        self._board: Board | None = None
        self._handler: logging.FileHandler | None = None
        if folder is None:
            return
        rewind_metrics(folder / "metrics.jsonl", done or -1)
        self._file = (folder / "metrics.jsonl").open("a", encoding="utf-8", newline="\n")
        if config.run.tensorboard:
            from torch.utils.tensorboard import SummaryWriter  # a second to import

            self._board = SummaryWriter(str(folder), purge_step=done + 1 if done else 0)
        self._handler = _LogFile(folder / "log.txt", encoding="utf-8")
        self._handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(self._handler)

    def record(self, update: int, row: Mapping[str, object]) -> None:
        """One line, and one TensorBoard point for every number in it however deep."""
        if self._file is None:
            return
        try:
            self._file.write(json.dumps({"update": update, **row}) + "\n")
            self._file.flush()
            if self._board:
                for name, value in _numbers(row):
                    self._board.add_scalar(name, value, update)
        except OSError as error:
            raise ModelError(
                f"{self.folder}: cannot write metrics.jsonl or TensorBoard events: {error.strerror}; "
                "the last checkpoint is intact, the same command goes on from it"
            ) from error

    def close(self) -> None:
        """Close every file."""
        for thing in (self._file, self._board, self._handler):
            if thing is not None:
                try:
                    thing.close()
                except OSError as error:  # a full disk: told when the line was written
                    log.debug("%s", error)
        if self._handler:
            log.removeHandler(self._handler)


class _LogFile(logging.FileHandler):
    """A copy of what is logged; a disk that is full ends no run for it, and prints no traceback."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Lose the line."""


class Pace:
    """How fast the run is and how much of its time it waits for audio, over the last updates."""

    def __init__(self) -> None:
        self.audio_per_s = self.wait_share = 0.0
        self._per_update = self._audio = self._wait = 0.0
        self._began = self._read = 0.0

    def over(self, batches: Iterable[Item]) -> Iterator[Item]:
        """The same batches; the time until each is there is what the update waits for."""
        iterator = iter(batches)
        while True:
            self._began = time.perf_counter()
            try:
                batch = next(iterator)
            except StopIteration:
                return
            self._read = time.perf_counter()
            yield batch

    def computed(self, seconds: float) -> None:
        """The update is done, over so many seconds of audio."""
        now = time.perf_counter()
        keep = 0.9 if self._per_update else 0.0  # about the last ten updates
        self._per_update = keep * self._per_update + (1 - keep) * (now - self._began)
        self._wait = keep * self._wait + (1 - keep) * (self._read - self._began)
        self._audio = keep * self._audio + (1 - keep) * seconds
        self.audio_per_s, self.wait_share = self._audio / self._per_update, self._wait / self._per_update

    def left_s(self, updates: int) -> float:
        """Seconds that so many updates will take (evaluations not counted)."""
        return updates * self._per_update


def rewind_metrics(path: Path, update: int) -> None:
    """Drop the lines of metrics.jsonl after `update`: a killed run wrote them, the resumed one will again."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text("utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue  # the kill tore the last line
        if row["update"] <= update:
            kept.append(line + "\n")
    with atomic_write(path) as file:
        file.write("".join(kept).encode())


def _numbers(row: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float):
            yield prefix + name, float(value)
