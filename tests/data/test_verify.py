"""A manifest with one fault of each kind: the fault is named with its line, and nothing else is."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sqa_data import DataError, Utterance, get_corpus, validate, write_manifest
from sqa_data.pairs import Pair, to_line


def clip(path: Path, seed: int, rate: int = 16000, frames: int = 1600) -> Path:
    signal = np.random.default_rng(seed).integers(-3000, 3000, frames).astype(np.int16)
    soundfile.write(path, signal, rate)
    return path


def row(path: Path, **changes: object) -> dict[str, object]:
    facts = {
        "audio_path": str(path),
        "corpus": "mine",
        "split": "train",
        "system_id": "s",
        "sample_id": path.stem,
    }
    return facts | {"duration": 0.1, "sample_rate": 16000, "metrics": {"mos": 3.0}} | changes


def write(path: Path, *rows: dict[str, object] | str) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


def test_a_true_manifest(tmp_path: Path) -> None:
    rows = [row(clip(tmp_path / f"{i}.wav", i)) for i in range(5)]
    found = validate([write(tmp_path / "m.jsonl", *rows)])
    assert found.ok
    assert (found.samples, found.findings) == (5, [])
    assert found.hours == pytest.approx(0.5 / 3600)


FAULTS: list[tuple[str, dict[str, object]]] = [
    ("range", {"metrics": {"mos": 5.5}}),
    ("range", {"metrics": {"mos": 3.0, "mos_bak": 0.5}}),
    ("outside", {"metrics": {"mos": 3.0, "estoi": -0.1}}),
    ("outside", {"metrics": {"mos": 3.0, "pesq": 4.643}}),
    ("range", {"metrics": {"mos": 3.0, "pesq": 4.7}}),
    ("range", {"metrics": {"mos": 3.0, "nisqa_mos": 60}}),
    ("votes", {"votes": 0}),
    ("votes", {"mos_std": 3.0}),
    ("missing", {"audio_path": "/none.wav"}),
    ("duration", {"duration": 0.102}),
    ("rate", {"sample_rate": 8000}),
    ("schema", {"duration": "long"}),
    ("schema", {"sample_id": None}),
    ("nan", {"metrics": {"mos": 3.0, "utmos": float("nan")}}),
    ("unlabelled", {"metrics": {}}),
    ("duplicate", {"sample_id": "a"}),
]


@pytest.mark.parametrize(("kind", "changes"), FAULTS)
def test_each_fault(kind: str, changes: dict[str, object], tmp_path: Path) -> None:
    good, bad = clip(tmp_path / "a.wav", 1), clip(tmp_path / "b.wav", 2)
    path = write(tmp_path / "m.jsonl", row(good), row(bad, **changes))
    found = validate([path])
    assert dict(found.counts) == {kind: 1}
    assert found.findings[0].where == f"{path}:2"
    assert found.ok == (kind in ("unlabelled", "outside"))


def test_what_float32_rounds_is_not_told(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", row(clip(tmp_path / "a.wav", 1), metrics={"spksim": 1.0000001}))
    assert not validate([path]).counts


@pytest.mark.parametrize("kind", ["cut", "text", "empty file", "no samples"])
def test_audio_that_does_not_decode(kind: str, tmp_path: Path) -> None:
    bad = (
        clip(tmp_path / "b.wav", 2, frames=0)
        if kind == "no samples"
        else clip(tmp_path / "b.flac", 2, frames=20000)
    )
    content = bad.read_bytes()
    if kind != "no samples":
        bad.write_bytes({"cut": content[:-9000], "text": b"not audio", "empty file": b""}[kind])
    found = validate([write(tmp_path / "m.jsonl", row(bad, duration=0 if kind == "no samples" else 1.25))])
    assert dict(found.counts) == ({"empty": 1} if kind == "no samples" else {"unreadable": 1})


def test_a_baseline_manifest_rounds_its_durations(tmp_path: Path) -> None:
    path = clip(tmp_path / "a.wav", 1, 22050, 1601)
    five = {"audio_path": str(path), "system_id": "s", "sample_id": "a", "duration": round(1601 / 22050, 3)}
    assert validate([write(tmp_path / "m.jsonl", five | {"metrics": {"mos": 3.0}})]).ok


def test_clips_shared_between_manifests(tmp_path: Path) -> None:
    one, two = clip(tmp_path / "a.wav", 1), clip(tmp_path / "b.flac", 1)  # the same 16-bit samples
    train = write(tmp_path / "train.jsonl", row(one))
    test = write(tmp_path / "test.jsonl", row(two, split="test"))
    other = write(tmp_path / "other.jsonl", row(two, corpus="other"))
    both = write(tmp_path / "both.jsonl", row(one), row(two))
    assert dict(validate([train, test]).counts) == {"shared": 1}
    assert dict(validate([test, train]).counts) == {"shared": 1}
    assert dict(validate([train, other]).counts) == {"twins": 1}  # two training sets
    assert validate([both]).ok
    assert dict(validate([both]).counts) == {"twins": 1}
    assert dict(validate([train, test], decode=False).counts) == {}
    assert dict(validate([train, train]).counts) == {}  # given twice, read once
    alone, compared = (
        write(tmp_path / f"{split}.jsonl", row(path, corpus="urgent2026-sqa", split=split, sample_id=split))
        for path, split in ((one, "acr"), (two, "ccr"))
    )
    assert set(validate([alone, compared]).counts) == {
        "count"
    }  # two tests of the same clips, by their publisher
    assert dict(validate([compared, test]).counts)["shared"] == 1
    cut = write(tmp_path / "cut.jsonl", row(one, corpus="vmc2026-track1-dev", split="acr"))
    assert dict(validate([compared, cut]).counts)["shared"] == 1
    merged = write(tmp_path / "merged.jsonl", row(one), row(two, split="test"))
    assert dict(validate([merged]).counts) == {"shared": 1}
    tests = write(tmp_path / "tests.jsonl", row(one, split="test"), row(two, split="test"))
    assert dict(validate([tests]).counts) == {"twins": 1}


def test_counts_unlike_the_published(tmp_path: Path) -> None:
    path = write(tmp_path / "m.jsonl", row(clip(tmp_path / "a.wav", 1), corpus="ttsds2"))
    found = validate([path])
    assert found.ok
    assert [f.text for f in found.findings] == [
        "ttsds2/train: 1 samples; published are 460",
        "ttsds2/train: 1 systems; published are 80",
    ]


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        validate([tmp_path / "none.jsonl"])


def test_audio_that_is_not_what_its_header_says(tmp_path: Path) -> None:
    whole = clip(tmp_path / "whole.wav", 0)
    half = tmp_path / "half.wav"
    half.write_bytes(whole.read_bytes()[: 44 + 1600])
    soundfile.write(tmp_path / "nan.wav", np.full(1600, np.nan, np.float32), 16000, subtype="FLOAT")
    (tmp_path / "folder.wav").mkdir()
    rows = [row(half), row(tmp_path / "nan.wav"), row(tmp_path / "folder.wav")]
    found = validate([write(tmp_path / "m.jsonl", *rows)])
    assert found.counts == {"unreadable": 3}
    assert "the header promises 0.10 s, the file holds 0.05 s" in found.findings[0].text
    assert "1600 of 1600 samples are NaN" in found.findings[1].text
    assert "is a folder" in found.findings[2].text


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes as files are POSIX")
@pytest.mark.timeout(20)
@pytest.mark.parametrize("decode", [True, False])
def test_a_pipe_does_not_hang(decode: bool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    found = validate([write(tmp_path / "m.jsonl", row(tmp_path / "pipe.wav"))], decode=decode)
    assert found.counts == {"unreadable": 1}
    assert "is a pipe; expected a regular file" in found.findings[0].text


def test_one_bad_row_is_one_finding(tmp_path: Path) -> None:
    """B8 and B9: bad rows of every kind stop no check of the others."""
    start = '{"sample_id": "%s", "duration": 1, "metrics": {"mos": 3}, "audio_path": "%s"%s}\n'
    deep = ', "x": ' + "[" * 100_000 + "]" * 100_000
    path = tmp_path / "data.jsonl"
    path.write_text(
        start % ("a", "x" * 5000, "")
        + start % ("b", "/dev/zero", "")
        + start % ("c", "c.wav", deep)
        + start % ("\\ud800", "d.wav", "")
        + start % ("e", "e.wav", "")
    )
    found = validate(path)
    assert sorted((f.where.rpartition(":")[2], f.kind) for f in found.findings if f.severity == "error") == [
        ("1", "missing"),
        ("2", "unreadable"),
        ("3", "schema"),
        ("4", "schema"),
        ("5", "missing"),
    ]


def test_corpora_that_hold_each_others_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder = replace(get_corpus("nisqa"), contains=("bvcc",))
    known = (holder, get_corpus("bvcc"))
    monkeypatch.setattr("sqa_data.corpus.list_corpora", lambda: known)
    for corpus, split in (("nisqa", "train"), ("bvcc", "test"), ("bvcc", "train")):
        clip = Utterance(str(tmp_path / "a.wav"), "a", 1.0, {"mos": 3.0}, corpus=corpus, split=split)
        write_manifest(tmp_path / f"{corpus}-{split}.jsonl", [clip])
    found = validate([tmp_path / "nisqa-train.jsonl", tmp_path / "bvcc-test.jsonl"], decode=False)
    assert found.counts["overlap"] == 1
    assert not validate([tmp_path / "bvcc-train.jsonl", tmp_path / "bvcc-test.jsonl"], decode=False).counts[
        "overlap"
    ]
    assert not validate([tmp_path / "nisqa-train.jsonl", tmp_path / "bvcc-train.jsonl"], decode=False).counts[
        "overlap"
    ]


@pytest.mark.parametrize(
    ("one", "two", "kind"),
    [
        (("speecheval", "train"), ("bvcc", "test"), "overlap"),
        (("bvcc", "train"), ("vmc24-zoomed", "test"), "overlap"),
        (("bvcc", "train"), ("speecheval", "train"), ""),
        (("bvcc", "test"), ("speecheval", "test"), ""),
        (("bvcc", "dev"), ("vmc24-zoomed", "test"), ""),
        # nobody says whether these are learned from or measured on
        (("vcc2020", "english"), ("bvcc", "test"), "related"),
        (("vcc2020", "japanese"), ("bvcc", "train"), "related"),
        (("speecheval", None), ("bvcc", "test"), "related"),
        (("bvcc", "mine"), ("vcc2020", "english"), "related"),
        (("vcc2020", "english"), ("vcc2020", "japanese"), ""),
        (("vcc2020", "english"), ("somos", "test"), ""),
        (("mine", "train"), ("bvcc", "test"), ""),
        ((None, None), ("bvcc", "test"), ""),
    ],
)
def test_what_is_learned_from_need_not_be_called_train(
    one: tuple[str | None, str | None], two: tuple[str | None, str | None], kind: str, tmp_path: Path
) -> None:
    paths = []
    for name, (corpus, split) in (("one", one), ("two", two)):
        clips = [
            Utterance("a.wav", f"{name}{i}", 1.0, {"mos": 3.0}, corpus=corpus, split=split) for i in (1, 2)
        ]
        paths.append(tmp_path / f"{name}.jsonl")
        write_manifest(paths[-1], clips)
    for order in (paths, paths[::-1]):
        found = validate(order, decode=False)
        told = [f for f in found.findings if f.kind in ("overlap", "related")]
        assert [(f.kind, f.severity) for f in told] == (
            [(kind, "error" if kind == "overlap" else "warning")] if kind else []
        )
        if kind == "overlap":
            assert told[0].where == str(paths[0])
            assert f"{'/'.join(filter(None, two))} of {paths[1]} both have clips of" in told[0].text


def test_pairs_beside_a_choice_are_those_of_the_whole(tmp_path: Path) -> None:
    """Clips that were chosen from data.jsonl lack some of its pairs, and that is no mistake."""
    clips = []
    for seed, name in enumerate("abc"):
        path = clip(tmp_path / f"{name}.wav", seed)
        clips.append(Utterance(str(path), name, 0.1, {"mos": 3.0}, "s", "x", "train", 16000))
    (tmp_path / "pairs.jsonl").write_bytes(to_line(Pair("a", "b", cmos=1, corpus="x")))
    manifest, choice = tmp_path / "data.jsonl", tmp_path / "choice.jsonl"
    write_manifest(choice, clips[1:])
    assert validate([choice]).counts == {"pair": 1}
    write_manifest(manifest, clips)
    assert validate([choice]).counts == {}
    assert validate([manifest]).counts == {}
    write_manifest(manifest, clips[1:])
    found = validate([manifest])
    assert [(f.where, f.text) for f in found.findings] == [
        (f"{tmp_path / 'pairs.jsonl'}:1", "no clip a in data.jsonl")
    ]


def test_pairs_are_held_against_their_own_manifest(tmp_path: Path) -> None:
    for split, name in (("a", "x"), ("b", "y")):
        clip(tmp_path / f"{name}.wav", ord(name))
        (tmp_path / split).mkdir()
        sound = Utterance(str(tmp_path / f"{name}.wav"), name, 0.1, {"mos": 3.0}, corpus="c", split=split)
        write_manifest(tmp_path / split / "data.jsonl", [sound])
    (tmp_path / "b" / "pairs.jsonl").write_text('{"corpus": "c", "a": "x", "b": "y", "preference": "a"}\n')
    alone, both = validate(tmp_path / "b" / "data.jsonl"), validate(tmp_path.glob("*/data.jsonl"))
    assert alone.counts["pair"] == both.counts["pair"] == 1
