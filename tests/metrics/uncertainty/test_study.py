"""Intervals, tests and places in simulated listening tests: the study of the benchmarks, held to its promises."""

import importlib.util
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqa_metrics import FIGURES

TESTS = 1000


@pytest.fixture(scope="module")
def study(root: Path) -> Any:
    spec = importlib.util.spec_from_file_location("study", root / "benchmarks" / "study_intervals.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def error(share: float) -> float:
    """What a share of so many tests may be off by chance; there are a hundred shares."""
    return 2.6 * math.sqrt(share * (1 - share) / TESTS)


def test_a_draw_is_as_it_says(study: Any) -> None:
    paired = study.draw(200, 20, "skewed, unequal", seed=1, predictors=2)
    sizes = np.bincount(paired.system)
    assert set(sizes) == {10, 60}
    assert len(np.unique(paired.ref)) < 22
    assert np.mean(paired.ref) > 3.4
    assert len(study.draw(5, 4, "normal", seed=1)) == 20


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "skewed, unequal"])
@pytest.mark.parametrize("utterances", [4, 20])
@pytest.mark.parametrize("systems", [5, 6, 8, 12, 23, 95])
def test_intervals_cover_and_equals_are_not_told_apart(
    study: Any, systems: int, utterances: int, kind: str
) -> None:
    (utterance, system), alarms = study.coverage_and_errors((systems, utterances, kind), TESTS)
    print(systems, utterances, kind, system.round(3), utterance.round(3), alarms.round(3))
    by_figure = dict(zip(FIGURES, system, strict=True))
    for metric in ("mse", "lcc"):
        assert by_figure[metric] >= 0.92 - error(0.92), metric
        assert by_figure[metric] <= 0.99 + error(0.99), metric
    assert min(by_figure["srcc"], by_figure["ktau"]) >= 0.92 - error(0.92)
    assert utterance.min() >= 0.88 - error(0.88)
    assert alarms.max() <= 0.07 + error(0.07)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["normal", "skewed"])
def test_places_of_equal_predictors_hold_the_first(study: Any, kind: str) -> None:
    assert study.wrong_places((12, 8, kind), 300) <= 0.05
