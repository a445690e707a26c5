"""`sqa-cli data verify`."""

import json
from pathlib import Path

from commands import run
from sqa_data import read_manifest


def test_a_leak_is_found_under_another_name(manifest: Path, tmp_path: Path) -> None:
    import soundfile

    first = read_manifest(manifest)[0]
    signal, rate = soundfile.read(first.audio_path, dtype="int16")
    soundfile.write(tmp_path / "other name.flac", signal, rate)
    row = {"audio_path": "other name.flac", "system_id": "s", "sample_id": "x", "split": "train"}
    row |= {"duration": len(signal) / rate, "metrics": {"mos": 3.0}}
    (tmp_path / "train.jsonl").write_text(json.dumps(row) + "\n")
    output = run("data", "verify", manifest, tmp_path / "train.jsonl", code=1)
    assert "error: shared: 1" in output
    assert f"{tmp_path / 'train.jsonl'}:1: the audio of sample 'x' is also at {manifest}:1" in output
    assert "shared" not in run("data", "verify", manifest, tmp_path / "train.jsonl", "--no-decode")
