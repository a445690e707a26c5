"""Reading score files: every format, and every way a row can be wrong."""

import io
import json
import math
from pathlib import Path

import pytest
from sqa_metrics import MetricsError, pair, read_scores, read_utt2sys


def jsonl(rows: list[dict[str, object]]) -> io.BytesIO:
    return io.BytesIO("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode())


def row(sample: str, mos: object = 3.0, **more: object) -> dict[str, object]:
    return {"sample_id": sample, "metrics": {"mos": mos}} | more


@pytest.mark.parametrize(
    ("text", "ids", "values"),
    [
        (
            '{"sample_id": "a", "metrics": {"mos": 3.5}}\n\n{"sample_id": 7, "metrics": {"mos": 4}}',
            ["a", "7"],
            [3.5, 4],
        ),
        ('\ufeff{"sample_id": "a", "mos": 3.5}\r\n', ["a"], [3.5]),
        ("a,3.5\nb.wav,4\n", ["a", "b"], [3.5, 4]),
        ("\ufeffa,3.5\r\n\r\nb,4\r\n", ["a", "b"], [3.5, 4]),
        ("a 3.5\nsys1/b.wav\t4\n", ["a", "b"], [3.5, 4]),
        ("sample_id,mos\na,3.5\nb,4\n", ["a", "b"], [3.5, 4]),
        ("utt\tMOS\na\t3.5\n", ["a"], [3.5]),
        ('wav_path,system_id,sample_id,avg_score,answer\n"x, y/a.wav",s,a,1,3.5\n', ["a"], [3.5]),
        ("wav_path,score\nwav/clip one.wav,3.5\n", ["clip one"], [3.5]),
    ],
)
def test_formats(text: str, ids: list[str], values: list[float]) -> None:
    scores = read_scores(io.BytesIO(text.encode()))
    assert scores.sample_id == ids
    assert scores.value == values


def test_roles_of_sheet_columns() -> None:
    text = b"wav_path,system_id,sample_id,avg_score,answer\na.wav,s,a,1,3.5\n"
    assert read_scores(io.BytesIO(text), role="ref").value == [1.0]
    assert read_scores(io.BytesIO(text), role="pred").value == [3.5]


def test_single_ratings_are_averaged() -> None:
    text = b"sample_id,system_id,listener_id,score\na,s,l1,2\na,s,l2,4\nb,s,l1,5\n"
    scores = read_scores(io.BytesIO(text), role="ref")
    assert (scores.sample_id, scores.value, scores.votes) == (["a", "b"], [3.0, 5.0], [2.0, 1.0])
    assert scores.std == pytest.approx([math.sqrt(2), math.nan], nan_ok=True)  # one vote has no spread


def test_ratings_come_before_their_average() -> None:
    """SHEET tables carry the average beside each rating; its copies have no spread."""
    text = b"wav_path,score,avg_score,listener_id\na.wav,2,3,l1\na.wav,4,3,l2\n"
    scores = read_scores(io.BytesIO(text), role="ref")
    assert (scores.value, scores.std) == ([3.0], [math.sqrt(2)])


def test_odd_but_valid_rows() -> None:
    text = 'utt,mos\n"a,\nb",1\nline\u2028separator,2\n'
    assert read_scores(io.BytesIO(text.encode())).sample_id == ["a,\nb", "line\u2028separator"]
    ids = jsonl([row("a", system_id=0, corpus=0), row("b", system_id="s")])
    scores = read_scores(ids)
    assert (scores.system_id, scores.corpus) == (["0", "s"], ["0", ""])
    assert read_scores(io.StringIO("A/u1 1\nB/u1 2\n")).sample_id == ["A/u1", "B/u1"]  # type: ignore[arg-type]


def test_any_metric_against_any_other() -> None:
    ref = jsonl([{"sample_id": "a", "metrics": {"mos": 1, "noi": 2}}])
    pred = jsonl([{"sample_id": "a", "metrics": {"mos": 3, "scoreq": 4}}])
    paired = pair(ref, {"p": pred}, ref_metric="noi", pred_metric="scoreq")
    assert (paired.ref, paired.preds) == ([2.0], [[4.0]])


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a,3\n")))
    assert read_scores("-").sample_id == ["a"]


def test_utt2sys(tmp_path: Path) -> None:
    (tmp_path / "utt2sys").write_text("a.wav s1\nb s2\n")
    table = read_utt2sys(tmp_path / "utt2sys")
    assert read_scores(io.BytesIO(b"a 1\nb 2\n"), utt2sys=table).system_id == ["s1", "s2"]
    with pytest.raises(MetricsError, match=r"<file>:2: sample_id 'c' is not in utt2sys"):
        read_scores(io.BytesIO(b"a 1\nc 2\n"), utt2sys=table)
    assert read_scores(jsonl([row("a.wav")]), utt2sys=table).system_id == ["s1"]
    (tmp_path / "utt2sys").write_text("a s1\na.wav s2\n")
    with pytest.raises(MetricsError, match="utt2sys:2: 'a' is in 's1' already, found 's2'"):
        read_utt2sys(tmp_path / "utt2sys")
    (tmp_path / "utt2sys").write_bytes(b"\xff s1\n")
    with pytest.raises(MetricsError, match="not UTF-8"):
        read_utt2sys(tmp_path / "utt2sys")
    (tmp_path / "utt2sys").write_text("a\n")
    with pytest.raises(MetricsError, match="utt2sys:1: found 1 fields"):
        read_utt2sys(tmp_path / "utt2sys")


def test_a_manifest_gives_systems_too(tmp_path: Path) -> None:
    manifest = tmp_path / "data.jsonl"
    manifest.write_bytes(jsonl([row("x/a.wav", system_id="s1"), row("b"), row("c", system_id="s2")]).read())
    assert read_utt2sys(manifest) == {"x/a.wav": "s1", "a": "s1", "c": "s2"}
    manifest.write_bytes(jsonl([row("a", system_id="s1"), row("a", system_id="s2")]).read())
    with pytest.raises(MetricsError, match=r"data.jsonl:2: 'a' is in 's1' already, found 's2'"):
        read_utt2sys(manifest)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "no rows"),
        (b"\n \n", "no rows"),
        (b"RIFF\0\0\0WAVE", "not a text file"),
        (b'{"sample_id": "a", "metrics": {"mos": 3}}\n{"sample', r"<file>:2: not valid JSON"),
        (b'{"metrics": {"mos": 3}}\n', r"<file>:1: no sample_id"),
        (b'{"sample_id": "a", "metrics": 3}\n', r"<file>:1: 'metrics' is not an object"),
        (b'{"sample_id": "a", "metrics": {"mos": "good"}}\n', r"<file>:1: mos is 'good', expected a number"),
        (b'{"sample_id": "a", "metrics": {"mos": true}}\n', r"<file>:1: mos is True"),
        (b'{"sample_id": "a", "metrics": {"dnsmos": 3}}\n', "no metric 'mos'; found dnsmos"),
        (b"a,3\nb\n", r"<file>:2: found 'b', expected 'utt,score'"),
        (b"a,3\nb,x\n", r"<file>:2: score is 'x'"),
        (b"a 3\nb 4 5\n", r"<file>:2: found 3 fields"),
        (
            b"name,mos\na,3\n",
            "<file>: no column for sample_id; found name, mos, expected one such as sample_id",
        ),
        (b"utt,dnsmos\na,3\n", "no metric 'mos'; found dnsmos"),
        (b"utt,mos\na\n", r"<file>:2: found 1 fields, expected 2"),
        (b"a 3\n\xff 4\n", "not UTF-8"),
        (b"sample_id,mos,mos\na,3,4\n", r"<file>:1: column 'mos' is there twice"),
        (b"u1 3,5\nu2 4,5\n", r"<file>:1: found 'u1 3,5', expected 'utt,score'"),
        (b"a 3_5\n", r"<file>:1: score is '3_5'"),
        ("a ٣\n".encode(), r"<file>:1: score is '٣'"),
        (b"\n\na,1e400\nb,x\n", r"<file>:4: score is 'x'"),
        (
            b'{"sample_id": "a", "mos": 1' + b"0" * 400 + b"}",
            r"<file>:1: mos is 1000.*\.\.\., expected a number of at most 1e\+100",
        ),
        (b"a 1e200\n", r"<file>:1: score is '1e200', expected a number of at most 1e\+100 in size"),
        (b"a 1e308\nb x\n", r"<file>:1: score is '1e308', expected a number of at most"),
        (b"a nan\nb -inf\n", "none of the 2 rows has a finite mos; give a file with scores, or name another"),
        (b'{"sample_id": "a", "metrics": {"mos": null}}', "none of the 1 rows has a finite mos"),
        (b'{"sample_id": "a", "error": "no such file"}', "none of the 1 rows has a finite mos"),
        (b"sample_id,mos\na,\n", "none of the 1 rows has a finite mos"),
        (
            b'{"sample_id": 123456789012345678901234567890, "mos": 1}',
            r"<file>:1: sample_id is 1.23.*64-bit integer",
        ),
        (b'{"sample_id": true, "mos": 1}', r"<file>:1: sample_id is True"),
        (b'{"sample_id": "", "mos": 1}', r"<file>:1: no sample_id"),
        (b'sample_id,mos\na,"1\n' + b"x" * 140_000, r"<file>:\d+: not valid CSV"),
        (
            b'{"sample_id": "a", "metrics": {"x": 1}}\n{"sample_id": "b", "error": "no"}',
            "no metric 'mos'; found x",
        ),
    ],
)
def test_unreadable_rows_name_file_and_line(text: bytes, message: str) -> None:
    with pytest.raises(MetricsError, match=message):
        read_scores(io.BytesIO(text))


def test_missing_file() -> None:
    with pytest.raises(MetricsError, match=r"nowhere\.jsonl: no such file"):
        read_scores("nowhere.jsonl")
    with pytest.raises(MetricsError, match="cannot be read"):
        read_scores(Path(__file__).parent)


def test_absolute_and_relative_paths_have_no_common_folder() -> None:
    scores = read_scores(io.BytesIO(b"filename,mos\n/x/a.wav,1\ny/a.wav,2\n"))
    assert scores.sample_id == ["a", "a"]
