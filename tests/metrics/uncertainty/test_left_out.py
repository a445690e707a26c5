"""What is left out: systems whole at both levels, utterances without one alone, in any order of the rows."""

from dataclasses import replace

import numpy as np
import pytest
from simulated import simulate, two_corpora, without_systems
from sqa_metrics import FIGURES, evaluate, four
from sqa_metrics.report import system_means
from sqa_metrics.uncertainty.left_out import left_out


def test_both_levels_by_hand() -> None:
    paired = simulate(6, 3, [0.3, 0.6], 1)
    found = left_out(paired)
    means = [np.array(system_means(v, paired.system, 6)) for v in (paired.ref, *paired.preds)]
    for k, pred in enumerate(paired.preds):
        report = evaluate(paired, k)
        for s in range(6):
            rows, kept = paired.system != s, np.arange(6) != s
            for level, x, y in (
                ("utterance", paired.ref[rows], pred[rows]),
                ("system", means[0][kept], means[k + 1][kept]),
            ):
                for metric, expected in four(x, y).items():
                    assert found[level].without[metric][s, k] == pytest.approx(expected, rel=1e-12)
                    assert found[level].whole[metric][k] == report.level(level)[metric]
    assert found["utterance"].items.tolist() == [15] * 6 + [18]
    assert found["system"].items.tolist() == [5] * 6 + [6]


def test_utterances_without_a_system_are_clusters() -> None:
    paired = two_corpora(simulate(5, 4, [0.3], 1), without_systems(simulate(3, 4, [0.3], 2)))
    found = left_out(paired)
    assert found["utterance"].n_clusters == 5 + 12
    assert found["utterance"].stratum.tolist() == [0] * 5 + [1] * 12
    assert found["system"].n_clusters == 5


def test_order_of_rows_does_not_matter() -> None:
    paired = simulate(7, 6, [0.4, 0.5], 3)
    shuffled = paired.take(np.random.default_rng(0).permutation(len(paired)))
    for level, found in left_out(shuffled).items():
        expected = left_out(paired)[level]
        for metric in FIGURES:
            assert found.without[metric] == pytest.approx(expected.without[metric], rel=1e-12)


def test_nothing_is_left_out_of_four_systems() -> None:
    found = left_out(replace(simulate(4, 30, [0.3], 1)))
    assert np.isnan(found["utterance"].without["mse"]).all()
    assert not np.isnan(found["utterance"].whole["mse"]).any()
