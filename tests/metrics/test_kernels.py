"""The compiled kernels against the plain definitions: heavy ties, every size, exact integers, resampling."""

import itertools
import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sqa_metrics import _jit, _kernels, _plain

FORMS = {
    "continuous": lambda rng, n: rng.normal(size=n),
    "sorted": lambda rng, n: np.arange(n) / 3,
    "reversed": lambda rng, n: -np.arange(n) / 3,
    "equal": lambda rng, n: np.full(n, 0.1),
    "binary": lambda rng, n: rng.integers(0, 2, n).astype(float),
    "signed zeros": lambda rng, n: rng.choice([0.0, -0.0, 1.0], n),
    "votes": lambda rng, n: rng.integers(8, 41, n) / 8,
    "90 levels": lambda rng, n: rng.integers(0, 90, n) / 7,
    "900 levels": lambda rng, n: rng.integers(0, 900, n) / 7,
    "float32": lambda rng, n: rng.normal(size=n).astype(np.float32).astype(np.float64),
    # Differences in the last bits beside huge values: keys do not pack exactly and must be repaired
    "crowded": lambda rng, n: 1 + rng.integers(0, n + 1, n) * 2.0**-52 - 1e300 * (rng.random(n) < 0.1),
}


def same(found, expected):
    return found == expected or (math.isnan(found) and math.isnan(expected))


@pytest.mark.parametrize("form_x", FORMS)
@pytest.mark.parametrize("n", [1, 2, 3, 20, 161, 640, 4097])
def test_ranks_agree_to_the_last_bit(n, form_x):
    rng = np.random.default_rng(n)
    for form_y in FORMS.values():
        x, y = FORMS[form_x](rng, n), form_y(rng, n)
        a, b = x.tolist(), y.tolist()
        tau, srcc = _plain.ktau(a, b), _plain.srcc(a, b)
        assert same(_kernels.ktau(x, y), tau)
        assert same(_kernels.srcc(x, y), srcc)
        general = _kernels._against(_kernels._order(x), y)  # the general way, also where another is chosen
        assert same(general.tau, tau)
        assert same(general.srcc, srcc)


levels = st.sampled_from([0.0, -0.0, 1.0, 1.0 + 2.0**-52, 1.5, -2.0, 1e300, 5e-324])
anything = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=300)
@given(st.one_of(st.lists(st.tuples(levels, levels)), st.lists(st.tuples(anything, levels))))
def test_any_floats(pairs):
    x, y = np.array(pairs, dtype=float).reshape(-1, 2).T.copy()
    expected_tau, expected_srcc = _plain.ktau(x.tolist(), y.tolist()), _plain.srcc(x.tolist(), y.tolist())
    assert same(_kernels.ktau(x, y), expected_tau)
    assert same(_kernels.srcc(x, y), expected_srcc)
    if x.size:
        general = _kernels._against(_kernels._order(x), y)
        assert same(general.tau, expected_tau)
        assert same(general.srcc, expected_srcc)
        discrete = _kernels._discrete(x, y, True)
        assert discrete is None or same(discrete.tau, expected_tau)


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 255, 256, 4095, 4096, 4097, 70_000])
def test_inversions(n):
    """Known counts: sorted, reversed, one swap; and a random permutation against a merge count in NumPy."""

    def count(values):
        return _jit.inversions(values.astype(np.uint32), np.empty(n, np.uint32))

    identity = np.arange(n)
    assert count(identity) == 0
    assert count(identity[::-1]) == n * (n - 1) // 2
    assert count(np.roll(identity, 1)) == n - 1
    permutation = np.random.default_rng(n).permutation(n)
    assert count(permutation) == merged_inversions(permutation)


def merged_inversions(values):
    """Bottom-up: for each element of a right half, count the larger ones of its sorted left half."""
    values, total, width = values.copy(), 0, 1
    while width < values.size:
        for s in range(0, values.size, 2 * width):
            left, right = values[s : s + width], values[s + width : s + 2 * width]
            total += int((left.size - np.searchsorted(left, right)).sum())
            values[s : s + 2 * width] = np.sort(values[s : s + 2 * width])
        width *= 2
    return total


def test_counts_of_a_known_large_table():
    """Millions of rows, heavy ties: 64-bit sums must hold. The contingency table gives exact fractions."""
    table = np.array([[900_000, 300_001, 70_003], [200_003, 1_100_007, 400_009], [11, 600_011, 1_300_013]])
    x, y = (
        np.repeat(np.repeat([1.0, 2.0, 3.0], 3), table.ravel()),
        np.repeat([1.0, 2.0, 3.0] * 3, table.ravel()),
    )
    shuffle = np.random.default_rng(0).permutation(x.size)
    x, y = x[shuffle], y[shuffle]

    cells = {(i, j): int(table[i, j]) for i in range(3) for j in range(3)}
    pairs = [(p, q) for p, q in itertools.product(cells, cells) if p[0] < q[0]]
    weight = {(p, q): cells[p] * cells[q] for p, q in pairs}
    difference = sum(w * ((q[1] > p[1]) - (q[1] < p[1])) for (p, q), w in weight.items())
    n = x.size
    untied = [(n * n - sum(int(t) ** 2 for t in table.sum(axis=1 - axis))) // 2 for axis in (0, 1)]

    def doubled_ranks(sizes):
        ends = np.cumsum(sizes)
        return [2 * int(e) - int(t) - n for e, t in zip(ends, sizes, strict=True)]

    rank_x, rank_y = doubled_ranks(table.sum(axis=1)), doubled_ranks(table.sum(axis=0))
    products = sum(c * rank_x[i] * rank_y[j] for (i, j), c in cells.items())
    for counts in (_kernels.pair_counts(x, y), _kernels._against(_kernels._order(x), y)):
        assert counts.concordance == difference
        assert [counts.untied_x, counts.untied_y] == untied
        assert counts.rank_xy == products
        assert counts.rank_xx == sum(int(t) * r**2 for t, r in zip(table.sum(axis=1), rank_x, strict=True))
        assert counts.rank_yy == sum(int(t) * r**2 for t, r in zip(table.sum(axis=0), rank_y, strict=True))
    assert Fraction(counts.concordance) ** 2 <= untied[0] * untied[1]


@pytest.mark.slow
def test_ten_million_distinct_rows():
    """Beyond what 32 bits, and the cubes in 64 bits, hold; not all bits of such keys can be packed."""
    n = 10_000_000
    x = np.random.default_rng(0).permutation(n) / 7.0
    assert _kernels.pair_counts(x, x).concordance == n * (n - 1) // 2
    counts = _kernels.pair_counts(x, -x)
    assert counts.concordance == -n * (n - 1) // 2
    assert -counts.rank_xy == counts.rank_xx == counts.rank_yy == (n**3 - n) // 3
    rolled = np.where(x == x.max(), -1.0, x)  # one item goes from last to first: n - 1 discordant pairs
    assert _kernels.pair_counts(x, rolled).concordance == n * (n - 1) // 2 - 2 * (n - 1)


@pytest.mark.parametrize("n", [3, 500])
def test_ranks(n):
    rng = np.random.default_rng(n)
    for form in FORMS.values():
        x = form(rng, n)
        assert _kernels.ranks(x).tolist() == stats.rankdata(x).tolist()


def test_sums_of_the_scores_keep_their_digits():
    """A million scores far from zero: within 1e-13 of the exactly rounded sums."""
    rng = np.random.default_rng(0)
    x = 1000 + rng.normal(size=1_000_000)
    y = x + rng.normal(size=x.size)
    assert _kernels.mse(x, y) == pytest.approx(_plain.mse(x.tolist(), y.tolist()), rel=1e-13)
    assert _kernels.lcc(x, y) == pytest.approx(_plain.lcc(x.tolist(), y.tolist()), rel=1e-13)


@pytest.mark.parametrize("n", [2, 30, 400])
def test_resampled(n):
    rng = np.random.default_rng(n)
    ref = rng.integers(0, 5, n) / 4
    preds = np.stack([form(rng, n) for form in FORMS.values()])
    index = rng.integers(-1, n, (6, 2 * n))
    index[:, 0] = 0
    index[0] = 0  # nothing but copies of one item: undefined
    found = _kernels.resampled(ref, preds, index)
    assert found.shape == (6, len(preds), 4)
    for r, row in enumerate(index):
        kept = row[row >= 0]
        for m, pred in enumerate(preds):
            expected = _plain.four(ref[kept].tolist(), pred[kept].tolist())
            assert found[r, m] == pytest.approx(list(expected.values()), rel=1e-9, abs=1e-12, nan_ok=True)
            assert same(found[r, m, 3], expected["ktau"])
    with pytest.raises(IndexError, match=f"index {n} is out of range for {n} items"):
        _kernels.resampled(ref, preds, np.array([[0, n]]))


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


def test_bootstrap_against_a_loop():
    rng = np.random.default_rng(0)
    starts = np.array([0, 3, 10, 40, 41, 60, 100])
    ref, preds = rng.integers(0, 20, 100) / 4, rng.normal(size=(2, 100))
    found = _kernels.bootstrap(ref, preds, starts, 12, seed=7)
    for t in range(12):
        systems = Stream(Stream.mix((Stream.mix(7) + t) & Stream.MASK))
        utterances, drawn = Stream(Stream.mix(systems.state)), []
        for _ in range(6):
            c = systems.below(6)
            begin, size = int(starts[c]), int(starts[c + 1] - starts[c])
            drawn += [begin + utterances.below(size) for _ in range(size)]
        for m, pred in enumerate(preds):
            expected = list(_plain.four(ref[drawn].tolist(), pred[drawn].tolist()).values())
            assert found[t, m] == pytest.approx(expected, rel=1e-11, abs=1e-12)


def test_bootstrap_is_the_same_in_any_number_of_threads(monkeypatch):
    rng = np.random.default_rng(0)
    ref, preds, starts = rng.normal(size=200), rng.normal(size=(3, 200)), np.arange(0, 201, 20)
    whole = _kernels.bootstrap(ref, preds, starts, 3000, seed=1)
    monkeypatch.setattr(_kernels, "CHUNK", 200)
    monkeypatch.setattr(_kernels.os, "cpu_count", lambda: 1)
    single = _kernels.bootstrap(ref, preds, starts, 3000, seed=1)
    few = _kernels.bootstrap(ref, preds, starts, 5, seed=1)
    other = _kernels.bootstrap(ref, preds, starts, 3000, seed=2)
    assert np.array_equal(whole, single)
    assert np.array_equal(whole[:5], few)
    assert not np.array_equal(whole, other)
    with pytest.raises(ValueError, match="starts must rise"):
        _kernels.bootstrap(ref, preds, np.array([0, 5, 5, 200]), 1, seed=1)


def test_draws_are_uniform():
    """Every system equally often, every utterance of it too: chi-square of 120,000 and more draws."""
    starts = np.array([0, 5, 12, 30])
    counts = np.zeros((40_000, 30), np.int32)
    _jit.draw(starts, np.uint64(3), 0, counts)
    drawn = counts.sum(axis=0)
    assert stats.chisquare(drawn[12:]).pvalue > 1e-4
    systems = [drawn[a:b].sum() / (b - a) for a, b in itertools.pairwise(starts)]
    assert stats.chisquare(systems).pvalue > 1e-4


def test_non_finite_is_refused():
    for n in (3, 500, 3000):
        x, y = np.arange(n, dtype=float), np.arange(n) % 5.0
        for bad in (math.nan, math.inf, -math.inf):
            broken = x.copy()
            broken[n - 1] = bad
            for function in (_kernels.mse, _kernels.lcc, _kernels.srcc, _kernels.ktau, _kernels.four):
                for a, b in ((broken, x), (x, broken), (broken, y), (y, broken)):
                    with pytest.raises(_kernels.NonFiniteError):
                        function(a, b)


def test_warmup_reaches_every_kernel():
    _kernels.warmup()
    called = set(re.findall(r"jit\.([a-z_]+)\(", Path(_kernels.__file__).read_text()))
    assert len(called) > 10
    for name in called:
        variants = len(getattr(_jit, name).signatures)
        assert 1 <= variants <= 2, f"{name}: {variants} compiled variants after warmup"
