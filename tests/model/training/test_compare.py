"""Pairs of the development set: dealt into jobs that fit, each compared once, and their figures by hand."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from sqa_data.errors import AudioError
from sqa_model.network.comparison import TIE, A, B
from sqa_model.training.clips import Clips
from sqa_model.training.compare import compared, jobs_of, pair_figures
from sqa_model.training.config import BatchConfig
from sqa_model.training.pairs import Pairs
from sqa_model.training.processes import Processes, Stopped

NAN = math.nan
ONE = Processes(0, 1, torch.device("cpu"))


def pairs_of(*pairs: tuple[int, int], cmos: Sequence[float] = (), better: Sequence[int] = ()) -> Pairs:
    a, b = np.array(pairs).T
    known = np.array(cmos or [NAN] * len(pairs), dtype=np.float32)
    return Pairs(a, b, known, np.array(better or [TIE] * len(pairs)))


def clips_of(seconds: Sequence[float], corpus: Sequence[int] = ()) -> Clips:
    count = len(seconds)
    nothing = np.full((count, 1), NAN, dtype=np.float32)
    return Clips(
        paths=[f"/{i}.wav" for i in range(count)],
        sample_ids=[str(i) for i in range(count)],
        system_ids=[None] * count,
        corpora=("x", "y"),
        corpus=np.array(corpus or [0] * count),
        seconds=np.array(seconds),
        labels=nothing,
        votes=nothing,
    )


@pytest.mark.parametrize(
    ("pairs", "seconds", "most_s", "most", "jobs"),
    [
        # clips that fit together, and no more of them
        ([(0, 1), (0, 2), (0, 3)], [1, 1, 1, 1], 3, 9, [([0, 1, 2], [0, 1]), ([0, 3], [2])]),
        ([(0, 1), (0, 2), (0, 3)], [1, 1, 1, 1], 9, 3, [([0, 1, 2], [0, 1]), ([0, 3], [2])]),
        # by their first clips, whatever their order
        ([(2, 0), (0, 1), (0, 2)], [1, 1, 1], 9, 9, [([0, 1, 2], [1, 2, 0])]),
        # all are padded to the longest, which may be one that is there already
        ([(0, 1), (0, 2)], [3, 1, 1], 8, 9, [([0, 1], [0]), ([0, 2], [1])]),
        ([(0, 1), (0, 2)], [1, 1, 3], 8, 9, [([0, 1], [0]), ([0, 2], [1])]),
        # a pair that is too long stands alone
        ([(0, 1), (2, 3)], [9, 9, 1, 1], 2, 1, [([0, 1], [0]), ([2, 3], [1])]),
    ],
)
def test_jobs_hold_pairs_whose_clips_fit(
    pairs: list[tuple[int, int]], seconds: list[float], most_s: float, most: int, jobs: list
) -> None:
    assert jobs_of(pairs_of(*pairs), np.array(seconds, dtype=float), most_s, most) == jobs


def load(clip: int) -> float | AudioError:
    return AudioError("/3.wav: torn") if clip == 3 else float(clip)


def say(clips: list[int], loaded: list[float], pairs: list[tuple[int, int]]) -> torch.Tensor:
    """10 a + b, of what was loaded of the clips of each pair."""
    assert loaded == clips
    assert len(clips) <= 3
    return torch.tensor([10 * loaded[a] + loaded[b] for a, b in pairs])


def test_each_pair_is_compared_once_and_one_without_a_clip_has_no_cmos() -> None:
    pairs = pairs_of((4, 2), (0, 1), (1, 3), (3, 0), (2, 1), (0, 2))
    batch = BatchConfig(seconds=100, micro_seconds=3, clips=100)
    cmos, unreadable = compared(say, load, clips_of([1.0] * 5), pairs, batch, ONE, workers=1)
    assert cmos.tolist() == pytest.approx([42, 1, NAN, NAN, 21, 2], nan_ok=True)
    # said once, though two jobs have the clip
    assert unreadable == ["/3.wav: torn"]


def test_it_stops_when_asked() -> None:
    def never(*_: object) -> torch.Tensor:
        raise AssertionError

    batch = BatchConfig(seconds=3, clips=100)
    with pytest.raises(Stopped):
        compared(never, load, clips_of([1.0] * 2), pairs_of((0, 1)), batch, ONE, workers=1, stop=lambda: True)


def test_figures_by_hand() -> None:
    pairs = pairs_of(
        *((0, 1), (1, 0), (0, 1), (1, 2), (2, 0), (3, 4), (4, 3)),
        cmos=[1.0, -2.0, NAN, 0.5, 3.0, NAN, NAN],
        better=[A, B, A, TIE, A, TIE, TIE],
    )
    said = np.array([1.5, 1.0, 0.5, -1.0, NAN, 0.1, NAN])
    results = pair_figures(clips_of([1.0] * 5, [0, 0, 0, 1, 1]), pairs, said)
    assert list(results) == ["x", "y"]
    found = results["x"]["cmos"]
    # of those compared; with a CMOS; and of the three that are no tie the second is wrong
    assert (found["pairs"], found["clips"]) == (4, 3)
    assert found["utterance_mse"] == pytest.approx((0.25 + 9 + 2.25) / 3)
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert results["y"] == {"cmos": {"pairs": 1, "accuracy": None}}
