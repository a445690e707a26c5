"""Parquet files that carry audio: write it out as it is, read the labels without touching it."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqa_data.atomic import write_small
from sqa_data.errors import DataError
from sqa_data.sources.records import is_noted, note

BATCH_ROWS = 64  # of audio held in memory at once
PLAIN = "clip.wav"  # stands for the name of a clip of which only the bytes are there; these are read by their content


def parts(root: Path, name: str) -> list[Path]:
    """The files of one part of a dataset repository: `data/NAME-00000-of-00012.parquet`, `data/NAME/0.parquet` ...

    All of them or an error; an empty list: that part is not here.
    """
    found = sorted(
        path
        for folder in (root, root / "data", root / name, root / "data" / name)
        if folder.is_dir()
        for path in folder.glob("*.parquet")
        if path.stem == name or path.stem.startswith(f"{name}-") or folder.name == name
    )
    totals = {int(m[1]) for path in found if (m := re.search(r"-of-(\d+)$", path.stem))}
    if totals and totals != {len(found)}:
        raise DataError(
            f"{root}: {len(found)} files of part {name!r}; expected {max(totals)}. Run `data download` to "
            f"finish it"
        )
    return found


def audio_path(part: str, system_id: str, sample_id: str, suffix: str = ".flac") -> str:
    """Where the audio of a row goes, below the corpus folder; ids are quoted so that they stay inside it.

    >>> audio_path("validation", "s1", "../x")
    'audio/validation/s1/%2E.%2Fx.flac'
    """
    names = (_quoted(name) if _UNSAFE(name) else name for name in (system_id, sample_id) if name)
    return f"audio/{part}/{'/'.join(names)}{suffix}"


def _quoted(name: str) -> str:
    quoted = quote(name, safe=" ")
    return f"%2E{quoted[1:]}" if quoted.startswith(".") else quoted  # neither hidden nor the folder above


def clip_name(row_id: object, column: str) -> str:
    """The name of the clip in one audio column of a row.

    >>> clip_name("u7", "audio"), clip_name("u7", "audio_b"), clip_name(12, "audioA")
    ('u7', 'u7_b', '12A')
    """
    return f"{row_id}{column.removeprefix('audio')}"


_UNSAFE = re.compile(r"[/\\\0:%]|^\.").search  # "%" too, so that no two ids get one name
_SUFFIX = re.compile(r"\.\w{2,5}$").search


def suffix_of(path: object) -> str:
    """File suffix of a clip by the dataset's own name of it; without a name, the corpora's ".flac"."""
    found = _SUFFIX(path) if isinstance(path, str) else None
    return found[0].lower() if found else ".flac"


def column_names(path: Path) -> list[str]:
    """The columns of a parquet file."""
    return list(_open(path).schema_arrow.names)


def read_columns(path: Path, columns: list[str]) -> tuple[list[str], Iterator[tuple[Any, ...]]]:
    """Those of `columns` that a parquet file has, and its rows of them; nothing else is read from the disk.

    "audio.path" stands for that field of an audio column. A damaged file is a DataError.
    """
    file = _open(path)
    present = [column for column in columns if column.partition(".")[0] in file.schema_arrow.names]

    def rows() -> Iterator[tuple[Any, ...]]:
        with _said_plainly(path):
            for batch in file.iter_batches(batch_size=8192, columns=present):
                arrays = [
                    batch.column(c.removesuffix(".path")).field("path")
                    if c.endswith(".path")
                    else batch.column(c)
                    for c in present
                ]
                yield from zip(*(array.to_pylist() for array in arrays), strict=True)

    return present, rows()


def unpack_audio(
    path: Path, root: Path, part: str, audio: Sequence[str] = ("audio",), id_column: str = "sample_id"
) -> int:
    """Write the audio of each row to its `audio_path` below `root`; returns the number of clips written now.

    audio: the columns that may hold it; the clips of a column "audio_b" have the row's id and "_b" behind it. A clip
    that is there as it should be is left alone and a finished parquet file is not read again, so a second run
    after an interruption does only what is left. DataError: a damaged file, or a clip that cannot be written.
    """
    if is_unpacked(path, root, part):
        return 0
    file = _open(path)
    names = file.schema_arrow.names
    audio = [column for column in audio if column in names] or audio[:1]
    for needed in (id_column, *audio):
        if needed not in names:
            raise DataError(f"{path}: no column {needed!r}; found {', '.join(names)}")
    written, folders = 0, set()
    for system_id, name, published, content in _clips(path, file, audio, id_column):
        target = f"{root}/{audio_path(part, system_id, name, suffix_of(published))}"
        folder = target.rpartition("/")[0]
        try:
            if folder not in folders:
                Path(folder).mkdir(parents=True, exist_ok=True)
                folders.add(folder)
            written += _write_once(target, content)
        except OSError as error:
            raise DataError(
                f"{target}: cannot write: {error.strerror}; what is unpacked is kept, run again to go on"
            ) from error
    note(_marker(path, root, part), path)
    return written


def _clips(
    path: Path, file: Any, audio: Sequence[str], id_column: str
) -> Iterator[tuple[str, str, str | None, Any]]:
    """System, name, published path and content of each clip.

    A row without audio `prepare` reports as missing, and one without an id is an error where labels are read.
    """
    has_systems = "system_id" in file.schema_arrow.names
    columns = [id_column, *audio, *(["system_id"] if has_systems else [])]
    with _said_plainly(path):
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
            ids = batch.column(id_column).to_pylist()
            systems = batch.column("system_id").to_pylist() if has_systems else [""] * len(ids)
            for column in audio:
                clips, paths = _audio_of(batch.column(column))
                for i, published in enumerate(paths):
                    if (content := clips[i].as_buffer()) is not None and ids[i] is not None:
                        yield str(systems[i] or ""), clip_name(ids[i], column), published, content


def _audio_of(column: Any) -> tuple[Any, list[str | None]]:
    """The bytes of an audio column and what their files were called: {bytes, path}, or bytes alone."""
    import pyarrow.types as of

    if of.is_binary(column.type) or of.is_large_binary(column.type):
        return column, [PLAIN] * len(column)
    return column.field("bytes"), column.field("path").to_pylist()


@contextmanager
def _said_plainly(path: Any) -> Iterator[None]:
    """What pyarrow says of a damaged file as a DataError."""
    import pyarrow

    try:
        yield
    except (OSError, pyarrow.ArrowException, UnicodeDecodeError, KeyError, AttributeError) as error:
        why = str(error).partition("\n")[0]
        raise DataError(
            f"{path}: not a readable parquet file ({why}); delete it and download it again"
        ) from error


def is_unpacked(path: Path, root: Path, part: str) -> bool:
    """Whether `unpack_audio` has finished this very file."""
    return is_noted(_marker(path, root, part), path)


def _marker(path: Path, root: Path, part: str) -> Path:
    return root / "audio" / part / f".{path.stem}.done"


def _write_once(path: str, content: Any) -> bool:
    try:
        # reading again costs less than writing, and a corpus may have been published anew
        if os.stat(path).st_size == content.size and Path(path).read_bytes() == content:  # noqa: PTH116
            return False
    except FileNotFoundError:
        pass
    write_small(path, memoryview(content))
    return True


def _open(path: Any) -> Any:
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise DataError("this corpus is published as parquet: pip install 'sqa-data[parquet]'") from error
    with _said_plainly(path):
        return pq.ParquetFile(path)


def write_without_audio(source: Any, sink: Any, audio: Sequence[str] = ("audio",)) -> None:
    """Copy a parquet file but for its audio; of a remote `source` only the other columns are then read."""
    import pyarrow.parquet as pq

    file = _open(source)
    columns = [name for name in file.schema_arrow.names if name not in audio]
    with _said_plainly(source):
        table = file.read(columns=columns)
    pq.write_table(table, sink)
