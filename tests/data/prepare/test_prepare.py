"""Every corpus from its published layout to its manifests; what does not fit together is listed."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import unicodedata
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pandas as pd
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from sqa_data import DataError, get_corpus, list_corpora, read_manifest
from sqa_data.corpus import Unusable
from sqa_data.pairs import Pair, iter_pairs, to_line
from sqa_data.prepare import prepare
from sqa_data.prepare.surprises import require_counts as held_to_counts  # as it is outside the tests
from sqa_data.prepare.unpack import find_corpus_folder, unpack_corpus
from sqa_data.verify import validate
from tiny_corpora import BUILDERS, Expected, build, tone, zipped

Form = Literal["NFC", "NFD"]
BY_HAND = ("bc19", "bvcc")  # their audio is not in the archive


def prepared(name: str, tmp_path: Path, **options: object) -> tuple[Path, Expected]:
    expected = build(name, tmp_path / "raw" / name)
    prepare(name, tmp_path / "raw", tmp_path / "out", partial=name in BY_HAND, **options)  # type: ignore[arg-type]
    return tmp_path / "out" / name, expected


def test_every_corpus_is_here_in_small() -> None:
    assert [corpus.name for corpus in list_corpora()] == sorted(BUILDERS)


def test_problems_that_are_mended_are_listed_no_more(tmp_path: Path) -> None:
    out, _ = prepared("ttsds2", tmp_path)
    (clip,) = (tmp_path / "raw" / "ttsds2").rglob("kids/f5/0001.wav")
    content = clip.read_bytes()
    clip.unlink()
    prepare("ttsds2", tmp_path / "raw", tmp_path / "out", partial=True)
    assert (out / "problems.jsonl").exists()
    clip.write_bytes(content)
    prepare("ttsds2", tmp_path / "raw", tmp_path / "out")
    assert not (out / "problems.jsonl").exists()


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_prepare(name: str, tmp_path: Path) -> None:
    out, expected = prepared(name, tmp_path)
    assert {p.parent.name for p in out.glob("*/data.jsonl")} == set(expected)
    rates = next(corpus.sample_rates for corpus in list_corpora() if corpus.name == name)
    for split, clips in expected.items():
        utterances = read_manifest(out / split / "data.jsonl")
        assert [u.sample_id for u in utterances] == sorted(clips)
        for utterance in utterances:
            clip = clips[utterance.sample_id]
            assert utterance.metrics == ({} if clip.mos is None else {"mos": clip.mos}) | dict(clip.others)
            assert (utterance.system_id, utterance.votes) == (clip.system_id, clip.votes)
            assert (utterance.corpus, utterance.split) == (name, split)
            assert utterance.duration == pytest.approx(clip.seconds, abs=1e-4)
            assert not rates or utterance.sample_rate in rates
            assert Path(utterance.audio_path).is_file()


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_the_same_input_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    out, _ = prepared(name, tmp_path)
    before = {p: p.read_bytes() for p in out.rglob("*.json*")}
    prepare(name, tmp_path / "raw", tmp_path / "out", partial=name in BY_HAND, jobs=1)
    assert {p: p.read_bytes() for p in out.rglob("*.json*")} == before


def test_ratings_lie_beside_the_manifest(tmp_path: Path) -> None:
    out, _ = prepared("somos", tmp_path)
    rows = [json.loads(line) for line in (out / "train" / "ratings.jsonl").read_text().splitlines()]
    first = {
        "sample_id": "novel_1_015.wav",
        "system_id": "015",
        "listener_id": "L1",
        "label": "mos",
        "rating": 4.0,
    }
    assert rows[0] == first
    assert [row["rating"] for row in rows] == [4.0, 3.0, 5.0]


def test_spread_of_the_ratings(tmp_path: Path) -> None:
    out, _ = prepared("bvcc", tmp_path)
    (dev,) = read_manifest(out / "dev" / "data.jsonl")
    assert dev.mos_std == pytest.approx((1 / 3) ** 0.5, abs=1e-12)  # of 1, 1, 2
    train = read_manifest(out / "train" / "data.jsonl")
    assert [u.mos_std for u in train] == [0.5**0.5, None, None]


def test_audio_by_hand_stops_with_the_steps(tmp_path: Path) -> None:
    build("bvcc", tmp_path / "raw" / "bvcc")
    with pytest.raises(DataError) as error:
        prepare("bvcc", tmp_path / "raw", tmp_path / "out")
    message = str(error.value)
    assert "found 4 of 7,106 clips of bvcc" in message
    for step in ("01_get.py", "02_gather.py", "03_preprocess.py", "--partial"):
        assert step in message
    assert str(tmp_path / "raw" / "bvcc" / "unpacked" / "main") in message
    assert not (tmp_path / "out" / "bvcc").exists()


def test_partial_lists_what_it_leaves_out(tmp_path: Path) -> None:
    out, _ = prepared("bvcc", tmp_path)
    (row,) = [json.loads(line) for line in (out / "problems.jsonl").read_text().splitlines()]
    assert (row["problem"], row["split"], row["sample_id"]) == ("missing", "test", "sys3-uttca")
    assert json.loads((out / "prepared.json").read_text())["problems"] == {"missing": 1}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (None, "missing"),
        (b"", "empty"),
        (tone("x", 22050, 0.0), "empty"),
        (b"RIFFnot audio at all", "unreadable"),
        (tone("x", 16000), "rate"),
    ],
)
def test_audio_that_does_not_fit_its_label(content: bytes | None, kind: str, tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    build("ttsds2", raw / "ttsds2")
    with zipfile.ZipFile(raw / "ttsds2" / "ttsds2.zip") as archive:
        archive.extractall(raw / "ttsds2")
    clip = raw / "ttsds2" / "wavs" / "kids" / "f5" / "0001.wav"
    if content is None:
        clip.unlink()
    else:
        clip.write_bytes(content)
    with pytest.raises(DataError, match=f"1 {kind} of 2 clips") as error:
        prepare("ttsds2", raw, out)
    assert str(clip) in str(error.value)
    assert not list(out.rglob("data.jsonl"))  # nothing half done
    assert json.loads((out / "ttsds2" / "problems.jsonl").read_text())["problem"] == kind

    result = prepare("ttsds2", raw, out, partial=True)
    assert result.problems == {kind: 1}
    kept = [u.sample_id for u in read_manifest(out / "ttsds2" / "train" / "data.jsonl")]
    assert kept == (["kids-f5-0001", "noisy-xtts-0001"] if kind == "rate" else ["noisy-xtts-0001"])


def test_partial_with_no_usable_clip_is_an_error(tmp_path: Path) -> None:
    prepared("ttsds2", tmp_path)
    clips = list((tmp_path / "raw" / "ttsds2" / "unpacked").rglob("*.wav"))
    for clip in clips:
        clip.unlink()
    with pytest.raises(DataError, match=r"2 missing, 1 split of 2 clips(?s:.*)no usable clip of split train"):
        prepare("ttsds2", tmp_path / "raw", tmp_path / "new", partial=True)
    assert not list((tmp_path / "new").rglob("data.jsonl"))


@pytest.mark.parametrize(("in_labels", "on_disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_in_another_unicode_form(in_labels: Form, on_disk: Form, tmp_path: Path) -> None:
    """Archives made on macOS hold decomposed names, labels composed ones: the manifest has those of the disk."""
    folder = tmp_path / "raw" / "ttsds2"
    build("ttsds2", folder)
    with zipfile.ZipFile(folder / "ttsds2.zip") as archive:
        archive.extractall(folder)
    (folder / "ttsds2.zip").unlink()
    labels = folder / "subjective_results.csv"
    labels.write_text(labels.read_text().replace("kids", unicodedata.normalize(in_labels, "kïds")))
    named = (folder / "wavs" / "kids").rename(folder / "wavs" / unicodedata.normalize(on_disk, "kïds"))
    prepare("ttsds2", tmp_path / "raw", tmp_path / "out")
    found = [u.audio_path for u in read_manifest(tmp_path / "out" / "ttsds2" / "train" / "data.jsonl")]
    assert str(named / "f5" / "0001.wav") in found
    assert all(Path(path).is_file() for path in found)


def test_unpacked_by_hand_with_the_root_folder_stripped(tmp_path: Path) -> None:
    """As the baseline's scripts leave a corpus."""
    folder = tmp_path / "raw" / "tencent"
    expected = build("tencent", folder)
    with zipfile.ZipFile(folder / "TencentCorpus.zip") as archive:
        archive.extractall(folder)
    (folder / "TencentCorpus.zip").unlink()
    for path in (folder / "TencentCorups").iterdir():
        path.rename(folder / path.name)
    prepare("tencent", tmp_path / "raw", tmp_path / "out")
    found = read_manifest(tmp_path / "out" / "tencent" / "train" / "data.jsonl")
    assert {u.sample_id for u in found} == set(expected["train"])


@pytest.mark.parametrize(
    ("place", "found"), [("a/b/c", True), ("a/b/c/d", False), ("a.partial", False), ("labels", False)]
)
def test_unpacked_by_hand_up_to_three_folders_down(place: str, found: bool, tmp_path: Path) -> None:
    folder = tmp_path / "pstn"
    (folder / place).mkdir(parents=True)
    (folder / place / "pstn_train.csv").touch()
    root = find_corpus_folder(get_corpus("pstn"), folder)
    assert root == (folder / place if found else None)


def test_unpacked_by_hand_but_for_the_archive_inside(tmp_path: Path) -> None:
    folder = tmp_path / "raw" / "somos"
    expected = build("somos", folder)
    with zipfile.ZipFile(folder / "somos.zip") as archive:
        archive.extractall(folder)
    for _ in range(2):
        prepare("somos", tmp_path / "raw", tmp_path / "out")
        found = read_manifest(tmp_path / "out" / "somos" / "train" / "data.jsonl")
        assert {u.sample_id for u in found} == set(expected["train"])
    assert (folder / "audios.zip").is_file()  # the user's own
    assert not (folder / "unpacked").exists()


def test_archives_where_one_may_only_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "raw" / "pstn"
    build("pstn", folder)
    with zipfile.ZipFile(folder / "train.zip") as archive:
        archive.extractall(folder)
    before = sorted(folder.rglob("*"))
    monkeypatch.setattr(os, "access", lambda *_: False)
    prepare("pstn", tmp_path / "raw", tmp_path / "out")
    assert sorted(folder.rglob("*")) == before


def test_an_edited_manifest_is_not_overwritten(tmp_path: Path) -> None:
    out, _ = prepared("ttsds2", tmp_path)
    manifest = out / "train" / "data.jsonl"
    before = manifest.read_bytes()
    manifest.write_bytes(before.replace(b'"mos"', b'"utmos":1.5,"mos"'))
    with pytest.raises(DataError, match="changed since it was prepared; use --force"):
        prepare("ttsds2", tmp_path / "raw", tmp_path / "out")
    assert b"utmos" in manifest.read_bytes()
    prepare("ttsds2", tmp_path / "raw", tmp_path / "out", force=True)
    assert manifest.read_bytes() == before


def test_killed_between_manifest_and_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """New manifests have their names, the record of them has not: they are not taken for edited ones."""
    out, _ = prepared("ttsds2", tmp_path)
    labels = tmp_path / "raw" / "ttsds2" / "unpacked" / "subjective_results.csv"
    labels.write_text(labels.read_text().replace("mos,5,", "mos,1,"))
    real = Path.replace

    def killed(self: Path, target: Path) -> Path:
        if target.name == "prepared.json":
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        prepare("ttsds2", tmp_path / "raw", tmp_path / "out")
    monkeypatch.undo()
    assert read_manifest(out / "train" / "data.jsonl")[0].metrics == {"mos": 1.0}
    prepare("ttsds2", tmp_path / "raw", tmp_path / "out")


def test_a_split_that_is_gone_leaves_no_old_manifest(tmp_path: Path) -> None:
    out, _ = prepared("somos", tmp_path)
    labels = tmp_path / "raw" / "somos" / "unpacked" / "training_files" / "split1" / "clean" / "TESTSET"
    labels.write_text(labels.read_text().splitlines()[0] + "\n")
    prepare("somos", tmp_path / "raw", tmp_path / "out", partial=True)
    assert {p.parent.name for p in out.glob("*/*.jsonl")} == {"train", "dev"}


def test_a_changed_source_is_noticed(tmp_path: Path) -> None:
    prepared("ttsds2", tmp_path)
    labels = tmp_path / "raw" / "ttsds2" / "unpacked" / "subjective_results.csv"
    labels.write_text(labels.read_text().replace("mos,5,", "mos,1,"))
    result = prepare("ttsds2", tmp_path / "raw", tmp_path / "out")
    assert any(
        "changed at the source since last time: subjective_results.csv" in note for note in result.notes
    )


def test_another_archive_than_the_one_unpacked(tmp_path: Path) -> None:
    prepared("ttsds2", tmp_path)
    with (tmp_path / "raw" / "ttsds2" / "ttsds2.zip").open("ab") as file:
        file.write(b"more")
    with pytest.raises(DataError, match="move it away to unpack afresh"):
        prepare("ttsds2", tmp_path / "raw", tmp_path / "out")


def test_counts_unlike_the_published_ones_are_noted(tmp_path: Path) -> None:
    build("pstn", tmp_path / "pstn")
    result = prepare("pstn", tmp_path, tmp_path / "out")
    assert "pstn/train: 2 samples; published are 58,709" in result.notes
    assert result.counts["train"].hours == pytest.approx(0.2 / 3600, rel=1e-3)


def test_relative_paths(tmp_path: Path) -> None:
    out, _ = prepared("ttsds2", tmp_path, relative=True)
    rows = [json.loads(line) for line in (out / "train" / "data.jsonl").read_text().splitlines()]
    assert {row["audio_path"].split("/")[0] for row in rows} == {".."}
    assert all(Path(u.audio_path).is_file() for u in read_manifest(out / "train" / "data.jsonl"))


def test_nothing_there_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="run `sqa-cli data download pstn --raw"):
        prepare("pstn", tmp_path, tmp_path / "out")
    (tmp_path / "pstn").mkdir()
    with pytest.raises(DataError, match=r"expected train\.zip or, unpacked, pstn_train\.csv"):
        prepare("pstn", tmp_path, tmp_path / "out")
    with pytest.raises(DataError, match="no corpus 'nope'; known: aes-speech, amc25-track3, bc19"):
        prepare("nope", tmp_path, tmp_path / "out")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("filename,MOS\na.wav,6\n", r"pstn_train\.csv:2: MOS is 6; expected a number in 1\.\.5"),
        ("filename,MOS\na.wav,nan\n", r"pstn_train\.csv:2: MOS is nan"),
        ("filename,MOS\na.wav,x\n", r"pstn_train\.csv:2: MOS is 'x'; expected a number"),
        ("filename,score\na.wav,3\n", r"pstn_train\.csv:1: no column 'MOS'; found filename, score"),
        ("filename,MOS\na.wav\n", r"pstn_train\.csv:2: 1 fields; expected at least 2"),
        ("filename,MOS\n../a.wav,3\n", r"pstn_train\.csv:2: '\.\./a\.wav' is no path inside the corpus"),
        ("filename,MOS\na.wav,3\na.wav,4\n", "2 rows for sample_id 'a'"),
        ("filename,MOS\na_1.wav,3\na_2.wav,4\n", "'a' stands for two clips"),
        ("", "no usable clip of split train"),
    ],
)
def test_label_files_with_errors(table: str, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "pstn"
    folder.mkdir()
    (folder / "pstn_train.csv").write_text(table)
    for name in ("a", "a_1", "a_2"):
        (folder / f"{name}.wav").write_bytes(tone(name, 8000))
    with pytest.raises(DataError, match=message):
        prepare("pstn", tmp_path, tmp_path / "out")


def without(folder: Path, *columns: str) -> None:
    """Take columns out of all parquet files below a folder."""
    for path in folder.rglob("*.parquet"):
        pd.read_parquet(path).drop(columns=list(columns), errors="ignore").to_parquet(path)


@pytest.mark.parametrize("name", ["urgent2024-sqa", "urgent2026-sqa"])
def test_a_split_that_lacks_what_listeners_said_is_an_error(name: str, tmp_path: Path) -> None:
    """Unless nobody promised it: the training set of URGENT 2024 may have labels of models alone."""
    build(name, tmp_path / "raw" / name)
    without(tmp_path / "raw", "mos", "raw_ratings", "listener_scores")
    split = "acr" if name == "urgent2026-sqa" else "test"
    lacks = re.escape(
        f"label: no clip of split {split} has a label of listeners, which its publisher promises"
    )
    with pytest.raises(DataError, match=rf"\(1 label of \d+ clips\):\n  {lacks}"):
        prepare(name, tmp_path / "raw", tmp_path / "out", accept_layout=True)
    done = prepare(name, tmp_path / "raw", tmp_path / "out", partial=True, accept_layout=True)
    assert done.problems == {"label": 1}


def test_clips_without_any_label_are_told(tmp_path: Path) -> None:
    build("urgent2025-sqa", tmp_path / "raw" / "urgent2025-sqa")
    without(tmp_path / "raw", "mos", "raw_ratings", "dnsmos_ovrl")
    done = prepare("urgent2025-sqa", tmp_path / "raw", tmp_path / "out", partial=True)
    assert "urgent2025-sqa/train: none of 4 samples has a label" in done.notes
    build("urgent2026-sqa", tmp_path / "raw" / "urgent2026-sqa")
    notes = prepare("urgent2026-sqa", tmp_path / "raw", tmp_path / "out", accept_layout=True).notes
    assert not [note for note in notes if "has a label" in note]  # clips of pairs have none of their own


KEYS = {
    "data.jsonl": {
        *("audio_path", "corpus", "split", "system_id", "sample_id", "duration", "sample_rate", "metrics"),
        *("votes", "mos_std", "language", "scales"),
    },
    "ratings.jsonl": {"sample_id", "system_id", "listener_id", "label", "rating"},
    "pairs.jsonl": {"corpus", "a", "b", "metrics", "preference", "votes"},
}


@pytest.mark.parametrize("name", sorted(BUILDERS))
def test_rows_have_the_keys_that_others_read(name: str, tmp_path: Path) -> None:
    """Those agreed on between packages, and those that the 2026 baseline looks up, as it does."""
    out, _ = prepared(name, tmp_path)
    for path in out.glob("*/*.jsonl"):
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        assert rows
        assert set().union(*rows) <= KEYS[path.name]
        ids = [row["sample_id"] for row in rows] if path.name == "data.jsonl" else []
        assert len(set(ids)) == len(ids)
        for row in rows if ids else ():
            # the names that its dataset and its collate function use, without a default
            assert isinstance(row["sample_id"], str)
            assert isinstance(row["system_id"], str | None)
            seconds = len((heard := soundfile.read(row["audio_path"]))[0]) / heard[1]
            assert int(row["duration"] * 16000) == pytest.approx(seconds * 16000, abs=1)
            assert all(type(value) is float for value in row["metrics"].values())
            for label, (low, high) in (row.get("scales") or {}).items():
                assert low <= row["metrics"][label] <= high
                assert (low, high) != (1, 5) or label != "mos"
        for row in rows if path.name == "pairs.jsonl" else ():
            known = {clip.sample_id for clip in read_manifest(path.with_name("data.jsonl"))}
            assert {row["a"], row["b"]} <= known
            if not name.startswith("vmc2026-track1"):  # a challenge's test says nothing of them
                assert row.get("preference") in ("a", "b", "tie") or -3 <= row["metrics"]["cmos"] <= 3


def test_missing_parquet_files_are_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "urgent2024-sqa"
    build("urgent2024-sqa", folder)
    (folder / "data" / "validation-00001-of-00002.parquet").unlink()
    with pytest.raises(DataError, match="1 files of part 'validation'; expected 2"):
        prepare("urgent2024-sqa", tmp_path, tmp_path / "out")


def test_a_disk_that_fills_up_with_audio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build("urgent2024-sqa", tmp_path / "raw" / "urgent2024-sqa")
    real, calls = os.write, []

    def full(handle: int, data: memoryview) -> int:
        calls.append(handle)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return real(handle, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DataError, match="cannot write: No space left on device; what is unpacked is kept"):
        prepare("urgent2024-sqa", tmp_path / "raw", tmp_path / "out", jobs=1)
    monkeypatch.undo()
    assert not (tmp_path / "out").exists()
    prepare("urgent2024-sqa", tmp_path / "raw", tmp_path / "out")
    assert not list((tmp_path / "raw").rglob("*.part"))


def test_unpacking_parquet_goes_on_where_it_stopped(tmp_path: Path) -> None:
    out, _ = prepared("urgent2024-sqa", tmp_path)
    audio = tmp_path / "raw" / "urgent2024-sqa" / "audio"
    clips = sorted(audio.rglob("*.flac"))
    kept, cut = clips[0], clips[-1]
    before = kept.stat().st_mtime_ns, cut.read_bytes()
    cut.write_bytes(before[1][:-1])  # as a kill in the middle of a write leaves it
    for marker in audio.rglob(".*.done"):
        marker.unlink()
    manifest = (out / "test" / "data.jsonl").read_bytes()
    prepare("urgent2024-sqa", tmp_path / "raw", tmp_path / "out")
    assert (kept.stat().st_mtime_ns, cut.read_bytes()) == before
    assert (out / "test" / "data.jsonl").read_bytes() == manifest


def test_nested_archive_is_unpacked_and_dropped(tmp_path: Path) -> None:
    prepared("somos", tmp_path)
    unpacked = tmp_path / "raw" / "somos" / "unpacked"
    assert sorted(p.name for p in unpacked.iterdir()) == [".unpacked.json", "audios", "training_files"]


def test_macos_leftovers_are_not_unpacked(tmp_path: Path) -> None:
    prepared("tmhint-qi", tmp_path)
    names = {p.name for p in (tmp_path / "raw" / "tmhint-qi" / "unpacked").rglob("*")}
    assert not [name for name in names if name.startswith(("._", "__MACOSX", ".DS_Store"))]


def test_a_full_disk_before_unpacking_is_foreseen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build("pstn", tmp_path / "pstn")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(DataError, match="only 1 are free"):
        prepare("pstn", tmp_path, tmp_path / "out")
    assert not (tmp_path / "pstn" / "unpacked").exists()


def many_clips(folder: Path, n: int) -> None:
    """PSTN with `n` clips."""
    build("pstn", folder)
    rows = "".join(f"{i:05}_x.wav,3.0,0.5,0.4,4\n" for i in range(n))
    with zipfile.ZipFile(folder / "train.zip", "w") as archive:
        archive.writestr("pstn_train/pstn_train.csv", "filename,MOS,std,95%CI,votes\n" + rows)
        for i in range(n):
            archive.writestr(f"pstn_train/{i:05}_x.wav", tone(str(i), 8000))


PREPARE = "import sys; from sqa_data.prepare import prepare; prepare('pstn', sys.argv[1], sys.argv[2])"


def test_an_archive_that_was_dropped_is_not_missed(tmp_path: Path) -> None:
    prepared("tcd-voip", tmp_path)
    archives = [a.name for a in get_corpus("tcd-voip").archives]
    for name in archives:
        (tmp_path / "raw" / "tcd-voip" / name).unlink()
        prepare("tcd-voip", tmp_path / "raw", tmp_path / "out")


def test_killed_while_unpacking_and_run_again(tmp_path: Path) -> None:
    many_clips(tmp_path / "raw" / "pstn", 2000)
    command = [sys.executable, "-c", PREPARE, str(tmp_path / "raw"), str(tmp_path / "out")]
    first = tmp_path / "raw" / "pstn" / "unpacked.partial" / "pstn_train" / "00300_x.wav"
    with subprocess.Popen(command) as process:
        while not first.exists():
            assert process.poll() is None
            time.sleep(0.005)
        process.kill()
    assert not (tmp_path / "raw" / "pstn" / "unpacked").exists()
    assert not list((tmp_path / "out").rglob("data.jsonl"))
    prepare("pstn", tmp_path / "raw", tmp_path / "out")
    assert len(read_manifest(tmp_path / "out" / "pstn" / "train" / "data.jsonl")) == 2000
    names = {path.name for path in (tmp_path / "raw" / "pstn").iterdir() if not path.name.startswith(".")}
    assert names == {"train.zip", "unpacked"}


def test_two_processes_at_once(tmp_path: Path) -> None:
    many_clips(tmp_path / "raw" / "pstn", 300)
    command = [sys.executable, "-c", PREPARE, str(tmp_path / "raw"), str(tmp_path / "out")]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
    manifest = tmp_path / "out" / "pstn" / "train" / "data.jsonl"
    assert len(read_manifest(manifest)) == 300
    assert not list((tmp_path / "out").rglob("*.tmp"))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 5), st.integers(0, 9)), min_size=1, max_size=40))
def test_mos_equals_pandas(
    tmp_path_factory: pytest.TempPathFactory, given_ratings: list[tuple[int, int, int]]
) -> None:
    """MOS, votes and spread of any ratings, against groupby."""
    tmp_path = tmp_path_factory.mktemp("p")
    folder = tmp_path / "raw" / "ttsds2"
    (folder / "wavs").mkdir(parents=True)
    table = pd.DataFrame(given_ratings, columns=["clip", "value", "annotator"])
    table["audio"] = [f"wavs/{clip}.wav" for clip in table["clip"]]
    table = table.assign(dataset="d", system="s", rating_type="mos")
    table.to_csv(folder / "subjective_results.csv", index=False)
    for clip in table["clip"].unique():
        (folder / "wavs" / f"{clip}.wav").write_bytes(tone(str(clip), 22050, 0.01))
    prepare("ttsds2", tmp_path / "raw", tmp_path / "out")
    theirs = table.groupby("clip")["value"].agg(["mean", "size", "std"])
    ours = read_manifest(tmp_path / "out" / "ttsds2" / "train" / "data.jsonl")
    assert len(ours) == len(theirs)
    for utterance in ours:
        mean, size, std = theirs.loc[int(utterance.sample_id.rsplit("-", 1)[1])]
        assert utterance.metrics["mos"] == pytest.approx(mean, abs=1e-12)
        assert utterance.votes == size
        assert utterance.mos_std is None if size == 1 else utterance.mos_std == pytest.approx(std, abs=1e-12)


def rated(folder: Path, *rows: str, header: str = "condition,sample,scale,MOS,rating_list") -> Path:
    """CHiME-7's corpus with these rows of its label file."""
    build("chime-7-udase-eval", folder / "raw" / "chime-7-udase-eval")
    archive = folder / "raw" / "chime-7-udase-eval" / "CHiME-7-UDASE-evaluation-data.zip"
    with zipfile.ZipFile(archive) as old:
        files = {name: old.read(name) for name in old.namelist()}
    files["listening_test/MOS_results_listening_test.csv"] = "\n".join([header, *rows]).encode()
    zipped(archive, files)
    return folder / "raw"


GOOD = 'C1,S01_a.wav,OVRL,3.5,"[4, 3]"'


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('C1,S01_a.wav,MOS,3.5,"[4, 3]"', "csv:3: scale is 'MOS'; expected one of OVRL, SIG, BAK"),
        ('C2,S01_a.wav,OVRL,3.0,"[4, 3]"', "csv:3: MOS is 3, but its rating_list has the mean 3.500"),
        ('C2,S01_a.wav,OVRL,3.5,"4, 3"', "csv:3: rating_list is '4, 3'; expected a list such as [4, 3.5]"),
        ('C2,S01_a.wav,OVRL,3.5,"[4, x]"', "csv:3: rating_list is 'x'; expected a number"),
        ('C2,S01_a.wav,OVRL,3.5,"[4, 9]"', "csv:3: rating_list is 9; expected a number in 1..5"),
    ],
)
def test_a_scale_or_a_list_of_ratings_that_surprises_is_an_error(
    row: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        prepare("chime-7-udase-eval", rated(tmp_path, GOOD, row), tmp_path / "out")


def test_one_row_a_listener_is_read_too(tmp_path: Path) -> None:
    rows = ("C1,S01_a.wav,OVRL,3,l1", "C1,S01_a.wav,OVRL,4,l2", "C1,S01_a.wav,SIG,5,l1")
    raw = rated(tmp_path, *rows, header="condition,sample,scale,MOS,subject")
    prepare("chime-7-udase-eval", raw, tmp_path / "out")
    (clip,) = read_manifest(tmp_path / "out/chime-7-udase-eval/test/data.jsonl")
    assert (clip.metrics, clip.votes) == ({"mos": 3.5, "mos_sig": 5.0}, 2)


def test_an_assumed_layout_stops_at_columns_that_are_not_known(
    tmp_path: Path,
) -> None:
    raw = rated(tmp_path, GOOD + ",7", header="condition,sample,scale,MOS,rating_list,weight")
    with pytest.raises(
        DataError, match=r"csv: unknown columns weight; found .* The layout .* --accept-layout"
    ):
        prepare("chime-7-udase-eval", raw, tmp_path / "out")
    prepare("chime-7-udase-eval", raw, tmp_path / "out", accept_layout=True)


def test_labels_as_the_baseline_reads_them_are_the_mean_over_the_scales(tmp_path: Path) -> None:
    build("chime-7-udase-eval", tmp_path / "raw" / "chime-7-udase-eval")
    done = prepare("chime-7-udase-eval", tmp_path / "raw", tmp_path / "out", labels="baseline")
    found = {u.sample_id: u.metrics for u in read_manifest(done.manifests["test"])}
    assert found == {"C1_S01_a": {"mos": 3.5}, "C2_S01_a": {"mos": 2.0}}
    assert "chime-7-udase-eval: labels as the 2026 baseline reads them" in done.notes
    build("pstn", tmp_path / "raw" / "pstn")
    notes = prepare("pstn", tmp_path / "raw", tmp_path / "out", labels="baseline").notes
    assert "pstn: the 2026 baseline reads the same labels" in notes


def compared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *pairs: Pair) -> Path:
    """A corpus of four clips, b of which is missing, that says these things of pairs."""
    from sqa_data.prepare import run

    build("pstn", tmp_path / "raw" / "pstn")
    clips = [*get_corpus("pstn").parse(unpack_corpus(get_corpus("pstn"), tmp_path / "raw"))]
    asked = replace(
        get_corpus("pstn"),
        parse=lambda root: iter([*pairs[:1], *clips, *pairs[1:]]),
        scales={"mos": (0, 100)},
        languages=("en",),
    )
    monkeypatch.setattr(run, "get_corpus", lambda name: asked)
    return tmp_path / "raw"


def test_pairs_lie_beside_the_manifest_of_their_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build("pstn", tmp_path / "probe" / "pstn")
    prepare("pstn", tmp_path / "probe", tmp_path / "probe-out")
    a, b, *_ = [u.sample_id for u in read_manifest(tmp_path / "probe-out/pstn/train/data.jsonl")]
    good, lost = Pair(a, b, cmos=1.5, votes=4, split="train"), Pair(a, "gone", preference="a", split="train")
    raw = compared(monkeypatch, tmp_path, good)
    done = prepare("pstn", raw, tmp_path / "out")
    manifest = done.manifests["train"]
    assert done.counts["train"].pairs == 1
    assert list(iter_pairs(manifest.with_name("pairs.jsonl"))) == [
        (1, replace(good, corpus="pstn", split=None))
    ]
    assert all((u.language, u.scales) == ("en", {"mos": (0, 100)}) for u in read_manifest(manifest))
    assert "pair" not in validate(manifest).counts

    compared(monkeypatch, tmp_path, good, lost)
    with pytest.raises(DataError, match=f"pair of {a} and gone: no usable clip gone"):
        prepare("pstn", raw, tmp_path / "out2")
    assert prepare("pstn", raw, tmp_path / "out2", partial=True).counts["train"].pairs == 1

    manifest.with_name("pairs.jsonl").write_bytes(to_line(replace(lost, corpus="pstn")))
    assert validate(manifest).counts["pair"] == 1


def test_dropping_archives_leaves_clips_and_tables_that_are_none(tmp_path: Path) -> None:
    for name, gone in (("p835-reference", None), ("tmhint-qi-s", "VoiceMOS_2023_track3.zip")):
        build(name, tmp_path / name)
        before = {path for path in (tmp_path / name).rglob("*") if path.is_file()}
        unpack_corpus(get_corpus(name), tmp_path, drop_archives=True)
        assert {path.name for path in before if not path.is_file()} == ({gone} if gone else set())


def test_pairs_of_a_repository(tmp_path: Path) -> None:
    """A comparison whose mean has no ratings behind it has no votes; without both it is an error, unless blind."""
    out, _ = prepared("urgent2026-sqa", tmp_path)
    (found,) = iter_pairs(out / "ccr" / "pairs.jsonl")
    a, b = "ccr_fileid_7_0_a", "ccr_fileid_7_0_b"
    assert found == (1, Pair(a, b, cmos=1.5, votes=2, corpus="urgent2026-sqa"))
    # blind: the pairs to predict, of which nothing is said
    out, _ = prepared("vmc2026-track1-dev", tmp_path)
    name = "vmc2026-track1-dev-ccr_1"
    blind = [(1, Pair(f"{name}_a", f"{name}_b", corpus="vmc2026-track1-dev"))]
    assert list(iter_pairs(out / "ccr" / "pairs.jsonl", unlabelled=True)) == blind
    assert [path.parent.name for path in out.rglob("pairs.jsonl")] == ["ccr"]
    assert validate(out / "ccr" / "data.jsonl").ok

    (file,) = (tmp_path / "raw" / "urgent2026-sqa" / "data" / "ccr").glob("*.parquet")
    table = pd.read_parquet(file)
    ratings = table.listener_scores
    for cmos, single, expected in (
        (None, ratings, Pair(a, b, cmos=1.5, votes=2)),
        (2.0, ratings, Pair(a, b, cmos=2.0)),
        (-3.0, None, Pair(a, b, cmos=-3.0)),
        (None, None, "row 1: cmos is None"),
        (3.5, None, "row 1: cmos is 3.5"),
        (1.0, pd.Series([[4.0]]), "row 1: listener_scores is .*expected numbers in -3..3"),
    ):
        table.assign(cmos=cmos, listener_scores=single).to_parquet(file)
        if isinstance(expected, Pair):
            prepare("urgent2026-sqa", tmp_path / "raw", tmp_path / "out")
            pairs = [
                pair for _, pair in iter_pairs(tmp_path / "out" / "urgent2026-sqa" / "ccr" / "pairs.jsonl")
            ]
            assert pairs == [replace(expected, corpus="urgent2026-sqa")]
        else:
            with pytest.raises(DataError, match=expected):
                prepare("urgent2026-sqa", tmp_path / "raw", tmp_path / "out")


def test_a_corpus_of_which_nothing_can_be_used_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqa_data.prepare import run

    build("pstn", tmp_path / "raw" / "pstn")
    useless = replace(
        get_corpus("pstn"), parse=lambda root: iter([Unusable("a.csv:2", "whose voice is not known")])
    )
    monkeypatch.setattr(run, "get_corpus", lambda name: useless)
    with pytest.raises(
        DataError, match=r"left out 1 rows, whose voice is not known; the first: a\.csv:2"
    ) as raised:
        prepare("pstn", tmp_path / "raw", tmp_path / "out", partial=True)
    assert "problems.jsonl" not in str(raised.value)
    assert "--partial" not in str(raised.value)


def test_of_a_part_of_a_corpus_no_count_is_held_against_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = rated(tmp_path, GOOD)
    monkeypatch.setattr("sqa_data.prepare.run.require_counts", held_to_counts)
    with pytest.raises(DataError, match=r"test: 1 samples; published are 640\. The layout"):
        prepare("chime-7-udase-eval", raw, tmp_path / "out")
    prepare("chime-7-udase-eval", raw, tmp_path / "out", partial=True)
