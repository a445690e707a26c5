"""`sqa-cli submit`: what it writes, and everything that it refuses."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from commands import rows, run
from sqa_cli.main import main

ABOUT = ["--team", "us", "--model-size", "2.5", "--pretrained", "wavlm-base-plus"]


def submit(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["submit", *map(str, arguments), *ABOUT])


def write_results(path: Path, scores: Sequence[object], **changes: dict) -> Path:
    with path.open("w", encoding="utf-8") as file:
        for i, score in enumerate(scores):
            row = {"sample_id": f"fileid_{i}", "metrics": {"mos": score}, **changes.get(f"row{i}", {})}
            file.write(json.dumps(row) + "\n")
    return path


def test_submission(wavs: Path, model: str) -> None:
    for path in wavs.iterdir():
        path.rename(path.with_name(path.name.replace(" ", "_")))
    run("predict", "wavs", "--model", model, "--out", "r.jsonl")
    result = submit("r.jsonl", "--out", "team.zip", "--count", 12, "--expected", "wavs")
    assert result.exit_code == 0, result.output
    with zipfile.ZipFile("team.zip") as archive:
        assert archive.namelist() == ["mos.scp", "README.yaml"]
        lines = archive.read("mos.scp").decode().splitlines()
        about = yaml.safe_load(archive.read("README.yaml"))
    assert lines == [f"{r['sample_id']} {r['metrics']['mos']}" for r in rows("r.jsonl")]
    assert about["team"] == "us"
    assert about["model_size"] == 2.5
    assert about["pretrained_models"] == ["wavlm-base-plus"]


@pytest.mark.parametrize(
    ("scores", "changes", "options", "message"),
    [
        ([3.0, float("nan")], {}, [], "1 without a finite score, such as fileid_1"),
        ([3.0, None], {}, [], "1 without a finite score"),
        ([3.0, "4"], {}, [], "1 without a finite score"),
        ([3.0, 3.1], {"row1": {"metrics": {}, "error": "no such file"}}, [], "fileid_1: no such file"),
        ([3.0, 3.1], {"row1": {"sample_id": "a/fileid_0.wav"}}, [], ": 1 more than once, such as fileid_0;"),
        (  # counted whether scored or not, and as one clip
            [3.0, None, 3.2],
            {"row1": {"sample_id": "fileid_0"}, "row2": {"sample_id": "fileid_0"}},
            ["--count", 3],
            "1 without a finite score, such as fileid_0: mos is None; 1 more than once, such as fileid_0; "
            "1 clips with a score, expected 3;",
        ),
        (  # a clip that failed is there: another one is missing
            [3.0, None],
            {"row1": {"sample_id": "other"}},
            ["--expected", "e.scp"],
            "1 without a finite score, such as other: mos is None; 1 missing, such as fileid_1; 1 not asked for",
        ),
        ([3.0, 3.1], {}, ["--count", 3], "2 clips with a score, expected 3"),
        ([3.0], {}, ["--expected", "e.scp"], "1 missing, such as fileid_1"),
        ([3.0, 3.1, 3.2], {}, ["--expected", "e.scp"], "1 not asked for, such as fileid_2"),
        ([3.0], {"row0": {"sample_id": "a b"}}, [], ": 1 with a blank in the name, such as 'a b';"),
        ([], {}, [], "no scores"),
    ],
)
def test_submission_refuses(
    scores: list, changes: dict, options: list, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("e.scp").write_text("fileid_0 a.wav\nfileid_1 b.wav\n")
    results = write_results(tmp_path / "r.jsonl", scores, **changes)
    result = submit(results, "--out", "team.zip", *options)
    assert result.exit_code == 1
    assert message in result.output
    assert not Path("team.zip").exists()
