"""What is told of a run: metrics.jsonl, TensorBoard events, log.txt, `watch`, and its pace.

All of training logs as `sqa_model.training`: whoever shows a progress bar gives that logger a handler that writes
through the same console.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TextIO, TypeVar

from sqa_data.atomic import atomic_write

from sqa_model.errors import ModelError
from sqa_model.training.config import TrainConfig

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter as Board

    from sqa_model.training.plan import Work
    from sqa_model.training.state import Step

log = logging.getLogger("sqa_model.training")
Item = TypeVar("Item")
Kind = Literal["start", "update", "evaluation", "end"]


@dataclass(frozen=True)
class Event:
    """Something that happened in a run, as `watch` is told it: all that metrics.jsonl gets, the start and the end."""

    kind: Kind
    update: int  # updates done
    total: int  # updates of the whole run
    left_s: float  # that the updates to come will take, evaluations not counted
    row: Mapping[str, Any]  # the config at the start, the result at the end, else what metrics.jsonl says

    @property
    def numbers(self) -> dict[str, float]:
        """The numbers of `row` by their dotted path, for a chart; none at the start, where they are settings.

        >>> Event("evaluation", 4, 8, 60.0, {"dev": {"bvcc": {"mos": {"system_srcc": 0.9}}}}).numbers
        {'dev/bvcc/mos/system_srcc': 0.9}
        """
        return {} if self.kind == "start" else dict(_numbers(self.row))


Watch = Callable[[Event], object]


class Journal:
    """Writes what is told; says nothing where `folder` is None (all processes but the first)."""

    def __init__(self, folder: Path | None, config: TrainConfig, done: int, total: int, watch: Watch) -> None:
        """Go on after update `done` of `total`: later lines are dropped, since the run will write them again.

        If nothing is done, that is every line: what was measured before the first update is measured again.
        """
        self.folder, self.total, self.watch, self.pace = folder, total, watch, Pace()
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

        self.tell("start", done, asdict(config))

    def updated(self, work: "Work", step: "Step", seconds: float) -> None:
        """Record an update over so many seconds of audio."""
        self.pace.computed(seconds)
        row: dict[str, object] = {
            "epoch": work.epoch,
            "loss": step.loss,
            "lr": step.lr,
            # fp16 meets infinity now and then, which is no JSON
            "grad_norm": step.grad_norm if math.isfinite(step.grad_norm) else None,
        }
        row |= {f"loss_{name}": value for name, value in step.head_losses.items()}
        row |= {"audio_per_s": self.pace.audio_per_s, "read_wait": self.pace.wait_share}
        self.record("update", work.update, row | ({"cropped": work.cropped} if work.cropped else {}))

    def record(self, kind: Kind, update: int, row: Mapping[str, object]) -> None:
        """One line, one TensorBoard point for every number in it however deep, and one event."""
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
        self.tell(kind, update, row)

    def tell(self, kind: Kind, update: int, row: Mapping[str, object]) -> None:
        """Call `watch`."""
        if self.folder is not None:
            self.watch(Event(kind, update, self.total, self.pace.left_s(self.total - update), row))

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


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of metrics.jsonl, without the last one where a kill tore it."""
    for line in path.read_text("utf-8").splitlines() if path.exists() else ():
        with suppress(json.JSONDecodeError):
            yield json.loads(line)


def rewind_metrics(path: Path, update: int) -> None:
    """Drop the lines of metrics.jsonl after `update`: a killed run wrote them, the resumed one will again."""
    if path.exists():
        kept = [json.dumps(row) + "\n" for row in read_metrics(path) if row["update"] <= update]
        with atomic_write(path) as file:
            file.write("".join(kept).encode())


def _numbers(row: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, float]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield prefix + name, float(value)
