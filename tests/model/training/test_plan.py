"""What is done when: every clip once an epoch, the same works wherever a run goes on, windows by update or for good."""

import numpy as np
import pytest
import torch
from sqa_model.errors import ModelError
from sqa_model.training import sampler
from sqa_model.training.clips import Clips
from sqa_model.training.config import TrainConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.plan import Crop, Plan, Work
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
        np.full((count, 1), np.nan, np.float32),
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


def test_the_clips_of_an_update_are_those_of_the_sampler() -> None:
    found, clips = plan("data.weights.a=0.4"), table()
    seconds = np.minimum(clips.seconds, 6)
    for epoch in range(3):
        chosen = sampler.epoch_clips(clips.corpus, np.array([0.4, 1]), seed=5, epoch=epoch)
        expected = sampler.updates(seconds, chosen, found.config.batch, seed=5, epoch=epoch)
        works = [work for work in found.after(0) if work.epoch == epoch]
        assert [[crop.clip for crop in work.crops()] for work in works] == [u.tolist() for u in expected]


def test_processes_share_every_update() -> None:
    alone = list(plan("batch.micro_seconds=8").after(0))
    shares = [list(plan("batch.micro_seconds=8", rank=rank, size=3).after(0)) for rank in range(3)]
    for whole, *parts in zip(alone, *shares, strict=True):
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
        assert work.crops() == [Crop(clip, drawn[clip]) for clip, *_ in work.crops()]


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
        (dealt,) = sampler.micro_batches(np.arange(len(clips)), cut[clips], batch, processes=1)
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
