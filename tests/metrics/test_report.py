"""The eight figures: on real predictor outputs, per corpus, and where a level does not exist."""

import io
import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sqa_metrics import MetricsError, evaluate, pair, score

Row = tuple[str, str, str, float]


def lines(rows: list[Row]) -> io.BytesIO:
    table = [{"corpus": c, "system_id": s, "sample_id": u, "metrics": {"mos": v}} for c, s, u, v in rows]
    return io.BytesIO("".join(json.dumps(r) + "\n" for r in table).encode())


def rows_of(corpus: str, n_systems: int, seed: int) -> list[Row]:
    rng = np.random.default_rng(seed)
    return [(corpus, f"s{k // 7}", f"u{k}", float(rng.normal(3, 1))) for k in range(7 * n_systems)]


@pytest.mark.parametrize("predictor", ["utmos", "ssl_mos"])
def test_real_predictors_equal_expected(shared: Path, predictor: str) -> None:
    folder = shared / "data" / "scores"
    expected = json.loads((folder / "expected.json").read_text())[predictor]
    ref, pred = folder / "bvcc_rerated_ref.jsonl", folder / f"bvcc_{predictor}_pred.jsonl"
    report = score(ref, pred, allow_missing=True)
    assert report.n_utterances == expected["matched_utterances"]
    assert report.n_systems == expected["matched_systems"]
    assert report.utterance == pytest.approx(expected["utterance"], abs=1e-9)
    assert report.system == pytest.approx(expected["system"], abs=1e-9)
    with pytest.raises(
        MetricsError, match=rf"{3610 - report.n_utterances} of 3610 ids of .* are missing, first"
    ):
        score(ref, pred)


def test_figures_equal_pandas_and_scipy(road: str) -> None:
    ref, pred = rows_of("x", 9, 1) + rows_of("y", 5, 2), rows_of("x", 9, 3) + rows_of("y", 5, 4)
    report = score(lines(ref), lines(pred))
    table = pd.DataFrame(ref, columns=["c", "s", "u", "r"])
    table["p"] = [v for *_, v in pred]
    for got, part in [(report, table), (report.corpora["x"], table[table.c == "x"])]:
        means = part.groupby(["c", "s"])[["r", "p"]].mean()
        for figures, frame in [(got.utterance, part), (got.system, means)]:
            assert figures == pytest.approx(
                {
                    "mse": ((frame.r - frame.p) ** 2).mean(),
                    "lcc": stats.pearsonr(frame.r, frame.p)[0],
                    "srcc": stats.spearmanr(frame.r, frame.p)[0],
                    "ktau": stats.kendalltau(frame.r, frame.p)[0],
                },
                abs=1e-12,
            )
    assert (report.n_systems, report.corpora["y"].n_systems) == (14, 5)


def test_corpora_without_systems_have_no_system_level() -> None:
    pstn = [("pstn", f"u{k}", f"u{k}", float(k)) for k in range(5)]
    report = score(lines(rows_of("x", 4, 1) + pstn), lines(rows_of("x", 4, 2) + pstn))
    assert report.n_systems == 4
    assert report.corpora["pstn"].system is None
    assert report.corpora["pstn"].system_absent == "every system_id is the utterance's own sample_id"
    assert report.corpora["x"].system == report.system


def test_one_system_is_absent_with_a_reason() -> None:
    report = score(lines(rows_of("x", 1, 1)), lines(rows_of("x", 1, 2)))
    assert report.system is None
    assert report.as_dict()["system"] is None
    assert report.as_dict()["system_absent"] == "there is only one system (s0)"
    assert "no system level: there is only one system (s0)" in report.notes()


def test_constant_predictions_are_null_in_json_and_noted() -> None:
    report = score(io.BytesIO(b"a 1\nb 2\n"), io.BytesIO(b"a 3\nb 3\n"))
    assert math.isnan(report.utterance["lcc"])
    assert report.as_dict()["utterance"] == {"mse": 2.5, "lcc": None, "srcc": None, "ktau": None}
    assert "LCC, SRCC, KTAU undefined at the utterance level: constant scores" in report.notes()
    json.dumps(report.as_dict(), allow_nan=False)


def test_table_shows_coverage_next_to_figures() -> None:
    paired = pair(lines(rows_of("x", 3, 1)), {"p": lines(rows_of("x", 3, 2)[:14])}, allow_missing=True)
    table = evaluate(paired).table()
    assert "14 of 21" in table
    assert "2 of 3" in table


def test_systems_of_equal_scores_are_tied_in_whatever_order(road: str) -> None:
    """Means of the same tenths summed in another order: a naive sum would tell them apart in the last bit."""
    rng = np.random.default_rng(0)
    tenths = np.array([1.1, 2.3, 3.7, 4.1, 1.9, 2.7, 3.3])
    ref = [
        ("", f"s{k}", f"u{k}-{j}", float(v + (0.1 if k % 2 else 0)))
        for k in range(12)
        for j, v in enumerate(rng.permutation(tenths).round(1))
    ]
    pred = [("", s, u, float(rng.normal(3, 1))) for _, s, u, _ in ref]
    means = pd.DataFrame(ref, columns=["c", "s", "u", "r"]).assign(p=[v for *_, v in pred])
    means["r"] = (means.r * 10).round()  # integers: their sums are exact
    means = means.groupby("s")[["r", "p"]].mean()
    system = score(lines(ref), lines(pred)).system
    assert system is not None
    assert system["srcc"] == pytest.approx(stats.spearmanr(means.r, means.p)[0], abs=1e-12)
    assert system["ktau"] == pytest.approx(stats.kendalltau(means.r, means.p)[0], abs=1e-12)


def test_a_corpus_that_the_prediction_lacks_shows(road: str) -> None:
    report = score(
        lines(rows_of("x", 4, 1) + rows_of("y", 3, 2)), lines(rows_of("x", 4, 3)), allow_missing=True
    )
    assert (report.n_utterances, report.n_ref_utterances, report.n_systems, report.n_ref_systems) == (
        28,
        49,
        4,
        7,
    )
    assert report.corpora["y"].n_utterances == 0
    assert "0 of 21" in report.table()
    assert "28 of 49 utterances scored (21 missing, 0 extra, 0 non-finite rows)" in report.notes()


def test_coverage_of_several_predictors_is_the_joint_one() -> None:
    rows = rows_of("x", 4, 1)
    paired = pair(lines(rows), {"all": lines(rows), "half": lines(rows[:14])}, allow_missing=True)
    value = evaluate(paired, 0).as_dict()
    assert (value["n_utterances"], value["coverage"]["n_scored"], value["coverage"]["n_missing"]) == (
        14,
        14,
        0,
    )
    assert "14 of 28 utterances scored" in evaluate(paired, 0).notes()[0]


def test_coverage_of_each_kind_and_corpus_is_counted() -> None:
    ref = rows_of("x", 4, 1) + rows_of("y", 2, 2) + [("z", "u", "u", 1.0), ("z", "v", "v", 2.0)]
    pred = [*rows_of("x", 4, 3)[3:], *rows_of("y", 2, 4), ("z", "u", "u", math.nan), ("z", "v", "v", 2.0)]
    pred.append(("x", "s0", "stranger", 1.0))
    report = score(lines(ref), lines(pred), allow_missing=True)
    coverage = report.as_dict()["coverage"]
    assert [coverage[k] for k in ("n_missing", "n_extra", "n_non_finite", "n_scored")] == [3, 1, 1, 40]
    assert {name: part.n_ref_systems for name, part in report.corpora.items()} == {"x": 4, "y": 2, "z": 0}
    assert report.corpora["z"].system_absent == "every system_id is the utterance's own sample_id"


def test_a_corpus_keeps_its_own_noise_and_its_own_reason() -> None:
    from sqa_metrics.report import select

    text = "sample_id,system_id,corpus,mos,votes,mos_std\na,a,x,1,4,1\nb,,y,2,4,2\nc,,y,3,4,4\n"
    paired = pair(io.BytesIO(text.encode()), {"p": io.BytesIO(text.encode())})
    assert select(paired, 1).noise == [1.0, 4.0]
    reasons = {name: part.system_absent for name, part in evaluate(paired).corpora.items()}
    assert reasons["y"] == "no utterance has a system_id"
    assert reasons["x"] == "every system_id is the utterance's own sample_id"
