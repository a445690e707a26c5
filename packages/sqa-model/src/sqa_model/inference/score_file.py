"""Score clips, or pairs, into a file of results (`sqa_data.results`): what was scored is kept, the rest is appended."""

import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol, TypeVar

from sqa_data.atomic import append_alone
from sqa_data.clip_list import ClipEntry, Key
from sqa_data.results import (
    Row,
    kept_results,
    merge_results,
    require_absent,
    result_line,
    write_results,
)
from sqa_data.shares import Share

if TYPE_CHECKING:
    from sqa_model.inference.predictor import Clip, Prediction, Predictor


class HasKey(Protocol):
    """What a row can be made of: a clip, or a pair."""

    @property
    def key(self) -> Key:
        """What makes its row unique."""


Scored = TypeVar("Scored", bound=HasKey)


class Calibrates(Protocol):
    """What adds scores to those of a model, such as `sqa_metrics.calibration.record.Calibration`."""

    @property
    def name(self) -> str:
        """Told in each row, so that a file holds rows of one calibration."""

    def outputs(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """The scores that are added to those of one clip."""


def make_row(
    clip: ClipEntry, prediction: "Prediction", model: str, calibration: Calibrates | None = None
) -> Row:
    """The row of one clip."""
    row: Row = {"sample_id": clip.sample_id}
    if clip.system_id is not None:
        row["system_id"] = clip.system_id
    if clip.corpus is not None:
        row["corpus"] = clip.corpus
    if prediction.error is None:
        added = calibration.outputs(prediction.metrics) if calibration else {}
        row["metrics"] = prediction.metrics | added
    else:
        row["error"] = prediction.error
    row["audio_path"] = clip.audio_path
    row["duration"] = round(prediction.duration_s, 4)
    row["model"] = model
    if calibration:
        row["calibration"] = calibration.name
    if prediction.windows > 1:
        row["windows"] = prediction.windows
    if prediction.warnings:
        row["warnings"] = list(prediction.warnings)
    if prediction.timeline:
        row["timeline"] = [
            {"start": s.start_s, "end": s.end_s, "metrics": s.metrics} for s in prediction.timeline
        ]
    return row


def rows_of_clips(
    clips: Sequence[ClipEntry],
    predictor: "Predictor",
    calibration: Calibrates | None = None,
    sources: Iterable["Clip"] | None = None,
) -> Generator[Row, None, None]:
    """The row of each clip; `sources` are where they are read from, if not from their own paths."""
    with closing(predictor.stream(clips if sources is None else sources)) as predictions:
        for clip, prediction in zip(clips, predictions, strict=True):
            yield make_row(clip, prediction, predictor.mark, calibration)


def rows_to_file(
    clips: Sequence[Scored],
    rows_of: Callable[[Sequence[Scored]], Generator[Row, None, None]],
    model: str,
    out: Path,
    *,
    resume: bool = False,
    share: Share | None = None,
    calibration: str | None = None,
) -> Generator[Row, None, None]:
    """Score clips, or pairs of them, into a results file, yielding each new row after it is written.

    Args:
        clips: all clips, also those of other shares.
        rows_of: their rows, in their order.
        model, calibration: the names in each row.
        out: the file; with shares, where the merged rows will lie.
        resume: go on with a file that is there; its rows with an error are tried again.

    Raises: DataError where the file is there and `resume` is not set, or its rows are of other clips, another
    model or another calibration.
    """
    share = share or Share()
    ours, path = share.of(clips), share.path(out)
    require_absent(out, share, resume=resume)
    if resume and share.count > 1 and out.exists() and not path.exists():
        return  # merged already
    keys = [clip.key for clip in ours] if resume else []
    with _resumed(path, keys, model, calibration) as (file, kept):
        todo = [clip for clip in ours if clip.key not in kept]
        with closing(rows_of(todo)) as rows:
            for clip, row in zip(todo, rows, strict=True):
                file.write(result_line(row))
                file.flush()
                if resume:
                    kept[clip.key] = row
                yield row
        if list(kept) != keys:  # rows of two runs, which are to be in the order of the clips
            _replace(file, path, (kept[key] for key in keys))
    if share.count > 1:
        merge_results(out, share.count, [clip.key for clip in clips])


@contextmanager
def _resumed(
    path: Path, keys: Sequence[Key], model: str, calibration: str | None
) -> Iterator[tuple[BinaryIO, dict[Key, Row]]]:
    """The results file, open for this process alone, and the rows in it, from which all that do not stand are gone."""
    while True:
        with append_alone(path) as file:
            kept, is_clean = kept_results(path, keys, model, calibration)
            if is_clean:
                yield file, kept
                return
            # another file stands there then, so open and look again
            _replace(file, path, kept.values())


def _replace(file: BinaryIO, path: Path, rows: Iterable[Row]) -> None:
    """Write a results file anew while it is open for this process alone."""
    if sys.platform == "win32":
        file.close()  # what is open cannot be replaced there
    write_results(path, rows)
