"""Fingerprints of references: equal for equal ids and scores however they are written, and for no others."""

import csv
import io
import json
import math
import random
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqa_metrics import pair
from sqa_metrics.kernels.checksum import TABLES, squares
from sqa_metrics.rows.fingerprint import fingerprint, shown

Rows = list[tuple[str, str, str, float]]


def rows_of(n: int = 60) -> Rows:
    rng = random.Random(5)
    return [(f"c{k % 2}", f"s{k % 7}", f"utterance-{k}é", rng.uniform(1, 5)) for k in range(n)]


def jsonl(rows: Rows) -> bytes:
    table = [{"corpus": c, "system_id": s, "sample_id": u, "metrics": {"mos": v}} for c, s, u, v in rows]
    return "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in table).encode()


def table(rows: Rows) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(
        [("mos", "sample_id", "system_id", "corpus"), *((v, u, s, c) for c, s, u, v in rows)]
    )
    return text.getvalue().encode()


def of(content: bytes, pred: bytes | None = None) -> str:
    origin = pair(io.BytesIO(content), {"p": io.BytesIO(pred or content)}).origin
    assert origin is not None
    assert origin.whole == origin.scored
    return shown(origin.whole)


def test_order_format_and_road_do_not_matter(road: str) -> None:
    rows = rows_of()
    # as quoted: it may never change
    assert of(jsonl(rows)) == of(table(rows[::-1])) == of(jsonl(rows[::-1])) == "62054f3a"


def test_it_does_not_depend_on_what_the_prediction_names(road: str) -> None:
    rows = [("", s, u, v) for _, s, u, v in rows_of()]
    bare = [("", "", u, v) for _, _, u, v in rows]
    assert of(jsonl(rows)) == of(jsonl(rows), jsonl(bare))


def test_a_mean_and_the_same_to_six_decimals_are_one() -> None:
    assert of(b"u1 3.6666666666666665\nu2 2") == of(b"u1,3.666667\nu2,2.0\n")
    ratings = b"sample_id,listener,score\nu1,a,4\nu1,b,4\nu1,c,3\nu2,a,2\n"
    assert of(ratings, b"u1 1\nu2 2") == of(b"u1 3.666667\nu2 2")


CHANGES: dict[str, Callable[[Rows], Rows]] = {
    "a score": lambda rows: [(*rows[0][:3], rows[0][3] + 0.001), *rows[1:]],
    "two scores exchanged": lambda rows: [(*rows[0][:3], rows[1][3]), (*rows[1][:3], rows[0][3]), *rows[2:]],
    "an id": lambda rows: [(*rows[0][:2], "other", rows[0][3]), *rows[1:]],
    "a system": lambda rows: [(rows[0][0], "s9", *rows[0][2:]), *rows[1:]],
    "a corpus": lambda rows: [("c9", *rows[0][1:]), *rows[1:]],
    "a row less": lambda rows: rows[1:],
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_shows(change: str, road: str) -> None:
    rows = rows_of()
    assert of(jsonl(CHANGES[change](rows))) != of(jsonl(rows))


def test_a_system_that_repeats_its_id_is_none(road: str) -> None:
    rows = [("", u, u, v) for _, _, u, v in rows_of()]
    assert of(jsonl(rows)) == of(jsonl([("", "", u, v) for _, _, u, v in rows]))


def test_scored_rows_have_their_own(road: str) -> None:
    rows = rows_of()
    paired = pair(io.BytesIO(jsonl(rows)), {"p": io.BytesIO(jsonl(rows[:20]))}, allow_missing=True)
    assert paired.origin is not None
    assert (shown(paired.origin.whole), shown(paired.origin.scored)) == (
        of(jsonl(rows)),
        of(jsonl(rows[:20])),
    )


@given(
    st.lists(st.tuples(st.text("aé\u2028/", max_size=9), st.text("s", max_size=3), st.floats(-1e100, 1e100)))
)
@settings(deadline=None, max_examples=200)
def test_the_compiled_sum_is_the_plain_one(rows: list[tuple[str, str, float]]) -> None:
    if not rows:
        return
    samples, systems, values = map(list, zip(*rows, strict=True))
    corpora = ["corpus"] * len(rows)
    expected = fingerprint(samples, systems, corpora, values)
    systems = ["" if s == u else s for s, u in zip(systems, samples, strict=True)]
    texts = [t.encode() for row in zip(samples, systems, corpora, strict=True) for t in row]
    ends = np.cumsum([0, *map(len, texts)])
    spans = np.stack([ends[:-1], ends[1:]], axis=1).reshape(len(rows), 3, 2)
    numbers = np.rint(np.clip(np.array(values) * 1e6, -(2.0**62), 2.0**62)).astype("<i8")
    data = np.frombuffer(b"".join(texts), np.uint8)
    found = squares(data, spans, numbers.view(np.uint8).reshape(-1, 8), TABLES)
    assert found.tolist() == expected


def test_the_tables_are_zlibs() -> None:
    for byte in (0, 1, 77, 255):
        assert int(TABLES[0, byte]) == zlib.crc32(bytes([byte]), 0xFFFFFFFF) ^ 0xFFFFFFFF


def test_a_row_without_a_score_counts_as_such() -> None:
    assert fingerprint(["a"], None, None, [math.nan]) != fingerprint(["a"], None, None, [0.0])


def test_arrays_without_ids_have_no_order() -> None:
    rng = np.random.default_rng(0)
    ref, system = rng.uniform(1, 5, 20), np.repeat(["a", "b"], 10)
    order = rng.permutation(20)
    one, other = (
        pair(x, {"p": x}, system=s.tolist()).origin for x, s in ((ref, system), (ref[order], system[order]))
    )
    named = pair(ref, {"p": ref}, system=system.tolist(), sample=[f"u{k}" for k in range(20)]).origin
    assert one is not None
    assert other is not None
    assert named is not None
    assert one == other
    rows = [("", str(s), f"u{k}", float(x)) for k, (s, x) in enumerate(zip(system, ref, strict=True))]
    assert shown(named.whole) == of(jsonl(rows))
