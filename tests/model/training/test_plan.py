"""What is done when: every clip once an epoch, the same works wherever a run goes on, windows by update or for good."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sqa_model.errors import ModelError
from sqa_model.training.clips import Clips
from sqa_model.training.config import BatchConfig, TrainConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.plan import Crop, Plan, Work, epoch_clips, micro_batches, shares, updates
from sqa_model.training.processes import Processes


def table(count: int = 23) -> Clips:
    rng = np.random.default_rng(0)
    ids = [str(i) for i in range(count)]
    corpus = (np.arange(count) % 3 == 0).astype(int)
    return Clips(
        ids,
        ids,
        [None] * count,
        ("a", "b"),
        corpus,
        rng.uniform(1, 9, count),
        np.ones((count, 1), np.float32),
    )


def config(*overrides: str) -> TrainConfig:
    base = [
        "epochs=3",
        "batch.seconds=20",
        "batch.clips=4",
        "data.max_seconds=6",
        "eval.every=none",
        "seed=5",
    ]
    return load_config(overrides=[*base, *overrides])


def plan(*overrides: str, rank: int = 0, size: int = 1) -> Plan:
    return Plan(config(*overrides), table(), Processes(rank, size, torch.device("cpu")))


def clips_of(work: Work) -> list[int]:
    return sorted(crop.clip for crop in work.crops())


def test_every_epoch_uses_every_clip_once_in_updates_numbered_from_one() -> None:
    found = plan()
    works = list(found.after(0))
    assert [work.update for work in works] == list(range(1, found.total + 1))
    assert {work.total for work in works} == {found.total}
    for epoch in range(3):
        assert sorted(c for w in works if w.epoch == epoch for c in clips_of(w)) == list(range(23))
    assert [work.epoch for work in works] == sorted(work.epoch for work in works)
    first = [clips_of(w) for w in works if w.epoch == 0]
    assert first != [clips_of(w) for w in works if w.epoch == 1]
    assert found.ends == [sum(w.epoch <= epoch for w in works) for epoch in range(3)]


@pytest.mark.parametrize("cache", ["none", "somewhere"])
def test_going_on_anywhere_is_the_rest_of_the_same_works(cache: str) -> None:
    whole = list(plan(f"data.cache={cache}").after(0))
    for done in range(len(whole) + 1):
        assert list(plan(f"data.cache={cache}").after(done)) == whole[done:]


def test_the_clips_of_an_update_are_those_of_the_rule() -> None:
    found, clips = plan("data.weights.a=0.4"), table()
    seconds = np.minimum(clips.seconds, 6)
    for epoch in range(3):
        chosen = epoch_clips(clips.corpus, np.array([0.4, 1]), seed=5, epoch=epoch)
        expected = updates(seconds, chosen, found.config.batch, seed=5, epoch=epoch)
        works = [work for work in found.after(0) if work.epoch == epoch]
        assert [[crop.clip for crop in work.crops()] for work in works] == [u.tolist() for u in expected]


def test_processes_share_every_update() -> None:
    alone = list(plan("batch.micro_seconds=8").after(0))
    parts_of = [list(plan("batch.micro_seconds=8", rank=rank, size=3).after(0)) for rank in range(3)]
    for whole, *parts in zip(alone, *parts_of, strict=True):
        dealt = [parts[i % 3].micro_batches[i // 3] for i in range(len(whole.micro_batches))]
        assert dealt == whole.micro_batches
        assert sum(len(part.micro_batches) for part in parts) == len(whole.micro_batches)
        assert {part.cropped for part in parts} == {whole.cropped}


def test_windows_are_drawn_by_seed_and_update() -> None:
    for work in plan().after(0):
        drawn = np.random.default_rng([5, 3, work.update]).random(len(work.crops())).tolist()
        assert [crop.crop_at for crop in work.crops()] == drawn
    other = next(plan("seed=6").after(0))
    assert other.crops()[0].crop_at == np.random.default_rng([6, 3, 1]).random()


def test_with_a_cache_a_clip_keeps_its_window() -> None:
    drawn = np.random.default_rng([5, 4]).random(23)
    for work in plan("data.cache=somewhere").after(0):
        assert work.crops() == [Crop(clip, drawn[clip]) for clip, _ in work.crops()]


def test_cut_clips_are_counted() -> None:
    long = set(np.flatnonzero(table().seconds > 6).tolist())
    assert long
    for work in plan().after(0):
        assert work.cropped == len(long & set(clips_of(work)))


def test_micro_batches_count_clips_as_they_are_cut() -> None:
    cut = np.minimum(table().seconds, 6)
    for work in plan("batch.micro_seconds=12").after(0):
        clips = np.array([crop.clip for crop in work.crops()])
        batch = config("batch.micro_seconds=12").batch
        (dealt,) = micro_batches(np.arange(len(clips)), cut[clips], batch, processes=1)
        assert [len(micro_batch) for micro_batch in work.micro_batches] == [len(piece) for piece in dealt]


def test_the_budget_counts_clips_as_they_are_cut() -> None:
    for work in plan().after(0):
        seconds = np.minimum(table().seconds[clips_of(work)], 6)
        assert len(seconds) * seconds.max() <= 20
    assert any(6 * len(work.crops()) > 12 for work in plan().after(0))


def test_evaluations_follow_epochs_or_a_number_and_the_end() -> None:
    by_epoch = plan()
    assert [u for u in range(1, by_epoch.total + 1) if by_epoch.evaluate_after(u)] == by_epoch.ends
    by_number = plan("eval.every=4")
    total = by_number.total
    assert total % 4
    assert [u for u in range(1, total + 1) if by_number.evaluate_after(u)] == [*range(4, total, 4), total]


def test_weights_choose_and_nothing_left_is_an_error() -> None:
    clips = table()
    works = list(plan("data.weights.a=0").after(0))
    assert {clips.corpus[c] for work in works for c in clips_of(work)} == {1}
    with pytest.raises(ModelError, match="nothing to train on"):
        plan("data.weights.a=0", "data.weights.b=0")
    balanced = [c for work in plan("data.balance=true", "epochs=1").after(0) for c in clips_of(work)]
    assert np.bincount(clips.corpus[balanced]).tolist() == [12, 12]  # of 15 and 8; half of 23, rounded


# The rules beneath: nothing lost, nothing twice, the same again on every call


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
