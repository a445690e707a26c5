"""Pairs find their clips: in the rows themselves, in the manifest beside them, or where they are told to look."""

import json
from pathlib import Path

import pytest
from sqa_data import DataError
from sqa_data.clip_list import ClipEntry
from sqa_data.pair_clips import clips_beside, list_pairs
from sqa_data.pairs import Pair, write_pairs


def clip(folder: Path, sample_id: str, corpus: str | None = "c", system: str = "s") -> str:
    path = folder / f"{sample_id}.wav"
    path.touch()
    row = {
        "audio_path": path.name,
        "sample_id": sample_id,
        "system_id": system,
        "duration": 1.5,
        "metrics": {"mos": 3},
    }
    return json.dumps(row | ({"corpus": corpus} if corpus else {}))


def manifest(folder: Path, *rows: str) -> Path:
    folder.mkdir(exist_ok=True, parents=True)
    path = folder / "data.jsonl"
    path.write_text("\n".join(rows))
    return path


def test_in_the_manifest_beside_them(tmp_path: Path) -> None:
    manifest(tmp_path, *(clip(tmp_path, name) for name in ("x", "y", "ID_a", "ID_b")))
    write_pairs(
        tmp_path / "pairs.jsonl", [Pair("x", "y", 1.0, corpus="c"), Pair("ID_a", "ID_b", preference="tie")]
    )
    first, second = list_pairs(tmp_path / "pairs.jsonl")
    assert first.a == ClipEntry(str(tmp_path / "x.wav"), "x", "s", "c")
    assert (first.b.sample_id, first.pair.cmos) == ("y", 1.0)
    assert [pair.key for pair in (first, second)] == [("c", None, "x|y"), ("c", None, "ID")]
    assert [row.sample_id for row in clips_beside(tmp_path / "pairs.jsonl")] == ["x", "y", "ID_a", "ID_b"]


def test_where_one_says(tmp_path: Path) -> None:
    manifest(tmp_path / "here", clip(tmp_path, "x"), clip(tmp_path, "y"))
    wavs = tmp_path / "wavs"
    wavs.mkdir()
    for name in "xyz":
        (wavs / f"{name}.flac").touch()
    # not labelled, as those of a challenge are not
    pairs = tmp_path / "here" / "ccr.jsonl"
    pairs.write_text('{"a": "x", "b": "z"}\n{"a": "y", "b": "x"}\n')
    found = list_pairs(pairs, [wavs])
    assert [(p.a.audio_path, p.b.audio_path) for p in found] == [
        (f"{wavs}/x.flac", f"{wavs}/z.flac"),
        (f"{wavs}/y.flac", f"{wavs}/x.flac"),
    ]
    with pytest.raises(DataError, match=r"ccr\.jsonl:1: there is no clip 'z' in the data\.jsonl beside it"):
        list_pairs(pairs)


def test_in_their_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Relative paths are taken from the file's folder, or from the working directory where only that has the file."""
    (tmp_path / "data").mkdir()
    theirs = tmp_path / "data" / "data_pairs.jsonl"
    rows = [
        {"audio_paths": ["near.wav", "data/far.wav"], "durations": [1, 2], "metrics": {"mos_overall": 1}},
        {"audio_paths": ["data/far.wav", "/abs/x.wav"], "durations": [2, 3]},
    ]
    theirs.write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "data" / "far.wav").touch()
    monkeypatch.chdir(tmp_path)
    first, second = list_pairs(theirs)
    assert (first.a.audio_path, first.b.audio_path) == (str(theirs.with_name("near.wav")), "data/far.wav")
    assert (second.a.sample_id, second.b) == ("far", ClipEntry("/abs/x.wav", "x"))
    assert second.sample_id == "far|x"
    # elsewhere, if one says so
    wavs = tmp_path / "wavs"
    wavs.mkdir()
    for name in ("near", "far", "x"):
        (wavs / f"{name}.flac").touch()
    assert list_pairs(theirs, [wavs])[1].b.audio_path == f"{wavs}/x.flac"
    assert [(u.sample_id, u.duration, u.metrics) for u in clips_beside(theirs)] == [
        ("near", 1, {}),
        ("far", 2, {}),
        ("x", 3, {}),
    ]
    # one name is none; those of the manifest beside them come, too
    theirs.write_text(json.dumps(rows[0] | {"a": "near"}))
    manifest(theirs.parent, clip(theirs.parent, "more"))
    assert [u.sample_id for u in clips_beside(theirs)] == ["near", "far", "more"]
    theirs.with_name("data.jsonl").unlink()
    side = {"sample_id": "x", "audio_path": "near.wav", "duration": 1.5, "metrics": {"mos": 4}}
    other = side | {"sample_id": "y", "audio_path": "data/far.wav"}
    # a clip is there once, however many pairs have it
    theirs.write_text(f"{json.dumps({'a': side, 'b': other})}\n{json.dumps({'a': other, 'b': side})}")
    own, _ = list_pairs(theirs)
    assert (own.a.audio_path, own.b.audio_path) == (str(theirs.with_name("near.wav")), "data/far.wav")
    assert [(u.sample_id, u.metrics) for u in clips_beside(theirs)] == [
        ("x", {"mos": 4.0}),
        ("y", {"mos": 4.0}),
    ]


def test_clips_of_one_name_are_told_apart_by_corpus(tmp_path: Path) -> None:
    manifest(tmp_path, clip(tmp_path, "x", "one"), clip(tmp_path, "x", "two"), clip(tmp_path, "y", None))
    pairs = tmp_path / "pairs.jsonl"
    write_pairs(pairs, [Pair("x", "y", 1.0, corpus="two"), Pair("y", "x", 1.0, corpus="one")])
    assert [pair.corpus for pair in list_pairs(pairs)] == ["two", "one"]
    (tmp_path / "z").mkdir()
    manifest(tmp_path / "z", clip(tmp_path / "z", "v", "one"), clip(tmp_path / "z", "w", "two"))
    write_pairs(tmp_path / "z" / "pairs.jsonl", [Pair("v", "w", 1.0)])
    assert [pair.corpus for pair in list_pairs(tmp_path / "z" / "pairs.jsonl")] == [None]
    write_pairs(pairs, [Pair("x", "y", 1.0)])
    with pytest.raises(
        DataError, match=r"pairs\.jsonl:1: 2 clips are called 'x' \(corpus one, two\); name it"
    ):
        list_pairs(pairs)
    write_pairs(pairs, [Pair("x", "y", 1.0, corpus="three")])
    with pytest.raises(DataError, match="no clip 'x'"):
        list_pairs(pairs)


def test_what_cannot_be_listed(tmp_path: Path) -> None:
    pairs = tmp_path / "pairs.jsonl"
    write_pairs(pairs, [Pair("x", "y", 1.0)])
    with pytest.raises(
        DataError, match=r"pairs\.jsonl: there is no data\.jsonl beside it; name the manifest"
    ):
        list_pairs(pairs)
    manifest(tmp_path, clip(tmp_path, "x"), clip(tmp_path, "y"))
    write_pairs(pairs, [Pair("x", "y", 1.0), Pair("y", "x", 1.0), Pair("x", "y", 2.0)])
    with pytest.raises(
        DataError, match=r"pairs\.jsonl:3: the pair of 'x' and 'y' is there again, as in line 1"
    ):
        list_pairs(pairs)
    pairs.write_text("\n")
    with pytest.raises(DataError, match="no pair; expected one a line"):
        list_pairs(pairs)
    with pytest.raises(DataError, match="cannot be read"):
        list_pairs(tmp_path / "none.jsonl")
