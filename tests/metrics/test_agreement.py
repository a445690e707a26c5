"""The public metrics against SciPy, and their behaviour on everything that is not a plain list of scores."""

import json
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sqa_metrics.agreement import (
    ConstantInputWarning,
    OmittedWarning,
    four,
    ktau_many,
    ktau_matrix,
    lcc,
    mse,
    srcc,
)
from sqa_metrics.figures import FIGURES
from sqa_metrics.kernels import arrays, plain, rank

METRICS = {name: figure.function for name, figure in FIGURES.items()}

SCIPY = {
    "mse": lambda x, y: np.mean((x - y) ** 2),
    "lcc": lambda x, y: stats.pearsonr(x, y)[0],
    "srcc": lambda x, y: stats.spearmanr(x, y)[0],
    "ktau": lambda x, y: stats.kendalltau(x, y)[0],
}


def sample(kind, n, rng):
    return {
        "continuous": lambda: rng.normal(size=n),
        "votes": lambda: rng.integers(8, 41, n) / 8,
        "binary": lambda: rng.integers(0, 2, n).astype(float),
        "float32": lambda: rng.normal(size=n).astype(np.float32).astype(np.float64),
        "percent": lambda: rng.integers(0, 300, n) / 3,
    }[kind]()


@pytest.mark.parametrize("n", [3, 20, 159, 161, 640, 2500])
@pytest.mark.parametrize("kind", ["continuous", "votes", "binary", "float32", "percent"])
def test_equal_to_scipy(engine, kind, n):
    rng = np.random.default_rng(n)
    x, y = sample(kind, n, rng), np.round(rng.normal(size=n), 2)
    x[:2], y[:2] = (0, 1), (0, 1)  # never constant
    for name, metric in METRICS.items():
        for a, b in ((x, y), (y, x), (x, -x)):
            assert metric(a, b) == pytest.approx(SCIPY[name](a, b), abs=1e-12, rel=1e-12)
            assert four(a, b)[name] == metric(a, b)


def test_real_predictors(engine, shared):
    """The figures of ../shared/data/scores were computed by pandas and SciPy."""
    folder = shared / "data" / "scores"
    expected = json.loads((folder / "expected.json").read_text())

    def read(name):
        rows = map(json.loads, (folder / name).read_text().splitlines())
        return {row["sample_id"]: row["metrics"]["mos"] for row in rows}

    ref = read("bvcc_rerated_ref.jsonl")
    for predictor in ("utmos", "ssl_mos"):
        pred = read(f"bvcc_{predictor}_pred.jsonl")
        ids = sorted(ref.keys() & pred.keys())
        assert len(ids) == expected[predictor]["matched_utterances"]
        result = four([ref[i] for i in ids], [pred[i] for i in ids])
        assert result == pytest.approx(expected[predictor]["utterance"], abs=1e-12)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 64, 1000, 3000])
def test_perfect_ranking_is_exactly_one(engine, n):
    x = np.arange(n) / 7
    if n > 1:
        assert four(x, x)["lcc"] == pytest.approx(1)
        assert (four(x, x)["srcc"], four(x, x)["ktau"]) == (1.0, 1.0)
        assert (four(x, -x)["srcc"], four(x, -x)["ktau"]) == (-1.0, -1.0)
        assert METRICS["ktau"](x, np.exp(-x)) == -1.0
    assert mse(x, x) == 0


@pytest.mark.parametrize("name", ["lcc", "srcc", "ktau"])
@pytest.mark.parametrize(
    ("ref", "pred", "found"),
    [
        ([], [], "0 pair"),
        ([1.0], [2.0], "1 pair"),
        ([0.1] * 3, [1.0, 2.0, 3.0], "all values of ref"),
        ([1.0, 2.0, 3.0] * 100, [0.1] * 300, "all values of pred"),
        ([0.0, -0.0], [1.0, 2.0], "all values of ref"),
    ],
)
def test_constant_input_warns(engine, name, ref, pred, found):
    with pytest.warns(ConstantInputWarning, match=found):
        assert math.isnan(METRICS[name](ref, pred))
    with pytest.warns(ConstantInputWarning, match=found):
        result = four(ref, pred)
    assert math.isnan(result[name])


def test_mse_of_nothing_warns(engine):
    with pytest.warns(ConstantInputWarning, match="0 pair"):
        assert math.isnan(mse([], []))
    assert mse([1.0], [3.0]) == 4


def test_negative_zero_is_zero(engine):
    x, zeros = [0.0, -0.0, 1.0, 2.0], [0.0, 0.0, 1.0, 2.0]
    assert four(x, x) == four(zeros, zeros) == {"mse": 0, "lcc": 1, "srcc": 1, "ktau": 1}


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("n", [4, 500, 2500])
@pytest.mark.parametrize("name", [*METRICS, "four"])
def test_non_finite_names_the_place(engine, name, n, bad):
    metric = METRICS.get(name, four)
    good, broken = [float(i % 7) for i in range(n)], [float(i) for i in range(n)]
    broken[3] = bad
    for ref, pred, where in ((broken, good, "ref"), (good, broken, "pred"), (broken, broken, "ref")):
        with pytest.raises(ValueError, match=rf"^{where}\[3\] is {bad}; expected finite"):
            metric(ref, pred)
    with pytest.warns(OmittedWarning, match=f"left out 1 of {n} pairs"):
        result = metric(good, broken, nan_policy="omit")
    assert result == metric(good[:3] + good[4:], broken[:3] + broken[4:])


def test_wrong_arguments_are_named(engine):
    with pytest.raises(ValueError, match="ref has 2 values and pred has 3"):
        mse([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="nan_policy is 'skip'"):
        mse([1.0], [1.0], nan_policy="skip")
    for bad in (["a", "b"], [[1.0], [2.0]], [None, 1.0]):
        with pytest.raises(ValueError, match=r"^pred"):
            mse([1.0, 2.0], bad)
    with pytest.raises(ValueError, match=r"^ref (is float|has shape)"):
        mse(1.0, 2.0)


def test_any_sequence_of_numbers(engine):
    x, y = [1, 2, 4, 3], [2.5, 1, 4, 3]
    expected = four(x, y)
    wide = np.zeros((4, 2))
    wide[:, 0] = y
    frozen = np.array(x, dtype=np.float32)
    frozen.flags.writeable = False
    for ref, pred in (
        (tuple(x), y),
        (np.array(x), wide[:, 0]),
        (frozen, np.array(y)),
        (np.array(x)[::-1], y[::-1]),
    ):
        assert four(ref, pred) == pytest.approx(expected, rel=1e-15)
    assert x == [1, 2, 4, 3]


@pytest.mark.parametrize("scale", [1e-320, 1e-200, 1e-100, 1e100, 1e200, 1e307])
def test_extreme_scales(engine, scale):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50))
    if scale == 1e-320:  # denormals keep few digits: compare what is left of them
        x, y = np.round(x, 1) * scale, np.round(y, 1) * scale
        assert lcc(x, y) == pytest.approx(lcc(x * 2.0**1000, y * 2.0**1000), rel=1e-12)
    else:
        assert lcc(x * scale, y) == pytest.approx(lcc(x, y), rel=1e-12)
        assert srcc(x * scale, y * scale) == srcc(x, y)
    with np.errstate(over="ignore"):
        assert mse(x * scale, y * scale) >= 0


scores = st.one_of(
    st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6)), max_size=60),
    st.lists(st.tuples(st.sampled_from([-1.5, -0.0, 0.0, 1e-300]), st.integers(1, 3)), max_size=60),
)


@given(scores)
@settings(deadline=None)
def test_all_ways_agree(pairs):
    """Ranks to the last bit, sums to rounding; symmetric in the two arguments."""
    x, y = [float(a) for a, _ in pairs], [float(b) for _, b in pairs]
    expected = plain.four(x, y)
    for way in (arrays, rank):
        found = way.four(np.array(x), np.array(y))
        for name in METRICS:
            assert found[name] == pytest.approx(expected[name], rel=1e-9, abs=1e-9, nan_ok=True)
            assert getattr(way, name)(np.array(x), np.array(y)) == pytest.approx(found[name], nan_ok=True)
        for name in ("srcc", "ktau"):
            assert math.isnan(expected[name]) == math.isnan(found[name])
            assert math.isnan(expected[name]) or expected[name] == found[name] == plain.four(y, x)[name]


def test_cold_start_imports_nothing():
    code = (
        "import sys, sqa_metrics.agreement as a; print(a.four([1.0, 2.0], [1.0, 2.0]));"
        "sys.exit(bool({'numpy', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'ktau': 1.0" in done.stdout


def test_many_and_matrix():
    rng = np.random.default_rng(0)
    for n in (30, 700, 2500):
        ref, preds = rng.integers(0, 9, n) / 8, rng.normal(size=(5, n))
        preds[3] = preds[3].round(1)
        expected = [stats.kendalltau(ref, p)[0] for p in preds]
        assert ktau_many(ref, preds) == pytest.approx(expected, abs=1e-12)
        matrix = ktau_matrix(preds)
        assert matrix == pytest.approx(
            np.array([[stats.kendalltau(p, q)[0] for q in preds] for p in preds]), abs=1e-12
        )
    with pytest.raises(ValueError, match=r"^preds\[1\] has 2 values; expected 3"):
        ktau_many([1.0, 2.0, 3.0], [[1.0, 2.0, 3.0], [1.0, 2.0]])
    with pytest.raises(ValueError, match=r"^preds\[0\]\[1\] is nan"):
        ktau_many([1.0, 2.0], [[1.0, math.nan]])
    with pytest.warns(ConstantInputWarning, match="1 of 2"):
        ktau_many([1.0, 2.0], [[1.0, 1.0], [1.0, 2.0]])
    assert ktau_many([1.0, 2.0], []).shape == (0,)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ktau_matrix([[1.0, 2.0]]).tolist() == [[1.0]]
