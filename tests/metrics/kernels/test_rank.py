"""NumPy's way and the compiled kernels against the plain definitions: heavy ties, every size, exact integers."""

import itertools
import math
import re
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqa_metrics.kernels import arrays, inversions, packing, plain, rank, sums
from sqa_metrics.numbers import NonFiniteError

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
        tau, srcc = plain.ktau(a, b), plain.srcc(a, b)
        for way in (arrays, rank):
            assert same(way.ktau(x, y), tau)
            assert same(way.srcc(x, y), srcc)
        general = rank._against(rank._order(x), y)  # the general way, also where another is chosen
        assert same(general.tau, tau)
        assert same(general.srcc, srcc)


levels = st.sampled_from([0.0, -0.0, 1.0, 1.0 + 2.0**-52, 1.5, -2.0, 1e300, 5e-324])
anything = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.lists(st.tuples(levels, levels)), st.lists(st.tuples(anything, levels))))
def test_any_floats(pairs):
    x, y = np.array(pairs, dtype=float).reshape(-1, 2).T.copy()
    expected_tau, expected_srcc = plain.ktau(x.tolist(), y.tolist()), plain.srcc(x.tolist(), y.tolist())
    for way in (arrays, rank):
        assert same(way.ktau(x, y), expected_tau)
        assert same(way.srcc(x, y), expected_srcc)
    if x.size:
        general = rank._against(rank._order(x), y)
        assert same(general.tau, expected_tau)
        assert same(general.srcc, expected_srcc)
        discrete = rank._discrete(x, y, True)
        assert discrete is None or same(discrete.tau, expected_tau)


@pytest.mark.parametrize("n", [1, 2, 63, 64, 65, 255, 256, 4095, 4096, 4097, 70_000])
def test_inversions(n):
    """Known counts: sorted, reversed, one swap; and a random permutation against a merge count in NumPy."""

    def count(values):
        found = inversions.inversions(values.astype(np.uint32), np.empty(n, np.uint32))
        assert arrays.inversions(values) == found
        return found

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
    for counts in (
        arrays.pair_counts(x, y),
        rank.pair_counts(x, y),
        rank._against(rank._order(x), y),
    ):
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
    assert rank.pair_counts(x, x).concordance == n * (n - 1) // 2
    counts = rank.pair_counts(x, -x)
    assert counts.concordance == -n * (n - 1) // 2
    assert -counts.rank_xy == counts.rank_xx == counts.rank_yy == (n**3 - n) // 3
    rolled = np.where(x == x.max(), -1.0, x)  # one item goes from last to first: n - 1 discordant pairs
    assert rank.pair_counts(x, rolled).concordance == n * (n - 1) // 2 - 2 * (n - 1)


def test_sums_of_the_scores_keep_their_digits():
    """A million scores far from zero: within 1e-13 of the exactly rounded sums."""
    rng = np.random.default_rng(0)
    x = 1000 + rng.normal(size=1_000_000)
    y = x + rng.normal(size=x.size)
    for way in (arrays, rank):
        assert way.mse(x, y) == pytest.approx(plain.mse(x.tolist(), y.tolist()), rel=1e-13)
        assert way.lcc(x, y) == pytest.approx(plain.lcc(x.tolist(), y.tolist()), rel=1e-13)


def test_non_finite_is_refused():
    for n in (3, 500, 3000):
        x, y = np.arange(n, dtype=float), np.arange(n) % 5.0
        for bad in (math.nan, math.inf, -math.inf):
            broken = x.copy()
            broken[n - 1] = bad
            functions = [
                getattr(way, name)
                for way in (arrays, rank)
                for name in ("mse", "lcc", "srcc", "ktau", "four")
            ]
            for function in functions:
                for a, b in ((broken, x), (x, broken), (broken, y), (y, broken)):
                    with pytest.raises(NonFiniteError):
                        function(a, b)


def test_warmup_reaches_every_kernel():
    rank.warmup()
    modules = {"packing": packing, "sums": sums, "inversions": inversions}
    called = set(re.findall(r"(packing|sums|inversions)\.([a-z_]+)\(", Path(rank.__file__).read_text()))
    assert len(called) > 10
    for module, name in called:
        variants = len(getattr(modules[module], name).signatures)
        assert 1 <= variants <= 2, f"{name}: {variants} compiled variants after warmup"


@pytest.mark.slow
def test_products_of_ranks_stay_in_range_with_ties_on_both_sides() -> None:
    """From some two million items on the halves of such products left 64 bits."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=4_000_000)
    y = x.round(2) + rng.normal(size=x.size).round(1)
    assert rank.srcc(x.round(1), y) == arrays.srcc(x.round(1), y)
