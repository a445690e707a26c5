"""recipes/default: the teacher is asked as it is, once; views are of their clip; a stopped run goes on and ships."""

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import soundfile as sf
import sqa_model
import torch
from sqa_data import Utterance, write_manifest
from sqa_data.degrade.kinds import KINDS

RECIPE = Path(__file__).parents[3] / "recipes" / "default"
RATE, HOP = 16_000, 640


@pytest.fixture(scope="module")
def recipe() -> Iterator[SimpleNamespace]:
    """Its modules, which import each other by their bare names, as scripts beside each other do."""
    names = ("ask", "clips", "views", "learn", "finish")
    sys.path.insert(0, str(RECIPE))
    try:
        yield SimpleNamespace(**{name: importlib.import_module(name) for name in names})
    finally:
        sys.path.remove(str(RECIPE))
        for name in names:
            sys.modules.pop(name, None)


def noise(seconds: float, seed: int) -> np.ndarray:
    samples = np.arange(int(RATE * seconds))
    rng = np.random.default_rng(seed)
    return 0.1 * rng.standard_normal(len(samples)) * np.sin(samples / 2000) ** 2


def told(folder: Path, name: str, lengths: list[int], scores: list[float], ladder: str | None = None) -> None:
    """A file as `ask.py` writes it, of a teacher who says what a frame's energy is."""
    folder.mkdir(parents=True, exist_ok=True)
    waves = [(32767 * noise(n / RATE, i)).astype(np.int16) for i, n in enumerate(lengths)]
    states = []
    for wave in waves:
        frames = np.zeros(-(-len(wave) // HOP) * HOP)
        frames[: len(wave)] = wave / 32767
        energy = np.square(frames.reshape(-1, HOP)).mean(1)
        states.append(np.stack([np.outer(energy * k, np.linspace(-1, 1, 200)) for k in (1, 2)]))
    np.save(folder / f"{name}.pcm.npy", np.concatenate(waves))
    np.save(folder / f"{name}.states.npy", np.concatenate(states, 1).astype(np.float16))
    rows = [
        {
            "id": f"{name}-{i}",
            "samples": n,
            "scores": [score, score + 0.1],
            "ladder": ladder,
            "steps": [["hum", 0.5]],
        }
        for i, (n, score) in enumerate(zip(lengths, scores, strict=True))
    ]
    (folder / f"{name}.json").write_text(json.dumps(rows))


@pytest.fixture
def states(tmp_path: Path) -> Path:
    told(tmp_path / "broad-train", "000000", [16_000, 24_500, 32_000, 19_300], [2.0, 3.0, 4.0, 3.5])
    told(tmp_path / "ladders-train", "000000", [20_000] * 3, [4.0, 4.2, 2.0], "train-000000")
    told(tmp_path / "broad-dev", "000000", [16_000, 21_000, 50_000, 12_000], [2.5, 3.0, 4.0, 1.5])
    return tmp_path


def test_it_draws_kinds_that_there_are(recipe: SimpleNamespace) -> None:
    for config in recipe.clips.FOLDERS.values():
        assert {*config.kinds} <= {*KINDS}
    assert recipe.clips.FOLDERS["unseen"].train == 0
    assert {"babble", "gate", "gsm", "loss-pitch"} <= {*recipe.clips.FOLDERS["unseen"].kinds}


@pytest.mark.slow
def test_the_teacher_is_asked_as_it_is_and_once(recipe: SimpleNamespace, tmp_path: Path) -> None:
    pytest.importorskip("distillmos")
    ask: ModuleType = recipe.ask
    teacher = ask.Teacher()
    clips = [noise(seconds, i).astype(np.float32) for i, seconds in enumerate((1.0, 2.52, 7.68))]
    rows = []
    for i, clip in enumerate(clips):
        wave = torch.from_numpy(clip)
        said, (padded, repeated) = teacher(wave)
        late = torch.nn.functional.pad(wave, (ask.LATE, 0))
        late = torch.nn.functional.pad(late, (0, -len(late) % ask.HOP))
        with torch.inference_mode():
            plain = float(teacher.net(wave[None]))
            again = float(teacher.net(late.repeat(9)[: ask.WINDOW][None]))
        assert padded == pytest.approx(plain, abs=0.03)  # bfloat16
        assert repeated == pytest.approx(again, abs=0.15)  # the first repetition has no other before it there
        assert said.shape == (2, -(-len(wave) // HOP), 200)
        path = tmp_path / f"{i}.wav"
        sf.write(path, clip, RATE)
        rows.append(Utterance(str(path), f"c{i}", len(clip) / RATE, {}, system_id="noise"))
    for split in ("train", "dev", "test"):
        write_manifest(tmp_path / "clips" / "broad" / f"{split}.jsonl", rows)
    ask.main(tmp_path / "clips", tmp_path / "states", "1/1")
    assert sorted(p.name for p in (tmp_path / "states").iterdir()) == ["broad-dev", "broad-train"]
    found = recipe.views.Clips([tmp_path / "states" / "broad-train"])
    assert [t["id"] for t in found.told] == ["c0", "c1", "c2"]
    assert len(found) == 3
    ask.ask(None, rows, tmp_path / "states" / "broad-train" / "000000.json")  # nobody is asked again
    with pytest.raises(SystemExit, match="holds other clips"):
        ask.ask(None, rows[1:], tmp_path / "states" / "broad-train" / "000000.json")


def test_views_are_of_their_clip(recipe: SimpleNamespace, states: Path) -> None:
    views = recipe.views
    clips = views.Clips([states / "broad-train", states / "ladders-train"])
    rng = np.random.default_rng(0)
    whole = clips.wave(views.View(1, 0, clips.frames[1]), rng)
    assert len(whole) == 24_500
    crop = views.View(1, 5, 20)
    assert torch.equal(clips.wave(crop, rng), whole[5 * HOP : 25 * HOP])
    assert torch.equal(clips.states(crop), clips.states(views.View(1, 0, clips.frames[1]))[:, 5:25])
    padded = clips.wave(views.View(1, 0, clips.frames[1], 3, 7, -60.0, -1.0), rng)
    assert len(padded) == (clips.frames[1] + 10) * HOP
    inner = padded[3 * HOP :][: len(whole)]
    assert np.corrcoef(inner, -whole)[0, 1] > 0.999
    background = 20 * torch.log10(padded[: 3 * HOP].std() / whole.std())
    assert float(background) == pytest.approx(-60, abs=1)
    for _ in range(300):
        view = clips.other_view(1, rng)
        assert view.start >= 0
        assert 1 <= view.frames <= clips.frames[1] - view.start
        assert view.before + view.after == 0 or view.noise_db <= -45


def test_a_ladder_is_judged_downwards_and_stays_together(
    recipe: SimpleNamespace, states: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = recipe.views
    monkeypatch.setattr(views, "FRAMES", 300)
    clips = views.Clips([states / "broad-train", states / "ladders-train"])
    assert clips.ladders == [[4, 5, 6]]
    # the first score where the window is full, .1 above it where next to nothing fills it
    above = [0.1 - 0.1 * (n / 122_880) ** 0.5 for n in (16_000, 24_500, 32_000, 19_300, *[20_000] * 3)]
    assert (clips.labels - torch.tensor(above)).tolist() == pytest.approx([2, 3, 4, 3.5, 4.1, 4.1, 2])
    seen = []
    for epoch in range(20):
        for batch in clips.batches(np.random.default_rng(epoch)):
            assert sum(view.length for view in batch) == 300
            assert all(view.whole for view in batch[:-1])
            assert all(view.frames >= 1 or not view.whole for view in batch)
            pairs, steps = recipe.learn.pairs_of(batch, clips)
            assert all(batch[a].clip == batch[b].clip for a, b in pairs)
            seen += [(batch[a].clip, batch[b].clip) for a, b in steps]
    assert {*seen} == {(4, 5), (5, 6)}


def test_other_teachers_count_with_their_share(recipe: SimpleNamespace, states: Path, tmp_path: Path) -> None:
    folder = states / "broad-train"
    own = recipe.views.Clips([folder]).labels.numpy()
    rows = [
        Utterance("x.wav", f"000000-{i}", 1.0, {"nisqa_mos": value} if value else {}, system_id="s")
        for i, value in enumerate((0.1, 0.3, 0.9, None))
    ]
    write_manifest(tmp_path / "clips" / "broad" / "train.labelled.jsonl", rows)
    blended = recipe.views.Clips([folder], tmp_path / "clips", {"nisqa_mos": 0.25}).labels.numpy()
    assert blended[3] == own[3]  # nobody else said anything
    said = 4 * blended[:3] - 3 * own[:3]
    assert said.mean() == pytest.approx(own[:3].mean(), abs=1e-5)
    assert said.std() == pytest.approx(own[:3].std(), abs=1e-5)
    assert np.corrcoef(said, [0.1, 0.3, 0.9])[0, 1] == pytest.approx(1, abs=1e-5)
    with pytest.raises(ValueError, match="no clip has the label utmos"):
        recipe.views.Clips([folder], tmp_path / "clips", {"utmos": 0.25})


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_what_it_makes_ships(
    recipe: SimpleNamespace, states: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn, finish = recipe.learn, recipe.finish
    for module in (learn, recipe.views):
        monkeypatch.setattr(module, "FRAMES", 150)
    learn.main(states, states / "whole", 2)

    class Stopped(Exception):
        pass

    def stop(*_: object) -> str:
        if (states / "parts" / "state.pt").exists():
            raise Stopped
        return ""

    quality = learn.quality
    monkeypatch.setattr(learn, "quality", stop)
    with pytest.raises(Stopped):
        learn.main(states, states / "parts", 2)
    monkeypatch.setattr(learn, "quality", quality)
    with pytest.raises(SystemExit, match="other clips or settings"):
        learn.main(states, states / "parts", 3)
    learn.main(states, states / "parts", 2)
    one, other = (sqa_model.load(states / name / "learned").state_dict() for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)
    before = learn.first_edition().state_dict()
    assert sum(not torch.equal(one[name], before[name]) for name in one) > 0.9 * len(one)

    dev = recipe.views.Clips([states / "broad-dev"])
    finish.finish(states / "whole", states / "default", dev, [])
    shipped = sqa_model.load(states / "default")
    assert shipped.config.trim
    assert shipped.config.names == ("mos", "mos_std")
    clip = torch.from_numpy(noise(2, 5)).float()
    with torch.inference_mode():
        scores = shipped([clip, torch.cat([torch.zeros(9000), clip])])
    assert torch.equal(scores[0], scores[1])

    batches, asked = recipe.views.Clips.batches, []

    def longer(clips: object, random: np.random.Generator) -> Iterator[list[object]]:
        """An epoch of more batches than the one that was counted."""
        asked.append(clips)
        found = list(batches(clips, random))
        yield from found[:1] if len(asked) == 1 else found * 3

    monkeypatch.setattr(recipe.views.Clips, "batches", longer)
    learn.main(states, states / "longer", 2)
    assert (states / "longer" / "learned" / "config.json").exists()
    monkeypatch.setattr(learn, "FRAMES", 100_000)
    with pytest.raises(SystemExit, match="expected at least 4000"):
        learn.main(states, states / "short", 1)


def test_doubt_is_fitted_to_the_errors(recipe: SimpleNamespace) -> None:
    rng = torch.Generator().manual_seed(0)
    pooled = torch.randn(4000, 5, generator=rng)
    truth = torch.nn.functional.softplus(pooled[:, 0] - 1.0)
    error = truth * torch.randn(4000, generator=rng)
    pooled, error = torch.cat([pooled, pooled]), torch.cat([error, 9 * error])
    counts = torch.cat([torch.ones(4000), torch.zeros(4000)])  # nine times as wrong, and it does not count
    start = torch.full((5,), 0.4)
    row, bias = recipe.finish._fit(pooled, error, counts, start, torch.tensor(0.5))
    pooled, error = pooled[:4000], error[:4000]
    found = recipe.finish._std(pooled, row, bias)
    assert np.corrcoef(found, truth)[0, 1] > 0.99
    assert "coverage 68." in recipe.finish._quality(found, error)
