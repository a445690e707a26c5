"""Which clips make which update: nothing lost, nothing twice, the same again on every call."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqa_model.errors import ModelError
from sqa_model.training.sampler import BatchConfig, epoch_clips, micro_batches, shares, updates


def lengths(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.5, 12, count)


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(1, 400),
    seconds=st.floats(12, 200),
    clips=st.integers(1, 50),
    micro=st.one_of(st.none(), st.floats(12, 60)),
    processes=st.integers(1, 5),
    epoch=st.integers(0, 3),
)
def test_every_clip_once_within_the_budgets(
    count: int, seconds: float, clips: int, micro: float | None, processes: int, epoch: int
) -> None:
    length = lengths(count)
    batch = BatchConfig(seconds, clips, micro)
    plan = updates(length, np.arange(count), batch, seed=5, epoch=epoch)
    assert sorted(np.concatenate(plan).tolist()) == list(range(count))
    for update in plan:
        assert len(update) <= clips
        assert len(update) * length[update].max() <= seconds + 1e-6
        dealt = micro_batches(update, length, batch, processes=processes)
        assert len(dealt) == processes
        pieces = [piece for share in dealt for piece in share]
        assert sorted(np.concatenate(pieces).tolist()) == sorted(update.tolist())
        assert all(len(piece) * length[piece].max() <= (micro or seconds) + 1e-6 for piece in pieces)
        assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


def test_epochs_differ_and_repeat_exactly() -> None:
    length = lengths(300)

    def flat(epoch: int) -> list[int]:
        return np.concatenate(updates(length, np.arange(300), BatchConfig(60), seed=1, epoch=epoch)).tolist()

    assert flat(0) == flat(0)
    assert flat(0) != flat(1)


def test_batches_hold_similar_lengths_but_not_sorted_by_length() -> None:
    length = lengths(20_000)
    plan = updates(length, np.arange(20_000), BatchConfig(600, 128), seed=0, epoch=0)
    padding = sum(len(u) * length[u].max() for u in plan) / length.sum()
    assert padding < 1.05
    means = np.array([length[u].mean() for u in plan])
    assert abs(np.corrcoef(np.arange(len(means)), means)[0, 1]) < 0.2


def test_micro_batches_of_a_stated_size_do_not_depend_on_the_number_of_processes() -> None:
    length = lengths(64)
    batch = BatchConfig(600, 128, micro_seconds=60)
    update = np.argsort(-length)
    alone = micro_batches(update, length, batch, processes=1)[0]
    for processes in (2, 3, len(alone) + 1):
        dealt = micro_batches(update, length, batch, processes=processes)
        merged = [dealt[i % processes][i // processes] for i in range(len(alone))]
        assert [m.tolist() for m in merged] == [m.tolist() for m in alone]


def test_without_a_stated_size_everybody_works() -> None:
    length = lengths(64)
    dealt = micro_batches(np.argsort(-length), length, BatchConfig(600, 128), processes=4)
    assert all(dealt)


def test_weights_and_balance() -> None:
    corpus = np.repeat([0, 1, 2], [100, 40, 10])
    names = ("a", "b", "c")
    counts = np.bincount(corpus[epoch_clips(corpus, shares(corpus, names, {}, True), seed=0, epoch=0)])
    assert counts.tolist() == [50, 50, 50]
    weighted = epoch_clips(corpus, shares(corpus, names, {"a": 0.5, "c": 3}, False), seed=0, epoch=0)
    assert np.bincount(corpus[weighted]).tolist() == [50, 40, 30]
    halves = [epoch_clips(corpus, np.array([0.5, 0, 0]), seed=0, epoch=e).tolist() for e in (0, 1)]
    assert sorted(halves[0] + halves[1]) == list(range(100))  # the fraction rotates: nothing is never seen


def test_a_weight_for_an_unknown_corpus_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"data.weights.nisca.*found: bvcc, nisqa"):
        shares(np.array([0, 1]), ("bvcc", "nisqa"), {"nisca": 2.0}, False)


@pytest.mark.parametrize(
    ("field", "value"), [("seconds", 0), ("clips", 0), ("micro_seconds", -1.0), ("seconds", float("nan"))]
)
def test_nonsense_is_refused_by_name(field: str, value: float) -> None:
    with pytest.raises(ModelError, match=f"batch.{field}"):
        BatchConfig(**{field: value})  # type: ignore[arg-type]
