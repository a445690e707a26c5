"""P.1401's tests over predictors and corpora, and the aggregated distance."""

import io
import json

import numpy as np
import pytest
from scipy import stats
from sqa_metrics import evaluate, pair
from sqa_metrics.p1401.compare import compare_p1401


def tables(corpora: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    rng = np.random.default_rng(3)
    head, ref, preds = "corpus,system_id,sample_id,mos,votes,mos_std\n", "", {"a": "", "b": "", "c": ""}
    for corpus in corpora:
        for k in range(40):
            mos, ids = rng.uniform(1, 5), f"{corpus},s{k % 10},u{k}"
            ref += f"{ids},{mos},8,0.6\n"
            for name, sd in (("a", 0.3), ("b", 0.9), ("c", 0.35)):
                preds[name] += f"{ids},{mos + rng.normal(0, sd)},,\n"
    return head + ref, {name: head + text for name, text in preds.items()}


def compared(corpora: tuple[str, ...], **options: object) -> tuple:
    ref, preds = tables(corpora)
    paired = pair(io.BytesIO(ref.encode()), {n: io.BytesIO(t.encode()) for n, t in preds.items()})
    return compare_p1401(paired, [evaluate(paired, k) for k in range(3)], **options)


def test_every_pair_level_mapping_and_figure() -> None:
    reports, found = compared(("",))
    assert len(found.tests) == 3 * 2 * 2 * 4
    assert {(t.a, t.b) for t in found.tests} == {("a", "b"), ("a", "c"), ("b", "c")}
    test = next(t.test for t in found.tests if (t.b, t.level, t.mapping) == ("b", "utterance", "cubic"))
    errors = [r.p1401.levels["utterance"].mapped.rmse.value for r in reports]
    assert test.statistic == pytest.approx((errors[1] / errors[0]) ** 2, rel=1e-12)
    assert test.critical == pytest.approx(stats.f.ppf(0.95, 36, 36), abs=1e-10)
    assert test.significant
    assert found.distances == {}
    json.dumps(found.as_dict(), allow_nan=False)
    assert "<0.001*" in found.table()


def test_the_distance_over_corpora_is_the_mean_of_each() -> None:
    reports, found = compared(("x", "y"), mapping="linear")
    assert {t.corpus for t in found.tests} == {"x", "y"}
    distance = found.distances["utterance"]
    assert distance["figure"] == "mapped rmse*"
    critical, expected = stats.f.ppf(0.95, 38, 38), []
    for name in ("x", "y"):
        errors = [r.corpora[name].p1401.levels["utterance"].mapped.rmse_star for r in reports]
        expected.append([max(0, (e / min(errors)) ** 2 - critical) for e in errors])
    assert list(distance["distance"].values()) == pytest.approx(np.mean(expected, axis=0), rel=1e-10)
    assert distance["distance"]["b"] > 1
    assert "behind the best, utterance" in found.table()
