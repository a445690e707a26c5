"""Tests between predictors of pairs: the jackknife written out, what they share, and how often they err."""

import io
import math

import numpy as np
import pytest
from scipy import stats
from simulated import every_two
from sqa_metrics import MetricsError, PairedPairs, join_pairs, read_pairs
from sqa_metrics.pairs.compare import measure_pairs
from sqa_metrics.pairs.join import Ballots, as_pairs
from sqa_metrics.pairs.rows import Pairs
from sqa_metrics.rows.records import Coverage


def predictors(rng: np.random.Generator, systems: int, utterances: int) -> list[PairedPairs]:
    """Two predictors whose errors have one distribution and share a part, on five votes of -3..3 a pair."""
    quality = 0.8 * rng.normal(size=systems)[:, None] + 0.35 * rng.normal(size=(systems, utterances))
    shared = 0.2 * rng.normal(size=systems)[:, None] + 0.15 * rng.normal(size=quality.shape)
    system, clips = every_two(rng, systems, utterances)
    n = len(clips)

    def difference(values: np.ndarray) -> np.ndarray:
        first, second = values.ravel()[clips].T
        return first - second

    heard = difference(quality)[:, None] + 0.8 * rng.normal(size=(n, 5))
    votes = np.clip(np.round(heard), -3, 3)
    result = []
    for name in ("one", "two"):
        own = 0.22 * rng.normal(size=systems)[:, None] + 0.2 * rng.normal(size=quality.shape)
        result.append(
            PairedPairs(
                name=name,
                ref=votes.mean(axis=1),
                pred=difference(quality + shared + own),
                clips=clips,
                system=system,
                systems=[f"s{k}" for k in range(systems)],
                votes=np.full(n, 5.0),
                std=votes.std(axis=1, ddof=1),
                preferences=False,
                coverage=Coverage(n, n, 0, 0, 0),
                ballots=Ballots([], [], [], [], []),
            )
        )
    return result


def other(paired: PairedPairs, **columns: object) -> PairedPairs:
    return PairedPairs(**{**vars(paired), **columns})


def test_a_difference_over_its_jackknife_error() -> None:
    one, two = predictors(np.random.default_rng(0), 7, 4)
    scales = {
        "mse": (lambda p, k: float(np.mean((p.ref[k] - p.pred[k]) ** 2)), float),
        "lcc": (lambda p, k: stats.pearsonr(p.ref[k], p.pred[k]).statistic, math.atanh),
        "srcc": (lambda p, k: stats.spearmanr(p.ref[k], p.pred[k]).statistic, math.atanh),
        "ktau": (lambda p, k: stats.kendalltau(p.ref[k], p.pred[k]).statistic, math.atanh),
        "accuracy": (
            lambda p, k: float(
                np.mean(np.sign(p.ref[k & (p.ref != 0)]) == np.sign(p.pred[k & (p.ref != 0)]))
            ),
            float,
        ),
    }
    found = measure_pairs([one, two])["pair"]
    assert list(found.figures) == list(scales)
    every = np.ones(len(one), bool)
    for name, (of, scale) in scales.items():
        shift = scale(of(one, every)) - scale(of(two, every))
        keep = [(one.system != k).all(axis=1) for k in range(7)]
        without = np.array([scale(of(one, k)) - scale(of(two, k)) for k in keep])
        error = math.sqrt(6 / 7 * np.sum((without - without.mean()) ** 2))
        difference, p, interval = found.test(name, 0, 1, 0.95)
        assert difference == pytest.approx(of(one, every) - of(two, every))
        assert p == pytest.approx(2 * stats.t.sf(abs(shift) / error, 6))
        if scale is float:
            half = stats.t.ppf(0.975, 6) * error
            assert interval.as_list() == pytest.approx([shift - half, shift + half])


def test_perfect_orders_and_few_systems_are_not_told_apart() -> None:
    one, two = predictors(np.random.default_rng(1), 6, 3)
    found = measure_pairs([other(one, pred=one.ref), two])
    assert [found["pair"].test(m, 0, 1, 0.95)[1] for m in ("lcc", "srcc", "ktau")][1:] == [1.0, 1.0]
    few = measure_pairs(predictors(np.random.default_rng(1), 4, 3))
    assert all(math.isnan(few["pair"].test(m, 0, 1, 0.95)[1]) for m in few["pair"].figures)


def test_levels_and_figures_are_those_that_there_are() -> None:
    one, two = predictors(np.random.default_rng(2), 6, 3)
    assert set(measure_pairs([one, two])) == {"pair", "system_pair"}
    nowhere: dict[str, object] = {"system": np.full_like(one.system, -1), "systems": []}
    assert set(measure_pairs([other(one, **nowhere), other(two, **nowhere)])) == {"pair"}
    words = measure_pairs([other(p, ref=np.sign(p.ref), preferences=True) for p in (one, two)])
    assert "mse" not in words["pair"].figures


def test_what_predictors_do_not_share_is_refused() -> None:
    one, two = predictors(np.random.default_rng(3), 6, 3)
    with pytest.raises(MetricsError, match="one is judged on 45 pairs and two on 45, or on others"):
        measure_pairs([one, other(two, fingerprint="1a2b3c4d")])
    with pytest.raises(MetricsError, match="one and two name other systems for the clips of pairs"):
        measure_pairs([one, other(two, system=np.full_like(two.system, -1), systems=[])])


@pytest.mark.slow
@pytest.mark.parametrize(("systems", "utterances"), [(6, 8), (12, 4), (23, 2)])
def test_equal_predictors_are_seldom_told_apart(systems: int, utterances: int) -> None:
    tests, alarms = 400, dict[tuple[str, str], int]()
    for seed in range(tests):
        for level, found in measure_pairs(
            predictors(np.random.default_rng(seed), systems, utterances)
        ).items():
            for name in found.figures:
                alarm = found.test(name, 0, 1, 0.95)[1] < 0.05
                alarms[level, name] = alarms.get((level, name), 0) + alarm
    shares = {key: count / tests for key, count in alarms.items()}
    print(shares)
    # 7 % and two simulation errors of 400 tests
    assert max(shares.values()) <= 0.07 + 2 * math.sqrt(0.07 * 0.93 / tests)


def test_other_pairs_with_the_same_scores_are_not_compared() -> None:
    ref = read_pairs(io.BytesIO(b"a,b,cmos\nu1,u2,1\nu3,u4,1\nu5,u6,1\n"))
    clips = {"one": b"u1 2\nu2 1\nu3 3\nu4 1\n", "two": b"u3 3\nu4 1\nu5 2\nu6 1\n"}
    found = [
        join_pairs(ref, read_pairs(io.BytesIO(text)), name, allow_missing=True)
        for name, text in clips.items()
    ]
    with pytest.raises(MetricsError, match="one is judged on 2 pairs and two on 2, or on others"):
        measure_pairs(found)
    again = join_pairs(ref, read_pairs(io.BytesIO(clips["one"])), "again", allow_missing=True)
    assert measure_pairs([found[0], again])["pair"].found.whole["accuracy"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("ref", "rows"),
    [
        ("corpus,a,b,cmos", ["x,u1,u2,1", "y,u1,u2,1"]),
        ("a,b,cmos", ["u1,u2,1", "u1,u3,1"]),
        ("sample_id,cmos", ["p1,1", "p2,1"]),
    ],
)
def test_pairs_are_told_apart_by_all_that_names_them(ref: str, rows: list[str]) -> None:
    def read(*lines: str) -> Pairs:
        return as_pairs(read_pairs(io.BytesIO("\n".join([ref, *lines]).encode())))

    found = [join_pairs(read(*rows), read(row), row, allow_missing=True) for row in rows]
    with pytest.raises(MetricsError, match="or on others"):
        measure_pairs(found)


def test_systems_of_other_names_are_other_systems() -> None:
    one, two = predictors(np.random.default_rng(2), 5, 2)
    with pytest.raises(MetricsError, match="name other systems"):
        measure_pairs([one, other(two, systems=[f"t{k}" for k in range(5)])])
