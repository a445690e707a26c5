"""What a model made of a clip: its score weighed by time, its stretches, its batches."""

from typing import Any

import numpy as np
import torch
from sqa_model.inference.looks import Batch, Job, Look


def look(*scores: list[float]) -> Look:
    """Ten samples in two main windows that overlap, and two stretches."""
    windows = [slice(0, 7), slice(3, 10), slice(0, 6), slice(4, 10)]
    return Look(torch.zeros(10), windows, 2, [np.array(s) for s in scores])


def test_a_score_is_the_mean_over_the_time_that_a_window_stands_for() -> None:
    found = look([1.0, 10.0], [2.0, 30.0], [3.0, 40.0], [4.0, 50.0])
    rows, bad = found.outcome(["mos", "sdr"])
    assert rows == [{"mos": 1.5, "sdr": 20.0}, {"mos": 3.0, "sdr": 40.0}, {"mos": 4.0, "sdr": 50.0}]
    assert bad == []
    assert found.stretches() == [slice(0, 5), slice(5, 10)]


def test_what_is_not_finite_is_named() -> None:
    assert look([1.0, 1.0], [1.0, np.inf], [1.0, 1.0], [1.0, 1.0]).outcome(["mos", "sdr"])[1] == ["sdr"]
    # in a stretch alone: nobody knows which head's, so all are
    assert look([1.0, 1.0], [1.0, 1.0], [np.nan, 1.0], [1.0, 1.0]).outcome(["mos", "sdr"])[1] == [
        "mos",
        "sdr",
    ]


def test_a_job_is_done_when_every_model_has_seen_all() -> None:
    whole, part = look([1.0], [1.0], [1.0], [1.0]), look([1.0])
    assert Job(looks=[whole]).is_done
    assert not Job(looks=[whole, part]).is_done
    assert Job(error="no file").is_done


def test_a_batch_begins_anew() -> None:
    class Lengths:
        """Stands for a model: each window's score is its length."""

        class config:
            sample_rate = 2

        def __call__(self, waves: list[torch.Tensor]) -> torch.Tensor:
            return torch.tensor([[float(len(wave))] for wave in waves])

    model: Any = Lengths()
    batch, one = Batch(model, torch.device("cpu")), look()
    for window in one.windows[1:3]:
        batch.add(one, window)
    assert batch.seconds == (7 + 6) / 2
    batch.score()
    batch.score()
    assert [float(s[0]) for s in one.scores] == [7, 6]
    assert (batch.windows, batch.seconds) == ([], 0)
