"""Reading and joining score files: every format, every way a row can be wrong, and the two roads agreeing."""

import io
import json
import math
import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqa_metrics import MetricsError, Scores, _columns, join, pair, read_scores, read_utt2sys
from sqa_metrics import scores as scores_module


def jsonl(rows: list[dict[str, object]]) -> io.BytesIO:
    return io.BytesIO("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode())


def row(sample: str, mos: object = 3.0, **more: object) -> dict[str, object]:
    return {"sample_id": sample, "metrics": {"mos": mos}} | more


# --- formats ---------------------------------------------------------------------------------------------------


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
    with pytest.raises(MetricsError, match=r"<file>:3: listener 'l1' rated 'a' before"):
        read_scores(io.BytesIO(b"utt,listener_id,score\na,l1,2\na,l1,4\n"), role="ref")


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


# --- bad input -------------------------------------------------------------------------------------------------


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
        (b"name,mos\na,3\n", r"<file>:1: no id column; found \['name', 'mos'\]"),
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
            r"<file>:1: mos is 1000.*\.\.\., expected a number",
        ),
        (b"a 1e200\n", r"<file>:1: score is '1e200'"),
        (
            b'{"sample_id": 123456789012345678901234567890, "mos": 1}',
            r"<file>:1: sample_id is 1.23.*64-bit integer",
        ),
        (b'{"sample_id": true, "mos": 1}', r"<file>:1: sample_id is True"),
        (b'{"sample_id": "", "mos": 1}', r"<file>:1: sample_id is ''"),
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


def test_strict_coverage_names_counts_and_first_ids() -> None:
    ref = jsonl([row("a"), row("b"), row("c"), row("d")])
    pred = jsonl([row("x"), row("b"), row("c", float("nan"))])
    with pytest.raises(MetricsError) as caught:
        pair(ref, {"p": pred})
    message = str(caught.value)
    assert "2 of 4 ids of <file> are missing, first 'a' (<file>:1)" in message
    assert "1 of 3 ids are not in <file>, first 'x' (<file>:1)" in message
    assert "1 rows have no finite mos, first 'c' (<file>:3)" in message
    assert "--allow-missing" in message


def test_allow_missing_scores_what_all_have() -> None:
    ref = jsonl([row("a", 1), row("b", 2), row("c", 3), row("d", None)])
    one = jsonl([row("d", 4), row("c", 3), row("b", 2), row("x", 1)])
    two = jsonl([row("a", 1), row("b", 2.5), row("c", float("inf"))])
    paired = pair(ref, {"one": one, "two": two}, allow_missing=True)
    assert (paired.ref, paired.preds) == ([2.0], [[2.0], [2.5]])
    first = paired.coverage[0]
    assert (first.n_missing, first.n_extra, first.n_non_finite) == (1, 1, 1)


def test_error_rows_of_predict_are_not_scores() -> None:
    ref = jsonl([row("a"), row("b")])
    pred = jsonl([row("a"), {"sample_id": "b", "error": "not audio"}])
    with pytest.raises(MetricsError, match="1 rows have no finite mos, first 'b'"):
        pair(ref, {"p": pred})


def test_duplicates_are_errors_even_with_allow_missing() -> None:
    ref = jsonl([row("a"), row("b"), row("a")])
    with pytest.raises(MetricsError, match=r"<file>:3: duplicate id 'a', first seen on line 1"):
        pair(ref, {"p": jsonl([row("a"), row("b")])}, allow_missing=True)


def test_nothing_in_common() -> None:
    with pytest.raises(MetricsError, match="share no id"):
        pair(jsonl([row("a")]), {"p": jsonl([row("b")])}, allow_missing=True)


# --- the key ---------------------------------------------------------------------------------------------------


def test_corpus_and_system_are_part_of_the_key() -> None:
    ref = [
        row("u", k, system_id=s, corpus=c) for k, (c, s) in enumerate([("x", "1"), ("x", "2"), ("y", "1")])
    ]
    pred = [
        row("u", k, system_id=s, corpus=c) for k, (c, s) in enumerate([("y", "1"), ("x", "1"), ("x", "2")])
    ]
    paired = pair(jsonl(ref), {"p": jsonl(pred)})
    assert paired.preds == [[1.0, 2.0, 0.0]]
    assert paired.corpora == ["x", "y"]
    assert paired.systems == [("x", "1"), ("x", "2"), ("y", "1")]


def test_a_prediction_without_systems_cannot_tell_equal_ids_apart() -> None:
    ref = jsonl([row("u", system_id="1"), row("u", system_id="2")])
    with pytest.raises(
        MetricsError, match="duplicate id 'u', first seen on line 1; <file> has no corpus and no"
    ):
        pair(ref, {"p": io.BytesIO(b"u 3\n")})


def test_systems_come_from_the_prediction_if_the_reference_has_none() -> None:
    paired = pair(
        io.BytesIO(b"a,1\nb,2\n"), {"p": jsonl([row("b", system_id="s2"), row("a", system_id="s1")])}
    )
    assert [paired.systems[s] for s in paired.system] == [("", "s1"), ("", "s2")]


def test_system_equal_to_sample_is_no_system() -> None:
    ref = [row("a", system_id="a", corpus="pstn"), row("b", system_id="s", corpus="nisqa")]
    pred = [row("a", corpus="pstn"), row("b", system_id="s", corpus="nisqa")]
    paired = pair(jsonl(ref), {"p": jsonl(pred)})
    assert paired.system == [-1, 0]
    assert paired.systems == [("nisqa", "s")]


def test_noise_of_the_reference() -> None:
    ref = jsonl([row("a", votes=4, mos_std=1.0), row("b", votes=8, mos_std=2.0)])
    assert pair(ref, {"p": io.BytesIO(b"a 1\nb 2\n")}).noise == [0.25, 0.5]


# --- the fast road ---------------------------------------------------------------------------------------------


def random_files(seed: int, defects: bool) -> tuple[bytes, bytes]:
    rng = random.Random(seed)
    keys = [(f"c{rng.randrange(3)}", f"s{rng.randrange(9)}", f"u{k}é") for k in range(200)]
    ref = [row(u, rng.gauss(3, 1), system_id=s, corpus=c, votes=8, mos_std=0.5) for c, s, u in keys]
    pred = [row(u, rng.gauss(3, 1), system_id=s, corpus=c) for c, s, u in keys]
    if defects:
        pred = [*pred[:-5], row("extra", 1, system_id="s", corpus="c0")]
        for table in (ref, pred):
            table[11].pop("system_id")
        ref[12]["system_id"] = ref[12]["sample_id"]
        pred[12].pop("system_id")
    rng.shuffle(pred)
    return jsonl(ref).getvalue(), jsonl(pred).getvalue()


@pytest.mark.parametrize("defects", [False, True])
def test_both_roads_agree(monkeypatch: pytest.MonkeyPatch, defects: bool) -> None:
    ref, pred = random_files(4, defects)
    plain = pair(io.BytesIO(ref), {"p": io.BytesIO(pred)}, allow_missing=True)
    monkeypatch.setattr(scores_module, "COMPILED_FROM_BYTES", 0)
    fast = pair(io.BytesIO(ref), {"p": io.BytesIO(pred)}, allow_missing=True)
    assert isinstance(fast.ref, np.ndarray)
    assert isinstance(plain.ref, list)
    assert fast.ref.tolist() == plain.ref
    assert fast.preds[0].tolist() == plain.preds[0]
    assert fast.coverage == plain.coverage
    assert fast.corpora == plain.corpora
    assert fast.ref_utterances == plain.ref_utterances
    assert fast.ref_systems == plain.ref_systems
    assert [fast.systems[s] if s >= 0 else None for s in fast.system] == [
        plain.systems[s] if s >= 0 else None for s in plain.system
    ]
    assert (fast.noise is None) == (plain.noise is None)


@pytest.mark.parametrize(
    "pred",
    [
        b"u1 3\n",
        b'{"sample_id": "a"',
        b'{"sample_id": "a", "metrics": {"mos": NaN}}\n',
        b'{"sample_id": "a", "metrics": {"mos": 1}}\n' * 2,
        b'{"sample_id": "a", "metrics": {"x": 1}}\n',
        b'{"sample_id": "a", "listener_id": "l", "metrics": {"mos": 1}}\n',
        b'{"sample_id": 7, "metrics": {"mos": 1}}\n',
        b'{"sample_id": "\\u0061", "metrics": {"mos": 1}}\n',
        b'{"sample_id": "a", "metrics": {"mos": "1"}}\n',
        b'{"sample_id": "a", "metrics": {"mos": 1}} {"sample_id": "b", "metrics": {"mos": 1}}\n',
        b'{"sample_id": "a", "metrics": {"mos": 1}',
        b'{"sample_id": "", "metrics": {"mos": 1}}\n',
        b'{"sample_id": "a", "mos": 1}\n',
        b"",
        b'{"sample_id": "a", "metrics": {"mos": 1, "mos": 2}}\n',
        b'{"sample_id": "a", "metrics": {"mos": 1}, "metrics": {}}\n',
        b'{"sample_id": "a", "sample_id": "b", "metrics": {"mos": 1}}\n',
        b'{"sample_id": "a", "metrics": {"mos": 1},}\n',
        b'{"sample_id": "a", "metrics": {"mos": nope}}\n',
        b'{"sample_id": "a", "metrics": {"mos": null}}\n',
        b'{"sample_id": "a", "metrics": {"mos": 03}}\n',
        b'{"sample_id": "a", "metrics": {"mos": 3.}}\n',
        b'{"sample_id": "a", "metrics": {"mos": .5}}\n',
        b'{"sample_id": "a", "metrics": {"mos": 1e}}\n',
        b'{"sample_id": "a", "metrics": {"mos": 1e400}}\n',
        b'{"sample_id": "a", "x": [1,2}, "metrics": {"mos": 1}}\n',
        b'{"sample_id": "\xff", "metrics": {"mos": 1}}\n',
    ],
)
def test_the_fast_road_declines_what_is_not_clean(pred: bytes) -> None:
    ref = b'{"sample_id": "a", "metrics": {"mos": 1}}\n'
    assert _columns.pair(ref, {"p": ref}, "mos", "mos") is not None
    assert _columns.pair(ref, {"p": pred}, "mos", "mos") is None


def test_strict_errors_are_the_same_on_the_fast_road(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores_module, "COMPILED_FROM_BYTES", 0)
    with pytest.raises(MetricsError, match="1 of 2 ids of <file> are missing, first 'b'"):
        pair(jsonl([row("a"), row("b")]), {"p": jsonl([row("a")])})


def test_join_takes_columns() -> None:
    ref = Scores("r", "mos", ["a"], None, None, [1.0], [1])
    assert join(ref, {"p": ref}).preds == [[1.0]]


def as_rows(values: list[str]) -> bytes:
    return "".join(
        f'{{"sample_id": "u{k}", "metrics": {{"mos": {v}}}}}\n' for k, v in enumerate(values)
    ).encode()


@given(st.lists(st.floats(-1e100, 1e100), min_size=1))
def test_numbers_are_read_as_python_reads_them(values: list[float]) -> None:
    columns = _columns._read(as_rows([repr(v) for v in values]), "mos")
    assert columns is not None
    assert columns.numbers[:, 0].tolist() == values


@given(st.integers(0, 400), st.binary(min_size=1, max_size=2), st.booleans())
@settings(max_examples=1000)
def test_a_damaged_file_is_read_as_the_plain_road_reads_it_or_not_at_all(
    place: int, junk: bytes, add: bool
) -> None:
    rows = [
        row(f"u{k}é", 1.5 + k, system_id=f"s{k}", corpus="c", votes=4, mos_std=0.5, x=[1, {"y": None}])
        for k in range(3)
    ]
    good = jsonl(rows).getvalue()
    place %= len(good)
    bad = good[:place] + junk + good[place + (0 if add else len(junk)) :]
    fast = _columns._read(bad, "mos")
    if fast is None:
        return
    plain = read_scores(io.BytesIO(bad), role="ref")
    assert [fast.text(k, _columns.SAMPLE) for k in range(len(fast.spans))] == plain.sample_id
    assert [fast.text(k, _columns.SYSTEM) for k in range(len(fast.spans))] == (
        plain.system_id or [""] * len(plain)
    )
    assert [fast.text(k, _columns.CORPUS) for k in range(len(fast.spans))] == (
        plain.corpus or [""] * len(plain)
    )
    assert fast.numbers[:, 0].tolist() == plain.value
    assert np.array_equal(fast.numbers[:, 1], plain.votes or [math.nan] * len(plain), equal_nan=True)


def test_numbers_next_to_a_tie_are_rounded_as_python_rounds_them() -> None:
    """Decimals cut from the exact midpoint of two neighbouring floats: where a sloppy reader goes wrong."""
    rng, texts = random.Random(0), list[str]()
    for _ in range(2000):
        low = rng.uniform(1, 5)
        middle = (Decimal(low) + Decimal(math.nextafter(low, 9))) / 2
        texts += [str(middle)[:digits] for digits in (16, 17, 18, 19, 20, 40)]
    columns = _columns._read(as_rows(texts), "mos")
    assert columns is not None
    assert columns.numbers[:, 0].tolist() == [float(t) for t in texts]


def test_unasked_values_are_skipped() -> None:
    extra = {
        "path": "a b",
        "list": [1, {"x": "}"}, "]"],
        "deep": {"mos": 9, "sample_id": "no"},
        "flag": True,
    }
    line = json.dumps(
        extra | row("a", 2.5) | {"metrics": {"x": None, "mos": 2.5, "y": [1]}, "z": -1e5}
    ).encode()
    columns = _columns._read(line + b"\r\n \n" + line, "mos")
    assert columns is not None
    assert columns.numbers[:, 0].tolist() == [2.5, 2.5]
    assert columns.text(1, _columns.SAMPLE) == "a"
