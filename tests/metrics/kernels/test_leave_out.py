"""Figures without each cluster: from sums in NumPy and compiled, against plain Python on what is left."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from sqa_metrics.figures import FIGURES
from sqa_metrics.kernels import choose, leave_out, leave_out_arrays, leave_out_loops, plain, rank

FIGURES_OF = {name: figure.function for name, figure in FIGURES.items()}


@pytest.fixture(params=["arrays", "compiled"])
def way(request, monkeypatch):
    monkeypatch.setattr(choose, "compiled", rank if request.param == "compiled" else None)
    monkeypatch.setattr(choose, "load", lambda: None)
    return request.param


def predictors(n, rng):
    return np.stack(
        [
            rng.normal(size=n),
            rng.integers(8, 41, n) / 8,
            np.full(n, 0.1),
            np.arange(n) / 3,
            rng.normal(size=n) * 1e200,
        ]
    )


@pytest.mark.parametrize(
    ("n", "cuts"),
    [
        (5, range(1, 5)),
        (7, [3]),
        (40, [1, 2, 5, 20, 21]),
        (300, range(1, 300)),
        (300, [50, 51, 53, 90, 200, 299]),
        (60, range(3, 60, 3)),
        (5000, [1, 700, 4200]),
    ],
)
@pytest.mark.parametrize("discrete", [True, False])
def test_figures_of_what_is_left(way, n, cuts, discrete):
    rng = np.random.default_rng(n)
    ref = rng.integers(0, 5, n) / 4 if discrete else rng.normal(size=n)
    preds = np.vstack([predictors(n, rng), [ref, -ref]])
    starts = np.array([0, *cuts, n])
    found = leave_out.leave_out(ref, preds, starts, FIGURES_OF)
    assert found.shape == (len(starts) - 1, len(preds), 4)
    for c, (begin, end) in enumerate(itertools.pairwise(starts)):
        left = np.r_[0:begin, end:n]
        for m, pred in enumerate(preds):
            expected = list(plain.four(ref[left].tolist(), pred[left].tolist()).values())
            assert found[c, m] == pytest.approx(expected, rel=1e-11, abs=1e-13, nan_ok=True)
            # the rank figures are of integers
            assert found[c, m, 2:] == pytest.approx(expected[2:], rel=0, abs=0, nan_ok=True)


def test_beyond_64_bits_floats_serve(way, monkeypatch):
    rng = np.random.default_rng(0)
    ref, preds, starts = rng.normal(size=90), rng.normal(size=(2, 90)).round(1), np.arange(0, 91, 9)
    exact = leave_out.leave_out(ref, preds, starts, FIGURES_OF)
    monkeypatch.setattr(leave_out, "EXACT", 10)
    assert leave_out.leave_out(ref, preds, starts, FIGURES_OF) == pytest.approx(exact, rel=1e-14)


def test_a_figure_of_its_own_is_measured_on_what_is_left(way):
    ref, preds = np.arange(20.0), np.stack([np.arange(20.0) ** 2])
    figures = {"largest": lambda x, y: float(y.max() - x.max())} | FIGURES_OF
    found = leave_out.leave_out(ref, preds, np.array([0, 5, 12, 20]), figures)
    assert found[:, 0, 0].tolist() == [19**2 - 19, 19**2 - 19, 11**2 - 11]
    same = leave_out.leave_out(ref, preds, np.array([0, 5, 12, 20]), FIGURES_OF)
    assert np.array_equal(found[:, 0, 1:], same[:, 0])


def test_the_same_in_any_number_of_threads(way, monkeypatch):
    rng = np.random.default_rng(0)
    ref, preds, starts = rng.normal(size=900), rng.normal(size=(30, 900)), np.arange(0, 901, 9)
    several = leave_out.leave_out(ref, preds, starts, FIGURES_OF)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    assert np.array_equal(several, leave_out.leave_out(ref, preds, starts, FIGURES_OF))


@pytest.mark.parametrize("steps", [(0, 0), (8, 0), (0, 8), (8, 8)])
def test_many_items_of_clusters_of_any_size(steps):
    """Compiled, against SciPy: the largest clusters have more levels than 16 bits count."""
    rng, n = np.random.default_rng(0), 100_000
    ref = rng.normal(3, 1, n)
    sides = [ref, ref + rng.normal(size=n)]
    ref, pred = (np.round(v * k) / k if k else v for v, k in zip(sides, steps, strict=True))
    starts = np.array([0, 1, 3, 10, 40_000, 90_000, 90_001, 99_000, 99_500, 99_999, n])
    paths = leave_out.leave_out(ref, np.stack([pred, -pred]), starts, FIGURES_OF)
    for c, (begin, end) in enumerate(itertools.pairwise(starts)):
        left = np.r_[0:begin, end:n]
        x, y = ref[left], pred[left]
        srcc, ktau = stats.spearmanr(x, y)[0], stats.kendalltau(x, y)[0]
        expected = [((x - y) ** 2).mean(), np.corrcoef(x, y)[0, 1], srcc, ktau]
        assert paths[c, 0] == pytest.approx(expected, rel=1e-11)
        assert paths[c, 1, 1:].tolist() == (-paths[c, 0, 1:]).tolist()


def test_minus_zero_is_zero(way):
    ref, pred = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -0.0]), np.array([-0.0, 1.0, 0.0, -0.0, 3.0, 0.0])
    starts = np.array([0, 2, 3, 6])
    found = leave_out.leave_out(ref, pred[None], starts, FIGURES_OF)
    assert np.array_equal(found, leave_out.leave_out(ref + 0.0, pred[None] + 0.0, starts, FIGURES_OF), True)
    assert found[2, 0].tolist() == pytest.approx(list(plain.four([0, 0, 1], [0, 1, 0]).values()))


def test_of_one_system_nothing_is_left(way):
    ref = np.arange(9.0)
    assert np.isnan(leave_out.leave_out(ref, ref[None], np.array([0, 9]), FIGURES_OF)).all()


@pytest.mark.parametrize("starts", [[0, 5, 5, 20], [1, 20], [0, 19]])
def test_clusters_cover_the_items(starts):
    with pytest.raises(ValueError, match="starts must rise"):
        leave_out.leave_out(np.arange(20.0), np.zeros((1, 20)), np.array(starts), FIGURES_OF)


@pytest.mark.parametrize(
    "inversions_of_each", [leave_out_arrays.inversions_of_each, leave_out_loops.inversions_of_each]
)
@pytest.mark.parametrize("n", [1, 2, 3, 31, 64, 100, 4096, 4097])
def test_inversions_of_each(inversions_of_each, n):
    permutation = np.random.default_rng(n).permutation(n)
    place = np.arange(n)
    expected = [int(((permutation[i] - permutation) * (i - place) < 0).sum()) for i in range(n)]
    assert inversions_of_each(permutation).tolist() == expected


def test_what_cannot_be_left_out_is_undefined(way):
    found = leave_out.leave_out(np.arange(2.0), np.arange(2.0)[None], np.array([0, 1, 2]), FIGURES_OF)
    assert all(math.isnan(v) for v in found[:, 0, 1:].ravel())
    assert found[:, 0, 0].tolist() == [0, 0]
