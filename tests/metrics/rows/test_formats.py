"""What score files of other tools look like: read where that is sure, told with the remedy where it is not."""

import io
import unicodedata
from pathlib import Path

import pytest
from sqa_metrics import MetricsError, pair, read_scores, score
from sqa_metrics.rows import formats


def read(text: str) -> tuple[list[str], list[float]]:
    scores = read_scores(io.BytesIO(text.encode()))
    return scores.sample_id, scores.value


def test_semicolons_and_decimal_commas() -> None:
    assert read("sample_id;mos\na;3.5\nb;4\n") == (["a", "b"], [3.5, 4.0])
    assert read("sample_id;mos;x\na;3,5;u,v\n") == (["a"], [3.5])
    assert read("a;3,5\nb;4,25\n") == (["a", "b"], [3.5, 4.25])
    assert read("sample_id\tmos\na;b\t3\n") == (["a;b"], [3.0])
    with pytest.raises(MetricsError, match="score is '3,5,5'"):
        read("a;3\nb;3,5,5\n")


def test_a_json_array_is_told() -> None:
    with pytest.raises(
        MetricsError, match=r"is a JSON array; expected JSON Lines, .* `jq -c '\.\[\]' <file>`"
    ):
        read('[{"sample_id": "a", "mos": 3}]')


def test_plain_text_is_told() -> None:
    with pytest.raises(
        MetricsError, match=r"<file>:1: found 1 fields, expected 'utt score' \(or JSON Lines, or CSV\)"
    ):
        read("notes\n")


def test_uid_is_a_sample_id() -> None:
    assert read('{"uid": "a", "metrics": {"mos": 3}}\n{"uid": 7, "mos": 4}') == (["a", "7"], [3.0, 4.0])
    assert read("uid,mos\nx/a.wav,3\n") == (["x/a.wav"], [3.0])


def test_ids_of_paths() -> None:
    assert read("s1/u1.flac 3\ns2/u2.AIFF 4\n")[0] == ["u1", "u2"]
    assert read("s1/u1.flac 3\ns2/u1.flac 4\n")[0] == ["s1/u1", "s2/u1"]
    assert read("/x/s1/u1.wav,3\n/x/s2/u1.wav,4\n")[0] == ["s1/u1", "s2/u1"]
    assert read("wav_path,mos\nd/a,3\nd/b.sph,3\n")[0] == ["a", "b"]
    assert read("utt,mos\nd/a,3\nd/b.sph,3\n")[0] == ["d/a", "b"]
    assert read("A/u1 1\nB/u1 2\n")[0] == ["A/u1", "B/u1"]
    with pytest.raises(MetricsError, match="duplicate id 'u1'"):
        pair(io.BytesIO(b"s/u1.wav 3\ns/u1.wav 4\nt/u2.wav 4\n"), {"p": io.BytesIO(b"u1 3")})


def test_an_empty_id_is_told() -> None:
    with pytest.raises(MetricsError, match="<file>:3: sample_id is empty"):
        read("sample_id,mos\na,3\n,4\n")


def test_blanks_that_are_part_of_an_id() -> None:
    assert read("a\u00a0b 3\nc\u2028d 4\n")[0] == ["a\u00a0b", "c\u2028d"]


@pytest.mark.parametrize(
    ("ref", "pred", "message"),
    [
        ("é1", unicodedata.normalize("NFD", "é1"), r"1 of these ids are the same but for their Unicode form"),
        ("a1", "A1", "1 of these ids are the same but for upper and lower case"),
        ("a1", "x/a1.wav", "1 of these ids are the same but for folder and audio suffix"),
    ],
)
def test_ids_that_two_tools_write_differently(ref: str, pred: str, message: str) -> None:
    files = [io.BytesIO(f'{{"sample_id": "{name}", "mos": 3}}\n'.encode()) for name in (ref, pred)]
    with pytest.raises(MetricsError, match=message) as caught:
        pair(files[0], {"p": files[1]})
    assert ascii(ref) in str(caught.value)


def test_other_scales_are_noted(road: str) -> None:
    def file(*values: float) -> io.BytesIO:
        rows = [f'{{"sample_id": "u{k}", "metrics": {{"mos": {v}}}}}\n' for k, v in enumerate(values)]
        return io.BytesIO("".join(rows).encode())

    (note,) = score(file(10, 55, 92.5), file(1, 3, 4.5)).remarks
    assert note.startswith("other scales? the reference holds 10 to 92.5, pred 1 to 4.5;")
    assert "other scales?" in score(file(1, 3, 4.5), file(-10, -55, 20)).notes()[0]
    assert score(file(1, 3, 4.5), file(1, 2, 5)).remarks == ()
    assert score(file(1, 3, 5), file(-0.5, 1.4, 1.3)).remarks == ()
    assert score(file(1, 3, 5), file(0, 0, 0)).remarks == ()


def test_devices_are_refused() -> None:
    if Path("/dev/zero").exists():
        with pytest.raises(MetricsError, match="/dev/zero: is a device; expected a file"):
            read_scores("/dev/zero")
    with pytest.raises(MetricsError, match="cannot be read"):
        read_scores("a\0b")


@pytest.mark.parametrize(
    "text", ['{"sample_id": "a", "x": ' + "[" * 100_000 + "]" * 100_000 + "}", '{"sample_id":']
)
def test_no_json_is_one_message(text: str) -> None:
    with pytest.raises(MetricsError, match="<file>:1: not valid JSON"):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "id,mos\na,1\nb,2",
        "id,mos\r\na,1\r\nb,2\r\n",
        "id,mos\n a , 1\nb,\n\n",
        "\n\nid,mos\na,1\n\nb,2\n",
        "id,mos\n,\nb\u00a0,2\n",
        'id,mos\n"a,b",1\n"c\nd",2\ne,3\n',
        "id\tmos\na,b\t1\n",
        "id,mos\ra,1\rb,2\r",
    ],
)
def test_plain_tables_are_read_as_any_other(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> list[object]:
        table = formats.table_of(text.encode(), "f")
        return [list(table.lines), *(list(table.column(name)) for name in table.names)]

    quick = found()
    monkeypatch.setattr(formats, "_plain_columns", lambda *arguments: [])
    assert quick == found()


def test_ragged_tables_are_told_with_their_line() -> None:
    for text in ("id,mos\na,1\nb\n", "id,mos\na,1,1\nb,1,1\n", "id,mos,x\na,1\nb,1,2,3\n"):
        with pytest.raises(MetricsError, match=r"f:[23]: found \d fields, expected \d"):
            formats.table_of(text.encode(), "f")
