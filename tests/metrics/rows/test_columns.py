"""The compiled reader: equal to reading row by row, or it declines."""

import io
import json
import math
import random
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqa_metrics import MetricsError, Scores, join, pair, read_scores
from sqa_metrics.kernels import choose, rank, scan
from sqa_metrics.rows import columns as fast_road
from sqa_metrics.rows import pair as pair_module


def jsonl(rows: list[dict[str, object]]) -> io.BytesIO:
    return io.BytesIO("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows).encode())


def row(sample: str, mos: object = 3.0, **more: object) -> dict[str, object]:
    return {"sample_id": sample, "metrics": {"mos": mos}} | more


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
    monkeypatch.setattr(pair_module, "COMPILED_FROM_BYTES", 0)
    monkeypatch.setattr(choose, "compiled", rank)
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
    assert fast.noise.tolist() == plain.noise


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
        b'{"sample_id": "b", "sample_id": "a", "metrics": {"mos": 1}}\n',
        b'{"sample_id": "a", "votes": 3, "votes": null, "metrics": {"mos": 1}}\n',
        b'{"sample_id": "a", "metrics": {"mos": 1e101}}\n',
        b'{"sample_id": "a", "votes": -1, "metrics": {"mos": 1}}\n',
        b'{"sample_id": "a", "mos_std": -1, "metrics": {"mos": 1}}\n',
        # two rows of one id that the reference does not know
        b'{"sample_id": "a", "metrics": {"mos": 1}}\n' + b'{"sample_id": "b", "metrics": {"mos": 1}}\n' * 2,
    ],
)
def test_the_fast_road_declines_what_is_not_clean(pred: bytes) -> None:
    ref = b'{"sample_id": "a", "metrics": {"mos": 1}}\n'
    assert fast_road.pair(ref, {"p": ref}, "mos", "mos") is not None
    assert fast_road.pair(ref, {"p": pred}, "mos", "mos") is None


def test_strict_errors_are_the_same_on_both_roads(road: str) -> None:
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
@settings(deadline=None)
def test_numbers_are_read_as_python_reads_them(values: list[float]) -> None:
    columns = fast_road._read(as_rows([repr(v) for v in values]), "mos")
    assert columns is not None
    assert columns.numbers[:, 0].tolist() == values


@given(st.integers(0, 400), st.binary(min_size=1, max_size=2), st.booleans())
@settings(max_examples=1000, deadline=None)
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
    fast = fast_road._read(bad, "mos")
    if fast is None:
        return
    plain = read_scores(io.BytesIO(bad), role="ref")
    assert [fast.text(k, scan.SAMPLE) for k in range(len(fast.spans))] == plain.sample_id
    assert [fast.text(k, scan.SYSTEM) for k in range(len(fast.spans))] == (
        plain.system_id or [""] * len(plain)
    )
    assert [fast.text(k, scan.CORPUS) for k in range(len(fast.spans))] == (plain.corpus or [""] * len(plain))
    assert fast.numbers[:, 0].tolist() == plain.value
    assert np.array_equal(fast.numbers[:, 1], plain.votes or [math.nan] * len(plain), equal_nan=True)


def test_numbers_next_to_a_tie_are_rounded_as_python_rounds_them() -> None:
    """Decimals cut from the exact midpoint of two neighbouring floats: where a sloppy reader goes wrong."""
    rng, texts = random.Random(0), list[str]()
    for _ in range(2000):
        low = rng.uniform(1, 5)
        middle = (Decimal(low) + Decimal(math.nextafter(low, 9))) / 2
        texts += [str(middle)[:digits] for digits in (16, 17, 18, 19, 20, 40)]
    columns = fast_road._read(as_rows(texts), "mos")
    assert columns is not None
    assert columns.numbers[:, 0].tolist() == [float(t) for t in texts]


def test_a_number_is_sure_unless_it_lies_near_a_tie() -> None:
    """Below 2, where the bound of 0.2499 is almost half a unit in the last place: nearer to a tie is not sure."""
    found = set()
    for k in range(1, 300):
        text = str(Decimal(2 - k * 2.0**-52) + Decimal(2) ** -53)[:20]
        value, sure = scan.number_at(np.frombuffer(text.encode(), np.uint8), 0, len(text))
        assert value == float(text)
        away = abs(Fraction(text) - Fraction(value)) / Fraction(value) * 2**52
        assert sure == (away < 0.2499)
        found.add(sure)
    assert found == {True, False}


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
    columns = fast_road._read(line + b"\r\n \n" + line, "mos")
    assert columns is not None
    assert columns.numbers[:, 0].tolist() == [2.5, 2.5]
    assert columns.text(1, scan.SAMPLE) == "a"


def test_no_votes_leave_no_known_noise(road: str) -> None:
    rows = [row(f"u{k}", votes=votes, mos_std=1.0) for k, votes in enumerate((0, 4))]
    paired = pair(jsonl(rows), {"p": jsonl(rows)})
    assert paired.noise is not None
    assert [math.isnan(paired.noise[0]), paired.noise[1]] == [True, 0.25]
    assert pair(jsonl(rows[:1]), {"p": jsonl(rows[:1])}).noise is None
