"""Rows of results: what 0.1.0 wrote goes on, what a kill tore is dropped, parts become one file once."""

import json
import os
from pathlib import Path

import pytest
from sqa_data import DataError
from sqa_data.atomic import append_alone
from sqa_data.clip_list import Key
from sqa_data.results import (
    Row,
    kept_results,
    key_of,
    merge_results,
    read_results,
    require_absent,
    result_line,
    write_results,
    write_scp,
)
from sqa_data.shares import Share

MODEL = "1f0c9a3e/float32"
# as 0.1.0 wrote it, byte for byte
OLD = (
    '{"sample_id": "ü\u2028 1", "system_id": "015", "metrics": {"mos": 3.87}, "audio_path": "a/ü.wav", '
    f'"duration": 3.2, "model": "{MODEL}", "warnings": ["low_rate: x"]}}\n'
    '{"sample_id": "b", "corpus": "c", "error": "no such file", "audio_path": "b", '
    f'"duration": 0.0, "model": "{MODEL}"}}\n'
).encode()
NAME = os.fsdecode(b"\xe4.wav")


def row(name: str, **more: object) -> Row:
    return {"sample_id": name, "metrics": {"mos": 3.0}, "model": MODEL} | more  # type: ignore[return-value]


def keys(*names: str) -> list[Key]:
    return [(None, None, name) for name in names]


def test_the_bytes_are_those_of_0_1_0(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_bytes(OLD)
    rows = read_results(path)
    assert [key_of(r) for r in rows] == [(None, "015", "ü\u2028 1"), ("c", None, "b")]
    write_results(path, rows)
    assert path.read_bytes() == OLD


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    """B4: JSON in UTF-8 all the same, and the same name again."""
    path = tmp_path / "r.jsonl"
    write_results(path, [row(NAME[:-4], audio_path=NAME)])
    assert json.loads(path.read_text(encoding="utf-8"))["audio_path"] == NAME
    assert read_results(path) == [row(NAME[:-4], audio_path=NAME)]
    assert kept_results(path, keys(NAME[:-4]), MODEL)[0].keys() == set(keys(NAME[:-4]))
    assert write_scp(read_results(path), tmp_path) == [tmp_path / "mos.scp"]
    assert (tmp_path / "mos.scp").read_bytes() == b"\xe4 3.0\n"


def test_a_torn_end_is_dropped_wherever_it_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    first, second = OLD.splitlines(keepends=True)
    for cut in range(len(OLD)):
        path.write_bytes(OLD[:cut])
        found = read_results(path, torn=True)
        whole = (cut >= len(first) - 1) + (cut >= len(first) + len(second) - 1)
        assert len(found) == whole
    path.write_bytes(first + second[:-9])
    with pytest.raises(DataError, match=r"r\.jsonl:2: not JSON"):
        read_results(path)
    path.write_bytes(first + second[:-9] + b"\n" + first)
    with pytest.raises(DataError, match=r"r\.jsonl:2: not JSON"):
        read_results(path, torn=True)
    path.write_bytes(first + b"{}\n")  # a line with its end was not torn
    with pytest.raises(DataError, match=r"r\.jsonl:2: no 'sample_id'"):
        read_results(path, torn=True)


def test_rows_of_others(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text('{"sample_id": 15, "system_id": 7, "corpus": null}\n{"sample_id": "a", "metrics": []}\n')
    with pytest.raises(DataError, match=r"r\.jsonl:2: metrics is \[\]"):
        read_results(path)
    path.write_text(path.read_text().splitlines()[0])
    assert [key_of(r) for r in read_results(path)] == [(None, "7", "15")]


def test_what_stands_of_an_earlier_run(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    assert kept_results(path, keys("a"), MODEL) == ({}, True)
    write_results(
        path, [row("a"), row("b"), {"sample_id": "c", "error": "no", "model": MODEL}, row("a", duration=2.0)]
    )
    kept, is_clean = kept_results(path, keys("a", "b", "c", "d"), MODEL)
    assert not is_clean
    assert list(kept) == keys("a", "b")
    assert kept[None, None, "a"]["duration"] == 2.0
    with pytest.raises(DataError, match=r"has 2 rows of other clips, such as 'b'; pass another --out"):
        kept_results(path, keys("a"), MODEL)
    rounded = MODEL.replace("float32", "bfloat16")
    with pytest.raises(
        DataError, match=f"was scored by model {MODEL}, this is {rounded}; go on with --dtype float32"
    ):
        kept_results(path, keys("a", "b", "c"), rounded)
    with pytest.raises(DataError, match=f"was scored by model {MODEL}, this is other; pass another"):
        kept_results(path, keys("a", "b", "c"), "other")


def test_what_is_there_is_gone_on_with_or_left_alone(tmp_path: Path) -> None:
    out, share = tmp_path / "r.jsonl", Share(2, 3)
    require_absent(out, share)
    for path in (share.path(out), out):
        write_results(path, [row("a")])
        with pytest.raises(DataError, match=f"{path} exists; pass --resume to go on, or another --out"):
            require_absent(out, share)
        require_absent(out, Share(1, 3), resume=True)
        require_absent(out, share, resume=True)
        with append_alone(path), pytest.raises(DataError, match=f"{path}: another process writes this file"):
            require_absent(out, share, resume=True)
        path.unlink()


def test_parts_become_one_file_when_all_are_complete(tmp_path: Path) -> None:
    out, names = tmp_path / "r.jsonl", ["d", "a", "c", "b", "e"]
    shares = Share(1, 3).together()
    for share in reversed(shares):
        merge_results(out, 3, keys(*names))
        assert not out.exists()
        write_results(share.path(out), map(row, share.of(names)))
    rest = shares[0].path(out).read_bytes()
    shares[0].path(out).write_bytes(rest[:-5])  # torn: not complete yet
    merge_results(out, 3, keys(*names))
    assert not out.exists()
    shares[0].path(out).write_bytes(rest)
    merge_results(out, 3, keys(*names))
    assert [r["sample_id"] for r in read_results(out)] == names
    assert list(tmp_path.iterdir()) == [out]
    merge_results(out, 3, keys(*names))  # another process finds it done
    assert [r["sample_id"] for r in read_results(out)] == names


def test_a_damaged_part_is_told(tmp_path: Path) -> None:
    out = tmp_path / "r.jsonl"
    write_results(Share(1, 2).path(out), [row("a")])
    Share(2, 2).path(out).write_text("{\n{")
    with pytest.raises(DataError, match=r"r\.jsonl\.2-of-2:1: not JSON"):
        merge_results(out, 2, keys("a", "b"))


def test_only_finite_scores_are_written() -> None:
    with pytest.raises(DataError, match="'a': cannot be written as JSON"):
        result_line(row("a", metrics={"mos": float("nan")}))


def test_scp(tmp_path: Path) -> None:
    rows = [row("a", metrics={"mos": 3.5, "mos_std": 0.5}), {"sample_id": "b c", "error": "no"}]
    paths = write_scp(rows, tmp_path)  # type: ignore[arg-type]
    assert [p.name for p in paths] == ["mos.scp", "mos_std.scp"]
    assert (tmp_path / "mos_std.scp").read_text() == "a 0.5\n"
    assert write_scp([], tmp_path) == []
    with pytest.raises(DataError, match="'b c': an scp file cannot hold a name with a blank"):
        write_scp([row("b c")], tmp_path)


def test_a_failed_row_stands_for_no_calibration(tmp_path: Path) -> None:
    """It is tried again anyway; a row with scores holds the file to its calibration."""
    path = tmp_path / "r.jsonl"
    failed: Row = {"sample_id": "a", "error": "no", "model": "m", "calibration": "old"}
    write_results(path, [failed])
    assert kept_results(path, [(None, None, "a")], "m", "new") == ({}, False)
    write_results(path, [{"sample_id": "a", "metrics": {"mos": 3.0}, "model": "m", "calibration": "old"}])
    with pytest.raises(DataError, match="rows of another calibration"):
        kept_results(path, [(None, None, "a")], "m", "new")
