"""The file of results: one JSON row a clip, appended as they come, so that a stopped run loses at most one batch.

    {"sample_id": "a", "system_id": "s1", "metrics": {"mos": 3.87}, "audio_path": "a.wav", "duration": 3.2,
     "model": "1f0c9a3e/float32", "warnings": ["low_rate: ..."]}

A pair is a row like that of a clip, with its two clips:

    {"sample_id": "a|b", "a": "a", "b": "b", "metrics": {"cmos": 0.7, ...}, "duration": 7.1, "model": "77c08e11"}

A clip that cannot be scored has `error` in place of `metrics`. While a run is under way rows may be missing at the end;
when it ends, there is one row a clip, in input order. Several processes may share the work: each writes a part beside
the file (`Share.path`), and the one that finds all parts complete merges them.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Required, TypedDict, cast

from sqa_data.atomic import atomic_write, require_unwritten
from sqa_data.clip_list import Key
from sqa_data.errors import DataError
from sqa_data.lines import (
    Wrong,
    id_text,
    open_lines,
    parse_object,
    sample_id_of,
    spaced_json_line,
)
from sqa_data.shares import Share


class Span(TypedDict):
    """The scores of a stretch of a clip."""

    start: float  # seconds
    end: float  # seconds
    metrics: dict[str, float]


class Row(TypedDict, total=False):
    """What is known of one clip."""

    sample_id: Required[str]
    system_id: str | None
    corpus: str | None
    metrics: dict[str, float]  # head -> score; absent where there is an error
    error: str
    a: str  # of a pair, whose own id is `sample_id`: its clips
    b: str
    audio_path: str
    duration: float  # seconds
    model: str  # which weights, and in which precision
    calibration: str  # which map gave mos_cal, mos_low and mos_high, if one was applied
    windows: int  # pieces that the model looked at, if more than one: a long clip
    warnings: list[str]
    timeline: list[Span]


def key_of(row: Row) -> Key:
    """What makes a row unique: the key of its clip."""
    return row.get("corpus"), row.get("system_id"), row["sample_id"]


def result_line(row: Row) -> bytes:
    """The line of a row, end included; `DataError` if a score is not finite, which JSON cannot say."""
    return spaced_json_line(cast("dict[str, object]", row))


def read_results(path: Path, *, torn: bool = False) -> list[Row]:
    """The rows of a results file; with `torn`, half a row at its end, as a killed run leaves one, is dropped."""
    rows = []
    for number, line in open_lines(path):
        try:
            rows.append(_row(line))
        except Wrong as error:
            if torn and not line.endswith(b"\n"):
                break
            raise DataError(f"{path}:{number}: {error}") from None
    return rows


def _row(line: bytes) -> Row:
    row = parse_object(line)
    sample_id = sample_id_of(row)
    if sample_id is None:
        raise Wrong("no 'sample_id'; expected an object with the results of one clip")
    if row.get("metrics") is None:
        row.pop("metrics", None)
    elif not isinstance(row["metrics"], dict):
        raise Wrong(f'metrics is {row["metrics"]!r}; expected an object such as {{"mos": 3.5}}')
    names = {key: id_text(key, row[key]) for key in ("system_id", "corpus") if key in row}
    return cast("Row", row | {"sample_id": sample_id} | names)


def write_results(path: Path, rows: Iterable[Row]) -> None:
    """Write a results file whole or not at all."""
    with atomic_write(path) as file:
        file.writelines(map(result_line, rows))


def require_absent(out: Path, share: Share, *, resume: bool = False) -> None:
    """Raise `DataError` if there are results where new ones are to be written, or a process writes some there."""
    for path in (share.path(out), out):
        require_unwritten(path)
        if path.exists() and not resume:
            raise DataError(f"{path} exists; pass --resume to go on, or another --out")


def kept_results(
    path: Path, keys: Iterable[Key], model: str, calibration: str | None = None
) -> tuple[dict[Key, Row], bool]:
    """The rows of an earlier run of `model` that stand, by clip, and whether the file holds them and nothing else.

    What does not stand: rows with an error, all but the last of a clip, half a row at the end.

    Raises `DataError` where `path` has rows of clips that are not among `keys`, of another model or calibration.
    """
    found = read_results(path, torn=True) if path.exists() else []
    rows = {key_of(row): row for row in found}
    strangers = rows.keys() - set(keys)
    if strangers:
        name = min(key[-1] for key in strangers)
        raise DataError(
            f"{path}: has {len(strangers)} rows of other clips, such as {name!r}; pass another --out"
        )
    others = {row.get("model") for row in rows.values()} - {model}
    if others:
        other = str(others.pop())
        remedy = "pass another --out"
        if other.rpartition("/")[0] == model.rpartition("/")[0]:  # the same weights
            remedy = f"go on with --dtype {other.rpartition('/')[2]}, or {remedy}"
        raise DataError(f"{path}: was scored by model {other}, this is {model}; {remedy}")
    kept = {key: row for key, row in rows.items() if "error" not in row}
    if {row.get("calibration") for row in kept.values()} - {calibration}:
        raise DataError(f"{path}: has rows of another calibration, or of none; pass another --out")
    return kept, len(kept) == len(found) and _has_an_end(path)


def _has_an_end(path: Path) -> bool:
    """Whether the last line of a file has its end, so that the next one can be appended."""
    if not path.exists() or not path.stat().st_size:
        return True
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"


def merge_results(out: Path, count: int, keys: Sequence[Key]) -> None:
    """Put the parts of `count` shares together in the order of `keys`, if all are complete.

    Whoever comes first does it; the others find it done.
    """
    parts = [share.path(out) for share in Share(1, count).together()]
    if not all(part.exists() for part in parts):  # another process has merged, or has not begun
        return
    try:
        for part in parts:
            require_unwritten(part)
    except DataError:
        return  # the last to end will merge
    try:
        rows = {key_of(row): row for part in parts for row in read_results(part, torn=True)}
    except DataError:
        if all(part.exists() for part in parts):
            raise
        return  # another process has merged meanwhile
    if rows.keys() >= set(keys):
        write_results(out, (rows[key] for key in keys))
        for part in parts:
            part.unlink(missing_ok=True)


def require_scp_names(names: Iterable[str]) -> None:
    """Raise `DataError` if a name cannot stand in an scp file."""
    for name in names:
        if any(c.isspace() for c in name):
            raise DataError(f"{name!r}: an scp file cannot hold a name with a blank")


def write_scp(rows: Sequence[Row], folder: Path) -> list[Path]:
    """One `{metric}.scp` (`sample_id value`) per metric beside the results, as the reference system writes them."""
    scored = [row for row in rows if "metrics" in row]
    require_scp_names(row["sample_id"] for row in scored)
    paths = []
    for name in scored[0]["metrics"] if scored else ():
        paths.append(folder / f"{name}.scp")
        lines = [f"{row['sample_id']} {row['metrics'][name]}\n" for row in scored]
        with atomic_write(paths[-1]) as file:
            file.write("".join(lines).encode("utf-8", "surrogateescape"))
    return paths
