"""Arrays of scores: systems, corpora and noise as from tables, and what is wrong with them in one sentence."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sqa_metrics import MetricsError, compare, evaluate, pair, score, with_uncertainty


def test_every_level_from_arrays() -> None:
    rng = np.random.default_rng(0)
    system = [f"s{k % 8}" for k in range(80)]
    ref = np.clip(3 + np.arange(80) % 8 / 4 + rng.normal(0, 0.3, 80), 1, 5)
    pred = ref + rng.normal(0, 0.3, 80)
    report = score(ref, pred, system=system)
    means = pd.DataFrame({"s": system, "r": ref, "p": pred}).groupby("s").mean()
    assert report.system is not None
    assert report.n_systems == 8
    assert report.system["mse"] == pytest.approx(((means.r - means.p) ** 2).mean(), abs=1e-12)
    assert evaluate(ref, pred, system=system) == report
    paired = pair(
        ref, {"one": pred, "two": torch.tensor(ref + 0.5)}, system=system, votes=[8] * 80, mos_std=[0.5] * 80
    )
    assert paired.noise.tolist() == [0.03125] * 80
    assert {d.a for d in compare(paired)} == {"one"}
    assert all(r.intervals for r in with_uncertainty(paired))


def test_the_rule_of_systems_holds_for_arrays() -> None:
    ref, pred = [1, 2, 3, 4], [2, 1, 3, 4]
    alone = score(ref, pred, sample=["a", "b", "c", "d"], system=["a", "b", "c", "d"])
    assert alone.system_absent == "every system_id is the utterance's own sample_id"
    assert score(ref, pred, sample=["a", "b", "c", "d"], system=["a", "s", "s", "t"]).n_systems == 3
    # places are no ids: a system called 0 is one
    assert score(ref, pred, system=[0, 1, 2, 3]).n_systems == 4
    assert score(ref, pred).system_absent == "no utterance has a system_id"
    assert score(ref, pred, corpus=["x", "x", "y", "y"]).corpora["y"].n_utterances == 2


def test_missing_scores_are_strict_here_too() -> None:
    ref, pred = [1.0, np.nan, 3.0, 4.0], [1.0, 2.0, 4.0, np.inf]
    with pytest.raises(MetricsError) as caught:
        score(ref, pred)
    assert "1 rows of ref have no finite mos, first '1' (ref[1])" in str(caught.value)
    assert "1 rows of pred have no finite mos, first '3' (pred[3])" in str(caught.value)
    found = score(ref, pred, allow_missing=True)
    assert (found.n_utterances, found.coverage.n_non_finite) == (2, 2)
    with pytest.raises(MetricsError, match="no row has a finite score on all sides"):
        score([np.nan, 1], [1, np.nan], allow_missing=True)


@pytest.mark.parametrize(
    ("ref", "pred", "labels", "message"),
    [
        ([1, 2, 3], [1, 2], {}, "pred has 2 values, ref has 3; expected one for each score of ref"),
        ([1, 2], [1, 2], {"system": ["a"]}, "system has 1 values, ref has 2"),
        ([1, 2], [1, "x"], {}, r"pred\[1\] is 'x'; expected a number"),
        ([1, 2], [[1, 2]], {}, r"pred\[0\] is \[1, 2\]; expected a number"),
        ([1, 2], np.ones((2, 1)), {}, r"pred has shape \(2, 1\); expected one dimension"),
        ([], [], {}, "ref: no rows"),
        ([1, 2], [1, 1e200], {}, r"pred\[1\]: mos is 1e\+200, expected a number of at most"),
        ([1, 2], [1, 2], {"system": ["a", 1.5]}, "system_id is 1.5, expected text"),
        ([1, 2], [1, 2], {"sample": ["a", "a"]}, r"ref\[1\]: duplicate id 'a', first seen at 0"),
        ([1, 2], [1, 2], {"sample": ["a", None]}, r"sample\[1\] is empty"),
        ([1, 2], [1, 2], {"columns": {"mos": "x"}}, "columns= and utt2sys= go with tables"),
        ([1, 2], 3, {}, "pred is int; expected a path, an open file, a data frame"),
        (
            pd.Series([1, 2], index=["a", "b"]),
            pd.Series([1, 2], index=["b", "a"]),
            {},
            "pred and ref have different indexes; align them",
        ),
    ],
)
def test_wrong_arrays_are_one_sentence(ref: Any, pred: Any, labels: dict[str, Any], message: str) -> None:
    with pytest.raises(MetricsError, match=message):
        score(ref, pred, **labels)


def test_an_unknown_argument_is_a_type_error() -> None:
    with pytest.raises(
        TypeError, match="unexpected argument 'systems'; arrays go with sample, system, corpus"
    ):
        score([1, 2], [1, 2], systems=["a", "b"])
