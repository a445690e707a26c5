"""A dry run: its counts are those of the run, its bytes those of the tensors, and it leaves nothing behind."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqa_model.errors import ModelError
from sqa_model.training import dry_run as module
from sqa_model.training.build import build_model
from sqa_model.training.config import TrainConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.dry_run import Rehearsal, dry_run
from sqa_model.training.journal import Event
from sqa_model.training.loop import train
from sqa_model.training.plan import Crop
from sqa_model.training.source import MicroBatch
from tiny_training import TINY, TINY_WAVLM, lines, write_corpus

Configure = Callable[..., TrainConfig]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder / "train", 24, seed=0)
    write_corpus(folder / "dev", 8, seed=1)
    return folder


@pytest.fixture
def configure(corpus: Path) -> Configure:
    def make(*overrides: str, base: list[str] = TINY) -> TrainConfig:
        data = [f"data.{name}={corpus}/{name}/data.jsonl" for name in ("train", "dev")]
        preset = "mini" if base is TINY else None
        return load_config(preset, overrides=[*base, "run.threads=1", *data, *overrides])

    return make


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_size) for p in folder.rglob("*")}


def test_its_counts_are_those_of_the_run_and_nothing_is_written(configure: Configure, tmp_path: Path) -> None:
    config = configure("eval.every=3", "data.weights.b=0.5")
    before = dry_run(config, tmp_path / "run")
    assert not (tmp_path / "run").exists()

    def die(event: Event) -> None:
        if (event.kind, event.update) == ("update", 4):
            raise SystemExit

    with pytest.raises(SystemExit):
        train(config, tmp_path / "run", watch=die)
    files = tree(tmp_path)
    between = dry_run(config, tmp_path / "run")
    assert tree(tmp_path) == files
    result = train(config, tmp_path / "run")
    after = dry_run(config, tmp_path / "run")
    measured = sum("dev" in row for row in lines(tmp_path / "run"))
    assert [found.updates for found in (before, between, after)] == [result.updates] * 3
    assert [found.done for found in (before, between, after)] == [0, 3, result.updates]
    assert [found.evaluations for found in (before, between, after)] == [measured, measured - 1, 0]
    assert before.corpora["b"]["times_an_epoch"] == 0.5
    assert sum(corpus["clips"] for corpus in before.corpora.values()) == 24
    assert sum(corpus["clips"] for corpus in before.dev.values()) == 8
    assert before.cropped == sum(
        json.loads(row)["duration"] > 0.7 for row in Path(config.data.train[0]).read_text().splitlines()
    )
    assert after.time is not None
    assert after.time.total == 0
    assert json.loads(json.dumps(before.as_dict()))["memory"]["total"] == before.memory.total


def test_a_run_that_cannot_be_is_refused_as_by_train(configure: Configure, tmp_path: Path) -> None:
    train(configure("epochs=1"), tmp_path / "run")
    with pytest.raises(ModelError, match="holds a run of another config"):
        dry_run(configure("optim.lr=0.1"), tmp_path / "run")
    with pytest.raises(ModelError, match=r"data\.leaks=allow"):
        dry_run(configure(f"data.dev={configure().data.train[0]}"), tmp_path / "other")


def test_bytes_of_weights_gradients_optimizer_and_averages(configure: Configure, tmp_path: Path) -> None:
    config = configure("optim.unfreeze=1", "optim.ema=0.9", base=TINY_WAVLM)
    model = build_model(config)
    found = dry_run(config, tmp_path / "run")
    memory = found.memory
    everything = sum(p.numel() for p in model.parameters())
    buffers = sum(b.numel() * b.element_size() for b in model.buffers())
    assert found.parameters == everything > found.learning
    assert memory.weights == 4 * everything + buffers
    assert (memory.gradients, memory.optimizer) == (4 * found.learning, 8 * found.learning)
    assert memory.averages == 4 * found.learning
    assert memory.training is not None
    assert memory.evaluation is not None
    larger = max(memory.training.bytes, memory.evaluation.bytes)
    assert memory.total == memory.weights + 16 * found.learning + larger
    assert memory.fits


def test_frozen_takes_less_than_recomputed_takes_less_than_all(configure: Configure, tmp_path: Path) -> None:
    deep = ["model.sizes.layers=8"]
    settings: dict[str, list[str]] = {
        "frozen": [],
        "recomputed": ["optim.unfreeze=-1", "run.checkpointing=true"],
        "all": ["optim.unfreeze=-1"],
    }
    found = {}
    for name, overrides in settings.items():
        piece = dry_run(configure(*deep, *overrides, base=TINY_WAVLM), tmp_path / "run").memory.training
        assert piece is not None
        found[name] = piece.bytes
    assert found["frozen"] < 0.7 * found["recomputed"] < 0.7 * 0.7 * found["all"]


def test_what_takes_long_is_carried_on_from_some_clips(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = dry_run(configure("optim.unfreeze=-1", base=TINY_WAVLM), tmp_path / "run").memory.training
    monkeypatch.setattr(module, "SPEND_S", 0.0)
    part = dry_run(configure("optim.unfreeze=-1", base=TINY_WAVLM), tmp_path / "run").memory.training
    assert whole is not None
    assert part is not None
    assert (part.computed_clips, part.clips, part.seconds) == (1, whole.clips, whole.seconds)
    assert whole.computed_clips == whole.clips > 4
    assert part.bytes == pytest.approx(whole.bytes, rel=0.4)


def test_what_does_not_fit_is_not_computed_and_told(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure("optim.unfreeze=-1", base=TINY_WAVLM)
    whole = dry_run(config, tmp_path / "run").memory
    assert whole.training is not None
    monkeypatch.setattr(module, "free_bytes", lambda _: whole.optimizer + whole.training.bytes // 2)
    found = dry_run(config, tmp_path / "run")
    assert found.memory.training is not None
    assert found.memory.training.computed_clips < found.memory.training.clips
    assert found.memory.fits is False
    assert found.memory.total == pytest.approx(whole.total, rel=0.1)
    assert found.time is not None
    monkeypatch.setattr(module, "free_bytes", lambda _: whole.optimizer - 1)
    found = dry_run(config, tmp_path / "run")
    assert (found.memory.training, found.memory.fits, found.time) == (None, False, None)
    monkeypatch.setattr(module, "free_bytes", lambda _: None)
    assert dry_run(config, tmp_path / "run").memory.fits is None


@pytest.mark.parametrize("cached", [False, True])
def test_the_time_is_that_of_the_updates_and_the_evaluations_to_come(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: bool
) -> None:
    """A second of audio takes 2 s to learn from, 0.5 s to score, of states a tenth; changing the weights takes 1 s."""

    def timed(self: Rehearsal, batch: Any, compute: Any) -> float:
        if batch is None:
            return 1.0
        states = batch.items[0].dim() == 3
        heard = sum(seconds[crop.clip] for crop in batch.crops)
        rate = (0.5 if compute == self._score else 2.0) / (10 if states else 1)
        return heard * rate + (compute == self._step)

    monkeypatch.setattr(Rehearsal, "_timed", timed)
    cache = [f"data.cache={tmp_path}/cache"] if cached else []
    config = configure("epochs=4", "eval.every=none", *cache, base=TINY_WAVLM)
    rows = [json.loads(row) for row in Path(config.data.train[0]).read_text().splitlines()]
    seconds = [min(row["duration"], 0.7) for row in rows]
    dev = sum(json.loads(row)["duration"] for row in Path(config.data.dev[0]).read_text().splitlines())
    found = dry_run(config, tmp_path / "run")
    assert (found.cache is not None) == cached
    assert not (tmp_path / "cache").exists()
    epochs, evaluations = (1 + 3 / 10, 1 + 3 / 10) if cached else (4, 4)
    expected = found.updates + 2 * epochs * sum(seconds) + 0.5 * evaluations * dev
    assert found.time is not None
    assert found.time.total == pytest.approx(expected, rel=1e-3)
    assert found.time.update == pytest.approx(1 + 2 * epochs * sum(seconds) / found.updates, rel=1e-3)
    assert found.time.evaluation == pytest.approx(0.5 * evaluations * dev / 4, rel=1e-3)
    assert found.time.audio_per_s == pytest.approx(0.5, rel=1e-3)


def test_of_several_processes_each_has_its_share(configure: Configure, tmp_path: Path) -> None:
    one, two = (dry_run(configure(), tmp_path / "run", processes=n).memory.training for n in (1, 2))
    assert one is not None
    assert two is not None
    assert two.clips == (one.clips + 1) // 2
    assert two.bytes < one.bytes


def test_clips_that_cannot_be_read(configure: Configure, tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path / "data", 5, seed=5)
    for wav in (tmp_path / "data").glob("*.wav"):
        wav.unlink()
    with pytest.raises(ModelError, match=r"none of 5 clips could be read: .*\.wav: no such file"):
        dry_run(configure(f"data.train={manifest}"), tmp_path / "run")


def test_a_pair_is_not_torn() -> None:
    crops = [Crop(0, 0.0), Crop(1, 0.0, 7, "a"), Crop(2, 0.0, 7, "b"), Crop(3, 0.0)]
    batch = MicroBatch(crops, [None] * 4)  # type: ignore[list-item]
    assert [len(module._first(batch, n).crops) for n in (1, 2, 3, 4, 9)] == [1, 3, 3, 4, 4]
