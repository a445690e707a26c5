"""Reading and joining score files: every format, every way a row can be wrong, and the two roads agreeing."""

import io
import json
import math
import random
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
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
    assert scores.std is None  # one vote has no spread


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
        (b"a,3\nb\n", r"<file>:2: found 1 fields"),
        (b"a,3\nb,x\n", r"<file>:2: score is 'x'"),
        (b"a 3\nb 4 5\n", r"<file>:2: found 3 fields"),
        (b"name,mos\na,3\n", r"<file>:1: no id column; found \['name', 'mos'\]"),
        (b"utt,dnsmos\na,3\n", "no metric 'mos'; found dnsmos"),
        (b"utt,mos\na\n", r"<file>:2: found 1 fields, expected 2"),
        (b"a 3\n\xff 4\n", "not UTF-8"),
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
    assert (first.n_missing, first.n_extra, first.n_non_finite, first.n_scored) == (1, 1, 1, 2)


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
        pred[3]["metrics"] = {"mos": None}
        ref[9]["metrics"] = {}
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


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_numbers_are_read_as_python_reads_them(values: list[float]) -> None:
    columns = _columns._read(as_rows([repr(v) for v in values]), "mos")
    assert columns is not None
    assert columns.numbers[:, 0].tolist() == values


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
        "path": 'a "b" \\',
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
