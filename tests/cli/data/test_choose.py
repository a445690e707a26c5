"""`sqa-cli data filter`, `data merge` and `data sample`."""

from pathlib import Path

from commands import run
from sqa_data import read_manifest


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
