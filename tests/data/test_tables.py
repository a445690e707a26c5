"""Label files that are no good: what is wrong, and where."""

from pathlib import Path

import pytest
from sqa_data import DataError
from sqa_data.prepare import prepare
from sqa_data.tables import read_header, read_rows
from tiny_corpora import build


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\xe9\n1,2\n", "not UTF-8 text"),
        ("a,b\n1,2\n".encode("utf-16"), "not UTF-8 text"),
        (b"a," + b"x" * 200_000 + b"\n1,2\n", "t.csv:1: field larger than"),
    ],
    ids=["latin-1", "utf-16", "a field without end"],
)
def test_a_header_is_held_to_the_rules_of_rows(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_header(path)
    with pytest.raises(DataError, match=message):
        list(read_rows(path, ["a"]))
    with pytest.raises(DataError, match="cannot read the label file: No such file"):
        read_header(tmp_path / "none.csv")


def test_a_header_may_follow_a_mark_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"\xef\xbb\xbf\r\n\r\na,b\r\n1,2\r\n")
    assert read_header(path) == ["a", "b"]
    assert list(read_rows(path, ["b", "c?"])) == [(4, ["2", ""])]
    path.write_bytes(b"")
    assert read_header(path) == []


def test_a_name_that_no_disk_holds_is_a_missing_clip(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "chime-7-udase-eval"
    build("chime-7-udase-eval", folder)
    prepare("chime-7-udase-eval", tmp_path / "raw", tmp_path / "out")
    (labels,) = folder.rglob("MOS_results_listening_test.csv")
    lines = labels.read_text().splitlines()
    long = lines[1].split(",")
    long[lines[0].split(",").index("sample")] = "x" * 300 + ".wav"
    labels.write_text("\n".join([*lines, ",".join(long), ""]))
    prepared = prepare("chime-7-udase-eval", tmp_path / "raw", tmp_path / "out", partial=True)
    assert prepared.problems == {"missing": 1}
