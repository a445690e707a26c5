"""A whole listening test: flagged raters left out, degenerate tests told, rows that `score` takes."""

import io
import json
import math

import numpy as np
import pytest
from sqa_metrics import MetricsError, pair
from sqa_metrics.ratings import ListeningTest, Ratings, listening_test, ratings_of
from sqa_metrics.ratings.means import places


def of_table(table: np.ndarray, systems: int = 0, **options: object) -> Ratings:
    """Ratings of a table with one row a rater; clip k is of system k % systems."""
    rater, clip = np.nonzero(~np.isnan(table))
    system = [f"s{c % systems}" for c in clip] if systems else None
    names = [f"u{c:03d}" for c in clip], [f"r{r:02d}" for r in rater]
    return ratings_of(*names, table[rater, clip], system=system, **options)  # type: ignore[arg-type]


def simulated(seed: int, raters: int = 12, clips: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    truth = np.resize([1.5, 2.5, 3.5, 4.5], clips) + rng.normal(0, 0.2, clips)
    return np.clip(
        np.round(truth + rng.normal(0, 0.3, (raters, 1)) + rng.normal(0, 0.7, (raters, clips))), 1, 5
    )


def rows(test: ListeningTest, **options: object) -> io.BytesIO:
    return io.BytesIO("".join(json.dumps(row) + "\n" for row in test.rows(**options)).encode())  # type: ignore[arg-type]


def test_flagged_raters_are_left_out_and_what_changes_is_told() -> None:
    table = simulated(0)
    table[3] = 6 - table[3]
    test = listening_test(of_table(table, 4))
    assert np.flatnonzero(test.screening.flagged).tolist() == [3]
    assert test.left_out is not None
    without = np.delete(table, 3, axis=0).mean(0)
    assert test.left_out.clips.mos == pytest.approx(without)
    assert test.left_out.most_clips == pytest.approx(np.abs(without - table.mean(0)).max())
    assert (test.left_out.unheard, test.left_out.moved) == (0, [])
    of_systems = [np.abs((without - table.mean(0))[k::4].mean()) for k in range(4)]
    assert test.left_out.most_systems == pytest.approx(max(of_systems))


def test_places_that_change() -> None:
    # systems 0 and 1 differ by the flagged rater alone
    table = np.tile([2.0, 2.0, 4.0, 5.0], (6, 10))
    table += np.random.default_rng(0).choice([-1, 0, 0, 1], table.shape) * (table < 5)
    table[:, 0::4], table[:, 1::4] = 2, 2
    table[0] = np.tile([5, 4, 2, 1], 10)
    test = listening_test(of_table(table, 4))
    assert test.left_out is not None
    assert test.screening.flagged.tolist() == [True, *[False] * 5]
    assert test.left_out.moved == [1]
    assert places(np.array([3.0, math.nan, 3.0 + 1e-12, 4.0])).tolist() == [2, 4, 2, 1]


def test_weights_only_where_votes_are_many() -> None:
    few = listening_test(of_table(simulated(0, raters=6)))
    assert few.weighted is None
    assert few.weighted_absent == "6 votes a clip and 40 clips a rater; weights need about 10 and 20"
    with pytest.raises(MetricsError, match="no weighted MOS: 6 votes a clip"):
        list(few.rows("weighted"))
    assert listening_test(few.ratings, weighted=True).weighted is not None
    many = listening_test(of_table(simulated(0)))
    assert many.weighted is not None
    assert listening_test(many.ratings, weighted=False).weighted is None


def test_floor_follows_the_scale() -> None:
    table = simulated(0)
    narrow, wide = listening_test(of_table(table)), listening_test(of_table((table - 1) * 25, scale=(0, 100)))
    assert narrow.weighted is not None
    assert wide.weighted is not None
    assert wide.weighted.mos == pytest.approx((narrow.weighted.mos - 1) * 25, abs=1e-4)
    assert wide.sos == pytest.approx(narrow.sos)
    assert wide.alpha == pytest.approx(narrow.alpha)


def test_a_floor_that_binds_is_told() -> None:
    rows_ = ["12334455", "12233445", "23344555", "11324354", "31252435"]
    table = np.array([[float(vote) for vote in row] for row in rows_])
    test = listening_test(of_table(table), weighted=True)
    assert any("inconsistency of 2 raters is held at its floor" in note for note in test.notes())


@pytest.mark.parametrize("estimate", ["mean", "unbiased", "weighted"])
def test_rows_are_a_reference(estimate: str) -> None:
    test = listening_test(of_table(simulated(1), 4))
    paired = pair(rows(test, estimate=estimate), {"same": rows(test)})
    mos = {"mean": test.clips, "unbiased": test.unbiased, "weighted": test.weighted}[estimate]
    assert mos is not None
    assert np.asarray(paired.ref) == pytest.approx(mos.mos)
    assert len(paired.systems) == 4
    assert paired.noise is not None
    assert np.asarray(paired.noise) == pytest.approx(mos.std**2 / 12)


def test_rows_without_flagged_raters_and_without_votes() -> None:
    table = np.append(simulated(0), np.full((12, 1), np.nan), axis=1)
    table[3] = 6 - table[3]
    table[3, 40] = 2
    test = listening_test(of_table(table, corpus=["c"] * int((~np.isnan(table)).sum())))
    assert test.left_out is not None
    assert test.left_out.unheard == 1
    found = list(test.rows(without_flagged=True))
    assert [row["votes"] for row in found] == [11] * 40
    last = list(test.rows())[-1]
    assert last == {"sample_id": "u040", "corpus": "c", "metrics": {"mos": 2.0}, "votes": 1}


NAN = math.nan


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ([[1, 2, 3, 4, 5]], "one rater: agreement, screening and ceiling need two or more"),
        (
            [[1, NAN, NAN], [NAN, 2, NAN], [NAN, NAN, 4]],
            "3 of 3 clips have one vote: no interval, no agreement",
        ),
        (
            [[1, NAN, NAN], [NAN, 2, NAN], [NAN, NAN, 4]],
            "too few votes to tell clips, raters and chance apart: no ceiling",
        ),
        (
            [[1, NAN], [3, NAN], [NAN, 2], [NAN, 5]],
            "too few votes to tell clips, raters and chance apart: the ceiling takes raters to err independently",
        ),
        ([[3, 3, 3], [3, 3, 3]], "all votes are the same: agreement and correlations are undefined"),
        (
            [[3, 4, NAN, NAN], [3, 5, NAN, NAN], [NAN, NAN, 1, 2]],
            "raters fall into 2 groups that share no clip",
        ),
        ([[3, 3, 3, 3, 3], [4, 4, 4, 4, 4]], "all raters are flagged"),
        (
            [[1, 2, 3], [2, 3, 3]],
            "BT.500 can never flag who differs alone from votes that agree, among 21 votes or fewer, as 3 of 3",
        ),
        ([[1]], "one rater"),
    ],
)
def test_degenerate_tests_are_told(table: list[list[float]], told: str) -> None:
    test = listening_test(of_table(np.array(table, float)))
    assert any(note.startswith(told) for note in test.notes())


def test_many_random_designs_give_figures_or_nan() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        table = rng.integers(1, 6, (rng.integers(1, 6), rng.integers(1, 9))).astype(float)
        table[rng.random(table.shape) < rng.random()] = np.nan
        table.flat[0] = 3
        test = listening_test(of_table(table, int(rng.integers(0, 4))), weighted=True)
        heard = test.ratings.votes.of_clip > 0
        assert np.isfinite(test.clips.mos[heard]).all()
        assert np.isfinite(test.unbiased.mos[heard]).all()
        assert not any(math.isinf(v) for v in [*test.alpha.values(), *test.icc.values(), test.sos])


def test_without_all_raters_there_are_no_rows() -> None:
    test = listening_test(of_table(np.full((3, 6), 4.0)))
    with pytest.raises(MetricsError, match="all raters are flagged; without them there is no MOS"):
        list(test.rows(without_flagged=True))
    assert len(list(test.rows())) == 6


def test_a_clip_is_lost_only_if_it_had_votes() -> None:
    table = simulated(1)
    table[3] = 6 - table[3]
    table[:, 0] = math.nan
    table[:3, 1] = table[4:, 1] = math.nan
    names = (
        [f"u{c}" for _ in range(12) for c in range(40)],
        [f"r{r:02d}" for r in range(12) for _ in range(40)],
    )
    test = listening_test(ratings_of(*names, table.ravel()))
    assert np.flatnonzero(test.screening.flagged).tolist() == [3]
    assert test.left_out is not None
    assert test.left_out.unheard == 1
