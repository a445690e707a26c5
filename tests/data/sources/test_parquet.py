"""Parquet files that are damaged within: one sentence that names the file."""

import re
from collections.abc import Callable
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from sqa_data import DataError, read_manifest
from sqa_data.prepare import prepare
from sqa_data.sources.parquet import read_columns, unpack_audio, write_without_audio
from tiny_corpora import build, tone


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


STRUCT = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])


def published(folder: Path, ids: list[object], **columns: list[object]) -> Path:
    """The raw folder of a corpus whose training split has these rows, each with other audio; "s" made them."""
    audio = [{"bytes": tone(f"clip {i}", 16000, kind="FLAC"), "path": None} for i in range(len(ids))]
    facts = {
        "sample_id": ids,
        "system_id": ["s"] * len(ids),
        "mos": [3.0] * len(ids),
        "audio": audio,
    } | columns
    path = folder / "raw" / "urgent2024-sqa" / "validation-00000-of-00001.parquet"
    path.parent.mkdir(parents=True)
    table = pyarrow.table(facts | {"audio": pyarrow.array(facts["audio"], STRUCT)})
    pyarrow.parquet.write_table(table, path)
    return folder / "raw"


@pytest.mark.parametrize(
    ("ids", "systems"),
    [
        (["../x", "/x", "a\\b", "n\0l", "..", ".", "C:x", ".hidden"], ["s"] * 8),
        (["a", "b", "c", "d", "e"], ["..", ".", "../..", "a/b", ""]),
        (["x/y", "x%2Fy", "x%252Fy"], ["s"] * 3),
        (["x", "y"], ["a/b", "a%2Fb"]),
    ],
)
def test_each_clip_has_a_file_of_its_own_below_its_part(
    ids: list[object], systems: list[object], tmp_path: Path
) -> None:
    done = prepare(
        "urgent2024-sqa", published(tmp_path, ids, system_id=systems), tmp_path / "out", partial=True
    )
    paths = {u.sample_id: Path(u.audio_path) for u in read_manifest(done.manifests["train"])}
    assert paths.keys() == set(ids)
    part = tmp_path / "raw" / "urgent2024-sqa" / "audio" / "validation"
    assert len({path.read_bytes() for path in paths.values()}) == len(ids)
    assert all(part in path.parents and ".." not in path.parts for path in paths.values())
    assert not {path for path in paths.values() if path.name.startswith(".")}


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("sample_id", None, "no sample_id"),
        ("sample_id", "", "no sample_id"),
        ("sample_id", b"x", "sample_id is b'x'; expected text"),
        ("system_id", [1], r"system_id is \[1\]; expected text"),
        ("mos", "good", r"mos is 'good'; expected a number in 1\.\.5"),
        ("mos", "3", "mos is '3'"),
        ("mos", True, "mos is True"),
        ("mos", [3.0], r"mos is \[3\.0\]"),
        ("mos", 5.01, r"mos is 5\.01"),
        ("utmos", float("inf"), r"utmos is inf; expected a number in -inf\.\.inf"),
        ("raw_ratings", '"345"', "raw_ratings is '\"345\"'; expected numbers in 1"),
        ("raw_ratings", "[true, 3]", "raw_ratings is"),
        ("raw_ratings", "[" * 9999, "raw_ratings is"),
        ("raw_ratings", [3.0, None], "raw_ratings is"),
        ("raw_ratings", 3.0, "raw_ratings is"),
    ],
)
def test_a_value_that_is_none_is_told_with_its_row(
    column: str, value: object, says: str, tmp_path: Path
) -> None:
    raw = published(tmp_path, ["x"], **{column: [value]})
    with pytest.raises(DataError, match=f"parquet: row 1: {says}") as error:
        prepare("urgent2024-sqa", raw, tmp_path / "out", partial=True)
    assert len(str(error.value)) < 500 + len(str(tmp_path))
    assert not list(raw.rglob("None*"))


@pytest.mark.parametrize(
    ("column", "value", "metrics"),
    [
        ("mos", None, {}),
        ("mos", float("nan"), {}),
        ("utmos", 5.2, {"mos": 3.0, "utmos": 5.2}),  # a model may leave the scale
        ("sample_id", 0, {"mos": 3.0}),
    ],
)
def test_what_is_not_known_or_a_model_says(
    column: str, value: object, metrics: dict[str, float], tmp_path: Path
) -> None:
    raw = published(tmp_path, ["x"] if column != "sample_id" else [value], **{column: [value]})
    done = prepare("urgent2024-sqa", raw, tmp_path / "out", partial=True)
    (only,) = read_manifest(done.manifests["train"])
    assert only.metrics == metrics


def test_a_file_that_is_unpacked_is_not_read_again(tmp_path: Path) -> None:
    path = published(tmp_path, ["x", "y"]) / "urgent2024-sqa" / "validation-00000-of-00001.parquet"
    assert unpack_audio(path, tmp_path, "validation") == 2
    (tmp_path / "audio" / "validation" / "s" / "x.flac").unlink()
    assert unpack_audio(path, tmp_path, "validation") == 0


def test_a_row_without_audio_makes_no_clip(tmp_path: Path) -> None:
    """`prepare` tells that it is missing, and prepares the others."""
    audio = [None, {"bytes": None, "path": "b.flac"}, {"bytes": tone("c", 16000, kind="FLAC"), "path": None}]
    raw = published(tmp_path, ["a", "b", "c"], audio=audio)
    done = prepare("urgent2024-sqa", raw, tmp_path / "out", partial=True)
    assert done.problems["missing"] == 2
    assert [path.name for path in raw.rglob("*.flac")] == ["c.flac"]
