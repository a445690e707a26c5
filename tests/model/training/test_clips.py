"""Manifests to a table of clips: each once, labels where they are, what is wrong is named."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from sqa_data.errors import DataError
from sqa_model.errors import ModelError
from sqa_model.training.clips import Clips, clips_of, read_rows
from sqa_model.training.config import DataConfig


def manifest(path: Path, *rows: dict) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    base = {"audio_path": "/a.wav", "system_id": "s", "sample_id": "a", "duration": 1.0}
    path.write_text("".join(json.dumps(base | row) + "\n" for row in rows))
    return str(path)


def read(*patterns: str, heads: tuple[str, ...] = ("mos",), **options: str) -> Clips:
    data = DataConfig(**options)  # type: ignore[arg-type]
    return clips_of(read_rows(patterns, "data.train"), heads, data, name="data.train")


def test_globs_and_paths_each_manifest_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = manifest(tmp_path / "bvcc" / "train" / "data.jsonl", {"metrics": {"mos": 4}})
    manifest(tmp_path / "nisqa" / "train" / "data.jsonl", {"metrics": {"mos": 2}, "corpus": "NISQA"})
    clips = read(one, f"{tmp_path}/*/train/data.jsonl")
    assert len(clips) == 2
    assert clips.corpora == ("NISQA", "bvcc")  # stated, or the folder of the baseline's layout
    assert clips.labels.flatten().tolist() == [4, 2]
    (tmp_path / "link.jsonl").symlink_to(one)
    assert len(read(one, str(tmp_path / "link.jsonl"))) == 1
    assert [clips.corpora[i] for i in clips.corpus] == ["bvcc", "NISQA"]
    monkeypatch.chdir(Path(one).parent)
    assert read("data.jsonl").corpora == ("bvcc",)  # also where the path names no folder


def test_missing_null_and_nan_labels_are_all_masked(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    manifest(path, {"metrics": {"mos": 3}}, {"metrics": {"mos": None}}, {"metrics": {}}, {})
    path.write_text(path.read_text() + path.read_text().splitlines()[0].replace("3", "NaN") + "\n")
    clips = read(str(path))
    assert np.isnan(clips.labels[:, 0]).tolist() == [False, True, True, True, True]


def test_an_uncertainty_is_never_a_label(tmp_path: Path) -> None:
    path = manifest(tmp_path / "m.jsonl", {"metrics": {"mos": 3, "mos_std": 0.5}})
    assert np.isnan(read(path, heads=("mos", "mos_std")).labels[0]).tolist() == [False, True]


def test_labels_out_of_range(tmp_path: Path) -> None:
    path = manifest(
        tmp_path / "m.jsonl", {"metrics": {"mos": 5.5}}, {"metrics": {"mos": 4}}, {"metrics": {"mos": 0}}
    )
    with pytest.raises(
        ModelError,
        match=r"data\.train: 2 labels out of range(?s:.*)/a\.wav: mos is 5\.5, expected 1 to 5\n.*mos is 0",
    ):
        read(path)
    assert np.isnan(read(path, out_of_range="mask").labels[:, 0]).tolist() == [True, False, True]
    assert read(path, out_of_range="clip").labels[:, 0].tolist() == [5, 4, 1]


@pytest.mark.parametrize("out_of_range", ["error", "mask", "clip"])
def test_what_a_metric_gives_beyond_the_heads_range_is_moved_and_counted(
    out_of_range: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """PESQ of equal signals is 4.64, NISQA goes down to .7: right labels, which a head cannot reach."""
    path = manifest(
        tmp_path / "m.jsonl",
        {"metrics": {"mos": 3, "pesq": 4.6438888, "nisqa_mos": 0.704}},
        {"metrics": {"mos": 4, "pesq": 2, "nisqa_mos": 5}},
        {"metrics": {"mos": 5, "pesq": 0.9995}},
    )
    caplog.set_level("INFO", logger="sqa_model.training")
    labels = read(path, heads=("mos", "pesq", "nisqa_mos"), out_of_range=out_of_range).labels
    expected = np.float32([[3, 4.5, 1], [4, 2, 5], [5, 1, math.nan]])
    np.testing.assert_array_equal(labels, expected)
    assert caplog.messages == [
        "data.train: 2 of 3 labels pesq lie beyond the head's 1 to 4.5 and are moved to its end",
        "data.train: 1 of 2 labels nisqa_mos lie beyond the head's 1 to 5 and are moved to its end",
    ]


def test_scales_are_not_pooled_unasked(tmp_path: Path) -> None:
    mushra = {
        "metrics": {"mos": 60, "other": 7},
        "corpus": "odaq",
        "scales": {"mos": [0, 100], "other": [0, 10]},
    }
    path = manifest(tmp_path / "m.jsonl", {"metrics": {"mos": 3}}, mushra)
    with pytest.raises(
        ModelError, match=r"mos of odaq is on a scale of 0 to 100, the head's is 1 to 5.*--rescale mos"
    ):
        read(path)
    assert len(read(path, heads=("other",))) == 2  # a head without a scale of its own
    usual = manifest(tmp_path / "u.jsonl", {"metrics": {"mos": 3}, "scales": {"mos": [1, 5]}})
    assert len(read(usual)) == 1


def test_a_label_beyond_float32_is_out_of_range_and_not_infinite(tmp_path: Path) -> None:
    path = manifest(tmp_path / "m.jsonl", {"metrics": {"sdr": 1e300}}, {"metrics": {"sdr": -7}})
    with pytest.raises(ModelError, match=r"1 labels out of range(?s:.*)sdr is 1e\+300, expected -3\.4"):
        read(path, heads=("sdr",))
    assert np.isfinite(read(path, heads=("sdr",), out_of_range="clip").labels).all()


def test_empty_absent_and_unlabelled(tmp_path: Path) -> None:
    empty = manifest(tmp_path / "empty.jsonl")
    with pytest.raises(DataError, match=r"empty\.jsonl: no utterance"):
        read(empty)
    with pytest.raises(ModelError, match=r"data\.train: no file matches"):
        read(f"{tmp_path}/*.json")
    with pytest.raises(ModelError, match=r"data\.train: found no manifest"):
        read()
    path = manifest(tmp_path / "m.jsonl", {"metrics": {"pesq": 2.0, "sdr": 1.0}})
    with pytest.raises(ModelError, match=r"no utterance has the label 'mos'.*found: pesq, sdr; leave it out"):
        read(path)
    path = manifest(tmp_path / "m.jsonl", {"metrics": {"mos": None}})
    with pytest.raises(ModelError, match=r"has the label 'mos'; found: no label; expected rated clips"):
        read(path)


def test_the_columns_are_the_rows_in_order(tmp_path: Path) -> None:
    one = manifest(tmp_path / "z" / "b.jsonl", {"metrics": {"mos": 4}, "sample_id": "u1", "duration": 2.5})
    two = manifest(
        tmp_path / "a.jsonl",
        {"metrics": {"pesq": 2}, "audio_path": "x/y.wav", "corpus": "c", "system_id": None},
        {"metrics": {"mos": 1, "pesq": 3}, "corpus": "c"},
    )
    clips = read(one, two, heads=("pesq", "mos"))
    assert clips.paths == [str(tmp_path / "x/y.wav"), "/a.wav", "/a.wav"]
    assert clips.sample_ids == ["a", "a", "u1"]
    assert clips.system_ids == [None, "s", "s"]
    assert (clips.corpora, clips.corpus.tolist()) == (("b", "c"), [1, 1, 0])
    assert clips.seconds.tolist() == [1.0, 1.0, 2.5]
    nan = float("nan")
    assert np.array_equal(clips.labels, np.float32([[2, nan], [3, 1], [nan, 4]]), equal_nan=True)


def test_manifests_are_read_in_the_order_of_their_names_however_they_are_given(tmp_path: Path) -> None:
    names = ["e", "b", "d", "a", "f", "c"]
    for name in names:
        manifest(tmp_path / name / "deep" / f"{name}.jsonl", {"metrics": {"mos": 3}, "sample_id": name})
    for patterns in ([f"{tmp_path}/{n}/deep/{n}.jsonl" for n in names], [f"{tmp_path}/**/*.jsonl"]):
        assert read(*patterns).sample_ids == sorted(names)


def test_only_needed_heads_must_be_labelled(tmp_path: Path) -> None:
    path = manifest(tmp_path / "m.jsonl", {"metrics": {"mos": 2.0}})
    clips = clips_of(
        read_rows([path], "data.dev"), ("mos", "utmos"), DataConfig(), name="data.dev", needed=["mos"]
    )
    assert np.isnan(clips.labels[:, 1]).all()
    with pytest.raises(ModelError, match=r"data\.dev: no utterance has the label 'utmos'"):
        clips_of(
            read_rows([path], "data.dev"), ("mos", "utmos"), DataConfig(), name="data.dev", needed=["utmos"]
        )


def test_bounds_are_inclusive_and_each_heads_own(tmp_path: Path) -> None:
    path = manifest(
        tmp_path / "m.jsonl", {"metrics": {"mos": 1, "estoi": 1.0, "sdr": -40}}, {"metrics": {"mos": 5}}
    )
    assert np.isfinite(read(path, heads=("mos", "estoi", "sdr")).labels[0]).all()
    path = manifest(tmp_path / "m.jsonl", {"metrics": {"mos": 1, "estoi": 1.01}})
    with pytest.raises(ModelError, match=r"1 labels out of range(?s:.*)estoi is 1\.01, expected -1 to 1"):
        read(path, heads=("mos", "estoi"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_or_a_device_as_manifest_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    for path in (tmp_path / "pipe.jsonl", Path("/dev/zero")):
        with pytest.raises((ModelError, DataError), match=rf"{path.name}.*regular"):
            read(str(path))
