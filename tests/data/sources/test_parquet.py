"""Parquet files that are damaged within: one sentence that names the file."""

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from sqa_data import DataError
from sqa_data.prepare import prepare
from sqa_data.sources.parquet import read_columns, unpack_audio, write_without_audio
from tiny_corpora import build


def test_any_byte_may_be_damaged(tmp_path: Path) -> None:
    """Whatever a byte says, the file is read or refused in words."""
    build("urgent2024-sqa", tmp_path)
    path = sorted(tmp_path.rglob("validation-*.parquet"))[0]
    content = path.read_bytes()
    damaged = tmp_path / "damaged.parquet"
    columns = ["sample_id", "audio.path", "raw_ratings", "mos"]
    works: list[Callable[[], object]] = [
        lambda: unpack_audio(damaged, tmp_path / "unpacked", "train"),
        lambda: list(read_columns(damaged, columns)[1]),
        lambda: write_without_audio(damaged, tmp_path / "copy.parquet"),
    ]
    refused: list[list[str]] = [[] for _ in works]
    for at in range(0, len(content), 61):
        damaged.write_bytes(content[:at] + bytes([content[at] ^ 0xA5]) + content[at + 1 :])
        for work, said in zip(works, refused, strict=True):
            try:
                work()
            except DataError as error:
                said.append(str(error))
    assert all(refused)
    assert all(re.fullmatch(rf"{damaged}: [^\n]+", text) for said in refused for text in said)


@pytest.mark.parametrize("audio", [["a"], [{"bytes": b"a"}]], ids=["a column of text", "no path"])
def test_audio_that_is_not_as_published(audio: list[object], tmp_path: Path) -> None:
    path = tmp_path / "raw" / "urgent2024-sqa" / "validation-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    pyarrow.parquet.write_table(pyarrow.table({"sample_id": ["u"], "mos": [3.0], "audio": audio}), path)
    with pytest.raises(DataError, match=r"validation-00000-of-00001\.parquet: not a readable parquet file"):
        prepare("urgent2024-sqa", tmp_path / "raw", tmp_path / "out", partial=True)
    with pytest.raises(DataError, match=r"validation-00000-of-00001\.parquet: not a readable parquet file"):
        list(read_columns(path, ["audio.path"])[1])


def test_a_clip_of_the_same_size_with_other_bytes_is_written_again(tmp_path: Path) -> None:
    """Such as an uncompressed clip of a corpus that was published anew."""
    path = tmp_path / "p.parquet"
    for content in (b"old1", b"new2"):
        audio = [{"bytes": content, "path": "a.wav"}]
        pyarrow.parquet.write_table(pyarrow.table({"sample_id": ["u"], "audio": audio}), path)
        assert unpack_audio(path, tmp_path, "train") == 1
        assert (tmp_path / "audio" / "train" / "u.wav").read_bytes() == content
    (tmp_path / "audio" / "train" / ".p.done").unlink()
    assert unpack_audio(path, tmp_path, "train") == 0


@pytest.mark.parametrize("kind", [pyarrow.binary(), pyarrow.large_binary()])
def test_audio_as_bytes_alone(kind: pyarrow.DataType, tmp_path: Path) -> None:
    """A row without any is left to `prepare` to report."""
    path = tmp_path / "p.parquet"
    audio = pyarrow.array([b"one", None], type=kind)
    pyarrow.parquet.write_table(pyarrow.table({"id": [1, 2], "audio": audio}), path)
    assert unpack_audio(path, tmp_path, "train", id_column="id") == 1
    assert [p.name for p in (tmp_path / "audio" / "train").glob("[!.]*")] == ["1.wav"]
    assert (tmp_path / "audio" / "train" / "1.wav").read_bytes() == b"one"
