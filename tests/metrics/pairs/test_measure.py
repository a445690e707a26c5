"""Intervals of pairs: the jackknife over systems and clips, written out."""

import math

import numpy as np
import pytest
from scipy import stats
from simulated import every_two
from sqa_metrics import PairedPairs
from sqa_metrics.pairs import measure
from sqa_metrics.pairs.join import Ballots
from sqa_metrics.rows.records import Coverage


def drawn(systems: int, utterances: int, seed: int = 0) -> PairedPairs:
    """Every two systems compared on every utterance, in an order by chance."""
    rng = np.random.default_rng(seed)
    system, clips = every_two(rng, systems, utterances)
    quality = rng.normal(size=systems)[:, None] + 0.5 * rng.normal(size=(systems, utterances))
    predicted = quality + 0.4 * rng.normal(size=systems)[:, None] + 0.4 * rng.normal(size=quality.shape)
    ref, pred = (v.ravel()[clips[:, 0]] - v.ravel()[clips[:, 1]] for v in (quality, predicted))
    n = len(clips)
    return PairedPairs(
        name="p",
        ref=np.round(ref),
        pred=pred,
        clips=clips,
        system=system,
        systems=[f"s{k}" for k in range(systems)],
        votes=np.full(n, 5.0),
        std=rng.uniform(0.2, 1.5, n),
        preferences=False,
        coverage=Coverage(n, n, 0, 0, 0),
        ballots=Ballots([], [], [], [], []),
    )


def jackknife(one: measure.Level, figure: str) -> tuple[float, np.ndarray]:
    """A figure from all pairs, and without each cluster."""
    keep = [(one.groups != k).all(axis=1) for k in np.unique(one.groups)]

    def of(rows: np.ndarray) -> float:
        x, y = one.ref[rows], one.pred[rows]
        if figure == "mse":
            return float(np.mean((x - y) ** 2))
        if figure == "lcc":
            return float(np.corrcoef(x, y)[0, 1])
        decided = x != 0
        return float(np.mean(np.sign(x[decided]) == np.sign(y[decided])))

    return of(np.ones(len(one.ref), bool)), np.array([of(rows) for rows in keep])


def test_intervals_are_the_jackknife_over_systems() -> None:
    one, told = measure.of_pairs(drawn(9, 5))
    assert told == "9 systems"
    found = measure.intervals(one, one.values(0.1, 0.0), 0.1, 0.0, 0.9)
    to = {"mse": (math.log, math.exp), "lcc": (math.atanh, math.tanh)}
    to["accuracy"] = (lambda p: math.log(p / (1 - p)), lambda z: 1 / (1 + math.exp(-z)))
    for name, (scale, back) in to.items():
        value, without = jackknife(one, name)
        moved = np.array([scale(v) for v in without])
        half = stats.t.ppf(0.95, 8) * math.sqrt(8 / 9 * np.sum((moved - moved.mean()) ** 2))
        expected = [back(scale(value) - half), back(scale(value) + half)]
        assert found[name].as_list() == pytest.approx(expected)
    assert set(found) == {*one.values(0, 0)}


def test_freedom_is_that_of_equal_clusters() -> None:
    groups = np.array([[0, 1], [0, 2], [0, 3], [4, 4]])
    one = measure.Level(np.zeros(4), np.zeros(4), groups)
    sizes = np.array([3, 1, 1, 1, 1])
    assert one.freedom() == pytest.approx(sizes.sum() ** 2 / (sizes**2).sum() - 1)


def test_without_systems_clips_and_without_clips_pairs_are_left_out() -> None:
    paired = drawn(6, 5)
    nothing = np.full_like(paired.system, -1)
    paired = PairedPairs(**{**vars(paired), "system": nothing, "systems": []})
    one, told = measure.of_pairs(paired)
    assert told == "30 clips"
    assert sum(len(part.ref) for part in one.left_out()) == 30 * (75 - 5)
    many = PairedPairs(**{**vars(drawn(6, 50)), "system": np.full((750, 2), -1), "systems": []})
    one, told = measure.of_pairs(many)
    assert told == "100 groups of 300 clips"
    assert len(list(one.left_out())) == 100
    _, told = measure.of_pairs(PairedPairs(**{**vars(paired), "clips": nothing}))
    assert told == "75 pairs"


def test_system_pairs_are_means_in_one_order() -> None:
    paired = drawn(4, 6)
    level = measure.of_system_pairs(paired)
    assert level is not None
    assert level.groups.tolist() == [[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]]
    for k, (a, b) in enumerate(level.groups):
        values = [
            v if s[0] == a else -v for v, s in zip(paired.ref, paired.system, strict=True) if set(s) == {a, b}
        ]
        assert level.ref[k] == pytest.approx(np.mean(values))
    x, y = np.append(level.ref, -level.ref), np.append(level.pred, -level.pred)
    found = level.values(0, 0)
    assert found["lcc"] == pytest.approx(stats.pearsonr(x, y).statistic)
    assert found["ktau"] == pytest.approx(stats.kendalltau(x, y).statistic)
    inside = PairedPairs(**{**vars(paired), "system": np.zeros_like(paired.system)})
    assert measure.of_system_pairs(inside) is None


def test_names_of_systems_do_not_matter() -> None:
    paired = drawn(6, 4)
    other = PairedPairs(**{**vars(paired), "system": 5 - paired.system})
    levels = [measure.of_system_pairs(p) for p in (paired, other)]
    one, two = (level.values(0, 0) for level in levels if level is not None)
    assert one == pytest.approx(two)


def test_a_share_of_all_or_none_has_an_interval() -> None:
    paired = drawn(8, 4)
    for pred, low, high in ((paired.ref, 0.025 ** (1 / 8), 1.0), (-paired.ref, 0.0, 1 - 0.025 ** (1 / 8))):
        one, _ = measure.of_pairs(PairedPairs(**{**vars(paired), "pred": pred}))
        found = measure.intervals(one, one.values(0, 0), 0, 0, 0.95)
        assert found["accuracy"].as_list() == pytest.approx([low, high])


def test_few_clusters_have_no_interval() -> None:
    one, _ = measure.of_pairs(drawn(4, 10))
    assert measure.intervals(one, one.values(0, 0), 0, 0, 0.95) == {}


def sampled(rng: np.random.Generator, systems: int, utterances: int) -> PairedPairs:
    """Systems by chance, compared by five votes of -3..3 a pair, and a predictor that errs by system and clip."""
    quality = 0.8 * rng.normal(size=systems)[:, None] + 0.35 * rng.normal(size=(systems, utterances))
    error = 0.3 * rng.normal(size=systems)[:, None] + 0.25 * rng.normal(size=quality.shape)
    system, clips = every_two(rng, systems, utterances)
    ref, pred = (v.ravel()[clips[:, 0]] - v.ravel()[clips[:, 1]] for v in (quality, quality + error))
    votes = np.clip(np.round(ref[:, None] + 0.8 * rng.normal(size=(len(clips), 5))), -3, 3)
    paired = drawn(systems, utterances)
    columns = {
        "ref": votes.mean(axis=1),
        "pred": pred,
        "std": votes.std(axis=1, ddof=1),
        "system": system,
        "clips": clips,
    }
    return PairedPairs(**{**vars(paired), **columns})


@pytest.mark.slow
@pytest.mark.parametrize(("systems", "utterances"), [(6, 10), (12, 6)])
def test_intervals_cover(systems: int, utterances: int) -> None:
    many = sampled(np.random.default_rng(1000), 150, utterances)
    levels = (lambda paired: measure.of_pairs(paired)[0], measure.of_system_pairs)
    truth = [level(many).values(0.1, 0.0) for level in levels]
    right: dict[tuple[int, str], list[bool]] = {}
    for seed in range(150):
        paired = sampled(np.random.default_rng(seed), systems, utterances)
        for k, level in enumerate(levels):
            one = level(paired)
            found = measure.intervals(one, one.values(0.1, 0.0), 0.1, 0.0, 0.95)
            for name, interval in found.items():
                if not math.isnan(interval.low):
                    right.setdefault((k, name), []).append(interval.low <= truth[k][name] <= interval.high)
    shares = {key: float(np.mean(values)) for key, values in right.items()}
    print(shares)
    # 150 tests: .95 +- .018
    assert min(shares.values()) >= 0.89


def test_pairs_told_apart_have_an_accuracy_of_their_own() -> None:
    ref, pred, apart = np.array([1.0, -2.0, 1.5]), np.array([0.5, 1.0, 2.0]), np.array([1.0, 0.0, np.nan])
    found = measure.Level(ref, pred, np.repeat(np.arange(3)[:, None], 2, axis=1), apart).values(0.0, 0.0)
    assert (found["accuracy"], found["accuracy_apart"], found["auc"]) == (2 / 3, 1.0, 0.0)
