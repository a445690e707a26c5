"""Intervals and tests against a second implementation, in plain loops and SciPy, on tables of every kind.

Several corpora (one with a single system), systems of unequal size, utterances without a system, ties, constants.
"""

import math
import warnings
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sqa_metrics import FIGURES, compare, compare_unpaired, intervals, pair

Row = tuple[str, str]  # corpus, system; "" for none
Items = list[tuple[float, list[float]]]  # reference, predictions


def figure(name: str, x: list[float], y: list[float]) -> float:
    if name == "mse":
        return float(np.mean((np.array(x) - y) ** 2))
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    function: Any = {"lcc": stats.pearsonr, "srcc": stats.spearmanr, "ktau": stats.kendalltau}[name]
    return float(np.clip(function(x, y)[0].round(13), -1, 1))


def moved(name: str, value: float, n: int) -> float:
    """On the scale where errors are alike."""
    most = {"srcc": 1 - 6 / (n**3 - n), "ktau": 1 - 2 / (n * (n - 1))}.get(name, 1.0) if n > 1 else 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(np.log(value) if name == "mse" else np.arctanh(np.clip(value, -most, most)))


def clusters_of(rows: list[Row], items: Items, of_systems: bool) -> dict[Any, Items]:
    found: dict[Any, Items] = {}
    for k, (row, item) in enumerate(zip(rows, items, strict=True)):
        if row[1] or not of_systems:
            found.setdefault((*row,) if row[1] else (row[0], "", k), []).append(item)
    if not of_systems:
        return found
    return {
        key: [(float(np.mean([x for x, _ in own])), np.mean([p for _, p in own], axis=0).tolist())]
        for key, own in found.items()
    }


def strata_of(clusters: dict[Any, Items]) -> list[list[int]]:
    """The clusters of each corpus; that of one cluster goes with the largest."""
    corpora = [key[0] for key in clusters]
    largest = max(sorted(set(corpora)), key=corpora.count)
    joined = [c if corpora.count(c) > 1 else largest for c in corpora]
    return [[k for k, c in enumerate(joined) if c == name] for name in sorted(set(joined))]


def freedom_of(clusters: dict[Any, Items]) -> float:
    sizes = np.array([len(own) for own in clusters.values()], float)
    return sum(float(sizes[s].sum()) ** 2 / float((sizes[s] ** 2).sum()) - 1 for s in strata_of(clusters))


def jackknife(values: list[float], clusters: dict[Any, Items]) -> float:
    return sum((len(s) - 1) * float(np.var([values[k] for k in s])) for s in strata_of(clusters))


def left_out(name: str, clusters: dict[Any, Items], k: int) -> tuple[float, int, list[float], list[int]]:
    """The figure of predictor k and its number of items; and without each cluster."""

    def of(keys: list[Any]) -> tuple[float, int]:
        items = [item for key in keys for item in clusters[key]]
        return figure(name, [x for x, _ in items], [p[k] for _, p in items]), len(items)

    without = [of([key for key in clusters if key != own]) for own in clusters]
    return *of(list(clusters)), [v for v, _ in without], [n for _, n in without]


def table(seed: int) -> tuple[list[Row], Items]:
    rng = np.random.default_rng(seed)
    rows: list[Row] = []
    for corpus in range(seed % 3 + 1):
        systems = 1 if corpus == 1 and seed % 2 else int(rng.integers(5, 9))
        for system in range(systems):
            rows += [(f"c{2 - corpus}", f"s{system}")] * int(rng.integers(1, 6))
        rows += [(f"c{2 - corpus}", "")] * int(rng.integers(0, 4) * (seed % 4 > 1))
    quality = {row: rng.normal(3, 0.8) for row in rows}
    x = np.array([quality[row] for row in rows]) + rng.normal(0, 0.4, len(rows))
    preds = [x + rng.normal(0, 0.5, len(rows)) for _ in range(2)]
    if seed % 5 == 1:
        x, preds = x.round(), [p.round() for p in preds]
    if seed % 5 == 2:
        preds[1] = np.full(len(rows), 3.0)
    return rows, list(zip(x.tolist(), np.transpose(preds).tolist(), strict=True))


@pytest.mark.parametrize("seed", range(12))
def test_intervals_and_tests_are_those_of_plain_loops(seed: int) -> None:
    rows, items = table(seed)
    paired = pair(
        [x for x, _ in items],
        {f"p{k}": [p[k] for _, p in items] for k in range(2)},
        system=[system for _, system in rows],
        corpus=[corpus for corpus, _ in rows],
        scale=(-100, 100),
    )
    found = intervals(paired)
    tests = {(d.level, d.metric): d for d in compare(paired)}
    for level in ("utterance", "system"):
        clusters = clusters_of(rows, items, level == "system")
        n, freedom = len(clusters), freedom_of(clusters)
        for name in FIGURES:
            sides = [left_out(name, clusters, k) for k in range(2)]
            scaled = []
            for k, (value, size, without, sizes) in enumerate(sides):
                each = [moved(name, v, s) for v, s in zip(without, sizes, strict=True)]
                scaled.append((moved(name, value, size), each))
                if name != "mse" and abs(value) == 1:
                    continue
                v = jackknife(each, clusters)
                if level == "system":
                    theory = {"mse": 2 / n, "lcc": 1 / (n - 3), "srcc": (1 + value**2 / 2) / (n - 3)}
                    v = (freedom * v + 6 * theory.get(name, 0.437 / (n - 4))) / (freedom + 6)
                sure = 6 * (level == "system" and name == "lcc")
                half = stats.t.ppf(0.975, freedom + sure) * math.sqrt(v) if v == v else math.nan
                back = math.exp if name == "mse" else math.tanh
                expected = [back(scaled[k][0] + sign * half) for sign in (-1, 1)]
                own = found[k][level][name]
                assert [own.low, own.high] == pytest.approx(expected, rel=1e-6, nan_ok=True), (level, name, k)
            if name != "mse" and any(abs(side[0]) == 1 for side in sides):
                continue
            if name == "mse":
                scaled = [(value, without) for value, _, without, _ in sides]
            error = math.sqrt(
                jackknife([a - b for a, b in zip(*(s[1] for s in scaled), strict=True)], clusters)
            )
            p = 2 * stats.t.sf(abs(scaled[0][0] - scaled[1][0]) / error, freedom)
            assert tests[level, name].p == pytest.approx(p, rel=1e-6, nan_ok=True), (level, name)


@pytest.mark.parametrize("seed", range(8))
def test_unpaired_tests_are_those_of_plain_loops(seed: int) -> None:
    """Two predictors on other utterances of six systems, in nearly perfect order: the fewer items and degrees count."""
    rng = np.random.default_rng(seed)
    parts, levels = [], []
    for k in range(2):
        rows = [("", f"s{s}") for s in range(6) for _ in range(int(rng.integers(1, 3 + k)))]
        x = np.array([int(s[1:]) for _, s in rows]) + rng.normal(0, 0.1, len(rows))
        y = x + rng.normal(0, 0.2, len(rows))
        parts.append(pair(x, {f"p{k}": y}, system=[s for _, s in rows], scale=(-100, 100)))
        levels.append(clusters_of(rows, [(a, [b]) for a, b in zip(x, y, strict=True)], False))
    tests = {d.metric: d for d in compare_unpaired(parts)[1] if d.level == "utterance"}
    freedom = min(map(freedom_of, levels))
    for name in FIGURES:
        (a, n_a, each_a, sizes_a), (b, n_b, each_b, sizes_b) = (left_out(name, c, 0) for c in levels)
        if name != "mse" and 1 in (abs(a), abs(b)):
            continue
        few = list(map(min, [n_a, *sizes_a], [n_b, *sizes_b]))
        one, other = (
            list(values) if name == "mse" else [moved(name, v, n) for v, n in zip(values, few, strict=True)]
            for values in ([a, *each_a], [b, *each_b])
        )
        off = [p - q for p, q in zip(one, other, strict=True)]
        p = 2 * stats.t.sf(abs(off[0]) / math.sqrt(jackknife(off[1:], levels[0])), freedom)
        assert tests[name].p == pytest.approx(p, rel=1e-6), name
