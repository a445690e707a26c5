"""What other tools wrote: the baseline, SHEET, Kaldi, and the baseline's labels."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sqa_data import DataError, Utterance, read_manifest, write_manifest
from sqa_data.import_foreign import add_labels, convert


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    for name in ("a", "b"):
        (tmp_path / "wav dir").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "wav dir" / f"{name}.wav", np.zeros(800), 8000)
    return tmp_path


def test_the_baselines_manifest(audio: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        {
            "audio_path": f"wav dir/{i}.wav",
            "system_id": s,
            "sample_id": i,
            "duration": 0.1,
            "metrics": {"mos": m},
        }
        for i, s, m in (("a", "1", 3.25), ("b", "1", float("nan")))
    ]
    source = audio / "data" / "mine" / "train" / "data.jsonl"
    source.parent.mkdir(parents=True)
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    monkeypatch.chdir(audio)  # where the baseline runs, and where its paths start
    first, second = convert(source, corpus="mine", split="train")
    assert first == Utterance(str(audio / "wav dir" / "a.wav"), "a", 0.1, {"mos": 3.25}, "1", "mine", "train")
    assert second.metrics == {}
    monkeypatch.chdir("/")
    assert convert(source, audio_root=audio)[0].audio_path == str(audio / "wav dir" / "a.wav")


def test_system_ids_that_only_repeat_the_sample(audio: Path) -> None:
    """So the baseline writes PSTN and Tencent, which have no systems."""
    source = audio / "data.jsonl"
    write_manifest(source, [Utterance("/a.wav", i, 1.0, {}, i) for i in "ab"])
    assert [u.system_id for u in convert(source)] == [None, None]


def test_ours_is_read_as_the_baseline_reads(tmp_path: Path) -> None:
    """Its loader: json.loads of each line, then these keys; the audio path is opened as it stands."""
    path = tmp_path / "m.jsonl"
    write_manifest(path, [Utterance("/x/a.wav", "a", 1.0, {"mos": 3.0}, None, "c", "train", 16000, 3, 0.5)])
    for line in path.read_text().splitlines():
        row = json.loads(line)
        assert (row["audio_path"], row["sample_id"], row["system_id"]) == ("/x/a.wav", "a", None)
        assert (row["metrics"].get("mos", float("nan")), row["duration"]) == (3.0, 1.0)


def test_sheet_with_listeners(audio: Path) -> None:
    source = audio / "train.csv"
    source.write_text(
        "wav_path,system_id,sample_id,score,listener_id,utmos\n"
        "wav dir/a.wav,s1,a,4,L1,2.5\nwav dir/a.wav,s1,a,3,L2,2.5\nwav dir/b.wav,s1,b,2,L1,\n"
    )
    first, second = convert(source, audio_root=audio)
    assert first == Utterance(
        str(audio / "wav dir" / "a.wav"),
        "a",
        0.1,
        {"utmos": 2.5, "mos": 3.5},
        "s1",
        sample_rate=8000,
        votes=2,
    )
    assert second.metrics == {"mos": 2.0}


def test_sheet_with_averages_and_errors(audio: Path) -> None:
    source = audio / "test.csv"
    source.write_text("wav_path,system_id,sample_id,avg_score\nwav dir/a.wav,s1,a,3.75\n")
    (only,) = convert(source, audio_root=audio)
    assert (only.metrics, only.votes) == ({"mos": 3.75}, None)
    source.write_text("wav_path,sample_id,score\nwav dir/a.wav,a,9\n")
    with pytest.raises(DataError, match=r"test\.csv:2: score is 9"):
        convert(source, audio_root=audio)
    source.write_text("wav_path,sample_id\nx,a\n")
    with pytest.raises(DataError, match=r"test\.csv:1: no column score, avg_score or mos"):
        convert(source, audio_root=audio)
    source.write_text("wav_path,sample_id,score\nwav dir/a.wav,a,3\nwav dir/b.wav,a,3\n")
    with pytest.raises(DataError, match=r"test\.csv:3: sample_id 'a' stands for two files"):
        convert(source, audio_root=audio)


def test_kaldi(audio: Path) -> None:
    folder = audio / "kaldi"
    folder.mkdir()
    # paths with spaces, behind a byte order mark and a tab: as `predict` reads the same list
    (folder / "wav.scp").write_bytes(b"\xef\xbb\xbfa wav dir/a.wav\nb\twav dir/b.wav\r\n")
    (folder / "utt2sys").write_text("a s1\nb s2\n")
    (folder / "utt2dur").write_text("a 0.100\n")
    (folder / "mos.scp").write_text("a 3.5\nb nan\n")
    first, second = convert(folder, audio_root=audio)
    assert first == Utterance(str(audio / "wav dir" / "a.wav"), "a", 0.1, {"mos": 3.5}, "s1")
    assert (second.metrics, second.duration, second.sample_rate) == ({}, 0.1, 8000)
    (folder / "wav.scp").write_text("a\n")
    with pytest.raises(DataError, match=r"wav\.scp:1: found 'a'; expected an id and a value"):
        convert(folder)
    with pytest.raises(DataError, match=r"expected a \.jsonl manifest, a \.csv of SHEET or a folder"):
        convert(audio / "wav dir" / "a.wav")


@pytest.mark.parametrize("packed", [True, False])
def test_the_baselines_labels(tmp_path: Path, packed: bool) -> None:
    data = tmp_path / "out"
    write_manifest(
        data / "bvcc" / "train" / "data.jsonl",
        [Utterance("/1.wav", f"sys1-utt{i}", 1.0, {"mos": 3.0}, "sys1") for i in "abc"],
    )
    write_manifest(data / "somos" / "dev" / "data.jsonl", [Utterance("/1.wav", "n.wav", 1.0, {"utmos": 1.5})])
    files = {
        "data/bvcc/train/utmos.scp": "utta 2.5\nuttb nan\nuttx 1.0\n",
        "data/bvcc/train/mos.scp": "utta 3.0001\n",
        "data/bvcc/train/wav.scp": "utta x.wav\n",
        "data/somos/dev/utmos.scp": "n.wav 4.0\n",
        "data/somos/dev/sdr.scp": "n.wav -7.25\n",
        "data/pstn/train/utmos.scp": "1 4.0\n",
    }
    source = tmp_path / "data.zip" if packed else tmp_path / "data"
    if packed:
        with zipfile.ZipFile(source, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
    else:
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
    bvcc, somos = add_labels(source, data)
    assert (bvcc.labels, bvcc.unknown) == ({"mos": 0, "utmos": 1}, 1)
    assert somos.labels == {"sdr": 1, "utmos": 0}  # what is there already is kept
    found = {u.sample_id: dict(u.metrics) for u in read_manifest(data / "bvcc" / "train" / "data.jsonl")}
    assert found == {
        "sys1-utta": {"mos": 3.0, "utmos": 2.5},
        "sys1-uttb": {"mos": 3.0},
        "sys1-uttc": {"mos": 3.0},
    }
    assert read_manifest(data / "somos" / "dev" / "data.jsonl")[0].metrics == {"utmos": 1.5, "sdr": -7.25}
    with pytest.raises(DataError, match="none of the corpora"):
        add_labels(source, tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no files CORPUS/SPLIT/LABEL\.scp"):
        add_labels(data, data)


@pytest.mark.parametrize(
    ("label", "value", "told"),
    [
        ("utmos", b"7", r"utmos is 7; expected a finite number in 0\.\.6"),
        ("sdr", b"inf", "sdr is inf; expected"),
    ],
)
def test_labels_out_of_range(label: str, value: bytes, told: str, tmp_path: Path) -> None:
    write_manifest(tmp_path / "out" / "x" / "train" / "data.jsonl", [Utterance("/1.wav", "a", 1.0, {})])
    (tmp_path / "src" / "x" / "train").mkdir(parents=True)
    # the first id is no UTF-8: a file's name as the system has it
    (tmp_path / "src" / "x" / "train" / f"{label}.scp").write_bytes(b"\xff 3\na " + value + b"\n")
    with pytest.raises(DataError, match=rf"x/train/{label}\.scp:2: {told}"):
        add_labels(tmp_path / "src", tmp_path / "out")


def test_a_cosine_of_float32_is_as_valid_as_for_verify_and_train(tmp_path: Path) -> None:
    manifest = tmp_path / "out" / "x" / "train" / "data.jsonl"
    write_manifest(manifest, [Utterance("/1.wav", "a", 1.0, {})])
    (tmp_path / "src" / "x" / "train").mkdir(parents=True)
    (tmp_path / "src" / "x" / "train" / "spksim.scp").write_text("a 1.0000001192\n")
    add_labels(tmp_path / "src", tmp_path / "out")
    assert read_manifest(manifest)[0].metrics == {"spksim": 1.0000001192}
