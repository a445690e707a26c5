"""What listeners' noise allows: against simulated listeners."""

import math
from dataclasses import replace

import numpy as np
import pytest
from simulated import simulate
from sqa_metrics import ceiling, evaluate


def test_ceiling_is_reached_by_the_true_mean() -> None:
    rng = np.random.default_rng(7)
    n, votes = 4000, 6
    truth = np.repeat(rng.normal(3, 0.6, 200), 20) + rng.normal(0, 0.3, n)
    ratings = truth[:, None] + rng.normal(0, 0.9, (n, votes))
    paired = replace(
        simulate(200, 20, [0.1], 0),
        ref=ratings.mean(1),
        preds=[truth],
        noise=ratings.std(1, ddof=1) ** 2 / votes,
    )
    top, figures = ceiling(paired), evaluate(paired)
    assert top is not None
    assert figures.system is not None
    assert top["utterance"].values["mse"] == pytest.approx(figures.utterance["mse"], rel=0.05)
    assert top["utterance"].values["lcc"] == pytest.approx(figures.utterance["lcc"], abs=0.01)
    assert top["system"].values["mse"] == pytest.approx(figures.system["mse"], rel=0.3)
    assert top["system"].values["lcc"] == pytest.approx(figures.system["lcc"], abs=0.01)
    assert ceiling(replace(paired, noise=None)) is None


def test_ceiling_says_why_it_is_undefined() -> None:
    paired = replace(simulate(8, 5, [0.3], 1), noise=np.full(40, 100.0))
    top = ceiling(paired)
    assert top is not None
    assert "undefined" in top["utterance"].text()
    assert not math.isnan(top["utterance"].values["mse"])
