"""Which way computes: each once it repays its load, and none of them is needed for the answer."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sqa_metrics import agreement
from sqa_metrics.kernels import arrays, choose, plain, rank


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """As in a process that has done nothing yet, and where nothing is cached."""
    monkeypatch.setattr(choose, "compiled", None)
    monkeypatch.setattr(choose, "_spent", 0.0)
    monkeypatch.setattr(choose, "_in_python", 0.0)
    monkeypatch.setattr(choose, "_refused", False)
    monkeypatch.setattr(choose, "_is_cached", lambda: False)
    return monkeypatch


def test_few_scores_are_computed_in_python_and_more_in_numpy(fresh: pytest.MonkeyPatch) -> None:
    assert choose.way("ktau", 20) is plain
    assert choose.way("ktau", 1000) is arrays
    fresh.delitem(sys.modules, "numpy")
    assert choose.way("ktau", 1000) is plain
    assert choose.way("ktau", int(choose.NUMPY_PRICE / choose.PLAIN_ITEM["ktau"]) + 1) is arrays


def test_numpy_is_repaid_by_figures_and_not_by_reading(fresh: pytest.MonkeyPatch) -> None:
    fresh.delitem(sys.modules, "numpy")
    assert choose.repaid(2 * choose.NUMPY_PRICE) is None  # what the compiled reader would have saved
    n = int(0.9 * choose.NUMPY_PRICE / choose.PLAIN_ITEM["ktau"])
    assert [choose.way("ktau", n), choose.way("ktau", n)] == [plain, arrays]


@pytest.mark.parametrize("cached", [False, True])
def test_kernels_come_once_the_work_has_cost_as_much(fresh: pytest.MonkeyPatch, cached: bool) -> None:
    fresh.setattr(choose, "_is_cached", lambda: cached)
    price = choose.CACHED_PRICE if cached else choose.COMPILE_PRICE
    assert choose.repaid(0.9 * price) is None
    assert choose.repaid(0.09 * price) is None
    assert choose.repaid(0.02 * price) is rank
    assert choose.way("mse", 3) is rank


def test_one_large_job_repays_at_once(fresh: pytest.MonkeyPatch) -> None:
    n = int(choose.COMPILE_PRICE / choose.ARRAY_ITEM["four"]) + 1
    assert choose.way("four", n) is rank


def test_the_cache_is_found_where_numba_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    assert choose.price() == choose.COMPILE_PRICE
    (tmp_path / "kernels_0").mkdir()
    (tmp_path / "kernels_0" / f"sums.moments-1.py3{sys.version_info[1]}.nbi").touch()
    assert choose.price() == choose.CACHED_PRICE


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


EVERYTHING = """
import io, numpy as np
from sqa_metrics import *
from sqa_metrics.kernels import choose
choose.CACHED_PRICE = choose.COMPILE_PRICE = 0
x = np.random.default_rng(0).normal(size=500); y = np.roll(x, 1)
print(ktau(x, y), ktau_many(x, [y]), ktau_matrix([x, y]).shape, warmup())
rows = ["sample_id,system_id,mos"] + [f"u{k},s{k // 9},{v}" for k, v in enumerate(x)]
text = "\\n".join(rows).encode()
p = pair(io.BytesIO(text), {"a": io.BytesIO(text), "b": io.BytesIO(text)})
print(len(compare(p)), len(rank(p)), len(with_uncertainty(p)))
"""


@pytest.mark.parametrize("broken", ["import sys; sys.modules['numba'] = None", "", "raises"])
def test_without_numba_everything_works(broken: str, tmp_path: Path) -> None:
    """Missing, switched off, or a broken installation: slower, one line says so, and the figures are the same."""
    environment = {} if broken else {"NUMBA_DISABLE_JIT": "1"}
    if broken == "raises":
        (tmp_path / "numba.py").write_text("raise OSError('libllvm is missing')")
        environment["PYTHONPATH"] = str(tmp_path)
        broken = ""
    done = python(broken + EVERYTHING, **environment)
    assert done.returncode == 0, done.stderr
    assert "False" in done.stdout
    assert done.stdout.splitlines()[1] == "8 2 2"
    assert done.stdout.startswith(str(agreement.ktau(*_x_y())))
    said = [line for line in done.stderr.splitlines() if line]
    assert len(said) == (0 if environment.get("NUMBA_DISABLE_JIT") else 1), done.stderr
    assert all("without compiled kernels, slower" in line for line in said)


def _x_y() -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=500)
    return x, np.roll(x, 1)


ONE_KERNEL = """
import numpy as np
from sqa_metrics.kernels import sums
print(sums.moments(np.arange(3.0), np.ones(3))[0])
"""


@pytest.mark.parametrize(
    "damage", [pytest.param(name, marks=pytest.mark.slow) for name in ("index", "data", "empty", "cut")]
)
def test_a_damaged_cache_file_is_made_anew(damage: str, tmp_path: Path) -> None:
    environment = {"NUMBA_CACHE_DIR": str(tmp_path)}
    first = python(ONE_KERNEL, **environment)
    assert first.stdout == "2.0\n", first.stderr
    assert first.stderr.count("compiling kernels") == 1
    assert "sqa-" not in first.stderr  # whichever program it is, `warmup` is its command
    for file in tmp_path.rglob("*.nbi" if damage == "index" else "*.nbc"):
        content = file.read_bytes()
        file.write_bytes({"empty": b"", "cut": content[: len(content) // 2]}.get(damage, b"\x80\x04junk"))
    second = python(ONE_KERNEL, **environment)
    assert second.returncode == 0, second.stderr
    assert (second.stdout, second.stderr.count("compiling kernels")) == ("2.0\n", 1)
    third = python(ONE_KERNEL, **environment)
    assert (third.stdout, third.stderr) == ("2.0\n", "")


@pytest.mark.slow
def test_kernels_as_plain_python() -> None:
    """With the compiler off, so that coverage and debuggers see the loops: the same sums as the definition."""
    code = """
import numpy as np
from sqa_metrics.kernels import hashing, leave_out_arrays, leave_out_loops, plain, rank
from sqa_metrics.rows import columns
rng = np.random.default_rng(0)
with np.errstate(over="ignore"):
    for n in (3, 200, 900, 5000):
        for x in (rng.normal(size=n), rng.integers(0, 9, n) / 4, rng.normal(size=n).astype(np.float32).astype(float)):
            y = x.round(1) + rng.normal(size=n).round(2)
            expected = plain.four(x.tolist(), y.tolist())
            found = rank.four(x, y)
            assert (found["srcc"], found["ktau"]) == (expected["srcc"], expected["ktau"]), (n, found, expected)
            assert abs(found["mse"] / expected["mse"] - 1) < 1e-12 and abs(found["lcc"] - expected["lcc"]) < 1e-12
    permutation, owner = rng.permutation(60), rng.integers(-1, 2, 60).astype(np.int32)
    x, y = np.sort(rng.integers(0, 20, (2, 60)).astype(np.int32))
    ref = leave_out_arrays.Path(x, x, owner)
    path = leave_out_arrays.Path(x[permutation], y, owner[permutation])
    sizes, codes = np.bincount(owner[owner >= 0]), rng.integers(0, 9, 60)
    for name, given in (
        ("reordered", (permutation, codes, np.bincount(codes))),
        ("inversions_of_each", (permutation,)),
        ("walks", (ref, [path], sizes, np.int64)),
    ):
        numpy, compiled = (getattr(way, name)(*given).tolist() for way in (leave_out_arrays, leave_out_loops))
        assert numpy == compiled, name
    row = b'{"sample_id": "a%d", "system_id": "s", "x": [1, {"y": null}], "metrics": {"mos": 1.%d5e0}}\\n'
    text = b"".join(row % (k, k) for k in range(5))
    assert columns.pair(text, {"p": text}, "mos", "mos").preds[0].tolist() == [1.05, 1.15, 1.25, 1.35, 1.45]
print("ok")
"""
    done = python(code, NUMBA_DISABLE_JIT="1")
    assert done.stdout == "ok\n", done.stderr
