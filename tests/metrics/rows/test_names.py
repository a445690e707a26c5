"""What columns may be called: recognised with a note, chosen by name, never guessed between two."""

import io

import pytest
from sqa_metrics import MetricsError, pair, read_scores
from sqa_metrics.rows.names import NAMES

PRED = b"a 1.5\nb 2.5\nc 3.5\n"


def table(header: str, *rows: str) -> io.BytesIO:
    return io.BytesIO("\n".join([header, *rows]).encode())


@pytest.mark.parametrize(
    ("header", "note"),
    [
        ("sample_id,mos", ""),
        ("uid,mos", "<file>: read sample_id from 'uid'"),
        ("Filename,MOS", "<file>: read sample_id from 'Filename', mos from 'MOS'"),
        ("deg,ovrl", "<file>: read sample_id from 'deg', mos from 'ovrl'"),
        ("wav_path,mos_pred", "<file>: read sample_id from 'wav_path', mos from 'mos_pred'"),
        ("utt,MOS_OVRL", "<file>: read sample_id from 'utt', mos from 'MOS_OVRL'"),
    ],
)
def test_known_names_are_read_and_told(header: str, note: str) -> None:
    scores = read_scores(table(header, "x/a.wav,3", "x/b.wav,4"))
    assert scores.value == [3.0, 4.0]
    assert scores.sample_id == (
        ["x/a.wav", "x/b.wav"] if header[0] in "su" and "id" in header else ["a", "b"]
    )
    assert scores.notes == ((note,) if note else ())


def test_names_of_rows_and_of_csv_are_the_same() -> None:
    rows = read_scores(
        io.BytesIO(b'{"deg": "x/a.wav", "Worker": "w", "vote": 3}\n{"deg": "a", "Worker": "v", "vote": 4}')
    )
    csv = read_scores(table("deg,Worker,vote", "x/a.wav,w,3", "a,v,4"))
    assert (rows.sample_id, rows.value, rows.votes, rows.notes) == (["a"], [3.5], [2.0], csv.notes)
    assert rows.notes == ("<file>: read sample_id from 'deg', listener_id from 'Worker', mos from 'vote'",)


@pytest.mark.parametrize("name", NAMES["listener_id"][1])
def test_every_name_of_a_rater(name: str) -> None:
    assert read_scores(table(f"sample_id,{name},score", "a,x,1", "a,y,2")).votes == [2.0]


def test_two_names_of_one_standing_are_an_error_unless_they_hold_the_same() -> None:
    with pytest.raises(
        MetricsError,
        match=r"<file>: mos could be each of the columns 'score', 'rating'; say which, .* --columns mos=score",
    ):
        read_scores(table("sample_id,score,rating", "a,1,2"))
    assert read_scores(
        table("sample_id,score,rating", "a,2,2.0", "b,2,2"), columns={"mos": "rating"}
    ).value == [2, 2]
    assert read_scores(table("sample_id,score,rating", "a,2,2")).value == [2.0]
    with pytest.raises(MetricsError, match="sample_id could be each of the columns 'file', 'deg'"):
        read_scores(table("file,deg,mos", "a,b,1"))
    # the same clips, with and without their folder
    assert read_scores(table("filename_deg,filepath_deg,mos", "a.wav,x/a.wav,1")).sample_id == ["a"]
    # a name of the project's own goes before others
    assert read_scores(table("sample_id,mos,score,MOS", "a,1,2,3")).value == [1.0]


def test_columns_asked_for_by_name() -> None:
    ref = table("file,SIG,BAK", "a.wav,1,2", "b.wav,2,1", "c.wav,4,1")
    paired = pair(ref, {"p": io.BytesIO(PRED)}, columns={"mos": "SIG", "ref:sample_id": "file"})
    assert paired.ref == [1.0, 2.0, 4.0]
    assert paired.notes == ()


def test_one_name_serves_the_sides_that_have_it() -> None:
    ref = table("sample_id,SIG,mos", "a,1,5", "b,2,5", "c,4,5")
    pred = table("sample_id,pred", "a,1", "b,2", "c,3")
    paired = pair(ref, {"p": pred}, columns={"mos": "SIG"})
    assert (paired.ref, paired.preds) == ([1, 2, 4], [[1, 2, 3]])
    assert paired.notes == ("<file>: read mos from 'pred'",)


def test_the_other_side_tells_what_it_read_instead() -> None:
    ref = table("sample_id,SIG", "a,1", "b,2", "c,4")
    pred = table("sample_id,mos", "a,1", "b,2", "c,3")
    assert pair(ref, {"p": pred}, columns={"mos": "SIG"}).notes == ("<file>: read mos from 'mos'",)


def test_none_switches_a_column_off() -> None:
    ref = "sample_id,dataset,condition,mos", "a,x,s,1", "b,y,s,2", "c,y,t,4"
    assert pair(table(*ref), {"p": io.BytesIO(PRED)}).corpora == ["x", "y"]
    off = pair(table(*ref), {"p": io.BytesIO(PRED)}, columns={"corpus": "", "system_id": ""})
    assert (off.corpora, off.systems) == ([""], [])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"mos": "SIGG"},
            r"columns: no column 'SIGG' for mos; <file> has sample_id, mos; <file> has utt, score",
        ),
        ({"ref:mos": "SIGG"}, r"<file>: no column 'SIGG' for mos; found sample_id, mos"),
        (
            {"moss": "SIG"},
            r"'moss' is no column that is looked for; expected sample_id, system_id, .* mos_std",
        ),
        ({"mos": ""}, "columns: mos is ''; expected the name of a column"),
        ({"votes": 3}, "columns: votes is 3; expected the name of a column"),
    ],
)
def test_wrong_names_of_columns(columns: dict[str, str], message: str) -> None:
    with pytest.raises(MetricsError, match=message):
        pair(table("sample_id,mos", "a,1", "b,2", "c,4"), {"p": io.BytesIO(PRED)}, columns=columns)
