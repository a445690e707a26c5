"""P.1401 by clip and by condition: intervals of scores from votes, corpora apart, reasons for what is absent."""

import csv
import io
import json

import numpy as np
import pytest
from scipy import stats
from sqa_metrics import MetricsError, evaluate, pair
from sqa_metrics.p1401.levels import judge, with_p1401


def ratings(seed: int = 0, corpora: tuple[str, ...] = ("",), votes: int = 4) -> tuple[bytes, bytes]:
    """Ratings of 8 systems of 3 clips a corpus, and predictions."""
    rng, theirs, ours = np.random.default_rng(seed), io.StringIO(), io.StringIO()
    rows, preds = csv.writer(theirs), csv.writer(ours)
    rows.writerow(["corpus", "system_id", "sample_id", "listener_id", "score"])
    preds.writerow(["corpus", "system_id", "sample_id", "mos"])
    for corpus in corpora:
        for s in range(8):
            for u in range(3):
                quality = 1 + s / 2 + rng.normal(0, 0.3)
                ids = [corpus, f"s{s}", f"s{s}u{u}"]
                preds.writerow([*ids, 1 + (quality - 1) * 0.6 + rng.normal(0, 0.2)])
                rows.writerows(
                    [*ids, f"l{v}", float(np.clip(round(quality + rng.normal(0, 0.7)), 1, 5))]
                    for v in range(votes)
                )
    return theirs.getvalue().encode(), ours.getvalue().encode()


def joined(ref: bytes, pred: bytes) -> object:
    return pair(io.BytesIO(ref), {"p": io.BytesIO(pred)})


def test_intervals_are_of_all_votes_of_a_clip_and_of_a_system() -> None:
    ref, pred = ratings()
    votes: dict[str, dict[str, list[float]]] = {"utterance": {}, "system": {}}
    for row in csv.DictReader(io.StringIO(ref.decode())):
        votes["utterance"].setdefault(row["sample_id"], []).append(float(row["score"]))
        votes["system"].setdefault(row["system_id"], []).append(float(row["score"]))
    predictions: dict[str, dict[str, list[float]]] = {"utterance": {}, "system": {}}
    for row in csv.DictReader(io.StringIO(pred.decode())):
        predictions["utterance"].setdefault(row["sample_id"], []).append(float(row["mos"]))
        predictions["system"].setdefault(row["system_id"], []).append(float(row["mos"]))
    found = judge(joined(ref, pred))
    for level, by_item in votes.items():
        errors = [abs(np.mean(v) - np.mean(predictions[level][item])) for item, v in by_item.items()]
        widths = [stats.t.ppf(0.975, len(v) - 1) * stats.sem(v) for v in by_item.values()]
        beyond = np.maximum(0, np.array(errors) - widths)
        unmapped = found.levels[level].unmapped
        assert unmapped is not None
        assert unmapped.rmse_star == pytest.approx(np.sqrt((beyond**2).mean()), abs=1e-10)
        assert unmapped.outlier_ratio is not None
        assert unmapped.outlier_ratio.value == (beyond > 0).mean()
        assert found.levels[level].mapped is not None


def test_both_roads_agree(road: str) -> None:
    rng = np.random.default_rng(1)
    rows = [
        {
            "sample_id": f"u{k}",
            "system_id": f"s{k % 8}",
            "metrics": {"mos": float(m)},
            "votes": 5,
            "mos_std": 0.5,
        }
        for k, m in enumerate(rng.uniform(1, 5, 40))
    ]
    preds = [row | {"metrics": {"mos": float(m)}} for row, m in zip(rows, rng.uniform(1, 5, 40), strict=True)]
    ref, pred = ("".join(json.dumps(r) + "\n" for r in table).encode() for table in (rows, preds))
    paired = joined(ref, pred)
    assert isinstance(paired.ref, np.ndarray) == (road == "compiled")  # type: ignore[attr-defined]
    level = judge(paired).levels["system"]
    assert level.unmapped is not None
    assert level.unmapped.rmse_star == pytest.approx(0.1920554925764179, abs=1e-12)


def test_single_votes_count_for_systems_alone() -> None:
    found = judge(joined(*ratings(votes=1)))
    clip, system = found.levels["utterance"], found.levels["system"]
    assert (
        clip.absent["rmse_star"]
        == "24 of 24 clips have fewer than 2 votes, or no mos_std; expected both of each"
    )
    assert clip.unmapped is not None
    assert clip.unmapped.rmse_star is None
    assert system.absent == {}


def test_what_is_absent_has_its_reason() -> None:
    table = b"sample_id,system_id,mos,votes\nu1,a,1,3\nu2,a,2,1\nu3,b,4,1\nu4,b,4.5,1\n"
    found = judge(joined(table, table))
    assert (
        "system 'a' has clips without votes, or without mos_std" in found.levels["system"].absent["rmse_star"]
    )
    assert found.levels["system"].mapped is None
    assert "2 items are too few for a cubic mapping" in found.levels["system"].absent["mapped"]
    assert any("no rmse* and outlier ratio: system 'a'" in line for line in found.notes())
    told = found.as_dict()["system"]
    assert set(told["absent"]) <= {*told, *told["unmapped"]}
    lone = b"sample_id,system_id,mos,votes\nu1,a,1,1\nu2,b,2,1\n"
    assert (
        "system 'a' has 1 vote; expected at least 2"
        in judge(joined(lone, lone)).levels["system"].absent["rmse_star"]
    )
    beyond = judge(joined(table, table), d=3).levels
    assert beyond["system"].unmapped is None
    assert "d = 3 of 2 items" in beyond["system"].absent["unmapped"]
    assert "utterance" in judge(joined(table, table), d=3).table()


def test_corpora_are_judged_apart() -> None:
    paired = joined(*ratings(corpora=("x", "y")))
    with pytest.raises(MetricsError, match="2 corpora; expected one"):
        judge(paired)
    report = with_p1401(evaluate(paired), paired, mapping="linear", d=1)
    assert report.p1401 is None
    assert {part.p1401.levels["system"].mapped.d for part in report.corpora.values()} == {1}
    assert "x system, n 8" in report.table()
    assert any(line.startswith("x: P.1401, system level: linear mapping") for line in report.notes())
    json.dumps(report.as_dict(), allow_nan=False)


def test_no_mapping_asked_for() -> None:
    level = judge(joined(*ratings()), mapping="none").levels["system"]
    assert level.mapped is None
    assert "mapped" not in level.absent
    assert level.as_dict()["mapped"] is None


def test_predictions_on_another_scale_are_judged_mapped_alone() -> None:
    rng = np.random.default_rng(0)
    ref = rng.uniform(1, 5, 30)
    paired = pair(ref, {"p": 25 * (ref - 1) + rng.normal(0, 5, 30)})
    level = judge(paired, mapping="linear").levels["utterance"]
    assert level.unmapped is None
    assert level.absent["unmapped"] == "the predictions are on another scale than the reference"
    assert level.mapped is not None
    assert level.mapped.rmse.value < 0.3
    both = pair(25 * (ref - 1), {"p": 25 * (ref - 1) + rng.normal(0, 5, 30).clip(-1, 1)}, scale=(-5, 105))
    mapped = judge(both).levels["utterance"].mapped
    assert mapped is not None
    assert (mapped.mapping.low, mapped.mapping.high) == (-5, 105)
