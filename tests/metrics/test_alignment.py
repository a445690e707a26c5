"""Corpora moved to one level: equal to the within-corpus figures of pandas, on both roads."""

import io

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sqa_metrics import MetricsError, evaluate, pair
from sqa_metrics.alignment import align
from sqa_metrics.rows.records import Paired


def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"corpus": np.repeat(["x", "y", "z"], 20), "utt": [f"u{k}" for k in range(60)]})
    table["system"] = [f"s{k % 5}" for k in range(60)]
    quality = rng.normal(3, 0.6, 60)
    table["ref"] = quality + np.repeat([0.0, 1.5, -0.8], 20)
    table["pred"] = 0.4 * quality + rng.normal(0, 0.1, 60) + np.repeat([0.0, -1.0, 0.5], 20)
    return table


def joined(table: pd.DataFrame) -> Paired:
    def rows(column: str) -> io.BytesIO:
        lines = [
            f'{{"corpus": "{c}", "sample_id": "{u}", "system_id": "{s}", "metrics": {{"mos": {v!r}}}}}'
            for c, u, s, v in zip(table.corpus, table.utt, table.system, table[column].tolist(), strict=True)
        ]
        return io.BytesIO("\n".join(lines).encode())

    return pair(rows("ref"), {"p": rows("pred")})


@pytest.mark.parametrize("how", ["offset", "affine"])
def test_figures_are_those_inside_corpora(how: str, road: str) -> None:
    table = frame()
    paired = joined(table)
    assert isinstance(paired.ref, np.ndarray) == (road == "compiled")
    moved = align(paired, how)  # type: ignore[arg-type]
    inside = table.groupby("corpus")[["ref", "pred"]].transform(lambda v: v - v.mean())
    if how == "affine":
        slopes = {c: stats.linregress(part.pred, part.ref).slope for c, part in table.groupby("corpus")}
        inside["pred"] *= table.corpus.map(slopes)
    report = evaluate(moved)
    assert report.utterance["lcc"] == pytest.approx(stats.pearsonr(inside.ref, inside.pred)[0], abs=1e-12)
    assert report.utterance["mse"] == pytest.approx(((inside.ref - inside.pred) ** 2).mean(), abs=1e-12)
    assert np.mean(moved.ref) == pytest.approx(table.ref.mean())
    assert type(moved.ref) is type(paired.ref)


def test_it_is_told_and_signed() -> None:
    report = evaluate(align(joined(frame()), "offset"))
    assert any("each corpus has lost its mean (--align offset)" in note for note in report.notes())
    assert "|align:offset|" in report.signature
    assert align(joined(frame()), "none").align == ""


def test_a_slope_that_would_fall_is_flat() -> None:
    table = frame()
    table["pred"] = -table["ref"]
    assert set(np.round(align(joined(table), "affine").preds[0], 9)) == {round(table.ref.mean(), 9)}
    table["pred"] = 2.0
    assert evaluate(align(joined(table), "affine")).utterance["mse"] > 0


def test_another_word() -> None:
    with pytest.raises(MetricsError, match="alignment 'scale': expected none, offset, affine"):
        align(joined(frame()), "scale")  # type: ignore[arg-type]


def test_a_corpus_without_scored_rows_is_left_alone() -> None:
    ref = b"corpus,sample_id,mos\nx,a,1\nx,b,2\ny,c,3\n"
    paired = pair(io.BytesIO(ref), {"p": io.BytesIO(ref[:-6])}, allow_missing=True)
    assert align(paired, "offset").ref == [1.0, 2.0]
