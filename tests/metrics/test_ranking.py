"""The challenge's ranking against a hand-worked example, and its intervals against cases whose answer is plain."""

import io
import itertools

import numpy as np
import pytest
from sqa_metrics import (
    FIGURES,
    Difference,
    Interval,
    MetricsError,
    PairedPairs,
    dense_rank,
    join_pairs,
    pair,
    rank,
    ranking,
    read_pairs,
)


def files(
    n_systems: int, noises: dict[str, float], seed: int = 0
) -> tuple[io.BytesIO, dict[str, io.BytesIO]]:
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.normal(3, 1, n_systems), 10) + rng.normal(0, 0.3, 10 * n_systems)

    def table(values: np.ndarray) -> io.BytesIO:
        rows = ["sample_id,system_id,mos"] + [f"u{k},s{k // 10},{v}" for k, v in enumerate(values)]
        return io.BytesIO("\n".join(rows).encode())

    return table(truth), {n: table(truth + rng.normal(0, s, truth.size)) for n, s in noises.items()}


def test_dense_rank() -> None:
    assert dense_rank(np.array([[0.1, 0.3, 0.1, 0.2]])).tolist() == [[1, 3, 1, 2]]
    assert dense_rank(np.array([np.nan, 1.0, np.nan])).tolist() == [2, 1, 2]


def test_hand_worked_example() -> None:
    # No systems, so one figure in Error and Linear, two in Rank. MSE: a 0, b 1, c 17/3 -> ranks 1 2 3.
    # LCC, SRCC, KTAU: a and b follow the reference (rank 1 both), c reverses it (rank 2).
    ref = io.BytesIO(b"u1 1\nu2 2\nu3 3\n")
    preds = {
        "a": io.BytesIO(b"u1 1\nu2 2\nu3 3\n"),
        "b": io.BytesIO(b"u1 2\nu2 3\nu3 4\n"),
        "c": io.BytesIO(b"u1 4\nu2 2\nu3 0\n"),
    }
    places = rank(pair(ref, preds))
    assert all(p.place_interval == (1, 3) for p in places)  # three utterances cannot tell
    assert [(p.name, p.place) for p in places] == [("a", 1), ("b", 2), ("c", 3)]
    assert [p.categories for p in places] == [
        {"Error": 1.0, "Linear": 1.0, "Rank": 1.0},
        {"Error": 2.0, "Linear": 1.0, "Rank": 1.0},
        {"Error": 3.0, "Linear": 2.0, "Rank": 2.0},
    ]
    assert [p.score for p in places] == pytest.approx([1.0, 4 / 3, 7 / 3])


def test_rounding_noise_breaks_no_tie() -> None:
    ref, preds = files(8, {"a": 0.5})
    lines = preds["a"].getvalue().decode().splitlines()
    shifted = [lines[0]] + [f"{r.rsplit(',', 1)[0]},{float(r.rsplit(',', 1)[1]) + 0.4}" for r in lines[1:]]
    preds["louder"] = io.BytesIO("\n".join(shifted).encode())
    ranks = [p.ranks for p in rank(pair(ref, preds))]
    for figure in ("utterance_lcc", "system_lcc", "utterance_srcc", "system_ktau"):
        assert ranks[0][figure] == ranks[1][figure] == 1


def test_equal_predictors_share_a_place_and_clear_winners_are_certain() -> None:
    ref, preds = files(40, {"best": 0.05, "mid": 0.6, "worst": 3.0})
    preds["twin"] = io.BytesIO(preds["mid"].getvalue())
    places = {p.name: p for p in rank(pair(ref, preds))}
    assert (places["best"].place, places["best"].place_interval) == (1, (1, 1))
    assert places["mid"].place == places["twin"].place == 2
    assert places["worst"].place_interval == (4, 4)


def test_close_predictors_have_overlapping_places() -> None:
    ref, preds = files(20, {"a": 0.5, "b": 0.5})
    places = rank(pair(ref, preds))
    assert all(p.place_interval == (1, 2) for p in places)


def test_one_predictor_cannot_be_ranked() -> None:
    ref, preds = files(3, {"a": 0.5})
    with pytest.raises(MetricsError, match="expected at least two"):
        rank(pair(ref, preds))


def test_best_first_whatever_the_names() -> None:
    ref, preds = files(20, {"z": 0.05, "a": 3.0})
    assert [p.name for p in rank(pair(ref, preds))] == ["z", "a"]


def test_figures_and_scores_are_equal_to_nine_digits() -> None:
    assert dense_rank(np.array([0.5, 0.5 + 4e-10, 0.5 + 2e-9])).tolist() == [1, 1, 2]
    assert ranking._places(np.array([1.5, 1.5 + 4e-10, 1.5 + 2e-9])).tolist() == [1, 1, 3]


def test_the_places_that_tests_leave_open_by_hand() -> None:
    """c is worse than both, of which none is better: its dense rank may be 2, its place is 3."""
    none = Interval(np.nan, np.nan)
    tests = [
        Difference(a, b, "utterance", metric, 1.0 if metric == "mse" else -1.0, none, p, p)
        for a, b, p in (("c", "a", 0.01), ("c", "b", 0.01), ("a", "b", 0.9))
        for metric in FIGURES
    ]
    low, high = ranking._open_places(tests, ["a", "b", "c"], 0.95)
    assert (low.tolist(), high.tolist()) == ([1, 1, 3], [2, 2, 3])
    better = np.array([[False, True, True], [False, False, True], [False] * 3])
    assert ranking._chains(better).tolist() == [1, 2, 3]


def test_a_level_asks_for_so_much_certainty() -> None:
    places = []
    for level in (0.999, 0.5):
        ref, preds = files(12, {"a": 0.4, "b": 0.9})
        places.append([p.place_interval for p in rank(pair(ref, preds), level=level)])
    assert places == [[(1, 2), (1, 2)], [(1, 1), (2, 2)]]


def test_a_chain_of_better_ones_counts_where_two_are_not_told_apart() -> None:
    """c is behind a and b in all figures, so of a rank of 3 or more; d, better in all but the LCC, is of 4 at most."""
    names, tests = ["a", "b", "c", "d"], []
    for metric, figure in FIGURES.items():
        better = {("a", "b"), ("a", "c"), ("b", "c")} | ({("d", "c")} if metric != "lcc" else set())
        for one, other in itertools.combinations(names, 2):
            sure = (one, other) in better or (other, one) in better
            first = (one, other) in better
            sign = 1 if first == (figure.better == "higher") else -1
            p = 0.001 if sure else 0.9
            tests.append(Difference(one, other, "utterance", metric, sign, Interval(-1, 1), p, p))
    low, high = ranking._open_places(tests, names, 0.95)
    assert low.tolist() == [1, 2, 4, 1]
    assert high.tolist() == [2, 3, 4, 3]


def joined(ref: str, **preds: str) -> list[PairedPairs]:
    """Predictors of the same pairs."""
    listeners = read_pairs(io.BytesIO(ref.encode()))
    return [
        join_pairs(listeners, read_pairs(io.BytesIO(text.encode())), name)  # type: ignore[arg-type]
        for name, text in preds.items()
    ]


CLIPS = {"a": "u1 1\nu2 2\nu3 3\n", "b": "u1 2\nu2 3\nu3 4\n", "c": "u1 4\nu2 2\nu3 0\n"}
CCR = "a,b,cmos\nu1,u2,-1\nu1,u3,-2\nu3,u2,1\n"


def sources(**texts: str) -> dict[str, io.BytesIO]:
    return {name: io.BytesIO(text.encode()) for name, text in texts.items()}


def test_clips_and_pairs_by_hand() -> None:
    # Of clips as in the example above: MSE 1 2 3, all others 1 1 2. Of pairs a and b are exact by their differences,
    # -1 -2 1, and c says 2 4 -2: MSE 0 0 18, correlations 1 1 -1, accuracy 1 1 0, so all are 1 1 2.
    places = rank(pair(io.BytesIO(CLIPS["a"].encode()), dict(sources(**CLIPS))), pairs=joined(CCR, **CLIPS))
    assert [p.categories for p in places] == [
        {"Error": 1.0, "Linear": 1.0, "Rank": 1.0},
        {"Error": 1.5, "Linear": 1.0, "Rank": 1.0},
        {"Error": 2.5, "Linear": 2.0, "Rank": 2.0},
    ]
    assert [(p.name, p.place, p.n_pairs) for p in places] == [("a", 1, 3), ("b", 2, 3), ("c", 3, 3)]
    assert [p.score for p in places] == pytest.approx([1.0, 3.5 / 3, 6.5 / 3])
    assert all(p.place_interval == (1, 3) for p in places)
    found = places[2].as_dict()["figures"]["pair"]
    assert found == {"mse": 18, "lcc": -1, "srcc": -1, "ktau": -1, "accuracy": 0}
    assert "|pairs:3-" in places[0].report.signature


def test_predictions_of_pairs_of_their_own_and_accuracy_as_a_figure_of_rank() -> None:
    # d scores clips as a does. Of pairs it errs by 1.5, with all correlations 1, and one sign in three is right.
    both = {"a": CLIPS["a"], "d": CLIPS["a"]}
    pairs = joined(
        CCR.replace("u3,u2,1", "u2,u3,-1"), a=CLIPS["a"], d="a,b,cmos\nu1,u2,0.5\nu1,u3,-0.5\nu2,u3,0.5\n"
    )
    clips = pair(io.BytesIO(CLIPS["a"].encode()), dict(sources(**both)))
    for given in (pairs, pairs[::-1]):
        first, second = rank(clips, pairs=given)
        assert (first.name, first.score, second.name) == ("a", 1, "d")
        assert second.categories == {"Error": 1.5, "Linear": 1.0, "Rank": pytest.approx(6 / 5)}
        assert (second.ranks["pair_accuracy"], second.ranks["pair_ktau"]) == (2, 1)


def of_systems(noises: dict[str, float], systems: int = 8) -> tuple[object, list[PairedPairs]]:
    """Predictors of the clips of systems, and of every two systems' clips by their difference."""
    ref, preds = files(systems, noises)
    listeners = [line.split(",") for line in ref.getvalue().decode().splitlines()[1:]]
    score_of = {(s, k % 10): (u, float(v)) for k, (u, s, v) in enumerate(listeners)}
    rows = ["a,b,system_a,system_b,cmos"]
    for (i, k), (u, x) in score_of.items():
        rows += [
            f"{u},{score_of[j, k][0]},{i},{j},{x - score_of[j, k][1]}"
            for j in {s for s, _ in score_of}
            if j < i
        ]
    texts = {name: file.getvalue().decode() for name, file in preds.items()}
    return pair(ref, dict(preds)), joined("\n".join(rows), **texts)


def test_without_pairs_nothing_changes_and_equal_predictors_share_a_place() -> None:
    clips, pairs = of_systems({"good": 0.3, "also": 0.3, "bad": 3.0}, 16)
    alone, both = rank(clips), rank(clips, pairs=pairs)  # type: ignore[arg-type]
    assert [p.as_dict() for p in alone] == [p.as_dict() for p in rank(clips, pairs=[])]  # type: ignore[arg-type]
    assert {len(p.ranks) for p in alone} == {8}
    assert {len(p.ranks) for p in both} == {18}
    assert {k: v for k, v in both[2].ranks.items() if k in alone[2].ranks} == alone[2].ranks
    assert both[2].place_interval == (3, 3)
    ref, preds = files(8, {"one": 0.5})
    _, pairs = of_systems({"one": 0.5})
    preds["two"] = io.BytesIO(preds["one"].getvalue())
    twins = [pairs[0], PairedPairs(**vars(pairs[0]) | {"name": "two"})]
    places = rank(pair(ref, dict(preds)), pairs=twins)
    assert [(p.place, p.place_interval) for p in places] == [(1, (1, 2))] * 2


def test_pairs_of_others_are_refused() -> None:
    clips = pair(io.BytesIO(CLIPS["a"].encode()), dict(sources(**CLIPS)))
    with pytest.raises(MetricsError, match="pairs are of a, b; expected each of a, b, c once"):
        rank(clips, pairs=joined(CCR, a=CLIPS["a"], b=CLIPS["b"]))


@pytest.mark.parametrize(("p_holm", "places"), [(0.2, (1, 2)), (0.04, (2, 2))])
def test_places_go_by_what_the_correction_leaves(p_holm: float, places: tuple[int, int]) -> None:
    tests = [
        Difference("a", "b", "utterance", name, -0.1 if name == "mse" else 0.1, Interval(0, 0), 0.01, p_holm)
        for name in ("mse", "lcc", "srcc", "ktau")
    ]
    low, high = ranking._open_places(tests, ["a", "b"], 0.95)
    assert (low[1], high[1]) == places
