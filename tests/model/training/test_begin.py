"""What a run starts from, by its config: clips, held out or not, heads and the network."""

import json
from pathlib import Path

import pytest
import torch
from sqa_data.pairs import Pair, to_line
from sqa_data.ratings import SingleRating
from sqa_data.ratings import to_line as to_rating
from sqa_model import load, save
from sqa_model.errors import ModelError
from sqa_model.training.begin import begin
from sqa_model.training.build import build_model
from sqa_model.training.config import TrainConfig
from sqa_model.training.config_text import load_config
from tiny_training import TINY

PARENT = 'model.heads=["mos","mos_std","pesq"]'
BESIDE = [item for item in TINY if not item.startswith("model.")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """parent/ and mine.jsonl, with MOS labels alone, of five talkers."""
    folder = tmp_path_factory.mktemp("begin")
    torch.manual_seed(0)
    save(build_model(load_config("mini", overrides=[*TINY, PARENT, "loss.kind=nll"])), folder / "parent")
    rows = [
        {
            "audio_path": f"{i}.wav",
            "sample_id": str(i),
            "duration": 1,
            "metrics": {"mos": 3},
            "talker": f"t{i % 5}",
        }
        for i in range(20)
    ]
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def config(folder: Path, *overrides: str) -> TrainConfig:
    data = [f"data.train={folder}/mine.jsonl", f"model.init={folder}/parent"]
    return load_config("fine-tune", overrides=[*BESIDE, *data, *overrides])


def test_mos_labels_alone_are_enough(folder: Path) -> None:
    start = begin(config(folder))
    assert (len(start.clips), len(start.dev)) == (16, 4)
    assert start.model.config.names == ("mos",)
    parent = load(folder / "parent")
    assert torch.equal(start.model.metrics.weight[0], parent.metrics.weight[0])
    assert start.told[0].endswith("mine: 4 of 20 clips, 1 of 5 talkers")
    assert [line.split(":")[0] for line in start.told[1:]] == [
        "head 'mos_std' is left out",
        "head 'pesq' is left out",
        "heads that go on",
    ]
    assert start.record is not None
    assert start.record["model"]["heads"] == ["mos"]
    assert start.record["fine_tuned_from"]["fingerprint"] == parent.fingerprint()
    assert start.provenance is not None
    assert start.provenance["data"]["train"]["corpora"] == {"mine": 16}


def test_heads_are_kept_added_and_frozen(folder: Path) -> None:
    start = begin(config(folder, 'model.heads=["noisiness","mos","pesq"]', "data.missing_heads=keep"))
    assert start.model.config.names == ("noisiness", "mos", "pesq")
    assert start.frozen_heads == ("noisiness", "pesq")
    assert start.told[-1] == "heads that go on: mos, pesq; new ones: noisiness"
    with pytest.raises(
        ModelError, match=r"data\.train: no utterance has the label 'noisiness'.*missing_heads"
    ):
        begin(config(folder, 'model.heads=["mos","noisiness"]'))


def test_a_fresh_network_is_as_ever(folder: Path) -> None:
    fresh = load_config(
        "mini", overrides=[*TINY, f"data.train={folder}/mine.jsonl", f"data.dev={folder}/mine.jsonl"]
    )
    torch.manual_seed(1)
    expected = build_model(fresh).state_dict()
    torch.manual_seed(1)
    start = begin(fresh)
    assert all(torch.equal(value, expected[name]) for name, value in start.model.state_dict().items())
    assert (start.told, start.record, start.provenance, start.frozen_heads) == ((), None, None, ())


def test_a_fresh_network_may_lose_a_head_that_nothing_labels(folder: Path) -> None:
    data = [f"data.train={folder}/mine.jsonl", "data.hold_out=0.2", 'model.heads=["mos","pesq"]']
    start = begin(load_config("mini", overrides=[*TINY, *data, "data.missing_heads=drop"]))
    assert start.model.config.names == ("mos",)
    assert start.record is not None
    assert (start.record["model"]["heads"], start.record["model"]["dim"]) == (["mos"], 16)
    assert start.provenance is None


def test_the_comparative_head_is_kept_or_left_out_like_any_other(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "pairs.jsonl").write_bytes(
        b"".join(to_line(Pair(str(i), str(j), 1.0)) for i in range(9) for j in range(i))
    )
    pairs = f"data.pairs={tmp_path}/pairs.jsonl"
    start = begin(config(folder, pairs))
    assert start.provenance is not None
    recorded = start.provenance["data"]["train"]["pairs"]
    assert recorded == {"files": [f"{tmp_path}/pairs.jsonl"], "count": len(start.pairs)}
    assert start.model.comparison is not None
    assert all(p.requires_grad for p in start.model.comparison.parameters())
    save(start.model, tmp_path / "compares")
    parent = f"model.init={tmp_path}/compares"
    told = "the comparative head is left out: there are no pairs to learn from"
    left = begin(config(folder, parent))
    assert left.model.comparison is None
    assert left.told[-1] == told
    for again, learns in (
        (config(folder, parent, "data.missing_heads=keep"), False),
        (config(folder, parent, pairs), True),
    ):
        kept = begin(again)
        assert told not in kept.told
        assert kept.model.comparison is not None
        for one, other in zip(
            kept.model.comparison.parameters(), start.model.comparison.parameters(), strict=True
        ):
            assert torch.equal(one, other)
            assert one.requires_grad == learns


def test_ratings_become_labels_and_dropout_is_what_the_config_says(folder: Path, tmp_path: Path) -> None:
    rated = [("1", 4.0, "a"), ("1", 5.0, "b"), ("2", 3.0, "a")]
    said = [SingleRating(name, value, listener_id=who) for name, value, who in rated]
    (tmp_path / "ratings.jsonl").write_bytes(b"".join(map(to_rating, said)))
    data = [f"data.dev={folder}/mine.jsonl", f"data.ratings={tmp_path}/ratings.jsonl", "model.dropout=0.25"]
    start = begin(config(folder, *data))
    assert start.clips.labels[:3, 0].tolist() == [3, 4.5, 3]
    assert start.clips.votes[1:3, 0].tolist() == [2, 1]
    assert "1 labels are not the mean of their ratings; the ratings count" in start.told
    assert start.model.config.dropout == 0.25


def test_what_is_held_out_and_told_follows_the_config(folder: Path) -> None:
    assert len({tuple(begin(config(folder, f"seed={seed}")).dev.sample_ids) for seed in range(4)}) > 1
    rows = [json.loads(line) for line in (folder / "mine.jsonl").read_text().splitlines()]
    rows[0]["metrics"] = {}
    (folder / "less.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = [f"data.train={folder}/less.jsonl", f"data.dev={folder}/mine.jsonl"]
    start = begin(config(folder, *data, 'model.heads=["mos","noisiness"]', "data.missing_heads=keep"))
    # a head that learns nothing needs no label
    assert start.told[0].startswith("data.train: 1 of 20 clips have no label for mos and teach nothing")


def test_no_label_at_all_and_no_choice_are_told(folder: Path) -> None:
    (folder / "bare.jsonl").write_text(
        '{"audio_path": "a.wav", "sample_id": "a", "duration": 1, "metrics": {"x": 1}}\n'
    )
    bare = f"data.train={folder}/bare.jsonl"
    with pytest.raises(ModelError, match=r"data\.train: no utterance has the label 'mos'; found: x"):
        begin(config(folder, bare, f"data.dev={folder}/mine.jsonl"))
    with pytest.raises(ModelError, match=r"eval\.weights\.other: found 1"):
        begin(config(folder, "eval.weights.other=1"))


def test_clips_without_a_label_that_is_learned(folder: Path, tmp_path: Path) -> None:
    """They are told of, and left out where that is asked for; a label of another head is none."""
    rows = [json.loads(line) for line in (folder / "mine.jsonl").read_text().splitlines()]
    for i, metrics in enumerate(
        ({}, None, {"mos": None}, {"mos": float("nan")}, {"utmos": 3}, {"mos_std": 1})
    ):
        rows[i]["metrics"] = metrics
    del rows[6]["metrics"]
    rows[7]["metrics"] = {"pesq": 2}
    manifest = tmp_path / "data.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = [*TINY, f"data.train={manifest}", f"data.dev={folder}/mine.jsonl"]
    for heads, left in (('model.heads=["mos","mos_std"]', 8), ('model.heads=["mos","pesq"]', 7)):
        kept, dropped = (
            begin(load_config("mini", overrides=[*data, heads, "loss.kind=nll", f"data.unlabelled={how}"]))
            for how in ("keep", "drop")
        )
        assert (len(kept.clips), len(dropped.clips)) == (20, 20 - left)
        assert dropped.clips.sample_ids == kept.clips.sample_ids[left:]
        told = f"data.train: {left} of 20 clips have no label for mos"
        assert [line.startswith(told) for line in (*kept.told, *dropped.told)] == [True, True]
        assert "data.unlabelled=drop leaves them out" in kept.told[0]
        assert dropped.told[0].endswith("and are left out")
