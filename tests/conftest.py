"""Fixtures for every test: where the shared real data lies (skip where it is absent)."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# `pytest -n`: processes that each use all processors wait for one another more than they compute
if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "0")):
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    # nor is what they print looked at in a terminal
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def small_corpora() -> Iterator[None]:
    """The corpora of the tests are small: those whose layout is assumed are not held to the published counts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sqa_data.prepare.run.require_counts", lambda corpus, counts: None)
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository root."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real speech, ratings and predictions beside the checkout; see its own README."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip(f"real test data not found: {folder} does not exist")
    return folder
