"""The report of pairs: what is null says why, in the table, in the notes and in JSON."""

import io
import json
import math

import numpy as np
import pytest
from sqa_metrics import evaluate_pairs, join_pairs, read_pairs
from sqa_metrics.pairs.join import require_pairs
from sqa_metrics.pairs.report import PairReport


def report(ref: str, pred: str, **options: float) -> PairReport:
    listeners = require_pairs(read_pairs(io.BytesIO(ref.encode())))
    return evaluate_pairs(join_pairs(listeners, read_pairs(io.BytesIO(pred.encode()))), **options)


def votes(systems: int = 6, clips: int = 3, listeners: int = 8) -> tuple[str, str]:
    """Single votes on pairs, and scores of the clips."""
    rng = np.random.default_rng(0)
    rows, scores = ["a,b,system_a,system_b,cmos,listener"], []
    for k in range(clips):
        for i in range(systems):
            scores.append(f"s{i}u{k} {1 + i / 2 + 0.3 * rng.normal()}")
            for j in range(i):
                rows += [
                    f"s{i}u{k},s{j}u{k},s{i},s{j},{np.clip(round((i - j) / 2 + rng.normal()), -3, 3)},L{n}"
                    for n in range(listeners)
                ]
    return "\n".join(rows), "\n".join(scores)


def test_votes_give_every_figure() -> None:
    found = report(*votes())
    assert (found.n_pairs, found.n_clips, found.n_systems, found.n_system_pairs) == (45, 18, 6, 15)
    assert found.absent == {}
    told = json.loads(json.dumps(found.as_dict()))
    assert None not in told["pair"].values()
    assert set(told["intervals"]) == {"pair", "system_pair"}
    assert told["left_out"] == "6 systems"
    table = found.table()
    assert table.count("pairs, n 45") == 8
    assert table.count("system pairs, n 15") == 6
    assert any("one of 6 systems at a time" in note for note in found.notes())
    assert any(f"{found.n_apart} of 45 pairs apart" in note for note in found.notes())


def test_preferences_have_no_squared_error() -> None:
    found = report("a,b,preference\nu1,u2,a\nu2,u3,tie\nu3,u1,b\n", "u1 4\nu2 2\nu3 2\n")
    assert found.as_dict()["pair"]["mse"] is None
    assert "preferences" in found.absent["mse"]
    assert found.pair["accuracy"] == 1
    assert found.pair["accuracy_ties"] == 1


@pytest.mark.parametrize(
    ("ref", "pred", "name", "why"),
    [
        ("a,b,cmos\nu1,u2,1\nu2,u3,1\n", "u1 3\nu2 2\nu3 2.5\n", "lcc", "constant"),
        ("a,b,cmos\nu1,u2,1\n", "u1 3\nu2 2\n", "ktau", "one pair"),
        ("a,b,cmos\nu1,u2,0\nu3,u2,0\n", "u1 3\nu2 2\nu3 1\n", "accuracy", "tied all"),
        ("a,b,cmos\nu1,u2,1\nu3,u2,0\n", "u1 3\nu2 2\nu3 1\n", "auc", "votes"),
        ("a,b,cmos,votes,cmos_std\nu1,u2,0,8,1\nu3,u2,0.1,8,1\n", "u1 3\nu2 2\nu3 1\n", "auc", "none"),
        ("a,b,cmos\nu1,u2,1\nu3,u2,0\n", "u1 3\nu2 2\nu3 1\n", "system_pair", "no system is named"),
        (
            "a,b,cmos,system_a,system_b\nu1,u2,1,A,A\n",
            "u1 3\nu2 2\n",
            "system_pair",
            "no pair is of two systems",
        ),
        ("a,b,cmos\nu1,u2,1\nu3,u2,0\n", "u1 3\nu2 2\nu3 1\n", "intervals", "expected at least 5"),
    ],
)
def test_what_is_null_says_why(ref: str, pred: str, name: str, why: str) -> None:
    found = report(ref, pred)
    assert why in found.absent[name]
    assert any(why in note for note in found.notes())
    told = found.as_dict()
    assert told["pair"].get(name) is None
    json.dumps(told, allow_nan=False)


def test_epsilon_makes_ties() -> None:
    ref, pred = "a,b,cmos\nu1,u2,0.1\nu3,u2,1\n", "u1 3\nu2 2.9\nu3 3.5\n"
    assert report(ref, pred).pair["accuracy_ties"] == 1
    assert report(ref, pred, epsilon=0.2).pair["accuracy_ties"] == 0.5
    assert report(ref, pred, epsilon=0.2, ref_epsilon=0.1).pair["accuracy_ties"] == 1


def test_preferences_have_no_errors_and_no_interval_of_them() -> None:
    words = "a,b,preference\n" + "".join(f"u{k},u{k + 1},{'ab'[k % 2]}\n" for k in range(12))
    clips = "".join(f"u{k} {1 + k * 7 % 5}\n" for k in range(13))
    report = evaluate_pairs(
        join_pairs(read_pairs(io.BytesIO(words.encode())), read_pairs(io.BytesIO(clips.encode())))
    )
    assert math.isnan(report.pair["mse"])
    assert "mse" not in report.intervals["pair"]
    assert "accuracy" in report.intervals["pair"]
