"""`sqa-cli data import`."""

from pathlib import Path

from commands import run
from sqa_data import read_manifest


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
