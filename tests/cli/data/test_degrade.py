"""`sqa-cli data degrade`."""

import json
from pathlib import Path

import numpy as np
import soundfile as sf
from commands import run
from sqa_cli.data.degrade import degrade
from sqa_data import read_manifest
from sqa_data.degrade.presets import PRESETS

RATE = 16_000


def test_degrade(tmp_path: Path) -> None:
    for talker in range(5):
        (tmp_path / "speech" / f"t{talker}").mkdir(parents=True)
        tone = 0.1 * np.sin(np.arange(RATE) * 0.1 * (talker + 1))
        sf.write(tmp_path / "speech" / f"t{talker}" / "a.wav", tone, RATE)
    (tmp_path / "linked").mkdir()
    (tmp_path / "speech" / "t4").rename(tmp_path / "linked" / "t4")
    (tmp_path / "speech" / "t4").symlink_to(tmp_path / "linked" / "t4")
    (tmp_path / "speech" / "notes.txt").touch()
    (tmp_path / "speech" / ".trash").mkdir()
    sf.write(tmp_path / "speech" / ".trash" / "gone.wav", np.zeros(RATE), RATE)
    arguments = ("data", "degrade", tmp_path / "speech", "-o", tmp_path / "out")
    arguments += ("--train", 4, "--dev", 2, "--test", 2)
    output = run(*arguments)
    assert "train        4 clips" in output
    # folders are walked as everywhere: linked ones are entered, what is passed over is told
    assert "speech: passed over: 1 hidden" in output
    assert "1 not audio" in output
    talkers = {
        u.extra["talker"]
        for s in ("train", "dev", "test")
        for u in read_manifest(tmp_path / "out" / f"{s}.jsonl")
    }
    assert talkers <= {f"t{i}" for i in range(5)}
    assert len(read_manifest(tmp_path / "out" / "train.jsonl")) == 4
    assert set(json.loads(run(*arguments, "--json").splitlines()[-1])) == {"train", "dev", "test"}
    run(*arguments, "--seed", 2, code=1)  # the folder was made from another plan
    assert "unknown degradation 'nope'" in run(
        *("data", "degrade", tmp_path / "speech", "-o", tmp_path / "other", "--held-out", "nope"), code=1
    )


def test_kinds_are_listed_with_what_they_lack_and_pictured(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", 0.1 * np.sin(np.arange(RATE // 2) * 0.1), RATE)
    listed = {row["kind"]: row for row in json.loads(run("data", "kinds", "--json"))}
    assert listed["noise"] == {
        "kind": "noise",
        "family": "noise",
        "missing": "needs noise recordings; give --noise FOLDER",
        "mildest": None,
    }
    assert listed["gsm"]["mildest"] == "narrow band at once"
    assert listed["hum"]["missing"] is None
    assert "gain-jumps" in run("data", "kinds")
    sheet = tmp_path / "sheet.html"
    assert f"wrote {sheet}" in run("data", "kinds", "--speech", tmp_path / "a.wav", "--sheet", sheet)
    assert sheet.read_text().count("<img") > 3 * 20
    assert "--sheet and --speech go together" in run("data", "kinds", "--sheet", sheet, code=2)


def test_rates_and_presets(tmp_path: Path) -> None:
    for talker in range(3):
        (tmp_path / f"t{talker}").mkdir()
        sf.write(tmp_path / f"t{talker}" / "a.wav", 0.1 * np.sin(np.arange(22_050) * 0.1), 22_050)
    made = ("--train", 2, "--dev", 0, "--test", 0, "--sample-rate", "source", "--preset", "urgent")
    run("data", "degrade", tmp_path, "-o", tmp_path / "out", *made)
    rows = read_manifest(tmp_path / "out" / "train.jsonl")
    assert {row.sample_rate for row in rows} == {22_050}
    for row in rows:
        assert {"coloured-noise", "wind"} & {step["kind"] for step in row.extra["degradation"]}
    assert "unknown degradation 'none'" in run(
        *("data", "degrade", tmp_path, "-o", tmp_path / "no", "--kinds", "none"), code=1
    )
    options = {option.name: option for option in degrade.params}
    assert tuple(options["preset"].type.choices) == tuple(PRESETS)
    for rate in ("4000", "loud", "-1"):
        told = run("data", "degrade", tmp_path, "-o", tmp_path / "no", "--sample-rate", rate, code=2)
        assert "expected 8000 to 48000 (Hz), or 'source'" in told
