"""The scorer: the report of `score`, whatever the batches, the processes and the order of merges."""

import io
import itertools
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from sqa_metrics import MetricsError, Scorer, compare, score, with_uncertainty

RNG = np.random.default_rng(3)
REF = np.round(RNG.uniform(1, 5, 60), 3)
PRED = REF + RNG.normal(0, 0.4, 60)
LABELS: dict[str, list[str]] = {
    "sample": [f"u{k}" for k in range(60)],
    "system": [f"s{k % 7}" for k in range(60)],
    "corpus": ["x" if k % 7 < 4 else "y" for k in range(60)],
}


def part(rows: range, **more: Any) -> Scorer:
    scorer = Scorer(**more)
    for k in range(0, len(rows), 4):
        batch = rows[k : k + 4]
        labels = {name: [values[row] for row in batch] for name, values in LABELS.items()}
        scorer.update(torch.tensor(REF[batch]), PRED[batch], **labels)
    return scorer


def test_batches_give_the_report_of_the_whole() -> None:
    wanted = score(REF, PRED, **LABELS)
    found = part(range(60)).compute()
    assert found.system is not None
    assert found.system == pytest.approx(wanted.system, abs=1e-12)
    assert found.utterance == pytest.approx(wanted.utterance, abs=1e-12)
    assert (found.n_systems, set(found.corpora), found.signature) == (7, {"x", "y"}, wanted.signature)


def test_the_order_of_updates_and_merges_does_not_matter() -> None:
    parts = [part(range(rank, 60, 3)) for rank in range(3)]
    found = [Scorer().merge(*order).compute() for order in itertools.permutations(parts)]
    assert all(report == found[0] for report in found)
    assert found[0] == part(range(60)).compute() == part(range(59, -1, -1)).compute()
    assert len(parts[0]) == 20


def test_several_processes() -> None:
    code = (
        "import pickle, sys, sqa_metrics; scorer = pickle.load(sys.stdin.buffer); "
        "scorer.update([4.5], [4.0], sample='new', system='s0', corpus='x'); pickle.dump(scorer, sys.stdout.buffer)"
    )
    sent = pickle.dumps(part(range(30)))
    there = subprocess.run(
        [sys.executable, "-c", code], input=sent, capture_output=True, check=True, timeout=60
    )
    here = part(range(30, 60))
    here.update([4.5], [4.0], sample="new", system="s0", corpus="x")
    assert (
        pickle.loads(there.stdout).merge(part(range(30, 60))).compute()
        == part(range(30)).merge(here).compute()
    )


def test_single_scores_and_one_label_a_batch() -> None:
    scorer = Scorer()
    for k in range(60):
        scorer.update(float(REF[k]), torch.tensor(PRED[k]), system=LABELS["system"][k])
    assert scorer.compute().system == pytest.approx(
        score(REF, PRED, system=LABELS["system"]).system, abs=1e-12
    )
    scorer.reset()
    assert len(scorer) == 0
    scorer.update([1, 2], [1, 2], corpus=7)
    assert scorer.compute().n_systems == 0


def test_rows_that_pad_the_last_batch_count_once() -> None:
    scorer = part(range(60)).merge(part(range(5)))
    report = scorer.compute()
    assert report.remarks == ("5 rows came twice with the same sample and scores, and count once",)
    assert report.utterance == part(range(60)).compute().utterance
    scorer.update([1.0], [2.0], sample=["u0"], system=["s0"], corpus=["x"])
    with pytest.raises(MetricsError, match="duplicate id 'x/s0/u0'"):
        scorer.compute()


def test_what_compare_and_intervals_take() -> None:
    paired = part(range(60)).paired("ours")
    assert paired.names == ["ours"]
    assert with_uncertainty(paired)[0].intervals
    with pytest.raises(MetricsError, match="at least two"):
        compare(paired)


def test_missing_scores() -> None:
    scorer = Scorer()
    scorer.update([1, 2, 3], [1, float("nan"), 3])
    with pytest.raises(MetricsError, match="1 rows of pred have no finite mos"):
        scorer.compute()
    lenient = Scorer(allow_missing=True).merge(scorer)
    assert lenient.compute().n_utterances == 2


@pytest.mark.parametrize(
    ("ref", "pred", "labels", "message"),
    [
        ([1, 2], [1], {}, "pred has 1 values, ref has 2"),
        ([1, "x"], [1, 2], {}, r"ref\[1\] is 'x'; expected a number"),
        (np.ones((2, 1)), [1, 2], {}, r"ref has shape \(2, 1\)"),
        ([1, 2], [1, 2], {"system": ["a"]}, "system has 1 values, ref has 2"),
        ([1, 2], [1, 2], {"system": ["a", 1.5]}, r"system\[1\] is 1.5, expected text"),
        (
            [1, 2],
            [1, 2],
            {"sample": ["a", "b"]},
            "this update brings sample, others no labels; expected the same in all",
        ),
    ],
)
def test_wrong_batches_are_one_sentence(ref: Any, pred: Any, labels: dict[str, Any], message: str) -> None:
    scorer = Scorer()
    scorer.update([1.0], [1.0], **({"system": ["a"]} if "system" in labels else {}))
    with pytest.raises(MetricsError, match=message):
        scorer.update(ref, pred, **labels)
    assert len(scorer) == 1


def test_nothing_to_score() -> None:
    with pytest.raises(MetricsError, match="nothing to score: update was never called"):
        Scorer().compute()


def test_a_report_prints_as_the_command_does_and_in_notebooks() -> None:
    text = 'sample_id,corpus,mos\na,<b>&,1\nb,<b>&,2\nc,"y""",4\nd,y,2\n'
    report = score(io.BytesIO(text.encode()), io.BytesIO(text.encode()))
    assert str(report) == "\n".join(
        [report.table(), report.signature, *(f"note: {n}" for n in report.notes())]
    )
    html = report._repr_html_()
    assert "&lt;b&gt;&amp; utterance" in html
    assert "<b>" not in html
    assert html.count("<tr>") == 1 + len(report.table().splitlines()) - 1
    assert "<div>note: no system level" in html
