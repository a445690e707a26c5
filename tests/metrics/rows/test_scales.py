"""Scales: two in one file are refused, errors between two are left out, what can be on one scale is let alone."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqa_metrics import MetricsError, compare, pair, rank, score, with_uncertainty
from sqa_metrics.rows.scales import Span, apart

RNG = np.random.default_rng(5)
MOS = np.round(RNG.uniform(1, 5, 40), 2)


def by_id(values: Any) -> dict[str, float]:
    return {f"u{k}": float(v) for k, v in enumerate(values)}


def jsonl(values: Any, **more: Any) -> io.BytesIO:
    rows = [{"sample_id": f"u{k}", "metrics": {"mos": float(v)}} | more for k, v in enumerate(values)]
    return io.BytesIO("".join(json.dumps(r) + "\n" for r in rows).encode())


@pytest.mark.parametrize(
    "pred",
    [
        MOS,
        MOS + 1,
        MOS - 1,
        MOS * 1.4 - 1.2,
        np.full(40, 3.0),
        np.full(40, 0.0),
        MOS * 0 + np.linspace(0.8, 6, 40),
    ],
    ids=["same", "above", "below", "wide", "constant", "nought", "0 to 6"],
)
def test_predictions_that_may_be_on_the_references_scale(pred: Any) -> None:
    report = score(by_id(MOS), by_id(pred))
    assert report.remarks == ()
    assert report.utterance["mse"] == pytest.approx(((MOS - pred) ** 2).mean())


@pytest.mark.parametrize(
    ("ref", "pred"),
    [
        (MOS, 25 * (MOS - 1)),
        (25 * (MOS - 1), MOS),
        (MOS, (MOS - 1) / 4),
        (MOS, (MOS - 3) / 1.2),
        ((MOS - 3) / 1.2, MOS),
        (25 * (MOS - 1), (MOS - 1) / 4),
        (MOS, 12 - 9 * MOS),
    ],
    ids=[
        "percent",
        "of percent",
        "probability",
        "z-scores",
        "of z-scores",
        "percent, probability",
        "other units",
    ],
)
def test_errors_between_two_scales_are_left_out(ref: Any, pred: Any, road: str) -> None:
    report = score(jsonl(ref, system_id="a"), jsonl(pred))
    (note,) = report.remarks
    assert note.startswith("other scales? the reference holds ")
    assert "errors are left out, the correlations hold. --scale 1..5 says" in note
    assert np.isnan(report.utterance["mse"])
    assert abs(report.utterance["srcc"]) == pytest.approx(1)
    assert report.as_dict()["utterance"]["mse"] is None
    assert not any("MSE undefined" in line for line in report.notes())
    # the user knows better
    same = score(jsonl(ref), jsonl(pred), scale=(-200, 200))
    assert same.utterance["mse"] == pytest.approx(((ref - pred) ** 2).mean())
    assert same.remarks == ()


@pytest.mark.parametrize(("mean", "other"), [(0.59, True), (0.61, False), (5.39, False), (5.41, True)])
def test_a_middle_may_lie_a_tenth_beyond_the_scale(mean: float, other: bool) -> None:
    predictions = Span(mean - 0.7, mean + 0.7, mean)
    assert apart(Span(1, 5, 3), predictions, (1, 5), None) is other


def test_given_scales_map_predictions(road: str) -> None:
    for scale in ("ref:1..5,pred:0..100", {"ref": (1, 5), "pred": (0, 100)}):
        report = score(jsonl(MOS), jsonl(25 * (MOS - 1)), scale=scale)
        assert report.utterance["mse"] == pytest.approx(0, abs=1e-20)
        assert report.remarks == ("pred: mapped from 0..100 to the reference's 1..5",)


@pytest.mark.parametrize(
    "scale", ["1-5", "5..1", (5, 1), (1,), {"both": (1, 5)}, "pred:1", "a:1..5", (1, float("inf")), 5]
)
def test_what_is_no_scale_is_told(scale: Any) -> None:
    with pytest.raises(
        MetricsError, match=r"scale is .*; expected LOW..HIGH such as 1..5, or ref:0..100,pred:1..5"
    ):
        pair(by_id(MOS), {"p": by_id(MOS)}, scale=scale)


def test_a_reference_beyond_its_scale_is_told(road: str) -> None:
    with pytest.raises(MetricsError, match=r"<file>:2: mos is 5.5, outside the scale 1..5"):
        score(jsonl([1, 5.5, 3]), jsonl([1, 2, 3]), scale="1..5")
    score(jsonl([1, 5, 3]), jsonl([1, 5.5, 3]), scale="1..5")


def test_acr_and_ccr_in_one_file(shared: Path, road: str) -> None:
    folder = shared / "cases" / "scores"
    with pytest.raises(
        MetricsError,
        match=r"vmc26_ref.csv: holds ACR \('track1-dev-acr_0'\) and CCR \('track1-.*\) rows, .* `sqa-metrics pairs`",
    ):
        score(folder / "vmc26_ref.csv", folder / "vmc26_pred.csv")
    with pytest.raises(MetricsError, match="<file>: holds -1 to 4, which are on no one scale: ACR"):
        score(jsonl([4, 3, 2.5, -1, 2]), jsonl([4, 3, 2, -0.6, 1.4]))
    rows = "".join(
        f'{{"sample_id": "{kind}_{k}", "metrics": {{"mos": {v}}}}}\n'
        for k, (kind, v) in enumerate([("acr", 3), ("acr", 2), ("ccr", 0), ("ccr", 1)])
    ).encode()
    with pytest.raises(MetricsError, match=r"holds ACR \('acr_0'\) and CCR"):
        score(io.BytesIO(rows), io.BytesIO(rows))
    assert score(jsonl([4, 3, 2.5, -1, 2]), jsonl([4, 3, 2, -0.6, 1.4]), scale="-3..5").utterance["mse"] > 0


def test_z_scores_and_raw_pesq_are_let_alone() -> None:
    z = (MOS - MOS.mean()) / MOS.std()
    z[0], z[1] = 3.4, -2.9
    z -= z.mean()
    pesq = np.linspace(-0.5, 4.5, 40)
    for values in (z, pesq):
        assert score(by_id(values), by_id(values)).utterance["mse"] == 0


def test_scales_that_rows_declare(road: str) -> None:
    ref, pred = jsonl(25 * (MOS - 1), scales={"mos": [0, 100]}), jsonl(MOS, scales={"mos": [1, 5]})
    (note,) = score(ref, pred).remarks
    assert note.startswith("other scales? the reference is on 0..100, pred is on 1..5;")
    assert pair(jsonl(MOS, scales={"mos": [1, 5]}), {"p": jsonl(MOS)}).scale == (1, 5)
    two = jsonl(MOS, scales={"mos": [0, 100]}).getvalue() + jsonl(MOS).getvalue().replace(b'"u', b'"v')
    with pytest.raises(
        MetricsError, match=r"<file>:41: mos is on 1..5, but on 0..100 at <file>:1: two scales in one"
    ):
        score(io.BytesIO(two), jsonl(MOS))
    assert score(io.BytesIO(two), io.BytesIO(two), scale=(0, 100)).n_utterances == 80
    with pytest.raises(MetricsError, match=r"<file>:1: the scale of mos is \[5, 1\]; expected \[low, high\]"):
        score(jsonl(MOS, scales={"mos": [5, 1]}), jsonl(MOS))


def test_a_ranking_needs_one_scale_and_intervals_leave_errors_out() -> None:
    paired = pair(by_id(MOS), {"ours": by_id(MOS), "theirs": by_id(25 * (MOS - 1))})
    with pytest.raises(
        MetricsError, match="theirs: on another scale than the reference, and the ranking needs errors"
    ):
        rank(paired)
    assert {d.metric for d in compare(paired)} == {"lcc", "srcc", "ktau"}
    with pytest.raises(
        MetricsError, match="theirs: on another scale than the reference: no errors to compare"
    ):
        compare(paired, figure="mse")
    ours, theirs = with_uncertainty(paired)
    assert ours.intervals
    assert theirs.intervals
    assert "mse" in ours.intervals["utterance"]
    assert set(theirs.intervals["utterance"]) == {"lcc", "srcc", "ktau"}
