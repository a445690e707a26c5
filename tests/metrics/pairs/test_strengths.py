"""Strengths of systems: against choix and statsmodels, worked numbers, and what has no answer."""

import math
from typing import Any

import choix
import numpy as np
import pytest
import statsmodels.api as sm
from sqa_metrics import MetricsError, strengths
from sqa_metrics.distributions import normal_quantile, t_quantile

Rows = tuple[list[str], list[str], list[float]]


def rows(*counts: tuple[str, str, int, int, int]) -> Rows:
    """Comparisons from (first, second, won, tied, lost)."""
    a, b, preference = list[str](), list[str](), list[float]()
    for first, second, *outcomes in counts:
        a += [first] * sum(outcomes)
        b += [second] * sum(outcomes)
        preference += [value for value, n in zip((1.0, 0.0, -1.0), outcomes, strict=True) for _ in range(n)]
    return a, b, preference


def drawn(rng: np.random.Generator, systems: int, n: int, log_tie: float) -> Rows:
    theta = rng.normal(size=systems)
    i = rng.integers(systems, size=n)
    j = (i + rng.integers(1, systems, size=n)) % systems
    half = (theta[i] - theta[j]) / 2
    utility = np.stack([half, -half, np.full(n, log_tie)]) + rng.gumbel(size=(3, n))
    outcome = np.array([1.0, -1.0, 0.0])[utility.argmax(axis=0)]
    return [f"s{k}" for k in i], [f"s{k}" for k in j], outcome.tolist()


def test_bradley_terry_of_the_worked_example() -> None:
    found = strengths(*rows(("A", "B", 7, 0, 3), ("A", "C", 8, 0, 2), ("B", "C", 6, 0, 4)))
    assert found.difference("A", "C") == pytest.approx((1.332038, 0.602163), abs=1e-6)
    assert found.difference("B", "C") == pytest.approx((0.442365, 0.550549), abs=1e-6)
    assert found.difference("A", "B") == pytest.approx((0.889672, 0.573597), abs=1e-6)
    assert math.isnan(found.log_tie)
    assert not found.half_wins


def test_davidson_of_the_worked_example() -> None:
    found = strengths(*rows(("A", "B", 6, 2, 2), ("A", "C", 7, 2, 1), ("B", "C", 4, 3, 3)))
    assert found.difference("A", "C") == pytest.approx((1.726913, 0.736658), abs=1e-6)
    assert found.difference("B", "C") == pytest.approx((0.403526, 0.641518), abs=1e-6)
    assert (math.exp(found.log_tie), found.log_tie_se) == pytest.approx((0.730092, 0.45287), abs=1e-5)
    assert found.log_likelihood == pytest.approx(-28.540020, abs=1e-6)


def test_against_choix_and_the_logistic_regression() -> None:
    a, b, preference = drawn(np.random.default_rng(5), 7, 400, -math.inf)
    found = strengths(a, b, preference)
    names = sorted({*a, *b})
    wins = [(a[k], b[k]) if preference[k] > 0 else (b[k], a[k]) for k in range(len(a))]
    oracle = choix.opt_pairwise(7, [(names.index(w), names.index(v)) for w, v in wins], tol=1e-12)
    order = [names.index(name) for name in found.systems]
    assert found.strength == pytest.approx((oracle - oracle.mean())[order], abs=1e-5)

    design = np.array([[(name == x) - (name == y) for name in names[:-1]] for x, y in zip(a, b, strict=True)])
    won = (np.array(preference) > 0).astype(float)
    fit = sm.GLM(won, design.astype(float), family=sm.families.Binomial()).fit(tol=1e-12)
    for k, name in enumerate(names[:-1]):
        assert found.difference(name, names[-1]) == pytest.approx((fit.params[k], fit.bse[k]), rel=1e-6)
    z = normal_quantile(0.975)
    assert found.intervals() == pytest.approx(
        np.stack([found.strength - z * found.se, found.strength + z * found.se], axis=1)
    )

    listener = [f"L{k % 25}" for k in range(len(a))]
    clustered = strengths(a, b, preference, listener=listener)
    groups = np.array([int(name[1:]) for name in listener])
    fit = sm.GLM(won, design.astype(float), family=sm.families.Binomial()).fit(
        tol=1e-12, cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
    )
    for k, name in enumerate(names[:-1]):
        value, se = clustered.difference(name, names[-1])
        assert (value, se) == pytest.approx((fit.params[k], fit.bse[k] * math.sqrt(25 / 24)), rel=1e-5)
    assert clustered.intervals()[0, 1] - clustered.strength[0] == pytest.approx(
        t_quantile(0.975, 24) * clustered.se[0]
    )


def test_davidson_against_a_search_for_the_maximum() -> None:
    from scipy.optimize import minimize

    a, b, preference = drawn(np.random.default_rng(6), 5, 300, -0.4)
    found = strengths(a, b, preference)
    names = sorted({*a, *b})
    i, j = (np.array([names.index(name) for name in side]) for side in (a, b))
    outcome = np.array(preference)

    def loss(x: np.ndarray) -> float:
        half = (np.append(x[:-1], 0)[i] - np.append(x[:-1], 0)[j]) / 2
        utility = np.stack([half, -half, np.full(len(i), x[-1])])
        chosen = np.where(outcome > 0, half, np.where(outcome < 0, -half, x[-1]))
        return float(np.log(np.exp(utility).sum(axis=0)).sum() - chosen.sum())

    best = minimize(loss, np.zeros(5), tol=1e-12)
    assert found.log_tie == pytest.approx(best.x[-1], abs=1e-4)
    for k, name in enumerate(names[:-1]):
        assert found.difference(name, names[-1])[0] == pytest.approx(best.x[k], abs=1e-4)


def test_the_order_of_a_pair_does_not_matter() -> None:
    a, b, preference = drawn(np.random.default_rng(7), 4, 80, -1.0)
    listener = [f"L{k % 12}" for k in range(80)]
    one = strengths(a, b, preference, listener=listener)
    other = strengths(b, a, [-p for p in preference], listener=listener)
    assert one.systems == other.systems
    assert one.strength == pytest.approx(other.strength)
    assert one.covariance == pytest.approx(other.covariance)


def test_who_won_all_gets_half_a_win_less() -> None:
    counts = rows(("A", "B", 5, 0, 0), ("B", "C", 4, 0, 1))
    found = strengths(*counts)
    assert found.half_wins
    assert "half a win each way" in found.notes()[0]
    # two systems alone: the odds of 5.5 wins to 0.5
    assert found.difference("A", "B")[0] == pytest.approx(math.log(5.5 / 0.5))
    assert found.wins.sum() == 10
    # ties in every comparison: no system is better, and there is an answer
    tied = strengths(*rows(("A", "B", 0, 3, 0)))
    assert tied.strength == pytest.approx([0, 0])
    assert math.isfinite(tied.log_tie)


def test_places_are_those_of_tests_of_every_two() -> None:
    a, b, preference = drawn(np.random.default_rng(8), 6, 150, -0.5)
    found = strengths(a, b, preference)
    bound = normal_quantile(1 - 0.05 / 2 / 15)
    for k, name in enumerate(found.systems):
        tests = [found.difference(other, name) for other in found.systems if other != name]
        better = sum(d > bound * se for d, se in tests)
        worse = sum(-d > bound * se for d, se in tests)
        assert found.places()[k].tolist() == [1 + better, 6 - worse]
    assert list(found.strength) == sorted(found.strength, reverse=True)


def test_groups_that_never_met_are_named() -> None:
    counts = rows(("A", "B", 2, 0, 1), ("C", "D", 1, 1, 1), ("E", "D", 1, 0, 0))
    with pytest.raises(MetricsError, match=r"2 groups .*: 'A', 'B'; 'C', 'D', 'E'"):
        strengths(*counts)


def test_what_is_no_comparison_is_refused() -> None:
    with pytest.raises(MetricsError, match="system 'A' is compared with itself"):
        strengths(["A", "A"], ["B", "A"], [1, 1])
    with pytest.raises(MetricsError, match=r"preference\[1\] is not finite"):
        strengths(["A", "A"], ["B", "B"], [1, math.nan])
    with pytest.raises(MetricsError, match="no comparisons"):
        strengths([], [], [])
    with pytest.raises(MetricsError, match=r"preference\[0\] is not finite"):
        strengths(["A", "A"], ["B", "B"], [math.inf, 1])
    with pytest.raises(ValueError, match=r"preference\[0\] is 'a'; expected a number"):
        strengths(["A"], ["B"], ["a"])  # type: ignore[list-item]
    with pytest.raises(MetricsError, match="a system is called None; expected a text"):
        strengths(["A", None], ["B", "C"], [1, 1])  # type: ignore[list-item]
    with pytest.raises(MetricsError, match=r"level is -0\.5"):
        strengths(["A", "A"], ["B", "B"], [1, -1], level=-0.5)


@pytest.mark.parametrize(
    ("column", "columns"),
    [
        ("b", {"b": ["B"]}),
        ("preference", {"preference": [1]}),
        ("listener", {"listener": ["x"]}),
        ("clips", {"clips": [("u", "v")] * 3}),
    ],
)
def test_columns_of_unequal_length_are_refused(column: str, columns: dict[str, list[object]]) -> None:
    given: dict[str, Any] = {"b": ["B", "B"], "preference": [1, -1]} | columns
    with pytest.raises(MetricsError, match=rf"{column} has {len(columns[column])} rows and a 2"):
        strengths(["A", "A"], **given)


def test_the_table_has_all_systems() -> None:
    found = strengths(*rows(("A", "B", 7, 1, 3), ("B", "C", 6, 0, 4)))
    lines = found.table().splitlines()
    assert [line.split()[0] for line in lines] == ["system", *found.systems]
    assert lines[1].split()[-1] == "7/1/3"
    told = found.as_dict()
    assert told["model"] == "davidson"
    assert [s["system"] for s in told["systems"]] == found.systems


@pytest.mark.parametrize(("won", "told"), [(59, False), (61, True)])
def test_two_systems_have_places_of_their_own_from_a_two_sided_five_percent_on(won: int, told: bool) -> None:
    """59 of 100 are 1.79 standard errors from even, 61 are 2.18."""
    found = strengths(["A"] * 100, ["B"] * 100, [1] * won + [-1] * (100 - won))
    assert found.places().tolist() == ([[1, 1], [2, 2]] if told else [[1, 2], [1, 2]])


def heard(
    rng: np.random.Generator, contents: int, listeners: int, share: float, clip_sd: float
) -> tuple[Rows, list[str], list[tuple[object, object]]]:
    """Six systems whose clips differ, by listeners who differ: comparisons, who judged, and which clips."""
    theta, clip = np.linspace(-1, 1, 6), clip_sd * rng.normal(size=(6, contents))
    taste = 0.3 * rng.normal(size=(listeners, 6))
    pairs = np.triu_indices(6, 1)
    who, c, p = (v.ravel() for v in np.meshgrid(*map(np.arange, (listeners, contents, 15)), indexing="ij"))
    kept = rng.random(who.size) < share
    who, c, i, j = who[kept], c[kept], pairs[0][p[kept]], pairs[1][p[kept]]
    lead = theta[i] - theta[j] + clip[i, c] - clip[j, c] + taste[who, i] - taste[who, j]
    won = np.where(rng.random(lead.size) < 1 / (1 + np.exp(-lead)), 1.0, -1.0)
    rows = [f"s{k}" for k in i], [f"s{k}" for k in j], won.tolist()
    return (
        rows,
        [f"L{k}" for k in who],
        list(zip(zip(i, c, strict=True), zip(j, c, strict=True), strict=True)),
    )


@pytest.mark.parametrize("listeners", [0, 11])
def test_two_way_covariance_is_the_sum_over_all_that_share_a_listener_or_a_clip(listeners: int) -> None:
    (a, b, preference), who, clips = heard(np.random.default_rng(9), 4, 11, 0.4, 0.5)
    found = strengths(a, b, preference, clips=clips, listener=who if listeners else None)
    assert (found.listeners, found.clips) == (listeners, 4)
    names = sorted({*a, *b})
    design = np.array([[(n == x) - (n == y) for n in names[:-1]] for x, y in zip(a, b, strict=True)], float)
    fit = sm.GLM((np.array(preference) > 0).astype(float), design, family=sm.families.Binomial()).fit(
        tol=1e-12
    )
    score = design * (np.array(preference) > 0)[:, None] - design * fit.fittedvalues[:, None]
    owner = np.array(who) if listeners else np.arange(len(a)).astype(str)
    same = (owner[:, None] == owner).astype(float)
    shared = np.array([[sum(x == y for x in one for y in two) for two in clips] for one in clips], float)
    weight = same * (11 / 10 if listeners else 1) + shared * 4 / 3 - same * shared
    inverse = np.linalg.inv(design.T @ (design * (fit.fittedvalues * (1 - fit.fittedvalues))[:, None]))
    expected = inverse @ score.T @ weight @ score @ inverse
    value, vector = np.linalg.eigh(expected)
    expected = (vector * np.maximum(value, 0)) @ vector.T
    for k, name in enumerate(names[:-1]):
        assert found.difference(name, names[-1])[1] == pytest.approx(math.sqrt(expected[k, k]), rel=1e-5)
    half = t_quantile(0.975, 3) * found.se
    assert found.intervals() == pytest.approx(
        np.stack([found.strength - half, found.strength + half], axis=1)
    )
    assert "clips (4 or more a system)" in found.as_dict()["clustered_by"]


def test_columns_may_be_arrays() -> None:
    votes = 5 * [
        ("A", "B", 1, "a1", "b1"),
        ("B", "A", 1, "b2", "a2"),
        ("A", "B", 1, "a3", "b3"),
        ("B", "A", -1, "b4", "a4"),
    ]
    a, b, preference, first, second = map(list, zip(*votes, strict=True))
    listener, clips = [f"L{k % 12}" for k in range(20)], list(zip(first, second, strict=True))
    lists = strengths(a, b, preference, listener=listener, clips=clips)
    given: list[Any] = [np.array(column) for column in (a, b, preference, listener, clips)]
    arrays = strengths(*given[:3], listener=given[3], clips=given[4])
    assert (arrays.listeners, arrays.clips) == (12, 4)
    assert arrays.as_dict() == lists.as_dict()


def test_too_few_clips_are_told() -> None:
    (a, b, preference), who, clips = heard(np.random.default_rng(9), 3, 11, 0.9, 0.5)
    found, alone = (strengths(a, b, preference, listener=who, clips=c) for c in (clips, None))
    assert found.clips == 0
    assert found.covariance.tolist() == alone.covariance.tolist()
    assert any("fewer than 4 clips" in note for note in found.notes())
    rows, who, clips = heard(np.random.default_rng(9), 4, 11, 0.9, 0.5)
    assert not strengths(*rows, listener=who, clips=clips).notes()


@pytest.mark.parametrize(("few", "block"), [(0, 4096), (0, 7), (1, 7), (3, 4096), (1000, 4096)])
def test_how_clusters_are_multiplied_changes_nothing(
    few: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(10)
    (a, b, preference), who, clips = heard(rng, 5, 12, 0.4, 0.5)
    preference = np.where(rng.random(len(a)) < 0.2, 0.0, preference).tolist()
    whole = strengths(a, b, preference, listener=who, clips=clips)
    monkeypatch.setattr("sqa_metrics.pairs.strengths.FEW", few)
    monkeypatch.setattr("sqa_metrics.pairs.strengths.BLOCK", block)
    found = strengths(a, b, preference, listener=who, clips=clips)
    assert found.covariance == pytest.approx(whole.covariance)
    assert found.log_tie_se == pytest.approx(whole.log_tie_se)


@pytest.mark.slow
@pytest.mark.parametrize("clip_sd", [0.0, 0.7])
def test_intervals_cover_the_strengths_of_all_clips_and_listeners(clip_sd: float) -> None:
    rows, _, _ = heard(np.random.default_rng(10**6), 400, 60, 0.3, clip_sd)
    many = strengths(*rows)
    truth = dict(zip(many.systems, many.strength, strict=True))
    inside = []
    for seed in range(150):
        rows, who, clips = heard(np.random.default_rng(seed), 8, 12, 0.5, clip_sd)
        found = strengths(*rows, listener=who, clips=clips)
        inside += [
            low <= truth[name] <= high
            for name, (low, high) in zip(found.systems, found.intervals(), strict=True)
        ]
    print(np.mean(inside))
    # by listener alone: 95 and 75 %
    assert np.mean(inside) >= 0.92


@pytest.mark.parametrize(("listeners", "counted"), [(9, 0), (10, 10)])
def test_ten_listeners_are_enough(listeners: int, counted: int) -> None:
    who = [k % listeners for k in range(40)]
    found = strengths(["A"] * 40, ["B"] * 40, [1, -1, 1] * 13 + [1], listener=who)
    assert found.listeners == counted
