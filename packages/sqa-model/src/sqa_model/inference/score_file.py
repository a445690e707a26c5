"""The file of scores: one JSON row a clip, appended as they come, so that a stopped run loses at most one
batch.

    {"sample_id": "a", "system_id": "s1", "metrics": {"mos": 3.87}, "audio_path": "a.wav", "duration": 3.2,
     "model": "1f0c9a3e/float32", "warnings": ["low_rate: ..."]}

A clip that cannot be scored has `error` in place of `metrics`. While a run is under way rows may be missing
at the end; when it ends, there is one row a clip, in input order. Several processes may share the work: each
writes a part beside the file, and the one that finds all parts complete merges them.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqa_model.errors import ModelError
from sqa_model.inputs import Item

if TYPE_CHECKING:
    from sqa_model.inference.predictor import Prediction, Predictor

Row = dict[str, Any]


@dataclass(frozen=True)
class Shard:
    """Which share of the work is ours: every `count`-th clip from number `index` on, counted from 1."""

    index: int = 1
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """A Shard from "i/n".

        >>> Shard.parse("2/8")
        Shard(index=2, count=8)
        """
        index, _, count = text.partition("/")
        if index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count):
            return cls(int(index), int(count))
        raise ModelError(f"shard is {text!r}; expected i/n with 1 <= i <= n, such as 2/8")

    def of(self, items: Sequence[Item]) -> Sequence[Item]:
        """Our share."""
        return items[self.index - 1 :: self.count]

    def path(self, out: Path) -> Path:
        """Where our rows go: the file itself, or a part beside it."""
        return out if self.count == 1 else out.with_name(f"{out.name}.{self.index}-of-{self.count}")


def make_row(item: Item, prediction: "Prediction", model: str) -> Row:
    """The row of one clip."""
    row: Row = {"sample_id": item.sample_id}
    row |= {"system_id": item.system_id} if item.system_id is not None else {}
    row |= {"corpus": item.corpus} if item.corpus is not None else {}
    row |= {"metrics": prediction.metrics} if prediction.error is None else {"error": prediction.error}
    row |= {"audio_path": item.audio_path, "duration": round(prediction.duration_s, 4), "model": model}
    row |= {"warnings": list(prediction.warnings)} if prediction.warnings else {}
    if prediction.timeline:
        row["timeline"] = [
            {"start": s.start_s, "end": s.end_s, "metrics": s.metrics} for s in prediction.timeline
        ]
    return row


def score_to_file(
    items: Sequence[Item],
    predictor: "Predictor",
    out: Path,
    *,
    resume: bool = False,
    shard: Shard | None = None,
) -> Iterator[Row]:
    """Score clips into a results file, yielding each new row after it is written.

    Args:
        items: all clips, also those of other shards.
        out: the file; with shards, where the merged rows will lie.
        resume: go on with a file that is there; its rows with an error are tried again.

    Raises: ModelError where the file is there and `resume` is not set, or its rows are of other clips or
    another model.
    """
    shard = shard or Shard()
    share, path, model = shard.of(items), shard.path(out), f"{predictor.fingerprint}/{predictor.dtype}"
    kept = _kept(path, share, model) if resume else {}
    if not resume and (path.exists() or out.exists()):
        raise ModelError(f"{path if path.exists() else out} exists; pass --resume to go on, or another --out")
    if resume and shard.count > 1 and out.exists() and not path.exists():
        return  # merged already
    write_rows(path, kept.values())  # without torn and failed rows
    todo = [item for item in share if item.key not in kept]
    with path.open("a", encoding="utf-8") as file:
        for item, prediction in zip(todo, predictor.stream(todo), strict=True):
            row = make_row(item, prediction, model)
            file.write(_line(row))
            file.flush()
            yield row
    if kept:
        rows = {_key(row): row for row in read_rows(path)}
        write_rows(path, (rows[item.key] for item in share))
    if shard.count > 1:
        _merge(items, shard.count, out)


def _kept(path: Path, share: Sequence[Item], model: str) -> dict[tuple[str | None, ...], Row]:
    """Rows of an earlier run that stand, by clip."""
    rows = {_key(row): row for row in (read_rows(path, torn=True) if path.exists() else ())}
    strangers = set(rows) - {item.key for item in share}
    if strangers:
        name = sorted(key[-1] or "" for key in strangers)[0]
        raise ModelError(
            f"{path}: has {len(strangers)} rows of other clips, such as {name!r}; pass another --out"
        )
    others = {row.get("model") for row in rows.values()} - {model}
    if others:
        raise ModelError(f"{path}: was scored by model {others.pop()}, this is {model}; pass another --out")
    return {key: row for key, row in rows.items() if "error" not in row}


def _merge(items: Sequence[Item], count: int, out: Path) -> None:
    """Put the parts together, if all are complete; whoever comes first does it, the others find it done."""
    parts = [Shard(i, count) for i in range(1, count + 1)]
    try:
        rows = {_key(row): row for part in parts for row in read_rows(part.path(out), torn=True)}
    except FileNotFoundError:  # another process has merged, or has not begun
        return
    if len(rows) == len(items):
        write_rows(out, (rows[item.key] for item in items))
        for part in parts:
            part.path(out).unlink(missing_ok=True)


def read_rows(path: Path, *, torn: bool = False) -> list[Row]:
    """The rows of a results file; with `torn`, a last line that a killed run left unfinished is dropped."""
    lines = path.read_text(encoding="utf-8").split("\n")
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line) if line.strip() else None
        except json.JSONDecodeError as error:
            if torn and number == len(lines):
                break
            raise ModelError(f"{path}:{number}: not JSON: {error}") from error
        if row is not None and (not isinstance(row, dict) or "sample_id" not in row):
            raise ModelError(f"{path}:{number}: expected an object with sample_id")
        if row is not None:
            rows.append(row)
    return rows


def write_rows(path: Path, rows: Iterable[Row]) -> None:
    """Write a results file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part{os.getpid()}")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.writelines(map(_line, rows))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            part.unlink()


def write_scp(rows: Sequence[Row], folder: Path) -> list[Path]:
    """One `{metric}.scp` (`sample_id value`) per metric beside the results, as the reference system writes them."""
    scored = [row for row in rows if "metrics" in row]
    for row in scored:
        if any(c.isspace() for c in row["sample_id"]):
            raise ModelError(f"{row['sample_id']!r}: an scp file cannot hold a name with a blank")
    paths = []
    for name in scored[0]["metrics"] if scored else ():
        paths.append(folder / f"{name}.scp")
        text = "".join(f"{row['sample_id']} {row['metrics'][name]}\n" for row in scored)
        part = paths[-1].with_suffix(".scp.part")
        part.write_text(text, encoding="utf-8")
        part.replace(paths[-1])
    return paths


def _key(row: Row) -> tuple[str | None, str | None, str]:
    return row.get("corpus"), row.get("system_id"), row["sample_id"]


def _line(row: Row) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"
