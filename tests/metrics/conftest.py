"""Fixtures of the metrics' tests: which way computes, and which road reads."""

import math

import pytest
from sqa_metrics.kernels import arrays, choose, plain, rank
from sqa_metrics.rows import pair


@pytest.fixture(params=["plain", "arrays", "compiled"])
def engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A test that asks for it runs once in plain Python, once in NumPy and once in the kernels."""
    way = {"plain": plain, "arrays": arrays, "compiled": rank}[request.param]
    monkeypatch.setattr(choose, "compiled", rank if request.param == "compiled" else None)
    monkeypatch.setattr(choose, "way", lambda name, n: way)
    return str(request.param)


@pytest.fixture(params=["plain", "compiled"])
def road(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A test that asks for it reads score files once row by row and once by the compiled reader."""
    compiled = request.param == "compiled"
    monkeypatch.setattr(choose, "compiled", rank if compiled else None)
    monkeypatch.setattr(pair, "COMPILED_FROM_BYTES", 0 if compiled else math.inf)
    return str(request.param)
