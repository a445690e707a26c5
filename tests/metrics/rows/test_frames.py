"""Tables in memory: the same answers as from files, whatever holds them; nothing is imported for them."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sqa_metrics import MetricsError, Paired, pair, read_scores, score

Columns = dict[str, list[Any]]


def columns(seed: int, shuffled: bool = False) -> Columns:
    """60 utterances of 6 systems in 2 corpora, one corpus without systems, with votes."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(60) if shuffled else np.arange(60)
    corpus = ["x" if k < 42 else "y" for k in order]
    return {
        "sample_id": [f"u{k}é" for k in order],
        "system_id": [f"s{k % 6}" if k < 42 else None for k in order],
        "corpus": corpus,
        "votes": [8] * 60,
        "mos_std": [0.5 + k / 100 for k in order],
        "mos": [round(float(v), 3) for v in rng.uniform(1, 5, 60)],
    }


def rows(table: Columns) -> list[dict[str, Any]]:
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def as_csv(table: Columns) -> io.BytesIO:
    return io.BytesIO(pd.DataFrame(table).to_csv(index=False).encode())


def as_jsonl(table: Columns) -> io.BytesIO:
    split = [{k: v for k, v in r.items() if k != "mos"} | {"metrics": {"mos": r["mos"]}} for r in rows(table)]
    return io.BytesIO("".join(json.dumps(r) + "\n" for r in split).encode())


WAYS: dict[str, Callable[[Columns], Any]] = {
    "csv": as_csv,
    "jsonl": as_jsonl,
    "text file": lambda table: io.StringIO(as_jsonl(table).getvalue().decode()),
    "dict of columns": lambda table: table,
    "dict of arrays": lambda table: {
        k: np.array(v, dtype=object if None in v else None) for k, v in table.items()
    },
    "list of dicts": rows,
    "pandas": pd.DataFrame,
    "pandas, index": lambda table: pd.DataFrame(table).set_index(["corpus", "sample_id"]),
    "pandas, categories": lambda table: pd.DataFrame(table).astype({"system_id": "category"}),
    "pandas, nullable": lambda table: pd.DataFrame(table).convert_dtypes(),
    "polars": pl.DataFrame,
    "arrow": pa.table,
    "arrow batch": lambda table: pa.RecordBatch.from_pydict(table),
    "arrow stream": lambda table: _Stream(pa.table(table)),
}


class _Stream:
    """What has no more than the Arrow interface."""

    def __init__(self, table: pa.Table) -> None:
        self.__arrow_c_stream__ = table.__arrow_c_stream__


def plain(paired: Paired) -> dict[str, Any]:
    found = {name: getattr(paired, name) for name in Paired.__dataclass_fields__}
    return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in found.items()} | {
        "preds": [list(map(float, pred)) for pred in paired.preds]
    }


@pytest.mark.parametrize("way", WAYS)
def test_the_same_answers_on_every_road(way: str) -> None:
    ref, pred = columns(1), columns(2, shuffled=True)
    wanted = plain(pair(as_jsonl(ref), {"p": as_jsonl(pred)}))
    assert len(wanted["systems"]) == 6
    assert plain(pair(WAYS[way](ref), {"p": WAYS[way](pred)})) == wanted
    assert plain(pair(WAYS[way](ref), {"p": as_csv(pred)})) == wanted


def test_arrays_give_the_same_answers() -> None:
    ref = columns(1)
    pred = ref | {"mos": columns(2)["mos"]}
    wanted = pair(ref, {"p": pred})
    labels = {k: ref[f"{k}_id"] for k in ("sample", "system")} | {
        k: ref[k] for k in ("corpus", "votes", "mos_std")
    }
    for kind in (list, tuple, np.array, pd.Series, pl.Series):
        found = pair(kind(ref["mos"]), {"p": kind(pred["mos"])}, **labels)
        assert plain(found) == plain(wanted)
    found = pair(ref["mos"], {"p": pred["mos"]}, **{k: v for k, v in labels.items() if k != "sample"})
    # without ids all is the same but for the fingerprint of the ids
    assert plain(found) | {"origin": None} == plain(wanted) | {"origin": None}


@pytest.mark.parametrize("way", ["dict of columns", "list of dicts", "pandas", "polars", "arrow", "csv"])
def test_single_ratings_and_other_names_in_any_table(way: str) -> None:
    table = {"clip": ["x/a.wav", "x/a.wav", "b"], "Worker": [1, 2, 1], "score": [1, 2, 5]}
    scores = read_scores(WAYS[way](table), role="ref")
    assert (scores.sample_id, scores.value, scores.votes) == (["a", "b"], [1.5, 5.0], [2.0, 1.0])
    assert scores.notes[0].endswith(": read sample_id from 'clip', listener_id from 'Worker'")


def test_scores_by_id() -> None:
    paired = pair({"a": 1, "b": np.float32(2.5)}, {"p": {"b": 3.5, "a": 2}})
    assert (paired.ref, paired.preds) == ([1.0, 2.5], [[2.0, 3.5]])


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ({"sample_id": ["a", "b"], "mos": [1, "x"]}, r"ref\[1\]: mos is 'x', expected a number"),
        ({"sample_id": ["a", "a"], "mos": [1, 2]}, r"ref\[1\]: duplicate id 'a', first seen at 0"),
        ({"sample_id": ["a", None], "mos": [1, 2]}, r"ref\[1\]: sample_id is empty"),
        ({"sample_id": ["a", 1.5], "mos": [1, 2]}, r"ref\[1\]: sample_id is 1.5, expected text"),
        ({"sample_id": ["a"], "mos": [1, 2]}, r"ref: column 'mos' has 2 values, 'sample_id' has 1"),
        ({"sample_id": "ab", "mos": [1, 2]}, r"ref: column 'sample_id' is str; expected a list or an array"),
        ({"mos": [1, 2]}, r"ref: no column for sample_id; found mos.*columns=\{'sample_id'"),
        ({"sample_id": ["a", "b"], "noi": [1, 2]}, "ref: no metric 'mos'; found noi"),
        (
            {"sample_id": ["a", "b"], "mos": [1, float("nan")]},
            r"1 rows of ref have no finite mos, first 'b' \(ref\[1\]\)",
        ),
        ({"sample_id": ["a", "b"], "mos": [[1], [2]]}, r"ref\[0\]: mos is \[1\], expected a number"),
        ({"sample_id": [], "mos": []}, "ref: no rows"),
        ({}, "ref: no rows"),
        ([{"sample_id": "a", "mos": 1}, {"mos": 2}], r"ref\[1\]: no sample_id"),
        ([{"sample_id": "a", "mos": 1}, 7], r"ref\[1\]: no sample_id"),
        (
            pd.DataFrame([["a", 1, 2]], columns=["sample_id", "mos", "mos"]),
            "ref: column 'mos' is there twice",
        ),
        (pl.LazyFrame({"sample_id": ["a"], "mos": [1]}), r"ref: is lazy \(LazyFrame\); collect\(\) it first"),
        (b"a 1", "ref is bytes; expected a path, an open file, a data frame"),
        (None, "ref is NoneType; expected a path"),
        (7, "ref is int; expected a path"),
        ([1, 2], "ref: an array has no ids to join a table or file by"),
    ],
)
def test_wrong_tables_are_one_sentence(ref: Any, message: str) -> None:
    with pytest.raises(MetricsError, match=message):
        pair(ref, {"p": {"a": 1, "b": 2}})


def test_what_is_no_prediction_is_told() -> None:
    for preds in ([1, 2], {}, None):
        with pytest.raises(
            MetricsError, match=r"preds is .*; expected one or more predictions, name -> source"
        ):
            pair([1, 2], preds)  # type: ignore[arg-type]
    with pytest.raises(MetricsError, match="p: an array has no ids"):
        pair({"a": 1, "b": 2}, {"p": [1, 2]})
    with pytest.raises(MetricsError, match=r"system= go with arrays; tables and files have columns"):
        score({"a": 1, "b": 2}, {"a": 1, "b": 2}, system=["s", "t"])


def test_nothing_is_imported_for_what_is_not_given() -> None:
    code = (
        "import sys, sqa_metrics; sqa_metrics.score({'a': 1, 'b': 2, 'c': 4}, [{'sample_id': k, 'mos': v} "
        "for k, v in zip('cba', (4, 3, 1))]); "
        "print(sorted({'numpy', 'pandas', 'polars', 'pyarrow'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
