"""`sqa-cli data verify`, `stats`, `filter`, `merge`, `sample` and `import`."""

import json
import re
from pathlib import Path

import pytest
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


def test_stats(manifest: Path) -> None:
    output = run("data", "stats", manifest, "--plot")
    assert "chime-7-udase-eval  test" in output
    assert "█" in output
    (stats,) = json.loads(run("data", "stats", manifest, "--json"))
    assert (stats["samples"], stats["systems"], stats["mos"]["mean"]) == (2, 2, 2.75)
    assert stats["labels"] == {"mos": 2, "mos_bak": 2, "mos_sig": 2}
    assert sum(stats["mos"]["counts"]) == 2


def test_filter_merge_sample(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    run("data", "filter", manifest, "--where", "mos=3..5", "--out", out)
    assert [u.sample_id for u in read_manifest(out)] == ["C1_S01_a"]
    run("data", "filter", manifest, "--system", "C2", "--label", "mos_sig", "--min-votes", 1, "--out", out)
    assert [u.sample_id for u in read_manifest(out)] == ["C2_S01_a"]
    assert "is also in" in run("data", "merge", manifest, manifest, "--out", tmp_path / "twice.jsonl", code=1)
    assert not (tmp_path / "twice.jsonl").exists()
    run("data", "sample", manifest, "-n", 1, "--out", out)
    assert len(read_manifest(out)) == 1
    run("data", "sample", manifest, "-n", 1, "--per-system", "--out", out)
    assert len(read_manifest(out)) == 2
    assert "expected LABEL=LOW..HIGH" in run(
        "data", "filter", manifest, "--where", "mos=x", "--out", out, code=2
    )


def test_a_folder_that_cannot_be(manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    output = run("data", "merge", manifest, "--out", tmp_path / "file" / "m.jsonl", code=1)
    assert output.startswith("Error: ")
    assert "Not a directory" in output or "File exists" in output


def test_import(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine.jsonl"
    run("data", "import", manifest, "--corpus", "mine", "--split", "dev", "--out", out)
    assert {(u.corpus, u.split) for u in read_manifest(out)} == {("mine", "dev")}
    labels = tmp_path / "labels" / "chime-7-udase-eval" / "test"
    labels.mkdir(parents=True)
    (labels / "utmos.scp").write_text("C1_S01_a 2.5\nother 1.5\n")
    output = run("data", "import", tmp_path / "labels", "--into", tmp_path / "data")
    assert output.strip() == f"{manifest}: utmos 1; 1 ids are not in it"
    assert read_manifest(manifest)[0].metrics["utmos"] == 2.5


def test_a_corpus_that_may_only_be_read_is_verified(manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("sqa_data.sources.records.remember_verified", refuse)
    assert "data.jsonl: not noted as verified: Permission denied" in run("data", "verify", manifest)


def test_too_few_to_draw_are_told(manifest: Path, tmp_path: Path) -> None:
    output = run("data", "sample", manifest, "-n", 1000, "--out", tmp_path / "drawn.jsonl")
    assert "1,000 were asked for; there are 2" in output


@pytest.mark.parametrize(
    "command",
    [
        "data verify EMPTY",
        "data stats EMPTY",
        "data filter EMPTY --out OUT",
        "data merge FULL EMPTY --out OUT",
        "data sample EMPTY -n 1 --out OUT",
        "data import EMPTY --out OUT",
        "data import empty/ --out OUT",
        "data annotate EMPTY -m lsd --out OUT",
        "data annotate FULL -m lsd --reference EMPTY --out OUT",
        "train --data EMPTY --dev FULL --out OUT",
    ],
)
def test_a_manifest_without_an_utterance_is_told_by_all(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("EMPTY.jsonl").touch()
    Path("empty").mkdir()
    Path("empty/wav.scp").touch()
    words = command.replace("EMPTY", "EMPTY.jsonl").replace("FULL", str(manifest)).split()
    output = run(*words, code=1)
    assert re.search(r"(EMPTY\.jsonl|empty): no utterance; expected one", output)
    assert not Path("OUT").exists()


def test_a_choice_of_nothing_is_told(manifest: Path, tmp_path: Path) -> None:
    output = run("data", "filter", manifest, "--language", "xx", "--out", tmp_path / "none.jsonl")
    assert "0 samples" in output
    assert "note: no utterance was chosen" in output
    assert "note" not in run("data", "filter", manifest, "--language", "en", "--out", tmp_path / "en.jsonl")
