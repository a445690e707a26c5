"""The bootstrap: the same draws and figures in NumPy and compiled, against plain Python, item by item."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from sqa_metrics.figures import FIGURES
from sqa_metrics.kernels import bootstrap, choose, plain, rank, resampling

FIGURES_OF = {name: figure.function for name, figure in FIGURES.items()}


@pytest.fixture(params=["arrays", "many items", "compiled"])
def way(request, monkeypatch):
    """How resamples are measured: by NumPy as matrices, one by one as for many items, by the kernels."""
    monkeypatch.setattr(choose, "compiled", rank if request.param == "compiled" else None)
    monkeypatch.setattr(choose, "load", lambda: None)
    monkeypatch.setattr(bootstrap, "SIGNS", 10 if request.param == "many items" else 4000)
    monkeypatch.setattr(bootstrap, "COLUMNS", 64)
    return request.param


def resample(ref, preds, starts, resamples, seed):
    return bootstrap.bootstrap(ref, preds, starts, resamples, seed, FIGURES_OF)


def same(found, expected):
    return found == expected or (math.isnan(found) and math.isnan(expected))


@pytest.mark.parametrize("n", [2, 30, 400])
def test_figures_of_counts(way, n):
    rng = np.random.default_rng(n)
    ref = rng.integers(0, 5, n) / 4
    preds = np.stack(
        [
            rng.normal(size=n),
            rng.integers(8, 41, n) / 8,
            np.full(n, 0.1),
            np.arange(n) / 3,
            rng.normal(size=n) * 1e200,
        ]
    )
    counts = rng.integers(0, 6, (6, n))
    counts[0] = 0
    counts[0, 0] = 2 * n  # nothing but copies of one item: undefined
    found = bootstrap.of_counts(ref, preds, counts, FIGURES_OF)
    assert found.shape == (6, len(preds), 4)
    for r, row in enumerate(counts):
        kept = np.repeat(np.arange(n), row)
        for m, pred in enumerate(preds):
            expected = plain.four(ref[kept].tolist(), pred[kept].tolist())
            assert found[r, m] == pytest.approx(list(expected.values()), rel=1e-9, abs=1e-12, nan_ok=True)
            assert found[r, m, 3] == pytest.approx(expected["ktau"], rel=1e-15, nan_ok=True)


def test_a_figure_of_its_own_is_measured_on_the_items_drawn(way):
    ref, preds = np.arange(20.0), np.stack([np.arange(20.0) ** 2])
    counts = np.random.default_rng(0).integers(0, 3, (5, 20))
    figures = {"largest": lambda x, y: float(y.max() - x.max())} | FIGURES_OF
    found = bootstrap.of_counts(ref, preds, counts, figures)
    assert found[:, 0, 1:] == pytest.approx(bootstrap.of_counts(ref, preds, counts, FIGURES_OF)[:, 0])
    for row, value in zip(counts, found[:, 0, 0], strict=True):
        last = np.flatnonzero(row)[-1]
        assert value == last**2 - last


def test_no_item_drawn_is_undefined(way):
    ref = np.arange(5.0)
    assert np.isnan(bootstrap.of_counts(ref, ref[None], np.zeros((1, 5)), FIGURES_OF)).all()


class Stream:
    """SplitMix64 in Python's integers, as `draw` says it uses it."""

    MASK = (1 << 64) - 1

    def __init__(self, state):
        self.state = state

    @classmethod
    def mix(cls, z):
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & cls.MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & cls.MASK
        return z ^ (z >> 31)

    def below(self, k):
        self.state = (self.state + 0x9E3779B97F4A7C15) & self.MASK
        return ((self.mix(self.state) >> 32) * int(k)) >> 32


def test_bootstrap_against_a_loop(way):
    rng = np.random.default_rng(0)
    starts = np.array([0, 3, 10, 40, 41, 60, 100])
    ref, preds = rng.integers(0, 20, 100) / 4, rng.normal(size=(2, 100))
    found = resample(ref, preds, starts, 12, 7)
    for t in range(12):
        systems = Stream(Stream.mix((Stream.mix(7) + t) & Stream.MASK))
        utterances, drawn = Stream(Stream.mix(systems.state)), []
        for _ in range(6):
            c = systems.below(6)
            begin, size = int(starts[c]), int(starts[c + 1] - starts[c])
            drawn += [begin + utterances.below(size) for _ in range(size)]
        for m, pred in enumerate(preds):
            expected = list(plain.four(ref[drawn].tolist(), pred[drawn].tolist()).values())
            assert found[t, m] == pytest.approx(expected, rel=1e-11, abs=1e-12)


def test_bootstrap_is_the_same_in_any_number_of_threads(way, monkeypatch):
    rng = np.random.default_rng(0)
    ref, preds, starts = rng.normal(size=200), rng.normal(size=(3, 200)), np.arange(0, 201, 20)
    whole = resample(ref, preds, starts, 3000, 1)
    monkeypatch.setattr(bootstrap, "CHUNK", 200)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    single = resample(ref, preds, starts, 3000, 1)
    few = resample(ref, preds, starts, 5, 1)
    other = resample(ref, preds, starts, 3000, 2)
    assert np.array_equal(whole, single)
    assert np.array_equal(whole[:5], few)
    assert not np.array_equal(whole, other)
    with pytest.raises(ValueError, match="starts must rise"):
        resample(ref, preds, np.array([0, 5, 5, 200]), 1, 1)


def test_both_ways_draw_alike():
    for starts in (np.array([0, 3, 10, 40, 41]), np.arange(30), np.array([0, 7])):
        counts = np.zeros((50, starts[-1]), np.int32)
        resampling.draw(starts, np.uint64(2**63 - 1), 1000, counts)
        assert np.array_equal(bootstrap._draw(starts, 2**63 - 1, range(1000, 1050)), counts)


def test_draws_are_uniform():
    """Every system equally often, every utterance of it too: chi-square of 120,000 and more draws."""
    starts = np.array([0, 5, 12, 30])
    counts = np.zeros((40_000, 30), np.int32)
    resampling.draw(starts, np.uint64(3), 0, counts)
    drawn = counts.sum(axis=0)
    assert stats.chisquare(drawn[12:]).pvalue > 1e-4
    systems = [drawn[a:b].sum() / (b - a) for a, b in itertools.pairwise(starts)]
    assert stats.chisquare(systems).pvalue > 1e-4
