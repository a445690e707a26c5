"""Pairs that listeners compared: read by name, dealt whole, learned from in both orders, alone or beside labels."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sqa_data.pair_clips import list_pairs
from sqa_data.pairs import Pair, to_line
from sqa_model import Comparer, Predictor
from sqa_model.checkpoint.ours import load
from sqa_model.errors import ModelError
from sqa_model.training.begin import begin
from sqa_model.training.clips import Rows, clips_of, read_rows
from sqa_model.training.config import TrainConfig
from sqa_model.training.config_text import load_config
from sqa_model.training.evaluate import Results
from sqa_model.training.loop import train
from sqa_model.training.pairs import read_pairs
from sqa_model.training.plan import Plan, Work
from sqa_model.training.processes import Processes
from sqa_model.training.source import ClipReader
from sqa_model.training.state import Learner
from tiny_training import TINY, TINY_WAVLM, lines, same, write_corpus

NONE = Rows([], [])


def write_pairs(folder: Path, count: int, seed: int, name: str = "pairs.jsonl", *, cmos: bool = True) -> Path:
    """Pairs of the clips of a corpus of tones: CMOS is the difference of their labels, else who has more."""
    rows = [json.loads(line) for line in (folder / "data.jsonl").read_text().splitlines()]
    rows = [row for row in rows if "mos" in row["metrics"]]
    rng = np.random.default_rng(seed)
    written: dict[tuple[str, str], Pair] = {}
    while len(written) < count:
        a, b = (rows[int(i)] for i in rng.choice(len(rows), 2, replace=False))
        if a["corpus"] == b["corpus"]:
            apart = a["metrics"]["mos"] - b["metrics"]["mos"]
            better = "tie" if abs(apart) < 0.3 else "a" if apart > 0 else "b"
            ids = a["sample_id"], b["sample_id"]
            written[ids] = Pair(*ids, apart, None) if cmos else Pair(*ids, None, better)  # type: ignore[arg-type]
    path = folder / name
    path.write_bytes(b"".join(map(to_line, written.values())))
    return path


def pairs_of(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "pairs.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpora")
    for name, clips, seed in (("train", 40, 1), ("dev", 24, 2)):
        write_corpus(root / name, clips, seed)
        write_pairs(root / name, 60, seed)
        write_pairs(root / name, 60, seed, "preferences.jsonl", cmos=False)
    return root


def configure(root: Path, *overrides: str, pairs: str = "pairs.jsonl", wavlm: bool = False) -> TrainConfig:
    paths = [f"data.{kind}={json.dumps([str(root / kind / 'data.jsonl')])}" for kind in ("train", "dev")]
    paths += [
        f"data.pairs={json.dumps([str(root / 'train' / pairs)])}",
        f"data.dev_pairs={json.dumps([str(root / 'dev' / pairs)])}",
    ]
    base = ["eval.every=none", "eval.metric=utterance_srcc", "run.threads=1", "optim.lr=3e-3"]
    if wavlm:
        return load_config(overrides=[*TINY_WAVLM, *paths, *base, *overrides])
    return load_config("mini", overrides=[*TINY, *paths, *base, *overrides])


def test_pairs_name_clips_of_the_manifest_beside_them(corpora: Path) -> None:
    rows = read_rows([str(corpora / "train" / "data.jsonl")], "data.train")
    table, pairs, told = read_pairs([str(corpora / "train" / "pairs.jsonl")], rows, NONE, "data.pairs")
    assert (len(table), len(pairs), pairs.own_clips, told) == (40, 60, 0, ["60 pairs to learn from"])
    for i, line in enumerate((corpora / "train" / "pairs.jsonl").read_text().splitlines()):
        row = json.loads(line)
        a, b = (table.utterances[k[i]] for k in (pairs.a, pairs.b))
        assert (a.sample_id, b.sample_id) == (row["a"], row["b"])
        apart = a.metrics["mos"] - b.metrics["mos"]
        assert pairs.cmos[i] == pytest.approx(apart)
        assert pairs.better[i] == (2 if abs(apart) < 0.5 else 0 if apart > 0 else 1)


def test_clips_of_no_training_manifest_join_for_their_pairs_alone(corpora: Path) -> None:
    rows = read_rows([str(corpora / "dev" / "data.jsonl")], "data.train")
    table, pairs, _ = read_pairs([str(corpora / "train" / "pairs.jsonl")], rows, NONE, "data.pairs")
    # ids are the same numbers in both manifests: the one beside the pairs counts
    used = {line[side] for line in pairs_of(corpora / "train") for side in "ab"}
    assert pairs.own_clips == len(table) - 24 == len(used)
    assert all(str(corpora / "train") in row.audio_path for row in table.utterances[24:])
    assert [row.audio_path for row in table.utterances[:24]] == [row.audio_path for row in rows.utterances]


def test_pairs_of_urgentmos_say_where_their_clips_are(corpora: Path, tmp_path: Path) -> None:
    """They need no manifest: a clip that the training set has is used as it is there, another one joins."""
    rows = read_rows([str(corpora / "train" / "data.jsonl")], "data.train")
    files = [corpora / "train" / "3.wav", corpora / "dev" / "5.wav", corpora / "train" / "7.wav"]
    theirs = tmp_path / "data_pairs.jsonl"
    theirs.write_text(
        "".join(
            json.dumps({"audio_paths": [str(files[a]), str(files[b])], "metrics": {"mos_overall": cmos}})[:-1]
            + ', "durations": [0.5, 0.5]}\n'
            for a, b, cmos in ((0, 1, 3.5), (2, 0, -1.0), (1, 2, 0.0))
        )
    )
    with theirs.open("a") as file:  # as a challenge's test has it
        file.write(json.dumps({"audio_paths": [str(files[0]), str(files[2])], "durations": [0.5, 0.5]}))
    table, pairs, told = read_pairs([str(theirs)], rows, NONE, "data.pairs")
    assert told[1] == "1 pairs are left out: nobody said which clip is better"
    assert (len(table), pairs.own_clips) == (41, 1)
    assert (pairs.a.tolist(), pairs.b.tolist()) == ([3, 7, 40], [40, 3, 7])
    assert (pairs.cmos.tolist(), pairs.better.tolist()) == ([3.5, -1.0, 0.0], [0, 1, 2])
    assert table.utterances[40].audio_path == str(files[1])


def test_pairs_of_clips_to_measure_on_are_left_out_and_told(corpora: Path) -> None:
    rows = read_rows([str(corpora / "train" / "data.jsonl")], "data.train")
    apart, left = rows.take(range(10)), rows.take(range(10, 40))
    table, pairs, told = read_pairs([str(corpora / "train" / "pairs.jsonl")], left, apart, "data.pairs")
    names = {row.sample_id for row in apart.utterances}
    used = [json.loads(x) for x in (corpora / "train" / "pairs.jsonl").read_text().splitlines()]
    kept = [row for row in used if not {row["a"], row["b"]} & names]
    assert len(table) == 30
    assert len(pairs) == len(kept) < 60
    assert told[1:] == [f"{60 - len(kept)} pairs are left out: their clips are measured on"]
    with pytest.raises(
        ModelError, match="no pair to use; found 60 whose clips are among those to measure on"
    ):
        read_pairs([str(corpora / "train" / "pairs.jsonl")], NONE, rows, "data.pairs")


def test_a_clip_that_is_nowhere_or_in_two_corpora_is_one_error(corpora: Path, tmp_path: Path) -> None:
    rows = read_rows([str(corpora / "train" / "data.jsonl")], "data.train")
    file = tmp_path / "pairs.jsonl"
    file.write_bytes(to_line(Pair("0", "1", 1.0)) + to_line(Pair("0", "lost", 1.0)))
    with pytest.raises(ModelError, match=r"pairs.jsonl:2: clip 'lost' of the pair: it is in no manifest"):
        read_pairs([str(file)], rows, NONE, "data.pairs")
    other = read_rows([str(corpora / "dev" / "data.jsonl")], "data.train").utterances[0]
    doubled = Rows([*rows.utterances, other], [*rows.corpora, "other"])
    with pytest.raises(
        ModelError, match=r"pairs.jsonl:1: .*: 2 clips have this sample_id \(corpus a, other\)"
    ):
        read_pairs([str(file)], doubled, NONE, "data.pairs")
    file.write_bytes(to_line(Pair("2", "0", 1.0, corpus="a")))
    assert read_pairs([str(file)], doubled, NONE, "data.pairs")[1].b.tolist() == [0]


def test_ties_are_nearer_to_0_and_a_folder_names_the_corpus_of_its_clips(tmp_path: Path) -> None:
    """A file that two manifests have is one clip: the first one."""
    folder = tmp_path / "vcc" / "train"
    folder.mkdir(parents=True)
    clips = [{"audio_path": f"{name}.wav", "sample_id": name, "duration": 1} for name in "xyz"]
    (folder / "data.jsonl").write_text("".join(json.dumps(clip) + "\n" for clip in clips))
    cmos = (0.5, -0.5, 0.49, -0.49)
    told = [Pair("xy"[i % 2], "z", value, corpus="vcc") for i, value in enumerate(cmos)]
    # what listeners preferred comes before their CMOS
    told.append(Pair("x", "z", -1.0, "a", corpus="vcc"))
    (folder / "pairs.jsonl").write_bytes(b"".join(map(to_line, told)))
    rows = read_rows([str(folder / "data.jsonl")], "data.train").take([0, 1, 0, 1])
    table, pairs, _ = read_pairs([str(folder / "pairs.jsonl")], rows, NONE, "data.pairs")
    assert (pairs.a.tolist(), pairs.b.tolist()) == ([0, 1, 0, 1, 0], [4] * 5)
    assert pairs.better.tolist() == [0, 1, 2, 2, 0]
    assert table.corpora == ["vcc"] * 5


def test_pairs_to_measure_on_stay_though_clips_are_learned_from(corpora: Path) -> None:
    """Whoever looks for leaks must see them."""
    start = begin(configure(corpora, f'data.dev_pairs=["{corpora}/train/pairs.jsonl"]'))
    assert len(start.dev_pairs) == 60
    assert not {*start.clips.paths}.isdisjoint(start.dev.paths)


def plan(root: Path, *overrides: str, rank: int = 0, size: int = 1) -> tuple[Plan, int]:
    config = configure(root, *overrides, wavlm=True)
    rows = read_rows(config.data.train, "data.train")
    rows, pairs, _ = read_pairs(config.data.pairs, rows, NONE, "data.pairs")
    clips = clips_of(rows, ("mos",), config.data, name="data.train")
    return Plan(config, clips, Processes(rank, size, torch.device("cpu")), pairs), len(pairs)


@pytest.mark.parametrize("cache", ["none", "somewhere"])
def test_an_epoch_has_every_clip_and_every_pair_once_and_its_clips_side_by_side(
    corpora: Path, cache: str
) -> None:
    found, count = plan(corpora, f"data.cache={cache}", "batch.micro_seconds=2")
    assert found.pairs is not None
    works = list(found.after(0))
    for epoch in range(2):
        pieces = [piece for work in works if work.epoch == epoch for piece in work.micro_batches]
        crops = [crop for piece in pieces for crop in piece]
        assert sorted(crop.clip for crop in crops if crop.pair is None) == list(range(40))
        assert sorted(crop.pair for crop in crops if crop.side == "a") == list(range(count))  # type: ignore[type-var]
        for piece in pieces:
            for i, crop in enumerate(piece):
                if crop.side == "a":
                    other = piece[i + 1]
                    assert (other.pair, other.side) == (crop.pair, "b")
                    assert (crop.clip, other.clip) == (found.pairs.a[crop.pair], found.pairs.b[crop.pair])
    assert [work.micro_batches for work in found.after(5)] == [w.micro_batches for w in works[5:]]
    drawn = {crop.crop_at for work in works for crop in work.crops() if crop.clip == 7}
    assert (len(drawn) == 1) == (cache != "none")


def test_a_share_of_the_pairs_and_no_clips_alone(corpora: Path) -> None:
    found, count = plan(corpora, "data.pair_share=0.5", "data.weights.a=0", "data.weights.b=0")
    works = list(found.after(0))
    sides = [[c.pair for w in works if w.epoch == e for c in w.crops() if c.side == "a"] for e in range(2)]
    assert [len(side) for side in sides] == [count // 2] * 2
    assert sorted([*sides[0], *sides[1]]) == list(range(count))  # type: ignore[type-var]
    assert all(crop.pair is not None for work in works for crop in work.crops())


def test_clips_without_a_label_that_are_left_out_come_back_for_their_pairs(
    corpora: Path, tmp_path: Path
) -> None:
    """With `data.unlabelled=drop` pairs still name the clips that they name."""
    rows = [json.loads(line) for line in (corpora / "train" / "data.jsonl").read_text().splitlines()]
    for row in rows:
        row["audio_path"] = str(corpora / "train" / row["audio_path"])
    for row in rows[::3]:
        row["metrics"] = {}
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "pairs.jsonl").write_bytes((corpora / "train" / "pairs.jsonl").read_bytes())
    paths = [
        f"data.{key}={json.dumps([str(tmp_path / name)])}"
        for key, name in (("train", "data.jsonl"), ("pairs", "pairs.jsonl"))
    ]
    start = begin(configure(corpora, *paths, "data.unlabelled=drop"))
    for i, line in enumerate((tmp_path / "pairs.jsonl").read_text().splitlines()):
        row = json.loads(line)
        assert start.clips.sample_ids[start.pairs.a[i]] == row["a"]
        assert start.clips.sample_ids[start.pairs.b[i]] == row["b"]
    alone = start.clips.labels[: len(start.clips) - start.pairs.own_clips, 0]
    assert np.isfinite(alone).all()
    assert start.pairs.own_clips > 5


def learner(config: TrainConfig) -> tuple[Learner, ClipReader, list[Work]]:
    torch.manual_seed(config.seed)
    start = begin(config)
    group = Processes(0, 1, torch.device("cpu"))
    made = Learner(start.model, start.clips, config, group, pairs=start.pairs)
    works = list(Plan(config, start.clips, group, start.pairs).after(0))
    return made, ClipReader(config, start.clips, made.model, config.data.max_seconds), works


def expected_loss(made: Learner, reader: ClipReader, work: Work) -> tuple[float, float]:
    """(mean squared error of mos, loss of pairs) of an update by their definitions, one clip and one pair at a time."""
    squared, cmos, wrong = [], [], []
    pairs = {crop.pair: [] for crop in work.crops() if crop.pair is not None}
    objective = made.objective
    with torch.no_grad():
        for crop in work.crops():
            wave = reader.load(crop)
            label = objective.labels[crop.clip, 0].item()
            if math.isfinite(label):
                squared.append((made.model([wave])[0, 0].item() - label) ** 2)
            if crop.pair is not None:
                pairs[crop.pair].append(wave)
        for pair, (a, b) in pairs.items():
            target, better = objective.cmos[pair].item(), int(objective.better[pair])
            for waves, sign, right in (((a, b), 1, better), ((b, a), -1, [1, 0, 2][better])):
                said = made.model.compare(made.model.encode(list(waves)), [(0, 1)])
                if math.isfinite(target):
                    cmos.append((said.cmos.item() - sign * target) ** 2)
                wrong.append(-said.classes[0].log_softmax(0)[right].item())
    return float(np.mean(squared)), (float(np.mean(cmos)) if cmos else 0.0) / 2 + float(np.mean(wrong)) / 2


@pytest.mark.parametrize("file", ["pairs.jsonl", "preferences.jsonl"])
@pytest.mark.parametrize("micro", ["none", "1.5"])
def test_the_loss_is_half_labels_and_half_pairs_in_both_orders(corpora: Path, file: str, micro: str) -> None:
    settings = ["model.dropout=0", f"batch.micro_seconds={micro}", "batch.seconds=20", "batch.clips=20"]
    made, reader, works = learner(configure(corpora, *settings, pairs=file))
    work = next(w for w in works if {crop.pair is None for crop in w.crops()} == {True, False})
    labels, pairs = expected_loss(made, reader, work)
    ((_, batch),) = reader.batches([work])
    step = made.step(work, batch, reader, made.count(batch, reader, stop=False))
    assert step.head_losses == {
        "mos": pytest.approx(labels, rel=1e-4),
        "cmos": pytest.approx(pairs, rel=1e-4),
    }
    assert step.loss == pytest.approx((labels + pairs) / 2, rel=1e-4)


def test_the_share_of_pairs_is_a_setting_and_all_where_nothing_has_a_label(corpora: Path) -> None:
    settings = ["model.dropout=0", "batch.seconds=20", "batch.clips=20", "loss.comparison=0.2"]
    made, reader, works = learner(configure(corpora, *settings))
    work = next(w for w in works if {crop.pair is None for crop in w.crops()} == {True, False})
    _, pairs = expected_loss(made, reader, work)
    ((_, batch),) = reader.batches([work])
    totals = made.count(batch, reader, stop=False)
    assert made.objective.shares(totals.counts).tolist() == pytest.approx([0.8, 0.2])
    made.objective.labels = torch.full_like(made.objective.labels, math.nan)
    totals = made.count(batch, reader, stop=False)
    assert made.objective.shares(totals.counts).tolist() == [0, 1]
    assert made.step(work, batch, reader, totals).loss == pytest.approx(pairs, rel=1e-4)


def test_a_pair_with_an_unreadable_clip_is_no_pair_and_its_other_clip_stays(corpora: Path) -> None:
    made, reader, works = learner(configure(corpora))
    work = next(w for w in works if any(crop.pair is not None for crop in w.crops()))
    lost = next(crop.clip for crop in work.crops() if crop.side == "b")
    reader.clips.paths[lost] += ".gone"
    ((_, batch),) = reader.batches([work])
    here = {pair.pair for part in batch for pair in part.pairs}
    whole = {c.pair for c in work.crops() if c.pair is not None}
    hurt = {c.pair for c in work.crops() if c.pair is not None and c.clip == lost}
    assert here == whole - hurt
    assert sum(len(part.crops) for part in batch) == sum(c.clip != lost for c in work.crops())
    assert made.count(batch, reader, stop=False).counts.compared.tolist() == [len(here)] * 2


def _srcc(figures: Results) -> float:
    """What chooses: the mean over the corpora."""
    return float(np.mean([heads["cmos"]["utterance_srcc"] for heads in figures.values()]))


def test_a_run_learns_who_is_better_and_goes_on_bit_for_bit(corpora: Path, tmp_path: Path) -> None:
    # saved after each epoch alone: 80 updates are too many to keep each on the disk
    settings = ["epochs=6", "eval.head=cmos", "data.cache=none", "optim.ema=0.9", "run.save_minutes=60"]
    config = configure(corpora, *settings)
    result = train(config, tmp_path / "whole")
    figures = [row["dev"]["a"]["cmos"] for row in lines(tmp_path / "whole") if "dev" in row]
    assert figures[-1]["pairs"] == figures[-1]["clips"]
    assert figures[-1]["utterance_lcc"] > 0.95 > figures[0]["utterance_lcc"]
    assert figures[-1]["accuracy"] > 0.7
    chosen = [_srcc(row["dev"]) for row in lines(tmp_path / "whole") if "dev" in row]
    assert _srcc(result.best) == max(chosen)
    losses = [row for row in lines(tmp_path / "whole") if "loss_cmos" in row]
    assert losses[-1]["loss_cmos"] < 0.75 * losses[0]["loss_cmos"]

    def stop_at(progress: object) -> None:
        if getattr(progress, "update", 0) == 20:
            raise SystemExit

    with pytest.raises(SystemExit):
        train(config, tmp_path / "killed", watch=stop_at)
    train(config, tmp_path / "killed")
    assert same(tmp_path / "whole", tmp_path / "killed")

    model = load(tmp_path / "whole" / "best")
    assert model.comparison is not None
    predictor = Predictor(model, device="cpu", dtype="float32")
    assert predictor.names == ("mos",)
    # whoever predicts pairs gets what the run measured
    listed = list_pairs(corpora / "dev" / "pairs.jsonl")
    said = [row["metrics"]["cmos"] for row in Comparer(predictor).rows(listed)]
    heard = [pair.pair.cmos for pair in listed]
    corpus = [pair.corpus for pair in listed]
    for name, figures in result.best.items():
        here = [i for i, other in enumerate(corpus) if other == name]
        lcc = np.corrcoef(np.take(said, here), np.take(heard, here))[0, 1]
        assert figures["cmos"]["utterance_lcc"] == pytest.approx(lcc, abs=1e-4)


def test_only_preferences_and_a_frozen_encoder_with_its_cache(corpora: Path, tmp_path: Path) -> None:
    """No clip alone, no label: what is learned is who is better, of cached states too."""
    chooses = ["epochs=1", "eval.head=cmos", "eval.metric=accuracy", "data.weights.a=0", "data.weights.b=0"]
    settings = {"pairs": "preferences.jsonl", "wavlm": True}
    for name, cache in (("plain", "none"), ("cached", str(tmp_path / "cache"))):
        result = train(
            configure(
                corpora,
                *chooses,
                "data.max_seconds=1.1",
                "model.dropout=0",
                f"data.cache={cache}",
                **settings,
            ),
            tmp_path / name,
        )
        assert result.best["a"]["cmos"]["accuracy"] is not None
        assert "utterance_lcc" not in result.best["a"]["cmos"]
    one, other = (
        [row["loss_cmos"] for row in lines(tmp_path / n) if "loss" in row] for n in ("plain", "cached")
    )
    assert one == pytest.approx(other, rel=2e-2)
