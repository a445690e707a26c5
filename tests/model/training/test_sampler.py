"""Which clips make which update: nothing lost, nothing twice, the same again on every call."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqa_model.errors import ModelError
from sqa_model.training.config import BatchConfig
from sqa_model.training.sampler import epoch_clips, micro_batches, shares, updates


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


def test_a_share_that_is_1_but_for_rounding_is_1() -> None:
    for share in (1 - 1e-12, 1 + 1e-12):
        assert epoch_clips(np.zeros(9, dtype=int), np.array([share]), seed=0, epoch=0).tolist() == list(
            range(9)
        )


def test_a_budget_that_is_just_enough_is_enough() -> None:
    """0.6 // 0.1 is 5."""
    (update,) = updates(np.full(6, 0.1), np.arange(6), BatchConfig(seconds=0.6), seed=0, epoch=0)
    assert len(update) == 6


def plain_plan(
    seconds: np.ndarray, clips: np.ndarray, batch: BatchConfig, seed: int, epoch: int
) -> list[list[int]]:
    """The rule of `updates` in plain Python, as 0.1.0 had it: a run that 0.1.0 began must go on with its own plan."""
    rng = np.random.default_rng([seed, 2, epoch])
    order = rng.permutation(clips).tolist()
    mean = sum(seconds[i] for i in order) / len(order)
    usual = int(min(batch.clips, max(1, batch.seconds // mean)))  # clips of an average update
    groups: list[list[int]] = []
    for start in range(0, len(order), 32 * usual):
        group: list[int] = []
        for clip in sorted(order[start : start + 32 * usual], key=lambda i: -seconds[i]):
            if group and (
                len(group) == batch.clips or (len(group) + 1) * seconds[group[0]] > batch.seconds + 1e-9
            ):
                groups.append(group)
                group = []
            group.append(clip)
        groups.append(group)
    return [groups[i] for i in rng.permutation(len(groups))]


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("epoch", [0, 2])
@pytest.mark.parametrize("batch", [BatchConfig(60, 100), BatchConfig(600, 5), BatchConfig(12, 3)])
def test_updates_equal_the_plain_rule(seed: int, epoch: int, batch: BatchConfig) -> None:
    length = lengths(700, seed=3)
    clips = np.concatenate([np.arange(0, 700, 2), np.arange(50)])
    found = updates(length, clips, batch, seed=seed, epoch=epoch)
    assert [u.tolist() for u in found] == plain_plan(length, clips, batch, seed, epoch)


def test_the_seed_is_heard_by_the_order_and_by_the_choice() -> None:
    length, corpus, half = lengths(300), np.zeros(300, dtype=int), np.array([0.5])
    orders, choices = (
        [
            np.concatenate(updates(length, np.arange(300), BatchConfig(60), seed=seed, epoch=0)).tolist()
            for seed in (1, 2)
        ],
        [sorted(epoch_clips(corpus, half, seed=seed, epoch=0).tolist()) for seed in (1, 2)],
    )
    assert orders[0] != orders[1]
    assert choices[0] != choices[1]


def test_long_and_short_updates_are_shuffled() -> None:
    """One pool only, which is packed from long to short: the order of its updates must not be that."""
    length = lengths(100)
    for seed in range(3):
        plan = updates(length, np.arange(100), BatchConfig(40), seed=seed, epoch=0)
        means = [length[u].mean() for u in plan]
        assert len(means) > 8
        assert means != sorted(means)
        assert means != sorted(means, reverse=True)


@pytest.mark.parametrize(
    ("share", "members", "used"),
    [
        (0.25, 10, 2),
        (0.29, 10, 3),
        (0.5, 3, 2),
        (1.7, 10, 17),
        (2.0, 3, 6),
        (0.96, 10, 10),
        (0.1, 10, 1),
        (0.04, 10, 0),
    ],
)
def test_a_fraction_is_rounded_to_the_nearest_clip(share: float, members: int, used: int) -> None:
    corpus = np.zeros(members, dtype=int)
    chosen = epoch_clips(corpus, np.array([share]), seed=0, epoch=0)
    assert len(chosen) == used
    assert np.bincount(chosen, minlength=members).max() - np.bincount(chosen, minlength=members).min() <= 1


def test_the_clips_of_a_corpus_rotate_in_a_drawn_order_and_wrap() -> None:
    corpus = np.array([0] * 8 + [1] * 10)
    order = np.random.default_rng([3, 1, 1]).permutation(np.arange(8, 18)).tolist()
    for epoch in range(5):
        chosen = epoch_clips(corpus, np.array([1.0, 0.4]), seed=3, epoch=epoch).tolist()
        expected = [order[i % 10] for i in range(4 * epoch, 4 * epoch + 4)]
        assert chosen == [*range(8), *expected]  # a whole corpus stays in its order


def test_shares_by_hand() -> None:
    corpus = np.repeat([0, 1, 2], [60, 30, 10])
    names = ("a", "b", "c")
    assert shares(corpus, names, {}, False).tolist() == [1, 1, 1]
    assert shares(corpus, names, {"b": 0.0, "c": 2.5}, False).tolist() == [1, 0, 2.5]
    third = 100 / 3
    assert shares(corpus, names, {}, True) == pytest.approx([third / 60, third / 30, third / 10])
    assert shares(corpus, names, {"a": 2.0}, True) == pytest.approx([2 * third / 60, third / 30, third / 10])


def test_without_a_stated_size_every_process_gets_every_nth_clip() -> None:
    dealt = micro_batches(np.array([9, 8, 7, 6, 5]), np.ones(10), BatchConfig(), processes=2)
    assert [[m.tolist() for m in share] for share in dealt] == [[[9, 7, 5]], [[8, 6]]]
    dealt = micro_batches(np.array([4]), np.ones(5), BatchConfig(), processes=3)
    assert [[m.tolist() for m in share] for share in dealt] == [[[4]], [], []]


def test_micro_batches_by_hand() -> None:
    length = np.array([5.0, 4.0, 4.0, 2.0, 2.0, 2.0, 0.0])
    batch = BatchConfig(clips=3, micro_seconds=8)
    dealt = micro_batches(np.arange(7), length, batch, processes=2)
    # 5 alone (2 x 5 > 8), 4 + 4, then three (of clips there are at most three), and the empty one
    assert [[m.tolist() for m in share] for share in dealt] == [[[0], [3, 4, 5]], [[1, 2], [6]]]
    alone = micro_batches(np.array([0, 1]), np.array([99.0, 1.0]), batch, processes=1)
    assert [m.tolist() for m in alone[0]] == [[0], [1]]  # what is over the budget stands alone


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
